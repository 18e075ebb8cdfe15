//! `m365-audit host` from outside, with the component as it is shipped: the same records and state
//! as `run`, kills at any moment, and what a user sees of mistakes.

#![cfg(feature = "host")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "what came twice is said")]

mod certificate;
mod files;
mod identity;
mod kills;
mod mistakes;
mod same;
#[allow(dead_code, reason = "not every test file uses everything")]
#[path = "../support/mod.rs"]
mod support;
