//! Decides when a batch is safe in the host, and when it is lost. Pure: time and the host's
//! counters are arguments.
//!
//! The proxy ABI acknowledges nothing. What can be seen are `records_total` and `bytes_total` of
//! the instance, which the engine raises when it takes a batch out of the ring buffer. Batches are
//! taken in order, each whole, so the ledger keeps for each the counts at which it has been taken:
//! its mark, which nothing else can reach ([`marks`]). Counts that are no batch's mark prove
//! nothing, and end the trust in them ([`Trust`]). A batch that was counted is written when a later
//! one was counted too, or when the engine was seen to wait for events or to have come back
//! ([`Watch`]).

use std::collections::VecDeque;
use std::time::Duration;

use crate::entry::{Entry, Mark};
use crate::idle::Idle;
use crate::marks;
use crate::proof::{EMPTIED_AFTER, QUIET_BEATS, Watch};
use crate::quiet::Quiet;
use crate::reading::Reading;
use crate::terms::{BELIEVED_AFTER, Signal, Terms, UNSETTLED_MAX};
use crate::trust::{Room, Trust};

/// Between readings when nothing but a beat is waited for. A reading costs a text of all metrics.
const CALM_READING_EVERY: Duration = Duration::from_secs(1);

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
    /// The mark of the last entry that was counted.
    floor: Mark,
    /// `floor` is what counts are compared with, also when nothing is under way.
    anchored: bool,
    last: Reading,
    /// When.
    read: Duration,
    /// Entries (a suffix) that no reading was held against yet.
    unchecked: usize,
    /// Batches that the ring buffer had been given before those.
    writes: Option<u64>,
    /// Time that was not spent paused.
    active: Duration,
    observed: Duration,
    /// When counts last moved, on the clock of unpaused time.
    moved: Duration,
    idle: Idle,
    watch: Watch,
    trust: Trust,
    /// Batches were returned; they may still turn up, so the next one waits.
    quiet: Quiet,
}

impl Ledger {
    pub(crate) fn new(signal: Signal, terms: Terms) -> Self {
        Self {
            signal,
            terms,
            in_flight_batches: terms.in_flight_batches.clamp(1, marks::WINDOW_MAX),
            entries: VecDeque::new(),
            ingested: 0,
            ring_bytes: 0,
            floor: Mark::default(),
            anchored: false,
            last: Reading::default(),
            read: Duration::ZERO,
            unchecked: 0,
            writes: None,
            active: Duration::ZERO,
            observed: Duration::ZERO,
            moved: Duration::ZERO,
            idle: Idle::default(),
            watch: Watch::default(),
            trust: Trust::new(),
            quiet: Quiet::default(),
        }
    }

    fn pending(&self) -> usize {
        self.entries.len() - self.ingested
    }

    /// The first entry that may still be in the ring buffer.
    fn uncounted(&self) -> usize {
        let pending = self.entries.range(self.ingested..);
        let is_out = |entry: &&Entry| entry.dropped || entry.reached.is_some();
        self.ingested + pending.take_while(is_out).count()
    }

    /// The counts when everything appended was taken.
    fn target(&self) -> Mark {
        if self.pending() == 0 { self.floor } else { self.entries[self.entries.len() - 1].mark }
    }

