//! Decides which interval of `created` is searched next. Pure: knows no HTTP and no clock.
//!
//! Microsoft keeps activities for 180 days, and says nothing of the longest interval: a search goes
//! on for as many pages as it takes.
//!
//! By `created` and half-open: by `timestamp`, what is stored late would be missed. Records are
//! known by `_id`, so that an interval can be searched as often as it takes.

use std::time::Duration;

use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;
use crate::source::retention::{self, Retention, horizon};

const DAY: Duration = Duration::from_secs(86_400);

/// For how long Microsoft keeps activities.
pub(crate) const RETENTION: Retention = Retention {
    kept: Duration::from_secs(180 * 86_400),
    margin: Duration::from_secs(3_600),
    begin_margin: Duration::from_secs(3_600),
    early: Duration::ZERO,
};

/// The longest interval of one search. Each search ends with a page that is not full, so few are
/// better than many; but one that has to be given up is begun anew.
const SPAN_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How often, and how far back, everything is searched again for activities that were found late.
pub(super) const RELISTS: [(Duration, Duration); 2] = [
    (Duration::from_secs(30 * 60), Duration::from_secs(2 * 3_600)),
    (Duration::from_secs(6 * 3_600), DAY),
];

/// For how long ids are remembered: longer than anything is searched again.
pub(super) const REACH: Duration = Duration::from_secs(25 * 3_600);

/// How often an answer is asked for that tells the time, until it is known.
pub(super) const GUESS_EVERY: Duration = Duration::from_secs(10);

/// What is searched to learn the time from the answer: as little as can be.
pub(super) fn guess(now: Utc) -> Interval {
    let start = horizon(now) - Duration::from_secs(1);
    Interval::new(start, horizon(now)).expect("it begins a second before it ends")
}

/// The next interval of the backlog, newest gap first, but what is about to be gone before all
/// else.
pub(super) fn backlog(listed: &IntervalSet, begin: Utc, now: Utc) -> Option<Interval> {
    let floor = begin.max(RETENTION.oldest(now));
    let gaps = retention::old_gaps(listed, floor, now);
    let (first, last) = (gaps.first()?, gaps.last()?);
    if first.start < RETENTION.oldest(now) + DAY {
        return Interval::new(first.start, first.end.min(first.start + SPAN_MAX));
    }
    Interval::new(last.start.max(last.end - SPAN_MAX), last.end)
}

