//! What tests of several packages share. For tests only; knows nothing of the collector.

#![forbid(unsafe_code)]

pub mod faults;
pub mod needs;
pub mod otel;
pub mod peer;
pub mod prometheus;
