//! Decides when a batch is safe in the host, and when it is lost. Pure: time and the host's
//! counters are arguments.
//!
//! The proxy ABI acknowledges nothing. What can be seen is `records_total` of the instance, which
//! the engine raises when it moves a batch from the ring buffer into a chunk. Batches are moved in
//! order, each whole, so the ledger keeps for each the value at which it has been moved: its mark.

use std::collections::VecDeque;
use std::time::Duration;

/// `records_total` rises just before the batch is filtered and written. It counts as written when
/// a later batch was counted too (one thread does both), or after this time.
const WRITTEN_AFTER: Duration = Duration::from_millis(500);

/// `records_total` that does not move for so long, while the host is not paused, means that the
/// rest is lost. The default.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(30);

/// The engine empties the ring buffer every 250 ms. A count that rests between two marks for so
/// long shows that a processor changes the number of records.
const ALTERED_AFTER: Duration = Duration::from_secs(2);

/// Without counters: how long after the handover a batch is believed to be in a chunk. Eight times
/// the interval in which the engine empties the ring buffer.
const BELIEVED_AFTER: Duration = Duration::from_secs(2);

/// Batches that are not settled, whatever they wait for (`commit_delay` included). Small entries.
pub(crate) const UNSETTLED_MAX: usize = 65_536;

/// How the host shows that a batch is in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// `records_total` passes the batch's mark.
    Counters,
    /// Nothing: time has to pass.
    Time,
}

/// What the author asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long after it is in a chunk a batch settles.
    pub(crate) commit_delay: Duration,
    /// How long counters may rest before what is in flight is lost.
    pub(crate) lost_after: Duration,
    pub(crate) in_flight_batches: usize,
    pub(crate) in_flight_bytes: usize,
}

/// The host's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// `fluentbit_input_records_total`: records moved into chunks.
    pub(crate) records: u64,
    /// `fluentbit_input_ring_buffer_writes_total` (4.1+): batches put into the ring buffer.
    pub(crate) writes: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    records: u32,
    /// In the ring buffer; 0 when it has left it.
    bytes: usize,
    /// `records_total` when this batch and all before it are in chunks.
    mark: u64,
    /// `records_total` when it was appended.
    base: u64,
    /// Nothing else was under way when it was appended.
    alone: bool,
    /// Processors dropped all of it: there is nothing to wait for but its predecessors.
    dropped: bool,
    /// On the clock of unpaused time.
    appended: Duration,
    /// When `records_total` was first seen at the mark.
    reached: Option<Duration>,
    /// When it was known to be in a chunk.
    ingested: Option<Duration>,
}

/// The batches that were handed to the host and are not settled, oldest first.
#[derive(Debug)]
pub(crate) struct Ledger {
    signal: Signal,
    terms: Terms,
    /// At most [`Terms::in_flight_batches`]; less after the ring buffer was full.
    in_flight_batches: usize,
    entries: VecDeque<Entry>,
    /// Entries (a prefix) that are in chunks.
    ingested: usize,
    /// Bytes in the ring buffer.
    ring_bytes: usize,
    /// `records_total` when everything appended is in chunks.
    target: u64,
    last: Reading,
    /// Entries (a suffix) that no reading was held against yet.
    unchecked: usize,
    /// Batches that the ring buffer had been given before those.
    writes: Option<u64>,
    /// Time that was not spent paused.
    active: Duration,
    observed: Duration,
    /// On the clock of unpaused time.
    moved: Duration,
    /// A batch alone in flight moved `records_total` by exactly its number of records.
    verified: bool,
    /// Processors change the number of records: one batch at a time, any rise is its own.
    altered: bool,
    /// Batches were returned; they may still turn up, so the next one waits for quiet.
    recovering: bool,
}

impl Ledger {
    pub(crate) fn new(signal: Signal, terms: Terms) -> Self {
        Self {
            signal,
            terms,
            in_flight_batches: terms.in_flight_batches.max(1),
            entries: VecDeque::new(),
            ingested: 0,
            ring_bytes: 0,
            target: 0,
            last: Reading::default(),
            unchecked: 0,
            writes: None,
            active: Duration::ZERO,
            observed: Duration::ZERO,
            moved: Duration::ZERO,
            verified: false,
            altered: false,
            recovering: false,
        }
    }

    fn pending(&self) -> usize {
        self.entries.len() - self.ingested
    }

