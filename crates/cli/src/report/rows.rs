//! A statement for programs: JSON, and CSV with a row for each hour.

use m365_audit_core::{DelayCounts, Feed, FeedHistory, HourRow, HourStanding, Utc};
use serde_json::{Value, json};

use super::sentence;
use super::statement::{Exception, FeedReport, STANDINGS, Statement, Tenant, Totals, gravity};

/// One hour of one feed of one tenant.
pub(super) fn hour_json(row: &HourRow, standing: HourStanding) -> Value {
    let moment = |at: Option<Utc>| at.map(|at| at.to_string());
    json!({
        "hour": row.start().to_string(),
        "standing": standing.as_str(),
        "blobs_listed": row.blobs_listed,
        "blobs_delivered": row.blobs_delivered,
        "blobs_quarantined": row.blobs_quarantined,
        "blobs_lost": row.blobs_lost,
        "blobs_waiting": row.blobs_waiting(),
        "records_delivered": row.records_delivered,
        "records_filtered": row.records_filtered,
        "records_deduplicated": row.records_deduplicated,
        "records_dropped": row.records_dropped,
        "records_withheld": row.records_withheld,
        "entries_dropped": row.entries_dropped,
        "bytes": row.bytes,
        "gap_seconds": row.gap.as_secs(),
        "causes": row.causes.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "first_listed": moment(row.first_listed),
        "last_listed": moment(row.last_listed),
        "last_delivered": moment(row.last_delivered),
        "replays": row.replays,
        "event_delay_p50_seconds": delay(&row.delays, 50),
        "event_delay_p95_seconds": delay(&row.delays, 95),
        "event_delay_p99_seconds": delay(&row.delays, 99),
    })
}

/// How many seconds so many per cent of the records took at the most, from event to delivery.
fn delay(delays: &DelayCounts, percent: u8) -> Option<u64> {
    delays.percentile(percent).map(|delay| delay.as_secs())
}

/// Columns of [`csv_row`].
const COLUMNS: [&str; 25] = [
    "tenant_id",
    "content_type",
    "hour",
    "standing",
    "blobs_listed",
    "blobs_delivered",
    "blobs_quarantined",
    "blobs_lost",
    "blobs_waiting",
    "records_delivered",
    "records_filtered",
    "records_deduplicated",
    "records_dropped",
    "records_withheld",
    "entries_dropped",
    "bytes",
    "gap_seconds",
    "causes",
    "first_listed",
    "last_listed",
    "last_delivered",
    "replays",
    "event_delay_p50_seconds",
    "event_delay_p95_seconds",
    "event_delay_p99_seconds",
];

pub(super) fn csv_head() -> String {
    format!("{}\r\n", COLUMNS.join(","))
}

/// The same as a row of CSV. Nothing in it needs a quote.
pub(super) fn csv_row(
    tenant: &str,
    feed: &FeedHistory,
    row: &HourRow,
    standing: HourStanding,
) -> String {
    let value = hour_json(row, standing);
    let cell = |name: &&str| match (*name, &value[*name]) {
        ("tenant_id", _) => tenant.to_owned(),
        ("content_type", _) => feed.feed.to_string(),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Array(values)) => {
            values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        (_, Value::Null) => String::new(),
        (_, other) => other.to_string(),
    };
    format!("{}\r\n", COLUMNS.iter().map(cell).collect::<Vec<_>>().join(","))
}

fn totals_json(totals: &Totals) -> Value {
    let hours = STANDINGS.map(|standing| (standing.as_str(), totals.hours[gravity(standing)]));
    json!({
        "blobs_listed": totals.listed,
        "blobs_delivered": totals.delivered,
        "blobs_quarantined": totals.quarantined,
        "blobs_lost": totals.lost,
        "blobs_waiting": totals.waiting,
        "records_delivered": totals.records,
        "records_filtered": totals.filtered,
        "records_deduplicated": totals.duplicates,
        "records_dropped": totals.dropped,
        "records_withheld": totals.withheld,
        "bytes": totals.bytes,
        "gap_seconds": totals.gap_seconds,
        "replays": totals.replays,
        "event_delay_p50_seconds": delay(&totals.delays, 50),
        "event_delay_p95_seconds": delay(&totals.delays, 95),
        "event_delay_p99_seconds": delay(&totals.delays, 99),
        "hours": hours.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn exception_json(exception: &Exception) -> Value {
    let words = sentence::of(exception);
    json!({
        "start": exception.start.to_string(),
        "end": exception.end.to_string(),
        "standing": exception.standing.as_str(),
        "causes": exception.why.causes.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "losses": exception.losses.iter().map(|known| known.number).collect::<Vec<_>>(),
        "sentence": words.cause,
        "remedy": words.remedy,
    })
}

fn feed_json(feed: &FeedReport, hours: &[Value]) -> Value {
    json!({
        "content_type": feed.feed.as_str(),
        "begin": feed.begin.to_string(),
        "totals": totals_json(&feed.totals),
        "exceptions": feed.exceptions.iter().map(exception_json).collect::<Vec<_>>(),
        "hours": hours,
    })
}

/// `hours`: of each feed of the tenant that has some.
pub(super) fn tenant_json(tenant: &Tenant, hours: &[(Feed, Vec<Value>)]) -> Value {
    let feeds = tenant.feeds.iter().map(|feed| {
        let hours = hours.iter().find(|(of, _)| *of == feed.feed);
        feed_json(feed, hours.map_or(&[], |(_, hours)| hours))
    });
    let losses = tenant.losses.iter().map(|known| {
        let words = sentence::of_loss(known);
        json!({"number": known.number, "sentence": words.cause, "remedy": words.remedy})
    });
    json!({
        "tenant_id": tenant.id,
        "tenant_name": tenant.name,
        "complete": tenant.is_whole(),
        "error": tenant.error,
        "totals": totals_json(&tenant.totals()),
        "feeds": feeds.collect::<Vec<_>>(),
        "losses": losses.collect::<Vec<_>>(),
    })
}

/// Everything but the tenants, which stand before it.
pub(super) fn tail(statement: &Statement) -> String {
    let configuration = statement
        .configuration
        .as_ref()
        .map(|known| json!({"sha256": known.hash, "treating": known.treating}));
    let rest = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "made": statement.made.to_string(),
        "since": statement.since.to_string(),
        "until": statement.until.to_string(),
        "db": statement.db.display().to_string(),
        "complete": statement.is_whole(),
        "configuration": configuration,
        "not_covered": sentence::not_covered(statement),
    });
    // The brace of its own is that of the whole.
    format!("\n],{}\n", rest.to_string().trim_start_matches('{'))
}
