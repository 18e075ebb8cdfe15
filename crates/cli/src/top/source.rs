//! Where the screen's numbers come from: a collector that is asked, or a state that is read.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use m365_audit_client::{DbOptions, LastWeek, StatusLook, inspect, is_server, shown};
use m365_audit_core::{LaneSummary, Stored, Utc, Why, losses, summarize};

use crate::names::Names;
use crate::top::model::{Answer, Feed, Tenant};

/// Where to look.
#[derive(Debug)]
pub(super) enum Source {
    /// At a collector.
    Collector(Box<StatusLook>),
    /// Into a state.
    State(PathBuf, Names),
}

impl Source {
    /// # Errors
    /// What is wrong with the address or the path.
    pub(super) fn new(address: &str, db: Option<&PathBuf>, names: Names) -> Result<Self, String> {
        match db {
            Some(path) if !path.to_str().is_some_and(is_server) && !path.is_file() => {
                Err(format!("{}: no such file", path.display()))
            }
            Some(path) => Ok(Self::State(path.clone(), names)),
            None => StatusLook::new(address).map(|look| Self::Collector(Box::new(look))),
        }
    }

    /// How all stand, and everything about one.
    ///
    /// # Errors
    /// Nobody answers, or what is read is damaged.
    pub(super) fn look(&self, of: Option<&str>) -> Result<Answer, String> {
        match self {
            Self::Collector(look) => ask(look, of),
            Self::State(path, names) => read(path, names, of),
        }
    }
}

fn ask(look: &StatusLook, of: Option<&str>) -> Result<Answer, String> {
    let parse = |bytes: Vec<u8>| {
        serde_json::from_slice::<Answer>(&bytes)
            .map_err(|error| format!("this answer is not from m365-audit: {error}"))
    };
    let mut answer = parse(look.ask(&[("view", "summary")])?)?;
    if let Some(tenant) = of {
        // It may have gone since.
        let detail = look.ask(&[("tenant", tenant)]).and_then(parse).ok();
        answer.detail = detail.and_then(|detail| detail.tenants.into_iter().next());
    }
    Ok(answer)
}

fn read(path: &Path, names: &Names, of: Option<&str>) -> Result<Answer, String> {
    let stored =
        DbOptions::at(path).and_then(|db| inspect(&db)).map_err(|error| error.to_string())?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Utc::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let tenants: Vec<Tenant> =
        stored.iter().map(|(id, stored)| of_state(id, names, stored, now)).collect();
    Ok(Answer {
        version: env!("CARGO_PKG_VERSION").into(),
        packaging: format!("state {}", shown(&path.to_string_lossy())),
        now: now.to_string(),
        detail: tenants.iter().find(|tenant| Some(&*tenant.tenant_id) == of).cloned(),
        tenants,
    })
}

fn of_state(id: &str, names: &Names, stored: &Stored, now: Utc) -> Tenant {
    let tenant = Tenant { name: names.title(id).into(), tenant_id: id.into(), ..Tenant::default() };
    let (lanes, losses) = match (summarize(stored), losses(stored)) {
        (Ok(lanes), Ok(losses)) => (lanes, losses),
        (Err(error), _) | (_, Err(error)) => {
            return Tenant { state: "damaged".into(), reasons: vec![error.to_string()], ..tenant };
        }
    };
    let week = LastWeek::of(stored, lanes.iter().map(|lane| lane.feed), now);
    let feeds: Vec<Feed> = lanes.iter().map(|lane| feed(lane, &week, now)).collect();
    let longest = |of: fn(&Feed) -> f64| feeds.iter().map(of).fold(0.0, f64::max);
    Tenant {
        state: "state".into(),
        ready: true,
        lag_seconds: longest(|feed| feed.lag_seconds),
        backlog_seconds: longest(|feed| feed.backlog_seconds),
        blobs_quarantined: lanes.iter().map(|lane| lane.quarantine.len() as u64).sum(),
        losses_unacknowledged: losses.iter().filter(|loss| loss.acknowledged.is_none()).count()
            as u64,
        week: week.all,
        feeds,
        ..tenant
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count for people")]
fn feed(lane: &LaneSummary, week: &LastWeek, now: Utc) -> Feed {
    let until = lane.delivered.last().map_or(lane.begin, |(_, end)| *end);
    let waiting = lane.holes.iter().filter(|hole| !matches!(hole.why, Why::Lost(_)));
    let between = |start: Utc, end: Utc| {
        let millis = end.as_millis().saturating_sub(start.as_millis()).max(0);
        Duration::from_millis(millis.unsigned_abs()).as_secs_f64()
    };
    let lag = between(until, now);
    Feed {
        content_type: lane.feed.to_string(),
        week: week.of_feed(lane.feed).into(),
        lag_seconds: lag,
        backlog_seconds: lag + waiting.map(|hole| between(hole.start, hole.end)).sum::<f64>(),
        blobs_pending: lane.blobs_in_progress as f64,
        blobs_quarantined: lane.quarantine.len() as f64,
        ..Feed::default()
    }
}
