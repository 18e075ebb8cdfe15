//! The most memory that Fluent Bit takes while the plugin reads a blob of 256 MiB, above what it
//! takes when it has nothing to do.

use std::path::Path;

use anyhow::{Context, Result};

use super::pipeline::{self, Pipeline};
use super::{Line, RUNS, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::demo::Settings;
use crate::fluent_bit;
use crate::proc;
use crate::shell::say;
use crate::simulator::Simulator;

/// Above idle, at most so many MiB.
const ABOVE_IDLE_MAX: f64 = 48.0;
const MIB: u64 = 1 << 20;
const BLOB_BYTES: u64 = 256 * MIB;

pub(super) fn run() -> Result<Verdict> {
    let Some(executable) = fluent_bit::find()? else {
        return Ok(Verdict::Skipped(format!("no Fluent Bit; {}", fluent_bit::REMEDY)));
    };
    let built = Artifacts::released(&["m365-sim", "m365-audit", "in_m365_audit"])?;
    let plugin = Artifacts::shipped_plugin()?;
    let program = built.path("m365-sim")?;
    let (small, large) = (world(program, None)?, world(program, Some(BLOB_BYTES))?);
    let (few, many) = (count(&small)?, count(&large)?);
    let mut samples = Vec::new();
    for run in 1..=RUNS {
        let idle = {
            let pipeline = collect(&executable, &plugin, &small, few)?;
            proc::resident(pipeline.id())
        };
        let peak = {
            let pipeline = collect(&executable, &plugin, &large, many)?;
            proc::peak(pipeline.id())
        };
        let mib = |bytes: Option<u64>| {
            bytes.map(|bytes| bytes as f64 / MIB as f64).context("memory is read from /proc")
        };
        let (idle, peak) = (mib(idle)?, mib(peak)?);
        say(&format!("run {run}: idle {idle:.1} MiB, peak {peak:.1} MiB"));
        samples.push(peak - idle);
    }
    let measured = Sample::new(samples);
    let holds = measured.median() <= ABOVE_IDLE_MAX;
    let (what, target) = ("peak with a 256 MiB blob, above idle", format!("<= {ABOVE_IDLE_MAX}"));
    Ok(Verdict::Measured(vec![Line { what, target, measured, unit: "MiB", holds }]))
}

/// Little history, of one content type; and the blob.
fn world(program: &Path, blob_bytes: Option<u64>) -> Result<Simulator> {
    let mut options = vec!["--days".to_owned(), "0.1".into()];
    if let Some(bytes) = blob_bytes {
        options.extend(["--blob-bytes".into(), bytes.to_string()]);
    }
    Simulator::start(program, &options)
}

fn count(simulator: &Simulator) -> Result<u64> {
    let mut keys = std::collections::HashSet::new();
    simulator.owed(|line| {
        keys.insert(line["key"].as_str().unwrap_or_default().to_owned());
        Ok(())
    })?;
    Ok(keys.len() as u64)
}

fn collect(
    executable: &Path,
    plugin: &Path,
    simulator: &Simulator,
    events: u64,
) -> Result<Pipeline> {
    let settings = Settings::of(simulator);
    let head = format!("plugins:\n  - {}\n", plugin.display());
    let mut pipeline =
        Pipeline::start(executable, &head, |folder| pipeline::plugin(&settings, folder))?;
    pipeline.wait_for(events)?;
    Ok(pipeline)
}
