//! Decides which window to list next. Pure: knows no HTTP, no clock and no blob.
//!
//! The rules are Microsoft's ("Office 365 Management Activity API reference", list available
//! content): `startTime` at most 7 days back, both times at most 24 hours apart.
//!
//! Newest first, for people who look at today; but what is about to fall out of retention goes
//! before all other backlog, or the oldest hours of a long one would be gone while newer ones,
//! which can wait, are read.
//!
//! What is covered is listed again in *rounds*: the last 23 h, and stretches of 23 h that are
//! numbered since the epoch and not from now. A window that moves with the clock is another one by
//! the time it was listed; a stretch can be said to have been made, in a few bytes, by a process
//! that lives for a minute.

use std::time::Duration;

use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;
use crate::source::retention::{self, OVERLAP, Retention, horizon};
use crate::source::urgency::Urgency;

/// The longest window. Microsoft allows 24 h, but has been seen to refuse exactly that.
pub(crate) const WINDOW_SPAN_MAX: Duration = Duration::from_secs(23 * 3_600);

/// For how long Microsoft lists content after it was created. A first run begins half an hour
/// later: time to sign in, to look at the subscriptions and to ask for the oldest window before it
/// is gone.
pub(crate) const RETENTION: Retention = Retention {
    kept: Duration::from_secs(7 * 86_400),
    margin: Duration::from_secs(5 * 60),
    begin_margin: Duration::from_secs(30 * 60),
    // Content expires so long after the first stamp of its id, and is created by the second.
    early: Duration::from_secs(2 * 3_600),
};

/// What will so soon be old enough that some of it may be gone goes before all other backlog.
pub(crate) const EXPIRING_SPAN: Duration = Duration::from_secs(2 * 3_600);

/// A window of the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub window: Interval,
    pub urgency: Urgency,
    /// In how long something of the backlog will be unable to wait.
    pub waits: Duration,
}

/// The next window of the backlog, of at most `span`: first what is about to expire, then the
/// newest gap. Where it touches what is listed, a little of that is listed again: content may have
/// come late to the last listing before a stop, however long ago that was.
///
/// Not the oldest that can be listed is the measure of what is about to expire, but the oldest that
/// is certain to be still there: a gap that reaches further back counts as lost.
pub(crate) fn backlog(
    listed: &IntervalSet,
    begin: Utc,
    oldest: Utc,
    now: Utc,
    span: Duration,
) -> Option<Gap> {
    let floor = begin.max(oldest);
    let gaps = retention::old_gaps(listed, floor, now);
    let (first, last) = (gaps.first()?, gaps.last()?);
    let overlapping = |gap: &Interval| (gap.start - OVERLAP).max(floor);
    let expiring = oldest + RETENTION.early + EXPIRING_SPAN / 2;
    if first.start < expiring {
        let start = overlapping(first);
        let end = first.end.min(expiring + EXPIRING_SPAN / 2).min(start + span);
        let window = Interval::new(start, end)?;
        return Some(Gap { window, urgency: Urgency::Soon, waits: Duration::ZERO });
    }
    let start = overlapping(last).max(last.end - span);
    let window = Interval::new(start, last.end)?;
    let waits = first.start.since(expiring) + Duration::from_millis(1);
    Some(Gap { window, urgency: Urgency::Backlog, waits })
}

/// Names what is listed again, to find content that came late: [`RECENT`], or a stretch of
/// [`WINDOW_SPAN_MAX`] by its number, counted since the epoch. Content has been seen to come five
/// days late.
pub(crate) type Round = i64;

/// [`WINDOW_SPAN_MAX`] in milliseconds.
const STRETCH_MS: i64 = 23 * 3_600_000;

/// The last [`WINDOW_SPAN_MAX`].
pub(crate) const RECENT: Round = 0;

/// How often [`RECENT`] is listed again.
pub(crate) const RECENT_EVERY: Duration = Duration::from_secs(30 * 60);

/// How often each other stretch of the retention is.
pub(crate) const STRETCH_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// The stretches that reach into the time from `oldest` to `now`, oldest first.
pub(crate) fn stretches(oldest: Utc, now: Utc) -> std::ops::RangeInclusive<Round> {
    let stretch = |moment: Utc| moment.as_millis().div_euclid(STRETCH_MS);
    stretch(oldest)..=stretch(now)
}

/// Where a stretch begins.
pub(crate) fn stretch_start(round: Round) -> Utc {
    Utc::from_millis(round.saturating_mul(STRETCH_MS))
}

