//! The numbers as text: OpenMetrics, or the older form of Prometheus that node_exporter reads.
//!
//! Of a thousand tenants that is some 30 MB at each look. So it is written once, straight to where
//! it stays, one family after the other over a copy of everybody's numbers.

use std::fmt::Write;
use std::time::Instant;

use m365_audit_core::{HISTOGRAMS, Histogram, METRICS, Metric, MetricKind, MetricScope, Metrics};

use super::board::Board;
use super::shown::{self, Shown};
use crate::webhook::{REFUSALS, WebhookMetrics};

/// What all names begin with.
pub(super) const PREFIX: &str = "m365_audit_";

/// How they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0: a counter's family has no `_total`, and the end is marked.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Form {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Everything on the board.
pub(super) fn write(board: &Board, now: Instant, form: Form) -> String {
    let shown = shown::of(board, now);
    let bytes = shown.iter().map(Shown::bytes).sum::<usize>() + (32 << 10);
    let mut text = Text { form, text: String::with_capacity(bytes) };
    let version = env!("CARGO_PKG_VERSION");
    let packaging = board.packaging();
    let labels = format!("version=\"{version}\",packaging=\"{packaging}\"");
    text.family("build_info", "info", |lines| lines.add("build_info", &labels, &[], 1.0));
    text.family("ready", "gauge", |lines| {
        for one in &shown {
            lines.add("ready", &one.labels, &[], u8::from(one.ready).into());
        }
    });
    text.family("restarts_total", "counter", |lines| {
        for one in &shown {
            lines.add("restarts_total", &one.labels, &[], whole(one.beside.restarts));
        }
    });
    METRICS.iter().for_each(|metric| text.metric(metric, &shown));
    HISTOGRAMS.iter().for_each(|histogram| text.histogram(histogram, &shown));
    for (at, name) in ["records_oversized_total", "records_rejected_total"].iter().enumerate() {
        text.family(name, "counter", |lines| {
            for one in &shown {
                lines.add(name, &one.labels, &[], whole(one.beside.sink[at]));
            }
        });
    }
    text.webhooks(&shown);
    text.finish()
}

/// Text that grows.
struct Text {
    form: Form,
    text: String,
}

