//! Microsoft, simulated: the Entra token endpoints, the Office 365 Management Activity API and the
//! Activities API of Defender for Cloud Apps as a deterministic service without I/O, with faults,
//! and (feature `server`) a loopback server.
//!
//! [`Microsoft::handle`] answers a [`Request`] at a moment that the caller names. Everything
//! random follows from the seed. The service enforces Microsoft's rules, answers requests that
//! break them as Microsoft would, and records them in its [`Report`]. It knows every record that
//! it published ([`Microsoft::owed`]), so a test can tell what a collector lost or invented.
//!
//! It must know nothing of any collector: shared types would hide shared misreadings.

#![forbid(unsafe_code)]

/// The README's examples run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod aadsts;
mod admission;
mod answer;
mod blob;
mod body;
mod config;
mod content_type;
mod draw;
mod entra;
mod faults;
mod guid;
mod http;
#[cfg(feature = "server")]
mod issue;
mod listing;
mod machine;
mod mishap;
mod operations;
mod owed;
mod portal;
mod portal_calls;
mod publish;
mod records;
mod report;
mod resources;
mod route;
#[cfg(feature = "server")]
mod server;
mod service;
mod sign_in;
mod subscriptions;
mod tenant;
mod time;
mod webhooks;

pub use body::Body;
pub use config::{
    AppConfig, Credential, DefaultWindow, IdentityConfig, IllegalWindow, ListingOrder, PageUri,
    RepeatedStart, Rules, SimConfig, Span, TenantConfig, Texts, ThrottleStatus, WebhookConfig,
};
pub use content_type::ContentType;
pub use faults::{Fault, FaultPlan, Rate, Schedule};
pub use guid::Guid;
pub use http::{Delivery, Header, Piece, Reply, Request, Transport};
#[cfg(feature = "server")]
pub use issue::{Issued, issue_certificate};
pub use owed::Owed;
pub use portal::{Feedback, OwedActivity};
pub use report::{ILLEGAL_KEPT_MAX, Illegal, Report, Rule};
#[cfg(feature = "server")]
pub use server::{Listen, Server, Signals};
pub use service::{Microsoft, Published};
pub use webhooks::{Ticket, WebhookAnswer, WebhookCall};
