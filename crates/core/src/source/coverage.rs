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
use crate::source::again::Again;
use crate::source::desk::Desk;
use crate::source::history::Account;
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
        let oldest = self.oldest(now);
        // Everything before is settled: delivered, or reported as lost.
        if self.begin < oldest && self.retention.lost(&self.covered, self.begin, now).is_empty() {
            self.begin = oldest;
            self.covered.forget_before(oldest);
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
    fn what_a_wrong_clock_called_lost_hides_no_loss_by_the_right_one() {
        const DAY: Duration = Duration::from_secs(86_400);
        let retention = Retention {
            kept: 7 * DAY,
            margin: Duration::ZERO,
            begin_margin: Duration::ZERO,
            early: Duration::ZERO,
        };
        let feed = Feed::ALL[0];
        let start = Utc::from_millis(1_772_323_200_000);
        let now = Now { monotonic: Duration::ZERO, wall: start };
        let (mut desk, stored) = (Desk::for_tests(), Stored::new());
        let load = Coverage::load(feed, &LaneKeys::new(feed), &stored, retention, DAY, now);
        let (mut coverage, _) = load.unwrap();
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