impl Text {
    /// All of one name. Of whom nobody has numbers nothing is said.
    fn family(&mut self, name: &str, kind: &str, lines: impl FnOnce(&mut Lines<'_>)) {
        let start = self.text.len();
        self.head(name, kind);
        let first = self.text.len();
        lines(&mut Lines(&mut self.text));
        if self.text.len() == first {
            self.text.truncate(start);
        }
    }

    fn head(&mut self, name: &str, kind: &str) {
        let (family, kind) = match (self.form, kind) {
            (Form::OpenMetrics, "counter") => (name.trim_end_matches("_total"), kind),
            (Form::OpenMetrics, "info") => (name.trim_end_matches("_info"), kind),
            (Form::Prometheus, "info") => (name, "gauge"),
            _ => (name, kind),
        };
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# TYPE {PREFIX}{family} {kind}");
        let unit = family.rsplit_once('_').map(|(_, last)| last);
        let unit = unit.filter(|unit| ["seconds", "bytes"].contains(unit));
        if let (Form::OpenMetrics, Some(unit)) = (self.form, unit) {
            let _ = writeln!(self.text, "# UNIT {PREFIX}{family} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {PREFIX}{family} {}", help(name));
    }

    fn metric(&mut self, metric: &Metric, shown: &[Shown]) {
        let kind = match metric.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        let (name, key) = (metric.name(), metric.scope().label());
        self.family(name, kind, |lines| {
            for (one, metrics) in with_metrics(shown) {
                let key = key.filter(|_| one.per_feed || metric.scope() != MetricScope::Feed);
                metric.each(metrics, |subject, value| match key.zip(subject.label()) {
                    Some(label) => lines.add(name, &one.labels, &[label], value),
                    None => lines.add(name, &one.labels, &[], value),
                });
            }
        });
    }

    fn histogram(&mut self, histogram: &Histogram, shown: &[Shown]) {
        self.family(histogram.name(), "histogram", |lines| {
            for (one, metrics) in with_metrics(shown) {
                for lane in &metrics.lanes {
                    let feed = one.per_feed.then_some(("content_type", lane.feed.as_str()));
                    for (name, le, value) in histogram.numbers(lane) {
                        let le = le.map(|le| ("le", le));
                        let labels: Vec<_> = feed.into_iter().chain(le).collect();
                        lines.add(name, &one.labels, &labels, value);
                    }
                }
            }
        });
    }

    fn webhooks(&mut self, shown: &[Shown]) {
        type Count = (&'static str, fn(&WebhookMetrics) -> u64);
        let counts: [Count; 4] = [
            ("webhook_notifications_total", |webhook| webhook.notifications),
            ("webhook_hints_total", |webhook| webhook.hints),
            ("webhook_ignored_total", |webhook| webhook.ignored),
            ("webhook_validations_total", |webhook| webhook.validations),
        ];
        let all = || shown.iter().filter_map(|one| Some((one, one.beside.webhook.as_ref()?)));
        for (name, count) in counts {
            self.family(name, "counter", |lines| {
                for (one, webhook) in all() {
                    lines.add(name, &one.labels, &[], whole(count(webhook)));
                }
            });
        }
        let name = "webhook_refused_total";
        self.family(name, "counter", |lines| {
            for (one, webhook) in all() {
                for ((_, reason), count) in REFUSALS.into_iter().zip(webhook.refused) {
                    lines.add(name, &one.labels, &[("reason", reason)], whole(count));
                }
            }
        });
    }

    fn finish(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Those who have numbers, with them.
fn with_metrics(shown: &[Shown]) -> impl Iterator<Item = (&Shown, &Metrics)> {
    shown.iter().filter_map(|one| Some((one, one.metrics.as_ref()?)))
}

/// Lines of one family.
struct Lines<'a>(&'a mut String);

impl Lines<'_> {
    /// Adds a number. `own` lacks its braces, `labels` need no escape.
    fn add(&mut self, name: &str, own: &str, labels: &[(&str, &str)], value: f64) {
        for part in [PREFIX, name] {
            self.0.push_str(part);
        }
        let mut between = "{";
        if !own.is_empty() {
            self.0.push('{');
            self.0.push_str(own);
            between = ",";
        }
        for (key, text) in labels {
            for part in [between, key, "=\"", text, "\""] {
                self.0.push_str(part);
            }
            between = ",";
        }
        self.0.push_str(if between == "," { "} " } else { " " });
        self.number(value);
        self.0.push('\n');
    }

    /// Nearly all are whole, and those need no search for the shortest fraction.
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and far from the ends")]
    fn number(&mut self, value: f64) {
        const WHOLE: f64 = 1e15;
        // Writing to a string does not fail.
        let _ = match value.fract() == 0.0 && value.abs() < WHOLE {
            true => write!(self.0, "{}", value as i64),
            false => write!(self.0, "{value}"),
        };
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
const fn whole(count: u64) -> f64 {
    count as f64
}

/// What a number says.
fn help(name: &str) -> &'static str {
    let metrics = METRICS.iter().map(|metric| (metric.name(), metric.help()));
    let histograms = HISTOGRAMS.iter().map(|histogram| (histogram.name(), histogram.help()));
    let mut all = metrics.chain(histograms).chain(OTHERS);
    let found = all.find(|(known, _)| *known == name);
    found.map_or("", |(_, help)| help)
}

/// Those that the core does not count.
pub(super) const OTHERS: [(&str, &str); 10] = [
    ("build_info", "1; which version collects, in which packaging."),
    ("ready", "1 while everything is collected that should be, 0 for the reasons of /readyz."),
    ("restarts_total", "Times that the collector started again."),
    (
        "records_oversized_total",
        "Records that were longer than output_line_bytes_max, in the file beside the output.",
    ),
    ("records_rejected_total", "Records that a receiver refused for good: data was lost."),
    ("webhook_notifications_total", "Notifications that were accepted."),
    ("webhook_hints_total", "Contents that notifications named."),
    ("webhook_ignored_total", "Contents of others, of other feeds, or beyond what can wait."),
    ("webhook_validations_total", "Validations by Microsoft answered."),
    ("webhook_refused_total", "Calls of the webhook that were refused."),
];
