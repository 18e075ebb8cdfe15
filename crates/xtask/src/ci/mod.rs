//! `cargo xtask ci`: everything that has to hold before a change lands. All checks run, whatever
//! the first ones say; what is skipped says why.

mod invariants;
mod tidy;

use std::time::Instant;

use anyhow::Result;

use crate::shell::{self, print, say};
use crate::{demo, options, test};

/// How a check ended when it did not fail.
pub(crate) enum Held {
    /// It holds.
    Yes,
    /// It could not be made, and why.
    Skipped(String),
}

type Check = (&'static str, fn() -> Result<Held>);

/// What is quick and most often broken first.
const CHECKS: [Check; 10] = [
    ("format", || held(shell::run(&mut shell::cargo(&["fmt", "--all", "--check"])))),
    ("tidy", || held(tidy::run())),
    ("dependencies", || held(invariants::dependencies())),
    ("unsafe code", || held(invariants::unsafe_code())),
    ("clippy", clippy),
    ("documentation", documentation),
    ("simulator without its server", sim_alone),
    ("core and component for wasm32", invariants::wasm),
    ("cargo-deny", deny),
    ("generated text", || held(options::run(true))),
];

/// The slow ones.
const TESTS: Check = ("tests", || held(test::run()));
const DEMO: Check = ("demo", || held(demo::run(&demo::Options::smoke())));

/// Runs all checks.
///
/// # Errors
/// One failed.
pub(crate) fn run(without_tests: bool) -> Result<()> {
    let tests = (!without_tests).then_some(TESTS);
    let mut lines = Vec::new();
    let mut failed = 0;
    for (name, check) in CHECKS.into_iter().chain(tests).chain([DEMO]) {
        say(&format!("=== {name}"));
        let start = Instant::now();
        let verdict = match check() {
            Ok(Held::Yes) => "ok".to_owned(),
            Ok(Held::Skipped(why)) => format!("SKIPPED: {why}"),
            Err(error) => {
                failed += 1;
                say(&format!("{error:#}"));
                format!("FAILED: {error:#}")
            }
        };
        lines.push(format!("{name:29}{:>6.0} s  {verdict}", start.elapsed().as_secs_f64()));
    }
    print(&format!("\n{}", lines.join("\n")));
    if 0 < failed {
        anyhow::bail!("{failed} checks failed; each says above what to do");
    }
    Ok(())
}

fn held(result: Result<()>) -> Result<Held> {
    result.map(|()| Held::Yes)
}

fn clippy() -> Result<Held> {
    let mut cargo = shell::cargo(&["clippy", "--workspace", "--all-targets", "--all-features"]);
    held(shell::run(cargo.args(["--", "--deny", "warnings"])))
}

fn documentation() -> Result<Held> {
    let mut cargo = shell::cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    cargo.arg("--all-features");
    held(shell::run(cargo.env("RUSTDOCFLAGS", "-Dwarnings")))
}

fn sim_alone() -> Result<Held> {
    held(shell::run(&mut shell::cargo(&[
        "check",
        "--package",
        "m365-sim",
        "--no-default-features",
    ])))
}

fn deny() -> Result<Held> {
    let mut version = shell::cargo(&["deny", "--version"]);
    if !shell::output(&mut version).is_ok_and(|output| output.status.success()) {
        return Ok(Held::Skipped("no cargo-deny; `cargo install cargo-deny` brings it".into()));
    }
    // Advisories need a database from elsewhere.
    held(shell::run(&mut shell::cargo(&["deny", "check", "bans", "licenses", "sources"])))
}
