//! Where all tenants stand together: adds up what each one shows, and hands it to the display.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use m365_audit_client::WebhookMetrics;
use m365_audit_core::Metrics;

use crate::log::Log;
use crate::run::progress::Progress;
use crate::service::Service;

/// One tenant's place on the board. Clones for other tenants share the board.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    tenant: Arc<str>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    progress: Progress,
    log: Log,
    service: Service,
    tenants: BTreeMap<Arc<str>, Metrics>,
    webhooks: BTreeMap<Arc<str>, WebhookMetrics>,
}

impl Board {
    /// A board for who has no name.
    pub(crate) fn new(progress: Progress, log: Log) -> Self {
        let shared = Shared {
            progress,
            log,
            service: Service::new(),
            tenants: BTreeMap::new(),
            webhooks: BTreeMap::new(),
        };
        Self { tenant: "".into(), shared: Arc::new(Mutex::new(shared)) }
    }

    /// Another tenant's place.
    pub(crate) fn of(&self, tenant: &str) -> Self {
        Self { tenant: tenant.into(), shared: Arc::clone(&self.shared) }
    }

    /// A tenant has gone, or will count from zero.
    pub(crate) fn leave(&self, tenant: &str) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // What it has done stays done; only what it is at does not.
        if let Some(metrics) = shared.tenants.get_mut(tenant) {
            metrics.requests_per_minute = 0;
        }
    }

    /// Shows where this tenant stands. Cheap if it is not time to.
    pub(crate) fn show(&self, metrics: &Metrics) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { progress, log, service, tenants, .. } = &mut *shared;
        match tenants.get_mut(&self.tenant) {
            Some(known) => known.clone_from(metrics),
            None => {
                tenants.insert(Arc::clone(&self.tenant), metrics.clone());
            }
        }
        service.show(tenants);
        if !progress.is_due() {
            return;
        }
        let mut all = Metrics::default();
        tenants.values().for_each(|one| all.add(one));
        progress.show(&all, log);
    }

    /// Keeps what this tenant's webhook has had, to be shown with the rest.
    pub(crate) fn note_webhook(&self, metrics: &WebhookMetrics) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { progress, webhooks, .. } = &mut *shared;
        webhooks.insert(Arc::clone(&self.tenant), *metrics);
        let mut all = WebhookMetrics::default();
        webhooks.values().for_each(|one| all.add(one));
        progress.note_webhook(all);
    }

    /// Keeps how many records were too long for a line of the output, to be shown with the rest.
    pub(crate) fn note_oversized(&self, count: u64) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.progress.note_oversized(count);
    }

    /// Takes the bars away and says where things stand. Answers how many losses nobody has
    /// acknowledged.
    pub(crate) fn close(&self) -> u64 {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { progress, log, tenants, .. } = &mut *shared;
        let mut all = Metrics::default();
        tenants.values().for_each(|one| all.add(one));
        progress.close(&all, log);
        all.losses_unacknowledged
    }
}
