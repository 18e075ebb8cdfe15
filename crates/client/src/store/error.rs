//! What is said of a state file that is not used, and of one that could be. Plain data.

use std::path::PathBuf;

/// What [`probe`](crate::probe) found.
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
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Its directory does not exist.
    #[error("{path}: there is no such directory; remedy: create it, or name a file elsewhere",
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
    /// Another process holds the tenant's lease in the database.
    #[error("{path}: tenant {tenant} is collected by {by}", path = .path.display())]
    Held {
        /// The database.
        path: PathBuf,
        /// The tenant.
        tenant: Box<str>,
        /// Who holds it.
        by: String,
    },
    /// Another process has taken the tenant over.
    #[error("{path}: tenant {tenant} was taken over by {by}: nothing of this commit was stored, \
        and what it was about is collected there (epoch {epoch} is over)", path = .path.display())]
    Lost {
        /// The database.
        path: PathBuf,
        /// The tenant.
        tenant: Box<str>,
        /// The epoch of the run that is over.
        epoch: i64,
        /// Who has it now.
        by: String,
    },
    /// The lease has ended without being renewed: somebody else may have the tenant by now.
    #[error("{path}: the lease of tenant {tenant} has ended, because the database did not answer \
        in time: nothing more is collected until it does; remedy: look at the database and the way \
        to it; if it is only slow, raise db.lease", path = .path.display())]
    LeaseEnded {
        /// The database.
        path: PathBuf,
        /// The tenant.
        tenant: Box<str>,
    },
    /// The database has less than was committed to it.
    #[error("{path}: the database has forgotten commits of tenant {tenant}: a replica was promoted \
        without the last ones, or a backup was restored; nothing was stored on top of what it \
        lacks, and what it does not know of is collected again", path = .path.display())]
    WentBack {
        /// The database.
        path: PathBuf,
        /// The tenant.
        tenant: Box<str>,
    },
    /// Somebody else has locked the file itself, and for longer than a commit waits.
    #[error("{path}: locked by {by}; remedy: stop that one, or switch its db.locking off",
        path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// Who that is.
        by: String,
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
    /// The thread that writes for all has ended, which it never should.
    #[error("the writer of the state has ended; remedy: report this with the log before it")]
    Gone,
}
