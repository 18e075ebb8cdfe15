//! Which time of a feed is settled: where the look-back began, what is covered, what retention has
//! destroyed. The same account for every feed. Plans nothing.
//!
//! A set of intervals and no cursor: a cursor says "everything before", which is false as soon as
//! one window fails.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::{Now, Utc};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::contract::history::HourRow;
use crate::contract::loss::LossKind;
use crate::contract::replay::Replay;
use crate::contract::state::{self, StateError, Stored};
use crate::source::account::Account;
use crate::source::again::Again;
use crate::source::desk::Desk;
use crate::source::keys::LaneKeys;
use crate::source::losses::Loss;
use crate::source::retention::{GAP_REPORTED_EVERY, Retention, horizon};

/// The stored part of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaneRecord {
    begin: i64,
    covered: Vec<(i64, i64)>,
    /// What stood here before `relisted` did. Not used.
    sweep: u32,
    /// What was listed again and settled, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relisted: Vec<(i64, i64)>,
    /// How long a window may be, in minutes; 0: as long as ever.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub span: u32,
}

/// Whether a number need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl LaneRecord {
    pub(crate) fn new(begin: Utc, covered: &IntervalSet) -> Self {
        let pair = |interval: Interval| (interval.start.as_millis(), interval.end.as_millis());
        Self {
            begin: begin.as_millis(),
            covered: covered.iter().map(pair).collect(),
            sweep: 0,
            relisted: Vec::new(),
            span: 0,
        }
    }

    pub(crate) const fn begin(&self) -> Utc {
        Utc::from_millis(self.begin)
    }

    pub(crate) fn covered(&self) -> IntervalSet {
        let interval = |(start, end): &(i64, i64)| {
            Interval::new(Utc::from_millis(*start), Utc::from_millis(*end))
        };
        self.covered.iter().filter_map(interval).collect()
    }
}

/// What is opened again is kept for so long at least: time to list it and to read it.
const REOPENED_MARGIN: Duration = Duration::from_secs(3_600);

const HOUR: Duration = Duration::from_secs(3_600);

fn hour_start(hour: i64) -> Utc {
    HourRow::new(hour).start()
}

/// A window may be listed so long after it was planned, and what was said of it before still holds.
const LISTED_LATE_MAX: Duration = Duration::from_secs(15 * 60);

/// The account of one feed.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    feed: Feed,
    retention: Retention,
    begin: Utc,
    covered: IntervalSet,
    /// What is delivered once more: neither covered nor missing.
    again: Again,
    /// Whether nothing was stored when it was loaded.
    is_new: bool,
    /// Whether it is to be stored.
    changed: bool,
    /// When a gap is reported that still grows.
    growing_gap_at: Duration,
    /// Up to where what is lost was told.
    lost_until: Utc,
    /// Since when the history says that more is covered than is so.
    forgotten: Option<Utc>,
    /// Whether a wrong clock may have noted what nobody can know yet.
    corrected: bool,
}

/// A look-back that reaches further than what is stored by less than this is not worth a word.
const IGNORED_MARGIN: Duration = Duration::from_secs(3_600);

impl Coverage {
    /// One that continues from `stored`, or begins `lookback` before `now`; and what is stored
    /// beside it.
    pub(crate) fn load(
        feed: Feed,
        keys: &LaneKeys,
        stored: &Stored,
        retention: Retention,
        lookback: Duration,
        now: Now,
    ) -> Result<(Self, LaneRecord), StateError> {
        let name = keys.lane();
        let found = stored.get(&name);
        let record = match found {
            Some(value) => state::decode::<LaneRecord>(&name, value)?,
            None => LaneRecord::new(retention.begin(lookback, now.wall), &IntervalSet::default()),
        };
        let coverage = Self {
            feed,
            retention,
            begin: record.begin(),
            covered: record.covered(),
            again: Again::load(keys, stored)?,
            is_new: found.is_none(),
            changed: found.is_none(),
            growing_gap_at: now.monotonic + GAP_REPORTED_EVERY,
            lost_until: Utc::MIN,
            forgotten: None,
            corrected: false,
        };
        Ok((coverage, record))
    }

