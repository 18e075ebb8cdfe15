//! What became of each blob of one feed: which can be read, which failed, which are set aside.
//! Knows windows by their names only, and answers which of them wait no more.
//!
//! A blob that cannot be read is set aside (in quarantine) after a few failures, under a key of its
//! own: its window is covered without it, or one broken blob would have a day listed again and
//! again. It is tried until Microsoft's own date of expiry has passed and the answer is final:
//! blobs have been seen to be listed before they could be read. Then it is lost, at ERROR. Content
//! that only a hint names is forgotten instead.

mod bounds;
mod failures;
mod reading;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bounds::{BLOBS_FRESH_MAX, BLOBS_KNOWN_MAX, BLOBS_READY_MAX, QUARANTINE_MAX, Unreadable};

use crate::audit::blob::{Blob, Stage};
use crate::audit::expand::Progress;
use crate::audit::queue::Queue;
use crate::audit::run::RunId;
use crate::audit::seen::SeenContents;
use crate::audit::state::BlobRecord;
use crate::audit::unread::Unread;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::feed::{ContentType, Feed};
use crate::contract::metrics::LaneMetrics;
use crate::contract::request::RequestId;
use crate::contract::state::{self, Changes, StateError, Stored};
use crate::source::failing::Failing;
use crate::source::keys::LaneKeys;
use crate::source::urgency::Urgency;

/// What an entry of a listing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Whether its window waits for it.
    pub waits: bool,
    /// Whether it was not known.
    pub news: bool,
}

/// A blob that is settled.
#[derive(Debug)]
pub(super) struct Settled {
    pub content: Arc<ContentRef>,
    /// How many of its records were delivered.
    pub records: u64,
    pub quarantined: bool,
    /// The windows that waited for it.
    pub waiters: Vec<RunId>,
}

/// Counters, as [`LaneMetrics`] has them.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    listed: u64,
    delivered: u64,
    failures: u64,
    lost: u64,
    quarantined: u64,
}

/// All blobs of one feed that are known and not settled, and which ones are.
#[derive(Debug)]
pub(super) struct Blobs {
    feed: Feed,
    keys: LaneKeys,
    blobs: HashMap<Key, Blob>,
    queue: Queue,
    seen: SeenContents,
    /// What was told of blobs that cannot be read.
    unreadable: Unreadable,
    unread: Unread,
    /// Whether blob after blob fails.
    failing: Failing,
    newest_delivered: Option<Utc>,
    counts: Counts,
}

impl Blobs {
    pub(super) fn load(content_type: ContentType, stored: &Stored) -> Result<Self, StateError> {
        let feed = Feed::Audit(content_type);
        let keys = LaneKeys::new(feed);
        let mut all = Self {
            feed,
            blobs: HashMap::new(),
            queue: Queue::default(),
            seen: SeenContents::load(stored, &keys)?,
            unreadable: Unreadable::Bearable,
            unread: Unread::default(),
            failing: Failing::default(),
            newest_delivered: None,
            counts: Counts::default(),
            keys,
        };
        for (name, _, value) in all.keys.blobs_in(stored) {
            let record: BlobRecord = state::decode(name, value)?;
            let progress = record
                .progress()
                .ok_or_else(|| StateError::damaged(name, "the digest is no number"))?;
            let content = Arc::new(record.content(content_type));
            let key = Key::of_content(&content.id);
            if record.quarantined() {
                all.unread.hold(&content, None);
                all.counts.quarantined += 1;
            }
            let blob = Blob {
                quarantined: record.quarantined(),
                emitted: progress,
                delivered: progress,
                empty_since: record.empty_since(),
                stored: true,
                counted: true,
                ..Blob::new(content, Urgency::Soon)
            };
            all.queue.put(key, &blob);
            all.blobs.insert(key, blob);
        }
        Ok(all)
    }

    // What is known.

    /// What a blob is; `None`: it is not known, or settled.
    pub(super) fn content(&self, key: Key) -> Option<&Arc<ContentRef>> {
        self.blobs.get(&key).map(|blob| &blob.content)
    }

