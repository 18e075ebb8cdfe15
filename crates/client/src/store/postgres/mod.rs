//! The state in a PostgreSQL: one row a key, as in a SQLite file, and one lease a tenant.
//!
//! [`server`] says which one it is, [`link`] connects to it, [`trouble`] says what is wrong, and
//! [`schema`] makes the tables. [`rows`]
//! is what the writer of [`group`](super::group) writes with; [`leases`] holds what is this
//! process's own, [`keeper`] keeps it so, and [`members`](mod@members) divides the tenants among
//! processes.

mod keeper;
mod leases;
mod link;
mod look;
mod members;
mod rows;
mod schema;
mod server;
mod trouble;

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::credentials::entropy;

use self::keeper::Keeper;
use self::leases::Leases;
use self::rows::Rows;
use super::error::StoreError;
use super::group::Writer;

pub(crate) use self::keeper::News;
pub use self::look::{HeldTenant, Member, Members, members};
pub(super) use self::look::{amend, inspect, inspect_tenant, probe, tenants_in};
pub(crate) use self::server::Beside;
pub use self::server::{Server, is_server, shown};

/// Those that are open. Held while one is opened, so that it is opened once.
static OPEN: Mutex<Vec<Weak<Database>>> = Mutex::new(Vec::new());

/// A database that this process has open, once for all tenants. Nothing is sent before a tenant is
/// loaded. Fields are dropped in order: what is committed comes before what is let go of.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) writer: Writer,
    keeper: Keeper,
    leases: Arc<Leases>,
    server: Arc<Server>,
    /// Tenants that somebody of this process has open.
    tenants: Mutex<HashSet<Arc<str>>>,
    _runtime: Worker,
}

/// The thread that the connections live on.
#[derive(Debug)]
struct Worker(Option<tokio::runtime::Runtime>);

impl Drop for Worker {
    /// From wherever the last tenant leaves: also from a thread that must not wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Database {
    /// As it is open already, or newly opened.
    pub(super) fn shared(server: &Arc<Server>) -> Result<Arc<Self>, StoreError> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|database| 0 < database.strong_count());
        let mut known = open.iter().filter_map(Weak::upgrade);
        if let Some(known) = known.find(|one| one.server == *server && one.writer.is_alive()) {
            return Ok(known);
        }
        let database = Self::open(Arc::clone(server)).map_err(|error| StoreError::Access {
            path: server.to_string().into(),
            problem: format!("no thread to write it: {error}"),
        })?;
        let database = Arc::new(database);
        open.push(Arc::downgrade(&database));
        Ok(database)
    }

    fn open(server: Arc<Server>) -> io::Result<Self> {
        let runtime = link::runtime()?;
        let handle = runtime.handle().clone();
        let name = name();
        let random: String = entropy().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let leases = Arc::new(Leases::new(format!("{name}-{random}").into(), server.lease));
        let rows = Rows::new(Arc::clone(&server), handle.clone(), Arc::clone(&leases));
        let writer = Writer::start(Box::new(rows))?;
        let keeper = Keeper::start(Arc::clone(&server), handle, Arc::clone(&leases), name.into())?;
        let tenants = Mutex::default();
        Ok(Self { writer, keeper, leases, server, tenants, _runtime: Worker(Some(runtime)) })
    }

    /// Enters a tenant, of which there may be one in a process.
    pub(super) fn enter(self: &Arc<Self>, tenant: &str) -> Result<Tenancy, StoreError> {
        let tenant: Arc<str> = tenant.into();
        if !self.tenants().insert(Arc::clone(&tenant)) {
            let by = "another section of this process".to_owned();
            let path = self.server.to_string().into();
            return Err(StoreError::Held { path, tenant: (*tenant).into(), by });
        }
        self.writer.enter();
        Ok(Tenancy { database: Arc::clone(self), tenant })
    }

    fn tenants(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One tenant of an open database.
#[derive(Debug)]
pub(super) struct Tenancy {
    pub(super) database: Arc<Database>,
    pub(super) tenant: Arc<str>,
}

impl Tenancy {
    /// What messages call the database.
    pub(super) fn name(&self) -> String {
        self.database.server.to_string()
    }

    /// Whether the tenant is ours still, by this machine's clock.
    pub(super) fn still_ours(&self) -> Result<(), StoreError> {
        match self.database.leases.proof(&self.tenant) {
            Some(_) => Ok(()),
            None => Err(StoreError::LeaseEnded {
                path: self.name().into(),
                tenant: (*self.tenant).into(),
            }),
        }
    }
}

impl Drop for Tenancy {
    /// One that is shared is let go of by who has taken it.
    fn drop(&mut self) {
        self.database.tenants().remove(&self.tenant);
        self.database.writer.leave();
        if !self.database.keeper.is_taken(&self.tenant) {
            self.database.keeper.let_go(&self.tenant);
        }
    }
}

/// The tenants that this process shares with others.
#[derive(Debug)]
pub(crate) struct Shares(Arc<Database>);

impl Shares {
    /// Begins to share: takes nothing before [`Shares::know`].
    pub(crate) fn open(server: &Arc<Server>) -> Result<Self, StoreError> {
        let database = Database::shared(server)?;
        if database.keeper.begin_to_share() {
            return Ok(Self(database));
        }
        Err(StoreError::Access {
            path: server.to_string().into(),
            problem: "another section of this process shares the tenants of a file in this \
                      database; remedy: put all of them into one tenants_file, or give this one \
                      another database"
                .into(),
        })
    }

    /// Which tenants there are.
    pub(crate) fn know(&self, tenants: Vec<Arc<str>>) {
        self.0.keeper.share(tenants);
    }

    /// What is to be done.
    pub(crate) fn news(&self) -> Vec<News> {
        self.0.keeper.news()
    }

    /// The run of a tenant has ended.
    pub(crate) fn let_go(&self, tenant: &str) {
        self.0.keeper.let_go(tenant);
    }
}

impl Drop for Shares {
    fn drop(&mut self) {
        self.0.keeper.end_to_share();
    }
}

/// What this process is called among others.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.or_else(|| std::env::var("COMPUTERNAME").ok());
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    format!("{}:{}", host.as_deref().unwrap_or("host"), std::process::id())
}

#[cfg(test)]
mod tests;
