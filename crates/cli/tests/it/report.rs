//! `m365-audit report` and `m365-audit replay`: what the state says of each hour is what the
//! simulated service has, and hours that are wanted once more come once more.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Output;

use m365_audit_client::{DbOptions, Store, inspect_tenant};
use m365_audit_core::{Commit, Utc};
use m365_sim::SimConfig;
use serde_json::Value;

use crate::support::{World, assert_code, lines, one_line, program, text};

const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

const HOUR_MS: i64 = 3_600_000;

fn world() -> World {
    World::new(SimConfig { subscribed: true, ..crate::support::world() })
}

/// What the program says of a db.
fn report(db: &Path, words: &[&str]) -> Output {
    let mut command = program("report");
    command.env_remove("CLICOLOR_FORCE").arg("--db").arg(db).args(words);
    let output = command.output().unwrap();
    assert!(output.status.code().is_some_and(|code| code < 3), "{}", text(&output.stderr));
    output
}

fn store(db: &Path, tenant: &str, pairs: &[(String, String)]) {
    let options = DbOptions {
        path: db.into(),
        synchronous: "off".into(),
        journal_mode: "wal".into(),
        exclusive: false,
        server: None,
    };
    let mut store = Store::open(Some(&options), tenant).unwrap();
    let changes = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    store.commit(Commit { changes }).unwrap();
}

/// Without the line breaks of paragraphs.
fn flat(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn this_hour() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap() / HOUR_MS
}

/// A history of twenty days of one feed, with `odd` in place of the usual row.
fn history(odd: &[(i64, &str)], more: &[(&str, String)]) -> Vec<(String, String)> {
    let hour = this_hour();
    let begin = hour - 20 * 24 + 1;
    let feed = "Audit.Exchange";
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    all.insert("version".into(), "2".into());
    all.insert(format!("history/{feed}"), format!("b{}k604800", begin * HOUR_MS));
    for back in 0..20 * 24 {
        all.insert(format!("history/{feed}/{:06}", hour - back), "l2d2r30b900a3".into());
    }
    for (back, row) in odd {
        all.insert(format!("history/{feed}/{:06}", hour - back), (*row).into());
    }
    all.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    all.into_iter().collect()
}

#[test]
fn the_totals_are_those_of_the_service_and_of_the_output() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let (db, out) = (dir.path().join("state.db"), dir.path().join("out"));
    let mut run = world.run();
    run.arg("--once").arg("--db").arg(&db).arg("--output").arg(&out);
    assert_code(&run.output().unwrap(), 0);
    let output = report(&db, &["--format", "json"]);
    assert_code(&output, 0);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let written = std::fs::read(&out).unwrap();
    let delivered = lines(&written).count() as u64;
    let tenant = &told["tenants"][0];
    assert_eq!(tenant["totals"]["records_delivered"], delivered, "{}", tenant["totals"]);
    // Blob by blob, hour by hour.
    let mut truth: BTreeMap<(String, i64), std::collections::BTreeSet<String>> = BTreeMap::new();
    for owed in world.microsoft().owed() {
        let key = (owed.content_type.to_string(), owed.created_ms / HOUR_MS);
        truth.entry(key).or_default().insert(owed.content_id.to_string());
    }
    let mut hours = 0;
    for feed in tenant["feeds"].as_array().unwrap() {
        let sums = |name: &str| feed["totals"][name].as_u64().unwrap();
        let parts = ["blobs_delivered", "blobs_quarantined", "blobs_lost", "blobs_waiting"];
        assert_eq!(sums("blobs_listed"), parts.map(sums).iter().sum::<u64>());
        for hour in feed["hours"].as_array().unwrap() {
            let name = feed["content_type"].as_str().unwrap().to_owned();
            let start = Utc::parse(hour["hour"].as_str().unwrap()).unwrap();
            let listed = hour["blobs_listed"].as_u64().unwrap();
            let of_hour = truth.get(&(name.clone(), start.hour())).map_or(0, |blobs| blobs.len());
            // The last moments are not listed yet.
            if start.hour() < this_hour() - 1 {
                assert_eq!(listed, of_hour as u64, "{name} {hour}");
                hours += 1;
            }
            assert_eq!(hour["blobs_delivered"], listed);
        }
    }
    assert!(4 <= hours, "{told}");
    // The same in the other forms.
    let csv = report(&db, &["--format", "csv"]);
    let csv = text(&csv.stdout);
    let head: Vec<_> = csv.lines().next().unwrap().split(',').collect();
    let column = head.iter().position(|name| *name == "records_delivered").unwrap();
    let cell = |line: &str| line.split(',').nth(column).unwrap().parse::<u64>().unwrap();
    assert_eq!(csv.lines().skip(1).map(cell).sum::<u64>(), delivered);
    let told = report(&db, &[]);
    let told = text(&told.stdout);
    assert!(flat(told).contains("Exceptions none"), "{told}");
    assert!(told.ends_with("everything is settled or open\n"), "{told}");
    // Before the first start nothing was collected, and that is told if somebody asks for it.
    let early = report(&db, &["--since", "2d"]);
    assert_code(&early, 1);
    let early = flat(text(&early.stdout));
    assert!(early.contains("not collected: before the first start"), "{early}");
}

