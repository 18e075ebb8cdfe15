//! The names under which every packaging shows [`Metrics`]. Copies numbers; computes nothing.

use crate::contract::metrics::{LaneMetrics, Metrics};
use crate::contract::request::Operation;

/// One content type's counter.
#[derive(Clone, Copy, Debug)]
pub struct CounterSpec {
    /// In the manner of Prometheus, without a prefix.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Where the core counts it.
    pub value: fn(&LaneMetrics) -> u64,
}

/// One content type's gauge.
#[derive(Clone, Copy, Debug)]
pub struct GaugeSpec {
    /// In the manner of Prometheus, without a prefix.
    pub name: &'static str,
    /// What it shows.
    pub help: &'static str,
    /// Its value.
    pub value: fn(&LaneMetrics) -> f64,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    value: fn(&LaneMetrics) -> u64,
) -> CounterSpec {
    CounterSpec { name, help, value }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    value: fn(&LaneMetrics) -> f64,
) -> GaugeSpec {
    GaugeSpec { name, help, value }
}

/// Every counter of a content type.
pub const LANE_COUNTERS: [CounterSpec; 17] = [
    counter("windows_listed_total", "Listing windows read to their last page.", |lane| {
        lane.windows_listed
    }),
    counter("blobs_listed_total", "Blobs that listings named for the first time.", |lane| {
        lane.blobs_listed
    }),
    counter("blobs_delivered_total", "Blobs delivered to their last record.", |lane| {
        lane.blobs_delivered
    }),
    counter("blob_failures_total", "Attempts to read a blob that failed.", |lane| {
        lane.blob_failures
    }),
    counter("blobs_lost_total", "Blobs that expired unread: data was lost.", |lane| {
        lane.blobs_lost
    }),
    counter("records_delivered_total", "Records that the host has taken.", |lane| {
        lane.records_delivered
    }),
    counter("bytes_delivered_total", "Bytes of those records, as Microsoft sent them.", |lane| {
        lane.bytes_delivered
    }),
    counter("records_deduplicated_total", "Records left out: delivered before.", |lane| {
        lane.records_deduplicated
    }),
    counter(
        "records_revised_total",
        "Records delivered again because they say something else than before.",
        |lane| lane.records_revised,
    ),
    counter("records_filtered_total", "Records left out: the filters say so.", |lane| {
        lane.records_filtered
    }),
    counter("records_redacted_total", "Records in which values were replaced.", |lane| {
        lane.records_redacted
    }),
    counter(
        "records_withheld_total",
        "Records that redaction could not read, not handed over: data was lost.",
        |lane| lane.records_withheld,
    ),
    counter(
        "listing_entries_dropped_total",
        "Entries of listings that could not be read: data was lost.",
        |lane| lane.listing_entries_dropped,
    ),
    counter(
        "addresses_derived_total",
        "Wrong addresses of contents and pages, in place of which others were asked.",
        |lane| lane.addresses_derived,
    ),
    counter(
        "listing_gap_seconds_total",
        "Time that fell out of Microsoft's listings before it was listed: data was lost.",
        |lane| lane.listing_gaps.as_secs(),
    ),
    counter(
        "filter_mismatches_total",
        "Activities that do not meet a filter, which the service did not apply.",
        |lane| lane.filter_mismatches,
    ),
    counter("records_dropped_total", "Records dropped: data was lost.", |lane| {
        lane.records_dropped
    }),
];

/// Every gauge of a content type.
#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
pub const LANE_GAUGES: [GaugeSpec; 6] = [
    gauge("blobs_pending", "Blobs known and not delivered yet.", |lane| lane.blobs_pending as f64),
    gauge("blobs_quarantined", "Blobs that cannot be read, retried until they expire.", |lane| {
        lane.blobs_quarantined as f64
    }),
    gauge(
        "backlog_seconds",
        "Length of the time not delivered completely: not listed, or its blobs cannot be read.",
        |lane| lane.backlog.as_secs_f64(),
    ),
    gauge("lag_seconds", "Time since the moment up to which content is listed and read.", |lane| {
        lane.lag.as_secs_f64()
    }),
    gauge(
        "newest_content_timestamp_seconds",
        "When the newest delivered content was made.",
        |lane| lane.newest_content.map_or(0.0, |utc| utc.as_millis() as f64 / 1_000.0),
    ),
    gauge("denied", "1 while Microsoft denies this content type to the app.", |lane| {
        f64::from(u8::from(lane.denied))
    }),
];

/// The gauge of losses that the state remembers and nobody has acknowledged.
pub const LOSSES_UNACKNOWLEDGED: &str = "losses_unacknowledged";

/// One number with its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// In the manner of Prometheus, without a prefix. Counters end with `_total`.
    pub name: &'static str,
    /// The one label's name and value, where there is one.
    pub label: Option<(&'static str, &'static str)>,
    /// Whether it only rises while the collector lives.
    pub counter: bool,
    /// Its value.
    pub value: f64,
}

/// Every number in `metrics`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
pub fn samples(metrics: &Metrics) -> Vec<Sample> {
    let counter =
        |name, label, value: u64| Sample { name, label, counter: true, value: value as f64 };
    let gauge = |name, label, value| Sample { name, label, counter: false, value };
    let mut all: Vec<_> = Operation::ALL
        .into_iter()
        .zip(metrics.requests)
        .map(|(of, sent)| counter("requests_total", Some(("operation", of.as_str())), sent))
        .collect();
    all.extend([
        counter("throttled_total", None, metrics.throttled),
        counter("retries_total", None, metrics.retries),
        counter("hints_total", None, metrics.hints),
        counter("hints_taken_total", None, metrics.hints_taken),
        gauge(LOSSES_UNACKNOWLEDGED, None, metrics.losses_unacknowledged as f64),
        gauge("requests_per_minute", None, metrics.requests_per_minute.into()),
        gauge("undelivered_bytes", None, metrics.undelivered_bytes as f64),
    ]);
    for lane in &metrics.lanes {
        let label = Some(("content_type", lane.feed.as_str()));
        all.extend(LANE_COUNTERS.map(|spec| counter(spec.name, label, (spec.value)(lane))));
        // What is malformed depends on the form that records get; of lines, core knows.
        all.push(counter("records_malformed_total", label, lane.records_malformed));
        all.extend(LANE_GAUGES.map(|spec| gauge(spec.name, label, (spec.value)(lane))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::feed::Feed;

    #[test]
    fn every_number_has_one_name_and_counters_are_called_so() {
        let lanes = Feed::ALL.map(LaneMetrics::new).into();
        let all = samples(&Metrics { throttled: 3, lanes, ..Metrics::default() });
        let mut names: Vec<_> = all.iter().map(|sample| (sample.name, sample.label)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|sample| sample.name.ends_with("_total") == sample.counter));
        let throttled = all.iter().find(|sample| sample.name == "throttled_total").unwrap();
        assert_eq!((throttled.label, throttled.value), (None, 3.0));
    }
}
