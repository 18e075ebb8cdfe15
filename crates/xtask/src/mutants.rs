//! `cargo xtask mutants`: what decides about data is changed, one small change at a time, and the
//! tests have to notice each. Runs cargo-mutants; knows only which files decide.
//!
//! A change that no test notices needs a test, or an entry in `.cargo/mutants.toml` that says why
//! it changes nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::{self, print, say};

/// Files of one package that decide about data, and the tests that have to notice.
struct Part {
    name: &'static str,
    package: &'static str,
    /// By how their paths end, wherever they are in the package.
    files: &'static [&'static str],
    /// Which tests, as Cargo is asked for them.
    tests: &'static [&'static str],
}

const PARTS: [Part; 3] = [
    Part {
        name: "sdk",
        package: "fluent-bit-plugin",
        files: &["ledger.rs", "marks.rs", "proof.rs", "trust.rs"],
        tests: &["--lib"],
    },
    Part {
        name: "store",
        package: "m365-audit-client",
        files: &["sqlite.rs", "store/mod.rs"],
        tests: &["--lib"],
    },
    Part {
        name: "core",
        package: "m365-audit-core",
        files: &[
            // What was delivered before, and what is not yet.
            "digest.rs",
            "key.rs",
            "audit/record.rs",
            "revision.rs",
            "seen.rs",
            "ledger.rs",
            // What an answer means.
            "judge.rs",
            // Where a record begins and ends.
            "expand.rs",
            "split.rs",
            // Planning and coverage.
            "interval.rs",
            "retention.rs",
            "plan.rs",
            "relist.rs",
        ],
        tests: &["--lib", "--test", "script"],
    },
];

/// What became of the mutants of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    caught: usize,
    missed: usize,
    timeout: usize,
    unviable: usize,
}

/// Runs the mutants of one part, or of all; with `file`, of the files of that name only.
///
/// # Errors
/// cargo-mutants is not there, or a mutant was not noticed.
pub(crate) fn run(part: Option<&str>, file: Option<&str>) -> Result<()> {
    let mut version = shell::cargo(&["mutants", "--version"]);
    if !shell::output(&mut version).is_ok_and(|output| output.status.success()) {
        bail!("no cargo-mutants; `cargo install --locked cargo-mutants` brings it");
    }
    let chosen = choose(part, file)?;
    let mut lines = Vec::new();
    let mut unnoticed = 0;
    for (part, files) in chosen {
        let output = shell::target_directory()?.join("mutants").join(part.name);
        fs::create_dir_all(&output).with_context(|| output.display().to_string())?;
        let Tally { caught, missed, timeout, unviable } = run_part(part, &files, &output)?;
        unnoticed += missed;
        lines.push(format!(
            "{:6}{caught:>5} noticed  {missed:>4} not noticed  {timeout:>3} timed out  \
             {unviable:>3} not compiled",
            part.name
        ));
    }
    print(&format!("\n{}", lines.join("\n")));
    if 0 < unnoticed {
        bail!("{unnoticed} mutants were not noticed; each is listed above, and needs a test");
    }
    Ok(())
}

/// A part, and the names of its files that are asked for.
type Chosen = (&'static Part, Vec<&'static str>);

fn choose(part: Option<&str>, file: Option<&str>) -> Result<Vec<Chosen>> {
    let is_asked = |asked: Option<&str>, name: &str| asked.is_none_or(|asked| asked == name);
    let parts: Vec<_> = PARTS.iter().filter(|candidate| is_asked(part, candidate.name)).collect();
    if parts.is_empty() {
        let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        bail!("no part {:?}; there are {}", part.unwrap_or_default(), names.join(", "));
    }
    let mut chosen = Vec::new();
    for part in &parts {
        let files = part.files.iter().copied().filter(|name| is_asked(file, name));
        let files: Vec<_> = files.collect();
        if !files.is_empty() {
            chosen.push((*part, files));
        }
    }
    if chosen.is_empty() {
        let names: Vec<_> = parts.iter().flat_map(|part| part.files).copied().collect();
        bail!("no file {:?}; there are {}", file.unwrap_or_default(), names.join(", "));
    }
    Ok(chosen)
}

fn run_part(part: &Part, files: &[&str], output: &Path) -> Result<Tally> {
    let mut cargo = shell::cargo(&["mutants", "--package", part.package]);
    // The tests are short: compiling is what takes the time, so nothing is optimised.
    cargo.args(["--profile", "mutants", "--minimum-test-timeout", "60"]);
    for file in files {
        cargo.arg("--file").arg(format!("**/{file}"));
    }
    for argument in part.tests {
        cargo.arg(format!("--cargo-arg={argument}"));
    }
    cargo.arg("--output").arg(output);
    // It fails when a mutant is not noticed; its lists say which.
    if let Err(error) = shell::run(&mut cargo) {
        say(&format!("{error:#}"));
    }
    tally(&output.join("mutants.out"))
}

/// Counts the lists that cargo-mutants leaves.
fn tally(lists: &Path) -> Result<Tally> {
    let count = |list: &str| -> Result<usize> {
        let path = lists.join(list);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.lines().filter(|line| !line.is_empty()).count())
    };
    Ok(Tally {
        caught: count("caught.txt")?,
        missed: count("missed.txt")?,
        timeout: count("timeout.txt")?,
        unviable: count("unviable.txt")?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn lists_are_counted_by_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        assert!(tally(folder.path()).is_err(), "nothing ran");
        for (list, text) in [
            ("caught.txt", "a\nb\n"),
            ("missed.txt", "c\n"),
            ("timeout.txt", ""),
            ("unviable.txt", "\n"),
        ] {
            fs::write(folder.path().join(list), text).unwrap();
        }
        let expected = Tally { caught: 2, missed: 1, timeout: 0, unviable: 0 };
        assert_eq!(tally(folder.path()).unwrap(), expected);
    }

    #[test]
    fn every_file_is_somewhere_in_its_package() {
        for part in &PARTS {
            let folder = part.package.trim_start_matches("m365-audit-");
            let sources = paths(&shell::root().join("crates").join(folder).join("src"));
            for file in part.files {
                let is_there = sources.iter().any(|source| source.ends_with(file));
                assert!(is_there, "{}: {file}", part.name);
            }
        }
    }

    /// All files below a folder.
    fn paths(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let paths = entries.flat_map(|path| if path.is_dir() { paths(&path) } else { vec![path] });
        paths.collect()
    }

    #[test]
    fn what_is_asked_for_by_a_wrong_name_is_told_the_right_ones() {
        assert_eq!(choose(None, None).unwrap().len(), PARTS.len());
        let one = choose(Some("core"), Some("ledger.rs")).unwrap();
        assert_eq!((one.len(), one[0].1.as_slice()), (1, &["ledger.rs"][..]));
        assert_eq!(choose(None, Some("ledger.rs")).unwrap().len(), 2, "two crates have one");
        let error = choose(Some("ledger"), None).err().unwrap().to_string();
        assert_eq!(error, "no part \"ledger\"; there are sdk, store, core");
        let error = choose(Some("store"), Some("plan.rs")).err().unwrap().to_string();
        assert_eq!(error, "no file \"plan.rs\"; there are sqlite.rs, store/mod.rs");
    }
}