    /// Batches that may still be in the ring buffer.
    fn in_ring(&self) -> usize {
        self.entries.range(self.ingested..).filter(|entry| entry.reached.is_none()).count()
    }

    /// Batches that are not settled.
    pub(crate) fn unsettled(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_altered(&self) -> bool {
        self.altered
    }

    /// Whether counters have to be read now: only while a batch waits for them.
    pub(crate) fn wants_reading(&self) -> bool {
        self.signal == Signal::Counters && self.pending() > 0
    }

    /// Whether the host may be given a batch of this size.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let one_at_a_time =
            self.signal == Signal::Counters && (!self.verified || self.altered || self.recovering);
        if self.entries.len() >= UNSETTLED_MAX || (one_at_a_time && self.pending() > 0) {
            return false;
        }
        let in_ring = self.in_ring();
        in_ring == 0
            || (in_ring < self.in_flight_batches
                && self.ring_bytes + bytes <= self.terms.in_flight_bytes)
    }

    /// The ring buffer was full: it holds fewer batches than was thought.
    pub(crate) fn refused(&mut self) {
        self.in_flight_batches = self.in_flight_batches.min(self.in_ring().max(1));
    }

    /// A batch was handed over. `before` are the counters as of the last observation or later; if
    /// nothing is pending, as of now.
    pub(crate) fn appended(
        &mut self,
        now: Duration,
        (ticket, records, bytes): (u64, u32, usize),
        before: Reading,
    ) {
        let dropped = bytes == 0;
        let alone = self.pending() == 0;
        if alone {
            // Nothing is under way: whatever processors did to earlier counts is over.
            self.target = before.records;
            self.moved = self.active;
            self.unchecked = 0;
        }
        if self.unchecked == 0 {
            self.writes = before.writes;
        }
        self.unchecked += 1;
        self.last.records = self.last.records.max(before.records);
        self.target += u64::from(records);
        self.ring_bytes += bytes;
        self.entries.push_back(Entry {
            ticket,
            records,
            bytes,
            mark: self.target,
            base: before.records,
            alone,
            dropped,
            appended: self.active,
            reached: None,
            ingested: None,
        });
        self.ingest_dropped(now);
    }

