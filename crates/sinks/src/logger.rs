//! Where the host says what happens.

use std::fmt;
use std::sync::Arc;

use m365_audit_core::Level;

/// Writes one line of the log.
type Write = dyn Fn(Level, &str) + Send + Sync;

/// Takes log lines from any thread. No line holds a secret.
#[derive(Clone)]
pub struct Logger(Arc<Write>);

impl Logger {
    /// Gives lines to `write`, which must not block.
    pub fn new(write: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Says `message`.
    pub fn log(&self, level: Level, message: &str) {
        (self.0)(level, message);
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logger")
    }
}
