//! The core's numbers as counters and gauges of Fluent Bit. Copies; computes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fluent_bit_plugin::{Counter, Gauge, Setup};
use m365_audit_client::MetricsDetail;
use m365_audit_core::{
    DELAY_STEPS, Feed, HISTOGRAMS, METRICS, Metric, MetricKind, MetricScope, Metrics, Operation,
    RECORDS_MALFORMED, Subject as Of,
};

/// How often what all tenants have done together is added up.
const ADDED_UP_EVERY: Duration = Duration::from_secs(1);

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
    /// What it is called, if it is.
    pub(crate) tenant_name: Option<&'a str>,
    /// Everything that is collected, of both sources.
    pub(crate) feeds: Vec<Feed>,
}

/// Which feeds numbers are of. Where they are not told apart the label is there and empty, which
/// to monitors is as if it were not: another section may tell them apart.
#[derive(Clone, Debug)]
enum Feeds {
    Each(Vec<Feed>),
    Together,
}

impl Feeds {
    const fn count(&self) -> usize {
        match self {
            Self::Each(feeds) => feeds.len(),
            Self::Together => 1,
        }
    }

    fn labels(&self) -> Vec<&'static str> {
        match self {
            Self::Each(feeds) => feeds.iter().map(|feed| feed.as_str()).collect(),
            Self::Together => vec![""],
        }
    }

    fn index(&self, feed: Feed) -> Option<usize> {
        match self {
            Self::Each(feeds) => feeds.iter().position(|known| *known == feed),
            Self::Together => Some(0),
        }
    }
}

/// What all tenants of a section have done together.
#[derive(Debug)]
struct Together {
    /// By the tenant's id: in runs that are over, and in the present one.
    tenants: BTreeMap<Box<str>, [Metrics; 2]>,
    added_up: Option<Instant>,
}

impl Together {
    /// Takes in where one stands. Answers where all stand, if it is time to show that.
    fn take(&mut self, tenant_id: &str, metrics: &Metrics, now: Instant) -> Option<Metrics> {
        self.of(tenant_id)[1].clone_from(metrics);
        if self.added_up.is_some_and(|at| now.saturating_duration_since(at) < ADDED_UP_EVERY) {
            return None;
        }
        self.added_up = Some(now);
        let mut all = Metrics::default();
        for [before, present] in self.tenants.values() {
            let mut one = present.clone();
            one.count_on(before);
            all.add(&one);
        }
        Some(all)
    }

    /// This tenant's run has ended; its next one counts from zero.
    fn rest(&mut self, tenant_id: &str) {
        let [before, present] = self.of(tenant_id);
        before.count_on(&std::mem::take(present));
    }

    fn of(&mut self, tenant_id: &str) -> &mut [Metrics; 2] {
        self.tenants.entry(tenant_id.into()).or_default()
    }
}

/// All numbers of one tenant. Clones are the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct HostMetrics {
    feeds: Feeds,
    /// Whose they are, and those of the others, where they are not told apart.
    together: Option<(Box<str>, Arc<Mutex<Together>>)>,
    /// For each of [`METRICS`].
    numbers: Vec<Numbers>,
    restarts: Counter,
    /// For each of [`HISTOGRAMS`], of each feed its steps, its sum and its number: Fluent Bit lets
    /// inputs have no histograms, and a monitor makes no difference.
    delays: Vec<Vec<Total>>,
    /// Counted here: the core does not know what form records get.
    malformed: Vec<Counter>,
}

/// The numbers of one metric: one, or one for each of [`Operation::COLLECTING`] or of the feeds.
#[derive(Clone, Debug)]
enum Numbers {
    Totals(Vec<Total>),
    Gauges(Vec<Gauge>),
    /// [`HostMetrics::malformed`].
    Ours,
}

