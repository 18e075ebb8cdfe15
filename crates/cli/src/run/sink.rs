//! The sink of `run`: lines into an output, delivered when the output has them safely.

use std::time::{Duration, Instant};

use anyhow::Context;
use m365_audit_client::{Handle, Sink, SinkCounts, WebhookMetrics};
use m365_audit_core::{
    Batch, BatchId, Commit, Envelope, Event, Level, LineWriter, Metrics, MissingOutput,
    OutputShort, Stored,
};

use crate::log::Log;
use crate::output::{Memory, Missing, SharedOutput, is_full, lock};
use crate::run::board::Board;
use crate::run::people::People;

/// Lines are written when they are this many, or when nothing more comes for the moment. They are
/// kept until they are safe, in case they have to be written again.
const BUFFER_BYTES: usize = 1024 * 1024;

/// How often it is tried whether a full disk has room.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Writes NDJSON.
#[derive(Debug)]
pub(crate) struct NdjsonSink {
    output: SharedOutput,
    memory: Memory,
    writer: LineWriter,
    handle: Handle,
    log: Log,
    board: Board,
    lines: Vec<u8>,
    /// Emitted, and among the lines.
    unsettled: Vec<BatchId>,
    /// While the disk is full: when the lines are tried again. What waits is bounded as what is on
    /// its way, for nothing more is read meanwhile.
    waits_until: Option<Instant>,
    /// Whether it waits at all, or gives up: a run that has an end does.
    waits: bool,
    /// Records of this sink that were longer than a line may be.
    oversized: u64,
    /// Safe, and not told yet. Both are bounded by the option `buffer_bytes`.
    safe: Vec<BatchId>,
}

impl NdjsonSink {
    pub(super) fn new(
        output: SharedOutput,
        once: bool,
        people: People,
        envelope: Envelope,
        handle: Handle,
    ) -> Self {
        let People { log, board } = people;
        Self {
            output,
            memory: Memory::new(),
            writer: LineWriter::new(envelope),
            handle,
            log,
            board,
            lines: Vec::new(),
            unsettled: Vec::new(),
            waits_until: None,
            waits: !once,
            oversized: 0,
            safe: Vec::new(),
        }
    }

    fn deliver(&mut self) -> anyhow::Result<()> {
        let mut output = lock(&self.output);
        let before = output.oversized();
        let result = output.deliver(&self.lines);
        self.oversized += output.oversized() - before;
        let repairable = output.is_repairable();
        let missing = self.memory.missing(&output);
        self.board.note_oversized(output.oversized());
        if let Err(error) = &result
            && is_full(error)
            && repairable
            && self.waits
        {
            output.tell_full(error);
            drop(output);
            self.tell(missing);
            self.waits_until = Some(Instant::now() + FULL_PAUSE);
            return Ok(());
        }
        drop(output);
        self.waits_until = None;
        self.lines.clear();
        self.tell(missing);
        if result.is_err() && !repairable {
            // What cannot be repaired ends the process, not only the run.
            self.handle.shutdown(Duration::ZERO);
        }
        result.context("the output cannot be written")?;
        self.safe.append(&mut self.unsettled);
        Ok(())
    }

    /// Whether the disk was full a moment ago.
    fn is_waiting(&self) -> bool {
        self.waits_until.is_some_and(|until| Instant::now() < until)
    }

    /// What is missing is kept in the state, until somebody acknowledges it.
    fn tell(&self, missing: Option<Missing>) {
        if let Some(Missing { output, bytes }) = missing {
            self.handle.output_short(OutputShort { output, missing: MissingOutput::Bytes(bytes) });
        }
    }
}

impl Sink for NdjsonSink {
    fn resume(&mut self, stored: &Stored) -> anyhow::Result<()> {
        let mut output = lock(&self.output);
        let missing = self.memory.resume(&mut output, stored);
        drop(output);
        self.tell(missing.context("the output cannot be read")?);
        Ok(())
    }

    fn stamp(&mut self, commit: &mut Commit) {
        self.memory.stamp(&lock(&self.output), commit);
    }

    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.board.note_read(&batch.content.id);
        self.writer.write(&batch, &mut self.lines);
        if let Some(taken) = self.writer.take_taken() {
            self.log.write(Level::Warn, &taken.to_string());
        }
        self.unsettled.push(batch.id);
        if self.is_waiting() || self.lines.len() < BUFFER_BYTES { Ok(()) } else { self.deliver() }
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        if self.unsettled.is_empty() {
            // One of thousands that have nothing to do keeps no room for more.
            self.lines = Vec::new();
            let mut output = lock(&self.output);
            let looked = output.look();
            let missing = self.memory.missing(&output);
            drop(output);
            self.tell(missing);
            looked.context("the output cannot be written")?;
        } else if !self.is_waiting() {
            self.deliver()?;
        }
        delivered.append(&mut self.safe);
        Ok(())
    }

    fn reset(&mut self) {
        self.board.begin();
        self.lines.clear();
        self.unsettled.clear();
        self.waits_until = None;
        self.safe.clear();
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }

    fn observe(&mut self, event: &Event) {
        self.board.observe(event);
        self.log.write_event(event);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.board.show(metrics);
    }

    fn counts(&self) -> SinkCounts {
        SinkCounts { oversized: self.oversized, ..SinkCounts::default() }
    }

    fn webhook(&mut self, metrics: &WebhookMetrics) {
        self.board.note_webhook(metrics);
    }
}
