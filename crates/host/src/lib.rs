//! Hosts a component of the WIT package `m365-audit:source` in wasmtime, and brings what it
//! collects to safety.
//!
//! [`Component`] loads one, [`Guest`] is an instance of it in its sandbox, [`Host`] polls it, gives
//! its records to a [`Sink`], and stores its state once they are safe. Whatever the component does,
//! it can be thrown away: the host goes on with a fresh instance from the stored state.
//!
//! Knows nothing of Microsoft: what a guest may reach is said by the configuration's origins, what
//! it collects is its own business.

#![forbid(unsafe_code)]

mod allow;
mod bindings;
mod component;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guest;
mod host;
mod http;
mod limits;
mod sandbox;
mod settings;
mod sink;
mod state;
mod stdio;

pub use allow::AllowList;
pub use bindings::{
    Batch, Cause, Failure, Label, Level as NoteLevel, Metric, MetricKind, Note, Outcome,
};
pub use component::{Component, LoadError};
pub use guest::{CallError, Guest};
pub use host::{Host, RunError};
pub use http::Clients;
// What a host is made of, and what its sinks are.
pub use m365_audit_sinks::{Lines, Logger, Patience, SinkError, Stop};
pub use sandbox::Sandbox;
pub use settings::HostSettings;
pub use sink::Sink;
