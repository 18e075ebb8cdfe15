//! How many requests a backlog of a million activities takes at 30 requests a minute, against the
//! least possible, in virtual time.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Line, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::shell;

/// So many times the least possible, at the most.
const RATIO_MAX: f64 = 1.1;
/// What Microsoft allows a tenant.
const ALLOWED: f64 = 30.0;

pub(super) fn run() -> Result<Verdict> {
    let built = Artifacts::released(&["m365-audit-tests"])?;
    let mut command = shell::command(built.path("activities_backlog")?);
    let output = command.output().context("the backlog cannot be run")?;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the backlog failed: {why}");
    let report: Value = serde_json::from_slice(&output.stdout).context("the backlog's report")?;
    let number = |name: &str| report[name].as_f64().with_context(|| format!("{name} in {report}"));
    shell::say(&report.to_string());
    let ratio = number("requests")? / number("least")?;
    let (missing, peak) = (number("missing")?, number("peak_per_minute")?);
    Ok(Verdict::Measured(vec![
        Line {
            what: "requests for 1,000,000 activities, of the least",
            target: format!("<= {RATIO_MAX}"),
            measured: Sample::new(vec![ratio]),
            unit: "times",
            holds: ratio <= RATIO_MAX,
        },
        Line {
            what: "most requests in any minute",
            target: format!("<= {ALLOWED}"),
            measured: Sample::new(vec![peak]),
            unit: "",
            holds: peak <= ALLOWED,
        },
        Line {
            what: "activities that did not arrive",
            target: "<= 0".into(),
            measured: Sample::new(vec![missing]),
            unit: "",
            holds: missing <= 0.0,
        },
    ]))
}
