//! Where each collector stands: what it shows, kept so that others can look at it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use m365_audit_core::{Event, Level, Metrics, Stored};

use super::options::MetricsDetail;
use super::rates::Rates;
use super::trouble::{Troubles, utc};
use super::week::{HistoryNews, Weeks};
use crate::webhook::WebhookMetrics;

/// How often a collector that never rests shows its numbers.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// Whose numbers they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The section of the process; empty: there is but one.
    pub(super) instance: Box<str>,
    /// What the configuration calls the tenant; empty: it has no name.
    pub(super) tenant: Box<str>,
    pub(super) tenant_id: Box<str>,
    /// Whether its numbers are its own.
    pub(super) detail: MetricsDetail,
}

/// All collectors of a process.
#[derive(Debug)]
pub(super) struct Board {
    packaging: &'static str,
    started: SystemTime,
    epoch: Instant,
    entries: Mutex<Entries>,
}

/// What those have counted who were counted together and have gone: a sum that falls would be
/// taken for one that began again.
#[derive(Clone, Debug, Default)]
pub(super) struct Gone {
    pub(super) metrics: Metrics,
    pub(super) beside: Beside,
}

/// What is counted beside the metrics, of one collector or of several together.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub(super) restarts: u64,
    pub(super) webhook: Option<WebhookMetrics>,
    /// Records that the sink found oversized, and that were rejected.
    pub(super) sink: [u64; 2],
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    /// In the order in which they are shown. The number tells those apart that have one name.
    entries: BTreeMap<(Box<str>, u64), Known>,
    gone: Gone,
}

/// One that is there, or was a moment ago.
#[derive(Debug)]
struct Known {
    entry: Weak<Entry>,
    /// What it shows, if that is counted together with what others show.
    counted: Option<Arc<Mutex<State>>>,
}

/// One collector.
#[derive(Debug)]
struct Entry {
    subject: Subject,
    /// What its numbers are told apart by, beside the tenant's id; empty: nothing.
    name: Box<str>,
    epoch: Instant,
    /// When its loop came round last, in milliseconds since `epoch`, and in the lowest bit whether
    /// it has gone to the output since.
    turned: AtomicU64,
    /// Whether it may rest for as long as it likes.
    may_rest: AtomicBool,
    state: Arc<Mutex<State>>,
}

/// What a collector has shown.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) run: Run,
    /// Of the present run.
    pub(super) metrics: Option<Metrics>,
    /// What earlier runs have counted, and these with the present one; `None`: there is none.
    before: Option<Metrics>,
    total: Option<Metrics>,
    pub(super) restarts: u64,
    pub(super) webhook: Option<WebhookMetrics>,
    /// Of sinks: records that were oversized, and that were rejected.
    pub(super) sink: SinkTotals,
    pub(super) troubles: Troubles,
    pub(super) weeks: Weeks,
    rates: Rates<3>,
    shown_at: Option<Instant>,
}

/// What the sinks of a collector have counted, over all that it has had.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SinkTotals {
    pub(super) oversized: Total,
    pub(super) rejected: Total,
}

/// A count of things that count from zero, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    before: u64,
    now: u64,
}

impl Total {
    /// The present one has counted so many.
    const fn note(&mut self, now: u64) {
        if now < self.now {
            self.before += self.now;
        }
        self.now = now;
    }

    pub(super) const fn get(self) -> u64 {
        self.before + self.now
    }
}

/// What a collector is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Run {
    /// It has shown nothing yet.
    #[default]
    Starting,
    Running,
    /// It has failed, and another run begins by and by.
    Failed {
        problem: String,
    },
    /// It has come to its end.
    Ended,
}

/// A look at one collector.
pub(super) struct View<'a> {
    pub(super) subject: &'a Subject,
    pub(super) name: &'a str,
    pub(super) state: &'a State,
    /// How long its loop has not come round.
    pub(super) idle: Duration,
    /// Whether it has gone to the output since.
    pub(super) in_output: bool,
    now: Instant,
}

impl Board {
    pub(super) fn new(packaging: &'static str) -> Self {
        let entries = Mutex::new(Entries::default());
        Self { packaging, started: SystemTime::now(), epoch: Instant::now(), entries }
    }

