//! What the fuzz target of the ledger reaches of the inside. It is there under `--cfg fuzzing`
//! alone, which `cargo xtask fuzz` sets.

use std::time::Duration;

use crate::ledger;
use crate::reading::Reading;
use crate::terms::{LOST_AFTER, Signal, Terms};

/// The host's counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Records taken.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Batches put into the ring buffer.
    pub writes: u64,
    /// When the engine last came back.
    pub pulse: u64,
    /// Whether the engine was seen to wait for events, if it can be seen.
    pub waiting: Option<bool>,
}

impl Counters {
    const fn reading(self) -> Reading {
        Reading {
            records: self.records,
            bytes: Some(self.bytes),
            writes: Some(self.writes),
            pulse: Some(self.pulse),
            chunks_up: None,
            waiting: self.waiting,
        }
    }
}

/// The ledger of an instance whose host has counters.
#[derive(Debug)]
pub struct Ledger(ledger::Ledger);

impl Ledger {
    /// With room for so many batches and bytes in the ring buffer.
    #[must_use]
    pub fn new(in_flight_batches: usize, in_flight_bytes: usize) -> Self {
        Self(ledger::Ledger::new(
            Signal::Counters,
            Terms {
                commit_delay: Duration::ZERO,
                lost_after: LOST_AFTER,
                in_flight_batches,
                in_flight_bytes,
            },
        ))
    }

    /// Whether the host may be given a batch of this size.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.0.has_room(bytes)
    }

    /// By how many bytes, `most` at most, a batch of this size has to be longer; `None`: it has to
    /// wait.
    #[must_use]
    pub fn padding(&self, bytes: usize, most: usize) -> Option<usize> {
        self.0.padding(bytes, most)
    }

    /// Whether counters have to be read now.
    #[must_use]
    pub fn wants_reading(&self, now: Duration) -> bool {
        self.0.wants_reading(now)
    }

    /// A batch was handed over: ticket, records, bytes.
    pub fn appended(&mut self, now: Duration, batch: (u64, u32, usize), before: Counters) {
        self.0.appended(now, batch, before.reading());
    }

    /// The clock moved. The first ticket of what was lost.
    pub fn observe(&mut self, now: Duration, read: Option<Counters>, paused: bool) -> Option<u64> {
        self.0.observe(now, read.map(Counters::reading), paused)
    }

    /// The last reading, with the engine waiting for us.
    pub fn close(&mut self, now: Duration, read: Counters, paused: bool) {
        self.0.close(now, Some(read.reading()), paused);
    }

    /// The next ticket to settle.
    pub fn pop_settled(&mut self, now: Duration) -> Option<u64> {
        self.0.pop_settled(now)
    }
}
