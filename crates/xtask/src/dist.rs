//! `cargo xtask dist`: what is released, as an archive with checksums, and what it needs to run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::artifacts::Artifacts;
use crate::component::{self, NO_OPTIMISER};
use crate::shell::{self, print};

/// Files of the workspace that go with the programs.
const DOCUMENTS: [&str; 9] = [
    "LICENSE",
    "README.md",
    "OPERATING.md",
    "CHANGELOG.md",
    "plugins/fluent-bit/README.md",
    "crates/cli/README.md",
    "crates/client/README.md",
    "crates/core/README.md",
    "crates/host/README.md",
];

/// Builds the archive into `dist` of the target directory.
///
/// # Errors
/// Something does not build, or a file is missing.
pub(crate) fn run() -> Result<()> {
    let component = component::build_by_any()?;
    let is_optimised = component.size.optimised.is_some();
    ensure!(is_optimised, "the component would be larger than it has to be: {NO_OPTIMISER}");
    let built = Artifacts::build_with_host(&["m365-sim", "m365-audit"], &component.path)?;
    let plugin = Artifacts::shipped_plugin()?;
    let programs = [built.path("m365-audit")?, built.path("m365-sim")?, &plugin];
    // Fluent Bit's own naming; cargo puts a `lib` before it.
    let shipped = |program: &Path| {
        if program == plugin {
            Path::new("in_m365_audit.so").to_owned()
        } else {
            program.to_owned()
        }
    };
    let release = plugin.parent().context("the plugin is in a folder")?;
    let dist = release.with_file_name("dist");
    let name = format!(
        "m365-audit-{}-{}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    let folder = dist.join(&name);
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("emptying {}", dist.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    for program in programs {
        copy(program, &folder, &shipped(program))?;
    }
    for file in [component.path, shell::root().join("wit/source.wit")] {
        copy(&file, &folder, &file)?;
    }
    for document in DOCUMENTS {
        // Most of them have the same name.
        let flat = document.replace('/', "-");
        copy(&shell::root().join(document), &folder, Path::new(&flat))?;
    }
    let archive = format!("{name}.tar.gz");
    shell::run(shell::command("tar").current_dir(&dist).args(["-czf", &archive, &name]))?;
    let sums = shell::read(shell::command("sha256sum").current_dir(&dist).arg(&archive))?;
    fs::write(dist.join("SHA256SUMS"), &sums).context("SHA256SUMS")?;
    print(&format!("{}\n{}", dist.join(&archive).display(), sums.trim_end()));
    for program in programs {
        let bytes = fs::read(program).with_context(|| program.display().to_string())?;
        let (major, minor) = glibc(&bytes).unwrap_or_default();
        let shipped = shipped(program);
        let name = shipped.file_name().unwrap_or_default().display();
        print(&format!("{name}: {} KiB, needs glibc {major}.{minor}", bytes.len() / 1_024));
    }
    Ok(())
}

fn copy(from: &Path, folder: &Path, name: &Path) -> Result<()> {
    let to = folder.join(name.file_name().context("a file has a name")?);
    fs::copy(from, &to).with_context(|| format!("{} cannot be copied", from.display()))?;
    Ok(())
}

/// The newest version of glibc that symbols of a program ask for.
fn glibc(program: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_";
    let mut newest = None;
    for at in positions(program, MARK) {
        let text = &program[at + MARK.len()..];
        let version = &text[..text.iter().position(|byte| !b"0123456789.".contains(byte))?];
        let mut numbers = std::str::from_utf8(version).ok()?.split('.').map(str::parse::<u32>);
        if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) {
            newest = newest.max(Some((major, minor)));
        }
    }
    newest
}

fn positions<'a>(text: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    text.windows(mark.len()).enumerate().filter(move |(_, found)| *found == mark).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_newest_version_is_needed() {
        let program = b"xx\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0";
        assert_eq!(super::glibc(program), Some((2, 34)));
        assert_eq!(super::glibc(b"static"), None);
    }
}
