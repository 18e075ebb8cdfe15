//! What comes of blobs that cannot be read: another attempt, quarantine, or the end of a hint.

use std::time::Duration;

use super::Blobs;
use crate::audit::blob::{Failure, Stage};
use crate::audit::blobs::bounds::{BLOBS_FRESH_MAX, QUARANTINE_MAX, Unreadable};
use crate::audit::run::RunId;
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::event::{Event, FeedEvent};
use crate::contract::state::{self, Changes};
use crate::source::failing::Failing;

/// After this many failures in a row a blob is set aside, so that its window can be settled.
const QUARANTINE_FAILURES: u32 = 5;

/// After so many failures in a row, content that only a hint names is left to polling. If Microsoft
/// says that there is none, after the first.
const HINT_FAILURES_MAX: u32 = 3;

impl Blobs {
    /// A blob could not be read; `gone`: Microsoft says that there is none. Counts the failure.
    pub(in crate::audit) fn note_failure(
        &mut self,
        key: Key,
        gone: bool,
        server_now: Utc,
        changes: &mut Changes,
    ) -> Failure {
        let Some(blob) = self.blobs.get_mut(&key) else { return Failure::Unknown };
        blob.failures = blob.failures.saturating_add(1);
        let failures = blob.failures;
        let expired = server_now >= blob.content.expiration;
        if blob.hinted && (expired || gone || failures >= HINT_FAILURES_MAX) {
            self.forget_hint(key, changes);
            return Failure::Forgotten;
        }
        if expired && (gone || failures >= QUARANTINE_FAILURES) {
            return Failure::Expired(failures);
        }
        Failure::Again(failures)
    }

    /// Forgets what only a hint names: it is not remembered as done, so that a listing can name it.
    fn forget_hint(&mut self, key: Key, changes: &mut Changes) {
        // Takes it out of its queue.
        self.set_stage(key, Stage::Emitted);
        if let Some(blob) = self.blobs.remove(&key) {
            self.queue.hints().remove(key);
            if blob.stored {
                changes.delete(self.keys.blob(key));
            }
        }
    }

    /// A blob is tried again at `retry_at`. After several failures it is set aside, and windows
    /// wait for it no more: these.
    #[must_use]
    pub(in crate::audit) fn retry(
        &mut self,
        key: Key,
        reason: &str,
        retry_at: Duration,
        changes: &mut Changes,
    ) -> Vec<RunId> {
        self.counts.failures += 1;
        self.set_stage(key, Stage::Waiting(retry_at));
        let room = self.counts.quarantined < QUARANTINE_MAX as u64;
        let Some(blob) = self.blobs.get_mut(&key) else { return Vec::new() };
        if blob.quarantined || blob.failures < QUARANTINE_FAILURES || !room {
            return Vec::new();
        }
        blob.quarantined = true;
        blob.stored = true;
        changes.put(self.keys.blob(key), state::encode(&blob.record()));
        let reason = match blob.emitted.records {
            0 => reason.to_owned(),
            records => format!("{reason} (the first {records} records are handed over)"),
        };
        self.unread.hold(&blob.content, Some(&reason));
        self.counts.quarantined += 1;
        std::mem::take(&mut blob.waiters)
    }

    /// What a blob is called, if it is known.
    pub(in crate::audit) fn id(&self, key: Key) -> Option<Box<str>> {
        self.blobs.get(&key).map(|blob| blob.content.id.as_ref().into())
    }

    /// Whether blob after blob fails.
    pub(in crate::audit) const fn failing(&mut self) -> &mut Failing {
        &mut self.failing
    }

    /// Says once that too many blobs cannot be read, and again when nothing is listed any more.
    pub(in crate::audit) fn note_unreadable(&mut self) -> Option<Event> {
        let quarantined = self.counts.quarantined;
        let now = if self.known() >= BLOBS_FRESH_MAX && quarantined >= QUARANTINE_MAX as u64 {
            Unreadable::Stopped
        } else if quarantined >= QUARANTINE_MAX as u64 {
            Unreadable::Full
        } else if quarantined < QUARANTINE_MAX as u64 / 2 {
            Unreadable::Bearable
        } else {
            return None;
        };
        let worse = now > self.unreadable;
        if worse || now == Unreadable::Bearable {
            self.unreadable = now;
        }
        worse.then(|| {
            Event::Feed(
                self.feed,
                FeedEvent::BlobsUnreadableError {
                    blobs: quarantined,
                    stopped: now == Unreadable::Stopped,
                },
            )
        })
    }

    /// When there is something to tell of blobs that were set aside.
    pub(in crate::audit) fn tells_at(&self) -> Option<Duration> {
        self.unread.tells_at()
    }

    /// What there is to tell of them.
    pub(in crate::audit) fn tell(&mut self, now: Duration) -> Option<Event> {
        self.unread.tell(now)
    }
}
