//! What shows that the engine has written a batch that it has counted. Pure.
//!
//! The engine raises `records_total`, then filters, then writes: a count alone proves nothing.
//! Where its thread is seen to wait afterwards (`engine.rs`), that does. This is for where it is
//! not: one thread does all of it, and also sets the gauges of the input's storage every 5 s. A
//! gauge that was set after a count was seen, a *beat*, shows that the engine has come back since.

use std::time::Duration;

/// Beats without a count after which the ring buffer is empty: the engine looks into it 20 times
/// between two.
pub(crate) const QUIET_BEATS: u64 = 2;

/// When the engine, seen to wait, has emptied the ring buffer since a batch was handed over: twice
/// the interval at which it does so, and it does not wait while one is over.
pub(crate) const EMPTIED_AFTER: Duration = Duration::from_millis(500);

/// Without beats: how long after its count a batch counts as written, at least.
const WRITTEN_AFTER: Duration = Duration::from_secs(10);

/// The same where the gauges are there but have not been set yet.
const FIRST_BEAT_AFTER: Duration = Duration::from_secs(60);

/// It is that many times the longest time that one batch was seen to take, at least.
const GAPS: u32 = 4;

/// Watches the engine's beats.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    last: Option<u64>,
    beats: u64,
    longest_gap: Duration,
}

impl Watch {
    /// A reading's moment at which the gauges were set.
    pub(crate) fn look(&mut self, pulse: Option<u64>) {
        if pulse.is_some() && self.last.is_some() && pulse != self.last {
            self.beats += 1;
        }
        self.last = pulse.or(self.last);
    }

    /// How many were seen.
    pub(crate) fn beats(&self) -> u64 {
        self.beats
    }

    /// Counts moved, that long after the move before or, if later, the handover.
    pub(crate) fn took(&mut self, gap: Duration) {
        self.longest_gap = self.longest_gap.max(gap);
    }

    /// Whether the engine was back so many times after `since`, the beats as of a reading that was
    /// later than the one with the count. Without beats, whether it has had time enough.
    pub(crate) fn proves(&self, beats: u64, since: Option<u64>, waited: Duration) -> bool {
        if self.beats > 0 {
            return since.is_some_and(|since| self.beats >= since + beats);
        }
        let least = if self.last.is_some() { FIRST_BEAT_AFTER } else { WRITTEN_AFTER };
        waited >= least.max(self.longest_gap.saturating_mul(GAPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn once_there_are_beats_time_proves_nothing() {
        let mut watch = Watch::default();
        watch.look(Some(5));
        assert!(!watch.proves(1, Some(0), Duration::from_secs(59)));
        assert!(watch.proves(1, Some(0), Duration::from_secs(60)), "it may never beat");
        watch.look(Some(6));
        let since = Some(watch.beats());
        assert!(!watch.proves(1, since, HOUR));
        assert!(!watch.proves(1, None, HOUR));
        watch.look(Some(6));
        assert!(!watch.proves(1, since, HOUR), "the same beat");
        watch.look(Some(4));
        assert!(watch.proves(1, since, Duration::ZERO), "a clock may go back");
        assert!(!watch.proves(2, since, HOUR));
    }

    #[test]
    fn without_gauges_slow_filters_make_it_wait_longer() {
        let mut watch = Watch::default();
        watch.look(None);
        assert!(!watch.proves(1, Some(0), Duration::from_millis(9_999)));
        assert!(watch.proves(1, Some(0), Duration::from_secs(10)));
        watch.took(Duration::from_secs(3));
        watch.took(Duration::from_secs(1));
        assert!(!watch.proves(1, Some(0), Duration::from_millis(11_999)));
        assert!(watch.proves(1, Some(0), Duration::from_secs(12)));
    }
}
