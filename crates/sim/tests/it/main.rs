//! The simulator from outside: its rules, its errors, its faults, and that it holds the truth.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test, as it should")]

mod activities;
mod api;
#[cfg(feature = "server")]
mod assertions;
#[cfg(feature = "server")]
mod binary;
mod entra;
mod faults;
mod machine;
mod openapi;
mod rules;
#[cfg(feature = "server")]
mod server;
mod truth;
mod webhooks;
mod world;
