//! The histograms of each feed, and with them every number of a collector, by its name.

use crate::contract::delay::{DELAY_STEPS, Delays};
use crate::contract::feed::Feed;
use crate::contract::metrics::{LaneMetrics, METRICS, Metrics, Sample};

/// A histogram of each feed. It is shown as counters: one for each step, with the label `le`, one
/// of the sum and one of the number.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    name: &'static str,
    help: &'static str,
    /// The names of its counters: steps, sum, number.
    parts: [&'static str; 3],
    get: fn(&LaneMetrics) -> &Delays,
    get_mut: fn(&mut LaneMetrics) -> &mut Delays,
}

/// Every histogram.
pub const HISTOGRAMS: [Histogram; 2] = [
    Histogram {
        name: "event_delay_seconds",
        help: "Time from the event, as its record says, until the host had the record.",
        parts: [
            "event_delay_seconds_bucket",
            "event_delay_seconds_sum",
            "event_delay_seconds_count",
        ],
        get: |lane| &lane.event_delay,
        get_mut: |lane| &mut lane.event_delay,
    },
    Histogram {
        name: "publication_delay_seconds",
        help: "Time from Microsoft's publication of a record until the host had it.",
        parts: [
            "publication_delay_seconds_bucket",
            "publication_delay_seconds_sum",
            "publication_delay_seconds_count",
        ],
        get: |lane| &lane.publication_delay,
        get_mut: |lane| &mut lane.publication_delay,
    },
];

impl Histogram {
    /// In the manner of Prometheus, without a prefix.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it says, as one sentence.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// The names of its counters: of the steps, of the sum, of the number.
    #[must_use]
    pub const fn parts(&self) -> [&'static str; 3] {
        self.parts
    }

    /// Its numbers of one feed: each step's, the sum, and how many there are.
    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
    pub fn numbers(
        &self,
        lane: &LaneMetrics,
    ) -> impl Iterator<Item = (&'static str, Option<&'static str>, f64)> + use<> {
        let Delays { up_to, sum } = (self.get)(lane);
        let [step, total, count] = self.parts;
        let steps = up_to.map(|records| records as f64);
        let last = [(total, None, sum.as_secs_f64()), (count, None, steps[DELAY_STEPS.len() - 1])];
        let steps = steps.into_iter().zip(DELAY_STEPS);
        steps.map(move |(records, (_, le))| (step, Some(le), records)).chain(last)
    }

    /// Writes one of its numbers, as it was read elsewhere. Whether it is one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    pub fn read(
        &self,
        metrics: &mut Metrics,
        name: &str,
        feed: Option<&str>,
        le: Option<&str>,
        value: f64,
    ) -> bool {
        let (Some(part), Some(feed)) =
            (self.parts.iter().position(|part| *part == name), feed.and_then(Feed::parse))
        else {
            return false;
        };
        let delays = (self.get_mut)(metrics.lane(feed));
        if part == 1 {
            delays.sum = std::time::Duration::try_from_secs_f64(value).unwrap_or_default();
        }
        let step = DELAY_STEPS.iter().position(|(_, known)| Some(*known) == le);
        if let Some(step) = step.filter(|_| part == 0) {
            delays.up_to[step] = value as u64;
        }
        true
    }
}

/// Every number in `metrics`.
#[must_use]
pub fn samples(metrics: &Metrics) -> Vec<Sample> {
    let mut all: Vec<_> = METRICS.iter().flat_map(|metric| metric.samples(metrics)).collect();
    for histogram in &HISTOGRAMS {
        for lane in &metrics.lanes {
            let label = Some(("content_type", lane.feed.as_str()));
            all.extend(histogram.numbers(lane).map(|(name, le, value)| Sample {
                name,
                label,
                le,
                counter: true,
                value,
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Utc;
    use std::time::Duration;

    #[test]
    fn what_is_read_elsewhere_is_what_was_shown() {
        let mut shown = Metrics::default();
        let start = Utc::from_millis(0);
        for (at, feed) in Feed::ALL.into_iter().enumerate() {
            let end = start + Duration::from_secs(50 * at as u64);
            shown.lane(feed).event_delay.note(start, end, 3);
            shown.lane(feed).publication_delay.note(start, end, 4);
        }
        let mut read = Metrics::default();
        for sample in samples(&shown) {
            let (label, le) = (sample.label.map(|(_, value)| value), sample.le);
            for histogram in &HISTOGRAMS {
                histogram.read(&mut read, sample.name, label, le, sample.value);
            }
        }
        assert_eq!(read, shown);
        for histogram in &HISTOGRAMS {
            let parts = ["bucket", "sum", "count"].map(|part| format!("{}_{part}", histogram.name));
            assert_eq!(histogram.parts.map(str::to_owned), parts);
            assert!(histogram.help().ends_with('.'));
        }
    }
}
