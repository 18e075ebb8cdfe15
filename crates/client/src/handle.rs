//! How other threads reach a running client. Sending never blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use m365_audit_core::{BatchId, ContentRef, Input, Level, OutputShort};
use tokio::sync::mpsc;

/// Hints that may wait for the client at once; further ones are dropped. A hint only makes content
/// arrive sooner, so dropping one loses nothing.
pub(crate) const HINTS_MAX: usize = 1_024;

/// What wakes a waiting client.
#[derive(Debug)]
pub(crate) enum Message {
    /// From a request of the given run. Bounded: two for each request in flight.
    Wire { run: u64, input: Input },
    /// From the host. Bounded by what was emitted.
    Delivered(BatchId),
    /// From the host. Bounded by what was emitted.
    Returned(BatchId),
    /// From a webhook. Bounded by [`HINTS_MAX`].
    Hint(ContentRef),
    /// From the host: an output has less than what counts as delivered. Bounded: told once a start.
    OutputShort(OutputShort),
    /// From the webhook: a line for the operator. Bounded: one a minute for each kind.
    Log(Level, String),
    /// From the host: read the credential's file again. Bounded: one for each time that somebody
    /// asks.
    LookAgain,
    /// Finish, within this time.
    Shutdown(Duration),
}

/// Reaches a [`Client`](crate::Client) from any thread, also after it has gone.
#[derive(Clone, Debug)]
pub struct Handle {
    messages: mpsc::UnboundedSender<Message>,
    hints: Arc<AtomicUsize>,
}

impl Handle {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Message>) {
        let (messages, inbox) = mpsc::unbounded_channel();
        (Self { messages, hints: Arc::new(AtomicUsize::new(0)) }, inbox)
    }

    /// The host has taken responsibility for this batch.
    pub fn delivered(&self, batch: BatchId) {
        self.send(Message::Delivered(batch));
    }

    /// The host lost this batch and all it was given after it; they are collected again.
    pub fn returned(&self, batch: BatchId) {
        self.send(Message::Returned(batch));
    }

    /// Somebody says that this content exists. Answers whether the client will look at it: it
    /// does not while 1,024 hints are waiting.
    pub fn hint(&self, content: ContentRef) -> bool {
        let waiting = self.hints.fetch_add(1, Ordering::Relaxed);
        if HINTS_MAX <= waiting {
            self.hints.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.send(Message::Hint(content));
        true
    }

    /// An output has less than what was confirmed. Told as an ERROR, and kept in the state as a
    /// loss until somebody acknowledges it. To be called once for each shortness: the client does
    /// not know whether it is told of the same bytes again.
    pub fn output_short(&self, short: OutputShort) {
        self.send(Message::OutputShort(short));
    }

    /// Reads the file of the credential again, whether it looks changed or not.
    pub fn look_again(&self) {
        self.send(Message::LookAgain);
    }

    /// Ends the run: nothing new is started, and what was emitted may still be confirmed for
    /// `grace`. After that the run ends without it, and the next run collects it again.
    pub fn shutdown(&self, grace: Duration) {
        self.send(Message::Shutdown(grace));
    }

    pub(crate) fn hint_taken(&self) {
        self.hints.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, message: Message) {
        // Fails only if the client has gone, and then there is nobody left to tell.
        let _ = self.messages.send(message);
    }
}