    /// How urgent a blob is.
    pub(super) fn urgency(&self, key: Key) -> Option<Urgency> {
        self.blobs.get(&key).map(|blob| blob.urgency)
    }

    /// Failures of a blob in a row.
    pub(super) fn failures(&self, key: Key) -> u32 {
        self.blobs.get(&key).map_or(0, |blob| blob.failures)
    }

    /// Where an attempt to read a blob goes on.
    pub(super) fn resume(&self, key: Key) -> Progress {
        self.blobs.get(&key).map(|blob| blob.emitted).unwrap_or_default()
    }

    /// The most urgent blob that can be read.
    pub(super) fn first_ready(&self) -> Option<(Urgency, Key)> {
        self.queue.first_ready()
    }

    /// What only a hint names and has waited longest.
    pub(super) fn first_hint(&self) -> Option<Key> {
        self.queue.first_hint()
    }

    /// Whether so few blobs wait that more of this urgency may be listed.
    pub(super) fn may_list(&self, urgency: Urgency) -> bool {
        // What is older must not keep fresh content from being seen.
        let ready = self.queue.count_ready(urgency == Urgency::Fresh, BLOBS_READY_MAX);
        let known_max = if urgency == Urgency::Fresh { BLOBS_FRESH_MAX } else { BLOBS_KNOWN_MAX };
        ready < BLOBS_READY_MAX && self.known() < known_max
    }

    /// Blobs that are not settled, but for those set aside and those that only hints name.
    fn known(&self) -> usize {
        let quarantined = usize::try_from(self.counts.quarantined).unwrap_or(usize::MAX);
        self.blobs.len().saturating_sub(quarantined.saturating_add(self.queue.hinted()))
    }

    /// Whether no blob is left but those set aside and those that only hints name.
    pub(super) fn is_done(&self) -> bool {
        self.blobs.values().all(|blob| blob.quarantined || blob.hinted)
    }

    /// Blobs that are set aside.
    pub(super) const fn quarantined(&self) -> u64 {
        self.counts.quarantined
    }

    // Once more.

    /// Whether a blob is delivered once more, whatever the host has of it.
    pub(super) fn is_again(&self, key: Key) -> bool {
        self.blobs.get(&key).is_some_and(|blob| blob.again)
    }

    /// A blob is delivered once more.
    pub(super) fn note_again(&mut self, key: Key) {
        if let Some(blob) = self.blobs.get_mut(&key) {
            blob.again = true;
        }
    }

    /// The same of all that were created in these hours.
    pub(super) fn note_again_in(&mut self, hours: Interval) {
        for blob in self.blobs.values_mut() {
            blob.again |= hours.start <= blob.content.created && blob.content.created < hours.end;
        }
    }

    /// Hours are opened again: what was settled is not known any more, and what is delivered in
    /// part begins anew; what is on its way to the host, when that is all there.
    pub(super) fn reopen(&mut self, hours: Interval, changes: &mut Changes) {
        self.seen.forget(hours, changes, &self.keys);
        self.note_again_in(hours);
        for (key, blob) in self.blobs.iter_mut().filter(|(_, blob)| blob.again) {
            if blob.emitted.records == 0 && blob.delivered.records == 0 {
                continue;
            }
            match blob.stage {
                Stage::Ready | Stage::Waiting(_) if blob.emitted == blob.delivered => {
                    (blob.emitted, blob.delivered) = (Progress::default(), Progress::default());
                }
                Stage::Ready | Stage::Waiting(_) | Stage::Reading(_) | Stage::Emitted => {
                    blob.from_start = true;
                }
            }
            if blob.stored {
                changes.put(self.keys.blob(*key), state::encode(&blob.record()));
            }
        }
    }

    // History.

    /// When blobs were created that are known, and whether they are set aside.
    pub(super) fn counted(&self) -> impl Iterator<Item = (Utc, bool)> {
        self.blobs.values().map(|blob| (blob.content.created, blob.quarantined))
    }

