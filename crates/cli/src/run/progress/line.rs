//! Where things stand in one line, for logs.

use std::time::Duration;

use indicatif::HumanCount;
use m365_audit_core::{LaneMetrics, Metrics};

use crate::run::progress::rates::Rates;
use crate::words::span;

/// What is said if data was lost.
pub(super) const DATA_LOST: &str = "DATA LOST (see the log)";

fn requests(metrics: &Metrics, rates: &Rates) -> String {
    let sent = HumanCount(rates.requests_in_last_minute());
    match metrics.requests_per_minute {
        // All tenants have gone, and their budgets with them.
        0 => format!("{sent} requests/min"),
        allowed => format!("{sent} of {} requests/min", HumanCount(allowed.into())),
    }
}

/// Everything in one line, and `beside` behind it; of backlog and lag, the longest.
pub(super) fn summary(metrics: &Metrics, rates: &Rates, beside: &[String]) -> String {
    let lanes = &metrics.lanes;
    let sum = |count: fn(&LaneMetrics) -> u64| HumanCount(lanes.iter().map(count).sum());
    let longest = |time: fn(&LaneMetrics) -> Duration| {
        span(lanes.iter().filter(|lane| !lane.denied).map(time).max().unwrap_or_default())
    };
    let per_second = (0..lanes.len()).map(|lane| rates.events_per_second(lane)).sum();
    let mut text = format!(
        "{} events ({}/s), {} of {} blobs, {} windows, backlog {}, lag {}, {}",
        sum(|lane| lane.records_delivered),
        HumanCount(per_second),
        sum(|lane| lane.blobs_delivered),
        sum(|lane| lane.blobs_delivered + lane.blobs_pending),
        sum(|lane| lane.windows_listed),
        longest(|lane| lane.backlog),
        longest(|lane| lane.lag),
        requests(metrics, rates),
    );
    for (count, words) in [
        (sum(|lane| lane.blobs_quarantined), "unreadable, retrying"),
        (sum(|lane| lane.records_filtered), "filtered"),
        (sum(|lane| lane.records_malformed), "malformed"),
    ] {
        if 0 < count.0 {
            text.push_str(&format!(", {count} {words}"));
        }
    }
    let denied = lanes.iter().filter(|lane| lane.denied).count();
    if 0 < denied {
        text.push_str(&format!(", {denied} of {} feeds denied", lanes.len()));
    }
    if 0 < metrics.losses_unacknowledged {
        let losses = HumanCount(metrics.losses_unacknowledged);
        text.push_str(&format!(", losses not acknowledged: {losses}"));
    }
    if lanes.iter().any(LaneMetrics::has_lost_data) {
        text.push_str(&format!(", {DATA_LOST}"));
    }
    for figure in beside {
        text.push_str(&format!(", {figure}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use expect_test::expect;

    use super::*;
    use crate::run::progress::tests::two_feeds;

    #[test]
    fn the_summary_says_what_was_done_and_what_is_left() {
        let start = Instant::now();
        let mut rates = Rates::default();
        rates.sample(start, &two_feeds(0, 0));
        rates.sample(start + Duration::from_millis(900), &two_feeds(50, 5_000));
        rates.sample(start + Duration::from_secs(10), &two_feeds(300, 50_000));
        expect!["50,000 events (5,000/s), 1,234 of 1,300 blobs, 12 windows, backlog 2d 3h, lag 1m 5s, 300 of 2,000 requests/min, 1 of 2 feeds denied"].assert_eq(&summary(&two_feeds(300, 50_000), &rates, &[]));
    }

    #[test]
    fn the_last_line_counts_the_last_requests() {
        let start = Instant::now();
        let mut rates = Rates::default();
        rates.sample(start, &two_feeds(1, 0));
        let mut last = two_feeds(36, 100);
        last.requests_per_minute = 0;
        rates.push(start, &last);
        let text = summary(&last, &rates, &[]);
        assert!(text.contains(" 36 requests/min, "), "{text}");
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_counted() {
        let mut metrics = two_feeds(0, 0);
        let text = summary(&metrics, &Rates::default(), &[]);
        assert!(!text.contains("malformed") && !text.contains("unreadable"), "{text}");
        metrics.lanes[0].records_malformed = 1_007;
        metrics.lanes[0].blobs_quarantined = 2;
        let text = summary(&metrics, &Rates::default(), &[]);
        assert!(text.contains(", 2 unreadable, retrying, 1,007 malformed, "), "{text}");
    }
}
