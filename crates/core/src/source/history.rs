//! What became of each hour of content created: counted here, stored in the commit of the progress
//! that it counts. Asks nobody, and decides nothing.
//!
//! A count of which nothing else in a commit depends (a blob that was listed, the time of the last
//! listing) waits for the next one that counts, or for [`WAITS_MAX`]: it would be most of what an
//! idle feed writes. What waits is lost in a crash, and so is what it counts: it is listed again.
//!
//! Rows to which nothing can be added any more are closed, and held no longer; what is counted of
//! such an hour all the same stands beside its row. So memory is bounded by retention, and nobody
//! needs the rows of a year to go on.

use std::time::Duration;

use crate::base::flat_map::FlatMap;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::{Now, Utc};
use crate::contract::feed::Feed;
use crate::contract::history::{
    FeedHistory, HISTORY, HourRow, head_key, hour_of, hours_of, is_past, last_hours_of, parse_row,
    row_key,
};
use crate::contract::state::{Changes, StateError, Stored};
use crate::source::account::{Account, Taken};
use crate::source::keys::below;
use crate::source::losses::Loss;

/// For how long a count waits to be stored on which nothing depends.
const WAITS_MAX: Duration = Duration::from_secs(10 * 60);

/// An hour that was listed again without news is listed every half hour for a day. That is noted
/// once a day, or it would be half of what an idle feed writes.
const LISTED_EVERY: Duration = Duration::from_secs(20 * 3_600);

/// Rows are closed so long after Microsoft has forgotten what they are of.
const CLOSED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// Rows that one commit closes, or deletes, at the most.
const STEP_MAX: i64 = 48;

/// Rows of so many hours before the beginning are deleted like others when they are old.
const EARLY_HOURS: i64 = 9_600;

/// The history of all feeds.
#[derive(Debug)]
pub(crate) struct History {
    /// For how many hours it is kept; 0: there is none.
    keep: i64,
    /// What is counted of hours whose row is not at hand stands under this number.
    part: u64,
    /// Whether nothing waits.
    hurried: bool,
    feeds: FlatMap<Feed, Book>,
}

/// A row that has changed.
#[derive(Debug)]
struct Open {
    row: HourRow,
    /// Whether it is stored with the next commit.
    due: bool,
}

/// The history of one feed.
#[derive(Debug, Default)]
struct Book {
    head: Option<FeedHistory>,
    /// The head as it is stored.
    written: Option<FeedHistory>,
    /// Nothing is counted of what was created before.
    since: Option<Utc>,
    /// Rows as they are stored, by hour and part.
    rows: FlatMap<(i64, u64), Box<str>>,
    /// Those of them that have changed since.
    open: FlatMap<(i64, u64), Open>,
    /// What was listed again after its hour was over, and brought nothing new.
    checked: IntervalSet,
    /// When what waits is stored.
    stored_at: Duration,
}

impl Book {
    fn load(feed: Feed, stored: &Stored) -> Result<Self, StateError> {
        let head = FeedHistory::find(stored, feed)?;
        let mut found = Self { written: head.clone(), head, ..Self::default() };
        for (key, tail, value) in below(stored, format!("{HISTORY}{feed}/")) {
            if is_past(key, value) {
                continue;
            }
            let (hour, part) = parse_row(key, tail)?;
            HourRow::decode(key, hour, value)?;
            found.rows.insert((hour, part), value.into());
        }
        Ok(found)
    }

    /// Under which number an hour is counted.
    fn part_of(&self, hour: i64, part: u64) -> u64 {
        let floor = self.head.as_ref().map_or(0, |head| head.floor);
        let at_hand = floor <= hour
            || self.rows.contains_key(&(hour, 0))
            || self.open.contains_key(&(hour, 0));
        if at_hand { 0 } else { part }
    }

    /// What a row says by now.
    fn row_now(&self, hour: i64, part: u64) -> HourRow {
        match self.open.get(&(hour, part)) {
            Some(open) => open.row.clone(),
            None => self.read(hour, part),
        }
    }

    fn read(&self, hour: i64, part: u64) -> HourRow {
        match self.rows.get(&(hour, part)) {
            // It could be read when it was loaded, or was written here.
            Some(value) => HourRow::decode("", hour, value).unwrap_or_else(|_| HourRow::new(hour)),
            None => HourRow::new(hour),
        }
    }

