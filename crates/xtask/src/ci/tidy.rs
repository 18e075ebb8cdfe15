//! Rules of style that neither rustfmt nor clippy knows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

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
    for path in files(|name| name == "Cargo.toml")? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        // A workspace of its own has nobody to inherit from.
        let is_apart = text.contains("[workspace]");
        let wanted = if is_apart { "license = \"Apache-2.0\"" } else { "license.workspace = true" };
        if text.contains("[package]") && !text.contains(wanted) {
            broken.push(format!("{}: lacks `{wanted}`", shown(&path)));
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
        if line.trim_start().starts_with("#[path") {
            problems.push((at + 1, "a module's file stands where its name says".to_owned()));
        }
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
            problems.push((at + 1, format!("{word}: finish it, or open an issue")));
        }
    }
    problems
}

/// Every Rust file of the workspace.
pub(super) fn sources() -> Result<Vec<PathBuf>> {
    files(|name| Path::new(name).extension().is_some_and(|extension| extension == "rs"))
}

/// Folders that hold what others made.
const FOREIGN: [&str; 2] = ["target", "node_modules"];

/// The workspace's files of such a name. Without git: the sources may lie outside a repository, or
/// in one that is somebody else's.
pub(super) fn files(wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![shell::root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry.with_context(|| folder.display().to_string())?;
            let kind = entry.file_type().with_context(|| entry.path().display().to_string())?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if kind.is_dir() && !name.starts_with('.') && !FOREIGN.contains(&name) {
                folders.push(entry.path());
            } else if kind.is_file() && wanted(name) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no such files below {}", shell::root().display());
    Ok(found)
}

pub(super) fn shown(path: &Path) -> String {
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
            "fn main() {{}}\n// {unfinished}\n{wide}\nexpect![[r#\"\n{wide}\n\"#]]\n{wide}\n#[path = \
             \"elsewhere.rs\"]\nmod tests;"
        );
        let lines: Vec<_> = problems(&text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 2, 3, 7, 8]);
    }
}
