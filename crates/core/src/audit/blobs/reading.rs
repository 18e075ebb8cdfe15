//! How far blobs are read, and which are read next.

use std::sync::Arc;
use std::time::Duration;

use super::Blobs;
use crate::audit::blob::Stage;
use crate::audit::expand::Progress;
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::state::{self, Changes};

/// A blob that has read differently than before so often is not handed over in part any more.
const BLOB_CHANGES_MAX: u32 = 3;

impl Blobs {
    /// Makes blobs ready whose wait is over; answers when the next one is.
    pub(in crate::audit) fn wake(&mut self, now: Duration) -> Option<Duration> {
        loop {
            match self.queue.first_waiting(now) {
                Ok(key) => self.set_stage(key, Stage::Ready),
                Err(next) => return next,
            }
        }
    }

    /// Moves a blob to another stage, and to the queue that belongs to it.
    pub(in crate::audit) fn set_stage(&mut self, key: Key, stage: Stage) {
        let Some(blob) = self.blobs.get_mut(&key) else { return };
        self.queue.take(key, blob);
        blob.stage = stage;
        self.queue.put(key, blob);
    }

    /// A blob was read up to `progress`. Answers its content.
    pub(in crate::audit) fn note_progress(
        &mut self,
        key: Key,
        progress: Progress,
    ) -> Option<Arc<ContentRef>> {
        let blob = self.blobs.get_mut(&key)?;
        if blob.emitted.records < progress.records {
            // It gets ahead, however slowly: what failed before does not count any more.
            blob.failures = 0;
            // Microsoft has it: it is no mere hint any more.
            if std::mem::take(&mut blob.hinted) {
                self.queue.hints().remove(key);
            }
        }
        blob.emitted = progress;
        Some(blob.content.clone())
    }

    /// A blob has read differently than before: it is read from its beginning.
    pub(in crate::audit) fn start_over(&mut self, key: Key) {
        if let Some(blob) = self.blobs.get_mut(&key) {
            blob.emitted = Progress::default();
            blob.changes = blob.changes.saturating_add(1);
        }
    }

    /// Whether what is read whole of a blob may be handed over although the rest cannot be read:
    /// of one that is another at each attempt would come again and again what has no Id in it.
    pub(in crate::audit) fn is_steady(&self, key: Key) -> bool {
        self.blobs.get(&key).is_some_and(|blob| blob.changes < BLOB_CHANGES_MAX)
    }

    /// Since when a blob has been an empty list at each reading; `None` if it is one for the first
    /// time, or records were in it once.
    pub(in crate::audit) fn empty_since(&self, key: Key) -> Option<Utc> {
        self.blobs.get(&key)?.empty_since()
    }

    /// Notes since when a blob has been an empty list each time that it could be read.
    pub(in crate::audit) fn note_empty(
        &mut self,
        key: Key,
        since: Option<Utc>,
        changes: &mut Changes,
    ) {
        let Some(blob) = self.blobs.get_mut(&key) else { return };
        if blob.empty_since != since {
            blob.empty_since = since;
            if blob.stored {
                changes.put(self.keys.blob(key), state::encode(&blob.record()));
            }
        }
    }
}
