//! Whether the engine has been idle for so long that what it has not counted is lost. Pure.

use std::time::Duration;

use crate::proof::EMPTIED_AFTER;

/// When what was not counted is lost, although the engine was seen to wait: it has emptied the ring
/// buffer since.
const LOST_FOR_SURE_AFTER: Duration = Duration::from_secs(5);

/// How often it was seen to wait until then, each time [`EMPTIED_AFTER`] the one before. Once
/// proves nothing: a filter may just have ended, or this thread had no turn meanwhile, nor had the
/// engine.
const LOOKS: u32 = 8;

/// How often the engine was seen to wait since counts moved, and since something is under way.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    looks: u32,
    /// When last, on the clock of unpaused time.
    last: Duration,
}

impl Idle {
    /// Something is under way again.
    pub(crate) fn begin(&mut self, active: Duration) {
        *self = Self { looks: 0, last: active };
    }

    /// Counts have moved.
    pub(crate) fn moved(&mut self) {
        self.looks = 0;
    }

    /// Counts were read. `waiting`: whether the engine was seen to wait, if it can be seen.
    pub(crate) fn look(&mut self, active: Duration, waiting: Option<bool>) {
        if waiting == Some(true) && EMPTIED_AFTER <= active.saturating_sub(self.last) {
            *self = Self { looks: self.looks + 1, last: active };
        }
    }

    /// How long counts may rest before what is under way is lost.
    pub(crate) fn lost_after(&self, waiting: Option<bool>, at_most: Duration) -> Duration {
        match waiting {
            Some(true) if LOOKS <= self.looks => at_most.min(LOST_FOR_SURE_AFTER),
            Some(_) | None => at_most,
        }
    }
}
