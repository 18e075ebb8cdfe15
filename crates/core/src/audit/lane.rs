//! A lane: one feed of one tenant. Keeps what is covered, which windows are being listed, and what
//! became of each blob. Sends nothing and knows no other lane.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::expand::Progress;
use crate::audit::forbidden::Forbidden;
use crate::audit::hint::Hints;
use crate::audit::plan::{self, Round, Urgency};
use crate::audit::relist::Older;
use crate::audit::schedule::NO_SUBSCRIPTION;
use crate::audit::seen::{SeenContents, SeenRecords};
use crate::audit::unread::Unread;
use crate::audit::webhook::{Kept, Webhook};
use crate::base::interval::{Interval, IntervalSet};
use crate::base::key::{Key, KeySet};
use crate::base::time::Utc;
use crate::config::Config;
use crate::contract::batch::{ContentRef, ContentType, Record};
use crate::contract::event::Event;
use crate::contract::metrics::LaneMetrics;
use crate::contract::request::RequestId;
use crate::contract::state::{self, BlobRecord, Changes, LaneKeys, LaneRecord, StateError, Stored};
use crate::source::failing::Failing;
use crate::source::revision::{Novelty, Revision};

/// No further page is listed while this many blobs wait to be read. A page has held several
/// thousand; so many come on top.
pub(crate) const BLOBS_READY_MAX: usize = 1_000;

/// Blobs of one lane that are known and not settled, but for those set aside: beyond it only fresh
/// content is listed. Blobs that fail for a while count here and not above.
pub(crate) const BLOBS_KNOWN_MAX: usize = 20_000;

/// The same for fresh content: beyond it nothing is listed any more.
pub(crate) const BLOBS_FRESH_MAX: usize = 60_000;

/// Windows that are listed or whose blobs are not all delivered. From half of it on, those that
/// touch become one, and only fresh content is listed.
pub(crate) const RUNS_MAX: usize = 64;

/// After this many failures in a row a blob is set aside, so that its window can be settled.
pub(crate) const QUARANTINE_FAILURES: u32 = 5;

/// Blobs that are set aside at the most. Further ones keep their windows open instead.
pub(crate) const QUARANTINE_MAX: usize = 10_000;

/// Names one window under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RunId(u64);

/// One window from its first page until its last blob is settled.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) window: Interval,
    pub(crate) urgency: Urgency,
    pub(crate) listing: Listing,
    pub(crate) pages: u32,
    /// Pages that were asked for: a page that leads back to one of them would never end.
    pub(crate) visited: KeySet,
    pub(crate) blobs: u64,
    pub(crate) new: u64,
    /// Blobs of this window that are neither delivered nor set aside.
    waiting: u32,
    /// What it lists again.
    pub(crate) round: Option<Round>,
    /// How often it has failed since it was set aside; 0 if it was not.
    pub(crate) tries: u32,
    /// Failures of the present page in a row.
    pub(crate) failures: u32,
    pub(crate) not_before: Duration,
}

/// How far the listing of a window has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// This page is next; `None` is the first.
    Next(Option<String>),
    /// This page is being read.
    Asked(RequestId, Option<String>),
    /// There are no more pages.
    Complete,
}

/// One blob that is known and not settled.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) content: Arc<ContentRef>,
    pub(crate) urgency: Urgency,
    pub(crate) stage: Stage,
    pub(crate) failures: u32,
    pub(crate) quarantined: bool,
    /// Whether only a hint names it: until a listing does too, or it has yielded records.
    pub(crate) hinted: bool,
    /// What was handed to the host. A new attempt continues here.
    pub(crate) emitted: Progress,
    /// What the host has taken.
    delivered: Progress,
    /// How often it has read differently than before.
    pub(crate) changes: u32,
    /// Since when it has been an empty list, each time that it could be read.
    empty_since: Option<Utc>,
    /// The windows that wait for it.
    waiters: Vec<RunId>,
    stored: bool,
}

