//! The sinks of `host run`: lines as `run` writes them, or events for a forward receiver.

use m365_audit_client::{HistoryNews, Slot};
use m365_audit_core::{Commit, Level, Metrics, OutputShort, Stored};
use m365_audit_host::forward::ForwardSink;
use m365_audit_host::{Lines, Metric, Sink, SinkError};

use crate::host::metrics;
use crate::log::Log;
use crate::output::{Memory, Missing, SharedOutput, lock};
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
    /// Fluent Bit or Fluentd.
    Forward(Box<ForwardSink>),
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
            Target::Forward(sink) => sink.check().await,
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
        let missing = memory.resume(&mut lock(output), stored).map_err(|error| SinkError {
            message: format!("the output cannot be read: {error}"),
            passing: true,
        })?;
        Ok(missing.map(short))
    }

    async fn deliver(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        match &mut self.target {
            Target::Lines(output, _) => {
                let mut output = lock(output);
                let delivered = output.deliver(lines.ndjson.as_bytes());
                self.progress.note_oversized(output.oversized());
                delivered.map_err(|error| SinkError {
                    message: format!("the output cannot be written: {error}"),
                    passing: output.is_repairable(),
                })
            }
            Target::Forward(sink) => sink.deliver(lines).await,
        }
    }

    fn missing(&mut self) -> Option<OutputShort> {
        let Target::Lines(output, memory) = &mut self.target else { return None };
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
        self.status.iter().for_each(|status| status.show(&self.counted));
        self.progress.show(&View { all: &self.counted, tenants: &[] }, &self.log);
    }
}

fn short(missing: Missing) -> OutputShort {
    let Missing { output, bytes } = missing;
    OutputShort { output, missing_bytes: bytes }
}