    /// A blob is to be counted, unless it is: when it was created.
    pub(super) fn count(&mut self, key: Key) -> Option<Utc> {
        let blob = self.blobs.get_mut(&key).filter(|blob| !blob.counted)?;
        blob.counted = true;
        Some(blob.content.created)
    }

    // Listings.

    /// Notes one entry of a window's listing, or what a hint names.
    pub(super) fn list(
        &mut self,
        content: ContentRef,
        run: Option<RunId>,
        urgency: Urgency,
    ) -> Listed {
        let key = Key::of_content(&content.id);
        if self.seen.contains(key) {
            return Listed::default();
        }
        let Some(blob) = self.blobs.get_mut(&key) else {
            self.add(key, content, run, urgency);
            return Listed { waits: run.is_some(), news: true };
        };
        // What is known already is not for a hint to change.
        let Some(run) = run else { return Listed::default() };
        // What a listing says counts, and not what a notification said; and the newest address,
        // which is of the configured cloud at last perhaps.
        if blob.hinted || blob.content.uri != content.uri {
            self.queue.take(key, blob);
            // It stays in the hour in which it is counted.
            let created = if blob.counted { blob.content.created } else { content.created };
            blob.content = Arc::new(ContentRef { created, ..content });
            if std::mem::take(&mut blob.hinted) {
                blob.urgency = urgency;
                self.queue.hints().remove(key);
                self.counts.listed += 1;
            }
            self.queue.put(key, blob);
        }
        // A blob that was set aside holds no window open.
        let waits = !blob.quarantined && !blob.waiters.contains(&run);
        if waits {
            blob.waiters.push(run);
        }
        Listed { waits, news: false }
    }

    fn add(&mut self, key: Key, content: ContentRef, run: Option<RunId>, urgency: Urgency) {
        let blob = Blob {
            hinted: run.is_none(),
            waiters: run.into_iter().collect(),
            ..Blob::new(Arc::new(content), urgency)
        };
        match run {
            Some(_) => {
                self.queue.put(key, &blob);
                self.counts.listed += 1;
            }
            None => self.queue.hints().add(key),
        }
        self.blobs.insert(key, blob);
    }

    /// Notes what a hint names, if there is room. Answers whether it is news.
    pub(super) fn take_hint(&mut self, content: ContentRef) -> bool {
        self.queue.hints().has_room()
            && self.blobs.len() < BLOBS_KNOWN_MAX
            && self.list(content, None, Urgency::Fresh).news
    }

    /// Sets a blob aside whose address must not be followed, for as long as it lives: a later
    /// listing may name a better one. False if there is no room for it.
    pub(super) fn set_aside(
        &mut self,
        content: ContentRef,
        until: Duration,
        changes: &mut Changes,
    ) -> bool {
        let key = Key::of_content(&content.id);
        if self.seen.contains(key) {
            return true;
        }
        if self.counts.quarantined >= QUARANTINE_MAX as u64 {
            return false;
        }
        let record = BlobRecord::new(&content, Progress::default(), true, None);
        changes.put(self.keys.blob(key), state::encode(&record));
        self.counts.listed += 1;
        self.counts.quarantined += 1;
        // Its address was told of.
        self.unread.hold(&content, None);
        let blob = Blob {
            stage: Stage::Waiting(until),
            quarantined: true,
            stored: true,
            ..Blob::new(Arc::new(content), Urgency::Backlog)
        };
        self.queue.put(key, &blob);
        self.blobs.insert(key, blob);
        true
    }

    /// A window has become part of another one. Answers for how many blobs that one waits now
    /// beside its own.
    pub(super) fn merge_waiters(&mut self, from: RunId, into: RunId) -> u32 {
        let mut more = 0;
        for blob in self.blobs.values_mut() {
            if let Some(at) = blob.waiters.iter().position(|waiter| *waiter == from) {
                if blob.waiters.contains(&into) {
                    blob.waiters.swap_remove(at);
                } else {
                    blob.waiters[at] = into;
                    more += 1;
                }
            }
        }
        more
    }

