//! Long waits that a service has named, so that each is told once and not by every request that
//! was answered so. Knows no clock.

use std::time::Duration;

use crate::base::flat_map::FlatMap;
use crate::base::time::Utc;
use crate::contract::feed::Feed;
use crate::contract::request::Operation;

/// A named wait above this is told.
const LONG: Duration = Duration::from_secs(60);

/// The waits that were told, with their ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Postponed(FlatMap<(Operation, Option<Feed>), Utc>);

impl Postponed {
    /// A service has named a wait. Answers its end if that is to be told.
    pub(crate) fn note(
        &mut self,
        operation: Operation,
        feed: Option<Feed>,
        wait: Duration,
        now: Utc,
    ) -> Option<Utc> {
        let until = now + wait;
        let told = self.0.get(&(operation, feed));
        if wait <= LONG || told.is_some_and(|told| now < *told && until <= *told + LONG) {
            return None;
        }
        self.0.insert((operation, feed), until);
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_once_until_it_is_over_or_becomes_longer() {
        let mut waits = Postponed::default();
        let mut note = |at: u64, seconds: u64| {
            let now = Utc::from_millis(0) + Duration::from_secs(at);
            let wait = Duration::from_secs(seconds);
            waits.note(Operation::GetBlob, Some(Feed::ALL[0]), wait, now).is_some()
        };
        assert!(!note(0, 60));
        assert!(note(0, 3_600));
        assert!(!note(30, 3_600));
        assert!(note(600, 3_600));
        assert!(!note(4_190, 61));
        assert!(note(4_200, 61));
    }
}
