//! `run` with a tenants file: one fleet, one output.

use m365_audit_client::{Fleet, FleetHost, FleetOutcome, Handle, Tenant, Tenants, TenantsFile};
use m365_audit_core::Level;

use crate::exit::{COMPLETE, INCOMPLETE};
use crate::run::last_words::losses_words;
use crate::run::place::{Place, RunSink, Whose};
use crate::run::signals::Signals;

/// What the fleet brings records to.
#[derive(Debug)]
struct Host(Place);

impl FleetHost for Host {
    type Sink = RunSink;

    fn sink(&mut self, tenant: &Tenant, handle: Handle) -> RunSink {
        let config = &tenant.settings.config;
        let whose = Whose { tenant_id: config.tenant_id(), name: Some(&tenant.name) };
        self.0.sink(whose, config.envelope().clone(), handle)
    }

    fn left(&mut self, tenant: &str) {
        self.0.people.board.leave(tenant);
    }

    fn log(&mut self, tenant: Option<&str>, level: Level, message: &str) {
        match tenant {
            Some(tenant) => self.0.people.log.of(tenant).write(level, message),
            None => self.0.people.log.write(level, message),
        }
    }
}

/// Collects all tenants, and answers the exit code.
pub(super) fn collect(file: TenantsFile, tenants: Tenants, once: bool, place: &Place) -> u8 {
    let log = &place.people.log;
    let failed = |problem: &str| {
        log.write(Level::Error, problem);
        INCOMPLETE
    };
    let mut fleet = match Fleet::open(file, tenants, once, Host(place.clone())) {
        Ok(fleet) => fleet,
        Err(error) => return failed(&error.to_string()),
    };
    let handle = fleet.handle();
    let reader = fleet.handle();
    let stop = move |grace| handle.shutdown(grace);
    let look_again = move || reader.look_again();
    let signals = match Signals::watch(stop, look_again, place.output(), log.clone()) {
        Ok(signals) => signals,
        Err(error) => return failed(&format!("signals cannot be watched: {error}")),
    };
    if place.stdin {
        signals.raise_when_stdin_closes(log);
    }
    let outcome = fleet.run();
    let losses = place.people.board.close();
    let (code, level, message) = verdict_of_many(outcome, once, signals.came());
    let level = if losses > 0 { level.min(Level::Warn) } else { level };
    log.write(level, &format!("{message}{}", losses_words(losses)));
    code
}

/// The exit code and the last words.
pub(crate) fn verdict_of_many(
    outcome: FleetOutcome,
    once: bool,
    stopped: bool,
) -> (u8, Level, String) {
    let FleetOutcome { complete, incomplete, failed } = outcome;
    let tenants = complete + incomplete + failed;
    match (once, stopped) {
        // Who collects for ever is always interrupted in the middle.
        (false, true) => {
            (COMPLETE, Level::Info, "stopped; everything that was written is recorded".into())
        }
        _ if incomplete + failed == 0 => {
            (COMPLETE, Level::Info, format!("complete: {tenants} tenants"))
        }
        (_, true) => {
            (INCOMPLETE, Level::Warn, "interrupted; with the same db the next run goes on".into())
        }
        _ => (
            INCOMPLETE,
            Level::Warn,
            format!(
                "incomplete: of {tenants} tenants, {complete} are complete, {incomplete} could \
                 not sign in or lack something that was denied, is lost or could not be read yet, \
                 {failed} failed; see WARN and ERROR above"
            ),
        ),
    }
}
