//! Where the state lives: a SQLite file, or memory if no file is configured.

use std::path::PathBuf;

use m365_audit_core::{Commit, Stored};

use crate::settings::DbOptions;
use crate::sqlite::SqliteStore;

pub use crate::sqlite::{amend, inspect, probe};

/// What [`probe`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DbState {
    /// There is no file yet, and one can be created.
    Absent,
    /// There is one, of ours or empty, and it can be written.
    Writable,
    /// The same; a collector of this tenant holds it.
    InUse,
}

/// Why a state file is not used. Whatever it is, the file is left as it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its directory does not exist.
    #[error("{path}: there is no such directory; remedy: create it, or set db to another file",
        path = .directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// Another collector of the same tenant uses it.
    #[error("{path}: another collector of tenant {tenant} is using this file (it holds {lock}); \
        remedy: stop that one, or give this one a db of its own",
        path = .path.display(), lock = .lock.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// The tenant.
        tenant: Box<str>,
        /// The lock that the other one holds.
        lock: PathBuf,
    },
    /// Another process has locked the file itself.
    #[error("{path}: locked by another process; remedy: stop that one, or switch its db.locking \
        off", path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It is not a SQLite file.
    #[error("{path}: not a SQLite file; remedy: set db to another file", path = .path.display())]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to another application.
    #[error("{path}: a database of another application; remedy: set db to a file of its own",
        path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this software wrote it.
    #[error("{path}: written by a newer version (schema {found}, this software knows {known}); \
        remedy: run that version, or a newer one", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema version found.
        found: i64,
        /// The schema version that is written and read here.
        known: i64,
    },
    /// Its content is broken.
    #[error("{path}: damaged: {problem}; remedy: restore a backup (`m365-audit state restore`), \
        or move it away with its -wal and -shm, to collect from lookback again", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        problem: String,
    },
    /// It cannot be read or written.
    #[error("{path}: {problem}", path = .path.display())]
    Access {
        /// The file.
        path: PathBuf,
        /// What the system or SQLite says.
        problem: String,
    },
}

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

    /// Everything that is stored for the tenant.
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
