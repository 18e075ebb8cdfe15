//! One tenant of a fleet: whether it runs, rests, or is another process's.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::life::Ended;
use super::run::Ask;
use crate::restart::RestartPause;
use crate::status::Slot;
use crate::tenants::Tenant;

/// One tenant of a running fleet.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) tenant: Tenant,
    /// Names its present run among all.
    pub(super) start: u64,
    pub(super) state: State,
    /// Where others see how it stands, also between two runs.
    pub(super) shown: Option<Slot>,
    pub(super) pauses: RestartPause,
}

/// How it stands with one.
#[derive(Debug)]
pub(super) enum State {
    /// A worker drives its client.
    Running { ask: Box<dyn Ask>, task: JoinHandle<()>, since: Instant },
    /// It is started at this time, for the first time or after a failure.
    Resting { until: Instant },
    /// Another process has it, or will.
    Elsewhere,
    /// It ends, so that another process may have it.
    Leaving { task: JoinHandle<()> },
    /// It has come to its end, with `once`.
    Done(Ended),
}

impl Member {
    pub(super) fn tenant_id(&self) -> &str {
        self.tenant.settings.config.tenant_id()
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done(_))
    }

    /// Whether its table is in one of these files, of which nobody knows what they say.
    pub(super) fn is_of(&self, unread: &[PathBuf]) -> bool {
        unread.contains(&self.tenant.file)
    }

    /// When it is started, if it is to be.
    pub(super) const fn rests_until(&self) -> Option<Instant> {
        match self.state {
            State::Resting { until } => Some(until),
            State::Running { .. } | State::Elsewhere | State::Leaving { .. } | State::Done(_) => {
                None
            }
        }
    }

    /// How long its present run has lasted.
    pub(super) fn ran(&self) -> Duration {
        match &self.state {
            State::Running { since, .. } => since.elapsed(),
            State::Resting { .. } | State::Elsewhere | State::Leaving { .. } | State::Done(_) => {
                Duration::ZERO
            }
        }
    }

    pub(super) fn ask_to_stop(&self, grace: Duration) {
        if let State::Running { ask, .. } = &self.state {
            ask.shutdown(grace);
        }
    }

    /// It has become this process's. Answers whether it was not.
    pub(super) fn begin(&mut self, until: Instant, shown: Option<Slot>) -> bool {
        let was_elsewhere = matches!(self.state, State::Elsewhere);
        if was_elsewhere {
            self.shown = shown;
            self.state = State::Resting { until };
        }
        was_elsewhere
    }

    /// It has become, or is to become, another process's. Answers whether that one may have it now;
    /// else its run has to end before.
    pub(super) fn leave(&mut self, grace: Duration) -> bool {
        match std::mem::replace(&mut self.state, State::Elsewhere) {
            State::Running { ask, task, .. } => {
                ask.shutdown(grace);
                self.state = State::Leaving { task };
                false
            }
            State::Leaving { task } => {
                self.state = State::Leaving { task };
                false
            }
            State::Resting { .. } | State::Elsewhere | State::Done(_) => {
                self.rest_elsewhere();
                true
            }
        }
    }

    /// It is not to be seen here any more.
    pub(super) fn rest_elsewhere(&mut self) {
        self.state = State::Elsewhere;
        self.shown = None;
    }
}

/// How a fleet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetOutcome {
    /// Tenants that delivered everything.
    pub complete: usize,
    /// Tenants that were stopped, or could not read everything.
    pub incomplete: usize,
    /// Tenants that failed, or that have a mistake in their table.
    pub failed: usize,
}

impl FleetOutcome {
    /// Of these members, and of tables with a mistake.
    pub(super) fn of<'a>(failed: usize, members: impl Iterator<Item = &'a Member>) -> Self {
        let mut outcome = Self { complete: 0, incomplete: 0, failed };
        for member in members {
            match &member.state {
                State::Done(Ended::Complete) => outcome.complete += 1,
                State::Done(Ended::Failed(_)) => outcome.failed += 1,
                State::Done(Ended::Incomplete)
                | State::Running { .. }
                | State::Resting { .. }
                | State::Elsewhere
                | State::Leaving { .. } => outcome.incomplete += 1,
            }
        }
        outcome
    }
}
