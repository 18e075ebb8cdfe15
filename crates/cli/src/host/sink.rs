//! The sinks of `host run`: lines as `run` writes them, or a receiver over a network.

use m365_audit_client::{HistoryNews, Slot};
use m365_audit_core::{Commit, Level, Metrics, MissingOutput, OutputShort, Stored};
use m365_audit_host::{Metric, Sink};
use m365_audit_sinks::{Flow, Lines, Receiver, SinkError};

use crate::host::metrics;
use crate::log::Log;
use crate::output::{Memory, Missing, SharedOutput, lock};
use crate::run::board::Board;
use crate::run::logger;

/// Where records go, and what is shown meanwhile.
#[derive(Debug)]
pub(crate) struct HostSink {
    target: Target,
    board: Board,
    /// What the component counted last.
    counted: Metrics,
    /// Records of this sink that were longer than a line may be.
    oversized: u64,
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
    pub(crate) fn new(target: Target, board: Board, log: Log) -> Self {
        Self { target, board, counted: Metrics::default(), oversized: 0, status: None, log }
    }

    /// Shows at this place how it stands.
    #[must_use]
    pub(crate) fn show_at(mut self, status: Option<Slot>) -> Self {
        self.status = status;
        self
    }

    /// Tries to reach the receiver, if there is one.
    pub(crate) async fn check(&mut self) -> Result<(), SinkError> {
        match &mut self.target {
            Target::Lines(..) => Ok(()),
            Target::Network(network) => network.receiver.check().await,
        }
    }

    /// Shows where the component stood at its end.
    pub(crate) fn end(&self) {
        self.status.iter().for_each(|status| status.end(&self.counted));
    }
}

impl Sink for HostSink {
    fn resume(&mut self, stored: &Stored) -> Result<Option<OutputShort>, SinkError> {
        // It counts from zero.
        self.status.iter().for_each(|status| status.begin(stored));
        self.board.begin();
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
                let before = output.oversized();
                let delivered = output.deliver(lines.ndjson.as_bytes());
                self.oversized += output.oversized() - before;
                self.board.note_oversized(output.oversized());
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
        let rejected = match &self.target {
            Target::Lines(..) => 0,
            Target::Network(network) => network.flow.rejected(),
        };
        self.status.iter().for_each(|status| {
            status.sink(self.oversized, rejected);
            status.show(&self.counted);
        });
        self.board.show(&self.counted);
    }
}

fn short(missing: Missing) -> OutputShort {
    let Missing { output, bytes } = missing;
    OutputShort { output, missing: MissingOutput::Bytes(bytes) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::MultiProgress;
    use m365_audit_client::{MetricsDetail, Status, StatusOptions};
    use m365_audit_core::RawOptions;
    use m365_audit_host::MetricKind;

    use super::*;
    use crate::log::Format;
    use crate::output::Output;
    use crate::output_settings::OutputSettings;
    use crate::run::progress::Progress;

    #[test]
    fn what_an_instance_has_counted_goes_on_in_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (file, detail) = (dir.path().join("m365.prom"), MetricsDetail::ContentType);
        let shown = Some(file.clone());
        let options = StatusOptions {
            listen: None,
            file: shown,
            detail,
            packaging: "host",
            instance: "".into(),
        };
        let status = Status::start(&options).unwrap().unwrap();
        let log = Log::new(Level::Error, Format::Text, MultiProgress::new());
        let settings = OutputSettings::parse(&RawOptions::new()).unwrap();
        let output = Output::open(Some(&dir.path().join("audit.ndjson")), settings, &log).unwrap();
        let target = Target::Lines(Arc::new(Mutex::new(output)), Memory::new());
        let board = Board::new(Progress::new("never", MultiProgress::new()), log.clone());
        let slot = status.enter_component("", "t");
        let mut sink = HostSink::new(target, board, log).show_at(Some(slot));
        for throttled in [5.0, 2.0] {
            let (name, labels) = ("throttled_total".into(), Vec::new());
            sink.resume(&Stored::new()).unwrap();
            sink.metrics(&[Metric { name, kind: MetricKind::Counter, labels, value: throttled }]);
        }
        sink.end();
        drop(status);
        let numbers = std::fs::read_to_string(file).unwrap();
        assert!(numbers.contains("m365_audit_throttled_total{tenant_id=\"t\"} 7\n"), "{numbers}");
        assert!(numbers.contains("m365_audit_restarts_total{tenant_id=\"t\"} 1\n"), "{numbers}");
    }
}
