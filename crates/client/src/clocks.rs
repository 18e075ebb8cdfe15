//! What time it is: the only place of this crate that a run asks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use m365_audit_core::{Now, Utc};

/// Both clocks of this process.
#[derive(Debug)]
pub(crate) struct Clocks {
    start: Instant,
}

impl Clocks {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now();
        let millis = match wall.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
        };
        Now { monotonic: self.start.elapsed(), wall: Utc::from_millis(millis) }
    }
}
