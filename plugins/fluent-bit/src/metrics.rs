//! The core's numbers as counters and gauges of Fluent Bit. Copies; computes nothing.

use fluent_bit_plugin::{Counter, Gauge, Setup};
use m365_audit_core::{
    Feed, LANE_COUNTERS, LANE_GAUGES, LOSSES_UNACKNOWLEDGED, Metrics, Operation,
};

/// A counter over all runs of a collector. Each run counts from zero.
#[derive(Clone, Debug)]
struct Total {
    counter: Counter,
    before: u64,
}

impl Total {
    fn new(counter: Counter) -> Self {
        Self { counter, before: 0 }
    }

    fn show(&self, total: u64) {
        self.counter.raise_to(self.before + total);
    }

    fn restart(&mut self) {
        self.before = self.counter.value();
    }
}

/// Whose numbers are shown. Also a section's only tenant has its id there: a metric that has other
/// labels in another section would take all metrics of Fluent Bit away.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) tenant_id: &'a str,
    /// Everything that is collected, of both sources.
    pub(crate) feeds: Vec<Feed>,
}

/// All numbers of one tenant. Clones are the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct HostMetrics {
    feeds: Vec<Feed>,
    /// In the order of [`Operation::COLLECTING`].
    requests: Vec<Total>,
    throttled: Total,
    retries: Total,
    restarts: Counter,
    requests_per_minute: Gauge,
    undelivered_bytes: Gauge,
    losses_unacknowledged: Gauge,
    /// For each of [`LANE_COUNTERS`] one a content type.
    lane_counters: Vec<Vec<Total>>,
    /// For each of [`LANE_GAUGES`] one a content type.
    lane_gauges: Vec<Vec<Gauge>>,
    malformed: Vec<Counter>,
}

impl HostMetrics {
    /// Registers everything, with every label that will be used: of each subject its own numbers.
    pub(crate) fn register(setup: &mut Setup<'_>, subjects: &[Subject<'_>]) -> Vec<Self> {
        let mut registrar = Registrar { setup, subjects };
        let operations = Operation::COLLECTING.map(Operation::as_str);
        let mut requests = registrar
            .counters(
                "requests_total",
                "Requests sent to Microsoft.",
                Label::Of("operation", &operations),
            )
            .into_iter();
        let mut lane_counters = LANE_COUNTERS
            .map(|spec| registrar.counters(spec.name, spec.help, Label::Feed).into_iter());
        let mut lane_gauges =
            LANE_GAUGES.map(|spec| registrar.gauges(spec.name, spec.help, Label::Feed).into_iter());
        let malformed = "Records that are no JSON object, passed on as raw text.";
        let mut malformed =
            registrar.counters("records_malformed_total", malformed, Label::Feed).into_iter();
        let mut one =
            |name, help| registrar.counters(name, help, Label::Nothing).into_iter().flatten();
        let mut throttled = one("throttled_total", "Answers that asked for fewer requests.");
        let mut retries = one("retries_total", "Requests that failed and were repeated.");
        let mut restarts = one("restarts_total", "Times that the collector started again.");
        let mut gauge =
            |name, help| registrar.gauges(name, help, Label::Nothing).into_iter().flatten();
        let mut requests_per_minute =
            gauge("requests_per_minute", "Requests a minute that are allowed at present.");
        let mut undelivered_bytes =
            gauge("undelivered_bytes", "Bytes of records that wait to be safe.");
        let mut losses_unacknowledged = gauge(
            LOSSES_UNACKNOWLEDGED,
            "Losses that the state remembers and nobody has acknowledged.",
        );
        let totals = |counters: Option<Vec<Counter>>| -> Vec<Total> {
            counters.unwrap_or_default().into_iter().map(Total::new).collect()
        };
        let subjects = subjects.iter().map(|subject| Self {
            feeds: subject.feeds.clone(),
            requests: totals(requests.next()),
            throttled: Total::new(throttled.next().unwrap_or_default()),
            retries: Total::new(retries.next().unwrap_or_default()),
            restarts: restarts.next().unwrap_or_default(),
            requests_per_minute: requests_per_minute.next().unwrap_or_default(),
            undelivered_bytes: undelivered_bytes.next().unwrap_or_default(),
            losses_unacknowledged: losses_unacknowledged.next().unwrap_or_default(),
            lane_counters: lane_counters.each_mut().map(|sets| totals(sets.next())).into(),
            lane_gauges: lane_gauges.each_mut().map(|sets| sets.next().unwrap_or_default()).into(),
            malformed: malformed.next().unwrap_or_default(),
        });
        subjects.collect()
    }

    /// Numbers that nobody shows: of a tenant that came after Init, when Fluent Bit takes no new
    /// ones.
    pub(crate) fn unseen(feeds: &[Feed]) -> Self {
        let total = || Total::new(Counter::default());
        let totals = |count: usize| (0..count).map(|_| total()).collect::<Vec<_>>();
        let types = feeds.len();
        let gauges = || (0..types).map(|_| Gauge::default()).collect::<Vec<_>>();
        Self {
            feeds: feeds.into(),
            requests: totals(Operation::COLLECTING.len()),
            throttled: total(),
            retries: total(),
            restarts: Counter::default(),
            requests_per_minute: Gauge::default(),
            undelivered_bytes: Gauge::default(),
            losses_unacknowledged: Gauge::default(),
            lane_counters: LANE_COUNTERS.map(|_| totals(types)).into(),
            lane_gauges: LANE_GAUGES.map(|_| gauges()).into(),
            malformed: (0..types).map(|_| Counter::default()).collect(),
        }
    }

    /// Whether these are the numbers of just these feeds.
    pub(crate) fn fits(&self, feeds: &[Feed]) -> bool {
        feeds.iter().all(|wanted| self.index(*wanted).is_some())
    }

    /// Shows where the collector stands.
    #[allow(clippy::cast_precision_loss)] // Fluent Bit keeps doubles.
    pub(crate) fn show(&self, metrics: &Metrics) {
        for (shown, total) in self.requests.iter().zip(metrics.requests) {
            shown.show(total);
        }
        self.throttled.show(metrics.throttled);
        self.retries.show(metrics.retries);
        self.requests_per_minute.set(metrics.requests_per_minute.into());
        self.undelivered_bytes.set(metrics.undelivered_bytes as f64);
        self.losses_unacknowledged.set(metrics.losses_unacknowledged as f64);
        for lane in &metrics.lanes {
            let Some(index) = self.index(lane.feed) else { continue };
            for (shown, spec) in self.lane_counters.iter().zip(LANE_COUNTERS) {
                shown[index].show((spec.value)(lane));
            }
            for (shown, spec) in self.lane_gauges.iter().zip(LANE_GAUGES) {
                shown[index].set((spec.value)(lane));
            }
        }
    }

    /// A record went out as raw text.
    pub(crate) fn count_malformed(&self, feed: Feed) {
        if let Some(index) = self.index(feed) {
            self.malformed[index].inc();
        }
    }

    /// The next collector counts from zero.
    pub(crate) fn restart(&mut self) {
        self.restarts.inc();
        let totals = self.requests.iter_mut().chain(self.lane_counters.iter_mut().flatten());
        totals.chain([&mut self.throttled, &mut self.retries]).for_each(Total::restart);
    }

    fn index(&self, feed: Feed) -> Option<usize> {
        self.feeds.iter().position(|known| *known == feed)
    }
}

