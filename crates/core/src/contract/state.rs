//! What outlives the process: a small map from keys to values, both ASCII text, so that any store
//! can hold them. Keys are spelt in `source/keys`; the form of a value stands with its owner.
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
//! | `history/TYPE`, `history/TYPE/HOUR` | what became of each hour ([`mod@super::history`]) |
//! | `replay/TYPE/FROM-UNTIL` | JSON: who wants hours once more ([`mod@super::replay`]) |
//! | `again/TYPE` | JSON: which hours are being delivered once more |
//! | `sink/…` | what a sink remembers, in the same commit; nothing here reads it |
//!
//! Version 1 had no digests. Records that it stored count as the same whatever they say, as they
//! did then, and a blob that was delivered in part is read from its beginning: its records are
//! known. What only knows version 1 refuses version 2, which it would take for damaged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::time::Utc;
use crate::json::digest::DigestKey;
use crate::json::to_text;

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

/// Writes a value as JSON, in ASCII as all that is stored.
pub(crate) fn encode<T: Serialize>(value: &T) -> String {
    let json = to_text(value);
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
    serde_json::from_slice(value.as_bytes()).map_err(|error| StateError::damaged(key, error))
}

/// The number that follows the one in a key. After the last there is none: beginning again with the
/// first, what is stored next would replace what is stored already.
pub(crate) fn following(key: &str, number: u64) -> Result<u64, StateError> {
    number.checked_add(1).ok_or_else(|| StateError::damaged(key, "no number can follow"))
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
    fn what_is_stored_is_ascii_whatever_it_says() {
        let text = encode(&["Protokolle/\u{e4}\u{1f4c4}\"\\"]);
        assert!(text.is_ascii(), "{text}");
        let back: Vec<String> = decode("x", &text).unwrap();
        assert_eq!(back, ["Protokolle/\u{e4}\u{1f4c4}\"\\"]);
    }
}
