//! A lane: one feed of one tenant. Mediates between its parts: which time is covered, which windows
//! are under way, what became of each blob, whether there is a subscription. Knows no other lane.

mod planning;

use std::time::Duration;

use crate::audit::address::Addresses;
use crate::audit::blobs::{Blobs, Settled};
use crate::audit::config::AuditConfig;
use crate::audit::exchange::Part;
use crate::audit::expand::Progress;
use crate::audit::plan::RETENTION;
use crate::audit::relist::Older;
use crate::audit::run::{PageFailure, RunId};
use crate::audit::seen::SeenRecords;
use crate::audit::subscription::Subscription;
use crate::audit::windows::Windows;
use crate::base::interval::Interval;
use crate::base::key::Key;
use crate::base::time::{Now, Utc};
use crate::contract::batch::{ContentRef, Record};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::{ContentType, Feed};
use crate::contract::loss::LossKind;
use crate::contract::metrics::LaneMetrics;
use crate::contract::replay::Replay;
use crate::contract::request::{Operation, RequestId};
use crate::contract::state::{self, StateError, Stored};
use crate::source::account::Taken;
use crate::source::coverage::Coverage;
use crate::source::desk::Desk;
use crate::source::keys::LaneKeys;
use crate::source::ledger::Entry;
use crate::source::losses::Loss;
use crate::source::retention::{FRESH_SPAN, horizon};
use crate::source::revision::{Novelty, Revision};
use crate::source::urgency::Urgency;

/// What expires within this time is read before other backlog.
const EXPIRING_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// One feed of one tenant.
#[derive(Debug)]
pub(super) struct Lane {
    content_type: ContentType,
    feed: Feed,
    keys: LaneKeys,
    coverage: Coverage,
    windows: Windows,
    blobs: Blobs,
    subscription: Subscription,
    records: SeenRecords,
    addresses: Addresses,
    caught_up: bool,
    /// Counters that are of no part, and gauges as of the last measuring.
    metrics: LaneMetrics,
}

impl Lane {
    /// A lane that continues from `stored`, or begins at the look-back before `now`.
    pub(super) fn load(
        content_type: ContentType,
        config: &AuditConfig,
        desk: &mut Desk,
        stored: &Stored,
        now: Now,
    ) -> Result<Self, StateError> {
        let dedupe_records = desk.limits().dedupe_records;
        let feed = Feed::Audit(content_type);
        let keys = LaneKeys::new(feed);
        let (mut coverage, record) =
            Coverage::load(feed, &keys, stored, RETENTION, config.lookback, now)?;
        let mut blobs = Blobs::load(content_type, stored)?;
        coverage.again().hours().iter().for_each(|hours| blobs.note_again_in(hours));
        desk.history().resume(coverage.account(), coverage.is_new(), blobs.counted());
        Ok(Self {
            content_type,
            feed,
            coverage,
            windows: Windows::new(Older::new(record.relisted, record.span)),
            blobs,
            subscription: Subscription::load(keys.clone(), stored)?,
            records: SeenRecords::load(stored, &keys, dedupe_records)?,
            addresses: Addresses::default(),
            caught_up: false,
            metrics: LaneMetrics::new(feed),
            keys,
        })
    }

    // Its parts.

    pub(super) const fn content_type(&self) -> ContentType {
        self.content_type
    }

    pub(super) const fn feed(&self) -> Feed {
        self.feed
    }

    pub(super) const fn windows(&mut self) -> &mut Windows {
        &mut self.windows
    }

    pub(super) const fn blobs(&mut self) -> &mut Blobs {
        &mut self.blobs
    }

    pub(super) const fn subscription(&mut self) -> &mut Subscription {
        &mut self.subscription
    }

    /// Where the stored state begins, if `lookback` reaches further back.
    pub(super) fn ignores(&self, lookback: Duration, now: Utc) -> Option<Utc> {
        self.coverage.ignores(lookback, now)
    }

    /// Up to when everything is delivered, if something is.
    pub(super) fn covered_until(&self) -> Option<Utc> {
        self.coverage.covered().last_end()
    }

    // Listings.

    /// Notes an entry of a window's listing. Answers whether it is news. What will soon be gone
    /// goes before all that is not new.
    pub(super) fn list(
        &mut self,
        content: ContentRef,
        run: RunId,
        urgency: Urgency,
        desk: &mut Desk,
        now: Utc,
    ) -> bool {
        let soon = urgency == Urgency::Backlog && content.expiration < now + EXPIRING_WITHIN;
        let urgency = if soon { Urgency::Soon } else { urgency };
        let key = Key::of_content(&content.id);
        let again = self.coverage.again().contains(content.created);
        let listed = self.blobs.list(content, Some(run), urgency);
        if again && listed.news {
            self.blobs.note_again(key);
        }
        self.count_blob(key, desk, now);
        if listed.waits {
            self.windows.note_waiting(run, listed.news);
        }
        listed.news
    }

