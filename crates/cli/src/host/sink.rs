//! The sinks of `host run`: lines as `run` writes them, or a receiver over a network.

use m365_audit_client::{HistoryNews, Slot};
use m365_audit_core::{Commit, Level, Metrics, MissingOutput, OutputShort, Stored};
use m365_audit_host::{Metric, Sink};
use m365_audit_sinks::{Flow, Lines, Receiver, SinkError};

use crate::host::metrics;
use crate::log::Log;
use crate::output::{Memory, Missing, SharedOutput, lock};
use crate::run::logger;
use crate::run::progress::{Progress, View};

/// Where records go, and what is shown meanwhile.
#[derive(Debug)]
pub(crate) struct HostSink {
    target: Target,
    progress: Progress,
    /// What the component counted last.
    counted: Metrics,
    /// Where others see how it stands.
    status: Option<Slot>,
    log: Log,
}

/// Where records go.
#[derive(Debug)]
pub(crate) enum Target {
    /// A file or stdout, and what the state remembers of it.
    Lines(SharedOutput, Memory),
    /// A receiver over a network.
    Network(Box<Network>),
}

/// A receiver, and what it has been given.
#[derive(Debug)]
pub(crate) struct Network {
    receiver: Box<dyn Receiver>,
    flow: Flow,
    /// What it has refused, not told yet.
    missing: Option<OutputShort>,
}

impl Network {
    pub(crate) fn new(receiver: Box<dyn Receiver>, flow: Flow) -> Self {
        Self { receiver, flow, missing: None }
    }
}

impl HostSink {
    pub(crate) fn new(target: Target, progress: Progress, log: Log) -> Self {
        Self { target, progress, counted: Metrics::default(), status: None, log }
    }

    /// Shows at this place how it stands.
    pub(crate) fn show_at(&mut self, status: Option<Slot>) {
        self.status = status;
    }

    /// Tries to reach the receiver, if there is one.
    pub(crate) async fn check(&mut self) -> Result<(), SinkError> {
        match &mut self.target {
            Target::Lines(..) => Ok(()),
            Target::Network(network) => network.receiver.check().await,
        }
    }

    /// Takes the bars away and says where things stand. Answers how many losses nobody has
    /// acknowledged.
    pub(crate) fn close(&mut self) -> u64 {
        self.progress.close(&self.counted, &self.log);
        self.status.iter().for_each(|status| status.end(&self.counted));
        self.counted.losses_unacknowledged
    }
}

impl Sink for HostSink {
    fn resume(&mut self, stored: &Stored) -> Result<Option<OutputShort>, SinkError> {
        self.status.iter().for_each(|status| status.recall(stored));
        let Target::Lines(output, memory) = &mut self.target else { return Ok(None) };
        let missing = memory
            .resume(&mut lock(output), stored)
            .map_err(|error| SinkError::passing(format!("the output cannot be read: {error}")))?;
        Ok(missing.map(short))
    }

    async fn deliver(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        match &mut self.target {
            Target::Lines(output, _) => {
                let mut output = lock(output);
                let delivered = output.deliver(lines.ndjson.as_bytes());
                self.progress.note_oversized(output.oversized());
                delivered.map_err(|error| SinkError {
                    passing: output.is_repairable(),
                    ..SinkError::passing(format!("the output cannot be written: {error}"))
                })
            }
            Target::Network(network) => {
                let Network { receiver, flow, missing } = &mut **network;
                let taken = receiver.deliver(flow, lines).await?;
                *missing = taken.missing(flow, receiver.name(), &logger(&self.log));
                Ok(())
            }
        }
    }

    fn missing(&mut self) -> Option<OutputShort> {
        let (output, memory) = match &mut self.target {
            Target::Lines(output, memory) => (output, memory),
            Target::Network(network) => return network.missing.take(),
        };
        let mut output = lock(output);
        if let Err(error) = output.look() {
            // The next lines will fail in the same way, if it lasts.
            self.log.write(Level::Warn, &format!("the output cannot be looked at: {error}"));
        }
        memory.missing(&output).map(short)
    }

    fn stamp(&mut self, commit: &mut Commit) {
        if let Target::Lines(output, memory) = &mut self.target {
            memory.stamp(&lock(output), commit);
        }
        self.status.iter().for_each(|status| status.remember(HistoryNews::of(commit)));
    }

    fn metrics(&mut self, metrics: &[Metric]) {
        self.counted = metrics::of_component(metrics);
        let (oversized, rejected) = match &self.target {
            Target::Lines(output, _) => (lock(output).oversized(), 0),
            Target::Network(network) => (0, network.flow.rejected()),
        };
        self.status.iter().for_each(|status| {
            status.sink(oversized, rejected);
            status.show(&self.counted);
        });
        self.progress.show(&View { all: &self.counted, tenants: &[] }, &self.log);
    }
}

fn short(missing: Missing) -> OutputShort {
    let Missing { output, bytes } = missing;
    OutputShort { output, missing: MissingOutput::Bytes(bytes) }
}
