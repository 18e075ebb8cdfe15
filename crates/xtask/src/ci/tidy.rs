//! Rules of style that neither rustfmt nor clippy knows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Columns of a line of code.
const COLUMNS_MAX: usize = 100;

/// Words that say that something is not finished, in pieces so that this file may name them.
const UNFINISHED: [&str; 3] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!")];

/// Applies every rule to every source file and manifest.
///
/// # Errors
/// Some line breaks one; all of them are listed.
pub(crate) fn run() -> Result<()> {
    let mut broken = Vec::new();
    for path in sources()? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let shown = shown(&path);
        broken.extend(
            problems(&text).into_iter().map(|(line, why)| format!("{shown}:{line}: {why}")),
        );
    }
    for path in files("*Cargo.toml")? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if text.contains("[package]") && !text.contains("license.workspace = true") {
            broken.push(format!("{}: lacks `license.workspace = true`", shown(&path)));
        }
    }
    if !broken.is_empty() {
        bail!("{} lines to put right:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}

/// What is wrong with a source file, by line.
fn problems(text: &str) -> Vec<(usize, String)> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push((1, "does not open with `//! ` and what the file is for".to_owned()));
    }
    let mut within_text = false;
    for (at, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        // Text is compared, or shown, as it is: it is not broken for the sake of a column.
        let holds_text = within_text || line.contains('"');
        within_text = match within_text {
            true => !line.contains("\"#"),
            false => line.contains("r#\"") && !line.contains("\"#"),
        };
        if COLUMNS_MAX < columns && !holds_text {
            problems.push((at + 1, format!("{columns} columns, more than {COLUMNS_MAX}")));
        }
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
            problems.push((at + 1, format!("{word}: finish it, or open an issue")));
        }
    }
    problems
}

/// Every Rust file of the workspace.
pub(super) fn sources() -> Result<Vec<PathBuf>> {
    files("*.rs")
}

/// Files that are, or are about to be, under version control.
fn files(pattern: &str) -> Result<Vec<PathBuf>> {
    let mut git = shell::command("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]);
    let paths = shell::read(&mut git)?;
    let root = shell::root();
    Ok(paths.lines().map(|path| root.join(path)).filter(|path| path.exists()).collect())
}

fn shown(path: &Path) -> String {
    path.strip_prefix(shell::root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_line() {
        assert_eq!(problems("//! Fine.\nfn main() {}\n"), []);
        let wide = "x".repeat(COLUMNS_MAX + 1);
        let unfinished = UNFINISHED[0];
        let text = format!(
            "fn main() {{}}\n// {unfinished}\n{wide}\nexpect![[r#\"\n{wide}\n\"#]]\n{wide}"
        );
        let lines: Vec<_> = problems(&text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 2, 3, 7]);
    }
}
