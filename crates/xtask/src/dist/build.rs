//! Building what is shipped for one processor: for the oldest glibc, checked, stripped, with what a
//! debugger needs beside it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::elf::{BASELINE, Elf, Machine, Shown};
use super::tools::Tools;
use crate::artifacts::{Artifacts, BUILTIN_VARIABLE};
use crate::component::SEPARATOR;
use crate::shell::{self, print, say};

/// A processor, by all its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Ours, and Rust's.
    pub(super) name: &'static str,
    pub(super) triple: &'static str,
    machine: Machine,
    /// Go's, which nfpm turns into those of the kinds of packages.
    pub(super) package: &'static str,
}

/// What is built for. What runs on this machine comes first where it is this machine's.
pub(super) const TARGETS: [Target; 2] = [
    Target {
        name: "x86_64",
        triple: "x86_64-unknown-linux-gnu",
        machine: Machine::X86_64,
        package: "amd64",
    },
    Target {
        name: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        machine: Machine::Aarch64,
        package: "arm64",
    },
];

/// Names that are shipped, and what Cargo calls them. The plugin has Fluent Bit's own naming; Cargo
/// puts a `lib` before it.
const FILES: [(&str, &str); 3] =
    [("in_m365_audit.so", PLUGIN), ("m365-audit", "m365-audit"), ("m365-sim", "m365-sim")];

/// What Cargo calls the plugin.
const PLUGIN: &str = "in_m365_audit";

/// The programs and the plugin as linkers write them, each by the name under which it is shipped.
pub(super) type Built = BTreeMap<&'static str, PathBuf>;

/// What somebody has built before, in a folder, under the names that are shipped.
pub(super) fn found(folder: &Path) -> Built {
    FILES.iter().map(|(name, _)| (*name, folder.join(name))).collect()
}

/// Builds everything for one processor.
///
/// # Errors
/// Something does not build.
pub(super) fn run(tools: &Tools, target: Target, component: &Path, epoch: &str) -> Result<Built> {
    add_to_toolchain(target)?;
    let place = shell::target_directory()?.join("dist-build");
    let (major, minor) = BASELINE;
    let triple = format!("{}.{major}.{minor}", target.triple);
    let cargo = |arguments: &[&str]| {
        let mut cargo = tools.zigbuild(arguments);
        cargo.args(["--locked", "--release", "--target", &triple, "--target-dir"]).arg(&place);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&place)).env("CFLAGS", c_flags(&place));
        cargo.env("SOURCE_DATE_EPOCH", epoch);
        cargo
    };
    say(&format!("Building the plugin for {triple} ..."));
    // A shared library alone, so that link-time optimisation applies.
    let mut plugin = cargo(&["rustc", "--package", PLUGIN, "--lib", "--crate-type", "cdylib"]);
    let plugin = Artifacts::of_command(&mut plugin)?;
    say(&format!("Building programs with wasmtime for {triple}, which takes some minutes ..."));
    let mut programs = cargo(&["zigbuild", "--features", "m365-audit/host"]);
    programs.args(["--package", "m365-audit", "--package", "m365-sim"]);
    let programs = Artifacts::of_command(programs.env(BUILTIN_VARIABLE, component))?;
    let path = |cargos| if cargos == PLUGIN { &plugin } else { &programs }.path(cargos);
    FILES.iter().map(|(name, cargos)| Ok((*name, path(cargos)?.to_owned()))).collect()
}

/// Checks what was built and writes it into `folder` as it is shipped, and what debuggers need into
/// `debug`; both folders exist.
///
/// # Errors
/// Something is not to be shipped.
pub(super) fn ship(
    tools: &Tools,
    target: Target,
    all: &Built,
    folder: &Path,
    debug: &Path,
) -> Result<()> {
    for (name, built) in all {
        check(name, built, target).with_context(|| format!("{name} for {}", target.name))?;
        let shipped = folder.join(name);
        strip(tools, built, &shipped, &debug.join(format!("{name}.debug")))?;
        // What is shipped, not what it was made of.
        let needs = check(name, &shipped, target).with_context(|| format!("{name}, stripped"))?;
        ensure!(needs.stripped, "{name} has symbols left");
        let (size, unstripped) = (kibibytes(&shipped)?, kibibytes(built)?);
        print(&format!(
            "{} {name}: {size} KiB ({unstripped} with symbols), needs glibc {}",
            target.name,
            Shown(needs.glibc)
        ));
    }
    Ok(())
}

/// Sees to it that the toolchain has the target's standard library.
fn add_to_toolchain(target: Target) -> Result<()> {
    if crate::component::sysroot()?.join("lib/rustlib").join(target.triple).exists() {
        return Ok(());
    }
    say(&format!("$ rustup target add {}", target.triple));
    let added = shell::read(shell::command("rustup").args(["target", "add", target.triple]));
    added.map(drop).with_context(|| format!("no standard library for {}", target.triple))
}

/// Reads a file and holds what it asks for against what is promised.
fn check(name: &str, path: &Path, target: Target) -> Result<Elf> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let elf = Elf::read(&bytes)?;
    elf.check(target.machine, BASELINE)?;
    if Path::new(name).extension().is_some_and(|extension| extension == "so") {
        elf.check_plugin()?;
    }
    Ok(elf)
}

/// Writes a file without symbols, which names the one that has them.
fn strip(tools: &Tools, built: &Path, shipped: &Path, debug: &Path) -> Result<()> {
    let objcopy = |arguments: &[&str], from: &Path, to: &Path| {
        let folder = debug.parent().context("a folder of debug files")?;
        shell::read(tools.objcopy().current_dir(folder).args(arguments).arg(from).arg(to)).map(drop)
    };
    objcopy(&["--only-keep-debug"], built, debug)?;
    let name = debug.file_name().context("a file has a name")?.to_string_lossy();
    let link = format!("--add-gnu-debuglink={name}");
    objcopy(&["--strip-all", &link], built, shipped)
}

fn kibibytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).with_context(|| path.display().to_string())?.len() / 1_024)
}

/// Folders of this machine, and what the files that are shipped say in their place: the same
/// wherever they are built. Where one folder lies in another, the last one counts.
fn hidden(place: &Path) -> Vec<(PathBuf, &'static str)> {
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let cargo = cargo.map(|cargo| (cargo, "/cargo"));
    let own = [(shell::root(), "/m365-audit"), (place.to_owned(), "/build")];
    cargo.into_iter().chain(own).collect()
}

fn rust_flags(place: &Path) -> String {
    let flags = hidden(place).into_iter();
    let flags =
        flags.map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display()));
    flags.collect::<Vec<_>>().join(SEPARATOR)
}

fn c_flags(place: &Path) -> String {
    let flags = hidden(place).into_iter();
    let flags =
        flags.map(|(folder, name)| format!("-ffile-prefix-map={}={name}", folder.display()));
    flags.collect::<Vec<_>>().join(" ")
}