    pub(super) const fn packaging(&self) -> &'static str {
        self.packaging
    }

    pub(super) const fn started(&self) -> SystemTime {
        self.started
    }

    pub(super) fn enter(board: &Arc<Self>, subject: Subject) -> Slot {
        let mut entries = board.entries();
        entries.forget_gone();
        let number = entries.next;
        entries.next += 1;
        let name = entries.free_name(&subject);
        let entry = Arc::new(Entry {
            name,
            epoch: board.epoch,
            turned: AtomicU64::new(0),
            may_rest: AtomicBool::new(false),
            state: Arc::default(),
            subject,
        });
        entry.turn(Instant::now(), false);
        let key = (entry.subject.title().into(), number);
        let counted = entry.subject.detail == MetricsDetail::Total;
        let counted = counted.then(|| Arc::clone(&entry.state));
        entries.entries.insert(key, Known { entry: Arc::downgrade(&entry), counted });
        Slot(entry)
    }

    /// Looks at all, each for itself, in the order of their names. Answers what those have counted
    /// who are counted together and have gone.
    pub(super) fn look(&self, now: Instant, mut each: impl FnMut(&View<'_>)) -> Gone {
        let mut known = self.entries();
        known.forget_gone();
        let entries: Vec<Arc<Entry>> = known.there().collect();
        let gone = known.gone.clone();
        drop(known);
        for entry in entries {
            let turned = entry.turned.load(Ordering::Relaxed);
            let since = match entry.may_rest.load(Ordering::Relaxed) {
                true => now,
                false => self.epoch + Duration::from_millis(turned >> 1),
            };
            each(&View {
                subject: &entry.subject,
                name: &entry.name,
                state: &entry.state(),
                idle: now.saturating_duration_since(since),
                in_output: turned & 1 == 1,
                now,
            });
        }
        gone
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Every change of it is whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn there(&self) -> impl Iterator<Item = Arc<Entry>> {
        self.entries.values().filter_map(|known| known.entry.upgrade())
    }

    /// Leaves out those who have gone, but for what they have counted together with others.
    fn forget_gone(&mut self) {
        let Self { entries, gone, .. } = self;
        entries.retain(|_, known| {
            let is_there = known.entry.strong_count() > 0;
            if let Some(state) = known.counted.as_ref().filter(|_| !is_there) {
                gone.add(&state.lock().unwrap_or_else(PoisonError::into_inner));
            }
            is_there
        });
    }

    /// A name under which nobody else has numbers of this tenant: two series that differ in nothing
    /// would cost a monitor all of them.
    fn free_name(&self, subject: &Subject) -> Box<str> {
        let wanted = subject.name();
        let is_taken = |name: &str| {
            self.there()
                .any(|other| *other.name == *name && other.subject.tenant_id == subject.tenant_id)
        };
        if !is_taken(wanted) {
            return wanted.into();
        }
        let numbered = (2..).map(|number| format!("{wanted}#{number}"));
        numbered.into_iter().find(|name| !is_taken(name)).unwrap_or_default().into()
    }
}

impl Subject {
    /// What numbers are told apart by, beside the tenant's id.
    fn name(&self) -> &str {
        if self.instance.is_empty() { &self.tenant } else { &self.instance }
    }

    /// What people call it.
    pub(super) fn title(&self) -> &str {
        let names = [&self.tenant, &self.instance, &self.tenant_id];
        names.into_iter().find(|name| !name.is_empty()).map_or("", |name| name)
    }
}

impl Entry {
    fn turn(&self, now: Instant, to_output: bool) {
        let millis = now.saturating_duration_since(self.epoch).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX >> 1);
        self.turned.store(millis << 1 | u64::from(to_output), Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gone {
    fn add(&mut self, state: &State) {
        state.numbers().into_iter().for_each(|metrics| self.metrics.count_on(metrics));
        self.beside.add(&state.beside());
    }
}

impl Beside {
    pub(super) fn add(&mut self, other: &Self) {
        self.restarts += other.restarts;
        if let Some(webhook) = &other.webhook {
            self.webhook.get_or_insert_default().add(webhook);
        }
        self.sink.iter_mut().zip(other.sink).for_each(|(sum, count)| *sum += count);
    }
}

impl State {
    /// Every number, counted over all runs.
    fn numbers(&self) -> Option<&Metrics> {
        self.total.as_ref().or(self.metrics.as_ref())
    }

    /// What it has counted beside them.
    pub(super) const fn beside(&self) -> Beside {
        let sink = [self.sink.oversized.get(), self.sink.rejected.get()];
        Beside { restarts: self.restarts, webhook: self.webhook, sink }
    }

    /// Records, bytes and requests so far.
    fn totals(&self) -> [u64; 3] {
        let Some(metrics) = &self.metrics else { return [0; 3] };
        let lanes = metrics.lanes.iter();
        let [mut records, mut bytes] = [0, 0];
        for lane in lanes {
            records += lane.records_delivered;
            bytes += lane.bytes_delivered;
        }
        [records, bytes, metrics.requests.iter().sum()]
    }
}

impl<'a> View<'a> {
    /// Every number, counted over all runs.
    pub(super) fn numbers(&self) -> Option<&'a Metrics> {
        self.state.numbers()
    }

    /// Records, bytes and requests a second, over the last minute.
    pub(super) fn per_second(&self) -> [f64; 3] {
        self.state.rates.per_second(self.now, self.state.totals())
    }
}

/// A collector's place on the board, until its last clone has gone.
#[derive(Clone, Debug)]
pub struct Slot(Arc<Entry>);

impl Slot {
    /// A run begins from this state, and counts from zero.
    pub fn begin(&self, stored: &Stored) {
        self.recall(stored);
        let mut state = self.0.state();
        let State { metrics, before, total, restarts, rates, run, shown_at, .. } = &mut *state;
        if let Some(metrics) = metrics.take() {
            *restarts += 1;
            before.get_or_insert_default().count_on(&metrics);
        }
        *total = None;
        *rates = Rates::default();
        *run = Run::Starting;
        *shown_at = None;
        self.turn();
    }

    /// What was collected before is in this state.
    pub fn recall(&self, stored: &Stored) {
        self.0.state().weeks.begin(stored, utc(SystemTime::now()));
    }

    /// What became of some hours is stored.
    pub fn remember(&self, news: HistoryNews) {
        self.0.state().weeks.take(news);
    }

    /// Shows where the collector stands. Cheap if it has just done so.
    pub fn show(&self, metrics: &Metrics) {
        self.turn();
        let now = Instant::now();
        let mut state = self.0.state();
        if state.shown_at.is_some_and(|at| now.saturating_duration_since(at) < SHOWN_EVERY) {
            return;
        }
        state.shown_at = Some(now);
        state.run = Run::Running;
        match &mut state.metrics {
            Some(known) => known.clone_from(metrics),
            None => state.metrics = Some(metrics.clone()),
        }
        if let State { before: Some(before), total, .. } = &mut *state {
            let total = total.get_or_insert_default();
            total.clone_from(metrics);
            total.count_on(before);
        }
        let totals = state.totals();
        state.rates.note(now, totals);
        let feeds = metrics.lanes.iter().map(|lane| lane.feed);
        state.weeks.draw(feeds, now, utc(SystemTime::now()));
    }

    /// Shows where the collector stands at its end.
    pub fn end(&self, metrics: &Metrics) {
        self.0.state().shown_at = None;
        self.show(metrics);
        self.0.state().run = Run::Ended;
    }

    /// Shows what the sink counts: records that were longer than a line may be, and records that a
    /// receiver refused for good.
    pub fn sink(&self, oversized: u64, rejected: u64) {
        let totals = &mut self.0.state().sink;
        totals.oversized.note(oversized);
        totals.rejected.note(rejected);
    }

    /// Shows what calls the webhook has had, over all runs.
    pub fn webhook(&self, metrics: &WebhookMetrics) {
        self.0.state().webhook = Some(*metrics);
    }

    /// Takes in an event of the core.
    pub fn observe(&self, event: &Event) {
        self.0.state().troubles.observe(event, SystemTime::now());
    }

    /// Keeps a line that is no event, if it matters.
    pub fn tell(&self, level: Level, line: &str) {
        if level <= Level::Warn {
            self.0.state().troubles.tell(level, "", line.into(), SystemTime::now());
        }
    }

    /// The run has failed.
    pub fn fail(&self, problem: &str) {
        self.tell(Level::Error, problem);
        self.0.state().run = Run::Failed { problem: problem.into() };
    }

    /// The collector rests between its turns, for as long as it likes.
    pub(super) fn may_rest(&self) {
        self.0.may_rest.store(true, Ordering::Relaxed);
    }

    /// The collector's loop has come round.
    pub fn turn(&self) {
        self.0.turn(Instant::now(), false);
    }

    /// The collector gives something to the output, which may take its time.
    pub fn turn_to_output(&self) {
        self.0.turn(Instant::now(), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::{ContentType, Feed, LaneMetrics};

    fn subject(instance: &str, tenant: &str) -> Subject {
        let [instance, tenant, tenant_id] = [instance, tenant, "id"].map(Into::into);
        Subject { instance, tenant, tenant_id, detail: MetricsDetail::default() }
    }

    fn delivered(records: u64) -> Metrics {
        let lane = LaneMetrics::new(Feed::Audit(ContentType::AuditExchange));
        let lanes = vec![LaneMetrics { records_delivered: records, ..lane }];
        Metrics { lanes, ..Metrics::default() }
    }

    fn names(board: &Board) -> Vec<String> {
        let mut names = Vec::new();
        board.look(Instant::now(), |view| names.push(view.name.to_owned()));
        names
    }

    #[test]
    fn counters_go_on_over_runs_and_gauges_do_not() {
        let board = Arc::new(Board::new("run"));
        let slot = Board::enter(&board, subject("", ""));
        slot.begin(&Stored::new());
        let mut metrics = delivered(5);
        metrics.undelivered_bytes = 7;
        slot.show(&metrics);
        slot.begin(&Stored::new());
        slot.end(&delivered(3));
        board.look(Instant::now(), |view| {
            let numbers = view.numbers().unwrap();
            assert_eq!((numbers.lanes[0].records_delivered, numbers.undelivered_bytes), (8, 0));
            assert_eq!((view.state.restarts, &view.state.run), (1, &Run::Ended));
        });
    }

    #[test]
    fn two_of_one_name_and_tenant_are_told_apart_and_who_goes_is_gone() {
        let board = Arc::new(Board::new("run"));
        let first = Board::enter(&board, subject("m365_audit.0", ""));
        let second = Board::enter(&board, subject("m365_audit.0", ""));
        let _third = Board::enter(&board, subject("", "contoso"));
        assert_eq!(names(&board), ["contoso", "m365_audit.0", "m365_audit.0#2"]);
        drop((first, second));
        assert_eq!(names(&board), ["contoso"]);
    }
}
