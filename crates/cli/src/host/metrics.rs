//! What a component counts, as the core counts it: for the progress that both kinds of run show.
//! The names are those of the core's tables; others, of other components, are left out.

use std::time::Duration;

use m365_audit_core::{Feed, LOSSES_UNACKNOWLEDGED, LaneMetrics, Metrics, Utc};
use m365_audit_host::Metric;

/// Translates by name. What does not occur is zero.
pub(crate) fn of_component(metrics: &[Metric]) -> Metrics {
    let mut all = Metrics::default();
    for metric in metrics {
        let lane = metric
            .labels
            .iter()
            .find(|label| label.name == "content_type")
            .and_then(|label| Feed::parse(&label.value));
        match lane {
            Some(feed) => lane_metric(lane_of(&mut all, feed), metric),
            None => tenant_metric(&mut all, metric),
        }
    }
    all
}

fn lane_of(metrics: &mut Metrics, feed: Feed) -> &mut LaneMetrics {
    let known = metrics.lanes.iter().position(|lane| lane.feed == feed);
    let at = known.unwrap_or_else(|| {
        metrics.lanes.push(LaneMetrics::new(feed));
        metrics.lanes.len() - 1
    });
    &mut metrics.lanes[at]
}

fn lane_metric(lane: &mut LaneMetrics, metric: &Metric) {
    match &*metric.name {
        "windows_listed_total" => lane.windows_listed = whole(metric),
        "blobs_listed_total" => lane.blobs_listed = whole(metric),
        "blobs_delivered_total" => lane.blobs_delivered = whole(metric),
        "blob_failures_total" => lane.blob_failures = whole(metric),
        "blobs_lost_total" => lane.blobs_lost = whole(metric),
        "records_delivered_total" => lane.records_delivered = whole(metric),
        "bytes_delivered_total" => lane.bytes_delivered = whole(metric),
        "records_deduplicated_total" => lane.records_deduplicated = whole(metric),
        "records_revised_total" => lane.records_revised = whole(metric),
        "records_malformed_total" => lane.records_malformed = whole(metric),
        "records_filtered_total" => lane.records_filtered = whole(metric),
        "records_redacted_total" => lane.records_redacted = whole(metric),
        "records_withheld_total" => lane.records_withheld = whole(metric),
        "filter_mismatches_total" => lane.filter_mismatches = whole(metric),
        "records_dropped_total" => lane.records_dropped = whole(metric),
        "listing_entries_dropped_total" => lane.listing_entries_dropped = whole(metric),
        "addresses_derived_total" => lane.addresses_derived = whole(metric),
        "listing_gap_seconds_total" => lane.listing_gaps = seconds(metric),
        "blobs_pending" => lane.blobs_pending = whole(metric),
        "blobs_quarantined" => lane.blobs_quarantined = whole(metric),
        "backlog_seconds" => lane.backlog = seconds(metric),
        "lag_seconds" => lane.lag = seconds(metric),
        "newest_content_timestamp_seconds" => lane.newest_content = moment(metric),
        "denied" => lane.denied = metric.value != 0.0,
        _ => {}
    }
}

fn tenant_metric(metrics: &mut Metrics, metric: &Metric) {
    match &*metric.name {
        // By operation, of which nothing is shown but the sum.
        "requests_total" => metrics.requests[0] += whole(metric),
        "requests_per_minute" => {
            metrics.requests_per_minute = u32::try_from(whole(metric)).unwrap_or(u32::MAX);
        }
        LOSSES_UNACKNOWLEDGED => metrics.losses_unacknowledged = whole(metric),
        _ => {}
    }
}

/// A count. Counters of a component are whole and far below 2^53.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
const fn whole(metric: &Metric) -> u64 {
    metric.value as u64
}

fn seconds(metric: &Metric) -> Duration {
    Duration::try_from_secs_f64(metric.value).unwrap_or_default()
}

/// Zero stands for never.
fn moment(metric: &Metric) -> Option<Utc> {
    let time = seconds(metric);
    (!time.is_zero()).then(|| Utc::from_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::{Sample, samples};
    use m365_audit_host::{Label, MetricKind};

    /// As `m365_audit.wasm` hands them over.
    fn of_core(metrics: &Metrics) -> Vec<Metric> {
        let label = |(name, value): (&str, &str)| Label { name: name.into(), value: value.into() };
        let metric = |sample: Sample| Metric {
            name: sample.name.into(),
            kind: if sample.counter { MetricKind::Counter } else { MetricKind::Gauge },
            labels: sample.label.map(label).into_iter().collect(),
            value: sample.value,
        };
        samples(metrics).into_iter().map(metric).collect()
    }

    #[test]
    fn every_figure_of_every_feed_comes_through() {
        let feeds = Feed::ALL.into_iter();
        let lanes: Vec<_> = feeds
            .map(|feed| LaneMetrics {
                windows_listed: 1,
                blobs_listed: 2,
                blobs_delivered: 3,
                blob_failures: 4,
                blobs_lost: 5,
                records_delivered: 6,
                bytes_delivered: 7,
                records_deduplicated: 8,
                records_revised: 21,
                records_malformed: 22,
                records_filtered: 9,
                records_redacted: 10,
                records_withheld: 11,
                filter_mismatches: 12,
                records_dropped: 13,
                listing_entries_dropped: 14,
                addresses_derived: 22,
                listing_gaps: Duration::from_secs(15),
                blobs_pending: 16,
                blobs_quarantined: 17,
                backlog: Duration::from_secs(18),
                lag: Duration::from_secs(19),
                newest_content: Some(Utc::from_millis(20_000)),
                denied: true,
                feed,
            })
            .collect();
        let metrics = Metrics {
            requests_per_minute: 21,
            losses_unacknowledged: 22,
            lanes,
            ..Metrics::default()
        };
        assert_eq!(of_component(&of_core(&metrics)), metrics);
    }
}
