//! The core's numbers as counters and gauges of Fluent Bit. Copies; computes nothing.

use fluent_bit_plugin::{Counter, Gauge, Setup};
use m365_audit_core::{ContentType, CounterSpec, LANE_COUNTERS, LANE_GAUGES, Metrics, Operation};

/// A counter over all runs of a collector. Each run counts from zero.
#[derive(Debug)]
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

/// All numbers of one instance.
#[derive(Debug)]
pub(crate) struct HostMetrics {
    content_types: Vec<ContentType>,
    /// In the order of [`Operation::COLLECTING`].
    requests: Vec<Total>,
    throttled: Total,
    retries: Total,
    restarts: Counter,
    requests_per_minute: Gauge,
    undelivered_bytes: Gauge,
    /// For each of [`LANE_COUNTERS`] one a content type.
    lane_counters: Vec<Vec<Total>>,
    /// For each of [`LANE_GAUGES`] one a content type.
    lane_gauges: Vec<Vec<Gauge>>,
    malformed: Vec<Counter>,
}

impl HostMetrics {
    /// Registers everything, with every label that will be used.
    pub(crate) fn new(setup: &mut Setup<'_>, content_types: &[ContentType]) -> Self {
        let operations = Operation::COLLECTING.map(|operation| [operation.as_str()]);
        let operations: Vec<&[&str]> = operations.iter().map(<[_; 1]>::as_slice).collect();
        let types: Vec<_> = content_types.iter().map(|ct| [ct.as_str()]).collect();
        let types: Vec<&[&str]> = types.iter().map(<[_; 1]>::as_slice).collect();
        let requests = setup.counters(
            "requests_total",
            "Requests sent to Microsoft.",
            &["operation"],
            &operations,
        );
        let mut totals = |spec: CounterSpec| -> Vec<Total> {
            let counters = setup.counters(spec.name, spec.help, &["content_type"], &types);
            counters.into_iter().map(Total::new).collect()
        };
        let lane_counters = LANE_COUNTERS.map(&mut totals).into();
        let lane_gauges = LANE_GAUGES
            .map(|spec| setup.gauges(spec.name, spec.help, &["content_type"], &types))
            .into();
        let malformed = setup.counters(
            "records_malformed_total",
            "Records that are no JSON object, passed on as raw text.",
            &["content_type"],
            &types,
        );
        Self {
            content_types: content_types.into(),
            requests: requests.into_iter().map(Total::new).collect(),
            throttled: Total::new(
                setup.counter("throttled_total", "Answers that asked for fewer requests."),
            ),
            retries: Total::new(
                setup.counter("retries_total", "Requests that failed and were repeated."),
            ),
            restarts: setup.counter("restarts_total", "Times that the collector started again."),
            requests_per_minute: setup
                .gauge("requests_per_minute", "Requests a minute that are allowed at present."),
            undelivered_bytes: setup
                .gauge("undelivered_bytes", "Bytes of records that wait to be safe."),
            lane_counters,
            lane_gauges,
            malformed,
        }
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
        for lane in &metrics.lanes {
            let Some(index) = self.index(lane.content_type) else { continue };
            for (shown, spec) in self.lane_counters.iter().zip(LANE_COUNTERS) {
                shown[index].show((spec.value)(lane));
            }
            for (shown, spec) in self.lane_gauges.iter().zip(LANE_GAUGES) {
                shown[index].set((spec.value)(lane));
            }
        }
    }

    /// A record went out as raw text.
    pub(crate) fn count_malformed(&self, content_type: ContentType) {
        if let Some(index) = self.index(content_type) {
            self.malformed[index].inc();
        }
    }

    /// The next collector counts from zero.
    pub(crate) fn restart(&mut self) {
        self.restarts.inc();
        let totals = self.requests.iter_mut().chain(self.lane_counters.iter_mut().flatten());
        totals.chain([&mut self.throttled, &mut self.retries]).for_each(Total::restart);
    }

    fn index(&self, content_type: ContentType) -> Option<usize> {
        self.content_types.iter().position(|known| *known == content_type)
    }
}
