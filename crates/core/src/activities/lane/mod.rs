//! The feed of activities: what is covered, which searches are under way, what is remembered. Sends
//! nothing; `schedule` asks it what to send, `answer` tells it what came of it.
//!
//! A type of its own, and not the lane of content types used twice: there are no subscriptions,
//! listings or blobs here, and one type for both would be one of optional parts. What they share
//! stands in `source`.
//!
//! A long silence (a stop or a refusal, longer than what is searched again reaches over) reopens
//! the day before it: what was stored just before, and found since, would be missed. That day
//! counts as uncovered once, and what is remembered of it is kept until it is covered.

mod searching;

use std::time::Duration;

use searching::HOPELESS;
pub(super) use searching::{Failed, PAGE_FAILURES_MAX};

use crate::activities::config::ActivitiesConfig;
use crate::activities::plan;
use crate::activities::seen::SeenActivities;
use crate::activities::state::{Notes, WalkRecord};
use crate::activities::walk::{PageId, Point, Walk, WalkId};
use crate::base::flat_map::FlatMap;
use crate::base::interval::Interval;
use crate::base::key::Key;
use crate::base::time::{Now, Utc};
use crate::contract::batch::Record;
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::contract::metrics::LaneMetrics;
use crate::contract::replay::Replay;
use crate::contract::request::RequestId;
use crate::contract::state::{self, StateError, Stored};
use crate::source::account::Taken;
use crate::source::coverage::Coverage;
use crate::source::desk::Desk;
use crate::source::failing::Failing;
use crate::source::keys::LaneKeys;
use crate::source::ledger::Entry;
use crate::source::losses::Loss;
use crate::source::retention::{FRESH_SPAN, horizon};
use crate::source::revision::{Novelty, Revision};
use crate::source::urgency::Urgency;

/// How often a feed that is denied is tried again.
const DENIED_RETRY: Duration = Duration::from_secs(10 * 60);

/// How often a filter that the service does not apply is told again.
const MISMATCH_REPORTED_EVERY: Duration = Duration::from_secs(3_600);

/// A filter that was not applied.
#[derive(Clone, Copy, Debug, Default)]
struct Ignored {
    untold: u64,
    told_at: Option<Duration>,
}

/// The activities of one tenant.
#[derive(Debug)]
pub(super) struct ActivityLane {
    keys: LaneKeys,
    coverage: Coverage,
    notes: Notes,
    notes_changed: bool,
    walks: FlatMap<WalkId, Box<Walk>>,
    next_walk: u64,
    next_page: u64,
    /// Why Microsoft denies this feed, until it works again, and when it is tried again.
    denied: Option<String>,
    denied_until: Duration,
    /// Whether page after page fails.
    failing: Failing,
    /// Searches that failed in a row, and when the next may begin.
    failures: u32,
    /// Requests that failed in a row, by the urgency of their search.
    failed: [u32; 3],
    not_before: Duration,
    next_fresh: Duration,
    /// Which span is searched again, and since when; and when that may be done next.
    relisting: Option<(usize, Utc)>,
    relist_not_before: Duration,
    /// For a run that ends: whether the last day is still to be searched again.
    final_round: bool,
    replan: bool,
    /// Pages of all searches that were read.
    pages_read: u64,
    caught_up: bool,
    /// Activities that the last fresh search brought: whether normal mode will do.
    fresh_records: u64,
    seen: SeenActivities,
    ignored: Vec<Ignored>,
    metrics: LaneMetrics,
    /// Whether Microsoft's clock is not known yet: what is searched meanwhile shows it, and counts
    /// for nothing else.
    guessing: bool,
    /// Whether the filters were others when this state was written.
    filters_changed: bool,
    /// Whether the stored search is not gone on with.
    walk_dropped: bool,
}

