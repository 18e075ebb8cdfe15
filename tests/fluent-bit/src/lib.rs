//! Two Fluent Bits to test a plugin's `.so` with: a fake one that makes the same calls in the same
//! order and can misbehave on demand ([`fake`]), and the real one ([`fluent_bit`]).
//!
//! For tests only. A test that lets the plugin find the host's functions says
//! `fluent_bit_plugin_harness::export_host_functions!();` once, and its crate's build script links
//! tests with `-rdynamic`; a test executable without them is a host that exports nothing.

pub mod build;
pub mod fake;
pub mod fluent_bit;

use std::time::{Duration, Instant};

/// Long enough for a busy machine; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `is_done`, looking every few milliseconds.
///
/// # Panics
/// After [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut is_done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        m365_audit_test_support::pause();
    }
}