impl HostMetrics {
    /// Registers everything, with every label that will be used: of each subject its own numbers,
    /// or of all together.
    pub(crate) fn register(
        setup: &mut Setup<'_>,
        subjects: &[Subject<'_>],
        detail: MetricsDetail,
    ) -> Vec<Self> {
        let named = match detail {
            MetricsDetail::ContentType | MetricsDetail::Tenant => subjects,
            MetricsDetail::Total => &[],
        };
        let shown: Vec<(&str, Feeds)> = match detail {
            MetricsDetail::ContentType => {
                let each = |of: &Subject<'_>| Feeds::Each(of.feeds.clone());
                subjects.iter().map(|of| (of.tenant_id, each(of))).collect()
            }
            MetricsDetail::Tenant => {
                subjects.iter().map(|of| (of.tenant_id, Feeds::Together)).collect()
            }
            MetricsDetail::Total => vec![("", Feeds::Together)],
        };
        let all = Self::register_shown(&mut Registrar { setup, subjects: &shown, named });
        match (detail, all.first()) {
            (MetricsDetail::Total, Some(first)) => {
                let together = Together { tenants: BTreeMap::new(), added_up: None };
                let first = Self {
                    together: Some(("".into(), Arc::new(Mutex::new(together)))),
                    ..first.clone()
                };
                subjects.iter().map(|of| first.of_another(of.tenant_id)).collect()
            }
            _ => all,
        }
    }

    /// Where all are counted together, the numbers of another tenant: the same.
    pub(crate) fn of_another(&self, tenant_id: &str) -> Self {
        let mut another = self.clone();
        another.together.iter_mut().for_each(|(whose, _)| *whose = tenant_id.into());
        another
    }

    /// Whether all are counted together.
    pub(crate) const fn is_of_all(&self) -> bool {
        self.together.is_some()
    }

    /// One for each of the registrar's subjects.
    fn register_shown(registrar: &mut Registrar<'_, '_>) -> Vec<Self> {
        let subjects = registrar.subjects;
        let restarts = "Times that the collector started again.";
        let mut restarts =
            registrar.counters("restarts_total", restarts, MetricScope::Collector).into_iter();
        let mut all: Vec<_> = subjects
            .iter()
            .map(|(_, feeds)| Self {
                feeds: feeds.clone(),
                together: None,
                numbers: Vec::with_capacity(METRICS.len()),
                restarts: restarts.next().into_iter().flatten().next().unwrap_or_default(),
                delays: Vec::new(),
                malformed: Vec::new(),
            })
            .collect();
        for metric in METRICS {
            let (name, help, scope) = (metric.name(), metric.help(), metric.scope());
            match metric.kind() {
                MetricKind::Counter => {
                    for (one, set) in all.iter_mut().zip(registrar.counters(name, help, scope)) {
                        one.add_counters(metric, set);
                    }
                }
                MetricKind::Gauge => {
                    for (one, set) in all.iter_mut().zip(registrar.gauges(name, help, scope)) {
                        one.numbers.push(Numbers::Gauges(set));
                    }
                }
            }
        }
        for histogram in &HISTOGRAMS {
            let sets = registrar.delays(histogram.parts(), histogram.help());
            for (one, set) in all.iter_mut().zip(sets) {
                one.delays.push(set.into_iter().map(Total::new).collect());
            }
        }
        registrar.build_info();
        registrar.tenant_info();
        all
    }

    /// Numbers that nobody shows: of a tenant that came after Init, when Fluent Bit takes no new
    /// ones.
    pub(crate) fn unseen(feeds: &[Feed]) -> Self {
        let mut unseen = Self {
            feeds: Feeds::Each(feeds.into()),
            together: None,
            numbers: Vec::with_capacity(METRICS.len()),
            restarts: Counter::default(),
            delays: Vec::new(),
            malformed: Vec::new(),
        };
        for _ in &HISTOGRAMS {
            let counters = (0..feeds.len() * DELAY_COUNTERS).map(|_| Counter::default());
            unseen.delays.push(counters.map(Total::new).collect());
        }
        for metric in METRICS {
            let count = match metric.scope() {
                MetricScope::Collector => 1,
                MetricScope::Operation => Operation::COLLECTING.len(),
                MetricScope::Feed => feeds.len(),
            };
            match metric.kind() {
                MetricKind::Counter => {
                    let counters = (0..count).map(|_| Counter::default()).collect();
                    unseen.add_counters(metric, counters);
                }
                MetricKind::Gauge => {
                    let gauges = (0..count).map(|_| Gauge::default()).collect();
                    unseen.numbers.push(Numbers::Gauges(gauges));
                }
            }
        }
        unseen
    }

    fn add_counters(&mut self, metric: &Metric, counters: Vec<Counter>) {
        self.numbers.push(if metric.name() == RECORDS_MALFORMED {
            self.malformed = counters;
            Numbers::Ours
        } else {
            Numbers::Totals(counters.into_iter().map(Total::new).collect())
        });
    }

    /// Whether these are the numbers of just these feeds.
    pub(crate) fn fits(&self, feeds: &[Feed]) -> bool {
        feeds.iter().all(|wanted| self.feeds.index(*wanted).is_some())
    }

    /// Shows where the collector stands.
    pub(crate) fn show(&self, metrics: &Metrics) {
        let all = match &self.together {
            Some((tenant_id, together)) => {
                let mut together = together.lock().unwrap_or_else(PoisonError::into_inner);
                match together.take(tenant_id, metrics, Instant::now()) {
                    Some(all) => Some(all),
                    None => return,
                }
            }
            None => None,
        };
        match (&self.feeds, all) {
            (Feeds::Each(_), _) => self.show_feeds(metrics),
            (Feeds::Together, all) => {
                let mut merged = all.unwrap_or_else(|| metrics.clone());
                merged.merge_feeds();
                self.show_feeds(&merged);
            }
        }
    }

    fn show_feeds(&self, metrics: &Metrics) {
        for (metric, numbers) in METRICS.iter().zip(&self.numbers) {
            metric.each(metrics, |of, value| {
                let index = match of {
                    Of::Collector => Some(0),
                    Of::Operation(operation) => {
                        Operation::COLLECTING.iter().position(|known| *known == operation)
                    }
                    Of::Feed(feed) => self.feeds.index(feed),
                };
                let Some(index) = index else { return };
                match numbers {
                    Numbers::Totals(totals) => totals[index].show(whole(value)),
                    Numbers::Gauges(gauges) => gauges[index].set(value),
                    Numbers::Ours => {}
                }
            });
        }
        self.show_delays(metrics);
    }

    /// Shows how long records took.
    fn show_delays(&self, metrics: &Metrics) {
        for (histogram, totals) in HISTOGRAMS.iter().zip(&self.delays) {
            for lane in &metrics.lanes {
                let Some(index) = self.feeds.index(lane.feed) else { continue };
                let of_feed = totals[index * DELAY_COUNTERS..].iter();
                for (total, (_, _, value)) in of_feed.zip(histogram.numbers(lane)) {
                    total.show(whole(value));
                }
            }
        }
    }

    /// A record went out as raw text.
    pub(crate) fn count_malformed(&self, feed: Feed) {
        if let Some(index) = self.feeds.index(feed) {
            self.malformed[index].inc();
        }
    }

    /// The collector has ended. Among all together it stands nowhere any more; alone it shows where
    /// it stood.
    pub(crate) fn rest(&self) {
        if let Some((tenant_id, together)) = &self.together {
            together.lock().unwrap_or_else(PoisonError::into_inner).rest(tenant_id);
        }
    }

    /// The next collector counts from zero.
    pub(crate) fn restart(&mut self) {
        self.restarts.inc();
        if self.together.is_some() {
            return self.rest();
        }
        for numbers in &mut self.numbers {
            match numbers {
                Numbers::Totals(totals) => totals.iter_mut().for_each(Total::restart),
                Numbers::Gauges(_) | Numbers::Ours => {}
            }
        }
        self.delays.iter_mut().flatten().for_each(Total::restart);
    }
}

/// Of a histogram of one feed: its steps, its sum, its number.
const DELAY_COUNTERS: usize = DELAY_STEPS.len() + 2;

/// Counters are whole, and far below 2^53.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
const fn whole(value: f64) -> u64 {
    value as u64
}

/// Registers numbers for several subjects at once, as Fluent Bit wants it.
struct Registrar<'a, 's> {
    setup: &'a mut Setup<'s>,
    /// The tenants' ids, and their feeds.
    subjects: &'a [(&'a str, Feeds)],
    /// Those of whom it is said what they are called.
    named: &'a [Subject<'a>],
}

