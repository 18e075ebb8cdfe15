//! `cargo xtask ci`: everything that has to hold before a change lands. All checks run, whatever
//! the first ones say; what is skipped says why.

mod documents;
mod invariants;
mod one_loop;
mod sizes;
mod tidy;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::shell::{self, print, say};
use crate::{demo, fuzz, layers, options, test};

/// How a check ended when it did not fail.
pub(crate) enum Held {
    /// It holds.
    Yes,
    /// It could not be made, and why.
    Skipped(String),
}

type Check = (&'static str, fn() -> Result<Held>);

/// What is quick and most often broken first.
const CHECKS: [Check; 17] = [
    ("format", || held(shell::run(&mut shell::cargo(&["fmt", "--all", "--check"])))),
    ("tidy", || held(tidy::run())),
    ("documents", || held(documents::check())),
    ("sizes", || held(sizes::run())),
    ("layers", || held(layers::check())),
    ("dependencies", || held(invariants::dependencies())),
    ("one loop", || held(one_loop::run())),
    ("unsafe code", || held(invariants::unsafe_code())),
    ("clippy", clippy),
    ("documentation", documentation),
    ("simulator without its server", sim_alone),
    ("component for wasm32", invariants::wasm),
    ("cargo-deny", deny),
    ("advisories", advisories),
    ("cargo-audit", audit),
    ("generated text", || held(options::run(true))),
    ("fuzz targets", fuzz::check),
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

/// With every feature and what is there for fuzz targets alone, and as users build the programs.
fn clippy() -> Result<Held> {
    let whole = ["--all-targets", "--all-features"];
    for (what, with) in [(&whole[..], &["--cfg", "fuzzing"][..]), (&["--bins"], &[])] {
        let mut cargo = shell::cargo(&["clippy", "--workspace"]);
        shell::run(cargo.args(what).args(["--", "--deny", "warnings"]).args(with))?;
    }
    Ok(Held::Yes)
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

/// Who is let in: licences, sources, bans.
fn deny() -> Result<Held> {
    if let Some(why) = no_cargo_deny() {
        return Ok(Held::Skipped(why));
    }
    held(shell::run(&mut shell::cargo(&["deny", "check", "bans", "licenses", "sources"])))
}

/// What is known against those who are in. Their list is a repository elsewhere, which not every
/// machine reaches.
fn advisories() -> Result<Held> {
    if let Some(why) = no_cargo_deny() {
        return Ok(Held::Skipped(format!("ADVISORIES WERE NOT CHECKED: {why}")));
    }
    let fetched = shell::output(&mut shell::cargo(&["deny", "fetch", "db"]))?;
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr);
        let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason told");
        return Ok(Held::Skipped(format!(
            "ADVISORIES WERE NOT CHECKED: their database cannot be fetched here: {}",
            said.trim()
        )));
    }
    held(shell::run(&mut shell::cargo(&["deny", "check", "--disable-fetch", "advisories"])))
}

/// The same list, read by those who keep it: yanked and abandoned packages as well.
fn audit() -> Result<Held> {
    let is_there = shell::output(&mut shell::cargo(&["audit", "--version"]));
    if !is_there.is_ok_and(|output| output.status.success()) {
        let why = "no cargo-audit; `cargo install --locked cargo-audit` brings it";
        return Ok(Held::Skipped(why.into()));
    }
    let told = shell::output(&mut shell::cargo(&["audit", "--deny", "warnings"]))?;
    let said = String::from_utf8_lossy(&told.stderr);
    match told.status.success() {
        true => Ok(Held::Yes),
        false if said.contains("couldn't fetch advisory database") => Ok(Held::Skipped(
            "ADVISORIES WERE NOT AUDITED: their database cannot be fetched".into(),
        )),
        false => bail!("{}{said}", String::from_utf8_lossy(&told.stdout)),
    }
}

/// Why there is no cargo-deny, if so.
fn no_cargo_deny() -> Option<String> {
    let version = shell::output(&mut shell::cargo(&["deny", "--version"]));
    let is_there = version.is_ok_and(|output| output.status.success());
    (!is_there).then(|| "no cargo-deny; `cargo install --locked cargo-deny` brings it".into())
}
