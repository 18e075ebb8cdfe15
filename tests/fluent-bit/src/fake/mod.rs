//! A host that makes the calls of Fluent Bit 5.1.1 (`flb_plugin_proxy.c`, `go.c`,
//! `flb_input_thread.c`) in the same order, on the same kinds of threads, with the same quirks,
//! and looks older on demand. Time passes only when the test says so: it collects when told to,
//! and its engine empties ring buffers when told to.
#![allow(unsafe_code, clippy::missing_panics_doc)] // It plays the C side; tests may panic.

pub mod exports;
mod host;
mod input;
mod instance;
mod plugin;

pub use host::{Host, Version};
pub use input::{Appended, FakeInput, Processor};
pub use instance::{Instance, Section};
