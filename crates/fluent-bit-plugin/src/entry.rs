//! A batch under way, and the counts by which it is known. Plain data.

use std::time::Duration;

use crate::reading::Reading;

/// Counts between two batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Mark {
    pub(crate) fn of(reading: Reading) -> Self {
        Self { records: reading.records, bytes: reading.bytes.unwrap_or_default() }
    }

    pub(crate) fn is(self, reading: Reading) -> bool {
        self.records == reading.records && reading.bytes.is_none_or(|bytes| bytes == self.bytes)
    }

    /// What counts may be when some of these were taken, and the others not.
    pub(crate) fn with_some_of<'a>(
        self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> impl Iterator<Item = Self> {
        let mut sums = vec![self];
        for entry in entries {
            let with = |sum: &Self| Self {
                records: sum.records + u64::from(entry.records),
                bytes: sum.bytes + entry.size,
            };
            sums.extend(sums.clone().iter().map(with));
        }
        sums.into_iter()
    }

    pub(crate) fn after(self, records: u32, bytes: usize) -> Self {
        Self { records: self.records + u64::from(records), bytes: self.bytes + bytes as u64 }
    }
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) ticket: u64,
    pub(crate) records: u32,
    pub(crate) size: u64,
    /// In the ring buffer; 0 when it has left it.
    pub(crate) bytes: usize,
    /// The counts when this batch and all before it were taken.
    pub(crate) mark: Mark,
    /// `records_total` when it was appended.
    pub(crate) base: u64,
    /// Entries that the ring buffer had been given before it.
    pub(crate) writes: Option<u64>,
    /// Nothing else was under way when it was appended.
    pub(crate) alone: bool,
    /// Processors dropped all of it: there is nothing to wait for but its predecessors.
    pub(crate) dropped: bool,
    /// The host was paused while it was under way.
    pub(crate) paused: bool,
    /// On the clock of unpaused time.
    pub(crate) appended: Duration,
    /// When its count was first seen.
    pub(crate) reached: Option<Duration>,
    /// Beats as of the reading after that.
    pub(crate) beats: Option<u64>,
    /// The counts when the engine was seen to wait, having taken all of it.
    pub(crate) still: Option<Mark>,
    /// The engine was seen to wait after it had counted it.
    pub(crate) written: bool,
    /// When it was known to be in a chunk.
    pub(crate) ingested: Option<Duration>,
}

impl Entry {
    /// One that is handed over now: counts are `start` when all before it were taken, and were
    /// `before` a moment ago.
    pub(crate) fn new(
        (ticket, records, bytes): (u64, u32, usize),
        start: Mark,
        before: Reading,
    ) -> Self {
        Self {
            ticket,
            records,
            size: bytes as u64,
            bytes,
            mark: start.after(records, bytes),
            base: before.records,
            writes: before.writes,
            alone: false,
            dropped: bytes == 0,
            paused: false,
            appended: Duration::ZERO,
            reached: None,
            beats: None,
            still: None,
            written: false,
            ingested: None,
        }
    }

    /// Whether the ring buffer has been given one thing since, and so this.
    pub(crate) fn was_written_at_once(&self, reading: Reading) -> bool {
        reading.writes.zip(self.writes).is_some_and(|(now, before)| now.saturating_sub(before) == 1)
    }

    /// With conditional routes a batch is counted once for its routes and once as a whole. Whether
    /// what was counted at the `last` reading may be the routes alone.
    pub(crate) fn may_be_a_part(&self, last: Reading) -> bool {
        let risen = last.records.saturating_sub(self.base);
        let is_whole = last.bytes.is_some() && self.mark.is(last);
        risen <= u64::from(self.records) && !is_whole
    }
}
