//! The WASM component in `m365-audit host run` against `m365-audit run`, both writing lines to a
//! file: events per CPU second, memory with a large blob, the time to a first event, connections.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{Line, RUNS, Sample, Verdict, cpu};
use crate::artifacts::Artifacts;
use crate::component;
use crate::demo::Settings;
use crate::proc;
use crate::shell::{Process, say};
use crate::simulator::Simulator;

/// At least this part of the native client's events per CPU second.
const RATIO_MIN: f64 = 0.5;
/// Above idle, at most so many MiB.
const ABOVE_IDLE_MAX: f64 = 64.0;
/// Connections per 1,000 requests, at most.
const CONNECTIONS_MAX: f64 = 20.0;
const MIB: u64 = 1 << 20;
const BLOB_BYTES: u64 = 256 * MIB;
/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(5);
/// Without a further event for so long it is given up.
const GIVE_UP: Duration = Duration::from_secs(60);
/// Writes that make the kernel forget the most memory so far.
const FORGET_PEAK: &str = "5";

const NATIVE: &[&str] = &["run"];
const WASM: &[&str] = &["host", "run"];

pub(super) fn run() -> Result<Verdict> {
    let component = component::build_by_any()?.path;
    let built = Artifacts::build_with_host(&["m365-sim", "m365-audit"], &component)?;
    let (program, simulator) = (built.path("m365-audit")?, built.path("m365-sim")?);
    let mut lines = speed(program, simulator)?;
    lines.push(memory(program, simulator)?);
    lines.push(first_event(program, simulator)?);
    Ok(Verdict::Measured(lines))
}

/// Events per CPU second from the first event to the last, and the connections that it took.
fn speed(program: &Path, simulator: &Path) -> Result<Vec<Line>> {
    let simulator = Simulator::start(simulator, &cpu::WORLD.map(str::to_owned))?;
    let events = count(&simulator)?;
    let settings = plain(&simulator).set("requests_per_minute", "100000");
    let per_cpu_second = |words: &[&str]| -> Result<f64> {
        let mut collector = Collector::start(program, words, &settings)?;
        collector.wait_for(1)?;
        let (first, before) = (collector.lines, collector.cpu()?);
        collector.wait_for(events)?;
        let spent = collector.cpu()?.saturating_sub(before).as_secs_f64();
        Ok((events - first) as f64 / spent.max(0.01))
    };
    let [mut native, mut wasm, mut ratios, mut connections] = [const { Vec::new() }; 4];
    for run in 1..=RUNS {
        let natively = per_cpu_second(NATIVE)?;
        let before = traffic(&simulator)?;
        let through_wasm = per_cpu_second(WASM)?;
        let after = traffic(&simulator)?;
        let per_thousand = (after.0 - before.0) * 1_000.0 / (after.1 - before.1).max(1.0);
        say(&format!(
            "run {run}: native {natively:.0}, component {through_wasm:.0} events per CPU second; \
             {per_thousand:.1} connections per 1,000 requests"
        ));
        native.push(natively);
        wasm.push(through_wasm);
        ratios.push(through_wasm / natively);
        connections.push(per_thousand);
    }
    let (native, wasm) = (Sample::new(native), Sample::new(wasm));
    let (ratio, connections) = (wasm.median() / native.median(), Sample::new(connections));
    let few = connections.median() <= CONNECTIONS_MAX;
    let row =
        |what, target: String, measured, unit, holds| Line { what, target, measured, unit, holds };
    Ok(vec![
        row("events per CPU second, native", String::new(), native, "", true),
        row("events per CPU second, component", String::new(), wasm, "", true),
        row(
            "component to native, by medians",
            format!(">= {RATIO_MIN}"),
            Sample::new(ratios),
            "",
            RATIO_MIN <= ratio,
        ),
        row(
            "connections per 1,000 requests",
            format!("<= {CONNECTIONS_MAX}"),
            connections,
            "",
            few,
        ),
    ])
}

