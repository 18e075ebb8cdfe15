//! The sink of `run`: lines into an output, delivered when the output is safe.

use std::io;
use std::time::Duration;

use anyhow::Context;
use m365_audit_client::{Handle, Sink};
use m365_audit_core::{Batch, BatchId, Level, LineWriter, Metrics};

use crate::log::Log;
use crate::run::output::Output;
use crate::run::progress::Progress;
use crate::run::safe::SafeOutput;

/// Lines are written when they are this many, or when nothing more comes for the moment.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Writes NDJSON.
#[derive(Debug)]
pub(crate) struct NdjsonSink {
    output: SafeOutput,
    writer: LineWriter,
    handle: Handle,
    log: Log,
    progress: Progress,
    lines: Vec<u8>,
    /// Emitted, not yet safe. Bounded by the option `buffer_bytes`.
    unsettled: Vec<BatchId>,
}

impl NdjsonSink {
    pub(crate) fn new(
        output: Output,
        metadata: bool,
        handle: Handle,
        log: Log,
        progress: Progress,
    ) -> Self {
        Self {
            output: SafeOutput::new(output, log.clone()),
            writer: LineWriter::new(metadata),
            handle,
            log,
            progress,
            lines: Vec::new(),
            unsettled: Vec::new(),
        }
    }

    /// Takes the bars away and says where things stand.
    pub(crate) fn close(&mut self) {
        self.progress.close(&self.log);
    }

    fn write_lines(&mut self) -> anyhow::Result<()> {
        let result = self.output.write(&self.lines);
        self.lines.clear();
        self.judge(result)
    }

    /// What cannot be repaired ends the process, not only the run.
    fn judge(&self, result: io::Result<()>) -> anyhow::Result<()> {
        if result.is_err() && !self.output.is_repairable() {
            self.handle.shutdown(Duration::ZERO);
        }
        result.context("the output cannot be written")
    }
}

impl Sink for NdjsonSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.writer.write(&batch, &mut self.lines);
        self.unsettled.push(batch.id);
        if BUFFER_BYTES <= self.lines.len() { self.write_lines() } else { Ok(()) }
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        self.write_lines()?;
        let result = self.output.settle();
        self.judge(result)?;
        delivered.append(&mut self.unsettled);
        Ok(())
    }

    fn reset(&mut self) {
        self.lines.clear();
        self.unsettled.clear();
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.progress.show(metrics, &self.log);
    }
}
