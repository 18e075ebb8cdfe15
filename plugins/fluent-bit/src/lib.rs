//! `in_m365_audit.so`: Microsoft 365 audit events as a Fluent Bit input.
//!
//! Thin: options in, msgpack out. What to collect is the core's decision, the network and the
//! state are the client's, Fluent Bit's ways are the SDK's. Must not decide about data.

#![forbid(unsafe_code)]

mod input;
mod many;
mod metrics;
mod options;
mod outages;
mod postbox;
mod sink;
mod webhook;

fluent_bit_plugin::register_input!(input::M365Audit);
