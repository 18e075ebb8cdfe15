//! The simulation ring: the core and Microsoft's simulator in one thread and in virtual time, with
//! faults, crashes, failing sinks and clock jumps, all drawn from one seed.
//!
//! A run either ends with everything owed delivered and every check passed, or with a failure that
//! names its seed. It uses no thread, no clock and no randomness but the seed.

mod again;
mod beliefs;
mod check;
mod history;
mod published;
mod run;
mod scenario;
mod together;
mod truth;
mod wanted;
mod watch;

pub use run::{Failure, Observed, Stats, observe, run};
pub use scenario::Scenario;
