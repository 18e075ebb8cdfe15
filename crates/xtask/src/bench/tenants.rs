//! What many tenants in one process cost, against one; and what a tenant that is answered 429 and
//! 500 all the time does to the others.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{Line, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::proc;
use crate::shell::{self, Process, say};
use crate::simulator::Simulator;

/// Tenants of the crowds.
const CROWDS: [usize; 2] = [50, 1_000];
/// Memory of one tenant more, at the most.
const MIB_PER_TENANT_MAX: f64 = 0.25;
/// Threads, however many tenants there are, beside one for each core.
const THREADS_MAX: usize = 14;
/// How far a noisy tenant may change the lag of the others.
const LAG_CHANGE_MAX: f64 = 10.0;
/// Quiet tenants beside the noisy one, and how often each publishes in a pass.
const QUIET: usize = 9;
const ROUNDS: usize = 25;
/// Passes with and without the noisy one, in turn: a machine that is busy for a while is so for
/// both.
const PASSES: usize = 3;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(2);
const MIB: f64 = 1_048_576.0;

pub(super) fn run() -> Result<Verdict> {
    let built = Artifacts::released(&["m365-sim", "m365-audit"])?;
    let (sim, program) = (built.path("m365-sim")?, built.path("m365-audit")?);
    let mut lines = crowd(sim, program)?;
    lines.push(noise(sim, program)?);
    Ok(Verdict::Measured(lines))
}

/// A running collector, and what it has written.
struct Collector {
    process: Process,
    output: PathBuf,
    log: PathBuf,
    read: u64,
    rest: Vec<u8>,
    /// What has come, and how much of it more than once.
    seen: HashSet<u64>,
    twice: usize,
    /// Keeps its files.
    _folder: TempDir,
}

impl Collector {
    fn start(program: &Path, simulator: &Simulator, tenants: &[Value]) -> Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let path = |name: &str| folder.path().join(name);
        let mut text = String::new();
        for (n, tenant) in tenants.iter().enumerate() {
            let word = |name: &str| tenant[name].as_str().unwrap_or_default();
            text.push_str(&format!(
                "[t{n}]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n",
                word("tenant_id"),
                word("client_id"),
                word("client_secret")
            ));
        }
        fs::write(path("tenants.toml"), text).context("the tenants file")?;
        let url = simulator.ready("http");
        let mut command = shell::command(program);
        command.arg("run").args(["--metadata", "--progress", "never", "--log-level", "error"]);
        for (flag, value) in [
            ("--tenants-file", path("tenants.toml").as_os_str()),
            ("--db", path("state.db").as_os_str()),
            ("--output", path("audit.ndjson").as_os_str()),
            ("--login-url", url.as_ref()),
            ("--api-url", url.as_ref()),
            ("--interval-sec", "1".as_ref()),
        ] {
            command.arg(flag).arg(value);
        }
        let log = path("log");
        let told = File::create(&log).context("the log")?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told);
        let process = Process::start("m365-audit", &mut command)?;
        let output = path("audit.ndjson");
        Ok(Self {
            process,
            output,
            log,
            read: 0,
            rest: Vec::new(),
            seen: HashSet::new(),
            twice: 0,
            _folder: folder,
        })
    }

    /// The lines that were written since the last look.
    fn look(&mut self) -> Result<Vec<Vec<u8>>> {
        ensure!(self.process.ended().is_none(), "the collector ended: {}", self.told()?);
        let Ok(mut file) = File::open(&self.output) else { return Ok(Vec::new()) };
        file.seek(SeekFrom::Start(self.read)).context("the output")?;
        self.read += file.read_to_end(&mut self.rest).context("the output")? as u64;
        let mut lines = Vec::new();
        while let Some(at) = self.rest.iter().position(|byte| *byte == b'\n') {
            lines.push(self.rest.drain(..=at).collect());
        }
        Ok(lines)
    }

    fn wait_for(&mut self, records: usize) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.seen.len() < records {
            let seen = self.seen.len();
            ensure!(Instant::now() < until, "{seen} of {records} records in {PATIENCE:?}");
            for line in self.look()? {
                let mut hasher = DefaultHasher::new();
                line.hash(&mut hasher);
                self.twice += usize::from(!self.seen.insert(hasher.finish()));
            }
            thread::sleep(LOOK_EVERY * 10);
        }
        Ok(())
    }

    /// The lines on stderr: errors alone.
    fn told(&self) -> Result<String> {
        fs::read_to_string(&self.log).context("the log")
    }
}

fn world(sim: &Path, tenants: usize, noisy: usize, quiet_history: bool) -> Result<Simulator> {
    // As much for a thousand as for fifty.
    let days = if tenants <= CROWDS[0] { "0.5" } else { "0.05" };
    let (days, blobs) = if quiet_history { ("0.05", "0..1") } else { (days, "1") };
    let options = [
        ("--tenants", tenants.to_string()),
        ("--noisy-tenants", noisy.to_string()),
        ("--days", days.into()),
        ("--blobs-per-hour", blobs.into()),
        ("--records-per-blob", "20".into()),
        ("--record-bytes", "2000".into()),
        ("--lag-seconds", "0".into()),
        ("--oddness", "0".into()),
    ];
    let options: Vec<String> =
        options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    Simulator::start(sim, &options)
}