fn memory(program: &Path, simulator: &Path) -> Result<Line> {
    let world = |blob: Option<u64>| {
        let mut options = vec!["--days".to_owned(), "0.1".into()];
        options.extend(blob.into_iter().flat_map(|blob| ["--blob-bytes".into(), blob.to_string()]));
        Simulator::start(simulator, &options)
    };
    let (small, large) = (world(None)?, world(Some(BLOB_BYTES))?);
    let (few, many) = (count(&small)?, count(&large)?);
    let mib = |bytes: Option<u64>| {
        bytes.map(|bytes| bytes as f64 / MIB as f64).context("memory is read from /proc")
    };
    let mut samples = Vec::new();
    for run in 1..=RUNS {
        let mut collector = Collector::start(program, WASM, &plain(&small))?;
        collector.wait_for(few)?;
        let idle = mib(proc::resident(collector.process.id()))?;
        let mut collector = Collector::start(program, WASM, &plain(&large))?;
        collector.wait_for(1)?;
        // Compiling the component takes some as well, once and before.
        let id = collector.process.id();
        fs::write(format!("/proc/{id}/clear_refs"), FORGET_PEAK).context("/proc")?;
        collector.wait_for(many)?;
        let peak = mib(proc::peak(id))?;
        say(&format!("run {run}: idle {idle:.1} MiB, peak {peak:.1} MiB"));
        samples.push(peak - idle);
    }
    let measured = Sample::new(samples);
    let holds = measured.median() <= ABOVE_IDLE_MAX;
    let (what, target) = ("peak with a 256 MiB blob, above idle", format!("<= {ABOVE_IDLE_MAX}"));
    Ok(Line { what, target, measured, unit: "MiB", holds })
}

/// From the start of the program, the component compiled in it, to the first line on the disk.
fn first_event(program: &Path, simulator: &Path) -> Result<Line> {
    let simulator = Simulator::start(simulator, &["--days".to_owned(), "0.1".into()])?;
    let mut samples = Vec::new();
    for _ in 1..=RUNS {
        let begun = Instant::now();
        let mut collector = Collector::start(program, WASM, &plain(&simulator))?;
        collector.wait_for(1)?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    let (what, measured) = ("cold start to the first event", Sample::new(samples));
    Ok(Line { what, target: String::new(), measured, unit: "s", holds: true })
}

/// Without TLS, which both sides would spend the same on.
fn plain(simulator: &Simulator) -> Settings {
    ["api_url", "login_url", "resource"]
        .into_iter()
        .fold(Settings::of(simulator), |settings, name| settings.set(name, simulator.ready("http")))
}

fn count(simulator: &Simulator) -> Result<u64> {
    let mut keys = std::collections::HashSet::new();
    simulator.owed(|line| {
        keys.insert(line["key"].as_str().unwrap_or_default().to_owned());
        Ok(())
    })?;
    Ok(keys.len() as u64)
}

/// Connections and requests that the simulator has seen.
fn traffic(simulator: &Simulator) -> Result<(f64, f64)> {
    let report = simulator.report()?;
    let number = |name: &str| report[name].as_f64().context("the simulator counts");
    Ok((number("connections")?, number("requests")?))
}

/// A running collector, and how much of its output has been seen.
struct Collector {
    process: Process,
    output: PathBuf,
    read: Option<File>,
    lines: u64,
    folder: TempDir,
}

impl Collector {
    fn start(program: &Path, words: &[&str], settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let output = folder.path().join("events.ndjson");
        let log = File::create(folder.path().join("log")).context("a file for the log")?;
        let mut command = Command::new(program);
        command.args(words).args(["--progress", "never", "--output"]).arg(&output);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for (name, value) in settings.all(folder.path()) {
            command.env(format!("M365_AUDIT_{}", name.replace('.', "_").to_uppercase()), value);
        }
        let process = Process::start("m365-audit", &mut command)?;
        Ok(Self { process, output, read: None, lines: 0, folder })
    }

    /// Waits until so many lines are there.
    fn wait_for(&mut self, lines: u64) -> Result<()> {
        let mut moved = Instant::now();
        let mut block = vec![0; 1 << 20];
        while self.lines < lines {
            if self.read.is_none() {
                self.read = File::open(&self.output).ok();
            }
            let read = match &mut self.read {
                Some(file) => file.read(&mut block).context("the output")?,
                None => 0,
            };
            self.lines += block[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
            if 0 < read {
                moved = Instant::now();
                continue;
            }
            if let Some(status) = self.process.ended() {
                bail!("m365-audit ended with {status}: {}", self.log());
            }
            if GIVE_UP < moved.elapsed() {
                bail!("only {} of {lines} events came: {}", self.lines, self.log());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn cpu(&self) -> Result<Duration> {
        let cpu = proc::cpu(self.process.id());
        cpu.context("CPU time is read from /proc, which only Linux has")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
