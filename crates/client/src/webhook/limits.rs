//! How much is let in, and how much is said about what is not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::metrics::{REFUSALS, Refusal};

/// How often a line about one kind of refusal is written, at the most.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// So many calls at once, and so many a second on average.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u32,
    burst: u32,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self { per_second, burst, state: Mutex::new((burst.into(), now)) }
    }

    /// Whether one more is let in.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *state;
        let gained =
            now.saturating_duration_since(since).as_secs_f64() * f64::from(self.per_second);
        let left = (left + gained).min(self.burst.into());
        let taken = left >= 1.0;
        *state = (if taken { left - 1.0 } else { left }, now);
        taken
    }
}

/// Gathers refusals, so that whoever floods the webhook does not flood the log.
#[derive(Debug)]
pub(super) struct Quiet {
    /// Of each kind: how many were not told yet, and when the next line may be written.
    kinds: Mutex<[(u64, Instant); REFUSALS.len()]>,
}

impl Quiet {
    pub(super) fn new(now: Instant) -> Self {
        Self { kinds: Mutex::new([(0, now); REFUSALS.len()]) }
    }

    /// Notes one; how many to tell now, if any.
    pub(super) fn note(&self, refusal: Refusal, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let (untold, next) = &mut kinds[refusal as usize];
        *untold += 1;
        if now < *next {
            return None;
        }
        *next = now + LINE_EVERY;
        Some(std::mem::take(untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_then_the_rate() {
        let start = Instant::now();
        let bucket = Bucket::new(10, 3, start);
        let take = |ms| bucket.take(start + Duration::from_millis(ms));
        assert_eq!([0; 4].map(take), [true, true, true, false]);
        assert_eq!([50, 100, 150, 200].map(take), [false, true, false, true]);
        assert_eq!([60_000; 4].map(take), [true, true, true, false]);
    }

    #[test]
    fn a_flood_of_refusals_is_a_line_a_minute() {
        let start = Instant::now();
        let quiet = Quiet::new(start);
        let note = |seconds| quiet.note(Refusal::Forged, start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 59, 60, 61].map(note), [Some(1), None, None, Some(3), None]);
        assert_eq!(quiet.note(Refusal::Slow, start), Some(1));
    }
}
