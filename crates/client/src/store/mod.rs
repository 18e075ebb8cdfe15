//! Where the state lives: a SQLite file, or memory if no file is configured.
//!
//! A file is opened once for all tenants of the process ([`files`]), and what they commit is
//! gathered ([`group`]). Each tenant has a [`Store`] of its own, and waits for its own changes
//! only.

mod backup;
mod error;
mod files;
mod group;
mod holder;
mod lock;
mod look;
mod options;
mod places;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use m365_audit_core::{Commit, Stored};

use self::files::SharedFile;
use self::group::wait;
use self::lock::TenantLock;

pub use self::backup::{Copied, backup, restore};
pub use self::error::{DbState, StoreError};
pub use self::group::{Tally, Written};
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
    File(Member),
}

/// One tenant of a file. Fields are dropped in order: the lock goes last.
#[derive(Debug)]
struct Member {
    file: Arc<SharedFile>,
    path: PathBuf,
    tenant: Arc<str>,
    _lock: TenantLock,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.file.writer.leave();
    }
}

impl Store {
    /// Opens the file, creating it if need be, and locks the tenant in it; memory for `None`. A
    /// file that this process has open already is not opened again.
    ///
    /// # Errors
    /// See [`StoreError`]. A file that is refused is left as it was.
    pub fn open(db: Option<&DbOptions>, tenant: &str) -> Result<Self, StoreError> {
        let Some(options) = db else { return Ok(Self(Place::Memory(Stored::new()))) };
        let path = sqlite::locate(&options.path)?;
        let lock = TenantLock::acquire(&path, tenant)?;
        let file = files::shared(&path, options)?;
        file.writer.enter();
        Ok(Self(Place::File(Member { file, path, tenant: tenant.into(), _lock: lock })))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.0 {
            Place::Memory(_) => "memory".into(),
            Place::File(member) => member.path.display().to_string(),
        }
    }

    /// Counts what all tenants of this process write to it; `None`: nothing is written.
    #[must_use]
    pub fn tally(&self) -> Option<Tally> {
        match &self.0 {
            Place::Memory(_) => None,
            Place::File(member) => Some(member.file.writer.tally()),
        }
    }

    /// What is stored for the tenant and a collector goes on from. Hours of its history that are
    /// over stay in the file. Holds up the calling thread.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(&self) -> Result<Stored, StoreError> {
        wait(self.loaded())
    }

    /// Stores all changes or, in case of an error, none. Holds up the calling thread until they
    /// are durable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn commit(&mut self, commit: Commit) -> Result<(), StoreError> {
        wait(self.committed(commit))
    }

    /// As [`Store::load`], without holding up anybody.
    pub(crate) async fn loaded(&self) -> Result<Stored, StoreError> {
        match &self.0 {
            Place::Memory(stored) => Ok(stored.clone()),
            Place::File(member) => member.file.writer.load(&member.tenant).await,
        }
    }

    /// As [`Store::commit`], without holding up anybody.
    pub(crate) async fn committed(&mut self, commit: Commit) -> Result<(), StoreError> {
        match &mut self.0 {
            Place::Memory(stored) => {
                commit.apply(stored);
                Ok(())
            }
            Place::File(member) => member.file.writer.commit(&member.tenant, commit).await,
        }
    }

    /// The keys that begin with `prefix`, as they are now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn keys_below(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match &self.0 {
            Place::Memory(stored) => {
                Ok(stored.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
            }
            Place::File(member) => member.file.writer.keys_below(&member.tenant, prefix).await,
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
            assert_eq!(wait(store.keys_below("a/")).unwrap(), ["a/1", "a/2"], "{name}");
        }
    }
}
