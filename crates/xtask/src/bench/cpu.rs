//! CPU time of Fluent Bit per million events of 2 KB, through the plugin and through Fluent Bit's
//! own `tail` with its JSON parser, on the same events, to the null output. A file is not
//! encrypted, so the comparison is over http; what TLS and what the history add is shown beside it.

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
/// At most so many times the CPU time that it takes to collect without a history.
const HISTORY_RATIO_MAX: f64 = 1.03;
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
    let forgetful = plain.clone().set("history_keep", "0");
    let head = format!("plugins:\n  - {}\n", plugin.display());
    let millions = events as f64 / 1e6;
    let collect = |settings: &Settings| -> Result<f64> {
        let mut pipeline =
            Pipeline::start(&executable, &head, |folder| pipeline::plugin(settings, folder))?;
        pipeline.wait_for(events)?;
        Ok(pipeline.cpu()?.as_secs_f64() / millions)
    };
    let mut runs = Runs::default();
    for run in 1..=RUNS {
        let our = collect(&plain)?;
        let tls = collect(&over_tls)?;
        let forgot = collect(&forgetful)?;
        let mut pipeline = Pipeline::start(&executable, PARSER, |_| tail(&file))?;
        pipeline.wait_for(events)?;
        let their = pipeline.cpu()?.as_secs_f64() / millions;
        say(&format!(
            "run {run}: m365_audit {our:.1}, over TLS {tls:.1}, without a history {forgot:.1}, \
             tail {their:.1} CPU seconds per million"
        ));
        runs.note([our, tls, forgot, their]);
    }
    Ok(Verdict::Measured(runs.lines().into()))
}

/// What the runs took, in CPU seconds per million events, and ratios within a run.
#[derive(Default)]
struct Runs {
    ours: Vec<f64>,
    encrypted: Vec<f64>,
    forgetful: Vec<f64>,
    theirs: Vec<f64>,
    to_theirs: Vec<f64>,
    to_forgetful: Vec<f64>,
}

impl Runs {
    fn note(&mut self, [our, tls, forgot, their]: [f64; 4]) {
        self.ours.push(our);
        self.encrypted.push(tls);
        self.forgetful.push(forgot);
        self.theirs.push(their);
        self.to_theirs.push(our / their);
        self.to_forgetful.push(our / forgot);
    }

    fn lines(self) -> [Line; 6] {
        let [ours, forgetful, theirs] = [self.ours, self.forgetful, self.theirs].map(Sample::new);
        let [to_theirs, to_forgetful] =
            [&theirs, &forgetful].map(|other| ours.median() / other.median());
        let line =
            |what, measured| Line { what, target: String::new(), measured, unit: "s", holds: true };
        let ratio = |what, measured, median: f64, most: f64| Line {
            what,
            target: format!("<= {most}"),
            measured: Sample::new(measured),
            unit: "",
            holds: median <= most,
        };
        [
            line("CPU s per million events, m365_audit", ours),
            line("the same over TLS", Sample::new(self.encrypted)),
            line("the same without a history", forgetful),
            line("CPU s per million events, tail + json", theirs),
            ratio("m365_audit to tail, by medians", self.to_theirs, to_theirs, RATIO_MAX),
            ratio(
                "with a history to without, by medians",
                self.to_forgetful,
                to_forgetful,
                HISTORY_RATIO_MAX,
            ),
        ]
    }
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
