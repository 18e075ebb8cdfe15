//! The collector, and single calls, against answers that a test scripts: at the wrong moment, or of
//! a kind that the simulator has no reason to give. Each test says what must hold.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod activities;
mod bench;
mod blobs;
mod calls;
mod delays;
mod hints;
mod listing;
mod losses;
mod recorded;
mod records;
mod refusals;
mod silence;
mod subscriptions;
mod trouble;
