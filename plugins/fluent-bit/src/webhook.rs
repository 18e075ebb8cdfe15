//! What the webhook has had, as counters of Fluent Bit. Registered only where there is one.

use fluent_bit_plugin::{Counter, Setup};
use m365_audit_client::{REFUSALS, WebhookMetrics};

/// What calls the webhook has had.
#[derive(Debug)]
pub(crate) struct WebhookCounters {
    notifications: Counter,
    hints: Counter,
    ignored: Counter,
    validations: Counter,
    /// In the order of [`REFUSALS`].
    refused: Vec<Counter>,
}

impl WebhookCounters {
    /// Registers them.
    pub(crate) fn new(setup: &mut Setup<'_>) -> Self {
        let reasons = REFUSALS.map(|(_, name)| [name]);
        let reasons: Vec<&[&str]> = reasons.iter().map(<[_; 1]>::as_slice).collect();
        Self {
            notifications: setup
                .counter("webhook_notifications_total", "Notifications that were accepted."),
            hints: setup.counter("webhook_hints_total", "Contents that notifications named."),
            ignored: setup.counter(
                "webhook_ignored_total",
                "Contents of others, of other feeds, or beyond what can wait.",
            ),
            validations: setup
                .counter("webhook_validations_total", "Validations by Microsoft answered."),
            refused: setup.counters(
                "webhook_refused_total",
                "Calls of the webhook that were refused.",
                &["reason"],
                &reasons,
            ),
        }
    }

    /// Shows what it has had so far.
    pub(crate) fn show(&self, metrics: &WebhookMetrics) {
        self.notifications.raise_to(metrics.notifications);
        self.hints.raise_to(metrics.hints);
        self.ignored.raise_to(metrics.ignored);
        self.validations.raise_to(metrics.validations);
        for (shown, refused) in self.refused.iter().zip(metrics.refused) {
            shown.raise_to(refused);
        }
    }
}
