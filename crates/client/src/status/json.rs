//! The status as JSON: all of it, one tenant's, or a row for each of many.

use std::time::{Instant, SystemTime};

use m365_audit_core::{HISTOGRAMS, LaneMetrics, Level, METRICS, MetricScope, Metrics};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::board::{Board, Run, View};
use super::ready::reasons;
use super::trouble::{Trouble, utc};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent<'a> {
    /// Everything about everybody.
    Full,
    /// Everything about those of this id or name.
    Of(&'a str),
    /// A row for each.
    Summary,
}

/// The answer.
#[derive(Serialize)]
struct Answer<T> {
    version: &'static str,
    packaging: &'static str,
    started: String,
    now: String,
    tenants: Vec<T>,
}

/// A row.
#[derive(Serialize)]
struct Row {
    name: String,
    tenant_id: String,
    state: &'static str,
    ready: bool,
    reasons: Vec<String>,
    /// Of the feed that is furthest behind.
    lag_seconds: f64,
    backlog_seconds: f64,
    blobs_pending: u64,
    blobs_quarantined: u64,
    records: u64,
    records_per_second: f64,
    bytes_per_second: f64,
    requests_per_second: f64,
    requests_per_minute: u32,
    throttled: u64,
    losses_unacknowledged: u64,
    /// Whether this run has lost something.
    lost: bool,
    undelivered_bytes: u64,
    /// The newest line at ERROR or WARN.
    trouble: Option<Line>,
    /// The last 168 hours, a letter each, the worst of all feeds; empty if nothing is known.
    week: String,
}

/// Everything about one.
#[derive(Serialize)]
struct Tenant {
    #[serde(flatten)]
    row: Row,
    numbers: OfCollector,
    feeds: Vec<Feed>,
    troubles: Vec<Line>,
}

#[derive(Serialize)]
struct Feed {
    content_type: &'static str,
    denied: bool,
    lost: bool,
    /// The last 168 hours, a letter each; empty if nothing is known.
    week: String,
    #[serde(flatten)]
    numbers: OfFeed,
}

#[derive(Serialize)]
struct Line {
    level: &'static str,
    code: &'static str,
    text: String,
    time: String,
    count: u64,
}

/// The numbers of a collector that are of no feed, under the names of the metrics; those of a label
/// get it in brackets.
struct OfCollector(Option<Metrics>);

impl Serialize for OfCollector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(metrics) = &self.0 {
            for metric in METRICS.iter().filter(|metric| metric.scope() != MetricScope::Feed) {
                let (name, mut result) = (metric.name(), Ok(()));
                metric.each(metrics, |subject, value| {
                    let written = match subject.label() {
                        Some(label) => {
                            map.serialize_entry(&format_args!("{name}{{{label}}}"), &value)
                        }
                        None => map.serialize_entry(name, &value),
                    };
                    result = std::mem::replace(&mut result, Ok(())).and(written);
                });
                result?;
            }
        }
        map.end()
    }
}

/// The numbers of a feed, under the names of the metrics.
struct OfFeed(LaneMetrics);

impl Serialize for OfFeed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // Told as what it is.
        for metric in METRICS.iter().filter(|metric| metric.name() != "denied") {
            if let Some(value) = metric.of_feed(&self.0) {
                map.serialize_entry(metric.name(), &value)?;
            }
        }
        // Steps of histograms are for /metrics.
        let numbers = HISTOGRAMS.iter().flat_map(|histogram| histogram.numbers(&self.0));
        for (name, _, value) in numbers.filter(|(_, le, _)| le.is_none()) {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

/// The status as JSON; `None` if it asks for somebody who is not there.
pub(super) fn write(board: &Board, now: Instant, extent: Extent<'_>) -> Option<Vec<u8>> {
    let written = match extent {
        Extent::Summary => serde_json::to_vec(&gather(board, now, |view| Some(row(view)))),
        Extent::Full => serde_json::to_vec(&gather(board, now, |view| Some(tenant(view)))),
        Extent::Of(wanted) => {
            let answer = gather(board, now, |view| {
                let subject = view.subject;
                let is_meant = *subject.tenant_id == *wanted || subject.title() == wanted;
                is_meant.then(|| tenant(view))
            });
            if answer.tenants.is_empty() {
                return None;
            }
            serde_json::to_vec(&answer)
        }
    };
    Some(written.expect("text and numbers are JSON"))
}

fn gather<T>(board: &Board, now: Instant, mut of: impl FnMut(&View<'_>) -> Option<T>) -> Answer<T> {
    let mut tenants = Vec::new();
    board.look(now, |view| tenants.extend(of(view)));
    Answer {
        version: env!("CARGO_PKG_VERSION"),
        packaging: board.packaging(),
        started: utc(board.started()).to_string(),
        now: utc(SystemTime::now()).to_string(),
        tenants,
    }
}

fn row(view: &View<'_>) -> Row {
    let state = view.state;
    let metrics = state.metrics.as_ref();
    let lanes = || metrics.iter().flat_map(|metrics| &metrics.lanes);
    let longest = |of: fn(&LaneMetrics) -> f64| lanes().map(of).fold(0.0, f64::max);
    let sum = |of: fn(&LaneMetrics) -> u64| lanes().map(of).sum();
    let reasons = reasons(view);
    let [records_per_second, bytes_per_second, requests_per_second] = view.per_second();
    Row {
        name: view.subject.title().into(),
        tenant_id: view.subject.tenant_id.as_ref().into(),
        state: match &state.run {
            Run::Starting => "starting",
            Run::Running => "running",
            Run::Failed { .. } => "failed",
            Run::Ended => "ended",
        },
        ready: reasons.is_empty(),
        reasons,
        lag_seconds: longest(|lane| lane.lag.as_secs_f64()),
        backlog_seconds: longest(|lane| lane.backlog.as_secs_f64()),
        blobs_pending: sum(|lane| lane.blobs_pending),
        blobs_quarantined: sum(|lane| lane.blobs_quarantined),
        records: sum(|lane| lane.records_delivered),
        records_per_second,
        bytes_per_second,
        requests_per_second,
        requests_per_minute: metrics.map_or(0, |metrics| metrics.requests_per_minute),
        throttled: metrics.map_or(0, |metrics| metrics.throttled),
        losses_unacknowledged: metrics.map_or(0, |metrics| metrics.losses_unacknowledged),
        lost: lanes().any(LaneMetrics::has_lost_data),
        undelivered_bytes: metrics.map_or(0, |metrics| metrics.undelivered_bytes),
        trouble: state.troubles.lines().next().map(line),
        week: state.weeks.all().into(),
    }
}

fn tenant(view: &View<'_>) -> Tenant {
    let numbers = view.numbers();
    let feeds = numbers.into_iter().flat_map(|metrics| &metrics.lanes).map(|lane| Feed {
        content_type: lane.feed.as_str(),
        denied: lane.denied,
        lost: lane.has_lost_data(),
        week: view.state.weeks.of(lane.feed).into(),
        numbers: OfFeed(lane.clone()),
    });
    Tenant {
        row: row(view),
        feeds: feeds.collect(),
        numbers: OfCollector(numbers.cloned()),
        troubles: view.state.troubles.lines().map(line).collect(),
    }
}

fn line(trouble: &Trouble) -> Line {
    Line {
        level: match trouble.level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        },
        code: trouble.code,
        text: trouble.text.clone(),
        time: trouble.last.to_string(),
        count: trouble.count,
    }
}
