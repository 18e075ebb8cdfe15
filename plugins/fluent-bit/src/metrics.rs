//! The core's numbers as counters and gauges of Fluent Bit. Copies; computes nothing.

use fluent_bit_plugin::{Counter, Gauge, Setup};
use m365_audit_core::{ContentType, LaneMetrics, Metrics, Operation};

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

/// One content type's counter: its name, its help, and where the core counts it.
type CounterSpec = (&'static str, &'static str, fn(&LaneMetrics) -> u64);

const LANE_COUNTERS: [CounterSpec; 12] = [
    ("windows_listed_total", "Listing windows read to their last page.", |lane| {
        lane.windows_listed
    }),
    ("blobs_listed_total", "Blobs that listings named for the first time.", |lane| {
        lane.blobs_listed
    }),
    ("blobs_delivered_total", "Blobs delivered to their last record.", |lane| lane.blobs_delivered),
    ("blob_failures_total", "Attempts to read a blob that failed.", |lane| lane.blob_failures),
    ("blobs_lost_total", "Blobs that expired unread: data was lost.", |lane| lane.blobs_lost),
    ("records_delivered_total", "Records safe in Fluent Bit.", |lane| lane.records_delivered),
    ("bytes_delivered_total", "Bytes of those records, as Microsoft sent them.", |lane| {
        lane.bytes_delivered
    }),
    ("records_deduplicated_total", "Records left out: delivered before.", |lane| {
        lane.records_deduplicated
    }),
    ("records_filtered_total", "Records left out: the filters say so.", |lane| {
        lane.records_filtered
    }),
    (
        "listing_entries_dropped_total",
        "Entries of listings that could not be read: data was lost.",
        |lane| lane.listing_entries_dropped,
    ),
    (
        "listing_gap_seconds_total",
        "Time that fell out of Microsoft's listings before it was listed: data was lost.",
        |lane| lane.listing_gaps.as_secs(),
    ),
    ("records_dropped_total", "Records dropped: data was lost.", |lane| lane.records_dropped),
];

/// One content type's gauge: its name, its help, and its value.
type GaugeSpec = (&'static str, &'static str, fn(&LaneMetrics) -> f64);

#[allow(clippy::cast_precision_loss)] // Fluent Bit keeps doubles.
const LANE_GAUGES: [GaugeSpec; 6] = [
    ("blobs_pending", "Blobs known and not delivered yet.", |lane| lane.blobs_pending as f64),
    ("blobs_quarantined", "Blobs that cannot be read, retried until they expire.", |lane| {
        lane.blobs_quarantined as f64
    }),
    ("backlog_seconds", "Length of the part of the look-back not delivered completely.", |lane| {
        lane.backlog.as_secs_f64()
    }),
    ("lag_seconds", "Time since the moment up to which listings are complete.", |lane| {
        lane.lag.as_secs_f64()
    }),
    ("newest_content_timestamp_seconds", "When the newest delivered content was made.", |lane| {
        lane.newest_content.map_or(0.0, |utc| utc.as_millis() as f64 / 1_000.0)
    }),
    ("denied", "1 while Microsoft denies this content type to the app.", |lane| {
        f64::from(u8::from(lane.denied))
    }),
];

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
        let mut totals = |(name, help, _): CounterSpec| -> Vec<Total> {
            let counters = setup.counters(name, help, &["content_type"], &types);
            counters.into_iter().map(Total::new).collect()
        };
        let lane_counters = LANE_COUNTERS.map(&mut totals).into();
        let lane_gauges = LANE_GAUGES
            .map(|(name, help, _)| setup.gauges(name, help, &["content_type"], &types))
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
            for (shown, (_, _, value)) in self.lane_counters.iter().zip(LANE_COUNTERS) {
                shown[index].show(value(lane));
            }
            for (shown, (_, _, value)) in self.lane_gauges.iter().zip(LANE_GAUGES) {
                shown[index].set(value(lane));
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