impl Registrar<'_, '_> {
    /// The counters of a histogram, of each subject those of its feeds one after the other.
    fn delays(&mut self, parts: [&str; 3], help: &str) -> Vec<Vec<Counter>> {
        let [step, sum, count] = parts;
        let subjects = self.subjects;
        let mut steps = Vec::new();
        for (tenant_id, feeds) in subjects {
            for feed in feeds.labels() {
                let of_feed = |(_, le)| [*tenant_id, feed, le];
                steps.extend(DELAY_STEPS.into_iter().map(of_feed));
            }
        }
        let values: Vec<&[&str]> = steps.iter().map(<[_; 3]>::as_slice).collect();
        let keys = ["tenant_id", "content_type", "le"];
        let mut steps = self.setup.counters(step, help, &keys, &values).into_iter();
        let rest = [sum, count].map(|name| self.counters(name, help, MetricScope::Feed));
        let mut rest = rest.map(|sets| sets.into_iter().flatten());
        let of_subject = |(_, feeds): &(&str, Feeds)| {
            let mut all = Vec::new();
            for _ in 0..feeds.count() {
                all.extend(steps.by_ref().take(DELAY_STEPS.len()));
                all.extend(rest.iter_mut().filter_map(Iterator::next));
            }
            all
        };
        subjects.iter().map(of_subject).collect()
    }

