//! Jitter for retries: a small deterministic generator, seeded by the driver.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator that is seeded with half of `seed`: whoever sees the waits may find that half.
    #[expect(clippy::cast_possible_truncation, reason = "half of it will do")]
    pub(crate) const fn new(seed: u128) -> Self {
        Self(seed as u64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The wait before attempt number `failures + 1`: `base` doubled with every failure up to
    /// `max`, less up to a half, so that clients that failed together do not return together.
    pub(crate) fn backoff(&mut self, base: Duration, max: Duration, failures: u32) -> Duration {
        let doubled = base.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(max);
        let half = doubled / 2;
        let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_millis(self.next() % spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_within_its_bounds() {
        let mut random = Random::new(1);
        let (base, max) = (Duration::from_secs(1), Duration::from_secs(60));
        for failures in 1..40 {
            let wait = random.backoff(base, max, failures);
            assert!(wait >= base / 2 && wait <= max, "{failures}: {wait:?}");
        }
        assert!(random.backoff(base, max, 30) >= max / 2);
    }
}