/// What is searched again: the last `span`, as far as ids are remembered since `remembered`.
pub(super) fn relist(span: Duration, begin: Utc, remembered: Utc, now: Utc) -> Option<Interval> {
    let end = horizon(now);
    Interval::new((end - span).max(begin).max(remembered).max(RETENTION.oldest(now)), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::retention::FRESH_SPAN;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;

    fn hours(start: i64, end: i64) -> Interval {
        Interval::new(Utc::from_millis(start * HOUR), Utc::from_millis(end * HOUR)).unwrap()
    }

    proptest! {
        /// Searching what the planner asks for, until it asks for nothing, leaves no gap.
        #[test]
        fn no_gap_and_no_overlap(
            begin_h in 0i64..10_100,
            covered in prop::collection::vec((5_000i64..10_000, 1i64..900), 0..6),
        ) {
            let now = Utc::from_millis(10_000 * HOUR);
            let begin = Utc::from_millis(begin_h * HOUR);
            let mut listed: IntervalSet =
                covered.into_iter().map(|(start, span)| hours(start, start + span)).collect();
            if let Some(window) = RETENTION.fresh(&listed, begin, now) {
                prop_assert!(window.end <= horizon(now) && RETENTION.oldest(now) <= window.start);
                listed.insert(window);
            }
            let mut windows = 0;
            while let Some(window) = backlog(&listed, begin, now) {
                prop_assert!(RETENTION.oldest(now) <= window.start && window.end <= horizon(now));
                prop_assert_eq!(listed.gaps(window), vec![window]);
                listed.insert(window);
                windows += 1;
                prop_assert!(windows < 40);
            }
            if let Some(range) = Interval::new(begin.max(RETENTION.oldest(now)), horizon(now)) {
                prop_assert_eq!(listed.gaps(range), vec![]);
            }
        }
    }

    #[test]
    fn what_is_about_to_be_gone_comes_before_the_newest_gap() {
        let now = Utc::from_millis(10_000 * HOUR);
        let nothing = IntervalSet::default();
        assert_eq!(backlog(&nothing, Utc::MIN, now).unwrap().start, RETENTION.oldest(now));
        let recent = Utc::from_millis(9_000 * HOUR);
        assert_eq!(backlog(&nothing, recent, now).unwrap().end, horizon(now) - FRESH_SPAN);
    }

    fn hour(hour: i64) -> Utc {
        Utc::from_millis(hour * HOUR)
    }

    #[test]
    fn the_oldest_search_begins_an_hour_before_activities_are_gone() {
        let now = hour(10_000);
        let days = |days: i64| days * 24;
        assert_eq!(RETENTION.oldest(now), hour(10_000 - days(180) + 1));
        assert_eq!(
            RETENTION.begin(DAY * 365, now),
            hour(10_000 - days(180) + 2),
            "time to ask for it"
        );
        assert_eq!(RETENTION.begin(DAY, now), hour(10_000 - days(1)));
        let guessed = guess(now);
        assert_eq!(guessed.end, horizon(now));
        assert_eq!(guessed.end.since(guessed.start), Duration::from_secs(1));
        let covered = [hours(0, 5_700), hours(5_800, 10_000)].into_iter().collect();
        assert_eq!(RETENTION.lost(&covered, hour(5_650), now), []);
        let covered = [hours(0, 5_600), hours(5_640, 10_000)].into_iter().collect();
        assert_eq!(RETENTION.lost(&covered, hour(0), now), [hours(5_600, 5_640)]);
    }

    #[test]
    fn what_is_new_is_searched_with_ten_minutes_of_what_was_before() {
        let now = hour(10_000) + Duration::from_secs(1);
        let minutes = |minutes: u32| Duration::from_secs(60) * minutes;
        let start = |listed: &[Interval]| {
            let window = RETENTION.fresh(&listed.iter().copied().collect(), Utc::MIN, now)?;
            assert_eq!(window.end, hour(10_000));
            Some(window.start)
        };
        assert_eq!(start(&[]), Some(hour(9_999) - minutes(10)), "the last hour");
        let listed = Interval::new(hour(9_000), hour(10_000) - minutes(5)).unwrap();
        assert_eq!(start(&[listed]), Some(hour(10_000) - minutes(15)));
        assert_eq!(start(&[hours(9_000, 10_000)]), None);
    }

    #[test]
    fn gaps_are_searched_thirty_days_at_a_time_the_newest_end_first() {
        let now = hour(10_000) + Duration::from_secs(1);
        let next = |listed: &[Interval]| backlog(&listed.iter().copied().collect(), Utc::MIN, now);
        let listed = [hours(0, 6_000), hours(7_000, 9_999)];
        assert_eq!(next(&listed), Some(hours(7_000 - 720, 7_000)));
        // What is gone within a day goes first, from its beginning.
        let gone = RETENTION.oldest(now);
        let from = |start: Utc| {
            let listed = [Interval::new(hour(0), start).unwrap(), hours(7_000, 9_000)];
            next(&listed).unwrap()
        };
        let early = gone + DAY - Duration::from_millis(1);
        assert_eq!(from(early), Interval::new(early, early + DAY * 30).unwrap());
        assert_eq!(from(gone + DAY), hours(9_999 - 720, 9_999));
    }

    #[test]
    fn everything_late_is_searched_for_half_hourly_and_every_six_hours() {
        let hours = |hours: u64| Duration::from_secs(3_600 * hours);
        let expected = [(hours(1) / 2, hours(2)), (hours(6), hours(24))];
        assert_eq!(RELISTS, expected);
        assert_eq!(REACH, hours(25));
        let now = hour(10_000);
        let window = relist(hours(2), Utc::MIN, Utc::MIN, now).unwrap();
        assert_eq!((window.start, window.end), (horizon(now) - hours(2), horizon(now)));
    }

    #[test]
    fn nothing_is_searched_again_of_which_ids_are_forgotten() {
        let now = Utc::from_millis(10_000 * HOUR);
        let since = now - Duration::from_secs(60);
        assert_eq!(relist(DAY, Utc::MIN, since, now).unwrap().start, since);
        assert_eq!(relist(DAY, Utc::MIN, now, now), None);
        assert!(RELISTS.iter().all(|(_, span)| *span < REACH));
    }
}
