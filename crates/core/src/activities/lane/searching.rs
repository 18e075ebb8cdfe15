//! Which searches are under way, what is searched next, and what comes of those that fail.

use std::time::Duration;

use super::ActivityLane;
use crate::activities::plan;
use crate::activities::state::WalkRecord;
use crate::activities::walk::{
    Cursor, NORMAL_RECORDS_MAX, PageId, Point, Turn, Turned, Walk, WalkId,
};
use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::{Now, Utc};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::contract::state::{self, Changes, StateError, Stored};
use crate::source::desk::Desk;
use crate::source::urgency::Urgency;

/// Waits between attempts at a page.
const PAGE_RETRY_BASE: Duration = Duration::from_secs(2);
const PAGE_RETRY_MAX: Duration = Duration::from_secs(300);

/// Attempts at a page of a fresh search before a newer one takes its place; refusals of a token
/// that was given to us before it is believed to be of no use.
pub(in crate::activities) const PAGE_FAILURES_MAX: u32 = 6;

/// Waits between searches that fail.
const WALK_RETRY_BASE: Duration = Duration::from_secs(5);
const WALK_RETRY_MAX: Duration = Duration::from_secs(300);

/// What came of a page that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::activities) enum Failed {
    /// Its search is not under way any more.
    Gone,
    /// It is asked for again.
    Page {
        /// Failures in a row.
        in_a_row: u32,
        wait: Duration,
    },
    /// Its search is to be given up.
    Search,
}

/// With so many failures in a row, what retention destroys counts as lost although its search is
/// under way.
pub(super) const HOPELESS: u32 = 6;

impl ActivityLane {
    /// Goes on with the search that was under way, if the filters are still those of it.
    pub(super) fn resume_walk(&mut self, stored: &Stored, known: bool) -> Result<(), StateError> {
        let name = self.keys.walk();
        let Some(value) = stored.get(&name) else { return Ok(()) };
        // Where it goes on stands in filters of Microsoft's, made from those of that time.
        if !known {
            self.walk_dropped = true;
            return Ok(());
        }
        let record: WalkRecord = state::decode(&name, value)?;
        let (start, end) = (Utc::from_millis(record.start), Utc::from_millis(record.end));
        let window = Interval::new(start, end)
            .ok_or_else(|| StateError::damaged(&name, "it ends before it begins"))?;
        self.begin_walk(window, Urgency::Backlog, record.at);
        Ok(())
    }

    pub(super) fn begin_walk(&mut self, window: Interval, urgency: Urgency, at: Point) {
        self.add_walk(Walk::new(window, urgency, at));
    }

    fn add_walk(&mut self, walk: Walk) {
        let id = WalkId(self.next_walk);
        self.next_walk += 1;
        self.replan = true;
        self.walks.insert(id, Box::new(walk));
    }

    /// Begins the search of this urgency that is due, if there is none under way.
    pub(in crate::activities) fn plan(
        &mut self,
        urgency: Urgency,
        interval: Duration,
        once: bool,
        target: Option<Utc>,
        now: Now,
        server_now: Utc,
    ) -> Option<Duration> {
        if self.walks.values().any(|walk| walk.urgency == urgency && !walk.is_stuck) {
            return None;
        }
        match urgency {
            Urgency::Fresh => {
                if now.monotonic < self.next_fresh {
                    return Some(self.next_fresh);
                }
                if self.guessing {
                    // By a clock that is slow, all that there is may be covered. What is asked does
                    // not matter, but for the date of the answer; and the next one must come soon.
                    self.next_fresh = now.monotonic + plan::GUESS_EVERY.min(interval);
                    let window = plan::guess(server_now);
                    self.begin_walk(window, urgency, Point::new(window, Cursor::Skip(0)));
                    return Some(self.next_fresh);
                }
                self.next_fresh = now.monotonic + interval;
                let settled =
                    target.is_some_and(|target| self.is_settled_until(target, server_now));
                let window = self.coverage.fresh(&self.listed(u32::MAX), server_now);
                if let Some(window) = window.filter(|_| !settled) {
                    let normal = self.fresh_records < NORMAL_RECORDS_MAX;
                    let cursor = if normal { Cursor::Skip(0) } else { Cursor::Scan(None) };
                    self.begin_walk(window, urgency, Point::new(window, cursor));
                }
                Some(self.next_fresh)
            }
            Urgency::Soon if once && !self.final_round => None,
            Urgency::Soon => self.plan_relist(now.monotonic, server_now),
            Urgency::Backlog => {
                if !self.replan {
                    return None;
                }
                match plan::backlog(&self.listed(u32::MAX), self.coverage.begin(), server_now) {
                    Some(window) => {
                        let at = Point::new(window, Cursor::Scan(None));
                        self.begin_walk(window, urgency, at);
                    }
                    None => self.replan = false,
                }
                None
            }
        }
    }

