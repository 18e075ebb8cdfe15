//! How long records took until the host had them: counts in fixed steps.

use std::ops::AddAssign;
use std::time::Duration;

use crate::base::time::Utc;

/// Each step's upper bound in seconds, and how it is written. The last one has none.
pub const DELAY_STEPS: [(u64, &str); 12] = [
    (60, "60"),
    (300, "300"),
    (900, "900"),
    (1_800, "1800"),
    (3_600, "3600"),
    (7_200, "7200"),
    (14_400, "14400"),
    (43_200, "43200"),
    (86_400, "86400"),
    (259_200, "259200"),
    (604_800, "604800"),
    (u64::MAX, "+Inf"),
];

/// Delays of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// Of each of [`DELAY_STEPS`], how many took no longer. The last one is of all.
    pub up_to: [u64; DELAY_STEPS.len()],
    /// All of them added.
    pub sum: Duration,
}

impl Delays {
    /// So many records took from `start` to `end`. Clocks may disagree: less than nothing is
    /// nothing.
    pub(crate) fn note(&mut self, start: Utc, end: Utc, records: u64) {
        let delay = end.since(start);
        for (count, (bound, _)) in self.up_to.iter_mut().zip(DELAY_STEPS) {
            *count += if delay <= Duration::from_secs(bound) { records } else { 0 };
        }
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        self.sum = self.sum.saturating_add(delay.saturating_mul(records));
    }
}

impl AddAssign for Delays {
    fn add_assign(&mut self, other: Self) {
        for (sum, count) in self.up_to.iter_mut().zip(other.up_to) {
            *sum += count;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_counts_in_its_step_and_in_all_above() {
        let mut delays = Delays::default();
        let start = Utc::from_millis(1_000_000);
        delays.note(start, start + Duration::from_secs(60), 2);
        delays.note(start, start + Duration::from_millis(60_001), 3);
        delays.note(start + Duration::from_secs(9), start, 1);
        delays.note(start, start + Duration::from_secs(700_000), 1);
        assert_eq!(delays.up_to[..2], [3, 6]);
        assert_eq!(delays.up_to[10..], [6, 7]);
        assert_eq!(delays.sum, Duration::from_millis(2 * 60_000 + 3 * 60_001 + 700_000_000));
        let mut both = delays;
        both += delays;
        assert_eq!((both.up_to[11], both.sum), (14, 2 * delays.sum));
        let bounds: Vec<_> = DELAY_STEPS.iter().map(|(bound, _)| *bound).collect();
        assert!(bounds.is_sorted());
        for (bound, written) in &DELAY_STEPS[..11] {
            assert_eq!(*written, bound.to_string());
        }
    }
}
