//! Compares what arrived with what the simulator published.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use m365_sim::{ContentType, Guid, Owed, Server};
use rmpv::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::json;
use crate::pipeline::PATIENCE;
use crate::receiver::{Received, Receiver};

/// The outcome of a comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) owed: usize,
    pub(crate) arrived: usize,
    pub(crate) missing: Vec<String>,
    pub(crate) duplicates: usize,
    /// Bytes of the duplicates, as Microsoft sent them.
    pub(crate) duplicate_bytes: usize,
    /// Events that match no record, or say something wrong about one.
    pub(crate) wrong: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "owed {}, arrived {}, missing {}, duplicates {} ({} bytes), wrong {}",
            self.owed,
            self.arrived,
            self.missing.len(),
            self.duplicates,
            self.duplicate_bytes,
            self.wrong.len()
        )
    }
}

impl Tally {
    /// Everything is there, nothing else is, and all of it is right.
    #[track_caller]
    pub(crate) fn assert_complete(&self) {
        assert!(self.wrong.is_empty(), "{self}: {:?}", &self.wrong[..self.wrong.len().min(3)]);
        let missing = &self.missing[..self.missing.len().min(3)];
        assert!(missing.is_empty(), "{self}: {missing:?}");
        assert!(self.owed > 0, "nothing was published");
    }
}

/// Waits until nothing is missing, or nothing new has come for as long as patience lasts.
pub(crate) fn complete(
    server: &Server,
    tenant: Guid,
    content_types: &[ContentType],
    receiver: &Receiver,
) -> Tally {
    const LOOK_AGAIN: Duration = Duration::from_secs(2);
    let (mut progress, mut missing) = (Instant::now(), usize::MAX);
    let mut wanted = 1;
    loop {
        receiver.wait_for(wanted, LOOK_AGAIN);
        let tally = tally(server, tenant, content_types, &receiver.events());
        if tally.missing.len() < missing {
            (progress, missing) = (Instant::now(), tally.missing.len());
        }
        if missing == 0 || PATIENCE < progress.elapsed() {
            return tally;
        }
        wanted = tally.arrived + missing;
    }
}

struct Expected {
    owed: Owed,
    malformed: bool,
    arrived: usize,
}

/// Compares the events of one tenant and these content types.
pub(crate) fn tally(
    server: &Server,
    tenant: Guid,
    content_types: &[ContentType],
    events: &[Received],
) -> Tally {
    let owed = server.microsoft().owed();
    let mut expected: Vec<Expected> = Vec::new();
    let mut by_content: HashMap<(String, u128), Vec<usize>> = HashMap::new();
    for owed in
        owed.filter(|owed| owed.tenant == tenant && content_types.contains(&owed.content_type))
    {
        let (body, malformed) = json::body(&owed.bytes);
        let key = (owed.content_id.to_string(), hash(&body));
        by_content.entry(key).or_default().push(expected.len());
        expected.push(Expected { owed, malformed, arrived: 0 });
    }
    let mut tally = Tally { arrived: events.len(), ..Tally::default() };
    for event in events {
        let content_id = event.metadata["content_id"].as_str().unwrap_or_default().to_owned();
        let found = by_content.get(&(content_id, hash(&event.body)));
        // Equal records of one blob stand for each other.
        let found = found.and_then(|all| all.iter().min_by_key(|at| expected[**at].arrived));
        let Some(at) = found else {
            tally.wrong.push(format!("never published: {event:?}"));
            continue;
        };
        expected[*at].arrived += 1;
        if let Some(problem) = problem(&expected[*at], event) {
            tally.wrong.push(problem);
        }
    }
    // Copies with the same id are one record: one of them is owed.
    let mut records: HashMap<u128, (usize, &Expected)> = HashMap::new();
    for expected in &expected {
        records.entry(expected.owed.key).or_insert((0, expected)).0 += expected.arrived;
    }
    tally.owed = records.len();
    for (arrived, expected) in records.into_values() {
        if arrived == 0 {
            let owed = &expected.owed;
            tally.missing.push(format!("{}[{}]", owed.content_id, owed.index));
        } else {
            tally.duplicates += arrived - 1;
            tally.duplicate_bytes += (arrived - 1) * expected.owed.bytes.len();
        }
    }
    tally
}

fn hash(body: &Value) -> u128 {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, body).expect("memory takes everything");
    xxh3_128(&bytes)
}

/// What the event says wrongly about its record, apart from the body.
fn problem(expected: &Expected, event: &Received) -> Option<String> {
    let owed = &expected.owed;
    let said = |name: &str| event.metadata[name].as_str().map(str::to_owned);
    let created = said("content_created").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let created = created.map(jiff::Timestamp::as_millisecond);
    let mut wants = vec![
        ("content_type", said("content_type").as_deref() == Some(owed.content_type.name())),
        ("tenant_id", said("tenant_id") == Some(owed.tenant.to_string())),
        ("content_created", created == Some(owed.created_ms)),
        ("malformed", event.metadata["malformed"].as_bool() == expected.malformed.then_some(true)),
    ];
    if !expected.malformed {
        wants.push(("time", event.time == time(&event.body, owed.created_ms)));
    }
    let wrong: Vec<_> = wants.iter().filter(|(_, right)| !right).map(|(name, _)| *name).collect();
    (!wrong.is_empty()).then(|| {
        format!(
            "{wrong:?} of {}[{}]: {:?} {:?}",
            owed.content_id, owed.index, event.time, event.metadata
        )
    })
}

/// The event time of a record: its first `CreationTime`, in UTC; else that of its blob.
fn time(body: &Value, created_ms: i64) -> (u32, u32) {
    let members = body.as_map().expect("a body is a map");
    let written = members.iter().find(|(key, _)| key.as_str() == Some("CreationTime"));
    let written = written.and_then(|(_, value)| value.as_str());
    let parsed = written.and_then(|text| {
        let utc = text.parse::<jiff::Timestamp>().ok();
        let zoneless =
            || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        utc.or_else(|| zoneless().map(|zoned| zoned.timestamp()))
    });
    let timestamp =
        parsed.unwrap_or_else(|| jiff::Timestamp::from_millisecond(created_ms).expect("a moment"));
    let nanos = timestamp.as_nanosecond();
    let part = |value: i128| u32::try_from(value).expect("between 1970 and 2106");
    (part(nanos.div_euclid(1_000_000_000)), part(nanos.rem_euclid(1_000_000_000)))
}