    /// The clock moved, and the counters may have. Returns the first ticket of what was lost.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        reading: Option<Reading>,
        paused: bool,
    ) -> Option<u64> {
        if !paused {
            self.active += now.saturating_sub(self.observed);
        }
        self.observed = now;
        match self.signal {
            Signal::Time => {
                self.ingest_while(now, |ledger, entry| {
                    ledger.active.saturating_sub(entry.appended) >= BELIEVED_AFTER
                });
                None
            }
            Signal::Counters => {
                let mut dropped = None;
                if let Some(reading) = reading {
                    dropped = self.check_writes(now, reading);
                    self.count(now, reading);
                }
                dropped.or_else(|| self.lost())
            }
        }
    }

    /// The last reading, with the engine waiting for us: what was counted is written.
    pub(crate) fn close(&mut self, now: Duration, reading: Option<Reading>) {
        if self.signal == Signal::Counters
            && let Some(reading) = reading
        {
            // What has to be produced again is produced by the next run.
            let _ = self.check_writes(now, reading);
            self.last = reading;
            self.ingest_while(now, |ledger, entry| ledger.is_counted(entry));
        }
    }

    /// The next ticket to settle.
    pub(crate) fn pop_settled(&mut self, now: Duration) -> Option<u64> {
        let ingested = self.entries.front()?.ingested?;
        if now < ingested.saturating_add(self.terms.commit_delay) {
            return None;
        }
        self.ingested -= 1;
        self.entries.pop_front().map(|entry| entry.ticket)
    }

    /// Whether every batch since the last reading went into the ring buffer: one of which
    /// processors drop all records does not. Asked once for all of them, since a host's counters
    /// cost a text of all its metrics. Returns the first ticket of what has to be produced again.
    fn check_writes(&mut self, now: Duration, reading: Reading) -> Option<u64> {
        let unchecked = std::mem::take(&mut self.unchecked);
        let first = self.entries.len().saturating_sub(unchecked);
        let rose = reading.writes?.saturating_sub(self.writes?);
        let given = self.entries.range(first..).filter(|entry| !entry.dropped).count() as u64;
        if given <= rose {
            return None;
        }
        let entry = self.entries.get(first)?;
        let (ticket, start) = (entry.ticket, entry.mark - u64::from(entry.records));
        // Without a thread of its own an input has no ring buffer: what is counted is in a chunk.
        if rose == 0 && self.target <= reading.records {
            return None;
        }
        self.target = start;
        if rose == 0 {
            for entry in self.entries.range_mut(first..) {
                entry.dropped = true;
                entry.mark = start;
            }
            self.ingest_dropped(now);
            return None;
        }
        // Which of them it was cannot be told.
        self.altered = true;
        self.give_up_from(first);
        Some(ticket)
    }

    fn count(&mut self, now: Duration, reading: Reading) {
        if reading.records != self.last.records {
            self.moved = self.active;
        }
        self.last = reading;
        if self.pending() == 0 {
            return;
        }
        if reading.records > self.target && !self.recovering {
            self.altered = true;
        }
        if !self.verified && self.pending() == 1 && reading.records == self.target {
            self.verified = true;
        }
        for index in self.ingested..self.entries.len() {
            if !self.is_counted(&self.entries[index]) {
                break;
            }
            let entry = &mut self.entries[index];
            entry.reached.get_or_insert(now);
            self.ring_bytes -= std::mem::take(&mut entry.bytes);
        }
        self.ingest_while(now, |ledger, entry| {
            let Some(reached) = entry.reached else { return false };
            let followed = ledger.last.records > entry.mark && !ledger.altered;
            // Where the count may be another batch's, the ring buffer has to be empty: the engine
            // does not stop before that.
            let certain = !ledger.recovering && (entry.alone || !ledger.altered);
            let quiet = now.saturating_sub(reached) >= WRITTEN_AFTER
                && (certain || ledger.at_rest() >= WRITTEN_AFTER);
            (followed && certain) || quiet
        });
    }

    /// Whether `records_total` shows that the engine has this batch.
    fn is_counted(&self, entry: &Entry) -> bool {
        if entry.dropped {
            return true;
        }
        // Alone in flight, any rise is its own; in recovery earlier ones may add to it.
        let risen = self.last.records.saturating_sub(entry.base);
        if self.altered && entry.alone {
            return risen > 0;
        }
        if self.recovering {
            return risen >= u64::from(entry.records);
        }
        self.last.records >= entry.mark
    }

    fn at_rest(&self) -> Duration {
        self.active.saturating_sub(self.moved)
    }

    fn ingest_while(&mut self, now: Duration, is_ingested: impl Fn(&Self, &Entry) -> bool) {
        while let Some(entry) = self.entries.get(self.ingested) {
            if !entry.dropped && !is_ingested(self, entry) {
                break;
            }
            if !entry.dropped {
                self.recovering = false;
            }
            self.ingest_next(now);
        }
    }

    fn ingest_dropped(&mut self, now: Duration) {
        while self.entries.get(self.ingested).is_some_and(|entry| entry.dropped) {
            self.ingest_next(now);
        }
    }

    fn ingest_next(&mut self, now: Duration) {
        let entry = &mut self.entries[self.ingested];
        entry.ingested = Some(now);
        self.ring_bytes -= std::mem::take(&mut entry.bytes);
        self.ingested += 1;
    }

    /// Gives up waiting: forgets the batches that are not in chunks and names the first.
    fn lost(&mut self) -> Option<u64> {
        let first = self.entries.get(self.ingested)?;
        if first.reached.is_some() {
            return None;
        }
        let rest = self.at_rest().min(self.active.saturating_sub(first.appended));
        let is_mark = |records| self.entries.iter().any(|entry| entry.mark == records);
        let start = first.mark - u64::from(first.records);
        let between = self.last.records != start && !is_mark(self.last.records);
        if rest >= ALTERED_AFTER && between && !self.recovering {
            self.altered = true;
            if first.alone {
                return None; // Any rise is its own: the next reading settles it.
            }
        } else if rest < self.terms.lost_after {
            return None;
        }
        let ticket = first.ticket;
        self.give_up_from(self.ingested);
        Some(ticket)
    }

    /// Forgets entries that have to be produced again. They may still turn up.
    fn give_up_from(&mut self, first: usize) {
        self.entries.truncate(first);
        self.ring_bytes = self.entries.iter().map(|entry| entry.bytes).sum();
        self.unchecked = 0;
        self.recovering = true;
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
