//! The Microsoft 365 audit collection protocol as a sans-IO state machine.
//!
//! [`Collector`] takes [`Input`]s and yields [`Output`]s; [`Session`] connects it to anything that
//! implements [`Io`]. Time, randomness, the network and the state are the driver's: this crate does
//! no I/O and reads no clock, so that the native client, the WASM component and a simulation run
//! the very same code.
//!
//! # The rule that everything serves
//!
//! Progress is recorded only when the host has taken the data ([`Input::Delivered`]), and
//! whatever cannot be delivered is reported as an ERROR with a count and a reason.

#![forbid(unsafe_code)]
#![warn(clippy::field_scoped_visibility_modifiers)]
#![warn(clippy::wildcard_enum_match_arm)]

mod access;
pub mod activities;
mod audit;
mod base;
pub mod call;
mod collector;
pub mod config;
mod contract;
#[cfg(fuzzing)]
pub mod fuzzing;
mod identity;
pub mod json;
pub mod options;
mod records;
mod source;

pub use audit::hint::{NOTIFIED_MAX, Notified};
pub use base::origin::{Endpoint, Origin, OriginError};
pub use base::secret::{Secret, Wipe};
pub use base::text::{one_line, spoken};
pub use base::time::{Now, Utc};
pub use collector::summary::{Hole, LaneSummary, Why, summarize};
pub use collector::whereabouts::{KnownContents, Whereabouts};
pub use collector::{Collector, Outcome};
pub use config::{Config, ConfigError, RawOptions};
pub use contract::batch::{Batch, BatchId, ContentRef, Record};
pub use contract::delay::{DELAY_STEPS, DelayCounts, Delays};
pub use contract::error_codes::{KNOWN_ERRORS, KnownError, known_error};
pub use contract::event::{Event, FeedEvent};
pub use contract::event_subject::EventSubject;
pub use contract::feed::{ContentType, Feed, SourceName};
pub use contract::histogram::{HISTOGRAMS, Histogram, samples};
pub use contract::history::{FeedHistory, HISTORY, HourRow, HourStanding, is_past};
pub use contract::io::{
    Input, Io, Machine, MissingOutput, Output, OutputShort, Session, Step, Taken, Waits, run,
};
pub use contract::known_events::KNOWN_EVENTS;
pub use contract::level::Level;
pub use contract::loss::{Causes, LossKind};
pub use contract::metrics::{
    LaneMetrics, METRICS, Metric, MetricKind, MetricScope, Metrics, RECORDS_MALFORMED, Sample,
    Subject,
};
pub use contract::outage::Outages;
pub use contract::replay::{REPLAY, Replay, Replayer};
pub use contract::request::{
    Headers, Method, Operation, Request, RequestId, TransportError, TransportErrorKind,
};
pub use contract::state::{Commit, STATE_VERSION, StateError, Stored};
pub use identity::certificate::{Certificate, CertificateError};
pub use identity::credential::{self, Credential, CredentialKind, Presented};
pub use records::enrich::Enrichment;
pub use records::envelope::{Envelope, MetadataPlace, NameTaken, free_name};
pub use records::line::{LineLimits, LineWriter};
pub use source::losses::{
    ACKNOWLEDGED, Acknowledgement, KnownLoss, Loss, acknowledge, losses, remember,
};
