//! `cargo xtask test`: every test there is, and one line that sums up. Says what is skipped and
//! why.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::artifacts::Artifacts;
use crate::component::{self, Choice};
use crate::fluent_bit;
use crate::shell::{self, print, say};

/// Worlds of the simulation ring.
const SEEDS: u64 = 2_000;

/// What the test programs said, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Runs everything.
///
/// # Errors
/// Something failed, or could not be built.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    let built = Artifacts::build(&["m365-sim", "m365-audit", "in_m365_audit", "m365-audit-tests"])?;
    let component = component::find(Choice::Auto).map(|toolchain| component::build(&toolchain));
    let path = component.as_ref().ok().and_then(|built| Some(&*built.as_ref().ok()?.path));
    let Filter { mut sum, mut failures, .. } = cargo_test(built.path("in_m365_audit")?, path)?;
    // Only a machine without a compiler for it skips.
    if let Ok(Err(error)) = &component {
        say(&format!("{error:#}"));
        failures.push("the WASM component".to_owned());
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
    if fluent_bit::find()?.is_none() {
        let remedy = fluent_bit::REMEDY;
        print(&format!("SKIPPED: the tests in real Fluent Bit, for there is none; {remedy}"));
    }
    if let Err(error) = &component {
        print(&format!("SKIPPED: everything with the WASM component: {error:#}"));
    }
    print(&format!(
        "Took {:.0} s; the ring's {SEEDS} worlds count as one.",
        start.elapsed().as_secs_f64()
    ));
    print(&format!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped));
    if 0 < sum.failed {
        bail!("{} tests failed; their output is above", sum.failed);
    }
    Ok(())
}

/// All test programs of the workspace.
fn cargo_test(plugin: &Path, component: Option<&Path>) -> Result<Filter> {
    // Tests say on their output that they skip, and only failures' output is shown otherwise.
    let mut cargo = shell::cargo(&["test", "--workspace", "--features", "m365-audit/host"]);
    cargo.args(["--no-fail-fast", "--", "--show-output"]);
    // Some tests panic on purpose, on threads whose output cannot be hidden.
    cargo.env("RUST_BACKTRACE", "0");
    if let Some(component) = component {
        cargo.env("M365_AUDIT_COMPONENT", component);
    }
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
    /// Tests of the present program that will be counted as passed, but said that they skip.
    skipping: u64,
}

impl Filter {
    /// Takes a line; answers whether it is worth showing.
    fn shows(&mut self, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.hidden = false;
            self.add(result);
            self.sum.passed = self.sum.passed.saturating_sub(self.skipping);
            self.sum.skipped += std::mem::take(&mut self.skipping);
            return true;
        }
        match line.trim_end() {
            "successes:" => self.hidden = true,
            "failures:" => self.hidden = false,
            line => {
                let failed = line.strip_prefix("test ").and_then(|l| l.strip_suffix(" ... FAILED"));
                self.failures.extend(failed.map(str::to_owned));
            }
        }
        if self.hidden && line.starts_with("SKIPPED") {
            self.skipping += 1;
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
                "ignored" => self.sum.skipped += number,
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
running 4 tests
test a ... ok
test b ... FAILED

successes:

---- a stdout ----
SKIPPED: no fluent-bit

successes:
    a
    c

failures:

---- b stdout ----
broken

failures:
    b

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.0s
running 1 test
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.0s";
        let mut filter = Filter::default();
        let shown: Vec<_> = output.lines().filter(|line| filter.shows(line)).collect();
        assert_eq!(filter.sum, Sum { passed: 3, failed: 1, skipped: 2 });
        assert_eq!(filter.failures, ["b"]);
        let shown = shown.join("\n");
        assert!(shown.contains("broken") && shown.contains("test b ... FAILED"), "{shown}");
        assert!(!shown.contains("test a") && !shown.contains("successes"), "{shown}");
    }
}