impl ActivityLane {
    /// A lane that continues from `stored`, or begins at the look-back before `now`.
    pub(super) fn load(
        config: &ActivitiesConfig,
        desk: &mut Desk,
        stored: &Stored,
        now: Now,
    ) -> Result<Self, StateError> {
        let (once, dedupe_records) = (desk.is_once(), desk.limits().dedupe_records);
        let feed = Feed::CloudAppActivities;
        let keys = LaneKeys::new(feed);
        let (coverage, _) =
            Coverage::load(feed, &keys, stored, plan::RETENTION, config.lookback, now)?;
        let is_new = coverage.is_new();
        desk.history().resume(coverage.account(), is_new, std::iter::empty());
        let name = keys.search();
        let filters = Key::of_content(&config.filters.to_json().to_string());
        let filters = format!("{:032x}", filters.0);
        let mut notes = match stored.get(&name) {
            Some(value) => Notes::decode(&name, value)?,
            None => {
                // What is searched for the first time need not be searched again at once.
                let relisted = if is_new { now.wall } else { Utc::default() };
                Notes { filters: String::new(), seam: Utc::default(), relisted: [relisted; 2] }
            }
        };
        let filters_before = std::mem::replace(&mut notes.filters, filters);
        let known = notes.filters == filters_before;
        let mut lane = Self {
            coverage,
            walks: FlatMap::default(),
            next_walk: 0,
            next_page: 0,
            denied: None,
            denied_until: Duration::ZERO,
            failing: Failing::default(),
            failures: 0,
            failed: [0; 3],
            not_before: Duration::ZERO,
            next_fresh: Duration::ZERO,
            relisting: None,
            relist_not_before: Duration::ZERO,
            final_round: once && !is_new,
            replan: true,
            pages_read: 0,
            caught_up: false,
            fresh_records: 0,
            seen: SeenActivities::load(stored, &keys, dedupe_records)?,
            ignored: vec![Ignored::default(); config.filters.clauses().len()],
            metrics: LaneMetrics::new(feed),
            guessing: true,
            filters_changed: !filters_before.is_empty() && !known,
            notes,
            notes_changed: !known,
            walk_dropped: false,
            keys,
        };
        lane.resume_walk(stored, known)?;
        Ok(lane)
    }

    /// Counters and gauges, as of the last measuring.
    pub(super) const fn metrics(&self) -> &LaneMetrics {
        &self.metrics
    }

    // Delivery.

    /// The host has taken activities, and perhaps the end of a page.
    pub(super) fn deliver(
        &mut self,
        id: WalkId,
        page: PageId,
        last: bool,
        activities: &[(Revision, Utc)],
        desk: &mut Desk,
    ) {
        self.seen.deliver(activities);
        let newest = activities.iter().map(|(_, created)| *created).max();
        self.metrics.newest_content = self.metrics.newest_content.max(newest);
        let Some(walk) = self.walks.get_mut(&id).filter(|_| last) else { return };
        let at = walk.deliver(page).cloned();
        self.metrics.blobs_delivered += 1;
        if walk.is_delivered() {
            let (window, urgency, is_stored) = (walk.window, walk.urgency, walk.is_stored());
            self.walks.remove(&id);
            if is_stored {
                desk.changes().delete(self.keys.walk());
            }
            if !self.guessing {
                // What came since then nobody has looked for.
                desk.history().note_listed(self.coverage.account(), window, window.end);
            }
            if urgency == Urgency::Soon {
                self.note_relisted();
            } else if !self.guessing {
                self.cover(window, desk);
            }
        } else if let Some(at) = at
            && walk.is_stored()
        {
            let (start, end) = (walk.window.start.as_millis(), walk.window.end.as_millis());
            let record = state::encode(&WalkRecord { start, end, at });
            desk.changes().put(self.keys.walk(), record);
        }
    }

    /// The host has lost activities, and all that came after. Answers the request to drop.
    pub(super) fn take_back(
        &mut self,
        id: WalkId,
        page: PageId,
        activities: &[(Revision, Utc)],
    ) -> Option<RequestId> {
        self.seen.take_back(activities);
        for (activity, _) in activities {
            self.coverage.again().take_back(*activity);
        }
        self.walks.get_mut(&id)?.take_back(page)
    }

    /// Notes that an interval is settled.
    fn cover(&mut self, interval: Interval, desk: &mut Desk) {
        self.coverage.cover(interval, desk);
        self.replan = true;
    }

    /// Notes records that do not meet a filter. Answers their number if it is to be told.
    pub(super) fn note_mismatch(&mut self, clause: usize, now: Duration) -> Option<u64> {
        self.metrics.filter_mismatches += 1;
        let ignored = self.ignored.get_mut(clause)?;
        ignored.untold += 1;
        let due = ignored.told_at.is_none_or(|at| at + MISMATCH_REPORTED_EVERY <= now);
        due.then(|| {
            ignored.told_at = Some(now);
            std::mem::take(&mut ignored.untold)
        })
    }

    // State.

    /// Where the stored state begins, if `lookback` reaches further back.
    pub(super) fn ignores(&self, lookback: Duration, now: Utc) -> Option<Utc> {
        self.coverage.ignores(lookback, now)
    }

