//! CPU time of Fluent Bit per million events of 2 KB, through the plugin and through Fluent Bit's
//! own `tail` with its JSON parser, on the same events, to the null output. A file is not
//! encrypted, so the comparison is over http; what TLS adds is shown beside it.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::pipeline::{self, Pipeline};
use super::{Line, RUNS, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::demo::Settings;
use crate::fluent_bit;
use crate::shell::say;
use crate::simulator::Simulator;

/// At most this part of the CPU time of `tail`.
const RATIO_MAX: f64 = 0.7;
/// Bytes of a record.
const RECORD_BYTES: &str = "2000";

/// No record twice and none that cannot be parsed, so that both sides do the same work.
pub(super) const WORLD: [&str; 14] = [
    "--days",
    "6",
    "--blobs-per-hour",
    "2",
    "--records-per-blob",
    "100",
    "--record-bytes",
    RECORD_BYTES,
    "--oddness",
    "0",
    "--quota",
    "100000",
    "--page-size",
    "1000",
];

/// A parser as people set it up: JSON, with the record's own time.
const PARSER: &str = "parsers:\n  - name: audit\n    format: json\n    time_key: CreationTime\n    \
                      time_format: '%Y-%m-%dT%H:%M:%S'\n    time_keep: on\n";

pub(super) fn run() -> Result<Verdict> {
    let Some(executable) = fluent_bit::find()? else {
        return Ok(Verdict::Skipped(format!("no Fluent Bit; {}", fluent_bit::REMEDY)));
    };
    let built = Artifacts::released(&["m365-sim", "m365-audit", "in_m365_audit"])?;
    let plugin = Artifacts::shipped_plugin()?;
    let simulator = Simulator::start(built.path("m365-sim")?, &WORLD.map(str::to_owned))?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let file = folder.path().join("events.ndjson");
    let (events, bytes) = write_events(&simulator, &file)?;
    say(&format!("{events} events of {} bytes on average", bytes / events));

    let over_tls = Settings::of(&simulator).set("requests_per_minute", "100000");
    let plain = ["api_url", "login_url", "resource"]
        .into_iter()
        .fold(over_tls.clone(), |settings, name| settings.set(name, simulator.ready("http")));
    let head = format!("plugins:\n  - {}\n", plugin.display());
    let millions = events as f64 / 1e6;
    let collect = |settings: &Settings| -> Result<f64> {
        let mut pipeline =
            Pipeline::start(&executable, &head, |folder| pipeline::plugin(settings, folder))?;
        pipeline.wait_for(events)?;
        Ok(pipeline.cpu()?.as_secs_f64() / millions)
    };
    let [mut ours, mut encrypted, mut theirs, mut ratios] = [const { Vec::new() }; 4];
    for run in 1..=RUNS {
        let our = collect(&plain)?;
        let tls = collect(&over_tls)?;
        let mut pipeline = Pipeline::start(&executable, PARSER, |_| tail(&file))?;
        pipeline.wait_for(events)?;
        let their = pipeline.cpu()?.as_secs_f64() / millions;
        say(&format!(
            "run {run}: m365_audit {our:.1}, over TLS {tls:.1}, tail {their:.1} CPU seconds per \
             million"
        ));
        encrypted.push(tls);
        ours.push(our);
        theirs.push(their);
        ratios.push(our / their);
    }
    let (ours, theirs) = (Sample::new(ours), Sample::new(theirs));
    let ratio = ours.median() / theirs.median();
    let row =
        |what, target: String, measured, unit, holds| Line { what, target, measured, unit, holds };
    Ok(Verdict::Measured(vec![
        row("CPU s per million events, m365_audit", String::new(), ours, "s", true),
        row("the same over TLS", String::new(), Sample::new(encrypted), "s", true),
        row("CPU s per million events, tail + json", String::new(), theirs, "s", true),
        row(
            "m365_audit to tail, by medians",
            format!("<= {RATIO_MAX}"),
            Sample::new(ratios),
            "",
            ratio <= RATIO_MAX,
        ),
    ]))
}

fn tail(file: &Path) -> String {
    format!(
        "    - name: tail\n      tag: file\n      path: '{}'\n      parser: audit\n      \
         read_from_head: on\n      buffer_max_size: 1M\n",
        file.display()
    )
}

/// Writes what is owed as lines. How many, and how many bytes.
fn write_events(simulator: &Simulator, file: &Path) -> Result<(u64, u64)> {
    let mut out = BufWriter::new(std::fs::File::create(file).context("a file for events")?);
    let (mut events, mut bytes) = (0, 0);
    simulator.owed(|line: &Value| {
        let record = line["record"].as_str().context("a record is text")?;
        ensure!(!record.contains('\n'), "a record is one line");
        writeln!(out, "{record}").context("a file for events")?;
        events += 1;
        bytes += record.len() as u64;
        Ok(())
    })?;
    out.flush().context("a file for events")?;
    ensure!(0 < events, "the simulator published nothing");
    Ok((events, bytes))
}
