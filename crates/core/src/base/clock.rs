//! Microsoft's clock, as its answers show it. Reads no clock of this machine.
//!
//! The first answer with a date anchors the clock in its `Date` header; one without, or an hour
//! off, is a stranger's perhaps, and the second decides. From then on the monotonic clock alone
//! moves it, and later headers confirm it or raise doubts. The server judges windows, retention and
//! expiry, so they are in its time, and nothing that depends on the date (where a first run begins,
//! what is forgotten, what is told as a gap) is settled before: by a local clock that is a day
//! wrong a day would be lost.

use std::time::Duration;

use crate::base::time::{Now, Utc};

/// Microsoft's clock, inferred from the `Date` headers of its responses.
///
/// Windows are checked against the server's clock, so a wrong local clock would otherwise mean
/// refused windows (AF20055) or content that is never asked for.
#[derive(Clone, Debug)]
pub(crate) struct ServerClock {
    anchor: Option<Now>,
    /// Headers in a row that contradict the anchor and agree with each other, and by how many
    /// milliseconds the last did.
    doubts: u32,
    deviation: i64,
}

/// A `Date` header within this distance of the prediction confirms it. The header counts whole
/// seconds and is as old as the response's way back.
const CONFIRMED_EARLY_MS: i64 = 1_000;
const CONFIRMED_LATE_MS: i64 = -3_000;

/// One server of many may be wrong: only so many headers in a row move the clock.
const DOUBTS_MAX: u32 = 3;

/// A first answer without a date, or this far from the local clock, may be a stranger's, a proxy's
/// perhaps: the second one decides.
const STRANGE_MS: u64 = 3_600_000;

impl ServerClock {
    pub(crate) const fn new() -> Self {
        Self { anchor: None, doubts: 0, deviation: 0 }
    }

    /// Microsoft's time at `now`; before any response, what the local clock says.
    pub(crate) fn at(&self, now: Now) -> Utc {
        match self.anchor {
            // Once anchored, only the monotonic clock counts: a jump of the wall clock is harmless.
            Some(anchor) => anchor.wall + now.monotonic.saturating_sub(anchor.monotonic),
            None => now.wall,
        }
    }

    /// By how many seconds the local clock is ahead of the service's; 0: nobody knows.
    pub(crate) fn seconds_ahead(&self, now: Now) -> i64 {
        let ahead = now.wall.as_millis().saturating_sub(self.at(now).as_millis());
        if self.is_anchored() { ahead / 1_000 } else { 0 }
    }

    /// Whether a response has been seen, so that [`Self::at`] is more than a guess.
    pub(crate) const fn is_anchored(&self) -> bool {
        self.anchor.is_some()
    }

    /// Whether a response has been seen that contradicts what is believed, or has no date.
    pub(crate) const fn is_doubted(&self) -> bool {
        self.doubts > 0
    }

    /// Learns from a response that arrived at `now` with this `Date` header. Answers by how many
    /// seconds the local wall clock is ahead, if that changed what is believed.
    pub(crate) fn observe(&mut self, now: Now, date: Option<Utc>) -> Option<i64> {
        let predicted = self.at(now);
        let server = date.unwrap_or(predicted);
        if self.anchor.is_none() && self.doubts == 0 {
            let deviation = server.as_millis().abs_diff(predicted.as_millis());
            if date.is_none() || deviation > STRANGE_MS {
                self.doubts = 1;
                return None;
            }
        }
        let deviation = server.as_millis().saturating_sub(predicted.as_millis());
        let confirmed = (CONFIRMED_LATE_MS..=CONFIRMED_EARLY_MS).contains(&deviation);
        if confirmed {
            self.doubts = 0;
            self.anchor.get_or_insert(now);
            return None;
        }
        let repeated = deviation.abs_diff(self.deviation) <= CONFIRMED_LATE_MS.unsigned_abs();
        self.doubts = if repeated { self.doubts + 1 } else { 1 };
        self.deviation = deviation;
        if self.anchor.is_some() && self.doubts < DOUBTS_MAX {
            return None;
        }
        self.doubts = 0;
        // The header counts whole seconds; half of one is the best guess.
        let server = server + Duration::from_millis(500);
        self.anchor = Some(Now { monotonic: now.monotonic, wall: server });
        Some((now.wall.as_millis() - server.as_millis()) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(monotonic_s: u64, wall_s: i64) -> Now {
        Now { monotonic: Duration::from_secs(monotonic_s), wall: Utc::from_millis(wall_s * 1_000) }
    }

    #[test]
    fn a_wrong_wall_clock_is_corrected_once() {
        let mut clock = ServerClock::new();
        let at = now(10, 1_000_000);
        assert_eq!(clock.observe(at, Some(Utc::from_millis(900_000_000))), None);
        assert!(!clock.is_anchored(), "so far off, one answer is not enough");
        assert_eq!(clock.observe(at, Some(Utc::from_millis(900_000_000))), Some(99_999));
        assert_eq!(clock.at(at), Utc::from_millis(900_000_500));
        assert_eq!(clock.observe(now(20, 1_000_010), Some(Utc::from_millis(900_010_000))), None);
    }

    #[test]
    fn a_jump_of_the_wall_clock_changes_nothing_once_anchored() {
        let mut clock = ServerClock::new();
        assert_eq!(clock.observe(now(0, 1_000), Some(Utc::from_millis(1_000_000))), None);
        assert_eq!(clock.at(now(60, 999_999)), Utc::from_millis(1_060_000));
    }

    #[test]
    fn one_wrong_header_is_not_believed_but_three_are() {
        let mut clock = ServerClock::new();
        let header = |second: i64| Some(Utc::from_millis(second * 1_000));
        assert_eq!(clock.observe(now(0, 1_000), header(1_000)), None);
        assert_eq!(clock.observe(now(10, 1_010), header(1_100)), None);
        assert_eq!(clock.observe(now(20, 1_020), header(1_020)), None);
        for second in [30, 40] {
            let seen = now(second, 1_000 + i64::try_from(second).unwrap());
            assert_eq!(clock.observe(seen, header(1_090 + i64::try_from(second).unwrap())), None);
        }
        assert_eq!(clock.observe(now(50, 1_050), header(1_140)), Some(-90));
        assert_eq!(clock.at(now(50, 1_050)), Utc::from_millis(1_140_500));
    }
}
