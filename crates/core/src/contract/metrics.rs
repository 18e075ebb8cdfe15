//! What is counted of one collector: the fields, what two collectors have together, and the names
//! and words by which every packaging shows them. All of it is [`METRICS`], one line a metric.
//!
//! Plain numbers: drivers read them whenever they wait.

use std::ops::AddAssign;
use std::time::Duration;

use crate::base::time::Utc;
use crate::contract::delay::Delays;
use crate::contract::feed::Feed;
use crate::contract::number::Number;
use crate::contract::request::Operation;

/// Whether a number only rises while the collector lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It does. Its name ends with `_total`.
    Counter,
    /// It shows how things are now.
    Gauge,
}

/// What a metric has a number for, each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricScope {
    /// The collector.
    Collector,
    /// Each kind of request.
    Operation,
    /// Each feed.
    Feed,
}

impl MetricScope {
    /// The label that tells its numbers apart, if there are several.
    #[must_use]
    pub const fn label(self) -> Option<&'static str> {
        match self {
            Self::Collector => None,
            Self::Operation => Some("operation"),
            Self::Feed => Some("content_type"),
        }
    }
}

/// What one number is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The collector.
    Collector,
    /// One kind of request.
    Operation(Operation),
    /// One feed.
    Feed(Feed),
}

impl Subject {
    /// The value of the label that tells it from the others of its metric.
    #[must_use]
    pub const fn label(self) -> Option<&'static str> {
        match self {
            Self::Collector => None,
            Self::Operation(operation) => Some(operation.as_str()),
            Self::Feed(feed) => Some(feed.as_str()),
        }
    }
}

/// One number with its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// In the manner of Prometheus, without a prefix. Counters end with `_total`.
    pub name: &'static str,
    /// The one label's name and value, where there is one.
    pub label: Option<(&'static str, &'static str)>,
    /// Of a step of a histogram, its upper bound: the label `le`.
    pub le: Option<&'static str>,
    /// Whether it only rises while the collector lives.
    pub counter: bool,
    /// Its value.
    pub value: f64,
}

/// One metric: what it is called, what it says, and where its numbers are.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    name: &'static str,
    kind: MetricKind,
    slot: Slot,
}

/// Where the numbers of a metric are. How they are written, and what they say, stands apart:
/// whoever only counts has no use for it.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Collector(fn(&Metrics) -> f64),
    /// By the operation's place in [`Operation::ALL`].
    Operation,
    Feed(fn(&LaneMetrics) -> f64),
}

impl Metric {
    /// In the manner of Prometheus, without a prefix.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it only rises.
    #[must_use]
    pub const fn kind(&self) -> MetricKind {
        self.kind
    }

    /// What it is measured in, if it is no mere number: what its name ends with, but for `_total`.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let (_, last) = self.name.trim_end_matches("_total").rsplit_once('_')?;
        ["seconds", "bytes"].into_iter().find(|unit| last == *unit)
    }

    /// What it has a number for, each.
    #[must_use]
    pub const fn scope(&self) -> MetricScope {
        match self.slot {
            Slot::Collector(..) => MetricScope::Collector,
            Slot::Operation => MetricScope::Operation,
            Slot::Feed(..) => MetricScope::Feed,
        }
    }

    /// Gives each of its numbers to `see`.
    pub fn each(&self, metrics: &Metrics, mut see: impl FnMut(Subject, f64)) {
        match self.slot {
            Slot::Collector(get) => see(Subject::Collector, get(metrics)),
            Slot::Operation => {
                for (operation, count) in Operation::ALL.into_iter().zip(metrics.requests) {
                    see(Subject::Operation(operation), count.shown());
                }
            }
            Slot::Feed(get) => {
                metrics.lanes.iter().for_each(|lane| see(Subject::Feed(lane.feed), get(lane)));
            }
        }
    }

    /// Its number of one feed; `None` if it has none of feeds.
    #[must_use]
    pub fn of_feed(&self, lane: &LaneMetrics) -> Option<f64> {
        match self.slot {
            Slot::Feed(get) => Some(get(lane)),
            Slot::Collector(_) | Slot::Operation => None,
        }
    }

    /// Its numbers, with their labels.
    #[must_use]
    pub fn samples(&self, metrics: &Metrics) -> Vec<Sample> {
        let (name, counter) = (self.name, self.kind == MetricKind::Counter);
        let mut samples = Vec::new();
        self.each(metrics, |subject, value| {
            let label = self.scope().label().zip(subject.label());
            samples.push(Sample { name, label, le: None, counter, value });
        });
        samples
    }

    /// Writes one of its numbers, as it was read elsewhere: `label` is the value of its label. What
    /// has a label that is none of ours is left out.
    pub fn read(&self, metrics: &mut Metrics, label: Option<&str>, value: f64) {
        match (self.slot, label) {
            (Slot::Collector(_), None) => metrics.set(self.name, value),
            (Slot::Operation, Some(label)) => {
                let at = Operation::ALL.iter().position(|known| known.as_str() == label);
                at.into_iter().for_each(|at| metrics.requests[at] = Number::read(value));
            }
            (Slot::Feed(_), Some(label)) => {
                if let Some(feed) = Feed::parse(label) {
                    metrics.lane(feed).set(self.name, value);
                }
            }
            (Slot::Collector(_), Some(_)) | (Slot::Operation | Slot::Feed(_), None) => {}
        }
    }
}

