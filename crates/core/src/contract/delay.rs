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

/// The step of a delay: the first that it does not exceed.
fn step_of(delay: Duration) -> usize {
    let reaches = |(bound, _): &(u64, &str)| delay <= Duration::from_secs(*bound);
    DELAY_STEPS.iter().position(reaches).unwrap_or(DELAY_STEPS.len() - 1)
}

/// How many records took how long: of each of [`DELAY_STEPS`] those that exceed the step before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelayCounts(pub [u64; DELAY_STEPS.len()]);

impl DelayCounts {
    /// So many records took so long.
    pub(crate) fn note(&mut self, delay: Duration, records: u64) {
        self.0[step_of(delay)] += records;
    }

    /// How many there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The delay that so many per cent of the records did not exceed, as near as the steps tell:
    /// within one they are taken to be spread evenly. Of the last it is where that begins. `None`
    /// if there are no records.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<Duration> {
        let all = u128::from(self.records());
        // In hundredths of a record.
        let wanted = all * u128::from(percent.min(100));
        let (mut before, mut start) = (0_u128, 0_u64);
        for (count, (bound, _)) in self.0.iter().zip(DELAY_STEPS) {
            let here = u128::from(*count) * 100;
            if 0 < here && wanted <= before + here {
                let length = if bound == u64::MAX { 0 } else { bound - start };
                let part = u128::from(length) * 1_000 * (wanted - before) / here;
                let part = Duration::from_millis(u64::try_from(part).unwrap_or_default());
                return Some(Duration::from_secs(start) + part);
            }
            (before, start) = (before + here, bound);
        }
        None
    }
}

impl AddAssign for DelayCounts {
    fn add_assign(&mut self, other: Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(count);
        }
    }
}

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
        self.up_to[step_of(delay)..].iter_mut().for_each(|count| *count += records);
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

    #[test]
    fn percentiles_are_as_near_as_the_steps_tell() {
        let mut counts = DelayCounts::default();
        assert_eq!(counts.percentile(50), None);
        counts.note(Duration::from_secs(60), 10);
        let seconds = |counts: &DelayCounts, percent| counts.percentile(percent).unwrap().as_secs();
        assert_eq!([0, 50, 100].map(|percent| seconds(&counts, percent)), [0, 30, 60]);
        counts.note(Duration::from_secs(61), 10);
        assert_eq!([50, 75, 100].map(|percent| seconds(&counts, percent)), [60, 180, 300]);
        let mut late = DelayCounts::default();
        late.note(Duration::from_secs(604_801), 1);
        late += counts;
        assert_eq!((late.records(), seconds(&late, 95), seconds(&late, 99)), (21, 298, 604_800));
    }
}
