//! Where the state lives: a SQLite file, a [PostgreSQL](postgres), or memory if neither is
//! configured.
//!
//! Either is opened once for all tenants of the process ([`files`]), and what they commit is
//! gathered ([`group`]). Each tenant has a [`Store`] of its own, and waits for its own changes
//! only.

mod backup;
mod copy;
mod error;
mod files;
mod group;
mod holder;
mod lock;
mod look;
mod options;
mod places;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use m365_audit_core::{Commit, Stored};

use self::files::SharedFile;
use self::group::wait;
use self::lock::TenantLock;
use self::postgres::{Database, Tenancy};

pub use self::backup::{Copied, backup, restore};
pub use self::copy::{CopiedState, copy_state};
pub use self::error::{DbState, StoreError};
pub use self::group::{Tally, Written};
pub use self::options::DbOptions;
pub use self::postgres::{
    HeldTenant, Member as DbMember, Members, Server as DbServer, is_server, members, shown,
};
pub(crate) use self::postgres::{News, Shares};

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
    pub(crate) async fn loaded(&self) -> Result<Stored, StoreError> {
        match &self.0 {
            Place::Memory(stored) => Ok(stored.clone()),
            Place::File(member) => member.file.writer.load(&member.tenant).await,
            Place::Server(tenancy) => tenancy.database.writer.load(&tenancy.tenant).await,
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

/// The options that `db` alone says.
fn named(db: &Path) -> Result<DbOptions, StoreError> {
    let text = db.to_str().filter(|text| is_server(text));
    match text.map(DbOptions::of_text).transpose() {
        Ok(Some(options)) => Ok(options),
        Ok(None) => Ok(DbOptions {
            path: db.into(),
            synchronous: "full".into(),
            journal_mode: "wal".into(),
            exclusive: false,
            server: None,
        }),
        Err(error) => Err(StoreError::Access {
            path: shown(text.unwrap_or_default()).into(),
            problem: format!("{}; remedy: {}", error.problem, error.remedy),
        }),
    }
}

/// The state of every tenant in `db`, a file or a PostgreSQL, by tenant. Takes no lock and changes
/// nothing: for a look at one that may be in use.
///
/// # Errors
/// If it cannot be read, or holds no state that this version knows.
pub fn inspect(db: &Path) -> Result<BTreeMap<String, Stored>, StoreError> {
    inspect_db(&named(db)?)
}

/// As [`inspect`], where the options say.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_db(options: &DbOptions) -> Result<BTreeMap<String, Stored>, StoreError> {
    match &options.server {
        Some(server) => postgres::inspect(server),
        None => sqlite::inspect(&options.path),
    }
}

/// What is stored of one tenant: nothing, if it is not in there.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_tenant(db: &Path, tenant: &str) -> Result<Stored, StoreError> {
    inspect_tenant_db(&named(db)?, tenant)
}

/// As [`inspect_tenant`], where the options say.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_tenant_db(options: &DbOptions, tenant: &str) -> Result<Stored, StoreError> {
    match &options.server {
        Some(server) => postgres::inspect_tenant(server, tenant),
        None => look::inspect_tenant(&options.path, tenant),
    }
}

/// The tenants of `db`, in order.
///
/// # Errors
/// As [`inspect`].
pub fn tenants_in(db: &Path) -> Result<Vec<String>, StoreError> {
    tenants_in_db(&named(db)?)
}

/// As [`tenants_in`], where the options say.
///
/// # Errors
/// As [`inspect`].
pub fn tenants_in_db(options: &DbOptions) -> Result<Vec<String>, StoreError> {
    match &options.server {
        Some(server) => postgres::tenants_in(server),
        None => look::tenants_in(&options.path),
    }
}

/// Changes what is stored for a tenant by what `change` makes of it, in one transaction. Takes no
/// lock: for what a collector at work does not write itself. Answers what was changed.
///
/// # Errors
/// If it cannot be read and written, or holds no state that this version knows.
pub fn amend(
    db: &Path,
    tenant: &str,
    change: impl FnOnce(&Stored) -> Commit + Send,
) -> Result<Commit, StoreError> {
    amend_db(&named(db)?, tenant, change)
}

/// As [`amend`], where the options say.
///
/// # Errors
/// As [`amend`].
pub fn amend_db(
    options: &DbOptions,
    tenant: &str,
    change: impl FnOnce(&Stored) -> Commit + Send,
) -> Result<Commit, StoreError> {
    match &options.server {
        Some(server) => postgres::amend(server, tenant, change),
        None => sqlite::amend(&options.path, tenant, change),
    }
}

/// Whether `tenant` could be opened and written there. Leaves everything as it is, and creates
/// nothing.
///
/// # Errors
/// As [`Store::open`], except that a state in use is no error.
pub fn probe(options: &DbOptions, tenant: &str) -> Result<DbState, StoreError> {
    match &options.server {
        Some(server) => postgres::probe(server, tenant),
        None => sqlite::probe(options, tenant),
    }
}

#[cfg(test)]
mod tests;
