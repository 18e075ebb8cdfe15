//! `host run` with a tenants file: a fleet of components, an instance for each tenant, which a few
//! workers drive.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use m365_audit_client::{
    Ask, Collects, Ended, Fleet, OpenError, Run, Slot, Start, Status, Store, Tenants, TenantsFile,
};
use m365_audit_core::{Level, MetadataPlace, Secret};
use m365_audit_host::{Clients, Component, Host, HostSettings, Outcome, Stop};

use crate::host::outlet::Outlet;
use crate::host::parts::{Ending, allowed, config_json, logger, sandbox};
use crate::host::sink::HostSink;
use crate::log::Log;
use crate::run;
use crate::run::board::Board;
use crate::run::signals::Signals;

/// What makes the runs of a fleet.
pub(super) struct Hosts {
    pub(super) component: Arc<Component>,
    pub(super) clients: Clients,
    pub(super) limits: HostSettings,
    pub(super) outlet: Outlet,
    pub(super) once: bool,
    pub(super) board: Board,
    pub(super) log: Log,
    /// Read again for a credential that has changed.
    pub(super) file: TenantsFile,
}

/// Ends a component's run. It reads its credential again when that is refused.
#[derive(Debug)]
struct Asked(Stop);

impl Ask for Asked {
    fn shutdown(&self, grace: Duration) {
        self.0.stop(grace);
    }
}

impl Collects for Hosts {
    fn prepare(&mut self, start: Start<'_>) -> Result<Run, OpenError> {
        let Start { tenant, settings, shown, .. } = start;
        let (name, log) = (&tenant.name, self.log.of(&tenant.name));
        let store = Store::open(settings.native.db.as_ref(), settings.config.tenant_id())?;
        let tally = store.tally();
        let status = Arc::new(OnceLock::new());
        // Nobody else has set it.
        shown.iter().for_each(|shown| drop(status.set(shown.clone())));
        let logger = logger(&log, &status);
        let sandbox = sandbox(&self.limits, Some(self.clients.clone()), allowed(&settings), logger);
        let target = self.outlet.target(&settings.config);
        let sink = HostSink::new(target, self.board.of(name), log).show_at(shown);
        let (once, metadata) = (self.once, self.outlet.metadata());
        let config = config_json(&settings, once, metadata);
        let host = Host::new(Arc::clone(&self.component), sandbox, config, store, sink, once)
            .refresh(refresh(self.file.clone(), name.clone(), once, metadata));
        Ok(Run { ask: Box::new(Asked(host.stop())), ends: Box::pin(ends(host)), tally })
    }

    fn place(&self, status: &Status, tenant: &str, tenant_id: &str) -> Slot {
        status.enter_component(tenant, tenant_id)
    }

    fn left(&mut self, tenant: &str) {
        self.board.leave(tenant);
    }

    fn log(&mut self, tenant: Option<&str>, level: Level, message: &str) {
        match tenant {
            Some(tenant) => self.log.of(tenant).write(level, message),
            None => self.log.write(level, message),
        }
    }
}

/// What reads a tenant's table again; nothing if it is wrong by now, or gone.
fn refresh(
    file: TenantsFile,
    name: Box<str>,
    once: bool,
    metadata: MetadataPlace,
) -> impl Fn() -> Option<Secret<String>> + Send + Sync {
    move || {
        let tenant = file.one(&name).ok()?;
        Some(config_json(&tenant.settings, once, metadata))
    }
}

async fn ends(mut host: Host<HostSink>) -> Ended {
    let result = host.collect().await;
    host.sink().end();
    match result {
        Ok(Some(Outcome::Complete)) => Ended::Complete,
        // Or somebody has stopped it.
        Ok(Some(Outcome::Incomplete) | None) => Ended::Incomplete,
        Err(error) => Ended::Failed(error.to_string()),
    }
}

/// Collects all tenants, whatever that comes to.
pub(super) fn collect(hosts: Hosts, mut tenants: Tenants, stdin: bool) -> Ending {
    let all = tenants.tenants.iter_mut();
    all.for_each(|tenant| tenant.settings.native.status.packaging = "host");
    let (once, log, board) = (hosts.once, hosts.log.clone(), hosts.board.clone());
    let output = hosts.outlet.output().cloned();
    let file = hosts.file.clone();
    let mut fleet = match Fleet::open(file, tenants, once, hosts) {
        Ok(fleet) => fleet,
        Err(error) => return Ending::failed(error),
    };
    let (handle, reader) = (fleet.handle(), fleet.handle());
    let stop = move |grace| handle.shutdown(grace);
    let look_again = move || reader.look_again();
    let signals = match Signals::watch(stop, look_again, output.as_ref(), log.clone()) {
        Ok(signals) => signals,
        Err(error) => return Ending::failed(format!("signals cannot be watched: {error}")),
    };
    if stdin {
        signals.raise_when_stdin_closes(&log);
    }
    let outcome = fleet.run();
    let losses = board.close();
    let (code, level, words) = run::verdict_of_many(outcome, once, signals.came());
    Ending { code, level, words }.with_losses(losses)
}
