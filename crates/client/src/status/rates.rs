//! How fast something has gone in the last minute. Knows numbers and moments.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a rate is the average of.
const SPAN: Duration = Duration::from_secs(60);

/// How often a moment is kept.
const EVERY: Duration = Duration::from_secs(5);

/// So many moments are kept.
const MOMENTS_MAX: usize = 13;

/// Totals at some moments of the last minute.
#[derive(Debug, Default)]
pub(super) struct Rates<const N: usize> {
    moments: VecDeque<(Instant, [u64; N])>,
}

impl<const N: usize> Rates<N> {
    /// Notes where the totals stand.
    pub(super) fn note(&mut self, now: Instant, totals: [u64; N]) {
        let last = self.moments.back();
        if last.is_some_and(|(at, _)| now.saturating_duration_since(*at) < EVERY) {
            return;
        }
        if self.moments.len() == MOMENTS_MAX {
            self.moments.pop_front();
        }
        self.moments.push_back((now, totals));
    }

    /// What each total has grown by in a second, on average: over the last minute, or since it was
    /// noted first.
    #[expect(clippy::cast_precision_loss, reason = "rates are rough")]
    pub(super) fn per_second(&self, now: Instant, totals: [u64; N]) -> [f64; N] {
        let recent = |at: &Instant| now.saturating_duration_since(*at) <= SPAN;
        let Some((since, before)) = self.moments.iter().find(|(at, _)| recent(at)) else {
            return [0.0; N];
        };
        let seconds = now.saturating_duration_since(*since).as_secs_f64();
        if seconds < 1.0 {
            return [0.0; N];
        }
        std::array::from_fn(|at| totals[at].saturating_sub(before[at]) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rates = Rates::default();
        rates.note(at(0), [0]);
        assert_eq!(rates.per_second(at(0), [0]), [0.0]);
        assert_eq!(rates.per_second(at(10), [100]), [10.0]);
        for second in 1..=600 {
            rates.note(at(second), [second * 3]);
        }
        assert_eq!(rates.per_second(at(600), [1_800]), [3.0]);
        assert!(rates.moments.len() <= MOMENTS_MAX);
        // An hour later nothing of that is recent.
        assert_eq!(rates.per_second(at(4_200), [1_800]), [0.0]);
    }
}
