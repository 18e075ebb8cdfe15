//! Windows of one feed under way: which are listed, how far, and what becomes of those that fail.
//! Knows no blob; the lane says when one of a window's is settled.

mod planning;

use std::time::Duration;

use crate::audit::plan::{self, Round};
use crate::audit::relist::Older;
use crate::audit::run::{Completed, Failed, Listing, PageFailure, Run, RunId};
use crate::base::flat_map::FlatMap;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::request::RequestId;
use crate::source::coverage::Coverage;
use crate::source::desk::Desk;
use crate::source::urgency::{Urgency, Wake};

/// Windows that are listed or whose blobs are not all delivered. From half of it on, those that
/// touch become one, and only fresh content is listed.
const RUNS_MAX: usize = 64;

/// A listing with more pages than this goes in circles.
pub(crate) const PAGES_PER_WINDOW_MAX: u32 = 10_000;

/// After this many failures of one page its window is planned anew.
const PAGE_FAILURES_MAX: u32 = 5;
const PAGE_RETRY_BASE: Duration = Duration::from_millis(500);
const PAGE_RETRY_MAX: Duration = Duration::from_secs(15);

/// Waits between windows of a lane that fails as a whole.
const LIST_RETRY_BASE: Duration = Duration::from_secs(2);
const LIST_RETRY_MAX: Duration = Duration::from_secs(120);

/// Waits between attempts to list a window that is set aside.
const ASIDE_RETRY_BASE: Duration = Duration::from_secs(60);
const ASIDE_RETRY_MAX: Duration = Duration::from_secs(30 * 60);

/// The windows of one feed.
#[derive(Debug)]
pub(super) struct Windows {
    runs: FlatMap<RunId, Box<Run>>,
    next_run: u64,
    /// Failures of fresh listings in a row, and when any is tried again.
    list_failures: u32,
    /// Requests for a page of fresh windows that failed in a row.
    fresh_failed: u32,
    list_not_before: Duration,
    next_fresh: Duration,
    older: Older,
    /// Whether the plan of the backlog may have changed since it was last empty.
    replan: bool,
}

impl Windows {
    pub(super) const fn new(older: Older) -> Self {
        Self {
            runs: FlatMap::new(),
            next_run: 0,
            list_failures: 0,
            fresh_failed: 0,
            list_not_before: Duration::ZERO,
            next_fresh: Duration::ZERO,
            older,
            replan: true,
        }
    }

    // Planning.

    /// The oldest moment that a window may start at.
    pub(super) fn oldest(&self, now: Utc) -> Utc {
        self.older.oldest(now)
    }

    /// Whether a window of this urgency may be begun now.
    pub(super) fn has_place(&self, urgency: Urgency, now: Duration, wake: &mut Wake) -> bool {
        let runs_max = if urgency == Urgency::Fresh { RUNS_MAX } else { RUNS_MAX / 2 };
        wake.is_due(self.list_not_before, now) && self.runs.len() < runs_max
    }

    /// Whether so many are under way that those that touch are to become one.
    pub(super) fn is_crowded(&self) -> bool {
        self.runs.len() >= RUNS_MAX / 2
    }

    /// What is covered or under way.
    pub(super) fn listed(&self, coverage: &Coverage) -> IntervalSet {
        let mut listed = coverage.covered().clone();
        self.runs.values().for_each(|run| listed.insert(run.window));
        listed
    }

    /// Whether a window of this urgency is still being listed.
    fn is_listing(&self, urgency: Urgency) -> bool {
        self.runs.values().any(|run| run.urgency == urgency && run.listing != Listing::Complete)
    }

    fn begin(&mut self, run: Run) {
        let id = RunId(self.next_run);
        self.next_run += 1;
        self.replan = true;
        self.runs.insert(id, Box::new(run));
    }

    /// Something was covered: the plan of the backlog may be another.
    pub(super) const fn replan(&mut self) {
        self.replan = true;
    }

    // Pages.

    /// The window of this urgency whose next page can be asked for, not before `not_before`.
    pub(super) fn next_page(
        &self,
        urgency: Urgency,
        not_before: Duration,
        now: Duration,
        wake: &mut Wake,
    ) -> Option<RunId> {
        let mut runs = self.runs.iter().filter(|(_, run)| run.urgency == urgency);
        runs.find_map(|(id, run)| {
            let next = matches!(run.listing, Listing::Next(_));
            let due = run.not_before.max(not_before);
            (next && wake.is_due(due, now)).then_some(*id)
        })
    }

    /// Where the next page of a window is, or the window if that is its first. A window that cannot
    /// be listed any more is given up: `None`.
    pub(super) fn page_of(&mut self, id: RunId, now: Utc) -> Option<Result<String, Interval>> {
        // The oldest legal start moves on while a window waits.
        let oldest = self.oldest(now);
        let run = self.runs.get_mut(&id)?;
        match &run.listing {
            Listing::Next(Some(address)) => return Some(Ok(address.clone())),
            Listing::Next(None) => {}
            Listing::Asked(..) | Listing::Complete => return None,
        }
        let Some(window) = plan::clamp(run.window, oldest) else {
            self.give_up(id);
            return None;
        };
        (run.window, run.begun) = (window, now);
        Some(Err(window))
    }