    /// Where the stored state begins, if `lookback` reaches further back: that has no effect.
    pub(crate) fn ignores(&self, lookback: Duration, now: Utc) -> Option<Utc> {
        // Clocks differ a little.
        let wanted = self.retention.begin(lookback, now) + IGNORED_MARGIN;
        (!self.is_new && wanted < self.begin).then_some(self.begin)
    }

    /// Where the look-back began, or what has been settled since.
    pub(crate) const fn begin(&self) -> Utc {
        self.begin
    }

    /// Whether nothing was stored when it was loaded.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// The oldest moment that can still be asked for.
    pub(crate) fn oldest(&self, now: Utc) -> Utc {
        self.retention.oldest(now)
    }

    /// What is covered.
    pub(crate) const fn covered(&self) -> &IntervalSet {
        &self.covered
    }

    /// Notes that an interval is settled.
    pub(crate) fn cover(&mut self, interval: Interval, desk: &mut Desk) {
        self.covered.insert(interval);
        self.changed = true;
        self.again.close(interval);
        desk.history().note_covered(self.account(), interval);
    }

    /// What is delivered once more.
    pub(crate) const fn again(&mut self) -> &mut Again {
        &mut self.again
    }

    /// Opens whole hours again, as far as Microsoft keeps them for long enough. Answers which time
    /// that is.
    pub(crate) fn reopen(&mut self, replay: Replay, desk: &mut Desk, now: Utc) -> Option<Interval> {
        let oldest = self.begin.max(self.oldest(now) + REOPENED_MARGIN);
        // Of an hour that can be had in part, what cannot would be forgotten.
        let first = (oldest + (HOUR - Duration::from_millis(1))).hour().max(replay.from);
        let (start, end) = (hour_start(first), hour_start(replay.until).min(horizon(now)));
        let feed = self.feed;
        let Some(hours) = Interval::new(start, end) else {
            let (start, end) = (hour_start(replay.from), hour_start(replay.until));
            desk.tell(Event::Feed(feed, FeedEvent::ReplayRefused { start, end }));
            return None;
        };
        self.covered.forget(hours);
        self.again.open(hours);
        self.changed = true;
        desk.history().note_replay(feed, hours);
        desk.tell(Event::Feed(feed, FeedEvent::HoursReopened { start, end }));
        Some(hours)
    }

    /// What is covered, or was before it was opened again.
    fn known(&self, covered: &IntervalSet) -> IntervalSet {
        let mut known = covered.clone();
        self.again.hours().iter().for_each(|hours| known.insert(hours));
        known
    }

