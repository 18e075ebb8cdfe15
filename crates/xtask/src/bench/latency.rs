//! How long a fresh event takes from its publication to its emission while seven days of backlog
//! drain.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::budget::backlog;
use super::{Line, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::demo::{self, Settings};
use crate::simulator::{CONTENT_TYPES, Simulator};

/// How often each content type is listed.
const INTERVAL_SEC: u32 = 10;
/// An event takes at most the interval and this.
const ABOVE_INTERVAL_MAX: u32 = 3;
const PUBLICATIONS: usize = 25;
const PERIOD: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(10);
/// How long the last ones are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run() -> Result<Verdict> {
    let built = Artifacts::released(&["m365-sim", "m365-audit", "in_m365_audit"])?;
    let simulator = Simulator::start(built.path("m365-sim")?, &backlog("200"))?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let settings = Settings::of(&simulator).set("interval_sec", &INTERVAL_SEC.to_string());
    let (arrivals, arrived) = demo::Arrivals::channel();
    let _collector =
        demo::native::start(built.path("m365-audit")?, folder.path(), &settings, arrivals)?;
    let begun = Instant::now();
    let mut waiting: HashMap<Box<str>, Instant> = HashMap::new();
    let (mut lags, mut published, mut old) = (Vec::new(), 0, 0_u64);
    while lags.len() < PUBLICATIONS {
        let due = WARM_UP + PERIOD * u32::try_from(published).unwrap_or(u32::MAX);
        if published < PUBLICATIONS && due <= begun.elapsed() {
            let content_type = CONTENT_TYPES[published % CONTENT_TYPES.len()];
            let now = Instant::now();
            let answer = simulator.publish(content_type)?;
            let content_id = answer["content_id"].as_str().context("a published blob has an id")?;
            waiting.insert(content_id.into(), now);
            published += 1;
            old = 0;
        }
        match arrived.next(Duration::from_millis(20))? {
            Some(arrival) => match waiting.remove(&arrival.content_id) {
                Some(since) => lags.push(since.elapsed().as_secs_f64()),
                None => old += 1,
            },
            None => {
                let last = WARM_UP + PERIOD * u32::try_from(PUBLICATIONS).unwrap_or(u32::MAX);
                ensure!(begun.elapsed() < last + PATIENCE, "{} did not arrive", waiting.len());
            }
        }
    }
    ensure!(0 < old, "the backlog was over too soon; the figures would say nothing");
    let measured = Sample::new(lags);
    let max = f64::from(INTERVAL_SEC + ABOVE_INTERVAL_MAX);
    let worst = Sample::new(vec![measured.max()]);
    let holds = worst.max() <= max;
    Ok(Verdict::Measured(vec![
        Line {
            what: "publication to emission, interval_sec 10",
            target: String::new(),
            measured,
            unit: "s",
            holds: true,
        },
        Line {
            what: "the longest of them",
            target: format!("<= {max}"),
            measured: worst,
            unit: "s",
            holds,
        },
    ]))
}
