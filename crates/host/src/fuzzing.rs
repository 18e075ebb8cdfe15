//! What the fuzz targets reach of the inside. It is there under `--cfg fuzzing` alone, which `cargo
//! xtask fuzz` sets.

use m365_audit_client::Runtime;
use m365_audit_core::Secret;

use crate::bindings::{Batch, Failure, Limits, Resume};
use crate::component::Component;
use crate::guest::{CallError, Guest};
use crate::sandbox::Sandbox;

pub use crate::bindings::{Change, Label, Level, Metric, MetricKind, Note};

/// Calls one component, instance after instance.
#[derive(Debug)]
pub struct Caller {
    component: Component,
    sandbox: Sandbox,
    guest: Option<Guest>,
    runtime: Runtime,
}

impl Caller {
    /// No instance yet.
    ///
    /// # Panics
    /// The system gives no event queue.
    #[must_use]
    pub fn new(component: Component, sandbox: Sandbox) -> Self {
        let runtime = Runtime::new().expect("an event queue");
        Self { component, sandbox, guest: None, runtime }
    }

    /// Polls with `fresh`, on the instance of the last call unless that failed.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn poll(&mut self, config: String) -> Result<Result<Batch, Failure>, CallError> {
        let limits = Limits { max_records: 1_000, max_bytes: 1 << 20, deadline_ms: 1_000 };
        let config = Secret::new(config);
        let (component, sandbox) = (&self.component, &self.sandbox);
        let guest = &mut self.guest;
        let answer = self.runtime.block_on(async {
            let guest = match guest {
                Some(guest) => guest,
                None => guest.insert(Guest::new(component, sandbox).await?),
            };
            guest.poll(component, &config, &Resume::Fresh, limits).await
        });
        if answer.is_err() {
            self.guest = None;
        }
        answer
    }
}
