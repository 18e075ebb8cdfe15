//! How much of the request budget is used while there is a backlog: nearly all of it, and never
//! more than it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Line, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::demo::{self, Settings};
use crate::shell::say;
use crate::simulator::Simulator;

/// Requests a minute that are allowed.
const ALLOWED: f64 = 2_000.0;
/// At least this part of them is used.
const USED_MIN: f64 = 0.95;
/// Subscriptions, tokens and first listings come before the backlog is known.
const WARM_UP: Duration = Duration::from_secs(10);
/// What is measured: so many parts of so many seconds, in which the backlog lasts.
const PARTS: usize = 5;
const PART: Duration = Duration::from_secs(30);

pub(super) fn run() -> Result<Verdict> {
    let built = Artifacts::released(&["m365-sim", "m365-audit", "in_m365_audit"])?;
    let simulator = Simulator::start(built.path("m365-sim")?, &backlog("200"))?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let settings = Settings::of(&simulator);
    let (arrivals, arrived) = demo::Arrivals::channel();
    let collector =
        demo::native::start(built.path("m365-audit")?, folder.path(), &settings, arrivals)?;
    // What arrives is of no interest here, but has to be taken.
    let drain = std::thread::spawn(move || arrived.drain());
    std::thread::sleep(WARM_UP);
    let mut samples = Vec::new();
    let mut before = requests(&simulator)?;
    for part in 1..=PARTS {
        std::thread::sleep(PART);
        let now = requests(&simulator)?;
        let per_minute = (now.1 - before.1) * 60.0 / (now.0 - before.0).as_secs_f64();
        before = now;
        say(&format!("part {part}: {per_minute:.0} requests a minute"));
        samples.push(per_minute / ALLOWED * 100.0);
    }
    let report = simulator.report()?;
    drop(collector);
    drain.join().map_err(|_| anyhow::anyhow!("a thread of the bench panicked"))?;
    let peaks = report["peak_per_minute"].as_object().context("peaks in /_sim/report")?;
    let peak = peaks.values().filter_map(Value::as_f64).fold(0.0, f64::max);
    let used = Sample::new(samples);
    let holds = USED_MIN * 100.0 <= used.median();
    Ok(Verdict::Measured(vec![
        Line {
            what: "part of the budget used with a backlog",
            target: format!(">= {:.0}", USED_MIN * 100.0),
            measured: used,
            unit: "%",
            holds,
        },
        Line {
            what: "most requests in any minute",
            target: format!("<= {ALLOWED}"),
            measured: Sample::new(vec![peak]),
            unit: "",
            holds: peak <= ALLOWED,
        },
    ]))
}

/// A world whose seven days need more than four minutes at 2,000 requests each.
pub(super) fn backlog(latency_ms: &str) -> Vec<String> {
    let options = [
        "--days",
        "7",
        "--blobs-per-hour",
        "12",
        "--records-per-blob",
        "3..10",
        "--record-bytes",
        "500..3000",
        "--latency-ms",
        latency_ms,
    ];
    options.map(str::to_owned).to_vec()
}

/// When, and how many requests to the API there were until then.
fn requests(simulator: &Simulator) -> Result<(Instant, f64)> {
    let report = simulator.report()?;
    let count = |value: &Value| value.as_f64().unwrap_or_default();
    Ok((Instant::now(), count(&report["requests"]) - count(&report["operations"]["token"])))
}