impl Blob {
    /// Since when it has been an empty list at each reading; `None` if it is one for the first
    /// time, or records were in it once.
    pub(crate) fn empty_since(&self) -> Option<Utc> {
        self.empty_since.filter(|_| self.delivered.records == 0)
    }

    /// As it is stored.
    fn record(&self) -> BlobRecord {
        BlobRecord::new(&self.content, self.delivered, self.quarantined, self.empty_since)
    }
}

/// What is happening to a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It can be read.
    Ready,
    /// It failed and is read again then.
    Waiting(Duration),
    /// It is being read.
    Reading(RequestId),
    /// It was read to its end; the host has not taken all of it.
    Emitted,
}

/// The state of a lane's subscription, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// The list has to be looked at.
    Unknown,
    /// It is not in the list, or disabled.
    Missing,
    /// A start is under way.
    Starting,
    /// It is missing, and must not be started now; the list is looked at then.
    Waiting {
        /// On the monotonic clock.
        until: Duration,
    },
    /// Content can be listed.
    Enabled,
    /// Microsoft denies this feed to this app; it is tried again then.
    Denied {
        /// On the monotonic clock.
        until: Duration,
    },
}

/// One feed of one tenant.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) content_type: ContentType,
    pub(crate) keys: LaneKeys,
    pub(crate) begin: Utc,
    pub(crate) covered: IntervalSet,
    pub(crate) subscription: Subscription,
    /// When the subscription was last started: another start must wait.
    pub(crate) started_at: Option<Utc>,
    pub(crate) subscription_failures: u32,
    /// What the last start was answered, if it has failed, and how many have.
    pub(crate) start_answer: Option<String>,
    pub(crate) starts_failed: u32,
    pub(crate) forbidden: Forbidden,
    pub(crate) webhook: Webhook,
    pub(crate) kept: Kept,
    /// The code with which Microsoft denies this feed, until it works again.
    pub(crate) denied: Option<String>,
    /// When it was told last that there is no subscription.
    pub(crate) missing_told: Option<Duration>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    next_run: u64,
    /// Failures of fresh listings in a row, and when any is tried again.
    pub(crate) list_failures: u32,
    /// Requests for a page of fresh windows that failed in a row.
    fresh_failed: u32,
    pub(crate) list_not_before: Duration,
    pub(crate) next_fresh: Duration,
    pub(crate) older: Older,
    /// Whether the plan of the backlog may have changed since it was last empty.
    pub(crate) replan: bool,
    pub(crate) caught_up: bool,
    pub(crate) blobs: HashMap<Key, Blob>,
    ready: BTreeSet<(Urgency, Reverse<Utc>, Key)>,
    pub(crate) hints: Hints,
    waiting: BTreeSet<(Duration, Key)>,
    pub(crate) seen: SeenContents,
    pub(crate) records: SeenRecords,
    /// Origins elsewhere that were named before, so that each is reported once.
    pub(crate) refused: KeySet,
    /// Whether it was told that Microsoft names wrong addresses.
    pub(crate) derived_told: bool,
    pub(crate) metrics: LaneMetrics,
    /// When a gap is reported that still grows.
    pub(crate) growing_gap_at: Duration,
    /// Whether nothing was stored when it was loaded.
    pub(crate) is_new: bool,
    pub(crate) changed: bool,
    /// What was told of blobs that cannot be read.
    unreadable: Unreadable,
    pub(crate) unread: Unread,
    /// Whether blob after blob fails.
    pub(crate) failing: Failing,
}

/// Whether too many blobs cannot be read, as far as that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unreadable {
    Bearable,
    /// No more can be set aside.
    Full,
    /// Nothing is listed any more.
    Stopped,
}