    /// Counts a blob, unless it is counted.
    fn count_blob(&mut self, key: Key, desk: &mut Desk, now: Utc) {
        if let Some(created) = self.blobs.count(key) {
            desk.history().note_blob(self.feed, created, now);
        }
    }

    /// Notes an entry whose blob can be asked for nowhere. False if there is no room for it.
    pub(super) fn set_aside(
        &mut self,
        content: ContentRef,
        run: RunId,
        until: Duration,
        desk: &mut Desk,
        now: Utc,
    ) -> bool {
        let key = Key::of_content(&content.id);
        match (self.blobs.content(key), self.blobs.urgency(key)) {
            // By a better address, which stays: this window waits for it as others do.
            (Some(known), Some(urgency)) => {
                let known = ContentRef::clone(known);
                self.list(known, run, urgency, desk, now);
                true
            }
            (Some(_) | None, _) => {
                let (before, created) = (self.blobs.quarantined(), content.created);
                let set_aside = self.blobs.set_aside(content, until, desk.changes());
                self.count_blob(key, desk, now);
                if before < self.blobs.quarantined() {
                    desk.history().note_set_aside(self.feed, created);
                }
                set_aside
            }
        }
    }

    /// The last page of a window is read.
    pub(super) fn complete(&mut self, run: RunId, desk: &mut Desk, now: Now) {
        let Some(completed) = self.windows.complete(run) else { return };
        self.metrics.windows_listed += 1;
        let server_now = desk.server_time(now);
        let coverage = &mut self.coverage;
        self.metrics.listing_gaps += coverage.note_listed(completed.window, desk, server_now);
        desk.history().note_listed(coverage.account(), completed.window, completed.begun);
        if let Some(window) = self.windows.take_settled(run) {
            self.cover(window, desk);
        }
        desk.tell(Event::Feed(
            self.feed,
            FeedEvent::WindowListed {
                start: completed.window.start,
                end: completed.window.end,
                blobs: completed.blobs,
                new: completed.new,
            },
        ));
    }

    /// Entries of a listing cannot be read, and are lost.
    pub(super) fn drop_entries(&mut self, count: u64, run: RunId, desk: &mut Desk, now: Utc) {
        let feed = self.feed;
        if let Some((window, _)) = self.windows.window(run) {
            let loss = Loss::of_time(LossKind::EntriesDropped, feed, window, now);
            desk.lose(Loss { count, ..loss });
        }
        self.metrics.listing_entries_dropped += count;
        desk.tell(Event::Feed(feed, FeedEvent::ListingEntriesDroppedError { count }));
    }

    /// A page could not be read; `named`: the wait that the answer has named.
    pub(super) fn fail_page(
        &mut self,
        run: RunId,
        named: Option<Duration>,
        reason: &str,
        desk: &mut Desk,
        now: Now,
    ) {
        match self.windows.fail_page(run, named, desk, now.monotonic) {
            PageFailure::Unknown => {}
            PageFailure::GiveUp => self.fail_window(run, false, reason, desk, now),
            PageFailure::Again(failed) => {
                let (operation, feed) = (Operation::ListContent, Some(self.feed));
                desk.tell_wait(now, operation, feed, reason, named);
                desk.tell_retry(operation, feed, failed.in_a_row, reason, failed.wait);
            }
        }
    }

    /// Gives a window up; after a while the planner asks again for what it did not cover.
    /// `refused`: for the time that it is of.
    pub(super) fn fail_window(
        &mut self,
        run: RunId,
        refused: bool,
        reason: &str,
        desk: &mut Desk,
        now: Now,
    ) {
        let server_now = desk.server_time(now);
        let coverage = &mut self.coverage;
        let failed = self.windows.fail(run, refused, coverage, desk, now.monotonic, server_now);
        if let Some(failed) = failed {
            let (operation, feed) = (Operation::ListContent, Some(self.feed));
            desk.tell_retry(operation, feed, failed.in_a_row, reason, failed.wait);
        }
    }

    // Addresses.

