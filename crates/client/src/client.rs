//! Runs collectors: one to its end, or one after another until shutdown.
//!
//! A failure of the host's own machinery (the sink, the state file) ends a run, and the next one
//! goes on from the stored state after a pause. A state that cannot be continued from ends the
//! client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use m365_audit_core::{Collector, Level, Outcome};

use crate::clocks::Clocks;
use crate::credentials::{Presenter, entropy};
use crate::driver::{Driver, Inbox, TICK, drive};
use crate::error::{Elsewhere, OpenError, RunError};
use crate::handle::Handle;
use crate::http::{Clients, Http};
use crate::restart::RestartPause;
use crate::runtime::Runtime;
use crate::settings::{NativeOptions, Settings};
use crate::sink::Sink;
use crate::status::{Slot, Status};
use crate::store::{Store, StoreError, Tally};
use crate::webhook::{Receiver, WebhookOptions};

/// How often a process asks for a tenant that another one has.
const STAND_BY: Duration = Duration::from_secs(1);

/// Collects one tenant's records into a sink, on the calling thread.
///
/// Holds the lock of its `db` until it is dropped.
#[derive(Debug)]
pub struct Client<S> {
    sink: S,
    settings: Settings,
    clocks: Clocks,
    http: Clients,
    presenter: Presenter,
    inbox: Inbox,
    runtime: Runtime,
    tick: Duration,
    webhook: Option<Receiver>,
    /// Keeps the status to be seen. Before what it shows: at its end it writes that down.
    _shown: Option<Status>,
    status: Option<Slot>,
    runs: u64,
    // Last: whoever waits for the lock may rely on everything else being gone.
    store: Store,
}

impl<S: Sink> Client<S> {
    /// Opens the state and prepares the network; sends nothing yet. `sink` is made with the handle
    /// by which other threads reach the client.
    ///
    /// # Errors
    /// See [`OpenError`]. A state file is left as it was.
    pub fn open(settings: Settings, sink: impl FnOnce(Handle) -> S) -> Result<Self, OpenError> {
        let http = Clients::new(&settings.native)?;
        let shown = Status::start(&settings.native.status)?;
        let (config, shown_at) = (&settings.config, shown.as_ref());
        let name = config.envelope().tenant_name.as_deref().unwrap_or_default();
        let slot = shown_at.map(|status| status.enter(name, config.tenant_id()));
        let mut client = Self::open_on(settings, http, Runtime::new()?, slot, sink)?;
        let (settings, sink) = (&client.settings, &mut client.sink);
        warn(&settings.native, |level, text| sink.log(level, text));
        tell_of_status(shown.as_ref(), |level, text| sink.log(level, text));
        client._shown = shown;
        Ok(client)
    }

    /// As [`Client::open`], with a transport and a runtime that others use as well.
    pub(crate) fn open_on(
        settings: Settings,
        http: Clients,
        runtime: Runtime,
        status: Option<Slot>,
        sink: impl FnOnce(Handle) -> S,
    ) -> Result<Self, OpenError> {
        let store = Store::open(settings.native.db.as_ref(), settings.config.tenant_id())?;
        let presenter = Presenter::new(settings.credential_file.clone());
        let inbox = Inbox::new();
        let mut sink = sink(inbox.handle.clone());
        let webhook = match &settings.native.webhook {
            None => None,
            Some(options) => {
                let handle = inbox.handle.clone();
                let receiver = Receiver::start(options, &settings.config, handle, &runtime)
                    .map_err(|error| OpenError::Webhook { address: options.listen, error })?;
                tell(&mut sink, options, receiver.address());
                Some(receiver)
            }
        };
        let clocks = Clocks::new();
        Ok(Self {
            sink,
            settings,
            clocks,
            http,
            presenter,
            inbox,
            runtime,
            tick: TICK,
            webhook,
            status,
            _shown: None,
            runs: 0,
            store,
        })
    }

    /// The sink sees the metrics as often as this when nothing happens.
    pub(crate) const fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Counts what is written to the state file.
    pub(crate) fn tally(&self) -> Option<Tally> {
        self.store.tally()
    }

    /// Where notifications are received, if they are.
    #[must_use]
    pub fn webhook_address(&self) -> Option<SocketAddr> {
        self.webhook.as_ref().map(Receiver::address)
    }

