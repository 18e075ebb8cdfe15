//! What all collectors of one run bring records to.

use m365_audit_client::{Handle, Sink, SinkCounts, WebhookMetrics};
use m365_audit_core::{
    Batch, BatchId, Commit, Envelope, Event, Level, MetadataPlace, Metrics, Stored,
};
use m365_audit_sinks::{Couriers, Flow};

use crate::output::SharedOutput;
use crate::run::network::NetworkSink;
use crate::run::people::People;
use crate::run::sink::NdjsonSink;

/// Where records and lines for people go.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) target: Target,
    pub(super) once: bool,
    /// Whether a closed stdin is the end.
    pub(super) stdin: bool,
    pub(super) people: People,
}

/// Where records go.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A file or stdout.
    Lines(SharedOutput),
    /// A receiver over a network.
    Network {
        couriers: Couriers,
        /// Where metadata are if nobody has said it.
        metadata: MetadataPlace,
    },
}

/// Whose records they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    pub(super) tenant_id: &'a str,
    /// What it is called, if it is one of many.
    pub(super) name: Option<&'a str>,
}

impl Place {
    /// The output, if it is one of lines.
    pub(super) const fn output(&self) -> Option<&SharedOutput> {
        match &self.target {
            Target::Lines(output) => Some(output),
            Target::Network { .. } => None,
        }
    }

    pub(super) fn sink(&self, whose: Whose<'_>, envelope: Envelope, handle: Handle) -> RunSink {
        let people = match whose.name {
            Some(name) => self.people.of(name),
            None => self.people.clone(),
        };
        people.board.begin();
        match &self.target {
            Target::Lines(output) => {
                let output = SharedOutput::clone(output);
                RunSink::Lines(Box::new(NdjsonSink::new(
                    output, self.once, people, envelope, handle,
                )))
            }
            Target::Network { couriers, metadata } => {
                let envelope = envelope.or(*metadata);
                let flow = Flow::new(whose.tenant_id, &envelope);
                let couriers = couriers.clone();
                RunSink::Network(Box::new(NetworkSink::new(
                    couriers, flow, people, envelope, handle,
                )))
            }
        }
    }
}

/// The sink of a run.
#[derive(Debug)]
pub(super) enum RunSink {
    Lines(Box<NdjsonSink>),
    Network(Box<NetworkSink>),
}

impl RunSink {
    fn get(&mut self) -> &mut dyn Sink {
        match self {
            Self::Lines(sink) => &mut **sink,
            Self::Network(sink) => &mut **sink,
        }
    }
}

impl Sink for RunSink {
    fn resume(&mut self, stored: &Stored) -> anyhow::Result<()> {
        self.get().resume(stored)
    }

    fn stamp(&mut self, commit: &mut Commit) {
        self.get().stamp(commit);
    }

    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.get().emit(batch)
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        self.get().flush(delivered)
    }

    fn reset(&mut self) {
        self.get().reset();
    }

    fn log(&mut self, level: Level, message: &str) {
        self.get().log(level, message);
    }

    fn observe(&mut self, event: &Event) {
        self.get().observe(event);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.get().metrics(metrics);
    }

    fn counts(&self) -> SinkCounts {
        match self {
            Self::Lines(sink) => sink.counts(),
            Self::Network(sink) => sink.counts(),
        }
    }

    fn webhook(&mut self, metrics: &WebhookMetrics) {
        self.get().webhook(metrics);
    }
}
