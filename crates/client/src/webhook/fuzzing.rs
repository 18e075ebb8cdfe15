//! The receiver without its listener, for the fuzz target: bytes of a connection in, bytes and
//! hints out.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use m365_audit_core::{Config, ContentRef, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;

use super::limits::{Bucket, Quiet};
use super::metrics::Counts;
use super::serve;
use super::shared::{Patience, Shared};
use crate::handle::{Handle, Message};
use crate::runtime::Runtime;

/// Longer than any connection takes that is written at once and closed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that a connection holds.
const PIPE_BYTES: usize = 1 << 20;

/// A receiver that lets everybody call as often as they like.
#[derive(Debug)]
pub struct Webhook {
    shared: Arc<Shared>,
    inbox: UnboundedReceiver<Message>,
    runtime: Runtime,
}

impl Webhook {
    /// A receiver for this configuration and authentication id.
    ///
    /// # Panics
    /// The system gives no event queue.
    #[must_use]
    pub fn new(config: Config, auth_id: &str) -> Self {
        let (handle, inbox) = Handle::new();
        let now = Instant::now();
        let shared = Arc::new(Shared {
            config,
            auth_id: Secret::new(auth_id.to_owned()),
            handle,
            counts: Counts::default(),
            calls: Bucket::new(u32::MAX, u32::MAX, now),
            quiet: Quiet::new(now),
            patience: Patience { head: PATIENCE, body: PATIENCE, connection: PATIENCE },
        });
        Self { shared, inbox, runtime: Runtime::new().expect("an event queue") }
    }

    /// What a caller is answered who sends these bytes and no more, and what he made us read.
    pub fn call(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<ContentRef>) {
        let shared = Arc::clone(&self.shared);
        let answer = self.runtime.block_on(async {
            let (mut caller, receiver) = tokio::io::duplex(PIPE_BYTES);
            let mut answer = Vec::new();
            // It may hang up while somebody writes.
            let _ = caller.write_all(bytes).await;
            let _ = caller.shutdown().await;
            serve(receiver, shared, Arc::new(AtomicBool::new(false))).await;
            let _ = caller.read_to_end(&mut answer).await;
            answer
        });
        let mut hints = Vec::new();
        while let Ok(message) = self.inbox.try_recv() {
            if let Message::Hint(content) = message {
                self.shared.handle.hint_taken();
                hints.push(content);
            }
        }
        (answer, hints)
    }
}
