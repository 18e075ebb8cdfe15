//! How long to wait before what has failed is started again.

use std::time::Duration;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause: what a disk that was full for a night may still cost once it has room.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A run that lasted longer was healthy: pauses start over.
const HEALTHY_RUN: Duration = Duration::from_secs(300);

/// Pauses between runs: 1 s, doubled after each failure up to 60 s, and 1 s again after a run of
/// more than five minutes.
#[derive(Debug)]
pub struct RestartPause {
    next: Duration,
}

impl RestartPause {
    /// Nothing has failed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: PAUSE_MIN }
    }

    /// The pause after a run that lasted for `ran`.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if HEALTHY_RUN < ran {
            self.next = PAUSE_MIN;
        }
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

impl Default for RestartPause {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_start_over_after_a_healthy_run() {
        let mut pause = RestartPause::new();
        let mut after = |ran| pause.after(Duration::from_secs(ran)).as_secs();
        assert_eq!([0; 8].map(&mut after), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!([300, 301, 0].map(after), [60, 1, 2]);
    }
}