    // Settling.

    /// The host has taken a blob's records up to `progress`. Answers the blob if that is all.
    pub(super) fn deliver(
        &mut self,
        key: Key,
        progress: Progress,
        last: bool,
        changes: &mut Changes,
    ) -> Option<Settled> {
        let blob = self.blobs.get_mut(&key)?;
        blob.delivered = progress;
        if !last {
            blob.stored = true;
            changes.put(self.keys.blob(key), state::encode(&blob.record()));
            return None;
        }
        if std::mem::take(&mut blob.from_start) {
            // That was the first time; its hour was opened again meanwhile.
            (blob.emitted, blob.delivered) = (Progress::default(), Progress::default());
            changes.put(self.keys.blob(key), state::encode(&blob.record()));
            self.set_stage(key, Stage::Ready);
            return None;
        }
        let settled = self.settle(key, changes)?;
        self.counts.delivered += 1;
        self.newest_delivered = self.newest_delivered.max(Some(settled.content.created));
        Some(settled)
    }

    /// The host has lost what it was given of a blob; `remaining` says how far entries reach that
    /// it may still take. Answers the request to drop.
    pub(super) fn take_back(&mut self, key: Key, remaining: Option<Progress>) -> Option<RequestId> {
        let blob = self.blobs.get_mut(&key)?;
        blob.emitted = remaining.unwrap_or(blob.delivered);
        match blob.stage {
            Stage::Reading(id) => {
                self.set_stage(key, Stage::Ready);
                Some(id)
            }
            Stage::Emitted => {
                self.set_stage(key, Stage::Ready);
                None
            }
            Stage::Ready | Stage::Waiting(_) => None,
        }
    }

    /// A blob expired unread.
    pub(super) fn lose(&mut self, key: Key, changes: &mut Changes) -> Option<Settled> {
        let settled = self.settle(key, changes)?;
        self.counts.lost += 1;
        Some(settled)
    }

    /// Settles a blob for good.
    fn settle(&mut self, key: Key, changes: &mut Changes) -> Option<Settled> {
        // Takes it out of its queue.
        self.set_stage(key, Stage::Emitted);
        let blob = self.blobs.remove(&key)?;
        if blob.hinted {
            self.queue.hints().remove(key);
        }
        if blob.stored {
            changes.delete(self.keys.blob(key));
        }
        if blob.quarantined {
            self.counts.quarantined -= 1;
            self.unread.release(&blob.content);
        }
        self.seen.insert(key, blob.content.created);
        Some(Settled {
            content: blob.content,
            records: blob.delivered.records,
            quarantined: blob.quarantined,
            waiters: blob.waiters,
        })
    }

    // State.

    /// Writes what has changed since the last time. `local` is what this machine's clock says.
    pub(super) fn flush(&mut self, changes: &mut Changes, now: Utc, local: Utc) {
        self.seen.flush(changes, &self.keys, now, local);
    }

    /// Whether none is set aside.
    pub(super) fn is_all_read(&self) -> bool {
        self.unread.is_empty()
    }

    /// Adds to `missing` what blobs that are set aside keep from being delivered. Answers since
    /// when nothing is.
    pub(super) fn missing(&self, horizon: Utc, missing: &mut IntervalSet) -> Option<Utc> {
        // After a restart, what is remembered of earlier ones stands for it.
        let before = self.seen.newest().filter(|_| self.newest_delivered.is_none());
        self.unread.missing(self.newest_delivered.max(before), horizon, missing)
    }

    /// Brings counters and gauges up to date.
    pub(super) fn measure(&self, metrics: &mut LaneMetrics) {
        metrics.blobs_listed = self.counts.listed;
        metrics.blobs_delivered = self.counts.delivered;
        metrics.blob_failures = self.counts.failures;
        metrics.blobs_lost = self.counts.lost;
        metrics.blobs_quarantined = self.counts.quarantined;
        metrics.blobs_pending = (self.blobs.len() - self.queue.hinted()) as u64;
        metrics.newest_content = self.newest_delivered;
    }
}
