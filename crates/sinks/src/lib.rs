//! Brings records over a network to somebody who says when they are safe: Fluent Bit and Fluentd by
//! the `forward` protocol, everything that speaks OpenTelemetry by OTLP.
//!
//! A [`Receiver`] sends one message and tells what was answered; nothing else differs between
//! them. What they share stands beside it: [`Insistence`] tries again, waits, tells and gives up;
//! [`Couriers`] carry what many collectors emit, each from a thread of its own. `m365-audit run`
//! works with couriers, `m365-audit host` insists by itself, on a [`SharedReceiver`] if it has many
//! tenants.
//!
//! Knows nothing of Microsoft beyond what a line says of itself, and records no progress: whoever
//! asks does that, once the answer is there.

#![forbid(unsafe_code)]

mod couriers;
pub mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod insistence;
mod lines;
mod logger;
mod options;
pub mod otlp;
mod receiver;
mod stop;

pub use couriers::{Couriers, MESSAGE_BYTES_MAX, Parcel, Round, Rounds};
pub use insistence::{Attempt, Ended, Insistence, Patience};
pub use lines::{Flow, Lines};
pub use logger::Logger;
pub use options::{SINK_OPTIONS, SinkOptions};
pub use receiver::{Answer, Receiver, SharedReceiver, SinkError, Taken};
pub use stop::{Stop, unless};
