//! One `[INPUT]` section for the tenants of a file: a fleet whose records share one queue.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bit_plugin::{Logger, Outbox, Setup};
use m365_audit_client::{FleetHost, Handle, Tenant, Tenants};
use m365_audit_core::Level;

use crate::metrics::{HostMetrics, Subject};
use crate::options::Tags;
use crate::outages::SharedOutages;
use crate::postbox::Postbox;
use crate::sink::{HostSink, host_level};

/// What the fleet delivers to.
#[derive(Debug)]
pub(crate) struct Host {
    logger: Logger,
    tags: Tags,
    postbox: Postbox,
    outages: SharedOutages,
    /// Where batches go, once the pipeline is up.
    outbox: Option<Outbox>,
    /// By the tenant's id: of those that were there at Init, or of all if they are not told apart.
    metrics: BTreeMap<Box<str>, HostMetrics>,
    /// By the tenant's name.
    ids: BTreeMap<Box<str>, Box<str>>,
    /// Tenants that have run before: their next run counts from zero.
    seen: BTreeSet<Box<str>>,
}

impl Host {
    pub(crate) fn new(setup: &mut Setup<'_>, tenants: &Tenants, tags: Tags) -> Self {
        let subjects: Vec<Subject<'_>> = tenants
            .tenants
            .iter()
            .map(|tenant| Subject {
                tenant_id: tenant.settings.config.tenant_id(),
                tenant_name: tenant.settings.config.envelope().tenant_name.as_deref(),
                feeds: tenant.settings.config.feeds(),
            })
            .collect();
        let first = tenants.tenants.first();
        let detail = first.map(|tenant| tenant.settings.native.status.detail).unwrap_or_default();
        let metrics = HostMetrics::register(setup, &subjects, detail);
        let ids = subjects.iter().map(|subject| subject.tenant_id.into());
        Self {
            logger: setup.logger(),
            tags,
            postbox: Postbox::default(),
            outages: SharedOutages::new(),
            outbox: None,
            metrics: ids.zip(metrics).collect(),
            ids: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    pub(crate) fn connect(&mut self, outbox: Outbox) -> Postbox {
        self.outbox = Some(outbox);
        self.postbox.clone()
    }

    fn metrics_of(&mut self, tenant: &Tenant) -> HostMetrics {
        let config = &tenant.settings.config;
        self.ids.insert(tenant.name.clone(), config.tenant_id().into());
        let of_all = self.metrics.values().find(|one| one.is_of_all());
        let another = of_all.map(|one| one.of_another(config.tenant_id()));
        let known = self.metrics.get_mut(config.tenant_id());
        match (known.filter(|known| known.fits(&config.feeds())), another) {
            (Some(known), _) => {
                if !self.seen.insert(config.tenant_id().into()) {
                    known.restart();
                }
                known.clone()
            }
            (None, Some(another)) => {
                self.metrics.insert(config.tenant_id().into(), another.clone());
                self.seen.insert(config.tenant_id().into());
                another
            }
            (None, None) => {
                self.logger.warn(format_args!(
                    "{}: new since the start: its metrics are shown after a reload of Fluent Bit",
                    tenant.name
                ));
                HostMetrics::unseen(&config.feeds())
            }
        }
    }
}

impl FleetHost for Host {
    type Sink = HostSink;

    fn sink(&mut self, tenant: &Tenant, handle: Handle) -> HostSink {
        let slot = self.postbox.enter(handle);
        let metrics = self.metrics_of(tenant);
        let envelope = tenant.settings.config.envelope().clone();
        let tags = self.tags.of_tenant(&tenant.name);
        let sink = HostSink::new(self.logger.clone(), metrics, tags, envelope);
        let mut sink = sink.share(self.postbox.clone(), slot, &tenant.name, self.outages.clone());
        if let Some(outbox) = &self.outbox {
            sink.connect(outbox.clone());
        }
        sink
    }

    fn left(&mut self, tenant: &str) {
        let id = self.ids.get(tenant);
        id.and_then(|id| self.metrics.get(id)).into_iter().for_each(HostMetrics::rest);
    }

    fn log(&mut self, tenant: Option<&str>, level: Level, message: &str) {
        match tenant {
            None => self.logger.log(host_level(level), message),
            Some(tenant) => {
                self.logger.log(host_level(level), format_args!("{tenant}: {message}"));
            }
        }
    }
}
