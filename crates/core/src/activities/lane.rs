//! The lane of activities: what is covered, which searches are under way, what is remembered. Sends
//! nothing; `schedule` asks it what to send, `answer` tells it what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::PortalConfig;
use super::plan::{self, Urgency};
use super::seen::SeenActivities;
use super::walk::{Cursor, NORMAL_RECORDS_MAX, PageId, Point, Walk, WalkId};
use crate::access::budget::Budget;
use crate::access::contact::Contact;
use crate::access::token::TokenMachine;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::key::Key;
use crate::base::time::{Now, Utc};
use crate::config::Config;
use crate::contract::batch::ContentType;
use crate::contract::metrics::LaneMetrics;
use crate::contract::request::RequestId;
use crate::contract::state::{self, Changes, LaneKeys, LaneRecord, StateError, Stored};
use crate::source::failing::Failing;
use crate::source::revision::Revision;

/// With so many failures in a row, what retention destroys counts as lost although its search is
/// under way.
const HOPELESS: u32 = 6;

/// How often a filter that the service does not apply is told again.
const MISMATCH_REPORTED_EVERY: Duration = Duration::from_secs(3_600);

/// A search that is continued after a restart.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WalkRecord {
    start: i64,
    end: i64,
    at: Point,
}

/// What is stored of how activities are searched for.
#[derive(Debug)]
struct Notes {
    /// The key of the filters.
    filters: String,
    /// The end of what was covered before the last long silence. Of the day before it, which is
    /// searched again, every `_id` is remembered until that is done.
    seam: Utc,
    /// When each span of [`plan::RELISTS`] was last searched again, all of it delivered.
    relisted: [Utc; plan::RELISTS.len()],
}

impl Notes {
    fn encode(&self) -> String {
        let [seam, short, long] =
            [self.seam, self.relisted[0], self.relisted[1]].map(Utc::as_millis);
        format!("{} {seam} {short} {long}", self.filters)
    }

    fn decode(key: &str, text: &str) -> Result<Self, StateError> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().unwrap_or_default();
        let filters = part().to_owned();
        let mut time = || state::decode_time(key, part());
        Ok(Self { filters, seam: time()?, relisted: [time()?, time()?] })
    }
}

/// A filter that was not applied.
#[derive(Clone, Copy, Debug, Default)]
struct Ignored {
    untold: u64,
    told_at: Option<Duration>,
}

/// The activities of one tenant.
#[derive(Debug)]
pub(crate) struct ActivityLane {
    keys: LaneKeys,
    pub(super) begin: Utc,
    covered: IntervalSet,
    notes: Notes,
    notes_changed: bool,
    pub(crate) tokens: TokenMachine,
    pub(crate) budget: Budget,
    /// Whether this API was ever reached.
    pub(crate) contact: Contact,
    pub(super) walks: BTreeMap<WalkId, Walk>,
    next_walk: u64,
    next_page: u64,
    /// Why Microsoft denies this source, until it works again, and when it is tried again.
    pub(crate) denied: Option<String>,
    pub(super) denied_until: Duration,
    /// Whether page after page fails.
    pub(super) failing: Failing,
    /// Searches that failed in a row, and when the next may begin.
    pub(super) failures: u32,
    /// Requests that failed in a row, by the urgency of their search.
    failed: [u32; 3],
    pub(super) not_before: Duration,
    pub(super) next_fresh: Duration,
    /// Which span is searched again, and since when; and when that may be done next.
    relisting: Option<(usize, Utc)>,
    pub(super) relist_not_before: Duration,
    /// For a run that ends: whether the last day is still to be searched again.
    final_round: bool,
    replan: bool,
    /// Pages of all searches that were read.
    pub(super) pages_read: u64,
    pub(super) caught_up: bool,
    /// Activities that the last fresh search brought: whether normal mode will do.
    fresh_records: u64,
    pub(super) seen: SeenActivities,
    ignored: Vec<Ignored>,
    pub(crate) metrics: LaneMetrics,
    pub(super) growing_gap_at: Duration,
    is_new: bool,
    /// Whether Microsoft's clock is not known yet: what is searched meanwhile shows it, and counts
    /// for nothing else.
    guessing: bool,
    changed: bool,
    /// Whether the filters were others when this state was written.
    pub(super) filters_changed: bool,
    /// Whether the stored search is not gone on with.
    walk_dropped: bool,
}