    /// Microsoft named a wrong address, `shown`, and another is asked instead.
    pub(super) fn note_derived(&mut self, shown: String, desk: &mut Desk) {
        self.metrics.addresses_derived += 1;
        if self.addresses.note_derived() {
            let feed = self.feed;
            desk.tell(Event::Feed(feed, FeedEvent::AddressDerived { address: shown }));
        }
    }

    /// Says that an address, `shown`, cannot be followed, once for each origin.
    pub(super) fn refuse_address(&mut self, origin: &str, shown: String, desk: &mut Desk) {
        if self.addresses.refuse(origin) {
            let feed = self.feed;
            desk.tell(Event::Feed(feed, FeedEvent::AddressRefusedError { address: shown }));
        }
    }

    // Blobs.

    /// Opens hours again, so that they are listed and delivered once more.
    pub(super) fn replay(&mut self, replay: Replay, desk: &mut Desk, now: Utc) {
        let Some(hours) = self.coverage.reopen(replay, desk, now) else { return };
        self.windows.reopen(hours);
        self.blobs.reopen(hours, desk.changes());
    }

    /// Sorts out records that the host was given before, in this blob or another, but for those of
    /// a blob that is delivered `again`. The rest counts as given. Answers which of it have a name,
    /// and how many say something else than one of their name did.
    pub(super) fn leave_out_known(
        &mut self,
        records: &mut Vec<Record>,
        known: Vec<Option<Revision>>,
        again: bool,
    ) -> (Vec<Revision>, u64) {
        let (mut given, mut revised) = (Vec::new(), 0);
        if self.records.is_off() {
            return (given, revised);
        }
        let before = records.len();
        let mut known = known.into_iter();
        records.retain(|_| {
            let Some(record) = known.next().flatten() else { return true };
            let novelty = match again {
                true => self.coverage.again().give(record),
                false => self.records.emit(record),
            };
            revised += u64::from(novelty == Novelty::Revised);
            let new = novelty != Novelty::Known;
            given.extend(Some(record).filter(|_| new));
            new
        });
        self.metrics.records_deduplicated += (before - records.len()) as u64;
        self.metrics.records_revised += revised;
        (given, revised)
    }

    /// Records were left out because they are too large.
    pub(super) const fn note_dropped(&mut self, count: u64) {
        self.metrics.records_dropped += count;
    }

    /// The host has taken an entry that is this part of a blob.
    pub(super) fn deliver(&mut self, part: &Part, entry: &Entry, desk: &mut Desk, now: Now) {
        let &Part { key, progress, deduplicated, .. } = part;
        let told = desk.server_time(now);
        self.count_blob(key, desk, told);
        if let Some(content) = self.blobs.content(key) {
            // With the progress that goes over them, and not before.
            for (kind, count) in entry.lost() {
                desk.lose(Loss::of_blob(kind, content, count, told));
            }
            let (records, bytes) = (entry.records, entry.bytes);
            let again = self.coverage.again().contains(content.created);
            let happened = if again { Box::default() } else { entry.happened.clone() };
            let filtered = entry.treated.filtered;
            let taken = Taken { records, happened, bytes, filtered, deduplicated };
            desk.history().note_taken(self.feed, content.created, taken, told);
        }
        self.records.deliver(&part.known);
        entry.count(&mut self.metrics, told);
        self.metrics.records_filtered += entry.treated.filtered;
        self.metrics.publication_delay.note(entry.published, told, entry.records);
        let settled = self.blobs.deliver(key, progress, entry.last, desk.changes());
        if let Some(settled) = settled {
            desk.history().note_delivered(self.feed, settled.content.created, told);
            self.release(&settled, desk);
            if settled.quarantined {
                let content_id = settled.content.id.clone();
                desk.tell(Event::Feed(self.feed, FeedEvent::BlobRecovered { content_id }));
            }
        }
    }

    /// The host has lost what it was given of a blob. See [`Blobs::take_back`].
    pub(super) fn take_back(
        &mut self,
        key: Key,
        known: &[Revision],
        remaining: Option<Progress>,
    ) -> Option<RequestId> {
        self.records.take_back(known);
        for record in known {
            self.coverage.again().take_back(*record);
        }
        self.blobs.take_back(key, remaining)
    }

    /// A blob is tried again at `retry_at`.
    pub(super) fn retry_blob(
        &mut self,
        key: Key,
        reason: &str,
        retry_at: Duration,
        desk: &mut Desk,
        now: Utc,
    ) {
        let before = self.blobs.quarantined();
        let created = self.blobs.content(key).map(|content| content.created);
        let waiters = self.blobs.retry(key, reason, retry_at, desk.changes());
        if let Some(created) = created.filter(|_| before < self.blobs.quarantined()) {
            self.count_blob(key, desk, now);
            desk.history().note_set_aside(self.feed, created);
        }
        self.release_windows(&waiters, desk);
    }

