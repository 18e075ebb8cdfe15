//! `cargo xtask component`: builds the WASM component as it is shipped, says with which toolchain,
//! and how large it is. Also where other commands get the component from.
//!
//! What weighs is seldom what was written: conversions between text and `f64` bring tables of 10 KB
//! each, the derived `Debug` of a large enum is larger than a table of sentences. Look with a build
//! that keeps names (`CARGO_PROFILE_COMPONENT_STRIP=none`) before something is left out.

mod debian;
mod optimise;
mod sections;
mod toolchain;

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::shell::{self, print, say};
pub(crate) use toolchain::{Choice, Toolchain, find, sysroot};

/// A component that is shipped.
#[derive(Debug)]
struct Part {
    /// What Cargo is told, and the name that it gives the file.
    arguments: &'static [&'static str],
    built: &'static str,
    /// The name under which it is shipped, and what it is.
    shipped: &'static str,
    description: &'static str,
}

/// For hosts of the WIT package. A shared library alone, so that link-time optimisation applies.
const SOURCE: Part = Part {
    arguments: &["rustc", "--package", "m365-audit-component", "--lib", "--crate-type", "cdylib"],
    built: "m365_audit_component.wasm",
    shipped: "m365_audit.wasm",
    description: "Collects Microsoft 365 audit records: a source of the WIT package \
                  m365-audit:source",
};

/// For whoever has a runtime and no host.
const COMMAND: Part = Part {
    arguments: &["build", "--package", "m365-audit-command"],
    built: "m365_audit_cli.wasm",
    shipped: "m365_audit_cli.wasm",
    description: "Collects Microsoft 365 audit records: a command of WASI",
};

/// Why it is not optimised, and what to do about it.
pub(crate) const NO_OPTIMISER: &str =
    "there is no jco, which `npm install --global @bytecodealliance/jco` brings";

/// Vector instructions, which every runtime with components has: they find the ends of records.
const FEATURES: &str = "-Ctarget-feature=+simd128";

/// Ciphers and hashes as loops, not unrolled: they run once a sign-in, and code weighs.
const COMPACT: [&str; 2] =
    ["--cfg=aes_backend_soft=\"compact\"", "--cfg=sha2_backend_soft=\"compact\""];

/// What stands between flags in Cargo's variable for them, so that they may hold blanks.
pub(crate) const SEPARATOR: &str = "\x1f";

/// A component that was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its bytes.
    pub(crate) size: Size,
}

/// How large the component is: it is embedded in the command line, and hosts compile it at each
/// start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// As the compiler leaves it.
    pub(crate) raw: u64,
    /// As it is shipped; `None` where there is no optimiser.
    pub(crate) optimised: Option<u64>,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.optimised {
            Some(optimised) => {
                write!(f, "{optimised} bytes, {} before they were optimised", self.raw)
            }
            None => write!(f, "{} bytes, not optimised: {NO_OPTIMISER}", self.raw),
        }
    }
}

