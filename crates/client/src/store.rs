//! Where the state lives: a SQLite file, or memory if no file is configured.

use std::path::PathBuf;

use m365_audit_core::{Commit, Stored};

use crate::settings::DbOptions;
use crate::sqlite::SqliteStore;

pub use crate::sqlite::inspect;

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
    #[error("{path}: damaged: {problem}; remedy: restore it from a backup, or move it away to \
        collect from lookback again", path = .path.display())]
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
pub(crate) enum Store {
    /// Lost with the process.
    Memory(Stored),
    /// In a file.
    Sqlite(SqliteStore),
}

impl Store {
    pub(crate) fn open(db: Option<&DbOptions>, tenant: &str) -> Result<Self, StoreError> {
        Ok(match db {
            Some(options) => Self::Sqlite(SqliteStore::open(options, tenant)?),
            None => Self::Memory(Stored::new()),
        })
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Memory(_) => "memory".into(),
            Self::Sqlite(store) => store.path().display().to_string(),
        }
    }

    pub(crate) fn load(&self) -> Result<Stored, StoreError> {
        match self {
            Self::Memory(stored) => Ok(stored.clone()),
            Self::Sqlite(store) => store.load(),
        }
    }

    pub(crate) fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        match self {
            Self::Memory(stored) => {
                commit.apply(stored);
                Ok(())
            }
            Self::Sqlite(store) => store.commit(&commit),
        }
    }
}