/// What a number is told apart by, beside the tenant.
#[derive(Clone, Copy)]
enum Label<'a> {
    Nothing,
    Feed,
    Of(&'a str, &'a [&'a str]),
}

/// Registers numbers for several subjects at once, as Fluent Bit wants it.
struct Registrar<'a, 's> {
    setup: &'a mut Setup<'s>,
    subjects: &'a [Subject<'a>],
}

impl<'a> Registrar<'a, '_> {
    fn counters(&mut self, name: &str, help: &str, label: Label<'a>) -> Vec<Vec<Counter>> {
        let (keys, sets) = labels(self.subjects, label);
        let values: Vec<&[&str]> = sets.iter().flatten().map(Vec::as_slice).collect();
        let mut all = self.setup.counters(name, help, &keys, &values).into_iter();
        sets.iter().map(|of_one| all.by_ref().take(of_one.len()).collect()).collect()
    }

    fn gauges(&mut self, name: &str, help: &str, label: Label<'a>) -> Vec<Vec<Gauge>> {
        let (keys, sets) = labels(self.subjects, label);
        let values: Vec<&[&str]> = sets.iter().flatten().map(Vec::as_slice).collect();
        let mut all = self.setup.gauges(name, help, &keys, &values).into_iter();
        sets.iter().map(|of_one| all.by_ref().take(of_one.len()).collect()).collect()
    }
}

/// The names of the labels, and for each subject the sets of their values.
fn labels<'l>(
    subjects: &[Subject<'l>],
    label: Label<'l>,
) -> (Vec<&'l str>, Vec<Vec<Vec<&'l str>>>) {
    let mut keys = vec!["tenant_id"];
    match label {
        Label::Nothing => {}
        Label::Feed => keys.push("content_type"),
        Label::Of(key, _) => keys.push(key),
    }
    let sets = subjects.iter().map(|subject| {
        let values: Vec<Option<&str>> = match label {
            Label::Nothing => vec![None],
            Label::Feed => subject.feeds.iter().map(|feed| Some(feed.as_str())).collect(),
            Label::Of(_, values) => values.iter().map(|value| Some(*value)).collect(),
        };
        let set = |value: Option<&'l str>| [subject.tenant_id].into_iter().chain(value).collect();
        values.into_iter().map(set).collect()
    });
    (keys, sets.collect())
}
