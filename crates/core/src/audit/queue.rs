//! Which blobs of one feed can be read, in which order, and which wait.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::audit::blob::{Blob, Place, Stage};
use crate::audit::hint::Hints;
use crate::base::key::Key;
use crate::source::urgency::Urgency;

/// The queues of one feed. A blob stands in the one that its stage belongs to.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: BTreeSet<Place>,
    waiting: BTreeSet<(Duration, Key)>,
    hints: Hints,
}

impl Queue {
    /// Puts a blob where its stage belongs.
    pub(super) fn put(&mut self, key: Key, blob: &Blob) {
        match blob.stage {
            Stage::Ready if blob.hinted => self.hints.push(key),
            Stage::Ready => {
                self.ready.insert(blob.place(key));
            }
            Stage::Waiting(at) => {
                self.waiting.insert((at, key));
            }
            Stage::Reading(_) | Stage::Emitted => {}
        }
    }

    /// Takes a blob from where its stage belongs.
    pub(super) fn take(&mut self, key: Key, blob: &Blob) {
        match blob.stage {
            Stage::Ready if blob.hinted => self.hints.take(key),
            Stage::Ready => {
                self.ready.remove(&blob.place(key));
            }
            Stage::Waiting(at) => {
                self.waiting.remove(&(at, key));
            }
            Stage::Reading(_) | Stage::Emitted => {}
        }
    }

    /// The most urgent blob that can be read.
    pub(super) fn first_ready(&self) -> Option<(Urgency, Key)> {
        self.ready.first().map(|(urgency, _, key)| (*urgency, *key))
    }

    /// Blobs that can be read, up to `max`: of fresh content alone, or of all.
    pub(super) fn count_ready(&self, fresh: bool, max: usize) -> usize {
        if !fresh {
            return self.ready.len().min(max);
        }
        let fresh = self.ready.iter().take_while(|place| place.0 == Urgency::Fresh);
        fresh.take(max).count()
    }

    /// The first blob whose wait is over, or when that will be.
    pub(super) fn first_waiting(&self, now: Duration) -> Result<Key, Option<Duration>> {
        match self.waiting.first().copied() {
            Some((at, key)) if at <= now => Ok(key),
            Some((at, _)) => Err(Some(at)),
            None => Err(None),
        }
    }

    /// What only hints name.
    pub(super) const fn hints(&mut self) -> &mut Hints {
        &mut self.hints
    }

    /// The hint that has waited longest.
    pub(super) fn first_hint(&self) -> Option<Key> {
        self.hints.first()
    }

    /// Blobs that only hints name.
    pub(super) const fn hinted(&self) -> usize {
        self.hints.known()
    }
}