    /// Reaches this client from other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.inbox.handle.clone()
    }

    /// The sink.
    pub const fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Runs a collector from the stored state to its end: never, unless the settings say `once` or
    /// [`Handle::shutdown`] is called.
    ///
    /// # Errors
    /// The first failure of the store or the sink. Another run continues from what is stored.
    pub fn run(&mut self) -> Result<Outcome, RunError> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.collect())
    }

    /// As [`Client::run`], among others on few threads.
    pub(crate) async fn collect(&mut self) -> Result<Outcome, RunError> {
        self.runs += 1;
        self.inbox.begin_run();
        let stored = self.store.loaded().await.map_err(RunError::Store)?;
        self.status.iter().for_each(|status| status.begin(&stored));
        self.sink.resume(&stored).map_err(RunError::Sink)?;
        let config = self.settings.config.clone();
        let mut collector = Collector::new(config, &stored, seed(), self.clocks.now())
            .map_err(|error| RunError::State { db: self.store.name(), error })?;
        let spawner = self.runtime.spawner();
        let http = Http::new(self.http.clone(), spawner, self.inbox.handle.clone(), self.runs);
        let mut driver = Driver {
            clocks: &self.clocks,
            http,
            presenter: &mut self.presenter,
            inbox: &mut self.inbox,
            sink: &mut self.sink,
            store: &mut self.store,
            webhook: self.webhook.as_ref(),
            status: self.status.as_ref(),
            tick: self.tick,
            flushed: Vec::new(),
            uncommitted: None,
            look_at: Instant::now(),
            shutdown_told: false,
        };
        drive(&mut collector, &mut driver).await?;
        self.sink.metrics(collector.metrics());
        self.status.iter().for_each(|status| status.end(collector.metrics()));
        if let Some(webhook) = &self.webhook {
            self.sink.webhook(&webhook.metrics());
        }
        Ok(collector.outcome())
    }

    /// Runs collectors until one comes to its end, as [`Client::run`] does; after a failure of the
    /// store or the sink, another one starts from the stored state after a pause of 1 to 60 s.
    ///
    /// # Errors
    /// A stored state that cannot be continued from, and whatever fails after
    /// [`Handle::shutdown`].
    pub fn run_until_shutdown(&mut self) -> Result<Outcome, RunError> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.collect_until_shutdown())
    }

    /// As [`Client::run_until_shutdown`], among others on few threads.
    pub(crate) async fn collect_until_shutdown(&mut self) -> Result<Outcome, RunError> {
        let mut pauses = RestartPause::new();
        let mut stands_by = false;
        loop {
            let start = Instant::now();
            let error = match self.collect().await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            if let Some((why, how)) = error.elsewhere() {
                if !self.stand_by(why, how, stands_by).await {
                    return Ok(Outcome::Incomplete);
                }
                stands_by = true;
                continue;
            }
            stands_by = false;
            // A sink that is beyond repair asks for the end while it fails.
            if !error.is_passing() || self.inbox.pause(Duration::ZERO).await {
                return Err(error);
            }
            let pause = pauses.after(start.elapsed());
            let seconds = pause.as_secs();
            let problem = format!("{error}; starting again from the stored state in {seconds} s");
            self.status.iter().for_each(|status| status.fail(&problem));
            self.sink.log(Level::Error, &problem);
            self.sink.reset();
            if self.inbox.pause(pause).await {
                return Err(error);
            }
        }
    }
}

impl<S: Sink> Client<S> {
    /// Waits a while for a tenant that another process has; `told` if that is known. Answers
    /// whether to try again.
    async fn stand_by(&mut self, why: &StoreError, how: Elsewhere, told: bool) -> bool {
        let message = format!("{why}; standing by");
        match how {
            Elsewhere::Now => self.sink.log(Level::Warn, &message),
            Elsewhere::Still if !told => self.sink.log(Level::Info, &message),
            Elsewhere::Still => {}
        }
        self.status.iter().for_each(|status| status.fail(&message));
        if how == Elsewhere::Now {
            self.sink.reset();
        }
        !self.inbox.pause(STAND_BY).await
    }
}

/// Says what is allowed and unwise.
pub(crate) fn warn(options: &NativeOptions, mut log: impl FnMut(Level, &str)) {
    if options.db.is_none() {
        log(
            Level::Warn,
            "no db is set: progress is kept in memory only, and every start collects from \
             lookback again",
        );
    }
    if let Some(server) = options.db.as_ref().and_then(|db| db.server.as_ref())
        && server.is_exposed
    {
        let line = format!(
            "{server}: sslmode does not check who answers: anyone on the way can read the state \
             and change it; write sslmode=verify-full in db"
        );
        log(Level::Warn, &line);
    }
    if !options.verify_tls {
        log(Level::Warn, "verify_tls is off: anyone on the way can read the client secret");
    }
}

/// Says where the status is to be seen.
pub fn tell_of_status(status: Option<&Status>, mut log: impl FnMut(Level, &str)) {
    let Some(address) = status.and_then(Status::address) else { return };
    log(Level::Info, &format!("the status is shown at http://{address}/"));
    if !address.ip().is_loopback() {
        log(
            Level::Warn,
            "status_listen answers beyond this machine, to everybody and without a password: who \
             is collected, how much, and what fails; write a port alone to answer this machine \
             alone, behind a reverse proxy that asks who it is",
        );
    }
}

/// Says where notifications are received.
fn tell(sink: &mut impl Sink, options: &WebhookOptions, address: SocketAddr) {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    sink.log(Level::Info, &format!("receiving notifications at {scheme}://{address}"));
    if options.tls.is_none() && !address.ip().is_loopback() {
        sink.log(
            Level::Warn,
            "webhook_listen speaks http beyond this machine: whoever reads along learns \
             webhook_auth_id; set webhook_cert_file and webhook_key_file, or listen on 127.0.0.1 \
             behind a reverse proxy",
        );
    }
}

/// A number from the system's random source, which nobody can guess.
pub(crate) fn seed() -> u128 {
    entropy().first_chunk().map_or(0, |seed| u128::from_le_bytes(*seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_opened_on_one_thread_and_run_on_another() {
        const fn check<T: Send>() {}
        struct Nobody;
        impl Sink for Nobody {
            fn emit(&mut self, _: m365_audit_core::Batch) -> anyhow::Result<()> {
                Ok(())
            }
            fn log(&mut self, _: Level, _: &str) {}
        }
        check::<Client<Nobody>>();
    }
}
