//! Hours that are wanted once more of a plugin at work: they come twice, everything else once.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_audit_client::{DbOptions, amend, inspect_tenant};
use m365_audit_core::{Commit, Feed, Replay, Replayer, Utc};
use m365_sim::{Fault, FaultPlan, Server, SimConfig, Span};

use crate::pipeline::{PATIENCE, Section, config, history, serve, tenant, tenant_id};

const HOUR_MS: i64 = 3_600_000;

/// What was published this long ago can be listed for certain.
const SETTLED_MS: i64 = 60_000;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("long before the end")
}

fn id(record: &[u8]) -> String {
    let record: serde_json::Value = serde_json::from_slice(record).expect("a record is JSON");
    record["Id"].as_str().expect("it has an id").to_owned()
}

/// How often each record came, by its id.
fn counts(fluent_bit: &FluentBit) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for line in fluent_bit.lines("out") {
        *counts.entry(id(line.as_bytes())).or_default() += 1;
    }
    counts
}

/// Every record by its id, and whether one of its copies was created in that time.
fn published(server: &Server, hours: std::ops::Range<i64>, until_ms: i64) -> HashMap<String, bool> {
    let mut published: HashMap<String, bool> = HashMap::new();
    for owed in server.microsoft().owed().filter(|owed| owed.created_ms < until_ms) {
        *published.entry(id(&owed.bytes)).or_default() |= hours.contains(&owed.created_ms);
    }
    published
}

/// Waits until `done`, as long as more comes.
#[track_caller]
fn wait_for(
    what: &str,
    fluent_bit: &FluentBit,
    mut done: impl FnMut(&HashMap<String, u32>) -> bool,
) {
    let (mut progress, mut known) = (Instant::now(), 0);
    loop {
        let counts = counts(fluent_bit);
        if done(&counts) {
            return;
        }
        let all = counts.values().sum();
        if known < all {
            (progress, known) = (Instant::now(), all);
        }
        assert!(progress.elapsed() < 2 * PATIENCE, "{what}: {}", fluent_bit.log());
        thread::park_timeout(Duration::from_millis(100));
    }
}

/// What `m365-audit replay` does beside a collector at work.
fn ask(db: &Path, tenant: &str, since: i64, until: i64) {
    let replayer = Replayer { at: now_ms(), by: "test".into() };
    let [since, until] = [since, until].map(Utc::from_millis);
    let requests = Feed::ALL.into_iter().filter(|feed| *feed != Feed::CloudAppActivities);
    let requests = requests.filter_map(|feed| Replay::of(feed, since, until));
    let requests = requests.map(|replay| replay.request(&replayer));
    let changes = requests.map(|(key, value)| (key, Some(value))).collect();
    let db = DbOptions::at(db).expect("it is a file");
    amend(&db, tenant, |_| Commit { changes }).expect("the db can be written beside the plugin");
}

#[test]
fn three_hours_come_twice_and_everything_else_once_while_more_comes() {
    let Some(executable) = fluent_bit::find() else { return };
    let faults = FaultPlan::none().with(Fault::InternalError, 0.02).with(Fault::Truncated, 0.02);
    let server = serve(SimConfig {
        live: true,
        oddness: 0.0,
        subscribed: true,
        days: 0.3,
        blobs_per_hour: Span::new(60, 90),
        records_per_blob: Span::new(5, 20),
        lag_seconds: Span::new(0, 0),
        faults,
        ..history(43)
    });
    let tenant_id = tenant_id(&server).to_string();
    let output =
        "    - { name: file, match: '*', path: '{dir}', file: out, format: plain, workers: 1 }\n";
    let section = Section::new(&server, &tenant(&server, 0));
    let mut fluent_bit = FluentBit::start(&executable, &config(&[section], output));
    let db = fluent_bit.folder().join("state.db");
    let end = now_ms().div_euclid(HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
    let hours = end - 3 * HOUR_MS..end;

    let old: HashSet<String> =
        published(&server, 0..0, now_ms() - SETTLED_MS).into_keys().collect();
    wait_for("all that there was", &fluent_bit, |counts| {
        old.iter().all(|id| counts.contains_key(id))
    });
    ask(&db, &tenant_id, hours.start, hours.end);
    let wanted = published(&server, hours.clone(), now_ms() - SETTLED_MS);
    let wanted: HashSet<String> =
        wanted.into_iter().filter_map(|(id, within)| within.then_some(id)).collect();
    assert!(
        500 < wanted.len() && wanted.len() < old.len() / 2,
        "{} of {}",
        wanted.len(),
        old.len()
    );
    wait_for("all of the hours once more", &fluent_bit, |counts| {
        wanted.iter().all(|id| counts.get(id).is_some_and(|times| *times > 1))
    });
    until("nothing is asked for any more", || {
        let db = DbOptions::at(&db).expect("it is a file");
        let stored = inspect_tenant(&db, &tenant_id).expect("the db can be read");
        !stored.keys().any(|key| key.starts_with("replay/") || key.starts_with("again/"))
    });
    let (status, _) = fluent_bit.stop();
    assert!(status.success(), "{status}: {}", fluent_bit.log());
    let known = published(&server, hours, i64::MAX);
    let counts = counts(&fluent_bit);
    for (id, times) in &counts {
        let expected = 1 + u32::from(wanted.contains(id));
        assert_eq!(*times, expected, "{id}: {:?}", known.get(id));
    }
    let new = counts.keys().filter(|id| !old.contains(*id)).count();
    assert!(0 < new, "nothing was published meanwhile");
    assert!(server.microsoft().report().is_legal());
}
