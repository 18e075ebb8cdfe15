//! Which window of a feed begins next, and when to look again.

use std::time::Duration;

use super::Windows;
use crate::audit::plan::{self, Gap};
use crate::audit::run::Run;
use crate::base::interval::IntervalSet;
use crate::base::time::Utc;
use crate::source::coverage::Coverage;
use crate::source::urgency::{Urgency, Wake};

impl Windows {
    /// Begins the window of what is new, if it is due: every `interval`, until `target` is settled.
    pub(in crate::audit) fn plan_fresh(
        &mut self,
        coverage: &Coverage,
        target: Option<Utc>,
        interval: Duration,
        now: Duration,
        server_now: Utc,
        wake: &mut Wake,
    ) {
        if self.is_listing(Urgency::Fresh) || !wake.is_due(self.next_fresh, now) {
            return;
        }
        self.next_fresh = now + interval;
        wake.at(self.next_fresh);
        let oldest = self.oldest(server_now);
        if target.is_some_and(|target| coverage.is_settled_until(target, oldest)) {
            return;
        }
        if let Some(window) = coverage.fresh(&self.listed(coverage), server_now) {
            self.begin(Run::new(window, Urgency::Fresh));
        }
    }

    /// Begins the most urgent of what is old: what is about to expire, what was set aside, what is
    /// due to be listed again. A run that ends, at `target`, lists all again since the last run.
    pub(in crate::audit) fn plan_older(
        &mut self,
        coverage: &mut Coverage,
        target: Option<Utc>,
        now: Duration,
        server_now: Utc,
        wake: &mut Wake,
    ) {
        if self.is_listing(Urgency::Soon) || !self.older.is_due(wake, now) {
            return;
        }
        match self.next_gap(coverage, server_now) {
            Some(Gap { window, urgency: Urgency::Soon, .. }) => {
                self.begin(Run::new(window, Urgency::Soon));
                return;
            }
            // It need not be listed before, if there is no place for it.
            Some(gap) => wake.at(now + gap.waits),
            None => {}
        }
        if let Some(aside) = self.older.take_aside(wake, now, server_now) {
            if let Some((window, round, tries)) = aside {
                self.begin(Run { round, tries, ..Run::new(window, Urgency::Soon) });
            }
            return;
        }
        if !self.older.is_under_way() {
            if self.older.look_at() <= server_now {
                let rounds =
                    self.older.rounds(target, coverage.begin(), coverage.is_new(), server_now);
                let (covered, ends) = (coverage.covered(), target.is_some());
                if self.older.begin_round(rounds, covered, ends, server_now) {
                    coverage.note_changed();
                }
            }
            wake.at(now + self.older.look_at().since(server_now));
        }
        match self.older.next_piece(server_now) {
            Ok(None) => {}
            Ok(Some((piece, round))) => {
                self.begin(Run { round: Some(round), ..Run::new(piece, Urgency::Soon) });
            }
            Err(()) => coverage.note_changed(),
        }
    }

    /// Begins the next window of the backlog.
    pub(in crate::audit) fn plan_backlog(
        &mut self,
        coverage: &Coverage,
        now: Duration,
        server_now: Utc,
        wake: &mut Wake,
    ) {
        if !self.is_listing(Urgency::Backlog)
            && !self.is_listing(Urgency::Soon)
            && self.older.is_due(wake, now)
            && let Some(Gap { window, urgency, .. }) = self.next_gap(coverage, server_now)
        {
            self.begin(Run::new(window, urgency));
        }
    }

    /// The next window of the backlog, besides what is covered, under way or set aside.
    fn next_gap(&mut self, coverage: &Coverage, now: Utc) -> Option<Gap> {
        if !self.replan {
            return None;
        }
        let mut listed: IntervalSet = self.listed(coverage);
        self.older.asides().iter().for_each(|aside| listed.insert(aside));
        let oldest = self.oldest(now);
        let gap = plan::backlog(&listed, coverage.begin(), oldest, now, self.older.span());
        self.replan = gap.is_some();
        gap
    }
}
