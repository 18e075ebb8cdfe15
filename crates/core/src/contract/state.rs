//! What outlives the process: a small map from keys to values, both ASCII text, so that any store
//! can hold them. This is the only place that knows how keys are spelt and values are written.
//!
//! | key | value |
//! |---|---|
//! | `version` | format version, decimal |
//! | `tenant` | whose state it is |
//! | `digests` | the key of the digests below, in hexadecimal; drawn once |
//! | `lane/TYPE` | JSON: start of the look-back, intervals delivered completely, relisting |
//! | `start/TYPE` | time of the last subscription start, milliseconds since the epoch |
//! | `seen/TYPE/HOUR` | keys of the contents created in that hour, in base64 |
//! | `records/TYPE/N` | keys of records as delivered, and digests of what they say, in base64 |
//! | `blob/TYPE/KEY` | JSON: a blob that is delivered in part, or in quarantine |
//! | `recent/TYPE/N`, `records/TYPE/N` | of activities: when the newest was stored, the same |
//! | `walk/TYPE` | JSON: the search of the backlog, and where it goes on |
//! | `search/TYPE` | the key of its filters, where a silence began, last times of relisting |
//! | `loss/N` | JSON: what was lost ([`mod@crate::source::losses`]); missing in old states |
//! | `acknowledged/N` | JSON: who has acknowledged it; written by somebody else |
//!
//! Version 1 had no digests. Records that it stored count as the same whatever they say, as they
//! did then, and a blob that was delivered in part is read from its beginning: its records are
//! known. What only knows version 1 refuses version 2, which it would take for damaged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::audit::expand::Progress;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::batch::{ContentRef, ContentType};
use crate::json::digest::DigestKey;

/// The version of the format that is written here. Version 1 is read as well.
pub const STATE_VERSION: u32 = 2;

/// The oldest version that is read.
const OLDEST_VERSION: u32 = 1;

const DIGESTS_KEY: &str = "digests";

const VERSION_KEY: &str = "version";

const TENANT_KEY: &str = "tenant";

/// The whole stored state of one collector: keys are short, all is ASCII.
pub type Stored = BTreeMap<String, String>;

/// Changes to be stored atomically.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Per key: its new value, or `None` to delete it.
    pub changes: BTreeMap<String, Option<String>>,
}

impl Commit {
    /// Applies the changes to a map, as a store does.
    pub fn apply(self, stored: &mut Stored) {
        for (key, value) in self.changes {
            match value {
                Some(value) => stored.insert(key, value),
                None => stored.remove(&key),
            };
        }
    }
}

/// Gathers changes until the next commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(Commit);

impl Changes {
    pub(crate) fn put(&mut self, key: String, value: String) {
        self.0.changes.insert(key, Some(value));
    }

    pub(crate) fn delete(&mut self, key: String) {
        self.0.changes.insert(key, None);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.changes.is_empty()
    }

    pub(crate) fn take(&mut self) -> Commit {
        std::mem::take(&mut self.0)
    }
}

/// Checks the version of a stored state; notes it in a new one. Answers whether it is new.
pub(crate) fn check_version(stored: &Stored, changes: &mut Changes) -> Result<bool, StateError> {
    let Some(value) = stored.get(VERSION_KEY) else {
        if let Some(key) = stored.keys().next() {
            return Err(StateError::damaged(key, "it stands in a state without a version"));
        }
        changes.put(VERSION_KEY.into(), STATE_VERSION.to_string());
        return Ok(true);
    };
    let found = value.parse().map_err(|_| StateError::damaged(VERSION_KEY, "not a number"))?;
    if found == STATE_VERSION {
        Ok(false)
    } else if (OLDEST_VERSION..STATE_VERSION).contains(&found) {
        changes.put(VERSION_KEY.into(), STATE_VERSION.to_string());
        Ok(false)
    } else if found > STATE_VERSION {
        Err(StateError::Newer { found, known: STATE_VERSION })
    } else {
        Err(StateError::damaged(VERSION_KEY, "no such version"))
    }
}

/// Checks whose state it is; notes it where it does not say. A host that keeps one state for all
/// tenants would otherwise go on where another one is.
pub(crate) fn check_tenant(
    stored: &Stored,
    tenant_id: &str,
    changes: &mut Changes,
) -> Result<(), StateError> {
    match stored.get(TENANT_KEY) {
        Some(found) if found == tenant_id => Ok(()),
        Some(found) => Err(StateError::OtherTenant { found: found.clone() }),
        None => {
            changes.put(TENANT_KEY.into(), tenant_id.into());
            Ok(())
        }
    }
}

/// The key of the digests in a stored state; in one that has none yet it is drawn from `seed`.
pub(crate) fn digest_key(
    stored: &Stored,
    seed: u128,
    changes: &mut Changes,
) -> Result<DigestKey, StateError> {
    if let Some(text) = stored.get(DIGESTS_KEY) {
        let damaged = || StateError::damaged(DIGESTS_KEY, "not a key");
        return DigestKey::decode(text).ok_or_else(damaged);
    }
    let key = DigestKey::drawn(seed);
    changes.put(DIGESTS_KEY.into(), key.encode());
    Ok(key)
}