    /// The row of an hour, to be changed. `due`: it is stored with the next commit.
    fn row(&mut self, hour: i64, part: u64, due: bool) -> &mut HourRow {
        let part = self.part_of(hour, part);
        // Content has been seen to be listed just before its window, and losses to be told late.
        if let Some(head) = &mut self.head {
            head.pruned = head.pruned.min(hour.max(hour_of(head.begin) - EARLY_HOURS));
        }
        if !self.open.contains_key(&(hour, part)) {
            // Whoever reads takes an hour without a row for one that nobody has looked at.
            let new = !self.rows.contains_key(&(hour, part));
            let row = self.read(hour, part);
            self.open.insert((hour, part), Open { row, due: new });
        }
        let open = self.open.get_mut(&(hour, part)).expect("it was just put there");
        open.due |= due;
        &mut open.row
    }

    /// Whether the content of a moment is counted.
    fn counts(&self, created: Utc) -> bool {
        self.since.is_none_or(|since| since <= created)
    }

    /// The last hour that there is a row of.
    fn newest(&self) -> Option<i64> {
        let stored = self.rows.last().map(|(key, _)| key.0);
        stored.max(self.open.last().map(|(key, _)| key.0))
    }

    /// Rows of hours before `floor`, to which nothing can be added any more, are written once more
    /// and held no longer.
    fn close(&mut self, floor: i64) {
        let Some(head) = &mut self.head else { return };
        let step = usize::try_from(STEP_MAX).unwrap_or(usize::MAX);
        let ended = self.rows.keys().copied().take_while(|key| *key < (floor, 0));
        let ended: Vec<_> = ended.filter(|(_, part)| *part == 0).take(step).collect();
        let closed_until = match ended.last() {
            Some((hour, _)) if ended.len() == step => hour + 1,
            Some(_) | None => floor,
        };
        head.floor = head.floor.max(closed_until);
        for (hour, part) in ended {
            // One of which a blob may still be read stays at hand.
            if self.row_now(hour, part).blobs_quarantined == 0 {
                self.row(hour, part, true).closed = true;
            }
        }
    }

    /// Deletes rows of hours before `hour`, whether or not there are any.
    fn prune(&mut self, feed: Feed, hour: i64, changes: &mut Changes) {
        let Some(head) = &mut self.head else { return };
        let end = hour.min(head.pruned.saturating_add(STEP_MAX));
        for gone in head.pruned..end {
            changes.delete(row_key(feed, gone, 0));
            self.open.remove(&(gone, 0));
            self.rows.remove(&(gone, 0));
        }
        head.pruned = head.pruned.max(end);
        let first = head.pruned;
        while self.rows.first().is_some_and(|((hour, _), _)| *hour < first)
            && let Some(((hour, part), _)) = self.rows.pop_first()
        {
            changes.delete(row_key(feed, hour, part));
        }
    }

    fn write(&mut self, feed: Feed, all: bool, changes: &mut Changes) {
        self.open.retain(|&(hour, part), Open { row, due }| {
            if !(all || *due) {
                return true;
            }
            let value = row.encode();
            if row.closed {
                self.rows.remove(&(hour, part));
            } else {
                self.rows.insert((hour, part), value.as_str().into());
            }
            changes.put(row_key(feed, hour, part), value);
            false
        });
    }
}

impl History {
    /// One that goes on from `stored`, and is kept for so many hours. `seed` is random.
    pub(crate) fn load(stored: &Stored, keep: i64, seed: u128) -> Result<Self, StateError> {
        let mut feeds = FlatMap::default();
        for feed in Feed::ALL {
            feeds.insert(feed, Book::load(feed, stored)?);
        }
        // Short, and never 0, which is the row itself.
        let part = u64::try_from(seed & 0xffff_ffff).unwrap_or_default() | 1;
        Ok(Self { keep, part, hurried: false, feeds })
    }

    /// Nothing waits any more to be stored: nobody knows for how long the process lives.
    pub(crate) const fn hurry(&mut self) {
        self.hurried = true;
    }

    fn feed(&mut self, feed: Feed) -> Option<&mut Book> {
        self.feeds.get_mut(&feed).filter(|_| self.keep > 0)
    }

