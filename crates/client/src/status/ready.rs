//! Whether a collector collects, and why not: what `/readyz` and `/healthz` answer.

use std::time::Duration;

use super::board::{Run, View};

/// After this a loop that does not come round is worth a word: it comes round every second, and
/// every ten seconds if it is one among thousands.
const SLOW_AFTER: Duration = Duration::from_secs(120);

/// After this it will not come round any more.
const HUNG_AFTER: Duration = Duration::from_secs(600);

/// Why this collector does not collect all that it should; empty: it does.
pub(super) fn reasons(view: &View<'_>) -> Vec<String> {
    match &view.state.run {
        Run::Starting => return vec!["starting".into()],
        Run::Failed { problem } => return vec![format!("failed: {problem}")],
        Run::Running | Run::Ended => {}
    }
    let mut reasons = Vec::new();
    let seconds = view.idle.as_secs();
    if view.state.run == Run::Running && SLOW_AFTER <= view.idle {
        reasons.push(match view.in_output {
            true => format!("the output has taken nothing for {seconds} s"),
            false => format!("has stood still for {seconds} s"),
        });
    }
    let troubles = &view.state.troubles;
    if let Some(problem) = troubles.sign_in() {
        reasons.push(format!("not signed in: {problem}"));
    }
    let lanes = || view.state.metrics.iter().flat_map(|metrics| &metrics.lanes);
    for lane in lanes().filter(|lane| lane.denied) {
        let told = troubles.denied(lane.feed);
        reasons.push(told.map_or_else(|| format!("{}: denied", lane.feed), str::to_owned));
    }
    let is_new = |lane: &&m365_audit_core::LaneMetrics| !lane.denied && lane.windows_listed == 0;
    let new: Vec<_> = lanes().filter(is_new).map(|lane| lane.feed.as_str()).collect();
    if !new.is_empty() {
        reasons.push(match troubles.sign_in().is_none() && !troubles.signed_in() {
            true => format!("not signed in yet, nothing listed yet: {}", new.join(", ")),
            false => format!("nothing listed yet: {}", new.join(", ")),
        });
    }
    reasons
}

/// Why this collector is beyond hope, if it is. Waiting for an output is no such reason: to start
/// again would not help it.
pub(super) fn hung(view: &View<'_>) -> Option<String> {
    let is_hung = view.state.run == Run::Running && !view.in_output && HUNG_AFTER <= view.idle;
    is_hung.then(|| format!("has stood still for {} s", view.idle.as_secs()))
}
