//! The simulation ring: the core and Microsoft's simulator in one thread and in virtual time, with
//! faults, crashes, failing sinks and clock jumps, all drawn from one seed.
//!
//! A run either ends with everything owed delivered and every check passed, or with a failure that
//! names its seed. It uses no thread, no clock and no randomness but the seed.

mod check;
mod draw;
mod host;
mod network;
mod scenario;
mod truth;
mod wanted;
mod world;

pub use draw::Draw;
pub use network::{Arrival, Network};
pub use scenario::Scenario;
pub use world::{Failure, Observed, Stats, observe, run};