impl Metrics {
    /// Makes one feed of all: what they have done together, and how the worst of them stands.
    /// Which of them it is called after says nothing any more.
    pub fn merge_feeds(&mut self) {
        let mut lanes = std::mem::take(&mut self.lanes).into_iter();
        let Some(mut all) = lanes.next() else { return };
        lanes.for_each(|lane| all.add(&lane));
        self.lanes.push(all);
    }

    /// Adds what an earlier life of the same collector has counted. What tells of a moment stays.
    pub fn count_on(&mut self, earlier: &Self) {
        for metric in METRICS.iter().filter(|metric| metric.kind == MetricKind::Counter) {
            match metric.slot {
                Slot::Collector(get) => self.set(metric.name, get(self) + get(earlier)),
                Slot::Operation => {
                    let pairs = self.requests.iter_mut().zip(earlier.requests);
                    pairs.for_each(|(ours, before)| *ours += before);
                }
                Slot::Feed(get) => earlier.lanes.iter().for_each(|before| {
                    let lane = self.lane(before.feed);
                    lane.set(metric.name, get(lane) + get(before));
                }),
            }
        }
        for before in &earlier.lanes {
            let lane = self.lane(before.feed);
            lane.event_delay += before.event_delay;
            lane.publication_delay += before.publication_delay;
        }
    }
}

/// Of two collectors, both together.
fn sum<N: AddAssign>(ours: &mut N, theirs: N) {
    *ours += theirs;
}

/// Of two collectors, the one that is worse.
fn max<N: Ord + Copy>(ours: &mut N, theirs: N) {
    *ours = (*ours).max(theirs);
}

/// Of two collectors, what is further from nothing.
fn farthest(ours: &mut i64, theirs: i64) {
    if ours.unsigned_abs() < theirs.unsigned_abs() {
        *ours = theirs;
    }
}

/// Of two collectors, what comes first.
fn first(ours: &mut Option<Utc>, theirs: Option<Utc>) {
    *ours = ours.iter().copied().chain(theirs).min();
}