/// When a round is due that was last made at `at`; `None` if it is not known. A stretch is first
/// due when it has ended and [`RECENT`] does not reach over it any more.
pub(crate) fn round_due(round: Round, at: Option<Utc>) -> Utc {
    let every = if round == RECENT { RECENT_EVERY } else { STRETCH_EVERY };
    at.unwrap_or_else(|| stretch_start(round)) + every
}

/// What a round lists, of what lies behind `floor`.
pub(crate) fn round(round: Round, floor: Utc, now: Utc) -> Option<Interval> {
    let horizon = horizon(now);
    let start = if round == RECENT { horizon - WINDOW_SPAN_MAX } else { stretch_start(round) };
    Interval::new(start.max(floor), horizon.min(start + WINDOW_SPAN_MAX))
}

/// What is left of `window` if retention reaches back to `oldest`.
pub(crate) fn clamp(window: Interval, oldest: Utc) -> Option<Interval> {
    Interval::new(window.start.max(oldest), window.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;

    fn hours(start: i64, end: i64) -> Interval {
        Interval::new(Utc::from_millis(start * HOUR), Utc::from_millis(end * HOUR)).unwrap()
    }

    fn now() -> Utc {
        Utc::from_millis(1_000 * HOUR) + Duration::from_secs(1)
    }

    fn legal(window: Interval, now: Utc) -> bool {
        window.start >= RETENTION.oldest(now)
            && window.end <= horizon(now)
            && window.end.since(window.start) <= WINDOW_SPAN_MAX
    }

    #[test]
    fn fresh_content_is_the_last_hour_with_some_overlap() {
        let nothing = IntervalSet::default();
        let window = RETENTION.fresh(&nothing, Utc::from_millis(0), now()).unwrap();
        assert_eq!(window.start, Utc::from_millis(999 * HOUR) - OVERLAP);
        assert_eq!(window.end, Utc::from_millis(1_000 * HOUR));
    }

    #[test]
    fn the_newest_gap_comes_first_unless_another_is_about_to_expire() {
        let begin = Utc::from_millis(0);
        let listed: IntervalSet = [hours(700, 900), hours(950, 1_000)].into_iter().collect();
        let backlog = |listed| {
            let gap = backlog(listed, begin, RETENTION.oldest(now()), now(), WINDOW_SPAN_MAX);
            gap.map(|gap| (gap.window, gap.urgency))
        };
        assert_eq!(backlog(&listed), Some((hours(927, 950), Urgency::Backlog)));
        let nothing = IntervalSet::default();
        let (window, urgency) = backlog(&nothing).unwrap();
        assert_eq!((window.start, urgency), (RETENTION.oldest(now()), Urgency::Soon));
    }

    #[test]
    fn what_retention_destroyed_is_named() {
        let covered: IntervalSet = [hours(0, 700), hours(900, 1_000)].into_iter().collect();
        let lost = RETENTION.lost(&covered, Utc::from_millis(0), now());
        assert_eq!(
            lost,
            [Interval { start: Utc::from_millis(700 * HOUR), end: RETENTION.oldest(now()) }]
        );
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60) * u32::try_from(minutes).unwrap()
    }

    fn hour(hour: i64) -> Utc {
        Utc::from_millis(hour * HOUR)
    }

    #[test]
    fn the_oldest_window_is_five_minutes_younger_than_a_week() {
        let week = minutes(7 * 24 * 60);
        let begin = |lookback| RETENTION.begin(lookback, now());
        assert_eq!(RETENTION.oldest(now()), now() - (week - minutes(5)));
        assert_eq!(RETENTION.certain(now()), now() - (week - minutes(120)));
        assert_eq!(begin(week * 2), now() - (week - minutes(35)), "time to ask for it");
        assert_eq!(begin(minutes(60)), now() - minutes(60));
        assert_eq!(horizon(now()), now() - Duration::from_secs(1));
        let window = |start| Interval::new(start, hour(2_000));
        assert_eq!(clamp(hours(900, 2_000), hour(950)), window(hour(950)));
        assert_eq!(clamp(hours(990, 2_000), hour(950)), window(hour(990)));
        assert_eq!(clamp(hours(900, 940), hour(940)), None);
    }

    #[test]
    fn ten_minutes_of_what_was_listed_are_listed_again() {
        let fresh = |listed: &[Interval], begin| {
            RETENTION.fresh(&listed.iter().copied().collect(), begin, now())
        };
        let listed = [hours(900, 999)];
        let window = fresh(&listed, hour(0)).unwrap();
        assert_eq!((window.start, window.end), (hour(999) - minutes(10), hour(1_000)));
        // Not what lies before the beginning.
        let window = fresh(&listed, hour(999) - minutes(3)).unwrap();
        assert_eq!(window.start, hour(999) - minutes(3));
        assert_eq!(fresh(&[hours(900, 1_000)], hour(0)), None);
    }

    #[test]
    fn what_may_be_gone_within_an_hour_is_listed_first() {
        let oldest = RETENTION.oldest(now());
        let certain = oldest + RETENTION.early;
        let first = |gap: Duration| {
            let listed = [
                Interval::new(oldest, certain + gap).unwrap(),
                Interval::new(oldest + minutes(600), hour(990)).unwrap(),
            ];
            let listed = listed.into_iter().collect();
            let gap = backlog(&listed, hour(0), oldest, now(), WINDOW_SPAN_MAX).unwrap();
            (gap.window, gap.urgency, gap.waits)
        };
        let millisecond = Duration::from_millis(1);
        let (window, urgency, _) = first(minutes(60) - millisecond);
        assert_eq!(urgency, Urgency::Soon);
        assert_eq!(window.start, certain + minutes(50) - millisecond);
        assert_eq!(window.end, certain + minutes(120));
        let (window, urgency, _) = first(minutes(60));
        assert_eq!((window.end, urgency), (hour(999), Urgency::Backlog));
        let (_, _, waits) = first(minutes(75));
        assert_eq!(waits, minutes(15) + millisecond);
    }

    #[test]
    fn a_stretch_is_23_hours_and_due_a_day_after_it_was_listed() {
        assert_eq!(stretch_start(3), hour(69));
        assert_eq!(stretches(hour(69) - Duration::from_millis(1), hour(69)), 2..=3);
        assert_eq!(round_due(3, None), hour(69 + 24));
        assert_eq!(round_due(3, Some(hour(500))), hour(524));
        assert_eq!(round_due(RECENT, Some(hour(500))), hour(500) + minutes(30));
        assert_eq!(round(3, hour(0), now()), Some(hours(69, 92)));
        assert_eq!(round(3, hour(70), now()), Some(hours(70, 92)));
        assert_eq!(round(3, hour(92), now()), None);
        assert_eq!(round(43, hour(0), now()), Some(hours(989, 1_000)), "as far as can be listed");
        assert_eq!(round(RECENT, hour(0), now()), Some(hours(977, 1_000)));
        assert_eq!(round(RECENT, hour(980), now()), Some(hours(980, 1_000)));
    }

    proptest! {
        /// Listing what the planner asks for, until it asks for nothing, covers everything; every
        /// window is legal, and a backlog window overlaps what is listed by [`OVERLAP`] at most: by
        /// all of it where it closes a gap to what was listed before.
        #[test]
        fn no_gap_little_overlap_always_legal(
            begin_h in 0i64..1_100,
            span_m in 15u32..1_380,
            covered in prop::collection::vec((800i64..1_000, 1i64..60), 0..6),
        ) {
            let now = now();
            let begin = Utc::from_millis(begin_h * HOUR);
            let mut listed: IntervalSet =
                covered.into_iter().map(|(start, span)| hours(start, start + span)).collect();
            if let Some(window) = RETENTION.fresh(&listed, begin, now) {
                prop_assert!(legal(window, now));
                listed.insert(window);
            }
            let mut windows = 0;
            let span = Duration::from_secs(60) * span_m;
            let oldest = RETENTION.oldest(now);
            while let Some(Gap { window, .. }) = backlog(&listed, begin, oldest, now, span) {
                prop_assert!(legal(window, now), "{window:?}");
                prop_assert!(window.end.since(window.start) <= span, "{window:?}");
                let gaps = listed.gaps(window);
                prop_assert_eq!(gaps.len(), 1);
                prop_assert_eq!(gaps[0].end, window.end);
                let overlap = gaps[0].start.since(window.start);
                prop_assert!(overlap <= OVERLAP);
                prop_assert!(
                    overlap == OVERLAP
                        || window.start == begin.max(RETENTION.oldest(now))
                        || window.end.since(window.start) == span
                );
                listed.insert(window);
                windows += 1;
                prop_assert!(windows < 2_100);
            }
            if let Some(range) = Interval::new(begin.max(RETENTION.oldest(now)), horizon(now)) {
                prop_assert_eq!(listed.gaps(range), vec![]);
            }
        }

        #[test]
        fn a_round_of_relisting_reaches_over_the_whole_retention(offset in 0i64..HOUR) {
            let now = now() + Duration::from_millis(offset.unsigned_abs());
            let round: IntervalSet = stretches(RETENTION.oldest(now), now)
                .filter_map(|number| round(number, RETENTION.oldest(now), now))
                .inspect(|window| assert!(legal(*window, now)))
                .collect();
            let range = Interval::new(RETENTION.oldest(now), horizon(now)).unwrap();
            prop_assert_eq!(round.gaps(range), vec![]);
        }
    }
}