    /// The row of the hour of a moment, if it is counted.
    fn row_at(&mut self, feed: Feed, created: Utc, due: bool) -> Option<&mut HourRow> {
        let part = self.part;
        let feed = self.feed(feed).filter(|feed| feed.counts(created))?;
        Some(feed.row(hour_of(created), part, due))
    }

    /// A feed goes on. What was collected before there was a history is not counted: `account` is
    /// that of an earlier version then. `blobs` are those that the state knows and that are not
    /// settled: when they were created, and whether they are set aside. Others that were listed
    /// before a crash are not known any more, and will be listed again.
    pub(crate) fn resume(
        &mut self,
        account: Account<'_>,
        is_new: bool,
        blobs: impl Iterator<Item = (Utc, bool)>,
    ) {
        let part = self.part;
        let Some(feed) = self.feed(account.feed) else { return };
        feed.since = match &feed.head {
            Some(head) => head.resumed.then_some(head.begin),
            None if is_new => None,
            // Nothing was called delivered before: so there is nothing that would be missing.
            None => account.covered.last_end(),
        };
        let mut known = FlatMap::<i64, (u64, u64)>::default();
        for (created, set_aside) in blobs.filter(|(created, _)| feed.counts(*created)) {
            let (listed, quarantined) =
                known.get_or_insert_with(hour_of(created), Default::default);
            *listed += 1;
            *quarantined += u64::from(set_aside);
        }
        for hour in feed.rows.keys().filter(|(_, part)| *part == 0).map(|(hour, _)| *hour) {
            known.get_or_insert_with(hour, Default::default);
        }
        for (hour, (listed, quarantined)) in known.into_entries() {
            let row = feed.read(hour, 0);
            let listed = row.blobs_delivered + row.blobs_lost + listed;
            if (row.blobs_listed, row.blobs_quarantined) != (listed, quarantined) {
                let row = feed.row(hour, part, false);
                (row.blobs_listed, row.blobs_quarantined) = (listed, quarantined);
            }
        }
    }

    // Listings.

    /// A blob was named that was not known.
    pub(crate) fn note_blob(&mut self, feed: Feed, created: Utc, now: Utc) {
        if let Some(row) = self.row_at(feed, created, false) {
            row.blobs_listed += 1;
        }
        self.note_news(feed, created, now);
    }

    /// Something was named that was not known.
    pub(crate) fn note_news(&mut self, feed: Feed, created: Utc, now: Utc) {
        if let Some(row) = self.row_at(feed, created, false) {
            row.last_news = row.last_news.max(Some(now));
            row.checked = false;
            let hour = Interval { start: row.start(), end: row.end() };
            if let Some(feed) = self.feed(feed) {
                feed.checked.forget(hour);
            }
        }
    }

    /// All of `window` was listed, by requests of which the first was sent at `begun`.
    pub(crate) fn note_listed(&mut self, account: Account<'_>, window: Interval, begun: Utc) {
        let part = self.part;
        let Some(feed) = self.feed(account.feed) else { return };
        for hour in hours_of(window) {
            let whole = HourRow::new(hour);
            if whole.end() <= feed.since.unwrap_or(Utc::MIN) {
                continue;
            }
            let known = feed.row_now(hour, 0);
            if known.checked && known.last_listed.is_some_and(|at| begun < at + LISTED_EVERY) {
                continue;
            }
            let row = feed.row(hour, part, false);
            row.first_listed = row.first_listed.or(Some(begun));
            row.last_listed = row.last_listed.max(Some(begun));
            // What is stored of a moment is its second.
            let second = |at: Utc| at.as_millis().div_euclid(1_000);
            let news = row.last_news.is_some_and(|at| second(begun) <= second(at));
            if news || !row.covered || row.checked || begun < row.end() {
                continue;
            }
            let (start, end) = (row.start(), row.end());
            if let Some(listed) = Interval::new(window.start.max(start), window.end.min(end)) {
                feed.checked.insert(listed);
            }
            let looked_at = Interval::new(start.max(account.begin), end);
            if looked_at.is_none_or(|hour| feed.checked.gaps(hour).is_empty()) {
                feed.row(hour, part, true).checked = true;
                feed.checked.forget(Interval { start, end });
            }
        }
    }

