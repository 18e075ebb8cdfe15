//! How fast things go: counts over the last minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use m365_audit_core::Metrics;

/// Over how long rates are taken; requests are counted by the minute.
const RATE_SPAN: Duration = Duration::from_secs(60);

/// How often rates take a sample.
const SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// Counts over the last minute.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// At most one a second.
    samples: VecDeque<Sample>,
}

/// What was counted until some moment.
#[derive(Debug)]
struct Sample {
    at: Instant,
    requests: u64,
    /// By feed.
    lanes: Vec<Counted>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    events: u64,
    blobs: u64,
}

impl Rates {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.samples.back().is_none_or(|last| SAMPLE_PERIOD <= now.duration_since(last.at))
    }

    /// Takes a sample, if it is time to.
    pub(super) fn sample(&mut self, now: Instant, metrics: &Metrics) {
        if self.is_due(now) {
            self.push(now, metrics);
        }
    }

    /// Takes a sample.
    pub(super) fn push(&mut self, now: Instant, metrics: &Metrics) {
        let requests = metrics.requests.iter().sum();
        // Another run counts from zero.
        if self.samples.back().is_some_and(|last| requests < last.requests) {
            self.samples.clear();
        }
        let lanes = metrics.lanes.iter();
        let lanes = lanes
            .map(|lane| Counted { events: lane.records_delivered, blobs: lane.blobs_delivered })
            .collect();
        self.samples.push_back(Sample { at: now, requests, lanes });
        while self.samples.front().is_some_and(|old| RATE_SPAN < now.duration_since(old.at)) {
            self.samples.pop_front();
        }
    }

    pub(super) fn requests_in_last_minute(&self) -> u64 {
        match (self.samples.front(), self.samples.back()) {
            // A minute has not passed yet: all of them.
            (Some(first), Some(last)) if last.at.duration_since(first.at) < RATE_SPAN / 2 => {
                last.requests
            }
            (Some(first), Some(last)) => last.requests.saturating_sub(first.requests),
            _ => 0,
        }
    }

    pub(super) fn events_per_second(&self, lane: usize) -> u64 {
        let Some((first, last, time)) = self.between(lane) else { return 0 };
        last.events.saturating_sub(first.events) / time.as_secs().max(1)
    }

    /// How long so many blobs of a feed take at its present speed; `None` if nothing moves.
    pub(super) fn time_for(&self, lane: usize, blobs: u64) -> Option<Duration> {
        let (first, last, time) = self.between(lane)?;
        let done = u32::try_from(last.blobs.saturating_sub(first.blobs)).ok()?;
        let blobs = u32::try_from(blobs).ok()?;
        time.checked_mul(blobs)?.checked_div(done)
    }

    /// What a feed had counted at the first and at the last sample, and the time between the two.
    fn between(&self, lane: usize) -> Option<(Counted, Counted, Duration)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let of = |sample: &Sample| sample.lanes.get(lane).copied().unwrap_or_default();
        Some((of(first), of(last), last.at.duration_since(first.at)))
    }
}

#[cfg(test)]
mod tests {
    use m365_audit_core::{ContentType, Feed, LaneMetrics};

    use super::*;

    fn metrics(requests: u64, events: u64) -> Metrics {
        let lane = LaneMetrics {
            records_delivered: events,
            blobs_delivered: events / 100,
            ..LaneMetrics::new(Feed::Audit(ContentType::AuditExchange))
        };
        let requests = std::array::from_fn(|at| if at == 0 { requests } else { 0 });
        Metrics { requests, lanes: vec![lane], ..Metrics::default() }
    }

    #[test]
    fn rates_cover_the_last_minute_only() {
        let start = Instant::now();
        let mut rates = Rates::default();
        for second in 0..200 {
            let at = start + Duration::from_secs(second);
            rates.sample(at, &metrics(second * 10, second * 1_000));
        }
        assert_eq!(rates.requests_in_last_minute(), 600);
        assert_eq!(rates.events_per_second(0), 1_000);
        assert_eq!(rates.time_for(0, 300), Some(Duration::from_secs(30)));
        assert!(rates.samples.len() <= 61);
        // Another run.
        rates.sample(start + Duration::from_secs(201), &metrics(1, 0));
        assert_eq!((rates.events_per_second(0), rates.time_for(0, 300)), (0, None));
    }

    #[test]
    fn the_last_sample_counts_the_last_requests() {
        let start = Instant::now();
        let mut rates = Rates::default();
        rates.sample(start, &metrics(1, 0));
        rates.sample(start, &metrics(36, 100));
        assert_eq!(rates.requests_in_last_minute(), 1);
        rates.push(start, &metrics(36, 100));
        assert_eq!(rates.requests_in_last_minute(), 36);
    }
}
