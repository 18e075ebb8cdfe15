//! Where all tenants stand together: adds up what each one shows, and hands it to the display.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use m365_audit_client::WebhookMetrics;
use m365_audit_core::{Event, Metrics};

use crate::log::Log;
use crate::run::progress::{Progress, View};
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
    tenants: BTreeMap<Arc<str>, Counted>,
    webhooks: BTreeMap<Arc<str>, WebhookMetrics>,
}

/// What one tenant's collector has counted.
#[derive(Debug, Default)]
struct Counted {
    /// In all of its runs.
    all: Metrics,
    /// In those that are over, if there are any.
    before: Option<Metrics>,
}

impl Counted {
    /// Another run begins, which counts from zero.
    fn begin(&mut self) {
        self.before = Some(self.all.clone());
    }

    /// Where the present run stands.
    fn show(&mut self, present: &Metrics) {
        self.all.clone_from(present);
        if let Some(before) = &self.before {
            self.all.count_on(before);
        }
    }
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

    /// A tenant has gone, perhaps for a while.
    pub(crate) fn leave(&self, tenant: &str) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.progress.forget(tenant);
        // What it has done stays done; only what it is at does not.
        if let Some(counted) = shared.tenants.get_mut(tenant) {
            counted.all.requests_per_minute = 0;
        }
    }

    /// Takes in what happened to this tenant.
    pub(crate) fn observe(&self, event: &Event) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.progress.observe(&self.tenant, event);
    }

    /// A blob of this tenant was read.
    pub(crate) fn note_read(&self, content_id: &str) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.progress.note_read(&self.tenant, content_id);
    }

    /// Another run of this tenant's collector begins, which counts from zero.
    pub(crate) fn begin(&self) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.progress.forget(&self.tenant);
        // Who has shown nothing yet has no run that is over.
        if let Some(counted) = shared.tenants.get_mut(&self.tenant) {
            counted.begin();
        }
    }

    /// Shows where this tenant stands. Cheap if it is not time to.
    pub(crate) fn show(&self, metrics: &Metrics) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { progress, log, service, tenants, .. } = &mut *shared;
        tenants.entry(Arc::clone(&self.tenant)).or_default().show(metrics);
        service.show(tenants.values().map(|counted| &counted.all));
        if !progress.is_due() {
            return;
        }
        let each: Vec<_> = tenants.iter().map(|(name, counted)| (&**name, &counted.all)).collect();
        let mut all = Metrics::default();
        each.iter().for_each(|(_, one)| all.add(one));
        let several = if each.len() < 2 { &[] } else { &*each };
        progress.show(&View { all: &all, tenants: several }, log);
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
        tenants.values().for_each(|counted| all.add(&counted.all));
        progress.close(&all, log);
        all.losses_unacknowledged
    }
}

#[cfg(test)]
mod tests {
    use m365_audit_core::{ContentType, Feed};

    use super::*;

    #[test]
    fn counts_go_on_in_another_run() {
        let metrics = |requests, events, pending| {
            let mut metrics = Metrics::default();
            metrics.requests[0] = requests;
            let lane = metrics.lane(Feed::Audit(ContentType::AuditExchange));
            (lane.records_delivered, lane.blobs_pending) = (events, pending);
            metrics
        };
        let mut counted = Counted::default();
        for (begins, present, expected) in [
            (false, metrics(10, 700, 3), metrics(10, 700, 3)),
            (true, metrics(1, 0, 9), metrics(11, 700, 9)),
            (false, metrics(2, 50, 1), metrics(12, 750, 1)),
            (true, metrics(0, 0, 0), metrics(12, 750, 0)),
            // One that is busier than the one before it.
            (true, metrics(40, 900, 2), metrics(52, 1_650, 2)),
        ] {
            if begins {
                counted.begin();
            }
            counted.show(&present);
            assert_eq!(counted.all, expected);
        }
    }
}
