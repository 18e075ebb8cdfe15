//! What all connections share: whom they answer to, what they count, how long they wait.

use std::time::{Duration, Instant};

use m365_audit_core::{Config, Level, Secret};

use super::limits::{Bucket, Quiet};
use super::metrics::{Counts, Refusal};
use crate::handle::{Handle, Message};

/// How long callers may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a TLS handshake, and for a request's head. Also how long a connection may wait for its
    /// next request.
    pub(super) head: Duration,
    /// For a body. Microsoft waits about five seconds for an answer.
    pub(super) body: Duration,
    /// The longest a connection may live.
    pub(super) connection: Duration,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) auth_id: Secret<String>,
    pub(super) handle: Handle,
    pub(super) counts: Counts,
    pub(super) calls: Bucket,
    pub(super) quiet: Quiet,
    pub(super) patience: Patience,
}

impl Shared {
    /// Counts a refusal, and says so now and then.
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.counts.refused(refusal);
        if let Some(calls) = self.quiet.note(refusal, Instant::now()) {
            let (level, why) = match refusal {
                Refusal::Forged => (Level::Warn, "without the right Webhook-AuthID"),
                Refusal::Oversized => (Level::Warn, "that were too large"),
                Refusal::Slow => (Level::Warn, "that took too long"),
                Refusal::Malformed => {
                    (Level::Warn, "that were neither notification nor validation")
                }
                Refusal::Flood => (Level::Warn, "beyond the limits of rate or connections"),
                // A load balancer asks several times a minute, for ever.
                Refusal::Method => (Level::Debug, "that were no POST"),
            };
            let line =
                format!("webhook: refused {calls} calls {why}; nothing is lost, content is polled");
            self.handle.send(Message::Log(level, line));
        }
    }
}
