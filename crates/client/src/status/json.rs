//! The status as JSON: all of it, one tenant's, or a row for each of many.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use m365_audit_core::{LaneMetrics, Level, Sample};
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
    numbers: Numbers,
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
    numbers: Numbers,
}

#[derive(Serialize)]
struct Line {
    level: &'static str,
    code: &'static str,
    text: String,
    time: String,
    count: u64,
}

/// Numbers under the names of the metrics; those of a label other than the feed get it in brackets.
struct Numbers(Vec<Sample>);

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for sample in &self.0 {
            match sample.label {
                Some((key, text)) if key != "content_type" => {
                    map.serialize_entry(&format!("{}{{{text}}}", sample.name), &sample.value)?;
                }
                Some(_) | None => map.serialize_entry(sample.name, &sample.value)?,
            }
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
    let mut samples = view.samples();
    // Steps of histograms are for /metrics.
    samples.retain(|sample| sample.le.is_none());
    samples.sort_by_key(|sample| sample.label);
    let of_feed = |sample: &Sample| sample.label.filter(|(key, _)| *key == "content_type");
    let (mut numbers, mut of_feeds) = (Vec::new(), BTreeMap::<&str, Vec<Sample>>::new());
    for together in samples.chunk_by(|one, next| one.label == next.label) {
        match of_feed(&together[0]) {
            Some((_, feed)) => of_feeds.entry(feed).or_default().extend_from_slice(together),
            None => numbers.extend_from_slice(together),
        }
    }
    let lanes = view.state.metrics.iter().flat_map(|metrics| &metrics.lanes);
    let feeds = lanes.map(|lane| {
        let mut numbers = of_feeds.remove(lane.feed.as_str()).unwrap_or_default();
        // Told as what it is.
        numbers.retain(|sample| sample.name != "denied");
        Feed {
            content_type: lane.feed.as_str(),
            denied: lane.denied,
            lost: lane.has_lost_data(),
            week: view.state.weeks.of(lane.feed).into(),
            numbers: Numbers(numbers),
        }
    });
    Tenant {
        row: row(view),
        feeds: feeds.collect(),
        numbers: Numbers(numbers),
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
