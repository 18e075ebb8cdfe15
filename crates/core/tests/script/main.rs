//! The collector against answers that come at the wrong moment. Each test says what must hold.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod activities;
mod bench;
mod blobs;
mod hints;
mod listing;
mod losses;
mod records;
mod refusals;
mod silence;
mod subscriptions;
mod trouble;