/// What tells of losses, as a page that needs nothing else.
#[track_caller]
fn assert_is_one_page(html: &Output) {
    assert_code(html, 1);
    let page = text(&html.stdout);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "what is shown is no markup");
    for none in ["<script", "http://", "https://", "src=", "<b>anna", "url(\""] {
        assert!(!page.contains(none), "{none}");
    }
}

#[test]
fn what_is_lost_is_told_in_every_form_and_fails_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let hour = this_hour();
    let (lost, end) = ((hour - 300) * HOUR_MS, (hour - 298) * HOUR_MS);
    let loss = format!(
        "{{\"feed\":\"Audit.Exchange\",\"kind\":\"gap\",\"created\":[{lost},{end}],\"count\":1,\
         \"told\":{end}}}"
    );
    let note = format!(
        "{{\"at\":{end},\"by\":\"<b>anna\",\"note\":\"\\u0022><script>alert(1)</script>\"}}"
    );
    let odd = [
        (300, "l2d1x1r9c5g1800000a3"),
        (299, "l3d2x1r9c5g1800000a3"),
        (100, "l4d3q1r9a1"),
        (99, "l4d1r9"),
    ];
    let more = [("loss/0000000000000001", loss), ("acknowledged/0000000000000001", note)];
    store(&db, TENANT, &history(&odd, &more));

    let output = report(&db, &[]);
    assert_code(&output, 1);
    let told = text(&output.stdout);
    assert!(!told.contains('\x1b'), "no colours where there is no terminal");
    let forced = program("report").env("CLICOLOR_FORCE", "1").arg("--db").arg(&db).output();
    assert!(text(&forced.unwrap().stdout).contains("\x1b["), "somebody wants them all the same");
    for words in [
        "something is lost",
        "Audit.Exchange ",
        "2 blobs expired before they could be read",
        "60 min were not listed while Microsoft kept them",
        "acknowledged by <b>anna",
        "1 blob cannot be read for the time being",
        "3 blobs listed and not delivered",
        "listed 965 = delivered 959 + quarantined 1 + lost 2 + waiting 3",
        "What Microsoft never published",
        "not everything is settled or open",
    ] {
        assert!(flat(told).contains(words), "{words}: {told}");
    }
    // A day is a line, whatever the hour is in which this is tested.
    let strip = told.lines().filter(|line| line.starts_with("  20"));
    let hours: String = strip.filter_map(|line| line.get(12..)).collect();
    let count = |letter| hours.matches(letter).count();
    assert_eq!((count('L'), count('I')), (2, 2), "{told}");
    let json = report(&db, &["--format", "json", "--config", "/dev/null"]);
    assert_code(&json, 1);
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    let exceptions = value["tenants"][0]["feeds"][0]["exceptions"].as_array().unwrap();
    assert_eq!(exceptions.len(), 3, "{exceptions:?}");
    assert_eq!(exceptions[0]["losses"], serde_json::json!([1]));
    assert_eq!(exceptions[0]["start"], Utc::from_millis(lost).to_string());

    assert_is_one_page(&report(&db, &["--format", "html"]));
    // What was in order in the days before is.
    let until = Utc::from_millis((hour - 301) * HOUR_MS).to_string();
    assert_code(&report(&db, &["--until", &until]), 0);
}

#[test]
fn the_configuration_is_recognised_and_no_secret_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    store(&db, TENANT, &history(&[], &[]));
    let config = dir.path().join("m365.toml");
    let hash = |secret: &str| {
        let options = format!("client_secret = \"{secret}\"\nexclude_operations = \"Send\"\n");
        std::fs::write(&config, options).unwrap();
        let words = ["--config", config.to_str().unwrap(), "--format", "json"];
        let output = report(&db, &words);
        assert_code(&output, 0);
        assert!(!text(&output.stdout).contains(secret));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["configuration"]["treating"][0], "exclude_operations = Send");
        value["configuration"]["sha256"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash("s3cret~one"), hash("s3cret~two"));
    let output = program("report").output().unwrap();
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("--db"), "{}", text(&output.stderr));
}

#[test]
fn a_state_without_history_vouches_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    store(&db, TENANT, &[("version".into(), "2".into())]);
    let output = report(&db, &[]);
    assert_code(&output, 1);
    assert!(text(&output.stdout).contains("there is no history"), "{}", text(&output.stdout));
    let other = report(&db, &["--tenant", "51463f53-8812-40f4-890f-865bf6e35190"]);
    assert_code(&other, 2);
}

