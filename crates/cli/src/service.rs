//! What the service manager is told: when everything runs, what it is at, and when it ends. Nothing
//! where there is none.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use m365_audit_core::Metrics;
use sd_notify::NotifyState;

/// How often the line of the status changes.
const STATUS_PERIOD: Duration = Duration::from_secs(10);

/// What systemd calls the socket at which it listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Whether it was told that everything runs. A reload before that must not tell it.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// Files are about to be read again.
pub(crate) fn tell_reloading() {
    if !IS_READY.load(Ordering::SeqCst) {
        return;
    }
    // With its time, as systemd asks for since 253.
    tell(
        &NotifyState::monotonic_usec_now()
            .map_or_else(|_| vec![NotifyState::Reloading], |now| vec![NotifyState::Reloading, now]),
    );
}

/// They were.
pub(crate) fn tell_reloaded() {
    if IS_READY.load(Ordering::SeqCst) {
        tell(&[NotifyState::Ready]);
    }
}

/// The end has begun.
pub(crate) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // A manager that does not listen any more is not missed.
    drop(sd_notify::notify(states));
}

/// What was told so far.
#[derive(Debug)]
pub(crate) struct Service {
    /// Whether somebody listens.
    is_managed: bool,
    is_ready: bool,
    told: Option<(Instant, String)>,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self { is_managed: env::var_os(SOCKET).is_some(), is_ready: false, told: None }
    }

    /// Tells where all tenants stand. Ready is who has signed in and read a listing to its end: of
    /// several the first, for one whose secret has ended must not hold up the others.
    /// Cheap if it is not time to.
    pub(crate) fn show<'a>(&mut self, tenants: impl Iterator<Item = &'a Metrics> + Clone) {
        let is_due = self.told.as_ref().is_none_or(|(at, _)| STATUS_PERIOD <= at.elapsed());
        if !self.is_managed || (self.is_ready && !is_due) {
            return;
        }
        let listed = tenants.clone().filter(|metrics| has_listed(metrics)).count();
        if !self.is_ready && 0 < listed {
            self.is_ready = true;
            IS_READY.store(true, Ordering::SeqCst);
            tell(&[NotifyState::Ready]);
        } else if !is_due {
            return;
        }
        let status = status(tenants, listed);
        if self.told.as_ref().is_none_or(|(_, told)| *told != status) {
            tell(&[NotifyState::Status(&status)]);
        }
        self.told = Some((Instant::now(), status));
    }
}

fn has_listed(metrics: &Metrics) -> bool {
    metrics.lanes.iter().any(|lane| 0 < lane.windows_listed)
}

fn status<'a>(tenants: impl Iterator<Item = &'a Metrics> + Clone, listed: usize) -> String {
    if listed == 0 {
        return "signing in, and listing for the first time".into();
    }
    let lanes = tenants.clone().flat_map(|metrics| &metrics.lanes);
    let records: u64 = lanes.map(|lane| lane.records_delivered).sum();
    let losses: u64 = tenants.clone().map(|metrics| metrics.losses_unacknowledged).sum();
    let losses = if losses == 0 {
        String::new()
    } else {
        format!("; {losses} losses that nobody has acknowledged")
    };
    let count = tenants.count();
    format!("{listed} of {count} tenants listed, {records} records delivered{losses}")
}