/// One line a metric: its field and type, what two collectors have together, its kind, name and
/// help. A `Loss` is a counter that says that data was lost.
macro_rules! metrics {
    (
        Collector {
            $($field:ident: $Type:ty, $sum:ident, $kind:ident $name:literal $help:literal)*
        }
        Feed {
            $($of:ident: $Of:ty, $sum_of:ident, $kind_of:ident $name_of:literal $help_of:literal)*
        }
    ) => {
        /// What one collector has done, and where it stands.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Metrics {
            /// Requests sent, by operation in the order of [`Operation::ALL`].
            pub requests: [u64; Operation::ALL.len()],
            $(#[doc = $help] pub $field: $Type,)*
            /// One entry per feed, in the order of the configuration.
            pub lanes: Vec<LaneMetrics>,
        }

        /// What one feed has done, and where it stands.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct LaneMetrics {
            /// The feed.
            pub feed: Feed,
            $(#[doc = $help_of] pub $of: $Of,)*
            /// From the time of an event, as its record says, until the host had the record.
            pub event_delay: Delays,
            /// From Microsoft's publication of a record until the host had it. Not of activities.
            pub publication_delay: Delays,
        }

        impl Metrics {
            /// Adds those of another collector, feed by feed.
            pub fn add(&mut self, other: &Self) {
                for (ours, theirs) in self.requests.iter_mut().zip(other.requests) {
                    *ours += theirs;
                }
                $($sum(&mut self.$field, other.$field);)*
                for lane in &other.lanes {
                    self.lane(lane.feed).add(lane);
                }
            }

            /// Writes the number of the metric of this name.
            fn set(&mut self, name: &str, value: f64) {
                match name {
                    $($name => self.$field = Number::read(value),)*
                    _ => {}
                }
            }
        }

        impl LaneMetrics {
            /// All zero.
            #[must_use]
            pub fn new(feed: Feed) -> Self {
                let (event_delay, publication_delay) = Default::default();
                Self { feed, event_delay, publication_delay, $($of: Default::default(),)* }
            }

            /// Whether any of the counters says that data was lost. The log has said of each loss
            /// what and why, at ERROR.
            #[must_use]
            pub fn has_lost_data(&self) -> bool {
                $((is_loss!($kind_of) && self.$of != <$Of>::default()) ||)* false
            }

            fn add(&mut self, other: &Self) {
                $($sum_of(&mut self.$of, other.$of);)*
                self.event_delay += other.event_delay;
                self.publication_delay += other.publication_delay;
            }

            /// Writes the number of the metric of this name.
            fn set(&mut self, name: &str, value: f64) {
                match name {
                    $($name_of => self.$of = Number::read(value),)*
                    _ => {}
                }
            }
        }

        impl Metric {
            /// What it says, as one sentence.
            #[must_use]
            pub fn help(&self) -> &'static str {
                match self.name {
                    $($name => $help,)*
                    $($name_of => $help_of,)*
                    _ => "Requests sent to Microsoft.",
                }
            }
        }

        /// Every metric of a collector. What has none of its own in here is shown nowhere.
        pub const METRICS: &[Metric] = &[
            Metric {
                name: "requests_total",
                kind: MetricKind::Counter,
                slot: Slot::Operation,
            },
            $(Metric {
                name: $name,
                kind: kind!($kind),
                slot: Slot::Collector(|metrics| kind!($kind).whole(metrics.$field.shown())),
            },)*
            $(Metric {
                name: $name_of,
                kind: kind!($kind_of),
                slot: Slot::Feed(|lane| kind!($kind_of).whole(lane.$of.shown())),
            },)*
        ];
    };
}

/// The kind of a metric, by the word of its line.
macro_rules! kind {
    (Gauge) => {
        MetricKind::Gauge
    };
    ($counter:ident) => {
        MetricKind::Counter
    };
}

/// Whether the word of its line says that data was lost.
macro_rules! is_loss {
    (Loss) => {
        true
    };
    ($other:ident) => {
        false
    };
}

