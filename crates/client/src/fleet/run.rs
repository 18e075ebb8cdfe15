//! Who collects the tenants of a fleet, and one run of one tenant as a fleet sees it.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use m365_audit_core::{ContentRef, Level};

use super::life::{Ended, collect};
use super::machinery::Machinery;
use crate::client::Client;
use crate::error::OpenError;
use crate::handle::Handle;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::status::{Slot, Status};
use crate::store::Tally;
use crate::tenants::Tenant;

/// What a packaging offers to a fleet.
pub trait FleetHost: Send {
    /// What takes one tenant's records.
    type Sink: Sink + Send + 'static;

    /// A place for the records of a tenant that is about to start. Called again whenever it starts
    /// again; the sink of its last run has gone by then.
    fn sink(&mut self, tenant: &Tenant, handle: Handle) -> Self::Sink;

    /// A tenant's run has ended, and another one does not follow at once.
    fn left(&mut self, tenant: &str);

    /// Shows a line to the operator, of one tenant or of the fleet as a whole.
    fn log(&mut self, tenant: Option<&str>, level: Level, message: &str);
}

/// Reaches a run under way from any thread.
pub trait Ask: Debug + Send {
    /// Ends it. What was emitted already may still become safe for `grace`.
    fn shutdown(&self, grace: Duration);

    /// Reads files of credentials again. Default: it does so by itself.
    fn look_again(&self) {}

    /// Somebody says that this content exists. Default: it will be found in a listing.
    fn hint(&self, _content: ContentRef) {}
}

impl Ask for Handle {
    fn shutdown(&self, grace: Duration) {
        Self::shutdown(self, grace);
    }

    fn look_again(&self) {
        Self::look_again(self);
    }

    fn hint(&self, content: ContentRef) {
        Self::hint(self, content);
    }
}

/// One run of one tenant, which has not begun.
pub struct Run {
    /// Reaches it.
    pub ask: Box<dyn Ask>,
    /// Runs to its end, whatever that is.
    pub ends: Pin<Box<dyn Future<Output = Ended> + Send>>,
    /// Counts what is written to the state.
    pub tally: Option<Tally>,
}

impl Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("ask", &self.ask).finish_non_exhaustive()
    }
}

/// What a run of a tenant begins with.
#[derive(Debug)]
pub struct Start<'a> {
    /// Whose run it is.
    pub tenant: &'a Tenant,
    /// The tenant's settings, with whether the collection has an end.
    pub settings: Settings,
    /// Where others see how it stands.
    pub shown: Option<Slot>,
    pub(super) once: bool,
    pub(super) tick: Duration,
    pub(super) machinery: &'a Machinery,
}

/// Who collects the tenants of a fleet: clients that bring records to a [`FleetHost`], or others.
pub trait Collects: Send {
    /// Prepares a run of a tenant that is about to start. Called again whenever it starts again.
    ///
    /// # Errors
    /// It cannot start now.
    fn prepare(&mut self, start: Start<'_>) -> Result<Run, OpenError>;

    /// A place where others see how a tenant stands.
    fn place(&self, status: &Status, tenant: &str, tenant_id: &str) -> Slot {
        status.enter(tenant, tenant_id)
    }

    /// A tenant's run has ended, and another one does not follow at once.
    fn left(&mut self, tenant: &str);

    /// Shows a line to the operator, of one tenant or of the fleet as a whole.
    fn log(&mut self, tenant: Option<&str>, level: Level, message: &str);
}

impl<H: FleetHost> Collects for H {
    fn prepare(&mut self, start: Start<'_>) -> Result<Run, OpenError> {
        let Start { tenant, settings, shown, once, tick, machinery } = start;
        let Machinery { clients, net, .. } = machinery.clone();
        let sink = |handle| self.sink(tenant, handle);
        let client = Client::open_on(settings, clients, net, shown, sink)?.tick(tick);
        let (tally, handle) = (client.tally(), client.handle());
        Ok(Run { ask: Box::new(handle), ends: Box::pin(collect(client, once)), tally })
    }

    fn left(&mut self, tenant: &str) {
        FleetHost::left(self, tenant);
    }

    fn log(&mut self, tenant: Option<&str>, level: Level, message: &str) {
        FleetHost::log(self, tenant, level, message);
    }
}
