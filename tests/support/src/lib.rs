//! What tests of several packages share. For tests only; knows nothing of the collector.

#![forbid(unsafe_code)]

pub mod faults;
pub mod needs;
pub mod otel;
pub mod peer;
pub mod postgres;
pub mod prometheus;

use std::thread;
use std::time::Duration;

/// Lets the processes work that are waited for, before somebody looks at them again. To look all
/// the time would take a processor from them.
pub fn pause() {
    thread::park_timeout(Duration::from_millis(5));
}
