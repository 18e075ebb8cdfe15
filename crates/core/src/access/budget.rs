//! The tenant's request budget: a token bucket whose rate bends when Microsoft throttles.
//!
//! Knows monotonic time only. Waiting and sending are the collector's.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The pause after a throttling answer that names none. Microsoft's AF429 never has.
const PAUSE: Duration = Duration::from_secs(10);

/// The longest pause that an answer is believed.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// After a cut, answers to requests that were under way do not cut again.
const CUT_SPACING: Duration = Duration::from_secs(20);

/// How often a cut rate grows again, and by what part of the limit.
const RESTORE_EVERY: Duration = Duration::from_secs(30);
const RESTORE_PART: u32 = 8;

/// The rate never falls below this part of the limit.
const FLOOR_PART: u32 = 64;

/// What came of an answer that asked for fewer requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slowed {
    /// Nothing is sent for this long.
    pub pause: Duration,
    /// Whether the rate is lower than it was since a request was last answered as it should be.
    pub is_slower: bool,
    /// Such answers in a row.
    pub in_a_row: u32,
}

/// Requests allowed to one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    /// Configured requests a minute: never exceeded in any 60 seconds.
    limit: u32,
    /// Requests a minute at present.
    rate: u32,
    /// What may be sent at once.
    available: f64,
    filled_at: Duration,
    paused_until: Duration,
    cut_at: Option<Duration>,
    restored_at: Duration,
    /// Answers in a row that asked for fewer requests, and the lowest rate since the first.
    throttles: u32,
    lowest: u32,
}

impl Budget {
    pub(crate) fn new(limit: u32, now: Duration) -> Self {
        let mut budget = Self {
            limit,
            rate: limit,
            available: 0.0,
            filled_at: now,
            paused_until: Duration::ZERO,
            cut_at: None,
            restored_at: now,
            throttles: 0,
            lowest: limit,
        };
        budget.available = budget.burst();
        budget
    }

    /// Requests a minute at present.
    pub(crate) const fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes one request if there is one; otherwise says when to ask again.
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.fill(now);
        if now < self.paused_until {
            return Err(self.paused_until);
        }
        if self.available >= 1.0 {
            self.available -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - self.available) / self.per_second();
        // Rounded up, so that whoever comes back then finds one.
        Err(now + Duration::from_secs_f64(missing) + Duration::from_millis(1))
    }

    /// A request was answered as it should be.
    pub(crate) const fn note_success(&mut self) {
        self.throttles = 0;
        self.lowest = self.rate;
    }

    /// Microsoft throttled.
    pub(crate) fn throttle(&mut self, now: Duration, retry_after: Option<Duration>) -> Slowed {
        self.throttles = self.throttles.saturating_add(1);
        let pause = retry_after.unwrap_or(PAUSE).min(PAUSE_MAX);
        self.paused_until = self.paused_until.max(now + pause);
        let recent = self.cut_at.is_some_and(|cut_at| now < cut_at + CUT_SPACING);
        if !recent {
            self.rate = (self.rate / 2).max(self.limit / FLOOR_PART).max(1);
            self.cut_at = Some(now);
            self.available = self.available.min(1.0);
        }
        self.restored_at = now;
        let is_slower = self.rate < self.lowest;
        self.lowest = self.lowest.min(self.rate);
        Slowed { pause, is_slower, in_a_row: self.throttles }
    }

    fn fill(&mut self, now: Duration) {
        if self.rate < self.limit && now >= self.restored_at + RESTORE_EVERY {
            self.rate = self.limit.min(self.rate + (self.limit / RESTORE_PART).max(1));
            self.restored_at = now;
        }
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.available = (self.available + elapsed * self.per_second()).min(self.burst());
        self.filled_at = now;
    }

    /// What may be saved up. A bucket passes, in any minute, its refill and what was saved up;
    /// together they must stay within the limit.
    fn burst(&self) -> f64 {
        f64::from((self.limit / 100).max(1))
    }

    fn per_second(&self) -> f64 {
        (f64::from(self.rate) - self.burst()).max(0.5) / MINUTE.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes whatever can be had for `minutes` and answers the moments.
    fn greedy(budget: &mut Budget, minutes: u32) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        let mut taken = Vec::new();
        while now < MINUTE * minutes {
            match budget.take(now) {
                Ok(()) => taken.push(now),
                Err(next) => now = next,
            }
        }
        taken
    }

    fn peak(taken: &[Duration]) -> usize {
        let within =
            |from: Duration| taken.iter().filter(|at| (from..from + MINUTE).contains(*at)).count();
        taken.iter().map(|from| within(*from)).max().unwrap_or_default()
    }

    #[test]
    fn no_minute_exceeds_the_limit_and_little_is_left_unused() {
        for limit in [10, 30, 100, 2_000] {
            let taken = greedy(&mut Budget::new(limit, Duration::ZERO), 5);
            assert!(peak(&taken) <= limit as usize, "{limit}: {}", peak(&taken));
            let part = taken.len() as f64 / f64::from(limit * 5);
            let least = if limit < 100 { 0.85 } else { 0.95 };
            assert!(part >= least, "{limit}: {part}");
        }
    }

    #[test]
    fn throttling_halves_once_and_success_restores() {
        let mut budget = Budget::new(2_000, Duration::ZERO);
        assert_eq!(budget.throttle(Duration::from_secs(1), None).pause, PAUSE);
        budget.throttle(Duration::from_secs(2), Some(Duration::from_secs(60)));
        assert_eq!(budget.rate(), 1_000);
        assert_eq!(budget.take(Duration::from_secs(30)), Err(Duration::from_secs(62)));
        let mut now = Duration::from_secs(62);
        while budget.rate() < 2_000 {
            now += RESTORE_EVERY;
            let _ = budget.take(now);
        }
        assert!(now < Duration::from_secs(600), "{now:?}");
    }

    #[test]
    fn the_rate_never_falls_to_nothing() {
        let mut budget = Budget::new(10, Duration::ZERO);
        for minute in 1..20 {
            budget.throttle(MINUTE * minute, None);
        }
        assert_eq!(budget.rate(), 1);
        assert!(budget.take(MINUTE * 30).is_ok());
    }
}