    /// `window` counts as covered now, or does no longer.
    pub(crate) fn note_covered(&mut self, account: Account<'_>, window: Interval) {
        let (part, keep) = (self.part, self.keep);
        let Some(feed) = self.feed(account.feed) else { return };
        for hour in last_hours_of(window, keep) {
            let whole = HourRow::new(hour);
            if whole.end() <= feed.since.unwrap_or(Utc::MIN) {
                continue;
            }
            let range = Interval::new(whole.start().max(account.begin), whole.end());
            let covered = range.is_none_or(|range| account.covered.gaps(range).is_empty());
            if feed.row_now(hour, 0).covered != covered {
                let row = feed.row(hour, part, true);
                (row.covered, row.checked) = (covered, row.checked && covered);
            }
        }
    }

    /// A wrong clock has noted time as lost or listed that lies behind `moment`, which may be wrong
    /// as well: what was counted there stays.
    pub(crate) fn forget_future(&mut self, feed: Feed, moment: Utc, changes: &mut Changes) {
        let name = feed;
        let Some(feed) = self.feed(feed) else { return };
        let first = (hour_of(moment) + 1, 0);
        let keys = feed.rows.keys_since(&first).chain(feed.open.keys_since(&first));
        let mut gone: Vec<_> = keys.copied().collect();
        gone.retain(|(hour, part)| feed.row_now(*hour, *part).is_uncounted());
        for (hour, part) in gone {
            feed.open.remove(&(hour, part));
            feed.rows.remove(&(hour, part));
            changes.delete(row_key(name, hour, part));
        }
    }

    // Delivery.

    /// The host has taken records.
    pub(crate) fn note_taken(&mut self, feed: Feed, created: Utc, taken: Taken, now: Utc) {
        if taken == Taken::default() {
            return;
        }
        if let Some(row) = self.row_at(feed, created, true) {
            row.records_delivered += taken.records;
            row.bytes += taken.bytes;
            row.records_filtered += taken.filtered;
            row.records_deduplicated += taken.deduplicated;
            row.last_delivered = row.last_delivered.max(Some(now));
            for (at, records) in taken.happened {
                row.delays.note(now.since(at), records);
            }
        }
    }

    /// The host has taken the last of a blob.
    pub(crate) fn note_delivered(&mut self, feed: Feed, created: Utc, now: Utc) {
        if let Some(row) = self.row_at(feed, created, true) {
            row.blobs_delivered += 1;
            row.last_delivered = row.last_delivered.max(Some(now));
        }
    }

    /// A blob was set aside.
    pub(crate) fn note_set_aside(&mut self, feed: Feed, created: Utc) {
        if let Some(row) = self.row_at(feed, created, true) {
            row.blobs_quarantined += 1;
        }
    }

    /// A blob that was set aside is read, or lost.
    pub(crate) fn note_recovered(&mut self, feed: Feed, created: Utc) {
        if let Some(row) = self.row_at(feed, created, true) {
            row.blobs_quarantined = row.blobs_quarantined.saturating_sub(1);
        }
    }

    /// Something was lost, in the hours in which it was created.
    pub(crate) fn note_loss(&mut self, loss: &Loss) {
        let (part, keep) = (self.part, self.keep);
        let interval = loss.created.and_then(|(start, end)| Interval::new(start, end));
        let (Some(name), Some(time)) = (loss.feed, interval) else { return };
        let Some(feed) = self.feed(name).filter(|_| loss.count > 0) else { return };
        let mut first = true;
        for hour in last_hours_of(time, keep) {
            let row = feed.row(hour, part, true);
            let count = if std::mem::take(&mut first) { loss.count } else { 0 };
            row.lose(loss.kind, count, time);
        }
    }

    /// Hours were opened again, to be delivered once more.
    pub(crate) fn note_replay(&mut self, feed: Feed, hours: Interval) {
        let part = self.part;
        let Some(feed) = self.feed(feed) else { return };
        for hour in hours_of(hours) {
            let row = feed.row(hour, part, true);
            row.replays += 1;
            (row.covered, row.checked) = (false, false);
        }
        feed.checked.forget(hours);
    }

    // State.

