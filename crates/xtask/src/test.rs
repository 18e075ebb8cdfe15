//! `cargo xtask test`: every test there is, and one line that sums up. Tests that skip say why on
//! their output, in a line that begins with [`SKIPPED`]; the end repeats each reason with its
//! count.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::artifacts::Artifacts;
use crate::component::{self, Built, Choice, Toolchain};
use crate::shell::{self, print, say};

/// Worlds of the simulation ring.
const SEEDS: u64 = 2_000;

/// What is tested.
const WHOLE: [&str; 3] = ["--workspace", "--features", "m365-audit/host"];

/// How a test begins the line that says why it did not run.
const SKIPPED: &str = "SKIPPED: ";

/// What is said of tests that Cargo reports as ignored.
const IGNORED: &str = "marked to be ignored";

/// Where tests find the component, and why there is none.
const COMPONENT: &str = "M365_AUDIT_COMPONENT";
const NO_COMPONENT: &str = "M365_AUDIT_NO_COMPONENT";

/// The same of the command, which is built where the `wasmtime` command runs it.
const COMMAND: &str = "M365_AUDIT_COMMAND";

/// What the test programs said, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    /// How many for each reason.
    skipped: BTreeMap<String, u64>,
}

impl Sum {
    fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    fn skip(&mut self, reason: &str, tests: u64) {
        if 0 < tests {
            *self.skipped.entry(reason.to_owned()).or_default() += tests;
        }
    }

    /// What did not run and why, one line a reason.
    fn reasons(&self) -> Vec<String> {
        let tests = |count: u64| if count == 1 { "test" } else { "tests" };
        let line = |(reason, count): (&String, &u64)| {
            format!("{SKIPPED}{count} {}: {reason}", tests(*count))
        };
        self.skipped.iter().map(line).collect()
    }
}

/// Runs everything.
///
/// # Errors
/// Something failed, or could not be built.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    let built = Artifacts::of_tests(&WHOLE)?;
    let twice = Artifacts::compiled(&[&["test", "--no-run"], &WHOLE[..]].concat())?;
    let component = component();
    let Filter { mut sum, mut failures, .. } =
        cargo_test(built.path("in_m365_audit")?, &component)?;
    if let Component::Broken(why) = &component {
        say(why);
        failures.push("the WASM component".to_owned());
        sum.failed += 1;
    }
    if !twice.is_empty() {
        say(&format!(
            "compiled again for `cargo test`, though `cargo build` had built it: {}; `cargo tree \
             --edges features` shows whose features differ",
            twice.join(", ")
        ));
        failures.push("one build".to_owned());
        sum.failed += 1;
    }
    say(&format!("Simulation ring: {SEEDS} worlds"));
    let mut simulation = shell::command(built.path("simulation")?);
    match shell::run(simulation.args(["--seeds", &SEEDS.to_string()])) {
        Ok(()) => sum.passed += 1,
        Err(error) => {
            say(&format!("{error:#}"));
            failures.push("simulation ring".to_owned());
            sum.failed += 1;
        }
    }
    print("");
    for failure in &failures {
        print(&format!("FAILED: {failure}"));
    }
    for reason in sum.reasons() {
        print(&reason);
    }
    if let Component::Built { source, .. } = &component {
        print(&format!("The component: {}.", source.size));
    }
    print(&format!(
        "Took {:.0} s; the ring's {SEEDS} worlds count as one.",
        start.elapsed().as_secs_f64()
    ));
    print(&format!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped()));
    if 0 < sum.failed {
        bail!("{} tests failed; their output is above", sum.failed);
    }
    Ok(())
}

/// The WASM component, for the tests of it.
enum Component {
    Built {
        source: Built,
        command: Option<Built>,
    },
    /// Why it could not be built though there is a compiler: a failure.
    Broken(String),
    /// Why there is no compiler for it: what needs it is skipped.
    Absent(String),
}

fn component() -> Component {
    match component::find(Choice::Auto) {
        Err(why) => Component::Absent(format!("{why:#}")),
        Ok(toolchain) => match build(&toolchain) {
            Ok((source, command)) => Component::Built { source, command },
            Err(why) => Component::Broken(format!("{why:#}")),
        },
    }
}

fn build(toolchain: &Toolchain) -> Result<(Built, Option<Built>)> {
    let source = component::build(toolchain)?;
    let wasmtime = env::var_os("WASMTIME").unwrap_or_else(|| "wasmtime".into());
    let runs = shell::output(shell::command(wasmtime).arg("--version")).is_ok();
    Ok((source, runs.then(|| component::build_command(toolchain)).transpose()?))
}