/// Builds it and says what came of it.
///
/// # Errors
/// There is no toolchain and none can be had, or it does not compile.
pub(crate) fn run(choice: Choice) -> Result<()> {
    let start = Instant::now();
    let toolchain = find(choice)?;
    let ready = start.elapsed();
    for build in [build, build_command] {
        let Built { path, size } = build(&toolchain)?;
        print(&format!(
            "{}\n{size}; by {}; toolchain ready after {:.0} s, built after {:.0} s",
            path.display(),
            toolchain.name(),
            ready.as_secs_f64(),
            start.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

/// Builds it into `component` of the target directory.
///
/// # Errors
/// It does not compile.
pub(crate) fn build(toolchain: &Toolchain) -> Result<Built> {
    SOURCE.build(toolchain)
}

/// The same of the command.
///
/// # Errors
/// It does not compile.
pub(crate) fn build_command(toolchain: &Toolchain) -> Result<Built> {
    COMMAND.build(toolchain)
}
impl Part {
    fn build(&self, toolchain: &Toolchain) -> Result<Built> {
        let Self { arguments, built, shipped, description } = self;
        say(&format!("Building {shipped} by {} ...", toolchain.name()));
        let target = shell::target_directory()?;
        // Apart from other builds: two compilers that share a folder undo each other's work.
        let folder = target.join("component");
        let work = folder.join("build");
        let mut cargo = toolchain.cargo(arguments);
        cargo.args(["--profile", "component", "--target", toolchain::TARGET]);
        cargo.arg("--target-dir").arg(&work);
        shell::run(cargo.env("CARGO_ENCODED_RUSTFLAGS", flags()))?;
        let built = work.join(toolchain::TARGET).join("component").join(built);
        let made = folder.join(shipped).with_extension("new");
        let optimised = optimise::run(&built, &made)?;
        if !optimised {
            let copied = fs::copy(&built, &made);
            copied.with_context(|| format!("{} cannot be copied", built.display()))?;
        }
        sections::settle(&made, description)?;
        let shipped = folder.join(shipped);
        replace(&made, &shipped)?;
        let optimised = if optimised { Some(bytes(&shipped)?) } else { None };
        let size = Size { raw: bytes(&built)?, optimised };
        say(&format!("{}: {size}.", shipped.display()));
        Ok(Built { path: shipped, size })
    }
}

/// Puts `made` in the place of `shipped`, unless that is the same: what has it inside would be
/// compiled again, which takes minutes.
fn replace(made: &Path, shipped: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let new = read(made)?;
    if fs::read(shipped).is_ok_and(|old| old == new) {
        return fs::remove_file(made).with_context(|| made.display().to_string());
    }
    fs::rename(made, shipped).with_context(|| shipped.display().to_string())
}

/// What the compiler is told. Panics name files: short, and not where this machine keeps them.
fn flags() -> String {
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let remapped = cargo.iter().flat_map(|cargo| hidden(cargo));
    let flags = [FEATURES].into_iter().chain(COMPACT).map(str::to_owned);
    flags.chain(remapped).collect::<Vec<_>>().join(SEPARATOR)
}

/// A crate of a registry is named by its own folder alone: of the rest, each file that can panic
/// would bring 51 bytes along. The last flag that applies counts.
fn hidden(cargo: &Path) -> Vec<String> {
    let registries = fs::read_dir(cargo.join("registry/src")).into_iter().flatten().flatten();
    let mut folders: Vec<_> = registries.map(|registry| (registry.path(), "")).collect();
    folders.sort();
    folders.insert(0, (cargo.to_owned(), "cargo"));
    let flag = |(from, to): (PathBuf, &str)| format!("--remap-path-prefix={}={to}", from.display());
    folders.into_iter().map(flag).collect()
}

/// Builds it by whichever compiler there is.
///
/// # Errors
/// There is none and none can be had, or it does not compile.
pub(crate) fn build_by_any() -> Result<Built> {
    build(&find(Choice::Auto)?)
}

fn bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).with_context(|| path.display().to_string())?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_crates_are_named_by_the_crate() {
        let cargo = tempfile::tempdir().unwrap();
        let (cargo, registry) = (cargo.path(), cargo.path().join("registry/src/index.one"));
        fs::create_dir_all(&registry).unwrap();
        let (all, one) = (cargo.display(), registry.display());
        let prefix = "--remap-path-prefix";
        assert_eq!(hidden(cargo), [format!("{prefix}={all}=cargo"), format!("{prefix}={one}=")]);
        assert_eq!(hidden(&registry).len(), 1, "there is no registry");
    }

    #[test]
    fn a_component_that_is_the_same_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (made, shipped) = (folder.path().join("new"), folder.path().join("shipped"));
        let modified = || fs::metadata(&shipped).unwrap().modified().unwrap();
        fs::write(&made, "one").unwrap();
        replace(&made, &shipped).unwrap();
        let long_ago = std::time::UNIX_EPOCH;
        fs::File::options().append(true).open(&shipped).unwrap().set_modified(long_ago).unwrap();
        fs::write(&made, "one").unwrap();
        replace(&made, &shipped).unwrap();
        assert_eq!(modified(), long_ago);
        assert!(!made.exists());
        fs::write(&made, "two").unwrap();
        replace(&made, &shipped).unwrap();
        assert_eq!(fs::read(&shipped).unwrap(), b"two");
    }
}
