//! Audit records as msgpack events: for Fluent Bit's plugin interface and for its `forward`
//! protocol. JSON in, msgpack out, one pass, no DOM between.
//!
//! Knows no Fluent Bit beyond the form of its events, no network and no batch of the core.

#![forbid(unsafe_code)]

mod body;
mod encode;
mod room;

pub use encode::{Beside, Encoded, Encoder, Metadata};