    /// Microsoft's clock is known, or known better. See [`Coverage::correct_time`].
    pub(super) fn correct_time(&mut self, lookback: Duration, now: Utc, born: Utc) {
        self.coverage.correct_time(lookback, now, born);
        self.notes.seam = self.notes.seam.min(now);
        for at in &mut self.notes.relisted {
            *at = (*at).min(now);
        }
        let horizon = horizon(now);
        let guessed = std::mem::take(&mut self.guessing);
        let kept = |walk: &Walk| {
            walk.window.end <= horizon && !(guessed && walk.urgency == Urgency::Fresh)
        };
        self.walks.retain(|_, walk| kept(walk));
        self.next_fresh = Duration::ZERO;
        self.replan = true;
    }

    /// Opens hours again, so that they are searched and delivered once more.
    pub(super) fn replay(&mut self, replay: Replay, desk: &mut Desk, now: Utc) {
        let Some(hours) = self.coverage.reopen(replay, desk, now) else { return };
        let touches = |walk: &Walk| walk.window.start < hours.end && hours.start < walk.window.end;
        let walks = self.walks.iter().filter(|(_, walk)| touches(walk));
        let walks: Vec<WalkId> = walks.map(|(id, _)| *id).collect();
        for id in walks {
            // What it has read it has left out.
            self.drop_walk(id, desk.changes());
        }
        (self.relisting, self.replan) = (None, true);
    }

    /// Reports what retention has destroyed before it was searched.
    pub(super) fn settle_retention(&mut self, desk: &mut Desk, now: Now, server_now: Utc) {
        if !self.coverage.has_expired(server_now) {
            return;
        }
        let listed = self.listed(HOPELESS);
        let lost = self.coverage.settle_retention(&listed, desk, now, server_now);
        if !lost.is_zero() {
            self.metrics.listing_gaps += lost;
            self.replan = true;
        }
    }

    /// Writes what has changed since the last time.
    pub(super) fn flush(&mut self, desk: &mut Desk, clock: Now, now: Utc) {
        self.coverage.flush_history(desk, clock, now);
        let changes = desk.changes();
        if let Some(record) = self.coverage.take_changed(now) {
            changes.put(self.keys.lane(), state::encode(&record));
        }
        if std::mem::take(&mut self.walk_dropped) {
            changes.delete(self.keys.walk());
        }
        if std::mem::take(&mut self.notes_changed) {
            changes.put(self.keys.search(), self.notes.encode());
        }
        let edge = self.edge(now);
        self.seen.flush(changes, &self.keys, now, edge);
    }

    /// Brings the gauges up to date.
    pub(super) fn measure(&mut self, now: Utc) {
        self.metrics.denied = self.denied.is_some();
        self.metrics.blobs_pending =
            self.walks.values().filter(|walk| walk.request.is_some()).count() as u64;
        let (missing, until) = self.coverage.missing(now);
        self.metrics.backlog = missing.iter().map(|gap| gap.end.since(gap.start)).sum();
        self.metrics.lag = now.since(until);
    }

    /// Whether everything between the start of the look-back and `target` is settled.
    fn is_settled_until(&self, target: Utc, now: Utc) -> bool {
        self.coverage.is_settled_until(target, self.coverage.oldest(now))
    }

    /// Whether a run that ends has nothing left to do here.
    pub(super) fn is_done(&self, target: Utc, now: Utc) -> bool {
        self.is_denied()
            || (self.is_settled_until(target, now) && !self.final_round && self.walks.is_empty())
    }

