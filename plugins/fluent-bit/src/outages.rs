//! Lines about what does not get through, of all tenants of a section together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use m365_audit_core::{Event, Outages};

/// What does not get through. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct SharedOutages {
    outages: Arc<Mutex<Outages>>,
    epoch: Instant,
}

impl SharedOutages {
    pub(crate) fn new() -> Self {
        Self { outages: Arc::default(), epoch: Instant::now() }
    }

    /// Takes in what happened to a tenant; its name is empty if it is the only one.
    pub(crate) fn observe(&self, tenant: &str, event: &Event) {
        self.outages().observe(tenant, event, self.epoch.elapsed());
    }

    /// A tenant's run is over.
    pub(crate) fn forget(&self, tenant: &str) {
        self.outages().forget(tenant);
    }

    /// The line to be written, if it is time for one.
    pub(crate) fn due(&self) -> Option<String> {
        self.outages().due(self.epoch.elapsed())
    }

    fn outages(&self) -> MutexGuard<'_, Outages> {
        // Every change of it is whole.
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
