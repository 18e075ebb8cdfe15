//! Packages for Debian's and Red Hat's families, as `packaging/nfpm.yaml` of what they package
//! says.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::STAGES;
use super::build::Target;
use super::tools::Tools;
use crate::shell;

/// What a package is made of, and where that is said.
const RECIPES: [&str; 2] = ["crates/cli/packaging", "plugins/fluent-bit/packaging"];

/// Kinds of packages.
const KINDS: [&str; 2] = ["deb", "rpm"];

/// Writes every package into `dist`, from the files of a release in `folder`.
///
/// # Errors
/// A file is missing, or nfpm refuses what is written.
pub(super) fn write(
    tools: &Tools,
    target: Target,
    epoch: &str,
    folder: &Path,
    dist: &Path,
) -> Result<()> {
    for recipe in RECIPES {
        let place = shell::root().join(recipe);
        for kind in KINDS {
            let mut nfpm = tools.nfpm();
            nfpm.current_dir(&place)
                .args(["package", "--config", "nfpm.yaml", "--packager", kind, "--target"])
                .arg(dist)
                .env("SOURCE_DATE_EPOCH", epoch)
                .env("VERSION", env!("CARGO_PKG_VERSION"))
                .env("ARCH", target.package)
                .env("FILES", folder)
                .env("STAGE", dist.join(STAGES));
            shell::read(&mut nfpm).with_context(|| format!("the {kind} of {recipe}"))?;
        }
    }
    Ok(())
}

/// Makes what Debian's packages want of change logs: ours as it is, and one of the package itself,
/// of one entry, which points to ours; both gzipped.
///
/// # Errors
/// They cannot be written.
pub(super) fn change_logs(epoch: &str, stage: &Path) -> Result<()> {
    let ours = fs::read_to_string(shell::root().join("CHANGELOG.md")).context("CHANGELOG.md")?;
    zipped(&stage.join("changelog"), &ours)?;
    let at = format!("@{epoch}");
    let date =
        shell::read(shell::command("date").env("LC_ALL", "C").args(["-u", "-R", "-d", &at]))?;
    for package in ["m365-audit", "fluent-bit-plugin-m365-audit"] {
        let (version, authors) = (env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_AUTHORS"));
        let text = format!(
            "{package} ({version}-1) unstable; urgency=medium\n\n  * See changelog.gz beside this \
             file.\n\n -- {authors} <noreply@m365-audit.invalid>  {}\n",
            date.trim()
        );
        zipped(&stage.join(format!("{package}.changelog")), &text)?;
    }
    Ok(())
}

/// Writes a text, gzipped, without its name and time.
fn zipped(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    shell::read(shell::command("gzip").args(["-n", "-9", "-f"]).arg(path)).map(drop)
}