    /// Says which version this is.
    fn build_info(&mut self) {
        let version = env!("CARGO_PKG_VERSION");
        let help = "1; which version collects, in which packaging.";
        let (keys, values) = (["version", "packaging"], [version, "fluent-bit"]);
        let shown = self.setup.gauges("build_info", help, &keys, &[&values]);
        shown.iter().for_each(|gauge| gauge.set(1.0));
    }

    /// Says what each tenant is called, to be joined with its other numbers.
    fn tenant_info(&mut self) {
        let help = "1; what the tenant is called.";
        let named = self.named.iter();
        let named = named.map(|of| [of.tenant_id, of.tenant_name.unwrap_or_default()]);
        let sets: Vec<[&str; 2]> = named.filter(|[_, name]| !name.is_empty()).collect();
        if sets.is_empty() {
            return;
        }
        let values: Vec<&[&str]> = sets.iter().map(<[_; 2]>::as_slice).collect();
        let keys = ["tenant_id", "tenant_name"];
        let shown = self.setup.gauges("tenant_info", help, &keys, &values);
        shown.iter().for_each(|gauge| gauge.set(1.0));
    }

    fn counters(&mut self, name: &str, help: &str, scope: MetricScope) -> Vec<Vec<Counter>> {
        let (keys, sets) = labels(self.subjects, scope);
        let values: Vec<&[&str]> = sets.iter().flatten().map(Vec::as_slice).collect();
        let mut all = self.setup.counters(name, help, &keys, &values).into_iter();
        sets.iter().map(|of_one| all.by_ref().take(of_one.len()).collect()).collect()
    }

    fn gauges(&mut self, name: &str, help: &str, scope: MetricScope) -> Vec<Vec<Gauge>> {
        let (keys, sets) = labels(self.subjects, scope);
        let values: Vec<&[&str]> = sets.iter().flatten().map(Vec::as_slice).collect();
        let mut all = self.setup.gauges(name, help, &keys, &values).into_iter();
        sets.iter().map(|of_one| all.by_ref().take(of_one.len()).collect()).collect()
    }
}

/// The names of the labels, and for each subject the sets of their values.
fn labels<'l>(
    subjects: &'l [(&'l str, Feeds)],
    scope: MetricScope,
) -> (Vec<&'static str>, Vec<Vec<Vec<&'l str>>>) {
    let keys = ["tenant_id"].into_iter().chain(scope.label()).collect();
    let sets = subjects.iter().map(|(tenant_id, feeds)| {
        let values: Vec<Option<&str>> = match scope {
            MetricScope::Collector => vec![None],
            MetricScope::Operation => {
                Operation::COLLECTING.map(|operation| Some(operation.as_str())).into()
            }
            MetricScope::Feed => feeds.labels().into_iter().map(Some).collect(),
        };
        let set = |value: Option<&'l str>| [*tenant_id].into_iter().chain(value).collect();
        values.into_iter().map(set).collect()
    });
    (keys, sets.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(requests: u64, pending: u64) -> Metrics {
        let mut metrics = Metrics { undelivered_batches: pending, ..Metrics::default() };
        metrics.requests[0] = requests;
        metrics
    }

    #[test]
    fn what_all_have_done_never_falls_and_who_has_ended_stands_nowhere() {
        let mut all = Together { tenants: BTreeMap::new(), added_up: None };
        let start = Instant::now();
        let mut later = 0;
        let mut take = |all: &mut Together, tenant, metrics: &Metrics| {
            later += 1;
            let sum = all.take(tenant, metrics, start + ADDED_UP_EVERY * later).unwrap();
            (sum.requests[0], sum.undelivered_batches)
        };
        assert_eq!(take(&mut all, "a", &counted(10, 1)), (10, 1));
        assert_eq!(take(&mut all, "b", &counted(5, 2)), (15, 3));
        all.rest("a");
        assert_eq!(take(&mut all, "b", &counted(6, 2)), (16, 2));
        all.rest("a");
        assert_eq!(take(&mut all, "a", &counted(1, 4)), (17, 6));
    }

    #[test]
    fn many_tenants_are_not_added_up_at_each_word() {
        let mut all = Together { tenants: BTreeMap::new(), added_up: None };
        let start = Instant::now();
        assert!(all.take("a", &counted(1, 0), start).is_some());
        assert!(all.take("b", &counted(1, 0), start).is_none());
        let sum = all.take("a", &counted(2, 0), start + ADDED_UP_EVERY).unwrap();
        assert_eq!(sum.requests[0], 3);
    }
}
