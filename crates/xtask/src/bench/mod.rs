//! `cargo xtask bench`: what the project promises about speed, memory and latency, measured against
//! rivals in the same run. Medians decide; the spread of the runs is shown as the machine's noise.

mod activities;
mod budget;
mod cpu;
#[cfg(feature = "bench")]
mod expand;
mod latency;
mod memory;
#[cfg(feature = "bench")]
mod ndjson;
mod pipeline;
mod tenants;
mod wasm;
mod webhook;

use std::fmt;

use anyhow::{Result, bail};

use crate::shell::{print, say};

/// Runs of everything that is measured several times; odd, so that the median is one of them.
const RUNS: usize = 5;

type Bench = (&'static str, fn() -> Result<Verdict>);

const BENCHES: [Bench; 8] = [
    ("fluent-bit-cpu", cpu::run),
    ("memory", memory::run),
    ("budget", budget::run),
    ("activities", activities::run),
    ("latency", latency::run),
    ("tenants", tenants::run),
    ("webhook", webhook::run),
    ("wasm", wasm::run),
];

/// Those that need other crates.
const EXPAND: &str = "expand";
const NDJSON: &str = "ndjson";

/// How a measurement ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was made.
    Measured(Vec<Line>),
    /// It could not be, and why.
    Skipped(String),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Line {
    what: &'static str,
    target: String,
    measured: Sample,
    unit: &'static str,
    holds: bool,
}

/// Several measurements of the same.
#[derive(Clone, Debug)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(values) = self;
        write!(f, "{:.2}", self.median())?;
        if 1 < values.len() {
            write!(f, " ({:.2} to {:.2}, {} runs)", self.min(), self.max(), values.len())?;
        }
        Ok(())
    }
}

/// Runs one, or all.
///
/// # Errors
/// A target is missed, or something cannot be measured.
pub(crate) fn run(name: Option<&str>) -> Result<()> {
    let known = || BENCHES.iter().map(|(known, _)| *known).chain([EXPAND, NDJSON]);
    if let Some(name) = name
        && !known().any(|known| known == name)
    {
        bail!("no bench {name}: use one of {}", known().collect::<Vec<_>>().join(", "));
    }
    let wanted = |known: &str| name.is_none_or(|name| name == known);
    let mut missed = Vec::new();
    for name in [EXPAND, NDJSON].into_iter().filter(|name| wanted(name)) {
        if let Err(error) = run_with_others(name) {
            say(&format!("{name}: {error:#}"));
            missed.push(name);
        }
    }
    let mut rows = Vec::new();
    for (name, bench) in BENCHES.into_iter().filter(|(name, _)| wanted(name)) {
        say(&format!("=== {name}"));
        match bench() {
            Ok(Verdict::Measured(lines)) => {
                if lines.iter().any(|line| !line.holds) {
                    missed.push(name);
                }
                rows.extend(lines.iter().map(|line| row(name, line)));
            }
            Ok(Verdict::Skipped(why)) => rows.push(format!("{name:16}SKIPPED: {why}")),
            Err(error) => {
                missed.push(name);
                rows.push(format!("{name:16}FAILED: {error:#}"));
            }
        }
    }
    print(&format!("\n{}", rows.join("\n")));
    if !missed.is_empty() {
        bail!("targets are missed by {}; on a busy machine, run it alone again", missed.join(", "));
    }
    Ok(())
}

fn row(name: &str, line: &Line) -> String {
    let Line { what, target, measured, unit, holds } = line;
    let verdict = if *holds { "holds" } else { "MISSED" };
    format!("{name:16}{what:48}{target:>14}  {verdict:7} {measured} {unit}")
}

#[cfg(feature = "bench")]
fn run_with_others(name: &str) -> Result<()> {
    say(&format!("=== {name}"));
    let holds = if name == NDJSON {
        let report = ndjson::run()?;
        print(&report.to_string());
        report.holds()
    } else {
        let report = expand::run()?;
        print(&report.to_string());
        report.holds()
    };
    if !holds {
        bail!("too slow");
    }
    Ok(())
}

/// Runs itself again, with what others wait for in vain.
#[cfg(not(feature = "bench"))]
fn run_with_others(name: &str) -> Result<()> {
    let arguments =
        ["run", "--release", "--package", "xtask", "--features", "bench", "--", "bench", name];
    crate::shell::run(&mut crate::shell::cargo(&arguments))
}