/// What one tenant takes, and what many do.
fn crowd(sim: &Path, program: &Path) -> Result<Vec<Line>> {
    let measure = |count: usize| -> Result<[f64; 5]> {
        let simulator = world(sim, count, 0, false)?;
        let mut records = 0;
        simulator.owed(|line| {
            // The collector's default leaves DLP.All out.
            records += usize::from(line["content_type"] != "DLP.All");
            Ok(())
        })?;
        let mut collector = Collector::start(program, &simulator, simulator.tenants())?;
        collector.wait_for(records)?;
        let id = collector.process.id();
        let peak = proc::peak(id).context("memory is read from /proc")? as f64 / MIB;
        let cpu = proc::cpu(id).context("CPU time is read from /proc")?.as_secs_f64();
        let requests = simulator.report()?["requests"].as_f64().unwrap_or_default();
        let threads = fs::read_dir(format!("/proc/{id}/task")).context("its threads")?.count();
        let (errors, twice) = (collector.told()?.lines().count(), collector.twice);
        say(&format!(
            "{count} tenants: {records} records, {requests} requests, {cpu:.2} CPU s, peak \
             {peak:.1} MiB, {threads} threads, {errors} errors, {twice} records twice"
        ));
        Ok([peak, requests, cpu, threads as f64, (errors + twice) as f64])
    };
    let one = measure(1)?;
    let line = |what, target: String, value: f64, unit, holds| Line {
        what,
        target,
        measured: Sample::new(vec![value]),
        unit,
        holds,
    };
    let mut lines = vec![line("peak memory, 1 tenant", String::new(), one[0], "MiB", true)];
    let threads_max = THREADS_MAX + thread::available_parallelism().map_or(1, usize::from);
    for count in CROWDS {
        let many = measure(count)?;
        let per_tenant = (many[0] - one[0]) / (count - 1) as f64;
        // A few words, for as long as the program runs.
        let of = |what: &str| -> &'static str { format!("{what}, {count} tenants").leak() };
        let most = |max: usize| format!("<= {max}");
        let fits = per_tenant <= MIB_PER_TENANT_MAX;
        let few = many[3] <= threads_max as f64;
        lines.extend([
            line(of("peak memory"), String::new(), many[0], "MiB", true),
            line(
                of("memory of one tenant more"),
                format!("<= {MIB_PER_TENANT_MAX}"),
                per_tenant,
                "MiB",
                fits,
            ),
            line(of("threads"), most(threads_max), many[3], "", few),
            line(of("errors, and records twice"), most(0), many[4], "", many[4] == 0.0),
            line(of("requests, to 1"), String::new(), many[1] / one[1], "x", true),
            line(of("CPU time, to 1"), String::new(), many[2] / one[2], "x", true),
        ]);
    }
    Ok(lines)
}

/// How much later the others' records come when one tenant makes trouble.
fn noise(sim: &Path, program: &Path) -> Result<Line> {
    let (mut calm, mut noisy) = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        calm.extend(lags(sim, program, 0)?);
        noisy.extend(lags(sim, program, 1)?);
    }
    let mean = |lags: &[f64]| lags.iter().sum::<f64>() / lags.len() as f64;
    let (calm, noisy) = (mean(&calm), mean(&noisy));
    say(&format!("mean lag of {QUIET} tenants: {calm:.3} s, beside a noisy one {noisy:.3} s"));
    let change = (noisy / calm - 1.0) * 100.0;
    Ok(Line {
        what: "lag of 9 tenants, changed by a noisy one",
        target: format!("< {LAG_CHANGE_MAX}"),
        measured: Sample::new(vec![change]),
        unit: "%",
        holds: change < LAG_CHANGE_MAX,
    })
}

/// How long the quiet tenants' records take from publication to output, beside so many noisy ones.
fn lags(sim: &Path, program: &Path, noisy: usize) -> Result<Vec<f64>> {
    let simulator = world(sim, QUIET + noisy, noisy, true)?;
    let mut collector = Collector::start(program, &simulator, simulator.tenants())?;
    let quiet = &simulator.tenants()[..QUIET];
    // What was there before, and the first sign-in, are nobody's lag.
    let mut lags = Vec::new();
    for round in 0..=ROUNDS {
        let mut waiting = HashMap::new();
        for tenant in quiet {
            let id = tenant["tenant_id"].as_str().unwrap_or_default();
            let published = simulator.publish_for(id, "Audit.General")?;
            let content = published["content_id"].as_str().unwrap_or_default().to_owned();
            waiting.insert(content, Instant::now());
        }
        let until = Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            ensure!(Instant::now() < until, "published content never came");
            for line in collector.look()? {
                let line: Value = serde_json::from_slice(&line).context("a line")?;
                let content = line["content_id"].as_str().unwrap_or_default();
                let since = waiting.remove(content);
                lags.extend(since.filter(|_| 0 < round).map(|at| at.elapsed().as_secs_f64()));
            }
            thread::sleep(LOOK_EVERY);
        }
    }
    if 0 < noisy {
        let report = simulator.report()?;
        let outcomes = report["outcomes"].as_object().context("the report names outcomes")?;
        let troubled = outcomes.iter().filter(|(name, _)| {
            [" 429", " 403 AF429", " 500"].iter().any(|status| name.contains(status))
        });
        let refused: u64 = troubled.filter_map(|(_, count)| count.as_u64()).sum();
        ensure!(0 < refused, "the noisy tenant was not noisy: {outcomes:?}");
        say(&format!("the noisy tenant was refused {refused} times"));
    }
    Ok(lags)
}
