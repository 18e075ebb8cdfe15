//! What the client collects, on its way to Fluent Bit: batches become events, log lines and numbers
//! find their places. Keeps nothing back and decides nothing.

use anyhow::Context;
use fluent_bit_plugin::msgpack::BODY_DEPTH_MAX;
use fluent_bit_plugin::{Batch as HostBatch, Level as HostLevel, Logger, Outbox};
use m365_audit_client::{Sink, WebhookMetrics};
use m365_audit_core::json::{Field, Timestamp, parse_timestamp};
use m365_audit_core::{Batch, Envelope, Event, Level, Metrics, Record};
use m365_audit_msgpack::{Beside, Encoded, Encoder, Metadata};

use crate::metrics::HostMetrics;
use crate::options::Tags;
use crate::outages::SharedOutages;
use crate::postbox::{Postbox, Slot};
use crate::webhook::WebhookCounters;

/// How deep a record's body may nest: what every Fluent Bit decodes, also one that is sent the
/// events by `forward`, which wraps them in two more arrays.
const DEPTH_MAX: usize = BODY_DEPTH_MAX - 2;

/// The client's sink.
#[derive(Debug)]
pub(crate) struct HostSink {
    logger: Logger,
    metrics: HostMetrics,
    tags: Tags,
    encoder: Encoder,
    /// Where batches go, once the pipeline is up.
    outbox: Option<Outbox>,
    /// Among several tenants: whose batches these are.
    shared: Option<(Postbox, Slot, Box<str>)>,
    /// What the webhook has had, if there is one.
    webhook: Option<WebhookCounters>,
    outages: SharedOutages,
}

impl HostSink {
    pub(crate) fn new(
        logger: Logger,
        metrics: HostMetrics,
        tags: Tags,
        envelope: Envelope,
    ) -> Self {
        let encoder = Encoder::with_envelope(DEPTH_MAX, envelope);
        let outages = SharedOutages::new();
        Self { logger, metrics, tags, encoder, outbox: None, shared: None, webhook: None, outages }
    }

    /// Shows what the webhook has had.
    pub(crate) fn with_webhook(mut self, webhook: Option<WebhookCounters>) -> Self {
        self.webhook = webhook;
        self
    }

    /// Its batches travel among those of others, and its lines say that they are of `tenant`.
    pub(crate) fn share(
        mut self,
        postbox: Postbox,
        slot: Slot,
        tenant: &str,
        outages: SharedOutages,
    ) -> Self {
        self.shared = Some((postbox, slot, tenant.into()));
        self.outages = outages;
        self
    }

    /// Whose lines these are, among several.
    fn tenant(&self) -> &str {
        self.shared.as_ref().map_or("", |(.., tenant)| tenant)
    }

    /// The pipeline is up.
    pub(crate) fn connect(&mut self, outbox: Outbox) {
        self.outbox = Some(outbox);
    }
}

impl Drop for HostSink {
    fn drop(&mut self) {
        if let Some((postbox, slot, tenant)) = &self.shared {
            postbox.leave(*slot);
            self.outages.forget(tenant);
        }
    }
}

impl Sink for HostSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        let outbox = self.outbox.as_ref().context("the pipeline is not up")?;
        let content = &batch.content;
        self.encoder.clear();
        self.encoder.set_metadata(&Metadata {
            content_type: content.feed.as_str(),
            content_id: &content.id,
            content_created: &content.created.to_string(),
            tenant_id: &batch.tenant_id,
        });
        for record in &batch.records {
            let time = creation_time(record).unwrap_or_else(|| content.created.into());
            let beside = Beside { enrichment: record.enrichment(), redacted: record.redacted };
            match self.encoder.push_with(&record.raw, time, &beside) {
                Encoded::Members => {}
                Encoded::Malformed => self.metrics.count_malformed(content.feed),
            }
        }
        let events = HostBatch {
            ticket: batch.id.0,
            tag: self.tags.of(content.feed),
            records: u32::try_from(batch.records.len()).context("too many records in a batch")?,
            // A copy of the right size; the encoder keeps its room for the next batch.
            msgpack: self.encoder.events().to_vec(),
        };
        match &self.shared {
            // When Fluent Bit is stopping, the run ends soon and the next one collects this again.
            None => outbox.send(events).unwrap_or(()),
            Some((postbox, slot, _)) => postbox.send(outbox, *slot, batch.id, events),
        }
        if let Some(taken) = self.encoder.take_taken() {
            self.log(Level::Warn, &taken.to_string());
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.metrics.restart();
        self.outages.forget(self.tenant());
    }

    fn log(&mut self, level: Level, message: &str) {
        let level = host_level(level);
        match &self.shared {
            None => self.logger.log(level, message),
            Some((.., tenant)) => self.logger.log(level, format_args!("{tenant}: {message}")),
        }
    }

    fn observe(&mut self, event: &Event) {
        self.outages.observe(self.tenant(), event);
        self.log(event.level(), &event.to_string());
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.metrics.show(metrics);
        if let Some(line) = self.outages.due() {
            // Names whom it is about.
            self.logger.log(HostLevel::Info, line);
        }
    }

    fn webhook(&mut self, metrics: &WebhookMetrics) {
        if let Some(webhook) = &self.webhook {
            webhook.show(metrics);
        }
    }
}

pub(crate) const fn host_level(level: Level) -> HostLevel {
    match level {
        Level::Error => HostLevel::Error,
        Level::Warn => HostLevel::Warn,
        Level::Info => HostLevel::Info,
        Level::Debug => HostLevel::Debug,
    }
}

/// When the record says that its event happened.
fn creation_time(record: &Record) -> Option<Timestamp> {
    if let Some(happened) = record.happened {
        return Some(happened.into());
    }
    let text = record.fields.text(&record.raw, Field::CreationTime)?;
    parse_timestamp(text.as_bytes())
}
