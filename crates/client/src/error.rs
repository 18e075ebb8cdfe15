//! Why a client is not opened, and why a run of it ends early. Plain data.

use std::io;
use std::net::SocketAddr;

use m365_audit_core::{StateError, TransportError};

use crate::status::StatusError;
use crate::store::StoreError;

/// Why a client could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state file is not usable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP client refused its settings.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] TransportError),
    /// The system gave no thread or no event queue.
    #[error("the runtime cannot be set up: {0}")]
    Runtime(#[from] io::Error),
    /// The status cannot be shown.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The webhook's address cannot be listened at.
    #[error("webhook_listen = \"{address}\": {error}")]
    Webhook {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// How a tenant comes to be collected by another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// It was so before.
    Still,
    /// It was ours.
    Now,
}

/// Why a run ended before its collector did. What was delivered and committed stays so.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state file failed.
    #[error("the state was not stored: {0}")]
    Store(#[source] StoreError),
    /// The stored state cannot be continued from.
    #[error("{db}: {error}")]
    State {
        /// Where it is stored.
        db: String,
        /// What is wrong with it.
        #[source]
        error: StateError,
    },
    /// The sink failed.
    #[error("the records were not taken: {0:#}")]
    Sink(#[source] anyhow::Error),
    /// The grace of [`Handle::shutdown`](crate::Handle::shutdown) has passed.
    #[error("stopped before everything that was emitted was confirmed")]
    Stopped,
}

impl RunError {
    /// What says that another process collects the tenant, if that is why.
    pub(crate) const fn elsewhere(&self) -> Option<(&StoreError, Elsewhere)> {
        match self {
            Self::Store(error @ StoreError::Held { .. }) => Some((error, Elsewhere::Still)),
            Self::Store(error @ StoreError::Lost { .. }) => Some((error, Elsewhere::Now)),
            Self::Store(_) | Self::Sink(_) | Self::State { .. } | Self::Stopped => None,
        }
    }

    /// Whether another run may fare better without anybody's help.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Store(_) | Self::Sink(_) => true,
            Self::State { .. } | Self::Stopped => false,
        }
    }
}
