//! The sink of `run` for receivers over a network: lines into parcels, delivered when a courier has
//! heard that they are safe.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use m365_audit_client::{Handle, Sink, SinkCounts, WebhookMetrics};
use m365_audit_core::{Batch, BatchId, Envelope, Event, Level, LineLimits, LineWriter, Metrics};
use m365_audit_sinks::{Couriers, Flow, MESSAGE_BYTES_MAX, Parcel, Rounds};

use crate::run::people::People;

/// Hands lines of one tenant to a courier.
#[derive(Debug)]
pub(super) struct NetworkSink {
    couriers: Couriers,
    /// Which of them has this tenant.
    lane: usize,
    flow: Arc<Flow>,
    rounds: Rounds,
    writer: LineWriter,
    handle: Handle,
    people: People,
    /// Not handed over yet: at most what a message holds.
    lines: Vec<u8>,
    count: u32,
    /// Batches whose last line is among these.
    batches: Vec<BatchId>,
}

impl NetworkSink {
    /// `envelope`: with where metadata are.
    pub(super) fn new(
        couriers: Couriers,
        flow: Flow,
        people: People,
        envelope: Envelope,
        handle: Handle,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        flow.tenant_id.hash(&mut hasher);
        // Which one it is does not matter, only that it stays the same.
        let lane = usize::try_from(hasher.finish() >> 33).unwrap_or(0);
        Self {
            couriers,
            lane,
            flow: flow.into(),
            rounds: Rounds::default(),
            writer: LineWriter::new(envelope),
            handle,
            people,
            lines: Vec::new(),
            count: 0,
            batches: Vec::new(),
        }
    }

    fn hand_over(&mut self) {
        let ndjson = String::from_utf8(mem::take(&mut self.lines)).expect("lines are UTF-8");
        let parcel = Parcel {
            flow: Arc::clone(&self.flow),
            ndjson,
            count: mem::take(&mut self.count),
            batches: mem::take(&mut self.batches),
            handle: self.handle.clone(),
            round: self.rounds.current(),
        };
        self.couriers.carry(self.lane, parcel);
    }
}

impl Sink for NetworkSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.people.board.note_read(&batch.content.id);
        let limits = LineLimits { bytes_max: MESSAGE_BYTES_MAX, ..LineLimits::NONE };
        let mut first = 0;
        loop {
            let next = self.writer.write_from(&batch, first, limits, &mut self.lines);
            self.count += u32::try_from(next - first)?;
            if next == batch.records.len() {
                break;
            }
            first = next;
            self.hand_over();
        }
        if let Some(taken) = self.writer.take_taken() {
            self.people.log.write(Level::Warn, &taken.to_string());
        }
        self.batches.push(batch.id);
        Ok(())
    }

    fn flush(&mut self, _: &mut Vec<BatchId>) -> anyhow::Result<()> {
        if let Some(why) = self.rounds.failed() {
            // What somebody has to do something about ends the process, not only the run.
            self.handle.shutdown(Duration::ZERO);
            anyhow::bail!(why);
        }
        if !self.batches.is_empty() {
            self.hand_over();
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.people.board.begin();
        self.lines.clear();
        self.count = 0;
        self.batches.clear();
        self.rounds.next();
    }

    fn log(&mut self, level: Level, message: &str) {
        self.people.log.write(level, message);
    }

    fn observe(&mut self, event: &Event) {
        self.people.board.observe(event);
        self.people.log.write_event(event);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.people.board.show(metrics);
    }

    fn counts(&self) -> SinkCounts {
        SinkCounts { rejected: self.flow.rejected(), ..SinkCounts::default() }
    }

    fn webhook(&mut self, metrics: &WebhookMetrics) {
        self.people.board.note_webhook(metrics);
    }
}

impl Drop for NetworkSink {
    /// What is on its way is of nobody any more.
    fn drop(&mut self) {
        self.rounds.next();
    }
}
