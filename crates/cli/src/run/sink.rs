//! The sink of `run`: lines into an output, delivered when the output is safe.

use std::io;
use std::time::Duration;

use anyhow::Context;
use m365_audit_client::{Handle, Sink, WebhookMetrics};
use m365_audit_core::{Batch, BatchId, Level, LineWriter, Metrics};

use crate::log::Log;
use crate::run::board::Board;
use crate::run::safe::{SharedOutput, lock};

/// Lines are written when they are this many, or when nothing more comes for the moment.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Writes NDJSON.
#[derive(Debug)]
pub(crate) struct NdjsonSink {
    output: SharedOutput,
    writer: LineWriter,
    handle: Handle,
    log: Log,
    board: Board,
    lines: Vec<u8>,
    /// Emitted, not yet safe. Bounded by the option `buffer_bytes`.
    unsettled: Vec<BatchId>,
}

impl NdjsonSink {
    pub(crate) fn new(
        output: SharedOutput,
        metadata: bool,
        handle: Handle,
        log: Log,
        board: Board,
    ) -> Self {
        Self {
            output,
            writer: LineWriter::new(metadata),
            handle,
            log,
            board,
            lines: Vec::new(),
            unsettled: Vec::new(),
        }
    }

    fn write_lines(&mut self) -> anyhow::Result<()> {
        let mut output = lock(&self.output);
        let result = output.write(&self.lines);
        let repairable = output.is_repairable();
        drop(output);
        self.lines.clear();
        self.judge(result, repairable)
    }

    /// What cannot be repaired ends the process, not only the run.
    fn judge(&self, result: io::Result<()>, repairable: bool) -> anyhow::Result<()> {
        if result.is_err() && !repairable {
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
        let mut output = lock(&self.output);
        let result = output.settle();
        let repairable = output.is_repairable();
        drop(output);
        self.judge(result, repairable)?;
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
        self.board.show(metrics);
    }

    fn webhook(&mut self, metrics: &WebhookMetrics) {
        self.board.note_webhook(metrics);
    }
}