    /// Whether a batch waits for its count, or for the proof of it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.pending() > 0
    }

    pub(crate) fn is_altered(&self) -> bool {
        self.trust.is_altered()
    }

    /// Whether counters have to be read now.
    pub(crate) fn wants_reading(&self, now: Duration) -> bool {
        if self.signal != Signal::Counters || (!self.quiet.is_awaited() && !self.is_waiting()) {
            return false;
        }
        let mut pending = self.entries.range(self.ingested..);
        // To see the engine wait takes one look more, and then there is nothing to wait for.
        let sees_engine = self.last.waiting.is_some();
        let calm = !sees_engine && pending.all(|entry| entry.dropped || entry.beats.is_some());
        !calm || now.saturating_sub(self.read) >= CALM_READING_EVERY
    }

    /// Whether the host may be given a batch of this size.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        if self.entries.len() >= UNSETTLED_MAX || self.quiet.is_awaited() {
            return false;
        }
        let in_ring = self.entries.len() - self.uncounted();
        if self.signal == Signal::Counters {
            match self.trust.room() {
                Room::Window => {}
                Room::OneInRing => return in_ring == 0,
                Room::One => return self.pending() == 0,
            }
        }
        in_ring == 0
            || (in_ring < self.in_flight_batches
                && self.ring_bytes + bytes <= self.terms.in_flight_bytes)
    }

    /// By how many bytes, `most` at most, a batch of this size has to be longer, so that it is not
    /// taken for others. None if it has to wait. See [`marks::padding`].
    ///
    /// If it can be longer at all, it is: what the host writes anew, for conditional routes, is as
    /// short as can be, and never taken for what it was given.
    pub(crate) fn padding(&self, bytes: usize, most: usize) -> Option<usize> {
        if self.signal != Signal::Counters || bytes == 0 {
            return Some(0);
        }
        let uncounted = self.entries.range(self.uncounted()..).filter(|entry| !entry.dropped);
        let window: Vec<u64> = uncounted.map(|entry| entry.size).collect();
        let least = most.min(1);
        let padding = marks::padding(&window, bytes as u64, least as u64, most as u64)?;
        usize::try_from(padding).ok()
    }

    /// The ring buffer was full: it holds fewer batches than was thought.
    pub(crate) fn refused(&mut self) {
        let in_ring = self.entries.len() - self.uncounted();
        self.in_flight_batches = self.in_flight_batches.min(in_ring.max(1));
    }

    /// A batch was handed over. `before` are the counters as of the last observation or later; if
    /// nothing is pending, as of now.
    pub(crate) fn appended(
        &mut self,
        now: Duration,
        (ticket, records, bytes): (u64, u32, usize),
        before: Reading,
    ) {
        let alone = self.pending() == 0;
        if alone {
            self.begin(before);
            self.idle.begin(self.active);
        }
        if self.unchecked == 0 {
            self.writes = before.writes;
        }
        self.unchecked += 1;
        let start = if self.is_altered() { Mark::of(before) } else { self.target() };
        self.ring_bytes += bytes;
        let mut entry = Entry::new((ticket, records, bytes), start, before);
        entry.alone = alone;
        entry.appended = self.active;
        self.entries.push_back(entry);
        self.ingest_dropped(now);
    }

    /// Nothing is under way. Counts that moved all the same belong to something else.
    fn begin(&mut self, before: Reading) {
        let drifted = self.anchored && !self.floor.is(before);
        if drifted && self.signal == Signal::Counters && !self.is_altered() {
            self.trust.distrust(before.records > self.floor.records);
        }
        self.floor = Mark::of(before);
        self.anchored = true;
        self.last = before;
        self.moved = self.active;
        self.unchecked = 0;
        self.trust.forget_mismatches();
    }

    /// The clock moved, and the counters may have. Returns the first ticket of what was lost.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        reading: Option<Reading>,
        paused: bool,
    ) -> Option<u64> {
        if paused {
            self.entries.range_mut(self.ingested..).for_each(|entry| entry.paused = true);
            self.quiet.begin_again(self.active);
        } else {
            self.active += now.saturating_sub(self.observed);
        }
        self.observed = now;
        match self.signal {
            Signal::Time => {
                while let Some(entry) = self.entries.get(self.ingested) {
                    let waited = self.active.saturating_sub(entry.appended);
                    if !entry.dropped && waited < BELIEVED_AFTER {
                        break;
                    }
                    self.ingest_next(now);
                }
                None
            }
            Signal::Counters => {
                let lost = reading.and_then(|reading| {
                    let dropped = self.check_writes(now, reading);
                    dropped.or_else(|| self.count(now, reading))
                });
                lost.or_else(|| self.lost(reading.and_then(|reading| reading.waiting)))
            }
        }
    }

    /// The last reading, with the engine waiting for us: what was counted is written.
    pub(crate) fn close(&mut self, now: Duration, reading: Option<Reading>, paused: bool) {
        self.entries.range_mut(self.ingested..).for_each(|entry| entry.paused |= paused);
        let Some(reading) = reading.filter(|_| self.signal == Signal::Counters) else { return };
        // What has to be produced again is produced by the next run.
        let lost = self.check_writes(now, reading).or_else(|| self.count(now, reading));
        if lost.is_none() && !self.trust.is_puzzled() {
            while let Some(entry) = self.entries.get(self.ingested) {
                if !entry.dropped && (entry.reached.is_none() || self.is_ambiguous(entry)) {
                    break;
                }
                self.ingest_next(now);
            }
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
        // Without a thread of its own an input has no ring buffer: what is counted is in a chunk.
        if rose == 0 && self.target().records <= reading.records {
            return None;
        }
        if rose > 0 {
            // Which of them it was cannot be told.
            self.trust.alter();
            return self.give_up();
        }
        let start = if first > self.ingested { self.entries[first - 1].mark } else { self.floor };
        for entry in self.entries.range_mut(first..) {
            entry.dropped = true;
            entry.mark = start;
            self.ring_bytes -= std::mem::take(&mut entry.bytes);
        }
        self.ingest_dropped(now);
        None
    }

    /// Holds a reading against what was handed over. Returns the first ticket of what has to be
    /// produced again.
    fn count(&mut self, now: Duration, reading: Reading) -> Option<u64> {
        self.watch.look(reading.pulse);
        let moved = Mark::of(reading) != Mark::of(self.last);
        if moved {
            if let Some(entry) = self.entries.get(self.uncounted()) {
                let begin = self.moved.max(entry.appended);
                self.watch.took(self.active.saturating_sub(begin));
            }
            self.moved = self.active;
            self.idle.moved();
        }
        self.idle.look(self.active, reading.waiting);
        self.last = reading;
        self.read = now;
        self.quiet.look(self.active, moved, reading.waiting, &self.watch);
        let beats = self.watch.beats();
        for entry in self.entries.range_mut(self.ingested..) {
            if entry.reached.is_some() {
                entry.beats.get_or_insert(beats);
            }
        }
        if self.pending() == 0 {
            return None;
        }
        let mut lost = if self.is_altered() { None } else { self.compare(now, reading) };
        if lost.is_none() && self.is_altered() {
            lost = self.compare_rise(now, reading);
        }
        if lost.is_some() {
            return lost;
        }
        if moved && self.trust.is_multiplied() {
            // Another part of it was taken: the filters have only now begun with that one.
            let counted = self.entries.range_mut(self.ingested..);
            counted.filter_map(|entry| entry.reached.as_mut()).for_each(|reached| *reached = now);
        }
        if reading.waiting == Some(true) {
            self.see_waiting(reading);
        }
        self.ingest_proven(now)
    }

    /// The engine waits for events: what it had counted before is written. With conditional routes
    /// only if it had taken all of it, and counts have not moved since that was seen.
    fn see_waiting(&mut self, reading: Reading) {
        let counts = Mark::of(reading);
        let counted = |entry: &&mut Entry| entry.reached.is_some();
        for entry in self.entries.range_mut(self.ingested..).filter(counted) {
            let is_emptied = EMPTIED_AFTER <= self.active.saturating_sub(entry.appended);
            if !self.trust.is_multiplied() {
                entry.written = true;
            } else if is_emptied || entry.was_written_at_once(reading) {
                entry.written |= entry.still == Some(counts);
                entry.still = Some(counts);
            }
        }
    }

    /// Counts are trusted: they have to be the mark of a batch under way, or not to have moved.
    fn compare(&mut self, now: Duration, reading: Reading) -> Option<u64> {
        let uncounted = self.uncounted();
        let counted = self.entries.range(uncounted..).rposition(|entry| entry.mark.is(reading));
        if let Some(counted) = counted.map(|last| uncounted + last) {
            self.reach(uncounted..counted + 1, now);
            self.trust.fits(self.pending() == 1);
            return None;
        }
        if self.floor.is(reading) {
            self.trust.fits(false);
            return None;
        }
        let too_often = self.trust.mismatch();
        let target = self.target();
        let more = reading.records > target.records;
        let larger = reading.bytes.is_some_and(|bytes| bytes > target.bytes);
        if !more && !larger && !too_often {
            return None;
        }
        if self.is_loss(reading) {
            self.trust.lose();
            return self.give_up();
        }
        self.trust.distrust(more);
        if self.pending() > 1 || !self.entries[self.ingested].alone {
            return self.give_up();
        }
        // Whatever moved is its own. If it counted as taken before, that was too early.
        self.entries[self.ingested].beats = None;
        if more {
            self.trust.multiply();
        } else {
            self.trust.alter();
        }
        None
    }

    /// Whether counts are just those of some of what is under way: the host has dropped the others,
    /// and nothing changes what is counted.
    fn is_loss(&self, reading: Reading) -> bool {
        let uncounted = self.entries.range(self.uncounted()..).filter(|entry| !entry.dropped);
        reading.bytes.is_some() && self.floor.with_some_of(uncounted).any(|sum| sum.is(reading))
    }

    /// Counts tell only that they rose: one batch at most is not counted yet, and it was that one.
    fn compare_rise(&mut self, now: Duration, reading: Reading) -> Option<u64> {
        if reading.records > self.target().records && !self.trust.is_multiplied() {
            self.trust.multiply();
            if self.pending() > 1 {
                return self.give_up();
            }
        }
        let uncounted = self.uncounted();
        let entry = self.entries.get(uncounted)?;
        let risen = reading.records.saturating_sub(entry.base);
        let least = if self.trust.is_multiplied() { entry.records.into() } else { 1 };
        if risen >= least.max(1) {
            self.reach(uncounted..uncounted + 1, now);
        }
        None
    }

    fn reach(&mut self, range: std::ops::Range<usize>, now: Duration) {
        for entry in self.entries.range_mut(range) {
            entry.reached = Some(now);
            self.ring_bytes -= std::mem::take(&mut entry.bytes);
            self.floor = entry.mark;
        }
    }

    /// The whole is dropped if the routes pause the input. Whether it was cannot be told then,
    /// unless a batch has shown that it is a processor that changes what is counted.
    fn is_ambiguous(&self, entry: &Entry) -> bool {
        entry.paused
            && !self.trust.is_probed()
            && self.is_altered()
            && entry.may_be_a_part(self.last)
    }

    fn ingest_proven(&mut self, now: Duration) -> Option<u64> {
        while let Some(entry) = self.entries.get(self.ingested) {
            if !entry.dropped {
                let reached = entry.reached?;
                let mut later = self.entries.range(self.ingested + 1..);
                let followed = later.any(|later| !later.dropped && later.reached.is_some());
                let waited = now.saturating_sub(reached);
                // Up to 5.1.0 the whole is an entry of the ring buffer of its own.
                let once = self.trust.is_multiplied() && entry.may_be_a_part(self.last);
                let written = entry.written && !once;
                let beats = if once { QUIET_BEATS } else { 1 };
                // An engine that can be seen, and does not wait, is at work on it.
                let timed = self.last.waiting.is_none_or(|waiting| waiting && once);
                let waited = if timed { waited } else { Duration::ZERO };
                if !followed && !written && !self.watch.proves(beats, entry.beats, waited) {
                    return None;
                }
                if self.is_ambiguous(entry) {
                    return self.give_up();
                }
                self.trust.probed();
            }
            self.ingest_next(now);
        }
        None
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

    /// Gives up waiting if nothing has moved for long.
    fn lost(&mut self, waiting: Option<bool>) -> Option<u64> {
        let first = self.entries.get(self.uncounted())?;
        let since = self.moved.max(first.appended);
        let lost_after = self.idle.lost_after(waiting, self.terms.lost_after);
        if self.active.saturating_sub(since) < lost_after {
            return None;
        }
        self.give_up()
    }

    /// Forgets all batches that are not in chunks for sure: they have to be produced again, from
    /// the ticket that is returned. They may still turn up, so the next one waits for quiet.
    fn give_up(&mut self) -> Option<u64> {
        let ticket = self.entries.get(self.ingested)?.ticket;
        self.entries.truncate(self.ingested);
        self.ring_bytes = 0;
        self.unchecked = 0;
        self.trust.forget_mismatches();
        self.anchored = false;
        self.quiet.begin(self.active);
        Some(ticket)
    }
}

#[cfg(test)]
mod tests;
