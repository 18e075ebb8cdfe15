//! What many tenants in one process cost, against one, over TLS and with the usual limit of open
//! files, on SQLite and on a PostgreSQL; and what a tenant that is answered 429 and 500 all the
//! time does to the others.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{Line, Sample, Verdict};
use crate::artifacts::Artifacts;
use crate::proc;
use crate::shell::{self, Process, say};
use crate::simulator::Simulator;

/// Tenants of the crowds.
const CROWDS: [usize; 3] = [50, 1_000, 2_000];
/// Memory of one tenant more, at the most, and of all.
const KIB_PER_TENANT_MAX: f64 = 100.0;
const MIB_MAX: f64 = 256.0;
/// Threads, however many tenants there are.
const THREADS_MAX: f64 = 16.0;
/// Of a core, when nothing comes.
const IDLE_CORE_MAX: f64 = 0.2;
/// How much later records come than those of one tenant, in percent.
const LAG_GROWTH_MAX: f64 = 10.0;
/// How often each tenant is listed here; for how long nothing comes; and how much is published how
/// far apart to see how late it comes, so that it is spread over more than one listing.
const INTERVAL: &str = "30";
const IDLE: Duration = Duration::from_secs(30);
const PUBLISHED: usize = 40;
const PUBLISHED_EVERY: Duration = Duration::from_millis(1_600);
/// Names a PostgreSQL to measure on as well.
const DATABASE: &str = "M365_AUDIT_BENCH_DB";
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
    let mut lines = crowd(sim, program, None)?;
    match std::env::var(DATABASE) {
        Ok(db) => lines.extend(crowd(sim, program, Some(&db))?),
        Err(_) => say(&format!("PostgreSQL: SKIPPED, because {DATABASE} does not say its URL")),
    }
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
    /// Its state is in `db`, or in a file of its own.
    fn start(
        program: &Path,
        simulator: &Simulator,
        db: Option<&str>,
        interval: &str,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let path = |name: &str| folder.path().join(name);
        let mut text = String::new();
        for (n, tenant) in simulator.tenants().iter().enumerate() {
            let word = |name: &str| tenant[name].as_str().unwrap_or_default();
            text.push_str(&format!(
                "[t{n}]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n",
                word("tenant_id"),
                word("client_id"),
                word("client_secret")
            ));
        }
        fs::write(path("tenants.toml"), text).context("the tenants file")?;
        let url = simulator.ready("https");
        // As a session has it, or a service without a word about it.
        let mut command = shell::command("sh");
        command.args(["-c", "ulimit -Sn 1024 && exec \"$0\" \"$@\""]).arg(program);
        command.arg("run").args(["--metadata", "--progress", "never", "--log-level", "info"]);
        let file = path("state.db");
        for (flag, value) in [
            ("--tenants-file", path("tenants.toml").as_os_str()),
            ("--db", db.map_or(file.as_os_str(), str::as_ref)),
            ("--output", path("audit.ndjson").as_os_str()),
            ("--login-url", url.as_ref()),
            ("--api-url", url.as_ref()),
            ("--ca-file", simulator.ready("ca_file").as_ref()),
            ("--interval-sec", interval.as_ref()),
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

    /// How late records come that are published for these tenants in turn, on average, in seconds.
    fn lag(&mut self, simulator: &Simulator) -> Result<f64> {
        let tenants = simulator.tenants();
        let (mut waiting, mut lags) = (HashMap::new(), Vec::new());
        let begun = Instant::now();
        let mut published = 0;
        while published < PUBLISHED || !waiting.is_empty() {
            ensure!(begun.elapsed() < PATIENCE, "published content never came");
            let due = PUBLISHED_EVERY * u32::try_from(published).unwrap_or(u32::MAX);
            if published < PUBLISHED && due <= begun.elapsed() {
                let tenant = &tenants[published * tenants.len() / PUBLISHED];
                let id = tenant["tenant_id"].as_str().unwrap_or_default();
                let answer = simulator.publish_for(id, "Audit.General")?;
                let content = answer["content_id"].as_str().unwrap_or_default().to_owned();
                waiting.insert(content, Instant::now());
                published += 1;
            }
            for line in self.look()? {
                let line: Value = serde_json::from_slice(&line).context("a line")?;
                let content = line["content_id"].as_str().unwrap_or_default();
                lags.extend(waiting.remove(content).map(|at| at.elapsed().as_secs_f64()));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(lags.iter().sum::<f64>() / lags.len() as f64)
    }

    /// The lines on stderr.
    fn told(&self) -> Result<String> {
        fs::read_to_string(&self.log).context("the log")
    }

    /// Those of them that are errors.
    fn errors(&self) -> Result<usize> {
        Ok(self.told()?.lines().filter(|line| line.contains(" ERROR ")).count())
    }

    /// Ends it. Answers how many commits it had in one transaction, on average.
    fn commits_per_sync(&mut self) -> Result<f64> {
        // Who is stopped in the middle of something says that by its exit code.
        if let Err(error) = self.process.stop(PATIENCE) {
            say(&format!("{error:#}"));
        }
        let told = self.told()?;
        let line = told.lines().rev().find_map(|line| line.split_once("state: "));
        let Some((_, line)) = line else { return Ok(f64::NAN) };
        let numbers = line.split(' ').filter_map(|word| word.parse::<f64>().ok());
        let numbers: Vec<f64> = numbers.collect();
        let [commits, transactions] = numbers[..] else { bail!("{line}") };
        Ok(commits / transactions)
    }
}

fn world(sim: &Path, tenants: usize, noisy: usize, quiet_history: bool) -> Result<Simulator> {
    // About as much for thousands as for fifty.
    let days = if tenants <= CROWDS[0] { "0.5" } else { "0.03" };
    let (days, blobs) = if quiet_history { ("0.05", "0..1") } else { (days, "1") };
    // Whatever is in a database already is of others.
    let seed = u64::from(std::process::id()) * 10_000 + tenants as u64;
    let options = [
        ("--seed", seed.to_string()),
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

/// What was measured of so many tenants.
struct Crowd {
    peak_mib: f64,
    /// When nothing came.
    mib: f64,
    core: f64,
    threads: f64,
    lag: f64,
    /// Errors, and records that came twice.
    faults: f64,
    commits_per_sync: f64,
}

impl Crowd {
    fn measure(sim: &Path, program: &Path, count: usize, db: Option<&str>) -> Result<Self> {
        let simulator = world(sim, count, 0, false)?;
        let mut records = 0;
        simulator.owed(|line| {
            // The collector's default leaves DLP.All out.
            records += usize::from(line["content_type"] != "DLP.All");
            Ok(())
        })?;
        let begun = Instant::now();
        let mut collector = Collector::start(program, &simulator, db, INTERVAL)?;
        collector.wait_for(records)?;
        let arrived = begun.elapsed();
        let id = collector.process.id();
        let cpu = || proc::cpu(id).context("CPU time is read from /proc");
        let spent = cpu()?;
        // Also what begins last is at rest by then.
        thread::sleep(IDLE);
        let before = cpu()?;
        thread::sleep(IDLE);
        let core = (cpu()? - before).as_secs_f64() / IDLE.as_secs_f64();
        let mib = proc::resident(id).context("memory is read from /proc")? as f64 / MIB;
        let threads = fs::read_dir(format!("/proc/{id}/task")).context("its threads")?.count();
        let lag = collector.lag(&simulator)?;
        let peak_mib = proc::peak(id).context("memory is read from /proc")? as f64 / MIB;
        let faults = (collector.errors()? + collector.twice) as f64;
        let commits_per_sync = collector.commits_per_sync()?;
        let threads = threads as f64;
        say(&format!(
            "{count} tenants on {}: {records} records after {arrived:.0?}, {:.2} CPU s; then \
             {core:.3} cores, {mib:.1} MiB (peak {peak_mib:.1}), {threads} threads, lag \
             {lag:.2} s, {faults} errors and records twice, {commits_per_sync:.1} commits in a \
             transaction",
            db.map_or("SQLite", |_| "PostgreSQL"),
            spent.as_secs_f64(),
        ));
        Ok(Self { peak_mib, mib, core, threads, lag, faults, commits_per_sync })
    }

    /// Held against one tenant.
    fn lines(&self, one: &Self, count: usize, store: &str) -> Vec<Line> {
        let is_largest = CROWDS.last() == Some(&count);
        let line = |what: &str, most: Option<f64>, value: f64, unit| Line {
            // A few words, for as long as the program runs.
            what: format!("{what}, {count} tenants, {store}").leak(),
            target: most.map(|most| format!("<= {most}")).unwrap_or_default(),
            measured: Sample::new(vec![value]),
            unit,
            holds: most.is_none_or(|most| value <= most),
        };
        let of_largest = |most: f64| is_largest.then_some(most);
        let per_tenant = (self.mib - one.mib) * 1_024.0 / (count - 1) as f64;
        let growth = (self.lag / one.lag - 1.0) * 100.0;
        vec![
            line("peak memory", of_largest(MIB_MAX), self.peak_mib, "MiB"),
            line("one tenant more", of_largest(KIB_PER_TENANT_MAX), per_tenant, "KiB"),
            line("threads", Some(THREADS_MAX), self.threads, ""),
            line("idle", of_largest(IDLE_CORE_MAX), self.core, "cores"),
            line("lag, to 1", of_largest(LAG_GROWTH_MAX), growth, "%"),
            line("errors, twice", Some(0.0), self.faults, ""),
            line("commits a sync", None, self.commits_per_sync, ""),
        ]
    }
}

/// What one tenant takes, and what many do.
fn crowd(sim: &Path, program: &Path, db: Option<&str>) -> Result<Vec<Line>> {
    let one = Crowd::measure(sim, program, 1, db)?;
    let store = db.map_or("SQLite", |_| "PostgreSQL");
    let mut lines = Vec::new();
    for count in CROWDS {
        lines.extend(Crowd::measure(sim, program, count, db)?.lines(&one, count, store));
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
    let mut collector = Collector::start(program, &simulator, None, "1")?;
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
