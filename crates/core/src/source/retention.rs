//! For how long a service keeps what it has, and what follows from that for what is asked next.
//! Pure: knows no clock.

use std::time::Duration;

use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;

/// How far the end of what is asked for stays behind the service's clock. Answers about the very
/// last moments are unstable; whatever they miss is found by [`OVERLAP`]. More costs latency.
const END_MARGIN: Duration = Duration::from_secs(1);

/// How much of what was just asked for is asked for again with each fresh window.
pub(crate) const OVERLAP: Duration = Duration::from_secs(10 * 60);

/// How far back "fresh" reaches. An older gap waits its turn as backlog.
pub(crate) const FRESH_SPAN: Duration = Duration::from_secs(3_600);

/// How often a gap is reported that still grows, because nothing is answered at all.
pub(crate) const GAP_REPORTED_EVERY: Duration = Duration::from_secs(3_600);

/// For how long a service keeps what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// As its documentation says.
    pub kept: Duration,
    /// How much later than allowed a window starts, for a request that is long under way.
    pub margin: Duration,
    /// How much later again a first run begins: time to sign in and to ask for the oldest window
    /// before it is gone.
    pub begin_margin: Duration,
    /// How much earlier than its creation says something may be gone.
    pub early: Duration,
}

impl Retention {
    /// The oldest moment that a window may start at.
    pub(crate) fn oldest(self, now: Utc) -> Utc {
        now - (self.kept - self.margin)
    }

    /// Since when nothing can be gone yet that has not been asked for.
    pub(crate) fn certain(self, now: Utc) -> Utc {
        now - (self.kept - self.early)
    }

    /// Where collection begins when nothing is stored.
    pub(crate) fn begin(self, lookback: Duration, now: Utc) -> Utc {
        (now - lookback).max(self.oldest(now) + self.begin_margin)
    }

    /// The window that ends at the horizon: what is new, and a little of what was asked for before.
    ///
    /// `listed` is what is covered or under way. `None` if nothing can be new.
    pub(crate) fn fresh(self, listed: &IntervalSet, begin: Utc, now: Utc) -> Option<Interval> {
        let floor = begin.max(self.oldest(now));
        let end = horizon(now);
        let trailing = trailing_gap(listed, floor, end)?;
        let start = trailing.start.max(end - FRESH_SPAN) - OVERLAP;
        Interval::new(start.max(floor), end)
    }

    /// The parts of the past that were never asked for and now never can be, oldest first. One that
    /// ends at the oldest moment still grows.
    pub(crate) fn lost(self, listed: &IntervalSet, begin: Utc, now: Utc) -> Vec<Interval> {
        Interval::new(begin, self.oldest(now)).map(|range| listed.gaps(range)).unwrap_or_default()
    }
}

/// The latest moment that a window may end at.
pub(crate) fn horizon(now: Utc) -> Utc {
    now - END_MARGIN
}

/// The gap that ends at `end`, if there is one.
pub(crate) fn trailing_gap(listed: &IntervalSet, floor: Utc, end: Utc) -> Option<Interval> {
    listed.gaps(Interval::new(floor, end)?).last().copied().filter(|gap| gap.end == end)
}

/// The gaps before what is fresh: the last hour of the trailing gap is not among them.
pub(crate) fn old_gaps(listed: &IntervalSet, floor: Utc, now: Utc) -> Vec<Interval> {
    let end = horizon(now);
    let until = trailing_gap(listed, floor, end).map_or(end, |gap| gap.start.max(end - FRESH_SPAN));
    Interval::new(floor, until).map(|range| listed.gaps(range)).unwrap_or_default()
}