    /// A page of a window was asked for.
    pub(super) fn note_asked(&mut self, id: RunId, request: RequestId) {
        if let Some(run) = self.runs.get_mut(&id)
            && let Listing::Next(page) = &mut run.listing
        {
            run.listing = Listing::Asked(request, page.take());
        }
    }

    /// The request for a page has ended. Whether it was wanted.
    pub(super) fn note_ended(&mut self, id: RunId) -> bool {
        let Some(run) = self.runs.get_mut(&id) else { return false };
        let Listing::Asked(_, page) = &mut run.listing else { return false };
        run.listing = Listing::Next(page.take());
        true
    }

    /// What a page is of; `None`: not wanted any more.
    pub(super) fn window(&self, id: RunId) -> Option<(Interval, Urgency)> {
        self.runs.get(&id).map(|run| (run.window, run.urgency))
    }

    /// An entry of a page was read.
    pub(super) fn note_entry(&mut self, id: RunId) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.blobs += 1;
        }
    }

    /// A blob of a window is to be delivered before it counts.
    pub(super) fn note_waiting(&mut self, id: RunId, news: bool) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.waiting += 1;
            run.new += u64::from(news);
        }
    }

    /// A page is to be read again from its beginning: so many entries of it are not counted.
    /// Whether it is wanted still.
    pub(super) fn read_again(&mut self, id: RunId, entries: u64) -> bool {
        let wanted = self.note_ended(id);
        if let Some(run) = self.runs.get_mut(&id).filter(|_| wanted) {
            run.blobs -= entries;
        }
        wanted
    }

    /// A page was read in which some entries could not be. Whether it is to be asked for again.
    pub(super) fn asks_again(&self, id: RunId) -> bool {
        self.runs.get(&id).is_some_and(|run| run.failures + 1 < PAGE_FAILURES_MAX)
    }

    /// A page was read.
    pub(super) fn note_read(&mut self, id: RunId) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.failures = 0;
            run.pages += 1;
        }
    }

    /// On to the next page. False if the pages go in circles.
    pub(super) fn turn(&mut self, id: RunId, address: String) -> bool {
        let Some(run) = self.runs.get_mut(&id) else { return true };
        let new = run.visited.insert(Key::of_content(&address));
        if !new || run.pages >= PAGES_PER_WINDOW_MAX {
            return false;
        }
        run.listing = Listing::Next(Some(address));
        let urgency = run.urgency;
        self.note_success(urgency);
        true
    }

    fn note_success(&mut self, urgency: Urgency) {
        if urgency == Urgency::Fresh {
            self.fresh_failed = 0;
        }
    }

    /// The last page of a window is read.
    pub(super) fn complete(&mut self, id: RunId) -> Option<Completed> {
        let run = self.runs.get_mut(&id)?;
        run.listing = Listing::Complete;
        let (urgency, window) = (run.urgency, run.window);
        let completed = Completed { window, begun: run.begun, blobs: run.blobs, new: run.new };
        let round = run.round.filter(|_| run.tries == 0);
        self.note_success(urgency);
        if urgency == Urgency::Fresh {
            self.list_failures = 0;
        } else {
            self.older.succeeded(window, round);
        }
        Some(completed)
    }

    /// A blob of these windows is settled, or set aside. Answers those that are settled by that.
    pub(super) fn release(&mut self, waiters: &[RunId]) -> Vec<Interval> {
        let mut settled = Vec::new();
        for id in waiters {
            if let Some(run) = self.runs.get_mut(id) {
                run.waiting -= 1;
                settled.extend(self.take_settled(*id));
            }
        }
        settled
    }

    /// Takes a window out if nothing of it is missing.
    pub(super) fn take_settled(&mut self, id: RunId) -> Option<Interval> {
        self.runs.get(&id).filter(|run| run.is_settled())?;
        self.runs.remove(&id).map(|run| run.window)
    }

    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    // Failures.

    /// A window waits before its page is asked for again.
    pub(super) fn wait_until(&mut self, id: RunId, moment: Duration) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.not_before = moment;
        }
    }

    /// A page could not be read; `named`: the wait that the answer has named.
    pub(super) fn fail_page(
        &mut self,
        id: RunId,
        named: Option<Duration>,
        desk: &mut Desk,
        now: Duration,
    ) -> PageFailure {
        let Some(run) = self.runs.get_mut(&id) else { return PageFailure::Unknown };
        run.failures += 1;
        let (failures, urgency) = (run.failures, run.urgency);
        if failures >= PAGE_FAILURES_MAX {
            return PageFailure::GiveUp;
        }
        let wait = desk.backoff(PAGE_RETRY_BASE, PAGE_RETRY_MAX, failures);
        let wait = wait.max(named.unwrap_or_default());
        run.not_before = now + wait;
        let in_a_row = self.note_failure(urgency, failures);
        PageFailure::Again(Failed { in_a_row, wait })
    }

    /// Gives a window up; after a while the planner asks again for what it did not cover. One that
    /// is older holds up nothing that is fresh. `refused`: for the time that it is of.
    pub(super) fn fail(
        &mut self,
        id: RunId,
        refused: bool,
        coverage: &mut Coverage,
        desk: &mut Desk,
        now: Duration,
        server_now: Utc,
    ) -> Option<Failed> {
        let run = self.give_up(id)?;
        let (failures, wait) = if run.urgency == Urgency::Fresh {
            self.list_failures = self.list_failures.saturating_add(1);
            let wait = desk.backoff(LIST_RETRY_BASE, LIST_RETRY_MAX, self.list_failures);
            self.list_not_before = now + wait;
            self.next_fresh = self.list_not_before;
            (self.list_failures, wait)
        } else {
            let rest = desk.backoff(ASIDE_RETRY_BASE, ASIDE_RETRY_MAX, run.tries.saturating_add(1));
            let whole_lane = self.list_failures > 0;
            let (failures, changed) =
                self.older.fail(&run, refused, whole_lane, now + rest, server_now);
            if changed {
                coverage.note_changed();
            }
            let in_a_row = self.older.failures();
            let wait = desk.backoff(LIST_RETRY_BASE, LIST_RETRY_MAX, in_a_row);
            self.older.wait_until(now + wait);
            (failures, wait)
        };
        // Of requests, or of windows: those whose first page can be read count for one each.
        let in_a_row = self.note_failure(run.urgency, failures);
        Some(Failed { in_a_row, wait })
    }

    /// Gives a window up: what it has not covered is planned anew.
    fn give_up(&mut self, id: RunId) -> Option<Run> {
        self.replan = true;
        self.runs.remove(&id).map(|run| *run)
    }

    /// A request for a page failed. Answers how many of fresh windows have, in a row; of others
    /// `count`, for these mount by window.
    fn note_failure(&mut self, urgency: Urgency, count: u32) -> u32 {
        if urgency != Urgency::Fresh {
            return count;
        }
        self.fresh_failed = self.fresh_failed.saturating_add(1);
        self.fresh_failed.max(count)
    }

    // Merging.

    /// Two completed windows that touch, or `None`. They are to become one, so that blobs that
    /// cannot be read for long do not use up the places of what is new.
    pub(super) fn find_touching(&self) -> Option<(RunId, RunId)> {
        let complete = |run: &Run| run.listing == Listing::Complete;
        let mut runs = self.runs.iter();
        while let Some((from, old)) = runs.next() {
            let touching = runs.clone().find(|(_, new)| {
                let (a, b) = (old.window, new.window);
                complete(new) && old.round == new.round && a.start <= b.end && b.start <= a.end
            });
            if let Some((into, _)) = touching.filter(|_| complete(old)) {
                return Some((*from, *into));
            }
        }
        None
    }

    /// Makes one window part of another one, which waits for `more` blobs beside its own then.
    pub(super) fn merge(&mut self, from: RunId, into: RunId, more: u32) {
        let Some(old) = self.runs.remove(&from) else { return };
        let Some(run) = self.runs.get_mut(&into) else { return };
        run.window.start = run.window.start.min(old.window.start);
        run.window.end = run.window.end.max(old.window.end);
        run.waiting += more;
    }

    /// Hours are listed again: what was listed of them so far counts for nothing.
    pub(super) fn reopen(&mut self, hours: Interval) {
        self.runs.retain(|_, run| run.window.end <= hours.start || hours.end <= run.window.start);
        self.older.begin_anew();
        self.replan = true;
    }

    // State.

    /// Microsoft's clock is known, or known better: what lies behind `horizon` counts no more.
    pub(super) fn correct_time(&mut self, now: Utc, horizon: Utc) {
        self.runs.retain(|_, run| run.window.end <= horizon);
        self.older.correct_time(now, horizon);
        self.replan = true;
    }

    /// Rounds that are made and settled, and when; and how long a window may be, for the state.
    pub(super) fn stored(&mut self, now: Utc) -> (Vec<(Round, i64)>, u32) {
        let runs = &self.runs;
        let open = |round: Round| runs.values().any(|run| run.round == Some(round));
        (self.older.settled(open, now), self.older.stored_span())
    }

    /// For a run that ends: whether all was listed again that was listed by an earlier one.
    pub(super) fn is_relisted(&self, coverage: &Coverage, target: Utc, now: Utc) -> bool {
        self.older.is_done()
            && self.older.rounds(Some(target), coverage.begin(), coverage.is_new(), now).is_empty()
    }
}