    /// A blob expired unread: that is remembered as a loss.
    pub(super) fn lose_blob(&mut self, key: Key, reason: &str, desk: &mut Desk, now: Now) {
        let server_now = desk.server_time(now);
        self.count_blob(key, desk, server_now);
        let Some(settled) = self.blobs.lose(key, desk.changes()) else { return };
        self.release(&settled, desk);
        let Settled { content, records, .. } = settled;
        desk.lose(Loss::of_blob(LossKind::Blob, &content, 1, server_now));
        desk.tell(Event::Feed(
            content.feed,
            FeedEvent::ContentLostError {
                content_id: content.id.clone(),
                records_delivered: records,
                reason: reason.to_owned(),
            },
        ));
    }

    /// A blob is settled.
    fn release(&mut self, settled: &Settled, desk: &mut Desk) {
        if settled.quarantined {
            desk.history().note_recovered(self.feed, settled.content.created);
        }
        self.release_windows(&settled.waiters, desk);
    }

    fn release_windows(&mut self, waiters: &[RunId], desk: &mut Desk) {
        for window in self.windows.release(waiters) {
            self.cover(window, desk);
        }
    }

    fn cover(&mut self, window: Interval, desk: &mut Desk) {
        self.coverage.cover(window, desk);
        self.windows.replan();
    }

    /// Says so, once, when it has caught up.
    pub(super) fn note_caught_up(&mut self, desk: &mut Desk, now: Now) {
        let server_now = desk.server_time(now);
        let recent = server_now - FRESH_SPAN;
        if !self.caught_up && self.blobs.is_all_read() && self.is_settled_until(recent, server_now)
        {
            self.caught_up = true;
            let quarantined = self.blobs.quarantined();
            desk.tell(Event::Feed(self.feed, FeedEvent::BacklogDelivered { quarantined }));
        }
    }

    // State.

    /// Microsoft's clock is known, or known better. See [`Coverage::correct_time`].
    pub(super) fn correct_time(&mut self, lookback: Duration, now: Utc, born: Utc) {
        self.coverage.correct_time(lookback, now, born);
        self.windows.correct_time(now, horizon(now));
        self.subscription.correct_time(now);
    }

    /// Writes what has changed since the last time. `now` is Microsoft's time.
    pub(super) fn flush(&mut self, desk: &mut Desk, clock: Now, now: Utc) {
        self.coverage.flush_history(desk, clock, now);
        let changes = desk.changes();
        if let Some(mut record) = self.coverage.take_changed(now) {
            (record.relisted, record.span) = self.windows.stored(now);
            changes.put(self.keys.lane(), state::encode(&record));
        }
        self.blobs.flush(changes, now, clock.wall);
        self.records.flush(changes, &self.keys);
    }

    // How it stands.

    /// Whether everything between the start of the look-back and `target` is settled.
    fn is_settled_until(&self, target: Utc, now: Utc) -> bool {
        self.coverage.is_settled_until(target, self.windows.oldest(now))
    }

    /// For a run that ends: whether nothing is left to do here.
    pub(super) fn is_done(&self, target: Utc, now: Utc) -> bool {
        self.subscription.is_denied_now()
            || (self.is_settled_until(target, now)
                && self.windows.is_relisted(&self.coverage, target, now)
                && self.windows.is_empty()
                && self.blobs.is_done())
    }

    /// Whether nothing was lost, nor denied, nor left unread.
    pub(super) fn is_whole(&self) -> bool {
        let mut metrics = self.metrics.clone();
        self.blobs.measure(&mut metrics);
        !self.subscription.is_denied() && self.blobs.quarantined() == 0 && !metrics.has_lost_data()
    }

    /// Brings the gauges up to date.
    pub(super) fn measure(&mut self, now: Utc) -> &LaneMetrics {
        let (mut missing, mut listed_until) = self.coverage.missing(now);
        if !self.blobs.is_all_read() {
            let since = self.blobs.missing(horizon(now), &mut missing);
            listed_until = since.map_or(listed_until, |since| since.min(listed_until));
        }
        let metrics = &mut self.metrics;
        self.blobs.measure(metrics);
        metrics.denied = self.subscription.is_denied_by_microsoft();
        metrics.backlog = missing.iter().map(|gap| gap.end.since(gap.start)).sum();
        metrics.lag = now.since(listed_until);
        metrics
    }
}
