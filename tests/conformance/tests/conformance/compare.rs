//! What a driver has collected, in a form that does not depend on the driver, checked against the
//! truth on the way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use m365_audit_world::START_MS;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::world::{Collected, Truth};

/// What was created this long before the beginning is the same for all: later content may or may
/// not be there yet when a driver lists it.
const SETTLED_MS: i64 = 90_000;

/// Everything that has to be equal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Of each record that was owed, by what makes it the same record: the form that arrived. Where
    /// Microsoft published several, whichever came first will do, and none is named.
    records: BTreeMap<u128, Option<Vec<u8>>>,
    /// Covered intervals by feed, of the time that there is content from.
    covered: BTreeMap<String, Vec<(i64, i64)>>,
    /// Contents that are remembered as done.
    done: BTreeSet<String>,
}

impl Account {
    /// Takes the account of one driver.
    ///
    /// # Panics
    /// A record is missing, was never published, or is not as it was published.
    #[track_caller]
    pub(crate) fn of(truth: &Truth, collected: Collected) -> Self {
        // Elements that are no objects may be equal, and stand for each other.
        let mut published: HashMap<Vec<u8>, Vec<u128>> = HashMap::new();
        let mut forms: BTreeMap<u128, BTreeSet<Vec<u8>>> = BTreeMap::new();
        let mut owed = BTreeSet::new();
        let mut add = |key: u128, bytes: Vec<u8>, malformed: bool, settled: bool| {
            let line = line(&bytes, malformed);
            if line != bytes {
                published.entry(bytes).or_default().push(key);
            }
            published.entry(line.clone()).or_default().push(key);
            forms.entry(key).or_default().insert(line);
            if settled {
                owed.insert(key);
            }
        };
        let settled = |created_ms, available_ms| {
            created_ms < START_MS - SETTLED_MS && available_ms < START_MS
        };
        for record in truth.microsoft.owed() {
            let settled = settled(record.created_ms, record.available_ms);
            add(record.key, record.bytes, record.malformed, settled);
        }
        if truth.activities {
            for record in truth.microsoft.owed_activities() {
                let settled = settled(record.created_ms, record.available_ms);
                add(record.key, record.bytes, false, settled);
            }
        }
        let mut arrived: BTreeSet<u128> = BTreeSet::new();
        for record in &collected.records {
            let inside = truth.envelope.map(|envelope| envelope.inside(record));
            let record = inside.as_ref().unwrap_or(record);
            let Some(keys) = published.get(record) else {
                panic!("never published: {}", String::from_utf8_lossy(record));
            };
            let new = keys.iter().find(|key| !arrived.contains(key));
            arrived.extend(new);
        }
        let missing: BTreeSet<_> = owed.difference(&arrived).collect();
        let lost = truth.microsoft.owed().filter(|record| missing.contains(&record.key));
        let lost: Vec<_> =
            lost.map(|record| format!("{}[{}]", record.content_id, record.index)).collect();
        assert!(missing.is_empty(), "{} of {}: {lost:?}", missing.len(), owed.len());
        let only_form = |key: &u128| {
            let forms = &forms[key];
            if forms.len() == 1 { forms.first().cloned() } else { None }
        };
        Self {
            records: owed.iter().map(|key| (*key, only_form(key))).collect(),
            covered: covered(truth, &collected),
            done: done(truth, &collected),
        }
    }

    pub(crate) fn records(&self) -> usize {
        self.records.len()
    }
}

/// A record on a line of its own: line breaks between tokens are blanks, and what is no JSON is
/// marked.
fn line(record: &[u8], malformed: bool) -> Vec<u8> {
    if malformed && serde_json::from_slice::<&serde_json::value::RawValue>(record).is_err() {
        let marked = match std::str::from_utf8(record) {
            Ok(text) => json!({ "malformed": true, "raw": text }),
            Err(_) => json!({ "malformed": true, "raw_base64": STANDARD.encode(record) }),
        };
        return marked.to_string().into_bytes();
    }
    let flat = |byte: &u8| if b"\n\r\t".contains(byte) { b' ' } else { *byte };
    record.iter().map(flat).collect()
}

/// The intervals that the stored state calls covered, clipped to where there was content.
fn covered(truth: &Truth, collected: &Collected) -> BTreeMap<String, Vec<(i64, i64)>> {
    let (from_ms, to_ms) = (START_MS - truth.history_ms, START_MS - SETTLED_MS);
    let lanes = collected.stored.iter().filter_map(|(key, value)| {
        let feed = key.strip_prefix("lane/")?;
        let lane: Value = serde_json::from_str(value).unwrap();
        let intervals = lane["covered"].as_array().unwrap().iter().map(|interval| {
            let end = |at: usize| interval[at].as_i64().unwrap().clamp(from_ms, to_ms);
            (end(0), end(1))
        });
        Some((feed.to_owned(), intervals.filter(|(start, end)| start < end).collect()))
    });
    let lanes: BTreeMap<String, Vec<_>> = lanes.collect();
    let feeds = 5 + usize::from(truth.activities);
    assert_eq!(lanes.len(), feeds, "{lanes:?}");
    for (feed, intervals) in &lanes {
        assert_eq!(*intervals, [(from_ms, to_ms)], "{feed} is not covered");
    }
    lanes
}

/// The contents that the stored state calls done, of those that every driver must have found.
fn done(truth: &Truth, collected: &Collected) -> BTreeSet<String> {
    let mut known: HashMap<u128, String> = HashMap::new();
    for record in truth.microsoft.owed() {
        if record.created_ms < START_MS - SETTLED_MS && record.available_ms < START_MS {
            known.insert(xxh3_128(record.content_id.as_bytes()), record.content_id.to_string());
        }
    }
    let mut done = BTreeSet::new();
    for (key, value) in &collected.stored {
        if !key.starts_with("seen/") {
            continue;
        }
        let ids = STANDARD_NO_PAD.decode(value).unwrap();
        for id in ids.as_chunks::<16>().0 {
            done.extend(known.get(&u128::from_le_bytes(*id)).cloned());
        }
    }
    assert_eq!(done.len(), known.len(), "contents that are not remembered");
    done
}
