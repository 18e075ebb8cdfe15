//! The Microsoft 365 audit collection protocol as a sans-IO state machine.
//!
//! [`Collector`] takes [`Input`]s and yields [`Output`]s; [`run`] connects it to anything that
//! implements [`Io`]. Time, randomness, the network and the state are the driver's: this crate does
//! no I/O and reads no clock, so that the native client, the WASM component and a simulation run
//! the very same code.
//!
//! # The rule that everything serves
//!
//! Progress is recorded only when the host has taken the data ([`Input::Delivered`]), and
//! whatever cannot be delivered is reported as an ERROR with a count and a reason.

#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod activities;
mod address;
mod answer;
mod assertion;
mod batch;
mod budget;
pub mod call;
mod certificate;
mod collector;
pub mod config;
mod contact;
pub mod credential;
mod digest;
mod ending;
mod enrich;
mod event;
mod exchange;
mod expand;
mod failing;
mod filter;
mod forbidden;
mod foreign;
mod hint;
mod interval;
mod io;
pub mod json;
mod judge;
mod key;
mod lane;
mod ledger;
mod line;
mod losses;
mod metrics;
mod names;
pub mod options;
mod origin;
mod plan;
mod postponed;
mod random;
mod redact;
mod refusal;
mod relist;
mod remedy;
mod request;
mod revision;
mod samples;
mod schedule;
mod secret;
mod seen;
mod state;
mod summary;
mod text;
mod time;
mod token;
mod trouble;
mod unread;
mod webhook;
mod wire;

pub use batch::{Batch, BatchId, ContentRef, ContentType, Record};
pub use certificate::{Certificate, CertificateError};
pub use collector::{Collector, Outcome};
pub use config::{Config, ConfigError, RawOptions};
pub use credential::{Credential, CredentialKind, Presented};
pub use enrich::Enrichment;
pub use event::{Event, Level};
pub use hint::{NOTIFIED_MAX, Notified};
pub use io::{Input, Io, Machine, Output, OutputShort, run};
pub use line::{LineLimits, LineWriter};
pub use losses::{
    ACKNOWLEDGED, Acknowledgement, KnownLoss, Loss, LossKind, acknowledge, losses, remember,
};
pub use metrics::{LaneMetrics, Metrics};
pub use origin::{Endpoint, Origin, OriginError};
pub use remedy::{KNOWN_ERRORS, KnownError, known_error};
pub use request::{
    Headers, Method, Operation, Request, RequestId, TransportError, TransportErrorKind,
};
pub use samples::{
    CounterSpec, GaugeSpec, LANE_COUNTERS, LANE_GAUGES, LOSSES_UNACKNOWLEDGED, Sample, samples,
};
pub use secret::{Secret, Wipe};
pub use state::{Commit, STATE_VERSION, StateError, Stored};
pub use summary::{Hole, LaneSummary, Why, summarize};
pub use text::one_line;
pub use time::{Now, Utc};
