//! What a component counts, as the core counts it: for the progress that both kinds of run show.
//! Names that are not known are left out; they are for monitoring, not for people.

use std::time::Duration;

use m365_audit_core::{ContentType, LaneMetrics, Metrics};
use m365_audit_host::Metric;

/// Translates by name. What does not occur is zero.
pub(crate) fn of_component(metrics: &[Metric]) -> Metrics {
    let mut all = Metrics::default();
    for metric in metrics {
        let lane = metric
            .labels
            .iter()
            .find(|label| label.name == "content_type")
            .and_then(|label| ContentType::parse(&label.value));
        match lane {
            Some(content_type) => lane_metric(lane_of(&mut all, content_type), metric),
            None => tenant_metric(&mut all, metric),
        }
    }
    all
}

fn lane_of(metrics: &mut Metrics, content_type: ContentType) -> &mut LaneMetrics {
    let known = metrics.lanes.iter().position(|lane| lane.content_type == content_type);
    let at = known.unwrap_or_else(|| {
        metrics.lanes.push(LaneMetrics::new(content_type));
        metrics.lanes.len() - 1
    });
    &mut metrics.lanes[at]
}

fn lane_metric(lane: &mut LaneMetrics, metric: &Metric) {
    match &*metric.name {
        "windows_listed_total" => lane.windows_listed = whole(metric),
        "blobs_delivered_total" => lane.blobs_delivered = whole(metric),
        "blobs_lost_total" => lane.blobs_lost = whole(metric),
        "records_delivered_total" => lane.records_delivered = whole(metric),
        "records_dropped_total" => lane.records_dropped = whole(metric),
        "blobs_pending" => lane.blobs_pending = whole(metric),
        "blobs_quarantined" => lane.blobs_quarantined = whole(metric),
        "backlog_seconds" => lane.backlog = seconds(metric),
        "lag_seconds" => lane.lag = seconds(metric),
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
