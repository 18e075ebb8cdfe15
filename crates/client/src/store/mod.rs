//! Where the state lives: a SQLite file, or memory if no file is configured.

mod backup;
mod error;
mod lock;
mod look;
mod options;
mod sqlite;

use m365_audit_core::{Commit, Stored};

use self::sqlite::SqliteStore;

pub use self::backup::{Copied, backup, restore};
pub use self::error::{DbState, StoreError};
pub use self::look::{inspect_tenant, tenants_in};
pub use self::options::DbOptions;
pub use self::sqlite::{amend, inspect, probe};

/// The state of one tenant.
#[derive(Debug)]
pub struct Store(Place);

#[derive(Debug)]
enum Place {
    /// Lost with the process.
    Memory(Stored),
    /// In a file.
    Sqlite(SqliteStore),
}

impl Store {
    /// Opens the file, creating it if need be, and locks the tenant in it; memory for `None`.
    ///
    /// # Errors
    /// See [`StoreError`]. A file that is refused is left as it was.
    pub fn open(db: Option<&DbOptions>, tenant: &str) -> Result<Self, StoreError> {
        Ok(Self(match db {
            Some(options) => Place::Sqlite(SqliteStore::open(options, tenant)?),
            None => Place::Memory(Stored::new()),
        }))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.0 {
            Place::Memory(_) => "memory".into(),
            Place::Sqlite(store) => store.path().display().to_string(),
        }
    }

    /// What is stored for the tenant and a collector goes on from. Hours of its history that are
    /// over stay in the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(&self) -> Result<Stored, StoreError> {
        match &self.0 {
            Place::Memory(stored) => Ok(stored.clone()),
            Place::Sqlite(store) => store.load(),
        }
    }

    /// The keys that begin with `prefix`, as they are now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn keys_below(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match &self.0 {
            Place::Memory(stored) => {
                Ok(stored.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
            }
            Place::Sqlite(store) => store.keys_below(prefix),
        }
    }

    /// Stores all changes or, in case of an error, none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        match &mut self.0 {
            Place::Memory(stored) => {
                commit.apply(stored);
                Ok(())
            }
            Place::Sqlite(store) => store.commit(&commit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

    #[test]
    fn a_file_and_memory_hold_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let options = DbOptions {
            path: dir.path().canonicalize().unwrap().join("state.db"),
            synchronous: "full".into(),
            journal_mode: "wal".into(),
            exclusive: false,
        };
        for (db, name) in [(None, "memory"), (Some(&options), options.path.to_str().unwrap())] {
            let mut store = Store::open(db, TENANT).unwrap();
            assert_eq!(store.name(), name);
            assert_eq!(store.load().unwrap(), Stored::new());
            let pairs = [("a/1", "x"), ("a/2", "y"), ("b", "z")];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let changes = pairs.clone().map(|(key, value)| (key, Some(value)));
            store.commit(Commit { changes: changes.into_iter().collect() }).unwrap();
            assert_eq!(store.load().unwrap(), Stored::from(pairs), "{name}");
            assert_eq!(store.keys_below("a/").unwrap(), ["a/1", "a/2"], "{name}");
        }
    }
}
