//! The collector of one tenant: takes inputs, yields outputs, owns every machine.

use crate::config::Config;
use crate::io::{Input, Output};
use crate::metrics::Metrics;
use crate::state::{StateError, Stored};
use crate::time::Now;

/// The collector of one tenant.
#[derive(Debug)]
pub struct Collector {
    metrics: Metrics,
}

/// How a collector stands when it has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was to be collected is delivered.
    Complete,
    /// Some feeds were denied, or some blobs could not be read yet.
    Incomplete,
}

impl Collector {
    /// A collector that continues from `stored` (empty: the first run).
    ///
    /// `seed` feeds the jitter of retries; any number.
    ///
    /// # Errors
    /// If `stored` is damaged or was written by a newer version. Nothing is changed then.
    pub fn new(_config: Config, _stored: Stored, _seed: u64, _now: Now) -> Result<Self, StateError> {
        Ok(Self { metrics: Metrics::default() })
    }

    /// Takes in what happened. Outputs that follow from it come from [`Self::poll_output`].
    pub fn handle_input(&mut self, _now: Now, _input: Input) {}

    /// The next thing to do. See [`crate::run`].
    pub fn poll_output(&mut self, _now: Now) -> Output {
        Output::Finished
    }

    /// What was done so far, and where things stand as of the last output.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How it ended, once [`Output::Finished`] was given.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        Outcome::Complete
    }
}
