//! Waiting for the ring buffer to be empty, after batches were given up that may still turn up.
//! Pure.

use std::time::Duration;

use crate::proof::{EMPTIED_AFTER, QUIET_BEATS, Watch};

/// Whether the next batch has to wait, and since when it does.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Option<Since>);

#[derive(Debug)]
struct Since {
    /// On the clock of unpaused time.
    since: Duration,
    /// None until there was a reading.
    beats: Option<u64>,
}

impl Quiet {
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Batches were given up.
    pub(crate) fn begin(&mut self, active: Duration) {
        self.0 = Some(Since { since: active, beats: None });
    }

    /// The host is paused: whatever was seen before shows nothing.
    pub(crate) fn begin_again(&mut self, active: Duration) {
        if self.is_awaited() {
            self.begin(active);
        }
    }

    /// Counts were read. `moved`: since the reading before; `waiting`: whether the engine was seen
    /// to wait for events, if it can be seen.
    pub(crate) fn look(
        &mut self,
        active: Duration,
        moved: bool,
        waiting: Option<bool>,
        watch: &Watch,
    ) {
        let Some(Since { since, beats }) = &mut self.0 else { return };
        if moved || beats.is_none() {
            *beats = Some(watch.beats());
        }
        if moved {
            *since = active;
        }
        let waited = active.saturating_sub(*since);
        let emptied = waiting == Some(true) && 2 * EMPTIED_AFTER <= waited;
        let waited = if waiting.is_none() { waited } else { Duration::ZERO };
        if emptied || watch.proves(QUIET_BEATS, *beats, waited) {
            self.0 = None;
        }
    }
}