impl Lane {
    /// A lane that continues from `stored`, or begins `lookback` before `now`.
    pub(crate) fn load(
        content_type: ContentType,
        config: &Config,
        stored: &Stored,
        now: Utc,
        monotonic: Duration,
    ) -> Result<Self, StateError> {
        let keys = LaneKeys::new(content_type);
        let name = keys.lane();
        let record = match stored.get(&name) {
            Some(value) => state::decode::<LaneRecord>(&name, value)?,
            None => LaneRecord::new(plan::begin(config.lookback, now), &IntervalSet::default()),
        };
        let start = keys.start();
        let started_at = stored.get(&start).map(|v| state::decode_time(&start, v)).transpose()?;
        let mut lane = Self {
            content_type,
            begin: record.begin(),
            covered: record.covered(),
            subscription: Subscription::Unknown,
            started_at,
            subscription_failures: 0,
            start_answer: None,
            starts_failed: 0,
            forbidden: Forbidden::default(),
            webhook: Webhook::Settled,
            kept: Kept::Nothing,
            denied: None,
            missing_told: None,
            runs: BTreeMap::new(),
            next_run: 0,
            list_failures: 0,
            fresh_failed: 0,
            list_not_before: Duration::ZERO,
            next_fresh: Duration::ZERO,
            older: Older::new(record.relisted, record.span),
            replan: true,
            caught_up: false,
            blobs: HashMap::new(),
            ready: BTreeSet::new(),
            hints: Hints::default(),
            waiting: BTreeSet::new(),
            seen: SeenContents::load(stored, &keys)?,
            records: SeenRecords::load(stored, &keys, config.dedupe_records)?,
            refused: KeySet::default(),
            derived_told: false,
            metrics: LaneMetrics::new(content_type),
            growing_gap_at: monotonic + plan::GAP_REPORTED_EVERY,
            is_new: !stored.contains_key(&name),
            changed: !stored.contains_key(&name),
            unreadable: Unreadable::Bearable,
            unread: Unread::default(),
            failing: Failing::default(),
            keys,
        };
        lane.load_blobs(stored)?;
        Ok(lane)
    }

    fn load_blobs(&mut self, stored: &Stored) -> Result<(), StateError> {
        let keys = self.keys.clone();
        for (name, _, value) in keys.blobs_in(stored) {
            let record: BlobRecord = state::decode(name, value)?;
            let progress = record
                .progress()
                .ok_or_else(|| StateError::damaged(name, "the digest is no number"))?;
            let content = Arc::new(record.content(self.content_type));
            let key = Key::of_content(&content.id);
            if record.quarantined() {
                self.unread.hold(&content, None);
            }
            self.ready.insert((Urgency::Soon, Reverse(content.created), key));
            self.blobs.insert(
                key,
                Blob {
                    content,
                    urgency: Urgency::Soon,
                    stage: Stage::Ready,
                    failures: 0,
                    quarantined: record.quarantined(),
                    hinted: false,
                    emitted: progress,
                    delivered: progress,
                    changes: 0,
                    empty_since: record.empty_since(),
                    waiters: Vec::new(),
                    stored: true,
                },
            );
        }
        self.metrics.blobs_quarantined =
            self.blobs.values().filter(|blob| blob.quarantined).count() as u64;
        Ok(())
    }

    /// The subscription is enabled: what starts were answered is over.
    pub(crate) fn enable(&mut self) {
        self.subscription = Subscription::Enabled;
        self.forbidden.accept_start();
        (self.start_answer, self.starts_failed) = (None, 0);
    }

    // Windows.

    /// What is covered or under way.
    pub(crate) fn listed(&self) -> IntervalSet {
        let mut listed = self.covered.clone();
        for run in self.runs.values() {
            listed.insert(run.window);
        }
        listed
    }

    /// Begins a window.
    pub(crate) fn begin_run(&mut self, window: Interval, urgency: Urgency) {
        self.begin_older(window, urgency, None, 0);
    }

