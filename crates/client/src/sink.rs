//! What a packaging offers to the client: somewhere for records, log lines and numbers to go.

use m365_audit_core::{Batch, BatchId, Commit, Event, Level, Metrics, Stored};

use crate::webhook::WebhookMetrics;

/// What the keys begin with that a sink keeps in the state. The core leaves them alone.
pub const SINK_KEYS: &str = "sink/";

/// What a sink has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Records that were longer than a line of the output may be, and went to the file beside it.
    pub oversized: u64,
    /// Records that a receiver refused for good.
    pub rejected: u64,
}

/// Takes what a [`Client`](crate::Client) collects. All calls come from the thread that runs it.
pub trait Sink {
    /// A run begins from this state. What [`Sink::stamp`] has put into it can be compared with what
    /// the sink holds now. Default: nothing.
    ///
    /// # Errors
    /// If the sink cannot be looked at. The run ends before it has begun.
    fn resume(&mut self, _stored: &Stored) -> anyhow::Result<()> {
        Ok(())
    }

    /// A commit is about to be stored, all of it or nothing. The sink may add what it wants to find
    /// again, under keys that begin with [`SINK_KEYS`]. Default: nothing.
    fn stamp(&mut self, _commit: &mut Commit) {}

    /// Takes a batch. Delivery is confirmed later, by [`Sink::flush`] or by
    /// [`Handle::delivered`](crate::Handle::delivered); the number of unconfirmed batches is
    /// bounded by the option `buffer_bytes`.
    ///
    /// # Errors
    /// If the batch cannot be taken. The run ends; nothing of it counts as delivered.
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()>;

    /// Nothing more is emitted for the moment: a good time to write out what was, all at once.
    /// What is safe now goes into `delivered`. Default: nothing.
    ///
    /// # Errors
    /// If what was emitted cannot be made safe. The run ends as in [`Sink::emit`].
    fn flush(&mut self, _delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        Ok(())
    }

    /// The run has failed and another one starts from the stored state. Batches that are not
    /// confirmed will be produced again under new ids; confirming the old ones has no effect.
    /// Default: nothing.
    fn reset(&mut self) {}

    /// Shows a line to the operator. Holds no secret.
    fn log(&mut self, level: Level, message: &str);

    /// Shows an event of the core. Default: logs its text.
    fn observe(&mut self, event: &Event) {
        self.log(event.level(), &event.to_string());
    }

    /// Shows where the collector stands. Called whenever it waits, and at least once a second, or
    /// of one among thousands every ten seconds: must be cheap. Default: nothing.
    fn metrics(&mut self, _metrics: &Metrics) {}

    /// What the sink itself counts. Asked as often as [`Sink::metrics`]. Default: nothing.
    fn counts(&self) -> SinkCounts {
        SinkCounts::default()
    }

    /// Shows which calls the webhook has had, as often as [`Sink::metrics`], if there is a webhook.
    /// Counts over all runs of the client. Default: nothing.
    fn webhook(&mut self, _metrics: &WebhookMetrics) {}
}
