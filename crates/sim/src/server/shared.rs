//! What all connections share: the service, the world's time, and how many there are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::service::Microsoft;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    microsoft: Mutex<Microsoft>,
    connections: AtomicU64,
    started: SystemTime,
    /// How far the world's time is ahead of the system's.
    ahead_ms: i64,
}

impl Shared {
    /// A world whose time is `start_ms` now.
    pub(super) fn new(microsoft: Microsoft, start_ms: i64) -> Self {
        Self {
            microsoft: Mutex::new(microsoft),
            connections: AtomicU64::new(0),
            started: SystemTime::now(),
            ahead_ms: start_ms.saturating_sub(system_ms()),
        }
    }

    pub(super) fn microsoft(&self) -> MutexGuard<'_, Microsoft> {
        self.microsoft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection; how many there were before.
    pub(super) fn connected(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Connections that were opened so far.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// When the server was started.
    pub(super) fn started(&self) -> SystemTime {
        self.started
    }

    /// The world's time, in ms since the epoch.
    pub(super) fn now_ms(&self) -> i64 {
        system_ms().saturating_add(self.ahead_ms)
    }
}

/// The system's time, in ms since the epoch.
pub(super) fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
