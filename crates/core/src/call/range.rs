//! Ranges of time that somebody asks for, cut into windows that Microsoft takes. Pure.

use crate::activities;
use crate::audit::plan::{self, RETENTION, WINDOW_SPAN_MAX};
use crate::base::interval::Interval;
use crate::base::time::Utc;
use std::time::Duration;

/// "Seven days ago" is said some time before it is asked for.
const LATE: Duration = Duration::from_secs(5 * 60);

/// From a moment until another, exclusive: the time when content was made available, or when
/// activities were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first moment. At most 7 days ago for content, 180 for activities.
    pub since: Utc,
    /// The end. What is after now is left out.
    pub until: Utc,
}

/// Why a range cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Nothing lies in it.
    #[error("it ends at {until}, which is not after its start, {since}")]
    Reversed {
        /// Its start.
        since: Utc,
        /// Its end.
        until: Utc,
    },
    /// Microsoft does not list what is that old.
    #[error("it begins at {since}; Microsoft lists content for 7 days only, now from {oldest} on")]
    TooOld {
        /// Its start.
        since: Utc,
        /// The oldest moment that is listed now.
        oldest: Utc,
    },
    /// Microsoft does not keep activities that old.
    #[error("it begins at {since}; Microsoft keeps activities for 180 days, now from {oldest} on")]
    ActivitiesTooOld {
        /// Its start.
        since: Utc,
        /// The oldest moment that is searched now.
        oldest: Utc,
    },
    /// Nothing can be there yet.
    #[error("it begins at {since}, which has not come yet")]
    Future {
        /// Its start.
        since: Utc,
    },
}

impl Range {
    /// The windows to ask for at `now`, oldest first; they touch, and each is legal.
    pub(crate) fn windows(self, now: Utc) -> Result<Vec<Interval>, RangeError> {
        let Self { since, until } = self;
        if until <= since {
            return Err(RangeError::Reversed { since, until });
        }
        if since < now - RETENTION.kept - LATE {
            return Err(RangeError::TooOld { since, oldest: now - RETENTION.kept });
        }
        let (since_legal, until) = (
            since.max(plan::RETENTION.oldest(now)),
            until.min(crate::source::retention::horizon(now)),
        );
        if until <= since_legal {
            return match since_legal == since {
                true => Err(RangeError::Future { since }),
                false => Ok(Vec::new()),
            };
        }
        let mut windows = Vec::new();
        let mut start = since_legal;
        while start < until {
            let end = until.min(start + WINDOW_SPAN_MAX);
            windows.extend(Interval::new(start, end));
            start = end;
        }
        Ok(windows)
    }

    /// The interval to search for activities at `now`; `None` if all of it is gone by now.
    pub(crate) fn of_activities(self, now: Utc) -> Result<Option<Interval>, RangeError> {
        let Self { since, until } = self;
        if until <= since {
            return Err(RangeError::Reversed { since, until });
        }
        if now <= since {
            return Err(RangeError::Future { since });
        }
        let oldest = now - activities::plan::RETENTION.kept;
        if since < oldest - LATE {
            return Err(RangeError::ActivitiesTooOld { since, oldest });
        }
        Ok(Interval::new(since.max(oldest), until.min(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: Utc = Utc::from_millis(500 * HOUR);

    /// Windows of a range in hours from now, in minutes from now.
    fn windows(since: i64, until: i64) -> Result<Vec<(i64, i64)>, RangeError> {
        let at = |hours: i64| Utc::from_millis(NOW.as_millis() + hours * HOUR);
        let range = Range { since: at(since), until: at(until) };
        let windows = range.windows(NOW)?;
        let minutes = |utc: Utc| (utc.as_millis() - NOW.as_millis()) / 60_000;
        Ok(windows.iter().map(|window| (minutes(window.start), minutes(window.end))).collect())
    }

    #[test]
    fn a_range_is_covered_by_legal_windows_that_touch() {
        assert_eq!(windows(-3, -1), Ok(vec![(-180, -60)]));
        // Up to now: a second less, which rounds to nothing here.
        assert_eq!(windows(-24, 0), Ok(vec![(-1_440, -60), (-60, 0)]));
        let week = windows(-168, 5).unwrap();
        assert_eq!(week.len(), 8);
        assert_eq!(week.first().unwrap().0, -168 * 60 + 5, "within the margin");
        assert_eq!(week.last().unwrap().1, 0);
        for pair in week.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
        assert!(week.iter().all(|(start, end)| end - start <= 23 * 60));
    }

    #[test]
    fn what_cannot_be_listed_says_why() {
        assert!(matches!(windows(-169, 0), Err(RangeError::TooOld { .. })));
        assert!(matches!(windows(-1, -1), Err(RangeError::Reversed { .. })));
        assert!(matches!(windows(-1, -2), Err(RangeError::Reversed { .. })));
        assert!(matches!(windows(1, 2), Err(RangeError::Future { .. })));
    }
}