    /// Whether nothing was lost, nor denied.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_denied() && !self.metrics.has_lost_data()
    }

    // What is denied.

    pub(super) const fn is_denied(&self) -> bool {
        self.denied.is_some()
    }

    /// Until then nothing is asked.
    pub(super) const fn denied_until(&self) -> Duration {
        self.denied_until
    }

    /// The feed is denied: it is left alone for a while, and others go on. Whether that is news.
    pub(super) fn deny(&mut self, now: Duration, code: &str) -> bool {
        self.denied_until = now + DENIED_RETRY;
        let news = self.denied.as_deref() != Some(code);
        if news {
            self.denied = Some(code.to_owned());
        }
        news
    }

    /// A page was read: it is denied no more. Whether it was.
    pub(super) fn restore(&mut self) -> bool {
        self.denied.take().is_some()
    }

    // Pages.

    /// Whether the filters were others when the state was written: told once.
    pub(super) const fn take_filters_changed(&mut self) -> bool {
        std::mem::replace(&mut self.filters_changed, false)
    }

    /// What a search is about; `None`: it is not under way any more.
    pub(super) fn window(&self, id: WalkId) -> Option<Interval> {
        self.walks.get(&id).map(|walk| walk.window)
    }

    /// How urgent a search is.
    pub(super) fn urgency(&self, id: WalkId) -> Option<Urgency> {
        self.walks.get(&id).map(|walk| walk.urgency)
    }

    /// Where a search goes on.
    pub(super) fn at(&self, id: WalkId) -> Option<&Point> {
        self.walks.get(&id)?.at()
    }

    /// A page of a search was asked for.
    pub(super) fn note_asked(&mut self, id: WalkId, request: RequestId, page: PageId) {
        if let Some(walk) = self.walks.get_mut(&id) {
            walk.request = Some((request, page));
        }
    }

    /// The request for a page has ended. Whether its search is still under way.
    pub(super) fn note_ended(&mut self, id: WalkId) -> bool {
        let Some(walk) = self.walks.get_mut(&id) else { return false };
        walk.request = None;
        true
    }

    /// A search is not gone on with before.
    pub(super) fn wait_until(&mut self, id: WalkId, moment: Duration) {
        if let Some(walk) = self.walks.get_mut(&id) {
            walk.not_before = moment;
        }
    }

    /// The token that was given to us was refused. Answers how often, in a row.
    pub(super) fn note_refusal(&mut self, id: WalkId) -> Option<u32> {
        let walk = self.walks.get_mut(&id)?;
        walk.refusals += 1;
        Some(walk.refusals)
    }

    /// Whether page after page of fresh searches fails.
    pub(super) const fn failing(&mut self) -> &mut Failing {
        &mut self.failing
    }

    /// Sorts out activities that the host was given before. The rest counts as given. Answers which
    /// they are, and how many say something else than one of their name did.
    pub(super) fn leave_out_known(
        &mut self,
        records: &mut Vec<Record>,
        known: Vec<(Revision, Utc)>,
    ) -> (Vec<(Revision, Utc)>, u64) {
        let before = records.len();
        let mut known = known.into_iter();
        let (mut activities, mut revised) = (Vec::new(), 0);
        records.retain(|_| {
            let Some((activity, created)) = known.next() else { return false };
            let novelty = match self.coverage.again().judge(created, activity) {
                Some(again) => again,
                None => self.seen.emit(activity),
            };
            revised += u64::from(novelty == Novelty::Revised);
            let new = novelty != Novelty::Known;
            if new {
                activities.push((activity, created));
            }
            new
        });
        self.metrics.records_deduplicated += (before - records.len()) as u64;
        self.metrics.records_revised += revised;
        (activities, revised)
    }

    /// Activities were left out because they are too large.
    pub(super) const fn note_dropped(&mut self, count: u64) {
        self.metrics.records_dropped += count;
    }

    /// The host has taken an entry: counts it, and remembers what of it is lost.
    pub(super) fn count(
        &mut self,
        desk: &mut Desk,
        now: Now,
        id: WalkId,
        entry: &Entry,
        mut hours: Vec<(Utc, Taken)>,
    ) {
        // Redaction has made more or less of them: of which hour's, nobody has counted.
        let bytes: u64 = hours.iter().map(|(_, taken)| taken.bytes).sum();
        if let Some((_, taken)) = hours.iter_mut().max_by_key(|(_, taken)| taken.bytes) {
            taken.bytes = (taken.bytes + entry.bytes).saturating_sub(bytes);
        }
        let told = desk.server_time(now);
        for (created, mut taken) in hours {
            if self.coverage.again().contains(created) {
                taken.happened = Box::default();
            }
            desk.history().note_taken(Feed::CloudAppActivities, created, taken, told);
        }
        if let Some(window) = self.window(id) {
            let feed = Feed::CloudAppActivities;
            for (kind, count) in entry.lost() {
                let loss = Loss::of_time(kind, feed, window, told);
                desk.lose(Loss { count, ..loss });
            }
        }
        entry.count(&mut self.metrics, desk.server_time(now));
    }

    /// Says so, once, when it has caught up.
    pub(super) fn note_caught_up(&mut self, server_now: Utc) -> Option<Event> {
        if self.caught_up || !self.is_settled_until(server_now - FRESH_SPAN, server_now) {
            return None;
        }
        self.caught_up = true;
        let feed = Feed::CloudAppActivities;
        Some(Event::Feed(feed, FeedEvent::BacklogDelivered { quarantined: 0 }))
    }
}
