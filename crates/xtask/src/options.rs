//! `cargo xtask options`: tables of options, metrics and errors, and sample configurations, made
//! from the tables in the core, as `m365-audit options` and `m365-audit errors` print them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::artifacts::Artifacts;
use crate::shell::{self, print};

/// What is generated, and into which file.
struct Target {
    path: &'static str,
    /// The command that prints it.
    command: &'static str,
    /// The word for its `--format`.
    format: &'static str,
    part: Part,
}

enum Part {
    /// What is between the markers of this name.
    Between(&'static str),
    Whole,
}

/// Each table stands in one place: the rest of the documentation refers to it.
const TARGETS: [Target; 12] = [
    target("plugins/fluent-bit/README.md", "options", "markdown", Part::Between("options")),
    target("plugins/fluent-bit/README.md", "options", "metrics", Part::Between("metrics")),
    target("crates/cli/README.md", "options", "sink", Part::Between("sink-options")),
    target("crates/cli/README.md", "options", "output", Part::Between("output-options")),
    target("crates/cli/README.md", "options", "log", Part::Between("log-options")),
    target("crates/host/README.md", "options", "host", Part::Between("host-options")),
    target("crates/cli/README.md", "errors", "markdown", Part::Between("errors")),
    target("crates/cli/README.md", "errors", "events", Part::Between("events")),
    target("examples/m365-audit.toml", "options", "toml", Part::Whole),
    target("examples/fluent-bit.yaml", "options", "fluent-bit", Part::Whole),
    target("examples/monitoring/rules.yaml", "options", "prometheus-rules", Part::Whole),
    target("examples/monitoring/dashboard.json", "options", "grafana", Part::Whole),
];

const fn target(
    path: &'static str,
    command: &'static str,
    format: &'static str,
    part: Part,
) -> Target {
    Target { path, command, format, part }
}

/// Writes all targets; with `check`, only looks.
///
/// # Errors
/// A file has no markers, or, with `check`, is not up to date.
pub(crate) fn run(check: bool) -> Result<()> {
    let built = Artifacts::programs(&["m365-audit"])?;
    let mut problems = Vec::new();
    for target in TARGETS {
        let mut program = shell::command(built.path("m365-audit")?);
        let generated = shell::read(program.args([target.command, "--format", target.format]))?;
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
        Part::Between(name) => {
            let (begin, end) = markers(name);
            between_markers(&found, name, generated).with_context(|| {
                format!("{} lacks the lines {} and {end}", target.path, begin.trim_end())
            })?
        }
    };
    if wanted == found {
        return Ok(false);
    }
    if !check {
        fs::write(path, wanted).context(target.path)?;
    }
    Ok(true)
}

fn markers(name: &str) -> (String, String) {
    (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"))
}

/// `text` with `generated` in place of what is between its markers.
fn between_markers(text: &str, name: &str, generated: &str) -> Option<String> {
    let (begin, end) = markers(name);
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{generated}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let (begin, end) = markers("options");
        let text = format!("a\n{begin}old\n{end}\nb\n");
        let new = between_markers(&text, "options", "new\n");
        assert_eq!(new.as_deref(), Some(&*format!("a\n{begin}new\n{end}\nb\n")));
        assert_eq!(between_markers(&text, "errors", "new\n"), None);
        assert_eq!(between_markers(&format!("{end}{begin}"), "options", "new\n"), None);
    }
}