    /// What the history is to know.
    pub(crate) const fn account(&self) -> Account<'_> {
        let (feed, kept) = (self.feed, self.retention.kept);
        Account { feed, kept, begin: self.begin, covered: &self.covered }
    }

    /// Writes what of the history has changed.
    pub(crate) fn flush_history(&mut self, desk: &mut Desk, clock: Now, now: Utc) {
        if std::mem::take(&mut self.corrected) {
            desk.forget_future(self.feed, now.max(clock.wall));
        }
        if let Some(since) = self.forgotten.take().and_then(|since| Interval::new(since, now)) {
            desk.history().note_covered(self.account(), since);
        }
        self.again.flush(desk.changes());
        desk.flush_history(self.account(), clock, now);
    }

    /// What is after `moment` counts as not covered.
    pub(crate) fn forget_after(&mut self, moment: Utc) {
        self.covered.forget_after(moment);
        self.changed = true;
        self.forgotten = Some(self.forgotten.map_or(moment, |before| before.min(moment)));
    }

    /// Something is to be stored that stands beside it.
    pub(crate) const fn note_changed(&mut self) {
        self.changed = true;
    }

    /// The window of what is new, if `listed` is covered or under way.
    pub(crate) fn fresh(&self, listed: &IntervalSet, now: Utc) -> Option<Interval> {
        self.retention.fresh(listed, self.begin, now)
    }

    /// Whether retention may have destroyed something since the beginning.
    pub(crate) fn has_expired(&self, now: Utc) -> bool {
        self.begin < self.oldest(now)
    }

    /// Reports what retention has destroyed before it was asked for, once: of what is neither
    /// covered nor in `listed`. A gap that still grows waits for its end, so that it is reported
    /// whole, but not for ever. Answers how long what is lost was.
    pub(crate) fn settle_retention(
        &mut self,
        listed: &IntervalSet,
        desk: &mut Desk,
        now: Now,
        server_now: Utc,
    ) -> Duration {
        let oldest = self.oldest(server_now);
        // It was delivered before: that it cannot be once more is no loss.
        let late: Vec<_> = self.again.hours().iter().collect();
        for hours in late.into_iter().filter_map(|it| Interval::new(it.start, it.end.min(oldest))) {
            self.cover(hours, desk);
        }
        let listed = &self.known(listed);
        let growing_too = now.monotonic >= self.growing_gap_at;
        let mut lost = Duration::ZERO;
        for gap in self.retention.lost(listed, self.begin, server_now) {
            if gap.end == oldest && !growing_too {
                continue;
            }
            self.growing_gap_at = now.monotonic + GAP_REPORTED_EVERY;
            lost += self.lose_until(gap, desk, server_now);
            self.cover(gap, desk);
        }
        lost
    }

    /// A window was listed to its end. What of it was not covered before and is so old that some
    /// may have been gone already counts as lost: nobody can say that it is not. Not so what a
    /// first run begins with, which nobody has ever had. Answers how long what is lost was.
    pub(crate) fn note_listed(
        &mut self,
        window: Interval,
        desk: &mut Desk,
        server_now: Utc,
    ) -> Duration {
        let certain = self.retention.certain(server_now) - LISTED_LATE_MAX;
        let start = window.start.max(self.begin + self.retention.early).max(self.lost_until);
        let Some(old) = Interval::new(start, window.end.min(certain)) else {
            return Duration::ZERO;
        };
        let gaps = self.known(&self.covered).gaps(old);
        gaps.into_iter().map(|gap| self.lose_until(gap, desk, server_now)).sum()
    }

    /// A gap is lost, and with it what follows and may be gone before it can be asked for. Told
    /// and remembered in one piece. Answers how long it is.
    fn lose_until(&mut self, gap: Interval, desk: &mut Desk, server_now: Utc) -> Duration {
        let start = gap.start.max(self.lost_until);
        let certain = self.retention.certain(server_now);
        let follows = Interval::new(gap.end, certain);
        let known = self.known(&self.covered);
        let follows = follows.and_then(|time| known.gaps(time).first().copied());
        let end = match follows {
            Some(time) if time.start == gap.end => time.end,
            Some(_) | None => gap.end,
        };
        let Some(lost) = Interval::new(start, end) else { return Duration::ZERO };
        self.lost_until = end;
        desk.lose(Loss::of_time(LossKind::Gap, self.feed, lost, server_now));
        let (feed, kept) = (self.feed, self.retention.kept);
        desk.tell(Event::Feed(feed, FeedEvent::ListingGapError { start, end, kept }));
        end.since(start)
    }

    /// The service's clock is known, or known better: what was noted by a wrong one and lies in the
    /// future is taken back. `born` is when this collector began, by that clock.
    pub(crate) fn correct_time(&mut self, lookback: Duration, now: Utc, born: Utc) {
        let begun_by_wrong_clock = self.is_new && self.covered.last_end().is_none();
        if begun_by_wrong_clock || now < self.begin {
            self.begin = self.retention.begin(lookback, born);
            self.changed = true;
        }
        // What was told by a wrong clock says nothing of what is lost by the right one.
        self.lost_until = Utc::MIN;
        let horizon = horizon(now);
        if self.covered.last_end().is_some_and(|end| horizon < end) {
            self.forget_after(horizon);
            self.corrected = true;
        }
    }

    /// What is to be stored, if it has changed since the last time.
    pub(crate) fn take_changed(&mut self, now: Utc) -> Option<LaneRecord> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        if self.retention.lost(&self.covered, self.begin, now).is_empty() {
            // Everything before is settled: delivered, or reported as lost.
            self.begin = self.begin.max(self.oldest(now));
            self.covered.forget_before(self.begin);
        }
        Some(LaneRecord::new(self.begin, &self.covered))
    }

    /// What is not covered up to the horizon, and up to when it is.
    pub(crate) fn missing(&self, now: Utc) -> (IntervalSet, Utc) {
        let range = Interval::new(self.begin.max(self.oldest(now)), horizon(now));
        let gaps = range.map(|range| self.covered.gaps(range)).unwrap_or_default();
        (gaps.into_iter().collect(), self.covered.last_end().unwrap_or(self.begin))
    }

    /// Whether everything between the start of the look-back, or `oldest`, and `target` is settled.
    pub(crate) fn is_settled_until(&self, target: Utc, oldest: Utc) -> bool {
        Interval::new(self.begin.max(oldest), target)
            .is_none_or(|range| self.covered.gaps(range).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);
    const TICK: Duration = Duration::from_millis(1);
    const START: Utc = Utc::from_millis(1_772_323_200_000);

    fn load(stored: &Stored, lookback: Duration, early: Duration) -> Coverage {
        let (margin, begin_margin) = (Duration::ZERO, Duration::ZERO);
        let retention = Retention { kept: 7 * DAY, margin, begin_margin, early };
        let feed = Feed::ALL[0];
        let now = Now { monotonic: Duration::ZERO, wall: START };
        Coverage::load(feed, &LaneKeys::new(feed), stored, retention, lookback, now).unwrap().0
    }

    /// A first run that began so long before [`START`], of a service that keeps seven days.
    fn begun(lookback: Duration, early: Duration) -> Coverage {
        load(&Stored::new(), lookback, early)
    }

    /// What goes on from a time that is covered but for its end.
    fn continued(begin: Utc, covered: &[(Utc, Utc)]) -> Coverage {
        let covered = covered.iter().filter_map(|(start, end)| Interval::new(*start, *end));
        let record = LaneRecord::new(begin, &covered.collect());
        let key = LaneKeys::new(Feed::ALL[0]).lane();
        load(&Stored::from([(key, state::encode(&record))]), DAY, Duration::ZERO)
    }

    fn between(start: Utc, end: Utc) -> Interval {
        Interval::new(start, end).unwrap()
    }

    /// What retention is found to have destroyed, so long after [`START`] by both clocks.
    fn destroyed(coverage: &mut Coverage, desk: &mut Desk, after: Duration) -> Duration {
        let now = Now { monotonic: after, wall: START + after };
        coverage.settle_retention(&coverage.covered().clone(), desk, now, START + after)
    }

    #[test]
    fn a_lane_that_was_stored_before_rounds_were_is_read() {
        let old = r#"{"begin":5,"covered":[[5,9]],"sweep":3}"#;
        let record: LaneRecord = state::decode("lane/x", old).unwrap();
        assert_eq!(record.relisted, []);
        let mut record = LaneRecord::new(record.begin(), &record.covered());
        assert_eq!(state::encode(&record), r#"{"begin":5,"covered":[[5,9]],"sweep":0}"#);
        record.relisted.push((7, 8));
        record.span = 90;
        let text = state::encode(&record);
        assert_eq!(state::decode::<LaneRecord>("lane/x", &text), Ok(record), "{text}");
    }

    #[test]
    fn what_is_stored_is_where_it_goes_on() {
        let mut first = begun(DAY, Duration::ZERO);
        assert!(first.is_new() && first.begin() == START - DAY);
        assert_eq!(first.oldest(START), START - 7 * DAY);
        first.cover(between(START - DAY, START), &mut Desk::for_tests());
        let record = first.take_changed(START).unwrap();
        assert_eq!(first.take_changed(START), None, "nothing has changed since");
        assert_eq!((record.begin(), record.covered()), (START - DAY, first.covered().clone()));
        let mut next = continued(record.begin(), &[(START - DAY, START)]);
        assert!(!next.is_new() && next.covered() == first.covered());
        assert_eq!(next.take_changed(START), None, "it is as it is stored");
        next.note_changed();
        assert_eq!(next.take_changed(START), Some(record));
        next.forget_after(START - HOUR);
        let record = next.take_changed(START).unwrap();
        assert_eq!(record.covered().last_end(), Some(START - HOUR));
    }

    #[test]
    fn what_is_stored_begins_no_earlier_than_what_can_be_asked_for() {
        let covered = [(START - 9 * DAY, START - 8 * DAY), (START - 8 * DAY + HOUR, START)];
        let mut gap = continued(START - 9 * DAY, &covered);
        assert!(gap.has_expired(START));
        gap.note_changed();
        assert_eq!(gap.take_changed(START).unwrap().begin(), START - 9 * DAY, "not told yet");
        gap.cover(between(START - 8 * DAY, START - 8 * DAY + HOUR), &mut Desk::for_tests());
        let record = gap.take_changed(START).unwrap();
        assert_eq!(record.begin(), START - 7 * DAY);
        assert!(!gap.has_expired(START) && gap.has_expired(START + TICK));
        let mut young = continued(START - DAY, &[(START - DAY, START)]);
        young.note_changed();
        assert_eq!(young.take_changed(START).unwrap().begin(), START - DAY);
    }

    #[test]
    fn a_gap_that_grows_is_told_once_an_hour_and_one_that_does_not_at_once() {
        let mut desk = Desk::for_tests();
        let mut silent = begun(DAY, Duration::ZERO);
        // Since the beginning nothing was answered: a day of it is gone, and it grows.
        let now = |after| Now { monotonic: after, wall: START };
        let mut lost = |after, server_now| {
            silent.settle_retention(&IntervalSet::default(), &mut desk, now(after), server_now)
        };
        assert_eq!(lost(HOUR - TICK, START + 7 * DAY), Duration::ZERO);
        assert_eq!(lost(HOUR, START + 7 * DAY), DAY);
        assert_eq!(lost(2 * HOUR - TICK, START + 7 * DAY + HOUR), Duration::ZERO);
        assert_eq!(lost(2 * HOUR, START + 7 * DAY + HOUR), HOUR, "what came on top");
        let holes = [
            (START - 9 * DAY, START - 8 * DAY),
            (START - 8 * DAY + 2 * HOUR, START - 8 * DAY + 3 * HOUR),
            (START - 8 * DAY + 6 * HOUR, START),
        ];
        let mut coverage = continued(START - 9 * DAY, &holes);
        assert_eq!(destroyed(&mut coverage, &mut desk, Duration::ZERO), 5 * HOUR);
        assert_eq!(destroyed(&mut coverage, &mut desk, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_follows_a_gap_and_may_be_gone_before_its_time_is_lost_with_it() {
        let mut desk = Desk::for_tests();
        let mut open = begun(DAY, 3 * HOUR);
        assert_eq!(destroyed(&mut open, &mut desk, 7 * DAY), DAY + 3 * HOUR);
        // An hour after the gap is covered, so nothing beyond is lost with it.
        let mut closed = begun(DAY, 3 * HOUR);
        closed.cover(between(START, START + HOUR), &mut desk);
        assert_eq!(destroyed(&mut closed, &mut desk, 7 * DAY), DAY);
    }

    #[test]
    fn a_window_listed_late_says_nothing_of_what_may_have_been_gone() {
        let early = 3 * HOUR;
        let now = START + 30 * DAY;
        let certain = now - 7 * DAY + early;
        let lost = |begin: Utc, window: Interval| {
            let mut coverage = begun(START.since(begin), early);
            let mut desk = Desk::for_tests();
            let lost = coverage.note_listed(window, &mut desk, now);
            assert_eq!(coverage.note_listed(window, &mut desk, now), Duration::ZERO, "told once");
            lost
        };
        let at = |start| between(start, now);
        assert_eq!(lost(START - DAY, at(certain - 15 * MIN)), Duration::ZERO);
        assert_eq!(lost(START - DAY, at(certain - 15 * MIN - TICK)), 15 * MIN + TICK);
        assert_eq!(lost(START - DAY, between(now - 7 * DAY, certain - HOUR)), early);
        // What a first run begins with, nobody has ever had.
        let mut first = begun(DAY, early);
        let now = START + 6 * DAY;
        let whole = between(START - DAY, now);
        assert_eq!(first.note_listed(whole, &mut Desk::for_tests(), now), Duration::ZERO);
        let late = first.note_listed(whole, &mut Desk::for_tests(), now + HOUR);
        assert_eq!(late, HOUR, "what began after that is lost");
    }

    #[test]
    fn a_clock_that_was_wrong_moves_a_beginning_but_no_progress() {
        // By its own clock it began a year too late.
        let mut new = begun(DAY, Duration::ZERO);
        new.correct_time(DAY, START - 365 * DAY, START - 365 * DAY);
        assert_eq!(new.begin(), START - 366 * DAY);
        // What has progress keeps its beginning, unless that is still to come.
        let mut known = begun(DAY, Duration::ZERO);
        known.cover(between(START - DAY, START - HOUR), &mut Desk::for_tests());
        known.correct_time(2 * DAY, START, START);
        assert_eq!(known.begin(), START - DAY);
        for (now, moved) in [(START - DAY, false), (START - DAY - TICK, true)] {
            let mut stored = continued(START - DAY, &[]);
            stored.correct_time(DAY, now, now);
            assert_eq!(stored.begin() == now - DAY, moved);
            assert_eq!(stored.take_changed(now).is_some(), moved);
        }
        // Nothing is covered that is still to come.
        let horizon = START - Duration::from_secs(1);
        for (end, cut) in [(horizon, false), (horizon + TICK, true)] {
            let mut stored = continued(START - DAY, &[(START - DAY, end)]);
            stored.correct_time(DAY, START, START);
            assert_eq!(stored.covered().last_end(), Some(horizon));
            assert_eq!(stored.take_changed(START).is_some(), cut);
        }
    }

    #[test]
    fn what_is_missing_is_what_is_neither_covered_nor_gone() {
        let covered = [(START - 8 * DAY, START - DAY), (START - DAY + HOUR, START)];
        let coverage = continued(START - 8 * DAY, &covered);
        let (missing, until) = coverage.missing(START + HOUR);
        let end = START + HOUR - Duration::from_secs(1);
        let gaps = [between(START - DAY, START - DAY + HOUR), between(START, end)];
        assert_eq!((missing, until), (gaps.into_iter().collect(), START));
        assert!(coverage.is_settled_until(START - DAY, START - 7 * DAY));
        assert!(!coverage.is_settled_until(START, START - 7 * DAY));
        assert!(coverage.is_settled_until(START, START - DAY + HOUR), "the hole is gone by then");
        let fresh = coverage.fresh(coverage.covered(), START + HOUR).unwrap();
        assert_eq!(fresh, between(START - 10 * MIN, end));
        let none = begun(DAY, Duration::ZERO);
        assert_eq!(none.missing(START).1, START - DAY, "nothing is covered yet");
    }

    #[test]
    fn what_a_wrong_clock_called_lost_hides_no_loss_by_the_right_one() {
        let start = START;
        let now = Now { monotonic: Duration::ZERO, wall: start };
        let mut desk = Desk::for_tests();
        let mut coverage = begun(DAY, Duration::ZERO);
        let whole = Interval::new(start - DAY, start).unwrap();
        coverage.cover(whole, &mut desk);
        let mut lost = |coverage: &mut Coverage, days, server_now| {
            let now = Now { monotonic: days * DAY, ..now };
            coverage.settle_retention(&coverage.covered().clone(), &mut desk, now, server_now)
        };
        // A stranger's date, a year ahead: all up to a week before it is lost.
        assert_eq!(lost(&mut coverage, 1, start + 365 * DAY), 358 * DAY);
        coverage.correct_time(DAY, start, start);
        assert_eq!(coverage.covered().last_end(), Some(start - Duration::from_secs(1)));
        // Nine days without an answer: two of them are lost indeed, and told.
        let after = start + 9 * DAY;
        assert_eq!(lost(&mut coverage, 9, after), 2 * DAY + Duration::from_secs(1));
        assert_eq!(desk.losses().unacknowledged(), 1, "both in one piece");
    }
}