    /// Begins a window that is listed again, or by itself after failures.
    pub(crate) fn begin_older(
        &mut self,
        window: Interval,
        urgency: Urgency,
        round: Option<Round>,
        tries: u32,
    ) {
        let id = RunId(self.next_run);
        self.next_run += 1;
        self.replan = true;
        self.runs.insert(
            id,
            Run {
                window,
                urgency,
                listing: Listing::Next(None),
                pages: 0,
                visited: KeySet::default(),
                blobs: 0,
                new: 0,
                waiting: 0,
                round,
                tries,
                failures: 0,
                not_before: Duration::ZERO,
            },
        );
    }

    /// Whether a window of this urgency is still being listed.
    pub(crate) fn is_listing(&self, urgency: Urgency) -> bool {
        self.runs.values().any(|run| run.urgency == urgency && run.listing != Listing::Complete)
    }

    /// Gives a window up: what it has not covered is planned anew.
    pub(crate) fn drop_run(&mut self, id: RunId) -> Option<Run> {
        self.replan = true;
        self.runs.remove(&id)
    }

    /// Makes one of completed windows that touch, so that blobs that cannot be read for long do not
    /// use up the places of what is new.
    pub(crate) fn merge_runs(&mut self) {
        let complete = |run: &&Run| run.listing == Listing::Complete;
        let ids: Vec<RunId> = self.runs.keys().copied().collect();
        for (at, from) in ids.iter().enumerate() {
            for into in &ids[at + 1..] {
                let Some(old) = self.runs.get(from).filter(complete) else { break };
                let Some(new) = self.runs.get(into).filter(complete) else { continue };
                let (a, b) = (old.window, new.window);
                if old.round == new.round && a.start <= b.end && b.start <= a.end {
                    self.merge(*from, *into);
                }
            }
        }
    }

    fn merge(&mut self, from: RunId, into: RunId) {
        let Some(old) = self.runs.remove(&from) else { return };
        let Some(run) = self.runs.get_mut(&into) else { return };
        run.window.start = run.window.start.min(old.window.start);
        run.window.end = run.window.end.max(old.window.end);
        for blob in self.blobs.values_mut() {
            if let Some(at) = blob.waiters.iter().position(|waiter| *waiter == from) {
                if blob.waiters.contains(&into) {
                    blob.waiters.swap_remove(at);
                } else {
                    blob.waiters[at] = into;
                    run.waiting += 1;
                }
            }
        }
    }

    /// Notes one entry of a window's listing. Answers whether it is news.
    pub(crate) fn list_blob(
        &mut self,
        content: ContentRef,
        run: Option<RunId>,
        urgency: Urgency,
    ) -> bool {
        let key = Key::of_content(&content.id);
        if self.seen.contains(key) {
            return false;
        }
        let (waiter, news) = match self.blobs.get_mut(&key) {
            // What is known already is not for a hint to change.
            Some(_) if run.is_none() => return false,
            Some(blob) => {
                // What a listing says counts, and not what a notification said; and the newest
                // address, which is of the configured cloud at last perhaps.
                if blob.hinted || blob.content.uri != content.uri {
                    if blob.stage == Stage::Ready {
                        let urgency = if blob.hinted { urgency } else { blob.urgency };
                        self.ready.remove(&(blob.urgency, Reverse(blob.content.created), key));
                        self.ready.insert((urgency, Reverse(content.created), key));
                    }
                    blob.content = Arc::new(content);
                }
                if std::mem::take(&mut blob.hinted) {
                    blob.urgency = urgency;
                    self.hints.remove(key);
                    self.metrics.blobs_listed += 1;
                }
                // A blob that was set aside holds no window open.
                let waits =
                    !blob.quarantined && run.is_some_and(|run| !blob.waiters.contains(&run));
                if waits {
                    blob.waiters.extend(run);
                }
                (waits, false)
            }
            None => {
                match run {
                    Some(_) => {
                        self.ready.insert((urgency, Reverse(content.created), key));
                    }
                    None => self.hints.add(key),
                }
                self.blobs.insert(
                    key,
                    Blob {
                        content: Arc::new(content),
                        urgency,
                        stage: Stage::Ready,
                        failures: 0,
                        quarantined: false,
                        hinted: run.is_none(),
                        emitted: Progress::default(),
                        delivered: Progress::default(),
                        changes: 0,
                        empty_since: None,
                        waiters: run.into_iter().collect(),
                        stored: false,
                    },
                );
                self.metrics.blobs_listed += u64::from(run.is_some());
                (run.is_some(), true)
            }
        };
        if let Some(run) = run.filter(|_| waiter).and_then(|run| self.runs.get_mut(&run)) {
            run.waiting += 1;
            run.new += u64::from(news);
        }
        news
    }

