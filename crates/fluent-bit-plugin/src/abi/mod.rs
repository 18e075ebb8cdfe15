//! The only module with `unsafe`: the host's pointers come in here and go no further. Everything
//! it offers to the rest of the crate is safe. Host quirks are in `fluent-bit-plugin-sys`'
//! SAFETY.md; what is done about each, in this crate's.
#![allow(unsafe_code)]

pub mod alloc;
mod config_map;
mod contain;
pub mod exports;
mod host;
mod pause;
mod symbols;

pub use config_map::Registered;
pub use exports::{Served, Start};

pub(crate) use contain::contain;
pub(crate) use exports::is_paused;
pub use host::Host;
pub(crate) use host::{HostMetric, LabelValues, MetricKind};
