//! What the stored state says of what is delivered, what is not, and what was lost.

use m365_audit_client::{Settings, inspect};
use m365_audit_core::{LaneSummary, Why, losses, summarize};

use crate::findings::Report;
use crate::words::counted;

/// Looks at the state, which can be read: a collector could go on with it.
pub(super) fn examine(settings: &Settings, report: &mut Report) {
    let Some(db) = &settings.native.db else { return };
    let tenants = inspect(db).unwrap_or_default();
    let Some(stored) = tenants.get(settings.config.tenant_id()) else { return };
    let (Ok(lanes), Ok(losses)) = (summarize(stored), losses(stored)) else { return };
    lanes.iter().for_each(|lane| delivered(lane, report));
    let open: Vec<_> = losses.iter().filter(|known| known.acknowledged.is_none()).collect();
    if let Some(oldest) = open.iter().map(|known| known.loss.told).min() {
        report.fail(
            "losses",
            format!("{} are not acknowledged, the oldest reported at {oldest}", open.len()),
            format!(
                "see them with `m365-audit state show --db {path}`, then run \
                 `m365-audit state acknowledge --db {path}`",
                path = db.path.display()
            ),
        );
    } else if !lanes.is_empty() {
        report.ok("losses", "none that nobody has acknowledged");
    }
}

/// What of one feed is delivered, and what waits.
fn delivered(lane: &LaneSummary, report: &mut Report) {
    let feed = lane.feed;
    let pending = lane.holes.iter().filter(|hole| matches!(hole.why, Why::Pending));
    let (pending, quarantined) = (pending.count(), lane.quarantine.len());
    let until = match lane.delivered.last() {
        Some((_, until)) => format!("delivered up to {until}"),
        None => "nothing is delivered yet".to_owned(),
    };
    if pending + quarantined == 0 {
        return report.ok("delivery", format!("{feed}: {until}"));
    }
    let expiration = lane.quarantine.iter().map(|(_, expiration)| *expiration).min();
    let expiration = expiration.map(|at| format!(", the first until {at}")).unwrap_or_default();
    let some = |count: usize, one, many| (0 < count).then(|| counted(count as u64, one, many));
    let stretches = some(pending, "stretch of time that waits", "stretches of time that wait");
    let blobs = some(quarantined, "blob that cannot be read", "blobs that cannot be read");
    let but_for = [stretches, blobs.map(|blobs| blobs + &expiration)];
    let but_for = but_for.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    report.warn(
        "delivery",
        format!("{feed}: {until}, but for {but_for}"),
        "a collector goes on with them while Microsoft keeps them; `m365-audit state show` names \
         them",
    );
}
