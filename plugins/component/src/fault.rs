//! Failures as the host sees them.

use std::time::Duration;

use crate::bindings::exports::m365_audit::source::source::{Cause, Failure};

/// A failure without notes.
pub(crate) const fn new(cause: Cause, message: String) -> Failure {
    Failure { cause, message, retry_after_ms: None, notes: Vec::new() }
}

/// Whole milliseconds, rounded up, so that nobody comes back a moment early.
pub(crate) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX)
}