    /// Searches again what is due, the longest span first.
    fn plan_relist(&mut self, now: Duration, server_now: Utc) -> Option<Duration> {
        if now < self.relist_not_before {
            return Some(self.relist_not_before);
        }
        let mut next: Option<Duration> = None;
        for (slot, (every, span)) in plan::RELISTS.into_iter().enumerate().rev() {
            let due = self.notes.relisted[slot] + every;
            if server_now < due && !self.final_round {
                let at = now + due.since(server_now);
                next = Some(next.map_or(at, |next| next.min(at)));
                continue;
            }
            self.relisting = Some((slot, server_now));
            let since = self.seen.since();
            if let Some(window) = plan::relist(span, self.coverage.begin(), since, server_now) {
                self.begin_walk(window, Urgency::Soon, Point::new(window, Cursor::Scan(None)));
                return None;
            }
            self.note_relisted();
        }
        next
    }

    /// What was to be searched again is delivered, the shorter spans with it.
    pub(super) fn note_relisted(&mut self) {
        if let Some((slot, at)) = self.relisting.take() {
            self.notes.relisted[..=slot].fill(at);
            (self.notes_changed, self.final_round) = (true, false);
        }
    }

    /// What is covered, or under way with fewer failures in a row than so many. What is searched
    /// again is neither.
    pub(super) fn listed(&self, failures_max: u32) -> IntervalSet {
        let mut listed = self.coverage.covered().clone();
        let counts = |walk: &Walk| walk.urgency != Urgency::Soon && walk.failures < failures_max;
        for walk in self.walks.values().filter(|walk| counts(walk)) {
            listed.insert(walk.window);
        }
        listed
    }

    /// After a silence that is longer than what is searched again would reach over: the last day
    /// before it counts as not covered, once, for what was found since.
    pub(in crate::activities) fn reopen(&mut self, now: Utc) {
        let (every, span) = plan::RELISTS[1];
        if let Some(end) = self.coverage.covered().last_end()
            && self.notes.seam < end
            && end + every < now
        {
            self.notes.seam = end;
            self.coverage.forget_after((end - span).max(plan::RETENTION.oldest(now)));
            (self.notes_changed, self.replan) = (true, true);
        }
    }

    /// Up to when all `_id`s of the time before are remembered: now, or where a silence began.
    pub(super) fn edge(&self, now: Utc) -> Utc {
        let end = self.coverage.covered().last_end().map_or(now, |end| end.min(now));
        let seam = self.notes.seam;
        let start =
            (seam - plan::RELISTS[1].1).max(self.coverage.begin()).max(plan::RETENTION.oldest(now));
        let open = Interval::new(start, seam)
            .is_some_and(|day| !self.coverage.covered().gaps(day).is_empty());
        if open { end.min(seam) } else { end }
    }

    /// The search of this urgency that can go on now, or when it can.
    pub(in crate::activities) fn next_walk(
        &self,
        urgency: Urgency,
        now: Duration,
    ) -> Result<WalkId, Option<Duration>> {
        let waits =
            |walk: &Walk| walk.urgency == urgency && walk.request.is_none() && !walk.is_read();
        let waiting = self.walks.iter().filter(|(_, walk)| waits(walk));
        let Some((id, walk)) = waiting.min_by_key(|(_, walk)| walk.not_before) else {
            return Err(None);
        };
        let due = walk.not_before.max(self.not_before);
        if due <= now { Ok(*id) } else { Err(Some(due)) }
    }

    /// Names the reading of a page that begins.
    pub(in crate::activities) const fn new_page(&mut self) -> PageId {
        self.next_page += 1;
        PageId(self.next_page)
    }

    /// A search is given up: what it has not covered is planned anew.
    pub(super) fn drop_walk(&mut self, id: WalkId, changes: &mut Changes) {
        if let Some(walk) = self.walks.remove(&id)
            && walk.is_stored()
        {
            changes.delete(self.keys.walk());
        }
        self.replan = true;
    }