/// The keys of one lane.
#[derive(Clone, Debug)]
pub(crate) struct LaneKeys {
    name: &'static str,
}

/// One stored entry below a prefix: its key, the key's last part, its value.
pub(crate) type Found<'a> = (&'a str, &'a str, &'a str);

impl LaneKeys {
    pub(crate) const fn new(content_type: ContentType) -> Self {
        Self { name: content_type.as_str() }
    }

    pub(crate) fn lane(&self) -> String {
        format!("lane/{}", self.name)
    }

    pub(crate) fn start(&self) -> String {
        format!("start/{}", self.name)
    }

    pub(crate) fn seen(&self, hour: i64) -> String {
        format!("seen/{}/{hour}", self.name)
    }

    pub(crate) fn records(&self, piece: u64) -> String {
        format!("records/{}/{piece:016x}", self.name)
    }

    pub(crate) fn recent(&self, piece: u64) -> String {
        format!("recent/{}/{piece:016x}", self.name)
    }

    pub(crate) fn walk(&self) -> String {
        format!("walk/{}", self.name)
    }

    pub(crate) fn search(&self) -> String {
        format!("search/{}", self.name)
    }

    pub(crate) fn recent_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("recent/{}/", self.name))
    }

    pub(crate) fn blob(&self, key: Key) -> String {
        format!("blob/{}/{:032x}", self.name, key.0)
    }

    pub(crate) fn seen_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("seen/{}/", self.name))
    }

    pub(crate) fn records_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("records/{}/", self.name))
    }

    pub(crate) fn blobs_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("blob/{}/", self.name))
    }
}

fn below(stored: &Stored, prefix: String) -> impl Iterator<Item = Found<'_>> {
    let length = prefix.len();
    stored
        .range(prefix.clone()..)
        .take_while(move |(key, _)| key.starts_with(&prefix))
        .map(move |(key, value)| (key.as_str(), &key[length..], value.as_str()))
}

/// The stored part of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaneRecord {
    begin: i64,
    covered: Vec<(i64, i64)>,
    /// What stood here before `relisted` did. Not used.
    sweep: u32,
    /// What was listed again and settled, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) relisted: Vec<(i64, i64)>,
    /// How long a window may be, in minutes; 0: as long as ever.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) span: u32,
}

/// Whether a number need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl LaneRecord {
    pub(crate) fn new(begin: Utc, covered: &IntervalSet) -> Self {
        let pair = |interval: Interval| (interval.start.as_millis(), interval.end.as_millis());
        Self {
            begin: begin.as_millis(),
            covered: covered.iter().map(pair).collect(),
            sweep: 0,
            relisted: Vec::new(),
            span: 0,
        }
    }

    pub(crate) const fn begin(&self) -> Utc {
        Utc::from_millis(self.begin)
    }

    pub(crate) fn covered(&self) -> IntervalSet {
        let interval = |(start, end): &(i64, i64)| {
            Interval::new(Utc::from_millis(*start), Utc::from_millis(*end))
        };
        self.covered.iter().filter_map(interval).collect()
    }
}

/// The stored part of a blob that is not delivered whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlobRecord {
    id: Box<str>,
    uri: Box<str>,
    created: i64,
    expiration: i64,
    records: u64,
    digest: String,
    quarantined: bool,
    /// Since when it has been an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty_since: Option<i64>,
}

impl BlobRecord {
    pub(crate) fn new(
        content: &ContentRef,
        progress: Progress,
        quarantined: bool,
        empty_since: Option<Utc>,
    ) -> Self {
        Self {
            id: content.id.clone(),
            uri: content.uri.clone(),
            created: content.created.as_millis(),
            expiration: content.expiration.as_millis(),
            records: progress.records,
            digest: format!("{:032x}", progress.digest.0),
            quarantined,
            empty_since: empty_since.map(Utc::as_millis),
        }
    }

    pub(crate) fn empty_since(&self) -> Option<Utc> {
        self.empty_since.map(Utc::from_millis)
    }

    pub(crate) const fn quarantined(&self) -> bool {
        self.quarantined
    }

    pub(crate) fn content(&self, content_type: ContentType) -> ContentRef {
        ContentRef {
            content_type,
            id: self.id.clone(),
            uri: self.uri.clone(),
            created: Utc::from_millis(self.created),
            expiration: Utc::from_millis(self.expiration),
        }
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        let digest = Key(u128::from_str_radix(&self.digest, 16).ok()?);
        Some(Progress { records: self.records, digest })
    }
}

