//! What a feed asks for next: which window begins, which page or blob is requested.

use std::time::Duration;

use super::Lane;
use crate::audit::exchange::Work;
use crate::base::key::Key;
use crate::base::time::{Now, Utc};
use crate::source::desk::Desk;
use crate::source::urgency::{Urgency, Wake};

impl Lane {
    /// Reports what retention has destroyed before it was listed.
    pub(in crate::audit) fn settle_retention(
        &mut self,
        desk: &mut Desk,
        now: Now,
        server_now: Utc,
    ) {
        if !self.coverage.has_expired(server_now) {
            return;
        }
        let listed = self.windows.listed(&self.coverage);
        let lost = self.coverage.settle_retention(&listed, desk, now, server_now);
        if !lost.is_zero() {
            self.metrics.listing_gaps += lost;
            self.windows.replan();
        }
    }

    /// What has waited, and whose time has come.
    pub(in crate::audit) fn wake(&mut self, once: bool, now: Duration, wake: &mut Wake) {
        self.blobs.wake(now).into_iter().for_each(|at| wake.at(at));
        self.blobs.tells_at().into_iter().for_each(|at| wake.at(at));
        self.subscription.wake(once, now, wake);
    }

    /// Says which blobs were set aside, once a minute at the most, but for the `last` time.
    pub(in crate::audit) fn tell_unread(&mut self, desk: &mut Desk, now: Duration, last: bool) {
        let due = self.blobs.tells_at().is_some_and(|at| last || at <= now);
        let event = if due { self.blobs.tell(now) } else { None };
        event.into_iter().for_each(|event| desk.tell(event));
    }

    /// Makes one of windows that touch, if there are many.
    pub(in crate::audit) fn merge_crowded(&mut self) {
        if !self.windows.is_crowded() {
            return;
        }
        while let Some((from, into)) = self.windows.find_touching() {
            let more = self.blobs.merge_waiters(from, into);
            self.windows.merge(from, into, more);
        }
    }

    /// Begins the window of this urgency that is due. `interval`: between windows of what is new.
    pub(in crate::audit) fn plan(
        &mut self,
        urgency: Urgency,
        target: Option<Utc>,
        interval: Duration,
        now: Duration,
        server_now: Utc,
        wake: &mut Wake,
    ) {
        let active = self.subscription.is_enabled()
            && self.windows.has_place(urgency, now, wake)
            && wake.is_due(self.subscription.not_before(), now)
            && self.blobs.may_list(urgency);
        if !active {
            return;
        }
        self.subscription.note_active();
        let (windows, coverage) = (&mut self.windows, &mut self.coverage);
        match urgency {
            Urgency::Fresh => {
                windows.plan_fresh(coverage, target, interval, now, server_now, wake);
            }
            Urgency::Soon => windows.plan_older(coverage, target, now, server_now, wake),
            Urgency::Backlog => windows.plan_backlog(coverage, now, server_now, wake),
        }
    }

    /// The next request of this urgency. `room`: there is some for what a blob holds.
    pub(in crate::audit) fn next_work(
        &self,
        urgency: Urgency,
        room: bool,
        now: Duration,
        wake: &mut Wake,
    ) -> Option<Work> {
        if !self.subscription.is_enabled() {
            return None;
        }
        if self.blobs.may_list(urgency)
            && let Some(run) =
                self.windows.next_page(urgency, self.subscription.not_before(), now, wake)
        {
            return Some(Work::Page(run));
        }
        // Without room an answer could not be read, and the request would be for nothing.
        let (first, key) = self.blobs.first_ready().filter(|_| room)?;
        (first == urgency).then_some(Work::Blob(key))
    }

    /// What only a hint names and has waited longest.
    pub(in crate::audit) fn next_hint(&self) -> Option<Key> {
        self.blobs.first_hint().filter(|_| self.subscription.is_enabled())
    }
}