    /// All that is left of a search cannot be read: it is tried again from time to time beside what
    /// else there is to be searched, and the rest of it is settled.
    pub(super) fn set_aside(&mut self, id: WalkId, desk: &mut Desk) {
        let Some(stuck) = self.walks.remove(&id) else { return };
        if stuck.urgency == Urgency::Soon {
            return self.note_relisted();
        }
        desk.changes().delete(self.keys.walk());
        let left = stuck.left();
        for done in left.gaps(stuck.window) {
            self.cover(done, desk);
        }
        for part in left.iter() {
            let at = Point::new(part, Cursor::Scan(None));
            let mut walk = Walk::new(part, stuck.urgency, at);
            (walk.is_stuck, walk.failures, walk.failed) = (true, HOPELESS, stuck.failed);
            walk.not_before = stuck.not_before;
            self.add_walk(walk);
        }
    }

    /// A request of a search failed. Answers how many have, in a row.
    const fn note_failure(&mut self, urgency: Urgency) -> u32 {
        let failed = &mut self.failed[urgency as usize];
        *failed = failed.saturating_add(1);
        *failed
    }

    /// A page of a search was read, and leads on.
    const fn note_success(&mut self, urgency: Urgency) {
        self.failed[urgency as usize] = 0;
    }

    /// The last page of a search was read.
    fn note_read(&mut self, id: WalkId) {
        let Some(walk) = self.walks.get(&id) else { return };
        if walk.urgency == Urgency::Fresh {
            self.fresh_records = walk.records;
        }
        self.failures = 0;
        self.metrics.windows_listed += 1;
    }

    /// A page was read to its end, and says `turn`. Answers what to tell if its search is read.
    pub(in crate::activities) fn turn(
        &mut self,
        id: WalkId,
        page: PageId,
        turn: Turn,
    ) -> (Turned, Option<Event>) {
        let Some(walk) = self.walks.get_mut(&id) else { return (Turned::On, None) };
        let urgency = walk.urgency;
        let turned = walk.turn(page, turn);
        let read = walk.is_read().then_some(Event::Feed(
            Feed::CloudAppActivities,
            FeedEvent::ActivitiesListed {
                start: walk.window.start,
                end: walk.window.end,
                pages: walk.pages,
                records: walk.records,
            },
        ));
        if turned != Turned::On {
            return (turned, None);
        }
        self.pages_read += 1;
        self.note_success(urgency);
        if read.is_some() {
            self.note_read(id);
        }
        (turned, read)
    }

    /// A page could not be read; `named`: the wait that the answer has named. Answers what came of
    /// it.
    pub(in crate::activities) fn fail_page(
        &mut self,
        desk: &mut Desk,
        now: Now,
        id: WalkId,
        named: Option<Duration>,
    ) -> Failed {
        let server_now = desk.server_time(now);
        let Some(walk) = self.walks.get_mut(&id) else { return Failed::Gone };
        if walk.is_stuck && walk.window.end <= plan::RETENTION.oldest(server_now) {
            // It is lost, and told.
            self.drop_walk(id, desk.changes());
            return Failed::Gone;
        }
        let was_stuck = walk.is_stuck;
        let failures = walk.fail(self.pages_read);
        let (in_a_row, urgency) = (walk.failed, walk.urgency);
        // What is asked for is soon old. Any other search keeps what it has reached.
        if urgency == Urgency::Fresh && failures >= PAGE_FAILURES_MAX {
            return Failed::Search;
        }
        let in_a_row = in_a_row.max(self.note_failure(urgency));
        let backoff = desk.backoff(PAGE_RETRY_BASE, PAGE_RETRY_MAX, failures);
        let wait = named.unwrap_or_default().max(backoff);
        let Some(walk) = self.walks.get_mut(&id) else { return Failed::Gone };
        walk.not_before = now.monotonic + wait;
        if walk.is_stuck && !was_stuck {
            self.set_aside(id, desk);
        }
        Failed::Page { in_a_row, wait }
    }

    /// Gives a search up; after a while the planner asks again for what it did not cover. Answers
    /// how many failures in a row that makes, and the wait.
    pub(in crate::activities) fn fail_search(
        &mut self,
        desk: &mut Desk,
        now: Duration,
        id: WalkId,
    ) -> Option<(u32, Duration)> {
        let urgency = self.urgency(id)?;
        self.drop_walk(id, desk.changes());
        self.failures = self.failures.saturating_add(1);
        let failures = self.failures;
        let in_a_row = failures.max(self.note_failure(urgency));
        let wait = desk.backoff(WALK_RETRY_BASE, WALK_RETRY_MAX, failures);
        self.not_before = now + wait;
        self.next_fresh = self.not_before;
        self.relist_not_before = now + WALK_RETRY_MAX;
        Some((in_a_row, wait))
    }
}
