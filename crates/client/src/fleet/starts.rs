//! When tenants that start together start: not all at once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Tenants that start together do so one after another, so far apart on average: each signs in and
/// lists at once, and lists again a fixed time later. So the listings of many are spread as well.
const START_GAP: Duration = Duration::from_millis(20);

/// How long all starts may take together: the usual time between two listings.
const STARTS_MAX: Duration = Duration::from_secs(60);

/// How long one of `count` tenants that start together waits: the same every time.
pub(super) fn start_after(tenant_id: &str, count: usize) -> Duration {
    let all = START_GAP.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)).min(STARTS_MAX);
    let mut hasher = DefaultHasher::new();
    tenant_id.hash(&mut hasher);
    let part = u128::from(hasher.finish());
    let millis = (all.as_millis() * part) >> 64;
    // One has nobody to wait for.
    if count < 2 { Duration::ZERO } else { Duration::from_millis(millis.try_into().unwrap_or(0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starts_of_many_are_no_burst_and_the_same_every_time() {
        let starts = |count: usize| -> Vec<Duration> {
            let id = |n: usize| format!("{n:08x}-0000-4000-8000-000000000000");
            (0..count).map(|n| start_after(&id(n), count)).collect()
        };
        let of_many = starts(2_000);
        assert_eq!(of_many, starts(2_000));
        assert!(of_many.iter().all(|start| *start < START_GAP * 2_000));
        for second in 0..40 {
            let within = of_many.iter().filter(|start| start.as_secs() == second).count();
            assert!((20..=85).contains(&within), "{within} in second {second}");
        }
        assert!(starts(100_000).iter().all(|start| *start < STARTS_MAX));
        assert_eq!(starts(1), [Duration::ZERO]);
    }
}
