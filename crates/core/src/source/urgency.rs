//! What goes first, and when to look again.
//!
//! Fresh content goes before what is about to be gone and what is looked at again, and that before
//! the backlog. Everything but fresh content, and listings of what will soon be gone, leaves a
//! quarter of `max_in_flight` free, so that fresh content need not queue.

use std::time::Duration;

/// Why a window is listed; also the order of urgency of what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Urgency {
    /// The newest content.
    Fresh,
    /// Content that will soon be gone, and late content.
    Soon,
    /// All the rest.
    Backlog,
}

/// The earliest of several moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wake(Option<Duration>);

impl Wake {
    pub(crate) fn at(&mut self, moment: Duration) {
        self.0 = Some(self.0.map_or(moment, |earliest| earliest.min(moment)));
    }

    /// The earliest of the moments that were noted.
    pub(crate) const fn earliest(self) -> Option<Duration> {
        self.0
    }

    /// True if `moment` has come; otherwise notes it.
    pub(crate) fn is_due(&mut self, moment: Duration, now: Duration) -> bool {
        if moment > now {
            self.at(moment);
        }
        moment <= now
    }
}
