//! `cargo xtask options`: option tables and sample configurations, generated from the one table in
//! the core, as `m365-audit options` prints it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::artifacts::Artifacts;
use crate::shell::{self, print};

const BEGIN: &str = "<!-- options:begin -->\n";
const END: &str = "<!-- options:end -->";

/// What is generated, and into which file.
struct Target {
    path: &'static str,
    /// The word for `m365-audit options --format`.
    format: &'static str,
    part: Part,
}

enum Part {
    /// What is between the markers.
    BetweenMarkers,
    Whole,
}

const TARGETS: [Target; 4] = [
    Target { path: "README.md", format: "markdown", part: Part::BetweenMarkers },
    Target { path: "plugins/fluent-bit/README.md", format: "markdown", part: Part::BetweenMarkers },
    Target { path: "examples/m365-audit.toml", format: "toml", part: Part::Whole },
    Target { path: "examples/fluent-bit.yaml", format: "fluent-bit", part: Part::Whole },
];

/// Writes all targets; with `check`, only looks.
///
/// # Errors
/// A file has no markers, or, with `check`, is not up to date.
pub(crate) fn run(check: bool) -> Result<()> {
    let built = Artifacts::build(&["m365-sim", "m365-audit", "in_m365_audit"])?;
    let mut problems = Vec::new();
    for target in TARGETS {
        let mut program = shell::command(built.path("m365-audit")?);
        let generated = shell::read(program.args(["options", "--format", target.format]))?;
        let path = shell::root().join(target.path);
        match apply(&path, &target, &generated, check) {
            Ok(true) if check => problems.push(format!("{} is out of date", target.path)),
            Ok(true) => print(&format!("{}: written", target.path)),
            Ok(false) => print(&format!("{}: up to date", target.path)),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if !problems.is_empty() {
        bail!("{}; run `cargo xtask options` and commit the result", problems.join("; "));
    }
    Ok(())
}

/// Brings a file up to date. Whether it was not.
fn apply(path: &Path, target: &Target, generated: &str, check: bool) -> Result<bool> {
    let found = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(target.path),
    };
    let wanted = match target.part {
        Part::Whole => generated.to_owned(),
        Part::BetweenMarkers => between_markers(&found, generated).with_context(|| {
            format!("{} lacks the lines {} and {END}", target.path, BEGIN.trim_end())
        })?,
    };
    if wanted == found {
        return Ok(false);
    }
    if !check {
        fs::write(path, wanted).context(target.path)?;
    }
    Ok(true)
}

/// `text` with `generated` in place of what is between its markers.
fn between_markers(text: &str, generated: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{generated}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        let new = between_markers(&text, "new\n");
        assert_eq!(new.as_deref(), Some(&*format!("a\n{BEGIN}new\n{END}\nb\n")));
        assert_eq!(between_markers("a\n", "new\n"), None);
        assert_eq!(between_markers(&format!("{END}{BEGIN}"), "new\n"), None);
    }
}