/// All test programs of the workspace.
fn cargo_test(plugin: &Path, component: &Component) -> Result<Filter> {
    // Tests say on their output that they skip, and only failures' output is shown otherwise.
    let mut cargo = shell::cargo(&["test"]);
    cargo.args(WHOLE).args(["--no-fail-fast", "--", "--show-output"]);
    // Some tests panic on purpose, on threads whose output cannot be hidden.
    cargo.env("RUST_BACKTRACE", "0");
    match component {
        Component::Built { source, command } => {
            cargo.envs(command.iter().map(|command| (COMMAND, &command.path)));
            cargo.env(COMPONENT, &source.path)
        }
        Component::Broken(_) => cargo.env(NO_COMPONENT, "it could not be built"),
        Component::Absent(why) => cargo.env(NO_COMPONENT, why),
    };
    cargo.env("M365_AUDIT_PLUGIN", plugin).stdin(Stdio::null()).stdout(Stdio::piped());
    say(&format!("$ {}", shell::spelled(&cargo)));
    let mut child = cargo.spawn().context("cargo cannot be started")?;
    let stdout = child.stdout.take().context("its output is piped")?;
    let mut filter = Filter::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        if filter.shows(&line) {
            print(&line);
        }
    }
    let status = child.wait().context("cargo test")?;
    // A program that does not compile, or dies of a signal, says no result.
    if !status.success() && filter.sum.failed == 0 {
        filter.failures.push("cargo test, without a failed test: its output above says why".into());
        filter.sum.failed = 1;
    }
    Ok(filter)
}

/// Reads what test programs print: adds up, and hides the output of tests that passed.
#[derive(Debug, Default)]
struct Filter {
    sum: Sum,
    hidden: bool,
    /// Names of tests that failed, to be said again at the end.
    failures: Vec<String>,
    /// The test whose output is being read.
    test: String,
    /// Tests of the present program that will be counted as passed, but said that they skip.
    skipping: BTreeSet<String>,
}

impl Filter {
    /// Takes a line; answers whether it is worth showing.
    fn shows(&mut self, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.hidden = false;
            self.add(result);
            let skipping = u64::try_from(std::mem::take(&mut self.skipping).len());
            self.sum.passed = self.sum.passed.saturating_sub(skipping.unwrap_or_default());
            return true;
        }
        match line.trim_end() {
            "successes:" => self.hidden = true,
            "failures:" => self.hidden = false,
            line => {
                let failed = line.strip_prefix("test ").and_then(|l| l.strip_suffix(" ... FAILED"));
                self.failures.extend(failed.map(str::to_owned));
                let test = line.strip_prefix("---- ").and_then(|l| l.strip_suffix(" stdout ----"));
                if let Some(test) = test {
                    test.clone_into(&mut self.test);
                }
            }
        }
        // A test counts once, by the first reason it gives.
        if self.hidden
            && let Some(reason) = line.strip_prefix(SKIPPED)
            && self.skipping.insert(self.test.clone())
        {
            self.sum.skip(reason.trim_end(), 1);
        }
        !self.hidden && !line.ends_with(" ... ok")
    }

    /// `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    fn add(&mut self, result: &str) {
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.sum.passed += number,
                "failed" => self.sum.failed += number,
                "ignored" => self.sum.skip(IGNORED, number),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up_and_skips_are_told_apart() {
        let output = "\
running 5 tests
test a ... ok
test c ... ok
test b ... FAILED

successes:

---- a stdout ----
something else
SKIPPED: no Fluent Bit
SKIPPED: no Fluent Bit

---- c stdout ----
SKIPPED: no Fluent Bit

successes:
    a
    c

failures:

---- b stdout ----
SKIPPED: not so, for it failed
broken

failures:
    b

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s
running 1 test
successes:

---- a stdout ----
SKIPPED: no component

successes:
    a

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.0s";
        let mut filter = Filter::default();
        let shown: Vec<_> = output.lines().filter(|line| filter.shows(line)).collect();
        assert_eq!((filter.sum.passed, filter.sum.failed, filter.sum.skipped()), (1, 1, 4));
        assert_eq!(
            filter.sum.reasons(),
            [
                "SKIPPED: 1 test: marked to be ignored",
                "SKIPPED: 2 tests: no Fluent Bit",
                "SKIPPED: 1 test: no component",
            ]
        );
        assert_eq!(filter.failures, ["b"]);
        let shown = shown.join("\n");
        assert!(shown.contains("broken") && shown.contains("test b ... FAILED"), "{shown}");
        assert!(!shown.contains("test a") && !shown.contains("successes"), "{shown}");
    }
}
