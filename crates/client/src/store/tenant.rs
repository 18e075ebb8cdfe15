//! The state of one tenant, wherever it is kept.

use std::path::PathBuf;
use std::sync::Arc;

use m365_audit_core::{Commit, Stored};

use super::error::StoreError;
use super::files::{self, SharedFile};
use super::group::{Tally, wait};
use super::lock::TenantLock;
use super::options::DbOptions;
use super::postgres::{Database, Tenancy};
use super::sqlite;

/// The state of one tenant.
#[derive(Debug)]
pub struct Store(Place);

#[derive(Debug)]
enum Place {
    /// Lost with the process.
    Memory(Stored),
    /// In a file.
    File(Member),
    /// In a PostgreSQL.
    Server(Tenancy),
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
    /// file that this process has open already is not opened again. A PostgreSQL is not asked
    /// before the tenant is loaded, which takes its lease.
    ///
    /// # Errors
    /// See [`StoreError`]. A file that is refused is left as it was.
    pub fn open(db: Option<&DbOptions>, tenant: &str) -> Result<Self, StoreError> {
        let Some(options) = db else { return Ok(Self(Place::Memory(Stored::new()))) };
        if let Some(server) = &options.server {
            return Ok(Self(Place::Server(Database::shared(server)?.enter(tenant)?)));
        }
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
            Place::Server(tenancy) => tenancy.name(),
        }
    }

    /// Counts what all tenants of this process write to it; `None`: nothing is written.
    #[must_use]
    pub fn tally(&self) -> Option<Tally> {
        match &self.0 {
            Place::Memory(_) => None,
            Place::File(member) => Some(member.file.writer.tally()),
            Place::Server(tenancy) => Some(tenancy.database.writer.tally()),
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
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn loaded(&self) -> Result<Stored, StoreError> {
        match &self.0 {
            Place::Memory(stored) => Ok(stored.clone()),
            Place::File(member) => member.file.writer.load(&member.tenant).await,
            Place::Server(tenancy) => tenancy.database.writer.load(&tenancy.tenant).await,
        }
    }

    /// As [`Store::commit`], without holding up anybody.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn committed(&mut self, commit: Commit) -> Result<(), StoreError> {
        match &mut self.0 {
            Place::Memory(stored) => {
                commit.apply(stored);
                Ok(())
            }
            Place::File(member) => member.file.writer.commit(&member.tenant, commit).await,
            Place::Server(tenancy) => tenancy.database.writer.commit(&tenancy.tenant, commit).await,
        }
    }

    /// The keys that begin with `prefix`, as they are now; in a PostgreSQL, as they were a few
    /// seconds ago, but for what the tenant itself has committed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn keys_below(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match &self.0 {
            Place::Memory(stored) => {
                Ok(stored.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
            }
            Place::File(member) => member.file.writer.keys_below(&member.tenant, prefix).await,
            Place::Server(tenancy) => {
                tenancy.database.writer.keys_below(&tenancy.tenant, prefix).await
            }
        }
    }

    /// Whether the tenant may be collected here still. In a PostgreSQL it may as long as its lease
    /// lasts.
    ///
    /// # Errors
    /// The lease has ended.
    pub fn still_ours(&self) -> Result<(), StoreError> {
        match &self.0 {
            Place::Memory(_) | Place::File(_) => Ok(()),
            Place::Server(tenancy) => tenancy.still_ours(),
        }
    }
}
