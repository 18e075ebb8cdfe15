//! Defender for Cloud Apps activities: the second source. What is common with the Management
//! Activity API lies outside of this folder; nothing here knows content types or blobs.
//!
//! `lane` keeps account and `walk` follows one search; `schedule` decides what is asked, `answer`
//! what an answer means. Both are parts of the collector, like their namesakes outside.

mod answer;
mod config;
mod envelope;
pub mod filter;
mod judge;
mod lane;
mod plan;
mod reader;
mod record;
mod schedule;
mod seen;
mod walk;
mod wire;

pub use config::PORTAL_OPTIONS;
pub(crate) use config::PortalConfig;
pub(crate) use envelope::EnvelopeError;
pub(crate) use judge::judge;
pub(crate) use lane::ActivityLane;
pub(crate) use plan::RETENTION;
pub(crate) use reader::{PageReader, Ready};
pub use record::happened;
pub(crate) use record::know;
pub(crate) use walk::{Cursor, NORMAL_RECORDS_MAX, PageId, Point, Turn, Turned, Walk, WalkId};
pub(crate) use wire::{Credential, LIMIT, get, search, send_feedback};
