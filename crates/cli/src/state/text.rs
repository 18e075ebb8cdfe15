//! What a state holds, written for people and for programs.

use m365_audit_core::{Feed, Hole, KnownLoss, LaneSummary, LossKind, StateError, Utc, Why};
use serde_json::{Value, json};

use crate::names::heading;
use crate::words::counted;

/// What one tenant has stored.
pub(super) struct Tenant {
    pub(super) id: String,
    /// What the configuration calls it.
    pub(super) name: Option<String>,
    pub(super) keys: usize,
    pub(super) bytes: usize,
    /// What was lost, acknowledged or not.
    pub(super) losses: Vec<KnownLoss>,
    /// Why it cannot be read, if so.
    pub(super) lanes: Result<Vec<LaneSummary>, StateError>,
}

impl Tenant {
    /// Whom it is about.
    pub(super) fn heading(&self) -> String {
        heading(self.name.as_deref(), &self.id)
    }
}

pub(super) fn as_text(tenants: &[Tenant]) -> String {
    let mut text = String::new();
    for tenant in tenants {
        let (Tenant { keys, bytes, losses, lanes, .. }, heading) = (tenant, tenant.heading());
        text.push_str(&format!("tenant {heading}: {keys} keys, {bytes} bytes\n"));
        match lanes {
            Ok(lanes) => lanes.iter().for_each(|lane| text.push_str(&lane_text(lane))),
            Err(_) => text.push_str("  cannot be read\n"),
        }
        text.push_str(&losses_text(losses));
    }
    if tenants.is_empty() {
        text.push_str("nothing is stored\n");
    }
    text
}

fn lane_text(lane: &LaneSummary) -> String {
    let mut text = format!(
        "  {}\n    begins {}\n    {} and {} remembered, {} in progress, {} in quarantine\n",
        lane.feed,
        lane.begin,
        counted(lane.contents as u64, "content", "contents"),
        counted(lane.records as u64, "record", "records"),
        counted(lane.blobs_in_progress as u64, "blob", "blobs"),
        lane.quarantine.len()
    );
    let delivered = lane.delivered.iter();
    let mut lines: Vec<(Utc, Utc, String)> = delivered
        .map(|(start, end)| (*start, *end, format!("    delivered {start} to {end}\n")))
        .chain(lane.holes.iter().map(|hole| (hole.start, hole.end, hole_text(hole))))
        .collect();
    lines.sort();
    text.extend(lines.into_iter().map(|(_, _, line)| line));
    text
}

fn hole_text(hole: &Hole) -> String {
    let Hole { start, end, why } = hole;
    match why {
        Why::Pending => format!("    not delivered yet {start} to {end}\n"),
        Why::InProgress(id) => {
            format!("    not delivered yet: blob of {start}, in progress: {id}\n")
        }
        Why::Quarantined { content_id, expiration } => format!(
            "    not delivered: blob of {start}, in quarantine until {expiration}: {content_id}\n"
        ),
        Why::Lost(known) => format!("    LOST {}\n", loss_text(known)),
    }
}

/// All losses that nobody has acknowledged, and how to; those of a feed stand there as well.
fn losses_text(losses: &[KnownLoss]) -> String {
    let open: Vec<_> = losses.iter().filter(|known| known.acknowledged.is_none()).collect();
    let mut text = String::new();
    // Of no feed, and so in no list of holes.
    for known in losses.iter().filter(|known| known.loss.created.is_none()) {
        text.push_str(&format!("  LOST {}\n", loss_text(known)));
    }
    if !open.is_empty() {
        let first: Vec<_> = open.iter().take(10).map(|known| known.number.to_string()).collect();
        let more = if open.len() > first.len() { ", ..." } else { "" };
        text.push_str(&format!(
            "  not acknowledged losses: {} (number {}{more}); acknowledge them: \
             `m365-audit state acknowledge`\n",
            open.len(),
            first.join(", "),
        ));
    }
    text
}

