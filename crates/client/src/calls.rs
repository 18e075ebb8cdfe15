//! Makes single calls of the API, over the same transport as a [`Client`](crate::Client).

use std::time::Instant;

use m365_audit_core::call::{Call, CallError, CallErrorKind, Caller, Claims, Reply};
use m365_audit_core::{Config, Machine, Metrics};

use crate::client::seed;
use crate::clocks::Clocks;
use crate::credentials::Presenter;
use crate::driver::{Driver, Inbox, TICK, drive};
use crate::error::{OpenError, RunError};
use crate::handle::Handle;
use crate::http::{Clients, Http};
use crate::runtime::Runtime;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::store::Store;

/// Makes calls for one tenant, on the calling thread, one after another with one token.
///
/// Uses no `db` and takes no lock, so that it works beside a running collector.
#[derive(Debug)]
pub struct Calls {
    caller: Caller,
    clocks: Clocks,
    http: Clients,
    presenter: Presenter,
    inbox: Inbox,
    runtime: Runtime,
    runs: u64,
    store: Store,
}

impl Calls {
    /// Prepares the network; sends nothing yet.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let clocks = Clocks::new();
        let caller = Caller::new(settings.config.clone(), seed(), clocks.now());
        Ok(Self {
            caller,
            clocks,
            http: Clients::new(&settings.native)?,
            presenter: Presenter::new(settings.credential_file.clone()),
            inbox: Inbox::new(),
            runtime: Runtime::new()?,
            runs: 0,
            store: Store::open(None, settings.config.tenant_id())?,
        })
    }

    /// Reaches a call under way from other threads, to end it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.inbox.handle.clone()
    }

    /// Makes a call. Records of a blob go to `sink`, and so does what an operator should hear.
    ///
    /// # Errors
    /// If the call fails, is ended, or the sink does not take a record.
    pub fn call<S: Sink>(&mut self, call: Call, sink: &mut S) -> Result<Reply, CallError> {
        let operation = call.operation();
        self.runs += 1;
        self.inbox.begin_run();
        self.caller.begin(call);
        let spawner = self.runtime.spawner();
        let http = Http::new(self.http.clone(), spawner, self.inbox.handle.clone(), self.runs);
        let mut driver = Driver {
            clocks: &self.clocks,
            http,
            presenter: &mut self.presenter,
            inbox: &mut self.inbox,
            sink,
            store: &mut self.store,
            webhook: None,
            status: None,
            tick: TICK,
            flushed: Vec::new(),
            uncommitted: None,
            look_at: Instant::now(),
            shutdown_told: false,
        };
        match self.runtime.block_on(drive(&mut self.caller, &mut driver)) {
            Ok(()) => self.caller.take_outcome(),
            Err(error) => {
                let message = match error {
                    RunError::Sink(error) => format!("{error:#}"),
                    error @ (RunError::Store(_) | RunError::State { .. } | RunError::Stopped) => {
                        error.to_string()
                    }
                };
                Err(CallError::new(operation, CallErrorKind::Stopped, message, ""))
            }
        }
    }

    /// Whether records of blobs that the filters leave out are left out of the following calls.
    pub const fn leave_out_filtered(&mut self, leave_out: bool) {
        self.caller.leave_out_filtered(leave_out);
    }

    /// What the present token says about itself; `None` without one, or if it cannot be read.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        self.caller.claims()
    }

    /// The same of the token for the Activities API.
    #[must_use]
    pub fn activities_claims(&self) -> Option<Claims> {
        self.caller.activities_claims()
    }

    /// By how many seconds the local clock is ahead of the service's, as of its last answer.
    #[must_use]
    pub const fn clock_skew_seconds(&self) -> Option<i64> {
        self.caller.clock_skew_seconds()
    }

    /// What was sent so far, and whether Microsoft throttled.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.caller.metrics()
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        self.caller.config()
    }
}
