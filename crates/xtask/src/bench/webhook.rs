//! How long a fresh event takes from its publication to its emission with a webhook, against
//! polling at the default interval. Both are real processes against the same kind of world.

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Line, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::demo::{self, Settings};
use crate::simulator::{CONTENT_TYPES, Simulator};

/// The default of the option: what a webhook is for is not to shorten it.
const INTERVAL_SEC: &str = "60";
const PUBLICATIONS: usize = 24;
/// No part of the interval, so that publications fall anywhere in it.
const PERIOD: Duration = Duration::from_millis(3_700);
/// Until subscriptions are started and the little history there is was read.
const WARM_UP: Duration = Duration::from_secs(10);
/// How long the last ones are waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// With a webhook the median is at most this part of what it is by polling.
const PART_MAX: f64 = 0.2;

pub(super) fn run() -> Result<Verdict> {
    let built = Artifacts::released(&["m365-sim", "m365-audit"])?;
    let polled = measure(&built, false)?;
    let notified = measure(&built, true)?;
    let part = notified.median() / polled.median();
    Ok(Verdict::Measured(vec![
        Line {
            what: "publication to emission, polling each 60 s",
            target: String::new(),
            measured: polled,
            unit: "s",
            holds: true,
        },
        Line {
            what: "the same with a webhook",
            target: String::new(),
            measured: notified,
            unit: "s",
            holds: true,
        },
        Line {
            what: "webhook / polling, medians",
            target: format!("<= {PART_MAX}"),
            measured: Sample::new(vec![part]),
            unit: "",
            holds: part <= PART_MAX,
        },
    ]))
}

fn measure(built: &Artifacts, webhook: bool) -> Result<Sample> {
    let options = ["--days", "0.05", "--blobs-per-hour", "1"].map(str::to_owned);
    let simulator = Simulator::start(built.path("m365-sim")?, &options)?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let mut settings = Settings::of(&simulator).set("interval_sec", INTERVAL_SEC);
    if webhook {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        settings = settings
            .set("webhook_address", &format!("http://{address}/m365"))
            .set("webhook_listen", &address)
            .set("webhook_auth_id", "an-id-for-this-bench-alone");
    }
    let (arrivals, arrived) = demo::Arrivals::channel();
    let _collector =
        demo::native::start(built.path("m365-audit")?, folder.path(), &settings, arrivals)?;
    let begun = Instant::now();
    let mut waiting: HashMap<Box<str>, Instant> = HashMap::new();
    let (mut lags, mut published) = (Vec::new(), 0);
    while lags.len() < PUBLICATIONS {
        let due = WARM_UP + PERIOD * u32::try_from(published).unwrap_or(u32::MAX);
        if published < PUBLICATIONS && due <= begun.elapsed() {
            let now = Instant::now();
            let answer = simulator.publish(CONTENT_TYPES[published % CONTENT_TYPES.len()])?;
            let content_id = answer["content_id"].as_str().context("a published blob has an id")?;
            waiting.insert(content_id.into(), now);
            published += 1;
        }
        match arrived.next(Duration::from_millis(20))? {
            Some(arrival) => {
                let since = waiting.remove(&arrival.content_id).or_else(|| {
                    // Notifications write the region once more behind the id.
                    waiting.remove(arrival.content_id.rsplit_once('$')?.0)
                });
                lags.extend(since.map(|since| since.elapsed().as_secs_f64()));
            }
            None => {
                let last = WARM_UP + PERIOD * u32::try_from(PUBLICATIONS).unwrap_or(u32::MAX);
                ensure!(begun.elapsed() < last + PATIENCE, "{} did not arrive", waiting.len());
            }
        }
    }
    Ok(Sample::new(lags))
}
