//! The sinks of `host run`: lines as `run` writes them, or events for a forward receiver.

use m365_audit_core::Metrics;
use m365_audit_host::forward::ForwardSink;
use m365_audit_host::{Lines, Metric, Sink, SinkError};

use crate::host::metrics;
use crate::log::Log;
use crate::run::progress::Progress;
use crate::run::safe::SafeOutput;

/// Where records go, and what is shown meanwhile.
#[derive(Debug)]
pub(crate) struct HostSink {
    target: Target,
    progress: Progress,
    /// What the component counted last.
    counted: Metrics,
    log: Log,
}

/// Where records go.
#[derive(Debug)]
pub(crate) enum Target {
    /// A file or stdout.
    Lines(SafeOutput),
    /// Fluent Bit or Fluentd.
    Forward(Box<ForwardSink>),
}

impl HostSink {
    pub(crate) fn new(target: Target, progress: Progress, log: Log) -> Self {
        Self { target, progress, counted: Metrics::default(), log }
    }

    /// Tries to reach the receiver, if there is one.
    pub(crate) async fn check(&mut self) -> Result<(), SinkError> {
        match &mut self.target {
            Target::Lines(_) => Ok(()),
            Target::Forward(sink) => sink.check().await,
        }
    }

    /// Takes the bars away and says where things stand. Answers how many losses nobody has
    /// acknowledged.
    pub(crate) fn close(&mut self) -> u64 {
        self.progress.close(&self.counted, &self.log);
        self.counted.losses_unacknowledged
    }
}

impl Sink for HostSink {
    async fn deliver(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        match &mut self.target {
            Target::Lines(output) => {
                let written = output.write(lines.ndjson.as_bytes());
                written.and_then(|()| output.settle()).map_err(|error| SinkError {
                    message: format!("the output cannot be written: {error}"),
                    passing: output.is_repairable(),
                })
            }
            Target::Forward(sink) => sink.deliver(lines).await,
        }
    }

    fn metrics(&mut self, metrics: &[Metric]) {
        self.counted = metrics::of_component(metrics);
        self.progress.show(&self.counted, &self.log);
    }
}
