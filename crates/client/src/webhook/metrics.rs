//! What calls there were, and why some were refused.

use std::sync::atomic::{AtomicU64, Ordering};

/// What calls there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookMetrics {
    /// Notifications that were accepted.
    pub notifications: u64,
    /// Contents in them that were handed on as hints.
    pub hints: u64,
    /// Entries in them for somebody else, of other feeds, or beyond what can wait.
    pub ignored: u64,
    /// Validations by Microsoft that were answered.
    pub validations: u64,
    /// Calls that were refused, in the order of [`REFUSALS`].
    pub refused: [u64; REFUSALS.len()],
}

impl WebhookMetrics {
    /// Adds those of another webhook.
    pub fn add(&mut self, other: &Self) {
        self.notifications += other.notifications;
        self.hints += other.hints;
        self.ignored += other.ignored;
        self.validations += other.validations;
        for (sum, count) in self.refused.iter_mut().zip(other.refused) {
            *sum += count;
        }
    }
}

/// Why calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Without the right `Webhook-AuthID`.
    Forged,
    /// Too large.
    Oversized,
    /// Not complete in time.
    Slow,
    /// Neither a notification nor a validation.
    Malformed,
    /// Too many, or too many connections.
    Flood,
    /// Not a POST: a health probe, a browser. Nobody need hear of it.
    Method,
}

/// Every reason, with its name in metrics.
pub const REFUSALS: [(Refusal, &str); 6] = [
    (Refusal::Forged, "forged"),
    (Refusal::Oversized, "oversized"),
    (Refusal::Slow, "slow"),
    (Refusal::Malformed, "malformed"),
    (Refusal::Flood, "flood"),
    (Refusal::Method, "method"),
];

/// [`WebhookMetrics`], as they are counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    notifications: AtomicU64,
    hints: AtomicU64,
    ignored: AtomicU64,
    validations: AtomicU64,
    refused: [AtomicU64; REFUSALS.len()],
}

impl Counts {
    /// A validation was answered.
    pub(super) fn validated(&self) {
        self.validations.fetch_add(1, Ordering::Relaxed);
    }

    /// A notification was accepted.
    pub(super) fn notified(&self, hints: u64, ignored: u64) {
        self.notifications.fetch_add(1, Ordering::Relaxed);
        self.hints.fetch_add(hints, Ordering::Relaxed);
        self.ignored.fetch_add(ignored, Ordering::Relaxed);
    }

    /// A call was refused.
    pub(super) fn refused(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> WebhookMetrics {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WebhookMetrics {
            notifications: read(&self.notifications),
            hints: read(&self.hints),
            ignored: read(&self.ignored),
            validations: read(&self.validations),
            refused: self.refused.each_ref().map(read),
        }
    }
}
