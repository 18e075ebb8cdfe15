//! On which terms batches are handed over and settle. Plain data.

use std::time::Duration;

/// Counts that do not move for so long, while the host is not paused, mean that the rest is lost.
/// The default.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(30);

/// Without counters: how long after the handover a batch is believed to be in a chunk. Forty times
/// the interval in which the engine empties the ring buffer.
pub(crate) const BELIEVED_AFTER: Duration = Duration::from_secs(10);

/// Batches that are not settled, whatever they wait for (`commit_delay` included). Small entries.
pub(crate) const UNSETTLED_MAX: usize = 65_536;

/// How the host shows that a batch is in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Its counters reach the batch's mark.
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