/// Writes a value as JSON, in ASCII as all that is stored.
pub(crate) fn encode<T: Serialize>(value: &T) -> String {
    let json =
        serde_json::to_string(value).expect("numbers, texts and lists always have a JSON form");
    if json.is_ascii() {
        return json;
    }
    // Such a character stands in a text, and nowhere else.
    let mut ascii = String::with_capacity(json.len() * 2);
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            let units = &mut [0; 2];
            ascii.extend(character.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    ascii
}

/// Reads a value that [`encode`] wrote.
pub(crate) fn decode<T: for<'a> Deserialize<'a>>(key: &str, value: &str) -> Result<T, StateError> {
    serde_json::from_str(value).map_err(|error| StateError::damaged(key, error))
}

/// Reads a moment that was written in decimal milliseconds.
pub(crate) fn decode_time(key: &str, value: &str) -> Result<Utc, StateError> {
    let millis = value.parse().map_err(|error| StateError::damaged(key, error))?;
    Ok(Utc::from_millis(millis))
}

/// A stored state that cannot be continued from. It is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Written by a newer version of this software.
    #[error(
        "the stored state has version {found}, this software knows {known}; remedy: run the \
         version that wrote it, or a newer one"
    )]
    Newer {
        /// The version found.
        found: u32,
        /// The version that is written and read here.
        known: u32,
    },
    /// Written while another tenant was collected.
    #[error(
        "the stored state is of tenant {found}; remedy: keep a state of its own for each tenant, or \
         put tenant_id right"
    )]
    OtherTenant {
        /// The tenant that it is of.
        found: String,
    },
    /// A value that cannot be read.
    #[error(
        "the stored state is damaged at key {key:?}: {problem}; remedy: restore the file from a \
         backup (`m365-audit state restore`), or remove it to collect from lookback again"
    )]
    Damaged {
        /// The key.
        key: String,
        /// What is wrong with its value.
        problem: String,
    },
}

impl StateError {
    pub(crate) fn damaged(key: &str, problem: impl ToString) -> Self {
        Self::Damaged { key: key.into(), problem: problem.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_or_damaged_state_is_refused() {
        let stored = |value: &str| Stored::from([(VERSION_KEY.into(), value.into())]);
        let check = |stored: &Stored| check_version(stored, &mut Changes::default());
        assert_eq!(check(&Stored::new()), Ok(true));
        assert_eq!(check(&stored("2")), Ok(false));
        assert_eq!(check(&stored("3")), Err(StateError::Newer { found: 3, known: 2 }));
        for value in ["", "0", "one"] {
            assert!(matches!(check(&stored(value)), Err(StateError::Damaged { .. })), "{value}");
        }
        let headless = Stored::from([("lane/DLP.All".into(), "{}".into())]);
        assert!(matches!(check(&headless), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn an_older_state_becomes_a_newer_one_with_a_key_of_its_own() {
        let mut stored = Stored::from([(VERSION_KEY.into(), "1".into())]);
        let mut changes = Changes::default();
        assert_eq!(check_version(&stored, &mut changes), Ok(false));
        let key = digest_key(&stored, 1, &mut changes).unwrap();
        changes.take().apply(&mut stored);
        assert_eq!(stored[VERSION_KEY], "2");
        assert_eq!(digest_key(&stored, 2, &mut changes), Ok(key));
        assert!(changes.is_empty(), "it is drawn once");
        stored.insert(DIGESTS_KEY.into(), "x".into());
        assert!(matches!(digest_key(&stored, 2, &mut changes), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn a_lane_that_was_stored_before_rounds_were_is_read() {
        let old = r#"{"begin":5,"covered":[[5,9]],"sweep":3}"#;
        let record: LaneRecord = decode("lane/x", old).unwrap();
        assert_eq!(record.relisted, []);
        let mut record = LaneRecord::new(record.begin(), &record.covered());
        assert_eq!(encode(&record), r#"{"begin":5,"covered":[[5,9]],"sweep":0}"#);
        record.relisted.push((7, 8));
        record.span = 90;
        let text = encode(&record);
        assert_eq!(decode::<LaneRecord>("lane/x", &text), Ok(record), "{text}");
    }

    #[test]
    fn what_is_stored_is_ascii_whatever_it_says() {
        let text = encode(&["Protokolle/\u{e4}\u{1f4c4}\"\\"]);
        assert!(text.is_ascii(), "{text}");
        let back: Vec<String> = decode("x", &text).unwrap();
        assert_eq!(back, ["Protokolle/\u{e4}\u{1f4c4}\"\\"]);
    }

    #[test]
    fn prefixes_do_not_catch_neighbours() {
        let keys = LaneKeys::new(ContentType::AuditExchange);
        let stored: Stored = [keys.seen(5), keys.seen(-1), keys.records(1), keys.lane()]
            .into_iter()
            .map(|key| (key, String::new()))
            .collect();
        let tails: Vec<_> = keys.seen_in(&stored).map(|found| found.1).collect();
        assert_eq!(tails, ["-1", "5"]);
    }
}