    /// Notes what a hint names, if there is room. Answers whether it is news.
    pub(crate) fn take_hint(&mut self, content: ContentRef) -> bool {
        self.hints.has_room()
            && self.blobs.len() < BLOBS_KNOWN_MAX
            && self.list_blob(content, None, Urgency::Fresh)
    }

    /// Forgets what only a hint names: it is not remembered as done, so that a listing can name it.
    pub(crate) fn forget_hint(&mut self, key: Key, changes: &mut Changes) {
        // Takes it out of its queue.
        self.set_stage(key, Stage::Emitted);
        if let Some(blob) = self.blobs.remove(&key) {
            self.hints.remove(key);
            if blob.stored {
                changes.delete(self.keys.blob(key));
            }
        }
    }

    /// A blob was read up to `progress`. Answers its content.
    pub(crate) fn note_progress(
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
                self.hints.remove(key);
            }
        }
        blob.emitted = progress;
        Some(blob.content.clone())
    }

    /// A request for a page failed. Answers how many of fresh windows have, in a row; of others
    /// `count`, for these mount by window.
    pub(crate) fn note_failure(&mut self, urgency: Urgency, count: u32) -> u32 {
        if urgency != Urgency::Fresh {
            return count;
        }
        self.fresh_failed = self.fresh_failed.saturating_add(1);
        self.fresh_failed.max(count)
    }

    /// A page was read, and leads on.
    pub(crate) fn note_success(&mut self, urgency: Urgency) {
        if urgency == Urgency::Fresh {
            self.fresh_failed = 0;
        }
    }

    /// The last page of a window is read.
    pub(crate) fn complete_listing(&mut self, id: RunId) -> Option<Event> {
        let run = self.runs.get_mut(&id)?;
        run.listing = Listing::Complete;
        if run.urgency == Urgency::Fresh {
            self.list_failures = 0;
        } else {
            self.older.succeeded(run.window, run.round.filter(|_| run.tries == 0));
        }
        self.metrics.windows_listed += 1;
        let event = Event::WindowListed {
            content_type: self.content_type,
            start: run.window.start,
            end: run.window.end,
            blobs: run.blobs,
            new: run.new,
        };
        self.settle_run(id);
        Some(event)
    }

    /// Covers a window if nothing of it is missing.
    fn settle_run(&mut self, id: RunId) {
        let settled = |run: &Run| run.waiting == 0 && run.listing == Listing::Complete;
        if self.runs.get(&id).is_some_and(settled)
            && let Some(run) = self.runs.remove(&id)
        {
            self.cover(run.window);
        }
    }

    /// Notes that an interval is settled.
    pub(crate) fn cover(&mut self, interval: Interval) {
        self.covered.insert(interval);
        self.replan = true;
        self.changed = true;
    }

    // Blobs.

    /// The most urgent blob that can be read.
    pub(crate) fn first_ready(&self) -> Option<(Urgency, Key)> {
        self.ready.first().map(|(urgency, _, key)| (*urgency, *key))
    }

    /// Whether so few blobs wait that more of this urgency may be listed.
    pub(crate) fn may_list(&self, urgency: Urgency) -> bool {
        let ready = match urgency {
            // What is older must not keep fresh content from being seen.
            Urgency::Fresh => {
                let fresh = self.ready.iter().take_while(|blob| blob.0 == urgency);
                fresh.take(BLOBS_READY_MAX).count()
            }
            Urgency::Soon | Urgency::Backlog => self.ready.len(),
        };
        let known_max = if urgency == Urgency::Fresh { BLOBS_FRESH_MAX } else { BLOBS_KNOWN_MAX };
        ready < BLOBS_READY_MAX && self.known() < known_max
    }

    /// Blobs that are not settled, but for those set aside and those that only hints name.
    fn known(&self) -> usize {
        let quarantined = usize::try_from(self.metrics.blobs_quarantined).unwrap_or(usize::MAX);
        self.blobs.len().saturating_sub(quarantined.saturating_add(self.hints.known()))
    }

    /// Says once that too many blobs cannot be read, and again when nothing is listed any more.
    pub(crate) fn note_unreadable(&mut self) -> Option<Event> {
        let quarantined = self.metrics.blobs_quarantined;
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
        worse.then(|| Event::BlobsUnreadableError {
            content_type: self.content_type,
            blobs: self.metrics.blobs_quarantined,
            stopped: now == Unreadable::Stopped,
        })
    }

    /// Sets a blob aside whose address must not be followed, for as long as it lives: a later
    /// listing may name a better one. False if there is no room for it.
    pub(crate) fn set_aside(
        &mut self,
        content: ContentRef,
        until: Duration,
        changes: &mut Changes,
    ) -> bool {
        let key = Key::of_content(&content.id);
        if self.seen.contains(key) {
            return true;
        }
        if self.metrics.blobs_quarantined >= QUARANTINE_MAX as u64 {
            return false;
        }
        let record = BlobRecord::new(&content, Progress::default(), true, None);
        changes.put(self.keys.blob(key), state::encode(&record));
        self.metrics.blobs_listed += 1;
        self.metrics.blobs_quarantined += 1;
        // Its address was told of.
        self.unread.hold(&content, None);
        self.waiting.insert((until, key));
        self.blobs.insert(
            key,
            Blob {
                content: Arc::new(content),
                urgency: Urgency::Backlog,
                stage: Stage::Waiting(until),
                failures: 0,
                quarantined: true,
                hinted: false,
                emitted: Progress::default(),
                delivered: Progress::default(),
                changes: 0,
                empty_since: None,
                waiters: Vec::new(),
                stored: true,
            },
        );
        true
    }

    /// Makes blobs ready whose wait is over; answers when the next one is.
    pub(crate) fn wake_blobs(&mut self, now: Duration) -> Option<Duration> {
        while let Some((at, key)) = self.waiting.first().copied() {
            if at > now {
                return Some(at);
            }
            self.set_stage(key, Stage::Ready);
        }
        None
    }

    /// Moves a blob to another stage, and to the queue that belongs to it.
    pub(crate) fn set_stage(&mut self, key: Key, stage: Stage) {
        let Some(blob) = self.blobs.get_mut(&key) else { return };
        let place = (blob.urgency, Reverse(blob.content.created), key);
        match blob.stage {
            Stage::Ready if blob.hinted => self.hints.take(key),
            Stage::Ready => {
                self.ready.remove(&place);
            }
            Stage::Waiting(at) => {
                self.waiting.remove(&(at, key));
            }
            Stage::Reading(_) | Stage::Emitted => {}
        }
        blob.stage = stage;
        match stage {
            Stage::Ready if blob.hinted => self.hints.push(key),
            Stage::Ready => {
                self.ready.insert(place);
            }
            Stage::Waiting(at) => {
                self.waiting.insert((at, key));
            }
            Stage::Reading(_) | Stage::Emitted => {}
        }
    }

    /// The host has taken a blob's records up to `progress`.
    pub(crate) fn deliver(
        &mut self,
        key: Key,
        progress: Progress,
        last: bool,
        changes: &mut Changes,
    ) -> Option<Event> {
        let blob = self.blobs.get_mut(&key)?;
        blob.delivered = progress;
        if !last {
            blob.stored = true;
            changes.put(self.keys.blob(key), state::encode(&blob.record()));
            return None;
        }
        let blob = self.remove_blob(key, changes)?;
        self.metrics.blobs_delivered += 1;
        self.metrics.newest_content = self.metrics.newest_content.max(Some(blob.content.created));
        blob.quarantined.then(|| Event::BlobRecovered {
            content_type: self.content_type,
            content_id: blob.content.id.clone(),
        })
    }

    /// Sorts out records that the host was given before, in this blob or another. The rest counts
    /// as given. Answers which of it have a name, and how many say something else than one of
    /// their name did.
    pub(crate) fn leave_out_known(
        &mut self,
        records: &mut Vec<Record>,
        known: Vec<Option<Revision>>,
    ) -> (Vec<Revision>, u64) {
        let (mut given, mut revised) = (Vec::new(), 0);
        if self.records.is_off() {
            return (given, revised);
        }
        let before = records.len();
        let mut known = known.into_iter();
        records.retain(|_| {
            let Some(record) = known.next().flatten() else { return true };
            let novelty = self.records.emit(record);
            revised += u64::from(novelty == Novelty::Revised);
            let new = novelty != Novelty::Known;
            given.extend(Some(record).filter(|_| new));
            new
        });
        self.metrics.records_deduplicated += (before - records.len()) as u64;
        self.metrics.records_revised += revised;
        (given, revised)
    }

    /// The host has lost what it was given of a blob; `remaining` says how far entries reach that
    /// it may still take. Answers the request to drop.
    pub(crate) fn take_back(&mut self, key: Key, remaining: Option<Progress>) -> Option<RequestId> {
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

    /// A blob could not be read; it is tried again at `retry_at`. After several failures it is set
    /// aside.
    pub(crate) fn fail_blob(
        &mut self,
        key: Key,
        reason: &str,
        retry_at: Duration,
        changes: &mut Changes,
    ) {
        self.metrics.blob_failures += 1;
        self.set_stage(key, Stage::Waiting(retry_at));
        let room = self.metrics.blobs_quarantined < QUARANTINE_MAX as u64;
        let Some(blob) = self.blobs.get_mut(&key) else { return };
        if blob.quarantined || blob.failures < QUARANTINE_FAILURES || !room {
            return;
        }
        blob.quarantined = true;
        blob.stored = true;
        changes.put(self.keys.blob(key), state::encode(&blob.record()));
        let reason = match blob.emitted.records {
            0 => reason.to_owned(),
            records => format!("{reason} (the first {records} records are handed over)"),
        };
        self.unread.hold(&blob.content, Some(&reason));
        let waiters = std::mem::take(&mut blob.waiters);
        self.metrics.blobs_quarantined += 1;
        self.release(&waiters);
    }

    /// Notes since when a blob has been an empty list each time that it could be read.
    pub(crate) fn note_empty(&mut self, key: Key, since: Option<Utc>, changes: &mut Changes) {
        let Some(blob) = self.blobs.get_mut(&key) else { return };
        if blob.empty_since != since {
            blob.empty_since = since;
            if blob.stored {
                changes.put(self.keys.blob(key), state::encode(&blob.record()));
            }
        }
    }

    /// A blob expired unread. Answers it, and how many of its records were delivered.
    pub(crate) fn lose_blob(
        &mut self,
        key: Key,
        changes: &mut Changes,
    ) -> Option<(Arc<ContentRef>, u64)> {
        let blob = self.remove_blob(key, changes)?;
        self.metrics.blobs_lost += 1;
        Some((blob.content, blob.delivered.records))
    }

    /// Settles a blob for good.
    fn remove_blob(&mut self, key: Key, changes: &mut Changes) -> Option<Blob> {
        // Takes it out of its queue.
        self.set_stage(key, Stage::Emitted);
        let blob = self.blobs.remove(&key)?;
        if blob.hinted {
            self.hints.remove(key);
        }
        if blob.stored {
            changes.delete(self.keys.blob(key));
        }
        if blob.quarantined {
            self.metrics.blobs_quarantined -= 1;
            self.unread.release(&blob.content);
        }
        self.seen.insert(key, blob.content.created);
        self.release(&blob.waiters);
        Some(blob)
    }

    fn release(&mut self, waiters: &[RunId]) {
        for id in waiters {
            if let Some(run) = self.runs.get_mut(id) {
                run.waiting -= 1;
                self.settle_run(*id);
            }
        }
    }

    // State.

    /// Microsoft's clock is known, or known better: what was noted by a wrong one and lies in the
    /// future is taken back. `born` is when this collector began, by Microsoft's clock.
    pub(crate) fn correct_time(&mut self, lookback: Duration, now: Utc, born: Utc) {
        let begun_by_wrong_clock = self.is_new && self.covered.last_end().is_none();
        if begun_by_wrong_clock || now < self.begin {
            self.begin = plan::begin(lookback, born);
            self.changed = true;
        }
        let horizon = plan::horizon(now);
        if self.covered.last_end().is_some_and(|end| horizon < end) {
            self.covered.forget_after(horizon);
            self.changed = true;
        }
        self.runs.retain(|_, run| run.window.end <= horizon);
        self.older.correct_time(now, horizon);
        self.started_at = self.started_at.filter(|at| *at <= now);
        self.replan = true;
    }

    /// Writes what has changed since the last time. `local` is what this machine's clock says.
    pub(crate) fn flush(&mut self, changes: &mut Changes, now: Utc, local: Utc) {
        if std::mem::take(&mut self.changed) {
            let oldest = plan::oldest(now);
            // Everything before is settled: delivered, or reported as lost.
            if plan::lost(&self.covered, self.begin, now).is_empty() && self.begin < oldest {
                self.begin = oldest;
                self.covered.forget_before(oldest);
            }
            let mut record = LaneRecord::new(self.begin, &self.covered);
            record.relisted = self.relisted(now);
            record.span = self.older.stored_span();
            changes.put(self.keys.lane(), state::encode(&record));
        }
        self.seen.flush(changes, &self.keys, now, local);
        self.records.flush(changes, &self.keys);
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&mut self, now: Utc) {
        let metrics = &mut self.metrics;
        metrics.blobs_pending = (self.blobs.len() - self.hints.known()) as u64;
        metrics.denied = self.denied.as_ref().is_some_and(|code| code != NO_SUBSCRIPTION);
        let horizon = plan::horizon(now);
        let range = Interval::new(self.begin.max(plan::oldest(now)), horizon);
        let gaps = range.map(|range| self.covered.gaps(range)).unwrap_or_default();
        let mut listed_until = self.covered.last_end().unwrap_or(self.begin);
        let mut missing: IntervalSet = gaps.into_iter().collect();
        if !self.unread.is_empty() {
            // After a restart, what is remembered of earlier ones stands for it.
            let newest = metrics
                .newest_content
                .max(self.seen.newest().filter(|_| metrics.newest_content.is_none()));
            let since = self.unread.missing(newest, horizon, &mut missing);
            listed_until = since.map_or(listed_until, |since| since.min(listed_until));
        }
        metrics.backlog = missing.iter().map(|gap| gap.end.since(gap.start)).sum();
        metrics.lag = now.since(listed_until);
    }

    /// Whether everything between the start of the look-back and `target` is settled.
    pub(crate) fn is_settled_until(&self, target: Utc, now: Utc) -> bool {
        Interval::new(self.begin.max(self.older.oldest(now)), target)
            .is_none_or(|range| self.covered.gaps(range).is_empty())
    }
}