/// `m365-audit replay` of a tenant's hours, counted back from this one.
fn replay(db: &Path, from: i64, until: i64, words: &[&str]) -> Output {
    let at = |back: i64| Utc::from_millis((this_hour() - back) * HOUR_MS).to_string();
    let times = ["--since", &at(from), "--until", &at(until)];
    program("replay").arg("--db").arg(db).args(times).args(words).output().unwrap()
}

fn requests(db: &Path, tenant: &str) -> Vec<String> {
    let stored = inspect_tenant(&DbOptions::at(db).unwrap(), tenant).unwrap();
    stored.into_keys().filter(|key| key.starts_with("replay/")).collect()
}

#[test]
fn a_replay_says_how_much_it_is_and_touches_nothing_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    store(&db, TENANT, &history(&[], &[]));
    let unasked = replay(&db, 5, 2, &[]);
    assert_code(&unasked, 2);
    assert!(text(&unasked.stdout).contains("6 blobs and 90 records"), "{}", text(&unasked.stdout));
    assert!(text(&unasked.stderr).contains("--yes"), "{}", text(&unasked.stderr));
    assert_eq!(requests(&db, TENANT), Vec::<String>::new());
    // What is too old is named, and left out.
    let old = replay(&db, 15 * 24, 14 * 24, &["--yes"]);
    assert_code(&old, 2);
    assert!(text(&old.stderr).contains("does not list it any more"), "{}", text(&old.stderr));
    let unknown = replay(&db, 5, 2, &["--yes", "--content-types", "Audit.Nope"]);
    assert_code(&unknown, 2);
    assert_eq!(requests(&db, TENANT), Vec::<String>::new());
    let before = inspect_tenant(&DbOptions::at(&db).unwrap(), TENANT).unwrap();
    assert_code(&replay(&db, 5, 2, &["--yes", "--content-types", "audit.exchange"]), 0);
    let hour = this_hour();
    let key = format!("replay/Audit.Exchange/{}-{}", hour - 5, hour - 2);
    assert_eq!(requests(&db, TENANT), std::slice::from_ref(&key));
    let mut after = inspect_tenant(&DbOptions::at(&db).unwrap(), TENANT).unwrap();
    after.remove(&key);
    assert_eq!(after, before, "nothing else is touched");
    // Two tenants: one is to be named.
    let other = "51463f53-8812-40f4-890f-865bf6e35190";
    store(&db, other, &history(&[], &[]));
    let several = replay(&db, 5, 2, &["--yes"]);
    assert_code(&several, 2);
    assert!(text(&several.stderr).contains("--tenant-id"), "{}", text(&several.stderr));
    assert_code(&replay(&db, 4, 3, &["--yes", "--tenant", other]), 0);
    assert_eq!((requests(&db, TENANT).len(), requests(&db, other).len()), (1, 1));
}

#[test]
fn hours_that_are_wanted_once_more_come_twice_and_everything_else_once() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let (db, out) = (dir.path().join("state.db"), dir.path().join("out"));
    let run = || {
        let mut run = world.run();
        run.arg("--once").arg("--db").arg(&db).arg("--output").arg(&out).output().unwrap()
    };
    assert_code(&run(), 0);
    let before = std::fs::read(&out).unwrap();
    assert_code(&replay(&db, 2, 1, &["--yes"]), 0);
    assert_code(&run(), 0);
    let tenant = world.microsoft().tenants()[0].id.to_string();
    assert_eq!(requests(&db, &tenant), Vec::<String>::new(), "it is taken");
    let after = std::fs::read(&out).unwrap();
    assert!(after.starts_with(&before));
    let hour = this_hour() - 2;
    let all: Vec<_> = world.microsoft().owed().collect();
    let mut wanted: HashMap<u128, bool> = HashMap::new();
    for owed in &all {
        let within = owed.created_ms / HOUR_MS == hour;
        *wanted.entry(owed.key).or_default() |= within;
    }
    let known: HashMap<_, _> = all.iter().map(|owed| (one_line(&owed.bytes), owed.key)).collect();
    let count = |bytes: &[u8]| {
        let mut counts: HashMap<u128, u32> = HashMap::new();
        lines(bytes).for_each(|line| *counts.entry(known[line]).or_default() += 1);
        counts
    };
    let (first, both) = (count(&before), count(&after));
    assert!(first.values().all(|count| *count == 1));
    for (key, times) in &both {
        let expected = 1 + u32::from(wanted[key]);
        assert_eq!(*times, expected, "{key:x}");
    }
    let again = wanted.iter().filter(|(key, wanted)| **wanted && first.contains_key(key)).count();
    assert!(5 < again);
    // The history knows of it.
    let told = report(&db, &["--format", "json"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["tenants"][0]["totals"]["replays"], 4, "one hour of four feeds");
    // Nor does it come a third time.
    assert_code(&run(), 0);
    assert_eq!(std::fs::read(&out).unwrap().len(), after.len());
}