    /// Writes what has changed since the last time. `now` is Microsoft's time; `now.wall` may be
    /// wrong as well, so the earlier one says what is old.
    pub(crate) fn flush(
        &mut self,
        account: Account<'_>,
        clock: Now,
        now: Utc,
        changes: &mut Changes,
    ) {
        let (keep, hurried) = (self.keep, self.hurried);
        let Some(feed) = self.feeds.get_mut(&account.feed) else { return };
        let newest = feed.newest().unwrap_or(i64::MIN);
        let hour = hour_of(now).min(hour_of(clock.wall).max(newest));
        if keep == 0 {
            let pruned = feed.head.as_ref().is_some_and(|head| head.pruned >= hour);
            feed.prune(account.feed, hour + 2, changes);
            if pruned {
                changes.delete(head_key(account.feed));
                (feed.head, feed.written) = (None, None);
            }
            return;
        }
        let begin = account.begin;
        match &mut feed.head {
            // Only a clock that was wrong had it begin later.
            Some(head) if begin < head.begin && feed.since.is_none() => head.begin = begin,
            Some(_) => {}
            None if account.covered.last_end().is_none() && feed.since.is_none() => {}
            None => {
                let begin = feed.since.unwrap_or(begin);
                let first = feed.rows.keys().chain(feed.open.keys()).map(|(hour, _)| *hour).min();
                let pruned = hour_of(begin).min(first.unwrap_or(i64::MAX));
                feed.head = Some(FeedHistory {
                    feed: account.feed,
                    begin,
                    kept: account.kept,
                    resumed: feed.since.is_some(),
                    floor: 0,
                    pruned,
                });
            }
        }
        let closed = i64::try_from((account.kept + CLOSED_AFTER).as_secs() / 3_600);
        feed.close(hour - closed.unwrap_or(i64::MAX / 2));
        feed.prune(account.feed, hour.saturating_sub(keep), changes);
        let all = hurried || feed.stored_at <= clock.monotonic;
        if all {
            feed.stored_at = clock.monotonic + WAITS_MAX;
        }
        feed.write(account.feed, all, changes);
        // Not what has changed here: a row of an early hour has moved it since the last commit.
        if feed.head != feed.written {
            feed.written.clone_from(&feed.head);
            if let Some(head) = &feed.head {
                changes.put(head_key(account.feed), head.encode());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::history::HourStanding;
    use crate::contract::loss::LossKind;

    const HOUR: Duration = Duration::from_secs(3_600);
    const FEED: Feed = Feed::ALL[3];
    const KEPT: Duration = Duration::from_secs(7 * 86_400);
    const FIRST: i64 = 490_000;

    fn at(minutes: u64) -> Utc {
        HourRow::new(FIRST).start() + Duration::from_secs(60 * minutes)
    }

    fn span(from: u64, until: u64) -> Interval {
        Interval::new(at(from), at(until)).unwrap()
    }

    /// A history over a state, in which all of a time is covered.
    struct Bench {
        history: History,
        stored: Stored,
        covered: IntervalSet,
        keep: i64,
    }

    impl Bench {
        fn new(keep: i64) -> Self {
            let history = History::load(&Stored::new(), keep, 7).unwrap();
            Self { history, stored: Stored::new(), covered: IntervalSet::default(), keep }
        }

        fn with<R>(&mut self, act: impl FnOnce(&mut History, Account<'_>) -> R) -> R {
            let covered = &self.covered;
            let account = Account { feed: FEED, kept: KEPT, begin: at(0), covered };
            act(&mut self.history, account)
        }

        /// Lists a time, and covers it.
        fn list(&mut self, window: Interval, begun: Utc) {
            self.with(|history, account| history.note_listed(account, window, begun));
            self.covered.insert(window);
            self.with(|history, account| history.note_covered(account, window));
        }

        /// Commits; answers the keys that were written.
        fn flush(&mut self, now: Utc) -> Vec<String> {
            let monotonic = now.since(at(0));
            let mut changes = Changes::default();
            self.with(|history, account| {
                history.flush(account, Now { monotonic, wall: now }, now, &mut changes);
            });
            let commit = changes.take();
            let keys = commit.changes.keys().cloned().collect();
            commit.apply(&mut self.stored);
            keys
        }

        /// A new process goes on, knowing these blobs.
        fn crash(&mut self, blobs: &[(Utc, bool)]) {
            self.history = History::load(&self.stored, self.keep, 11).unwrap();
            let blobs = blobs.to_vec();
            self.with(|history, account| history.resume(account, false, blobs.into_iter()));
        }

        fn hour(&self, hour: i64, now: Utc) -> (HourRow, HourStanding) {
            let feed = FeedHistory::find(&self.stored, FEED).unwrap().unwrap();
            let start = HourRow::new(FIRST + hour).start();
            let mut hours = feed.hours(&self.stored, start, start + HOUR, now);
            hours.next().unwrap().unwrap()
        }
    }

    #[test]
    fn what_was_listed_before_a_crash_and_not_delivered_is_counted_once() {
        let mut bench = Bench::new(9_600);
        let taken = Taken { records: 3, bytes: 30, ..Taken::default() };
        for blob in 1..=3 {
            bench.history.note_blob(FEED, at(blob), at(20));
        }
        bench.list(span(0, 15), at(20));
        bench.history.note_taken(FEED, at(1), taken, at(21));
        bench.history.note_delivered(FEED, at(1), at(21));
        bench.history.note_set_aside(FEED, at(2));
        bench.flush(at(21));
        let row = bench.hour(0, at(22)).0;
        assert_eq!((row.blobs_listed, row.blobs_delivered, row.blobs_quarantined), (3, 1, 1));
        assert_eq!((row.blobs_waiting(), row.records_delivered, row.bytes), (1, 3, 30));
        bench.crash(&[(at(2), true)]);
        bench.history.note_blob(FEED, at(3), at(30));
        bench.history.note_recovered(FEED, at(2));
        for blob in [2, 3] {
            bench.history.note_delivered(FEED, at(blob), at(31));
        }
        bench.flush(at(31));
        let row = bench.hour(0, at(32)).0;
        assert_eq!((row.blobs_listed, row.blobs_delivered, row.blobs_quarantined), (3, 3, 0));
        assert_eq!(row.first_listed, Some(at(20)));
        assert_eq!(row.last_delivered, Some(at(31)));
    }

    #[test]
    fn an_hour_is_settled_only_if_it_was_listed_again_without_news() {
        let late = at(0) + KEPT + HOUR;
        let mut bench = Bench::new(9_600);
        bench.list(span(0, 60), at(50));
        bench.list(span(0, 70), at(61));
        bench.flush(at(61));
        assert!(bench.hour(0, late).0.checked);
        // Something new is there.
        bench.history.note_blob(FEED, at(30), at(90));
        bench.history.note_delivered(FEED, at(30), at(90));
        bench.list(span(0, 70), at(89));
        bench.flush(at(91));
        assert_eq!(bench.hour(0, late).1, HourStanding::Incomplete);
        // Half of it, by one process; the other half by the next, which must begin anew.
        bench.list(span(0, 30), at(100));
        bench.flush(at(101));
        bench.crash(&[]);
        bench.list(span(30, 60), at(110));
        bench.flush(at(111));
        assert_eq!(bench.hour(0, late).1, HourStanding::Incomplete);
        bench.list(span(0, 40), at(120));
        bench.flush(at(121));
        assert_eq!(bench.hour(0, late).1, HourStanding::Settled);
        assert_eq!(bench.hour(0, at(180)).1, HourStanding::Open);
    }

    #[test]
    fn an_hour_before_the_beginning_outlives_a_crash() {
        let mut bench = Bench::new(9_600);
        bench.list(span(0, 60), at(61));
        bench.flush(at(61));
        let early = at(0) - Duration::from_secs(600);
        bench.history.note_blob(FEED, early, at(70));
        bench.history.note_delivered(FEED, early, at(70));
        bench.flush(at(71));
        bench.crash(&[]);
        bench.flush(at(72));
        assert_eq!(bench.hour(-1, at(73)).0.blobs_delivered, 1);
    }

    #[test]
    fn an_idle_feed_writes_its_history_seldom() {
        let mut bench = Bench::new(9_600);
        let mut written = 0;
        for minute in 1..=120 {
            bench.list(span(minute.max(11) - 11, minute), at(minute));
            written += bench.flush(at(minute)).len();
        }
        assert!(written <= 30, "{written} in two hours");
        bench.history.hurry();
        bench.list(span(110, 121), at(121));
        assert_eq!(bench.flush(at(121)).len(), 2, "both hours");
    }

    #[test]
    fn losses_stand_in_the_hours_in_which_they_happened() {
        let mut bench = Bench::new(9_600);
        bench.list(span(0, 300), at(301));
        let gap = Loss::of_time(LossKind::Gap, FEED, span(90, 200), at(310));
        bench.history.note_loss(&gap);
        let dropped = Loss::of_time(LossKind::RecordsDropped, FEED, span(250, 251), at(310));
        bench.history.note_loss(&Loss { count: 4, ..dropped.clone() });
        bench.history.note_loss(&Loss { count: 0, ..dropped });
        bench.flush(at(311));
        let gaps = [0, 1, 2, 3, 4].map(|hour| bench.hour(hour, at(311)).0.gap.as_secs() / 60);
        assert_eq!(gaps, [0, 30, 60, 20, 0]);
        let (row, standing) = bench.hour(4, at(311));
        assert_eq!((row.records_dropped, standing), (4, HourStanding::Lost));
        assert_eq!(row.causes.iter().collect::<Vec<_>>(), [LossKind::RecordsDropped]);
        assert_eq!(bench.hour(0, at(311)).1, HourStanding::Open);
    }

    #[test]
    fn hours_that_are_over_leave_memory_and_stay_in_the_store() {
        let mut bench = Bench::new(9_600);
        for day in 0..12 {
            let from = day * 1_440;
            bench.list(span(from, from + 1_440), at(from + 1_440));
            for _ in 0..9 {
                bench.flush(at(from + 1_441));
            }
        }
        let held = bench.history.feeds.get(&FEED).unwrap().rows.len();
        assert!(held <= 8 * 24 + 1, "{held} rows");
        let past = bench.stored.iter().filter(|(key, value)| is_past(key, value));
        let past: Vec<String> = past.map(|(key, _)| key.clone()).collect();
        assert_eq!(past.len(), 12 * 24 - held);
        // A store that does not load them; and something that comes late all the same.
        let kept = bench.stored.clone();
        past.iter().for_each(|key| drop(bench.stored.remove(key)));
        bench.crash(&[]);
        bench.history.note_delivered(FEED, at(70), at(12 * 1_440));
        bench.flush(at(12 * 1_440 + 1));
        bench.stored = kept.into_iter().chain(bench.stored.clone()).collect();
        let (row, _) = bench.hour(1, at(12 * 1_440));
        assert_eq!((row.blobs_delivered, row.covered), (1, true), "beside what there was");
    }

    #[test]
    fn what_is_older_than_it_is_kept_is_deleted_in_small_steps() {
        let mut bench = Bench::new(10 * 24);
        for day in 0..30 {
            let from = day * 1_440;
            bench.list(span(from, from + 1_440), at(from + 1_440));
            let written = bench.flush(at(from + 1_441)).len();
            assert!(written <= 3 * 48 + 2, "{written} in one commit");
        }
        let rows = bench.stored.len() - 1;
        assert!((240..=242).contains(&rows), "{rows} rows");
        bench.keep = 0;
        bench.crash(&[]);
        for _ in 0..12 {
            bench.history.note_delivered(FEED, at(29 * 1_440), at(30 * 1_440));
            bench.flush(at(30 * 1_440));
        }
        assert_eq!(bench.stored, Stored::new(), "it is off");
    }

    #[test]
    fn what_was_collected_before_there_was_a_history_is_not_counted() {
        let mut bench = Bench::new(9_600);
        bench.covered.insert(span(0, 600));
        bench.crash(&[(at(100), true)]);
        bench.history.note_recovered(FEED, at(100));
        bench.history.note_delivered(FEED, at(100), at(610));
        bench.list(span(0, 660), at(661));
        bench.list(span(0, 661), at(662));
        bench.flush(at(662));
        assert_eq!(bench.hour(1, at(662)).1, HourStanding::NotCollected);
        assert!(bench.hour(10, at(662)).0.checked);
    }

    #[test]
    fn what_a_wrong_clock_has_noted_of_the_future_is_taken_back() {
        let mut bench = Bench::new(9_600);
        bench.list(span(0, 60), at(61));
        let gap = Loss::of_time(LossKind::Gap, FEED, span(60, 60 * 24 * 300), at(60 * 24 * 307));
        bench.history.note_loss(&gap);
        bench.flush(at(62));
        let mut changes = Changes::default();
        bench.history.forget_future(FEED, at(62), &mut changes);
        changes.take().apply(&mut bench.stored);
        assert_eq!(bench.stored.len(), 3, "the head, and two hours");
    }
}
