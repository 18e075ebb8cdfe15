//! The native driver of `m365-audit-core`: HTTPS by reqwest and rustls, state in SQLite or
//! PostgreSQL.
//!
//! [`Client`] runs a collector on the calling thread and gives what it collects to a [`Sink`];
//! other threads reach it through a [`Handle`]. What to request, when to retry and what is done are
//! the core's decisions: nothing here retries, follows a redirect or looks into an answer.
//!
//! Its parts serve other drivers as well: [`Store`] keeps a state, [`http_client`] makes the one
//! kind of HTTP client there is, [`tls_config`] says what is trusted.
//!
//! ```no_run
//! use m365_audit_client::{Client, Settings, Sink};
//! use m365_audit_core::{Batch, Level, RawOptions};
//!
//! struct Print(m365_audit_client::Handle);
//!
//! impl Sink for Print {
//!     fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
//!         println!("{} records", batch.records.len());
//!         self.0.delivered(batch.id);
//!         Ok(())
//!     }
//!     fn log(&mut self, level: Level, message: &str) {
//!         eprintln!("{level:?} {message}");
//!     }
//! }
//!
//! let settings = Settings::parse(&RawOptions::new()).expect("tenant_id and the like are set");
//! let mut client = Client::open(settings, Print)?;
//! client.run_until_shutdown()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod calls;
mod client;
mod clocks;
mod credentials;
mod driver;
mod environment;
mod error;
mod failure;
mod files;
mod fleet;
mod guests;
mod handle;
mod http;
mod look;
mod open_files;
mod proxy;
mod restart;
mod roots;
mod runtime;
mod section;
mod settings;
mod sink;
mod status;
mod store;
mod tenants;
mod tls;
mod toml_text;
mod webhook;

/// What the fuzz targets reach of the inside. It is there under `--cfg fuzzing` alone, which `cargo
/// xtask fuzz` sets.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::webhook::fuzzing::Webhook;
}

pub use calls::Calls;
pub use client::{Client, tell_of_status};
pub use credentials::CredentialFile;
pub use environment::complete as complete_from_environment;
pub use error::{OpenError, RunError};
pub use failure::{classify, explain};
pub use files::{open_private, refuse_link, sync_directory};
pub use fleet::{Ask, Collects, Ended, Fleet, FleetHandle, FleetHost, FleetOutcome, Run, Start};
pub use handle::Handle;
pub use http::{client as http_client, direct_client, is_this_machine};
pub use look::StatusLook;
pub use proxy::Proxy;
pub use restart::RestartPause;
pub use roots::read_roots;
pub use runtime::Runtime;
pub use section::{Section, Tags, Who};
pub use settings::{NativeOptions, Settings, drop_unused, in_order};
pub use sink::{SINK_KEYS, Sink, SinkCounts};
pub use status::{
    HistoryNews, LastWeek, MetricsDetail, STATUS_METRICS, Slot, Status, StatusError, StatusOptions,
};
pub use store::{
    Copied, CopiedState, DbMember, DbOptions, DbServer, DbState, HeldTenant, Holdings, Members,
    Proof, Store, StoreError, Tally, Written, amend, backup, copy_state, inspect, inspect_tenant,
    is_server, members, probe, restore, shown, tenants_in,
};
pub use tenants::{TENANTS_MAX, Tenant, TenantMistake, Tenants, TenantsFile, is_of_a_tenant};
pub use tls::client_config as tls_config;
pub use toml_text::{toml_problem, toml_text};
pub use webhook::{REFUSALS, Refusal, WebhookMetrics, WebhookOptions};