/// One loss in a line.
pub(super) fn loss_text(known: &KnownLoss) -> String {
    let KnownLoss { number, loss, acknowledged } = known;
    let count = loss.count;
    let what = match loss.kind {
        LossKind::Gap => "not listed while Microsoft kept it".to_owned(),
        LossKind::Unsubscribed => "the subscription was stopped, content may be lost".to_owned(),
        LossKind::Blob => {
            format!("{} expired before all of it was read", counted(count, "blob", "blobs"))
        }
        LossKind::RecordsDropped => {
            format!("{} dropped: too large", counted(count, "record", "records"))
        }
        LossKind::RecordsWithheld => {
            format!("{} withheld: no valid JSON", counted(count, "record", "records"))
        }
        LossKind::EntriesDropped => {
            format!("{} of a listing not readable", counted(count, "entry", "entries"))
        }
        LossKind::Output => {
            format!("{} missing at the end of the output", counted(count, "byte", "bytes"))
        }
        LossKind::RecordsRejected => {
            format!("{} refused for good by the receiver", counted(count, "record", "records"))
        }
        LossKind::Unknown => format!("{count}, in a way that only a newer version knows"),
    };
    let mut text = format!("{number}: ");
    if let Some(feed) = loss.feed {
        text.push_str(&format!("{feed}: "));
    }
    if let Some((start, end)) = loss.created {
        text.push_str(&format!("{start} to {end}: "));
    }
    text.push_str(&what);
    if let Some(name) = &loss.name {
        text.push_str(&format!(": {name}"));
    }
    text.push_str(&format!("; told {}", loss.told));
    if let Some(by) = acknowledged {
        let at = Utc::from_millis(by.at);
        text.push_str(&format!("; acknowledged {at} by {}", by.by));
        if !by.note.is_empty() {
            text.push_str(&format!(": {}", by.note));
        }
    }
    // A name or a note is a stranger's.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(super) fn as_json(tenants: &[Tenant]) -> String {
    let all = tenants.iter().map(|Tenant { id, name, keys, bytes, losses, lanes }| {
        let mut tenant =
            json!({"tenant_id": id, "tenant_name": name, "keys": keys, "bytes": bytes});
        tenant["losses"] = losses.iter().map(loss_json).collect::<Vec<_>>().into();
        tenant["losses_unacknowledged"] =
            losses.iter().filter(|known| known.acknowledged.is_none()).count().into();
        match lanes {
            Ok(lanes) => {
                tenant["content_types"] = lanes.iter().map(lane_json).collect::<Vec<_>>().into();
            }
            Err(error) => tenant["error"] = error.to_string().into(),
        }
        tenant
    });
    format!("{:#}\n", Value::from(all.collect::<Vec<_>>()))
}

fn loss_json(known: &KnownLoss) -> Value {
    let KnownLoss { number, loss, acknowledged } = known;
    let by = acknowledged
        .as_ref()
        .map(|by| json!({"at": Utc::from_millis(by.at).to_string(), "by": by.by, "note": by.note}));
    json!({
        "number": number,
        "content_type": loss.feed.map(Feed::as_str),
        "kind": loss.kind.as_str(),
        "start": loss.created.map(|created| created.0.to_string()),
        "end": loss.created.map(|created| created.1.to_string()),
        "name": loss.name,
        "count": loss.count,
        "told": loss.told.to_string(),
        "acknowledged": by,
    })
}

fn lane_json(lane: &LaneSummary) -> Value {
    let delivered = lane.delivered.iter();
    let pair = |(start, end): &(Utc, Utc)| json!([start.to_string(), end.to_string()]);
    let blob = |(id, expiration): &(Box<str>, Utc)| {
        let expiration = expiration.to_string();
        json!({"content_id": id, "expiration": expiration})
    };
    json!({
        "content_type": lane.feed.as_str(),
        "begin": lane.begin.to_string(),
        "delivered": delivered.map(pair).collect::<Vec<_>>(),
        "holes": lane.holes.iter().map(hole_json).collect::<Vec<_>>(),
        "contents": lane.contents,
        "records": lane.records,
        "blobs_in_progress": lane.blobs_in_progress,
        "blobs_quarantined": lane.quarantine.len(),
        "quarantine": lane.quarantine.iter().map(blob).collect::<Vec<_>>(),
    })
}

fn hole_json(hole: &Hole) -> Value {
    let (why, content_id, loss) = match &hole.why {
        Why::Pending => ("pending", None, None),
        Why::InProgress(id) => ("in-progress", Some(id), None),
        Why::Quarantined { content_id, .. } => ("quarantined", Some(content_id), None),
        Why::Lost(known) => ("lost", None, Some(known.number)),
    };
    json!({
        "start": hole.start.to_string(),
        "end": hole.end.to_string(),
        "why": why,
        "content_id": content_id,
        "loss": loss,
    })
}