impl ActivityLane {
    /// A lane that continues from `stored`, or begins at the look-back before `now`.
    pub(crate) fn load(
        portal: &PortalConfig,
        config: &Config,
        stored: &Stored,
        now: Now,
    ) -> Result<Self, StateError> {
        let keys = LaneKeys::new(ContentType::CloudAppActivities);
        let name = keys.lane();
        let begin = plan::begin(portal.lookback, now.wall);
        let record = match stored.get(&name) {
            Some(value) => state::decode::<LaneRecord>(&name, value)?,
            None => LaneRecord::new(begin, &IntervalSet::default()),
        };
        let is_new = !stored.contains_key(&name);
        let name = keys.search();
        let filters = Key::of_content(&portal.filters.to_json().to_string());
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
            begin: record.begin(),
            covered: record.covered(),
            tokens: TokenMachine::new(config, &portal.resource),
            budget: Budget::new(portal.requests_per_minute, now.monotonic),
            contact: Contact::default(),
            walks: BTreeMap::new(),
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
            final_round: config.once && !is_new,
            replan: true,
            pages_read: 0,
            caught_up: false,
            fresh_records: 0,
            seen: SeenActivities::load(stored, &keys, config.dedupe_records)?,
            ignored: vec![Ignored::default(); portal.filters.clauses().len()],
            metrics: LaneMetrics::new(ContentType::CloudAppActivities),
            growing_gap_at: now.monotonic + crate::audit::plan::GAP_REPORTED_EVERY,
            is_new,
            guessing: true,
            changed: is_new,
            filters_changed: !filters_before.is_empty() && !known,
            notes,
            notes_changed: !known,
            walk_dropped: false,
            keys,
        };
        let name = lane.keys.walk();
        if let Some(value) = stored.get(&name) {
            // Where it goes on stands in filters of Microsoft's, made from those of that time.
            if !known {
                lane.walk_dropped = true;
                return Ok(lane);
            }
            let record: WalkRecord = state::decode(&name, value)?;
            let (start, end) = (Utc::from_millis(record.start), Utc::from_millis(record.end));
            let window = Interval::new(start, end)
                .ok_or_else(|| StateError::damaged(&name, "it ends before it begins"))?;
            lane.begin_walk(window, Urgency::Backlog, record.at);
        }
        Ok(lane)
    }

    // Searches.

    fn begin_walk(&mut self, window: Interval, urgency: Urgency, at: Point) {
        self.add_walk(Walk::new(window, urgency, at));
    }

    fn add_walk(&mut self, walk: Walk) {
        let id = WalkId(self.next_walk);
        self.next_walk += 1;
        self.replan = true;
        self.walks.insert(id, walk);
    }

    /// Begins the search of this urgency that is due, if there is none under way.
    pub(super) fn plan(
        &mut self,
        urgency: Urgency,
        config: &Config,
        target: Option<Utc>,
        now: Now,
        server_now: Utc,
    ) -> Option<Duration> {
        if self.walks.values().any(|walk| walk.urgency == urgency && !walk.is_stuck) {
            return None;
        }
        match urgency {
            Urgency::Fresh => {
                if now.monotonic < self.next_fresh {
                    return Some(self.next_fresh);
                }
                if self.guessing {
                    // By a clock that is slow, all that there is may be covered. What is asked does
                    // not matter, but for the date of the answer; and the next one must come soon.
                    self.next_fresh = now.monotonic + plan::GUESS_EVERY.min(config.interval);
                    let window = plan::guess(server_now);
                    self.begin_walk(window, urgency, Point::new(window, Cursor::Skip(0)));
                    return Some(self.next_fresh);
                }
                self.next_fresh = now.monotonic + config.interval;
                let settled =
                    target.is_some_and(|target| self.is_settled_until(target, server_now));
                let window = plan::fresh(&self.listed(u32::MAX), self.begin, server_now);
                if let Some(window) = window.filter(|_| !settled) {
                    let normal = self.fresh_records < NORMAL_RECORDS_MAX;
                    let cursor = if normal { Cursor::Skip(0) } else { Cursor::Scan(None) };
                    self.begin_walk(window, urgency, Point::new(window, cursor));
                }
                Some(self.next_fresh)
            }
            Urgency::Soon if config.once && !self.final_round => None,
            Urgency::Soon => self.plan_relist(now.monotonic, server_now),
            Urgency::Backlog => {
                if !self.replan {
                    return None;
                }
                match plan::backlog(&self.listed(u32::MAX), self.begin, server_now) {
                    Some(window) => {
                        let at = Point::new(window, Cursor::Scan(None));
                        self.begin_walk(window, urgency, at);
                    }
                    None => self.replan = false,
                }
                None
            }
        }
    }

    /// Searches again what is due, the longest span first.
    fn plan_relist(&mut self, now: Duration, server_now: Utc) -> Option<Duration> {
        if now < self.relist_not_before {
            return Some(self.relist_not_before);
        }
        let mut next: Option<Duration> = None;
        for (slot, (every, span)) in plan::RELISTS.into_iter().enumerate().rev() {
            let due = self.notes.relisted[slot] + every;
            if server_now < due && !self.final_round {
                let at = now + due.since(server_now);
                next = Some(next.map_or(at, |next| next.min(at)));
                continue;
            }
            self.relisting = Some((slot, server_now));
            let since = self.seen.since();
            if let Some(window) = plan::relist(span, self.begin, since, server_now) {
                self.begin_walk(window, Urgency::Soon, Point::new(window, Cursor::Scan(None)));
                return None;
            }
            self.note_relisted();
        }
        next
    }

    /// What was to be searched again is delivered, the shorter spans with it.
    fn note_relisted(&mut self) {
        if let Some((slot, at)) = self.relisting.take() {
            self.notes.relisted[..=slot].fill(at);
            (self.notes_changed, self.final_round) = (true, false);
        }
    }

    /// What is covered, or under way with fewer failures in a row than so many. What is searched
    /// again is neither.
    fn listed(&self, failures_max: u32) -> IntervalSet {
        let mut listed = self.covered.clone();
        let counts = |walk: &&Walk| walk.urgency != Urgency::Soon && walk.failures < failures_max;
        for walk in self.walks.values().filter(counts) {
            listed.insert(walk.window);
        }
        listed
    }

    /// After a silence that is longer than what is searched again would reach over: the last day
    /// before it counts as not covered, once, for what was found since.
    pub(super) fn reopen(&mut self, now: Utc) {
        let (every, span) = plan::RELISTS[1];
        if let Some(end) = self.covered.last_end()
            && self.notes.seam < end
            && end + every < now
        {
            self.notes.seam = end;
            self.covered.forget_after((end - span).max(plan::oldest(now)));
            (self.changed, self.notes_changed, self.replan) = (true, true, true);
        }
    }

    /// Up to when all `_id`s of the time before are remembered: now, or where a silence began.
    fn edge(&self, now: Utc) -> Utc {
        let end = self.covered.last_end().map_or(now, |end| end.min(now));
        let seam = self.notes.seam;
        let start = (seam - plan::RELISTS[1].1).max(self.begin).max(plan::oldest(now));
        let open = Interval::new(start, seam).is_some_and(|day| !self.covered.gaps(day).is_empty());
        if open { end.min(seam) } else { end }
    }

    /// The search of this urgency that can go on now, or when it can.
    pub(super) fn next_walk(
        &self,
        urgency: Urgency,
        now: Duration,
    ) -> Result<WalkId, Option<Duration>> {
        let waits =
            |walk: &&Walk| walk.urgency == urgency && walk.request.is_none() && !walk.is_read();
        let waiting = self.walks.iter().filter(|(_, walk)| waits(walk));
        let Some((id, walk)) = waiting.min_by_key(|(_, walk)| walk.not_before) else {
            return Err(None);
        };
        let due = walk.not_before.max(self.not_before);
        if due <= now { Ok(*id) } else { Err(Some(due)) }
    }

    /// Names the reading of a page that begins.
    pub(super) const fn new_page(&mut self) -> PageId {
        self.next_page += 1;
        PageId(self.next_page)
    }

    /// A search is given up: what it has not covered is planned anew.
    pub(super) fn drop_walk(&mut self, id: WalkId, changes: &mut Changes) {
        if let Some(walk) = self.walks.remove(&id)
            && walk.is_stored()
        {
            changes.delete(self.keys.walk());
        }
        self.replan = true;
    }

    /// All that is left of a search cannot be read: it is tried again from time to time beside what
    /// else there is to be searched, and the rest of it is settled.
    pub(super) fn set_aside(&mut self, id: WalkId, changes: &mut Changes) {
        let Some(stuck) = self.walks.remove(&id) else { return };
        if stuck.urgency == Urgency::Soon {
            return self.note_relisted();
        }
        changes.delete(self.keys.walk());
        let left = stuck.left();
        for done in left.gaps(stuck.window) {
            self.cover(done);
        }
        for part in left.iter() {
            let at = Point::new(part, Cursor::Scan(None));
            let mut walk = Walk::new(part, stuck.urgency, at);
            (walk.is_stuck, walk.failures, walk.failed) = (true, HOPELESS, stuck.failed);
            walk.not_before = stuck.not_before;
            self.add_walk(walk);
        }
    }

    /// A request of a search failed. Answers how many have, in a row.
    pub(super) const fn note_failure(&mut self, urgency: Urgency) -> u32 {
        let failed = &mut self.failed[urgency as usize];
        *failed = failed.saturating_add(1);
        *failed
    }

    /// A page of a search was read, and leads on.
    pub(super) const fn note_success(&mut self, urgency: Urgency) {
        self.failed[urgency as usize] = 0;
    }

    /// The last page of a search was read.
    pub(super) fn note_read(&mut self, id: WalkId) {
        let Some(walk) = self.walks.get(&id) else { return };
        if walk.urgency == Urgency::Fresh {
            self.fresh_records = walk.records;
        }
        self.failures = 0;
        self.metrics.windows_listed += 1;
    }

    // Delivery.

    /// The host has taken activities, and perhaps the end of a page.
    pub(super) fn deliver(
        &mut self,
        id: WalkId,
        page: PageId,
        last: bool,
        activities: &[(Revision, Utc)],
        changes: &mut Changes,
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
                changes.delete(self.keys.walk());
            }
            if urgency == Urgency::Soon {
                self.note_relisted();
            } else if !self.guessing {
                self.cover(window);
            }
        } else if let Some(at) = at
            && walk.is_stored()
        {
            let (start, end) = (walk.window.start.as_millis(), walk.window.end.as_millis());
            changes.put(self.keys.walk(), state::encode(&WalkRecord { start, end, at }));
        }
    }

    /// The host has lost activities, and all that came after. Answers the request to drop.
    pub(crate) fn take_back(
        &mut self,
        id: WalkId,
        page: PageId,
        activities: &[(Revision, Utc)],
    ) -> Option<RequestId> {
        self.seen.take_back(activities);
        self.walks.get_mut(&id)?.take_back(page)
    }

    /// Notes that an interval is settled.
    pub(super) fn cover(&mut self, interval: Interval) {
        self.covered.insert(interval);
        self.replan = true;
        self.changed = true;
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

    /// Microsoft's clock is known, or known better. See [`crate::audit::lane::Lane::correct_time`].
    pub(crate) fn correct_time(&mut self, lookback: Duration, now: Utc, born: Utc) {
        let begun_by_wrong_clock = self.is_new && self.covered.last_end().is_none();
        if begun_by_wrong_clock || now < self.begin {
            self.begin = plan::begin(lookback, born);
            self.changed = true;
        }
        self.notes.seam = self.notes.seam.min(now);
        for at in &mut self.notes.relisted {
            *at = (*at).min(now);
        }
        let horizon = plan::horizon(now);
        if self.covered.last_end().is_some_and(|end| horizon < end) {
            self.covered.forget_after(horizon);
            self.changed = true;
        }
        let guessed = std::mem::take(&mut self.guessing);
        let kept = |walk: &Walk| {
            walk.window.end <= horizon && !(guessed && walk.urgency == Urgency::Fresh)
        };
        self.walks.retain(|_, walk| kept(walk));
        self.next_fresh = Duration::ZERO;
        self.replan = true;
    }

    /// What retention has destroyed before it was searched.
    pub(super) fn lost(&self, server_now: Utc) -> Vec<Interval> {
        if self.begin < plan::oldest(server_now) {
            plan::lost(&self.listed(HOPELESS), self.begin, server_now)
        } else {
            Vec::new()
        }
    }

    /// Writes what has changed since the last time.
    pub(crate) fn flush(&mut self, changes: &mut Changes, now: Utc) {
        if std::mem::take(&mut self.changed) {
            let oldest = plan::oldest(now);
            if self.begin < oldest && plan::lost(&self.covered, self.begin, now).is_empty() {
                self.begin = oldest;
                self.covered.forget_before(oldest);
            }
            let record = LaneRecord::new(self.begin, &self.covered);
            changes.put(self.keys.lane(), state::encode(&record));
        }
        if std::mem::take(&mut self.walk_dropped) {
            changes.delete(self.keys.walk());
        }
        if std::mem::take(&mut self.notes_changed) {
            changes.put(self.keys.search(), self.notes.encode());
        }
        self.seen.flush(changes, &self.keys, now, self.edge(now));
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&mut self, now: Utc) {
        self.metrics.denied = self.denied.is_some();
        self.metrics.blobs_pending =
            self.walks.values().filter(|walk| walk.request.is_some()).count() as u64;
        let range = Interval::new(self.begin.max(plan::oldest(now)), plan::horizon(now));
        let gaps = range.map(|range| self.covered.gaps(range)).unwrap_or_default();
        self.metrics.backlog = gaps.iter().map(|gap| gap.end.since(gap.start)).sum();
        self.metrics.lag = now.since(self.covered.last_end().unwrap_or(self.begin));
    }

    /// Whether everything between the start of the look-back and `target` is settled.
    pub(crate) fn is_settled_until(&self, target: Utc, now: Utc) -> bool {
        Interval::new(self.begin.max(plan::oldest(now)), target)
            .is_none_or(|range| self.covered.gaps(range).is_empty())
    }

    /// Whether a run that ends has nothing left to do here.
    pub(crate) fn is_done(&self, target: Utc, now: Utc) -> bool {
        self.denied.is_some()
            || (self.is_settled_until(target, now) && !self.final_round && self.walks.is_empty())
    }

    /// Whether nothing was lost, nor denied.
    pub(crate) fn is_whole(&self) -> bool {
        self.denied.is_none() && !self.tokens.is_hopeless() && !self.metrics.has_lost_data()
    }
}