metrics! {
    Collector {
        throttled: u64, sum, Counter "throttled_total" "Answers that asked for fewer requests."
        retries: u64, sum, Counter "retries_total" "Requests that failed and were repeated."
        sign_in_failures: u64, sum, Counter "sign_in_failures_total"
            "Sign-ins that were refused or did not get through."
        credential_expiry: Option<Utc>, first, Gauge "credential_expiry_timestamp_seconds"
            "When the credential ends: of certificates; 0: it does not say."
        clock_skew: i64, farthest, Gauge "clock_skew_seconds"
            "Seconds by which the local clock is ahead of Microsoft's; negative: behind."
        hints: u64, sum, Counter "hints_total" "Contents that notifications named."
        hints_taken: u64, sum, Counter "hints_taken_total"
            "Those of them that were news and are looked at."
        losses_unacknowledged: u64, sum, Gauge "losses_unacknowledged"
            "Losses that the state remembers and nobody has acknowledged."
        requests_per_minute: u32, sum, Gauge "requests_per_minute"
            "Requests a minute that are allowed at present, to all APIs that are collected from."
        undelivered_batches: u64, sum, Gauge "undelivered_batches"
            "Batches handed over that are not safe yet."
        undelivered_bytes: u64, sum, Gauge "undelivered_bytes"
            "Bytes of records that wait to be safe."
    }
    Feed {
        windows_listed: u64, sum, Counter "windows_listed_total"
            "Listing windows read to their last page."
        blobs_listed: u64, sum, Counter "blobs_listed_total"
            "Blobs that listings named for the first time."
        blobs_delivered: u64, sum, Counter "blobs_delivered_total"
            "Blobs delivered to their last record."
        blob_failures: u64, sum, Counter "blob_failures_total"
            "Attempts to read a blob that failed."
        blobs_lost: u64, sum, Loss "blobs_lost_total"
            "Blobs that expired unread: data was lost."
        records_delivered: u64, sum, Counter "records_delivered_total"
            "Records that the host has taken."
        bytes_delivered: u64, sum, Counter "bytes_delivered_total"
            "Bytes of those records, as Microsoft sent them."
        records_deduplicated: u64, sum, Counter "records_deduplicated_total"
            "Records left out: delivered before."
        records_revised: u64, sum, Counter "records_revised_total"
            "Records delivered again because they say something else than before."
        records_filtered: u64, sum, Counter "records_filtered_total"
            "Records left out: the filters say so."
        records_redacted: u64, sum, Counter "records_redacted_total"
            "Records in which values were replaced."
        records_withheld: u64, sum, Loss "records_withheld_total"
            "Records that redaction could not read, not handed over: data was lost."
        listing_entries_dropped: u64, sum, Loss "listing_entries_dropped_total"
            "Entries of listings that could not be read: data was lost."
        addresses_derived: u64, sum, Counter "addresses_derived_total"
            "Wrong addresses of contents and pages, in place of which others were asked."
        listing_gaps: Duration, sum, Loss "listing_gap_seconds_total"
            "Time that fell out of Microsoft's listings before it was listed: data was lost."
        filter_mismatches: u64, sum, Counter "filter_mismatches_total"
            "Activities that do not meet a filter, which the service did not apply."
        records_dropped: u64, sum, Loss "records_dropped_total" "Records dropped: data was lost."
        records_malformed: u64, sum, Counter "records_malformed_total"
            "Records that are no valid JSON (in Fluent Bit: no object), passed on as raw text."
        blobs_pending: u64, sum, Gauge "blobs_pending" "Blobs known and not delivered yet."
        blobs_quarantined: u64, sum, Gauge "blobs_quarantined"
            "Blobs that cannot be read, retried until they expire."
        backlog: Duration, max, Gauge "backlog_seconds"
            "Length of the time not delivered completely: not listed, or its blobs cannot be read."
        lag: Duration, max, Gauge "lag_seconds"
            "Time since the moment up to which content is listed and read."
        newest_content: Option<Utc>, max, Gauge "newest_content_timestamp_seconds"
            "When the newest delivered content was made."
        last_delivery: Option<Utc>, max, Gauge "last_delivery_timestamp_seconds"
            "When the host last took something."
        denied: bool, max, Gauge "denied" "1 while Microsoft denies this content type to the app."
    }
}

impl MetricKind {
    /// Counters are whole numbers.
    fn whole(self, value: f64) -> f64 {
        match self {
            Self::Counter => value.trunc(),
            Self::Gauge => value,
        }
    }
}

impl Metrics {
    /// The counts of a feed, which begin at zero if there are none yet.
    pub fn lane(&mut self, feed: Feed) -> &mut LaneMetrics {
        let known = self.lanes.iter().position(|lane| lane.feed == feed);
        let at = known.unwrap_or_else(|| {
            self.lanes.push(LaneMetrics::new(feed));
            self.lanes.len() - 1
        });
        &mut self.lanes[at]
    }
}

