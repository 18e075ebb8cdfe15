//! `m365-audit` from outside, against the simulated service: one program, so that what its tests
//! share is compiled and linked once.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "what is skipped, and what was measured, is said")]

mod calls;
mod check;
mod configuration;
mod credentials;
#[cfg(feature = "host")]
mod host;
mod losses;
mod network;
mod ocsf;
mod operating;
mod output;
mod recipes;
mod records;
mod report;
mod rotation;
mod run;
mod service;
mod sharing;
mod shippers;
mod status;
#[cfg_attr(not(feature = "host"), allow(dead_code, reason = "some of it is for the host's tests"))]
mod support;
mod tenants;
mod trial;
mod verify;
