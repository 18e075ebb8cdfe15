//! What outlives the process: a small map from keys to bytes, and how its values are written.

use std::collections::BTreeMap;

/// The whole stored state of one collector. Keys are short ASCII; see `ARCHITECTURE.md`, "State".
pub type Stored = BTreeMap<String, Vec<u8>>;

/// Changes to be stored atomically.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Per key: its new value, or `None` to delete it.
    pub changes: BTreeMap<String, Option<Vec<u8>>>,
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
    /// A value that cannot be read.
    #[error(
        "the stored state is damaged at key {key:?}: {problem}; remedy: restore the file from a \
         backup, or remove it to collect from lookback again"
    )]
    Damaged {
        /// The key.
        key: String,
        /// What is wrong with its value.
        problem: String,
    },
}
