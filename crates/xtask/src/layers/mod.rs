//! The check *layers*, and `cargo xtask layers`: in each crate a module names only what stands in a
//! lower row, files of a folder name each other in no circle, nobody names the root, nobody inside
//! a folder names its head, and what all sources share knows none of them.
//!
//! It reads the sources as syntax and resolves names no further than `use` items go: what only
//! types lead to (a method of a type of elsewhere) is no import.

mod circles;
mod judge;
mod names;
mod resolve;
mod rows;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use self::judge::{Figures, Findings, Offence, judge};
use self::rows::{CRATES, Layered};
use self::tree::Crate;
use crate::shell::{self, print};

/// Whether an item is compiled for tests only.
pub(crate) fn is_for_tests(item: &syn::Item) -> bool {
    tree::is_for_tests(names::attributes(item))
}

/// Every crate keeps to its rows.
///
/// # Errors
/// One does not, or a list of exceptions names what is none.
pub(crate) fn check() -> Result<()> {
    let mut broken = Vec::new();
    for layered in &CRATES {
        let findings = find(layered)?;
        broken.extend(unexcused(&findings.offences, layered.exceptions, layered.name));
    }
    if !broken.is_empty() {
        bail!("{} imports to put right:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}

/// Shows how each crate stands, or all that is to say of one, whatever is excepted.
///
/// # Errors
/// There is no such crate, or it cannot be read.
pub(crate) fn show(name: Option<&str>) -> Result<()> {
    let shown: Vec<_> =
        CRATES.iter().filter(|layered| name.is_none_or(|name| name == layered.name)).collect();
    ensure!(!shown.is_empty(), "`{}` has no rows", name.unwrap_or_default());
    for layered in shown {
        let Findings { offences, figures } = find(layered)?;
        if name.is_some() {
            offences.iter().for_each(|offence| print(&line(offence, layered.name)));
            figures
                .circles
                .iter()
                .for_each(|files| print(&format!("circle: {}", files.join(", "))));
        }
        print(&summary(layered.name, &figures, offences.len(), layered.exceptions.len()));
    }
    Ok(())
}

fn summary(name: &str, figures: &Figures, offences: usize, exceptions: usize) -> String {
    let Figures { modules, files, imports, against, circles } = figures;
    let circles: Vec<_> = circles.iter().map(|files| format!("{} files", files.len())).collect();
    let circles = match circles.as_slice() {
        [] => "no circle".to_owned(),
        circles => format!("circles of {}", circles.join(", ")),
    };
    format!(
        "{name}: {modules} modules, {files} files, {imports} imports between files, {against} \
         against the direction, {circles}; {offences} offences, {exceptions} excepted"
    )
}

/// What is wrong with a crate.
fn find(layered: &Layered) -> Result<Findings> {
    let folder = shell::root().join("crates").join(layered.name).join("src");
    let mut files = BTreeMap::new();
    read(&folder, &folder, &mut files)?;
    let read = Crate::read(&files).with_context(|| format!("crate {}", layered.name))?;
    Ok(judge(&read, layered))
}

/// Reads the Rust files of a folder, by their paths below `root`.
fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.is_dir() {
            read(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.insert(name, text);
        }
    }
    Ok(())
}

/// Lines on offences that no exception names, and on exceptions that no offence needs.
fn unexcused(offences: &[Offence], exceptions: &[&str], name: &str) -> Vec<String> {
    let keys: BTreeSet<_> = offences.iter().map(Offence::key).collect();
    let unknown = offences.iter().filter(|offence| !exceptions.contains(&&*offence.key()));
    let needless = exceptions.iter().filter(|exception| !keys.contains(**exception)).map(|spare| {
        format!(
            "crates/xtask/src/layers/rows.rs: {name}: take out the exception `{spare}`, which is \
             no offence any more"
        )
    });
    unknown.map(|offence| line(offence, name)).chain(needless).collect()
}

fn line(offence: &Offence, name: &str) -> String {
    let Offence { from, line, text, .. } = offence;
    format!("crates/{name}/src/{from}:{line}: {text}")
}
