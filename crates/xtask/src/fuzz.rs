//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, with the stable compiler and libFuzzer.
//! The crates of this workspace are compiled with its counters, by `tests/fuzz/rustc`; what they
//! depend on is what the tests have compiled. What a machine lacks is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::artifacts::Artifacts;
use crate::ci::Held;
use crate::shell::{self, print, say};

/// Where they are, from the root of the workspace.
const FOLDER: &str = "tests/fuzz";

/// Names a target for their program.
const VARIABLE: &str = "FUZZ_TARGET";

/// libFuzzer as a crate, and what names the file it was compiled to for `tests/fuzz/rustc`.
const ENGINE: &str = "libfuzzer_sys";
const ENGINE_VARIABLE: &str = "M365_AUDIT_FUZZ_ENGINE";

/// What is committed of a corpus: so many inputs, and so many bytes.
const CORPUS_FILES_MAX: usize = 32;
const CORPUS_BYTES_MAX: u64 = 6_000;

/// How long a target runs unless somebody says otherwise.
pub(crate) const SECONDS: u64 = 10;

/// How long one input may take before it counts as a finding.
const TIMEOUT_SECONDS: u32 = 20;

/// Lines of a fuzzer's report that are shown when it has found something.
const REPORT_LINES: usize = 60;

/// One target.
struct Target {
    name: &'static str,
    /// Longest input. Short ones are tried faster, and say the same.
    bytes_max: u32,
}

const fn target(name: &'static str, bytes_max: u32) -> Target {
    Target { name, bytes_max }
}

/// All of them.
const TARGETS: [Target; 12] = [
    target("splitter", 160),
    target("msgpack", 160),
    target("redaction", 120),
    target("ledger", 120),
    target("state", 320),
    target("filters", 96),
    target("envelope", 160),
    target("listings", 160),
    target("certificates", 32),
    target("webhook", 160),
    target("forward", 128),
    target("wit", 256),
];

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    /// Names of targets; none stands for all.
    pub(crate) names: Vec<String>,
    /// How long each of them, unless `runs` says how often.
    pub(crate) seconds: u64,
    /// How many inputs each is given.
    pub(crate) runs: Option<u64>,
    /// Instead of trying inputs: write the committed corpora anew, from those found so far.
    pub(crate) minimise: bool,
}

/// A quick look at each target.
///
/// # Errors
/// See [`run`].
pub(crate) fn check() -> Result<Held> {
    if let Some(why) = missing() {
        return Ok(Held::Skipped(why));
    }
    run(&Options { names: Vec::new(), seconds: SECONDS, runs: None, minimise: false })?;
    Ok(Held::Yes)
}