/// What a packaging counts itself, by the form that it gives to records.
pub const RECORDS_MALFORMED: &str = "records_malformed_total";

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(metrics: &Metrics) -> Vec<Sample> {
        METRICS.iter().flat_map(|metric| metric.samples(metrics)).collect()
    }

    /// Another number for each metric of each of two feeds.
    fn counted() -> Metrics {
        let mut metrics = Metrics::default();
        let (feeds, operations) = ([Feed::ALL[1], Feed::ALL[5]], Operation::ALL);
        for (at, metric) in METRICS.iter().enumerate() {
            let value = |label: usize| f64::from(u16::try_from(10 * at + label + 1).unwrap());
            match metric.scope() {
                MetricScope::Collector => metric.read(&mut metrics, None, value(0)),
                MetricScope::Operation => {
                    for (label, operation) in operations.into_iter().enumerate() {
                        metric.read(&mut metrics, Some(operation.as_str()), value(label));
                    }
                }
                MetricScope::Feed => {
                    for (label, feed) in feeds.into_iter().enumerate() {
                        metric.read(&mut metrics, Some(feed.as_str()), value(label));
                    }
                }
            }
        }
        metrics
    }

    #[test]
    fn each_number_has_a_name_of_its_own_that_says_its_kind() {
        let all = samples(&counted());
        let mut names: Vec<_> = all.iter().map(|sample| (sample.name, sample.label)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|sample| sample.name.ends_with("_total") == sample.counter));
        for metric in METRICS {
            assert!(metric.help().ends_with('.'), "{}", metric.name());
        }
        assert!(METRICS.iter().any(|metric| metric.name() == RECORDS_MALFORMED));
        let units = |unit| METRICS.iter().filter(move |metric| metric.unit() == unit);
        let names = |unit| units(unit).map(Metric::name).collect::<Vec<_>>();
        assert_eq!(names(Some("bytes")), ["undelivered_bytes"]);
        assert_eq!(names(Some("seconds")).len(), 7);
    }

    #[test]
    fn what_is_read_elsewhere_is_what_was_shown() {
        let shown = counted();
        let mut read = Metrics::default();
        for sample in samples(&shown) {
            let metric = METRICS.iter().find(|metric| metric.name() == sample.name).unwrap();
            metric.read(&mut read, sample.label.map(|(_, value)| value), sample.value);
        }
        assert_eq!(read, shown);
        let throttled = METRICS.iter().find(|metric| metric.name() == "throttled_total").unwrap();
        throttled.read(&mut read, Some("of another"), 7.0);
        let requests = &METRICS[0];
        requests.read(&mut read, Some("of another"), 7.0);
        requests.read(&mut read, None, 7.0);
        assert_eq!(read, shown, "a label that is none of ours");
    }

    #[test]
    fn two_collectors_have_the_sum_or_the_worse() {
        let mut both = counted();
        let mut other = counted();
        other.lanes[0].lag = Duration::from_secs(9_999);
        both.add(&other);
        let (one, other) = (counted(), samples(&other));
        for ((both, one), other) in samples(&both).iter().zip(samples(&one)).zip(other) {
            let greatest = one.value.max(other.value);
            let worse = ["lag_seconds", "backlog_seconds", "clock_skew_seconds", "denied"]
                .contains(&both.name)
                || both.name.contains("timestamp");
            let expected = if worse { greatest } else { one.value + other.value };
            assert_eq!(both.value, expected, "{both:?}");
        }
    }

    #[test]
    fn feeds_together_have_the_sum_or_the_worse() {
        let apart = counted();
        let mut together = apart.clone();
        together.merge_feeds();
        assert_eq!(together.lanes.len(), 1);
        for metric in METRICS {
            let values = |metrics: &Metrics| {
                let of_feed = |lane| metric.of_feed(lane);
                metrics.lanes.iter().filter_map(of_feed).collect::<Vec<_>>()
            };
            let (each, all) = (values(&apart), values(&together));
            let worst = each.iter().copied().fold(0.0, f64::max);
            let expected = [each.iter().sum(), worst];
            assert!(all.iter().all(|all| expected.contains(all)), "{}: {all:?}", metric.name());
            if metric.kind() == MetricKind::Counter && !each.is_empty() {
                assert_eq!(all, [expected[0]], "{}", metric.name());
            }
        }
        let mut none = Metrics::default();
        none.merge_feeds();
        assert_eq!(none, Metrics::default());
    }

    #[test]
    fn the_next_run_goes_on_with_what_only_rises() {
        let (earlier, mut later) = (counted(), Metrics::default());
        later.count_on(&earlier);
        later.count_on(&earlier);
        let later = samples(&later);
        assert_eq!(later.len(), samples(&earlier).len());
        for (one, both) in samples(&earlier).iter().zip(later) {
            let expected = if one.counter { 2.0 * one.value } else { 0.0 };
            assert_eq!((both.value, both.label), (expected, one.label), "{both:?}");
        }
    }

    #[test]
    fn what_says_that_data_was_lost_is_a_loss() {
        for metric in METRICS.iter().filter(|metric| metric.scope() == MetricScope::Feed) {
            let mut metrics = Metrics::default();
            metric.read(&mut metrics, Some(Feed::ALL[0].as_str()), 1.0);
            let told = metric.help().contains("data was lost");
            assert_eq!(metrics.lanes[0].has_lost_data(), told, "{}", metric.name());
        }
    }
}
