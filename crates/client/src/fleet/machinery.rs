//! What all tenants of a process run on, and how much of it they need.

use std::thread;
use std::time::Duration;

use crate::driver::TICK;
use crate::error::OpenError;
use crate::http::Clients;
use crate::open_files::Need;
use crate::runtime::Runtime;
use crate::settings::NativeOptions;
use crate::store::Shares;

/// Unused connections that are kept to a host, for all tenants together.
const CONNECTIONS_KEPT_MAX: usize = 256;

/// Of how many idle tenants a second the numbers are shown, unless they are shown every ten
/// seconds.
const SHOWN_PER_SECOND: u32 = 200;
const TICKS_MAX: u32 = 10;

/// What all tenants run on.
#[derive(Clone, Debug)]
pub(super) struct Machinery {
    pub(super) clients: Clients,
    /// For requests.
    pub(super) net: Runtime,
    /// For the clients themselves.
    pub(super) workers: Runtime,
}

impl Machinery {
    /// Options of the transport are those of the instance, the same in every tenant.
    pub(super) fn new(options: &NativeOptions, tenants: usize) -> Result<Self, OpenError> {
        let mut options = options.clone();
        let wanted = options.in_flight_max.saturating_mul(tenants);
        options.in_flight_max = wanted.min(CONNECTIONS_KEPT_MAX).max(options.in_flight_max);
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let workers = Runtime::workers(options.workers.unwrap_or_else(cores))?;
        Ok(Self { clients: Clients::new(&options)?, net: Runtime::shared()?, workers })
    }
}

/// What a fleet on a PostgreSQL shares with others. Who collects once takes what there is.
pub(super) fn shares(options: &NativeOptions, once: bool) -> Result<Option<Shares>, OpenError> {
    let server = options.db.as_ref().and_then(|db| db.server.as_ref()).filter(|_| !once);
    Ok(server.map(Shares::open).transpose()?)
}

/// What so many tenants need open.
pub(super) const fn need(options: &NativeOptions, tenants: usize) -> Need {
    let wanted = options.in_flight_max.saturating_mul(tenants);
    let most = options.in_flight_total;
    let connections = if wanted < most { wanted } else { most };
    Need { tenants, connections, has_db: options.db.is_some() }
}

/// How often each of so many idle tenants shows its numbers.
pub(super) fn tick(tenants: usize) -> Duration {
    let seconds = u32::try_from(tenants).unwrap_or(u32::MAX) / SHOWN_PER_SECOND;
    TICK * seconds.clamp(1, TICKS_MAX)
}