/// Runs targets, as many at a time as there are processors.
///
/// # Errors
/// There is no such target, the machine lacks something, they do not compile, or one of them has
/// found something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let targets = chosen(&options.names)?;
    if let Some(why) = missing() {
        bail!(why);
    }
    let built = Built::new()?;
    let (next, found) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done =
                if options.minimise { built.minimise(target) } else { built.fuzz(target, options) };
            if let Err(error) = done {
                found.fetch_add(1, Ordering::Relaxed);
                say(&format!("{error:#}"));
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    let found = found.into_inner();
    ensure!(
        found == 0,
        "{found} targets have found something; each says above how to see it again"
    );
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Target>> {
    let unknown = names.iter().find(|name| TARGETS.iter().all(|target| target.name != **name));
    if let Some(unknown) = unknown {
        let all: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    let is_chosen = |target: &&Target| names.is_empty() || names.iter().any(|n| n == target.name);
    Ok(TARGETS.iter().filter(is_chosen).collect())
}

/// What is needed beyond what the tests need and is not there, and what brings it.
fn missing() -> Option<String> {
    let mut compiler = shell::command(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    let works = shell::output(compiler.arg("--version")).is_ok_and(|out| out.status.success());
    (!works).then(|| {
        "no C++ compiler, which libFuzzer needs; `apt-get install g++` brings one".to_owned()
    })
}

/// Targets that were compiled.
struct Built {
    program: PathBuf,
    /// What is not committed: corpora as they grow, and findings.
    work: PathBuf,
}

impl Built {
    fn new() -> Result<Self> {
        let work = shell::target_directory()?.join("fuzz");
        let folder = shell::root().join(FOLDER);
        let engine = Artifacts::library_of(&folder.join("engine"), ENGINE, &work.join("engine"))?;
        let rustc = folder.join("rustc");
        let program = Artifacts::fuzz_targets(&rustc, &[(ENGINE_VARIABLE, &engine)])?;
        Ok(Self { program, work })
    }

    /// The program, for one target.
    fn command(&self, target: &Target) -> Command {
        let mut command = shell::command(&self.program);
        command.env(VARIABLE, target.name);
        command
    }

    /// Where this target's inputs gather, beside those that are committed.
    fn corpora(&self, target: &Target) -> Result<[PathBuf; 2]> {
        let grown = self.work.join("corpus").join(target.name);
        let committed = shell::root().join(FOLDER).join("corpus").join(target.name);
        for folder in [&grown, &committed] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok([grown, committed])
    }

    fn fuzz(&self, target: &Target, options: &Options) -> Result<()> {
        let found = self.work.join("found").join(target.name);
        fs::create_dir_all(&found).with_context(|| found.display().to_string())?;
        let mut program = self.command(target);
        program.arg(format!("-artifact_prefix={}/", found.display()));
        program.arg(format!("-max_len={}", target.bytes_max));
        program.arg(format!("-timeout={TIMEOUT_SECONDS}")).arg("-print_final_stats=1");
        // Weighing what is known by how rare it is took longer than trying more.
        program.arg("-entropic=0");
        match options.runs {
            Some(runs) => program.arg(format!("-runs={runs}")),
            None => program.arg(format!("-max_total_time={}", options.seconds)),
        };
        program.args(self.corpora(target)?);
        let (name, start) = (target.name, Instant::now());
        let output = shell::output(&mut program)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let lines: Vec<_> = said.lines().collect();
            say(&lines[lines.len().saturating_sub(REPORT_LINES)..].join("\n"));
            bail!(
                "{name} has found something ({}); see it again: `{VARIABLE}={name} {} {}/NAME`",
                output.status,
                self.program.display(),
                found.display()
            );
        }
        let seconds = start.elapsed().as_secs_f64();
        let executions = executions(&said).context("libFuzzer says no number of executions")?;
        let rate = f64::from(u32::try_from(executions).unwrap_or(u32::MAX)) / seconds.max(0.001);
        print(&format!("{name:13}{executions:>12} executions {seconds:>7.1} s {rate:>9.0}/s"));
        Ok(())
    }

    /// Keeps of all inputs the few that reach everything the others reach, the smallest first.
    fn minimise(&self, target: &Target) -> Result<()> {
        let [grown, committed] = self.corpora(target)?;
        let merged = self.work.join("merged").join(target.name);
        if merged.exists() {
            fs::remove_dir_all(&merged).with_context(|| merged.display().to_string())?;
        }
        fs::create_dir_all(&merged).with_context(|| merged.display().to_string())?;
        let mut program = self.command(target);
        program.args(["-set_cover_merge=1", "-verbosity=0"]);
        program.args([&merged, &grown, &committed]);
        shell::read(&mut program)?;
        let mut kept: Vec<(u64, PathBuf)> = inputs(&merged)?;
        kept.sort();
        let mut bytes = 0;
        kept.truncate(CORPUS_FILES_MAX);
        kept.retain(|(size, _)| {
            bytes += size;
            bytes <= CORPUS_BYTES_MAX
        });
        for (_, old) in inputs(&committed)? {
            fs::remove_file(&old).with_context(|| old.display().to_string())?;
        }
        for (_, input) in &kept {
            let name = input.file_name().context("an input has a name")?;
            fs::copy(input, committed.join(name)).with_context(|| input.display().to_string())?;
        }
        print(&format!("{:13}{:>6} inputs committed", target.name, kept.len()));
        Ok(())
    }
}

/// The inputs in a folder, with their sizes.
fn inputs(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let size = entry.metadata().with_context(|| entry.path().display().to_string())?.len();
        found.push((size, entry.path()));
    }
    Ok(found)
}

/// How many inputs a fuzzer has tried, by its own account.
fn executions(said: &str) -> Option<u64> {
    let line =
        said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_that_there_are() {
        let path = shell::root().join(FOLDER).join("src/lib.rs");
        let program = fs::read_to_string(path).unwrap();
        for Target { name, .. } in &TARGETS {
            assert!(program.contains(&format!("(\"{name}\", {name}::check)")), "{name}");
        }
        assert_eq!(program.matches("::check)").count(), TARGETS.len());
        assert!(program.contains(VARIABLE));
        assert!(chosen(&["wit".into(), "no such".into()]).is_err());
        assert_eq!(chosen(&["wit".into()]).unwrap().len(), 1);
        assert_eq!(chosen(&[]).unwrap().len(), TARGETS.len());
    }

    #[test]
    fn a_fuzzers_account_is_read() {
        let said = "Done 5 runs\nstat::number_of_executed_units: 1234\nstat::x: 1\n";
        assert_eq!(executions(said), Some(1_234));
        assert_eq!(executions("Done"), None);
    }
}
