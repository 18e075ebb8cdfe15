//! Finding a compiler for the WASM target: rustup's, else one made from Debian's packages.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};

use super::debian;
use crate::shell::{self, say};

/// The target of components.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Which compiler is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// rustup's if it has the target or can get it, else Debian's.
    #[default]
    Auto,
    /// rustup's or none.
    Rustup,
    /// Debian's or none.
    Debian,
}

impl FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "auto" => Ok(Self::Auto),
            "rustup" => Ok(Self::Rustup),
            "debian" => Ok(Self::Debian),
            _ => Err(anyhow!("{word:?} is no toolchain; allowed: auto, rustup, debian")),
        }
    }
}

/// A compiler that knows [`TARGET`].
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The compiler that compiles everything else.
    Rustup,
    /// This one.
    Debian(PathBuf),
}

impl Toolchain {
    /// Its name, for people.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Rustup => "the Rust toolchain at hand",
            Self::Debian(_) => "a private toolchain from Debian's packages",
        }
    }

    /// Cargo with this compiler.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = shell::cargo(arguments);
        if let Self::Debian(rustc) = self {
            cargo.env("RUSTC", rustc);
        }
        cargo
    }
}

/// Finds a compiler, and gets what is missing.
///
/// # Errors
/// There is none and none can be had, with the reason for each way that was tried.
pub(crate) fn find(choice: Choice) -> Result<Toolchain> {
    let rustup = match choice {
        Choice::Auto | Choice::Rustup => match rustup() {
            Ok(()) => return Ok(Toolchain::Rustup),
            Err(error) => error,
        },
        Choice::Debian => anyhow!("not asked for"),
    };
    if choice == Choice::Rustup {
        return Err(rustup.context("no toolchain for WASM"));
    }
    match debian::toolchain(&cache()?) {
        Ok(rustc) => Ok(Toolchain::Debian(rustc)),
        Err(error) => Err(anyhow!(
            "no toolchain for WASM: rustup: {rustup:#}; Debian: {error:#}; remedy: run `rustup \
             target add {TARGET}` where it has access"
        )),
    }
}

/// Sees to it that the compiler at hand knows the target.
fn rustup() -> Result<()> {
    let sysroot = sysroot()?;
    if sysroot.join("lib/rustlib").join(TARGET).exists() {
        return Ok(());
    }
    say(&format!("$ rustup target add {TARGET}"));
    shell::read(shell::command("rustup").args(["target", "add", TARGET])).map(drop)
}

/// Where the compiler at hand has its libraries.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let path = shell::read(shell::command("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(path.trim()).to_owned())
}

/// Where things are kept that outlive the source tree.
pub(super) fn cache() -> Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let folder = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(folder.join("m365-audit"))
}
