//! The WASM component from outside: what it imports and exports, and the hosts of `examples/`
//! against the simulated Microsoft. What is missing on a machine is said, and the test passes.

mod examples;
// Components that fail as they are told.
#[allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#[path = "../../../../crates/host/tests/support/guest.rs"]
mod guest;
mod interface;
mod scene;
mod tools;
