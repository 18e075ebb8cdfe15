//! The programs that a release is built with: from PyPI, of versions and hashes that are pinned, in
//! a folder of their own below the target directory. Nothing on the machine changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::component::sysroot;
use crate::shell::{self, say};

/// Names, versions and hashes, as pip reads them.
const PINNED: &str = include_str!("tools.txt");

/// Where they are, when they are there.
#[derive(Debug)]
pub(super) struct Tools {
    folder: PathBuf,
    /// The folder of the Rust toolchain.
    sysroot: PathBuf,
}

impl Tools {
    /// Installs what is missing below the target directory.
    ///
    /// # Errors
    /// pip cannot have them, or they are not the files that are pinned.
    pub(super) fn install(target: &Path) -> Result<Self> {
        let folder = target.join("dist-tools");
        let this = Self { folder: folder.clone(), sysroot: sysroot()? };
        let marker = folder.join("installed.txt");
        if fs::read_to_string(&marker).is_ok_and(|installed| installed == PINNED) {
            return Ok(this);
        }
        ensure!(
            std::env::consts::ARCH == "x86_64",
            "releases are built on x86_64, for it and for other processors: hashes of tools for \
             other machines are not in crates/xtask/src/dist/tools.txt"
        );
        say(&format!("Installing tools of the release into {} ...", folder.display()));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let list = folder.join("wanted.txt");
        fs::write(&list, PINNED).with_context(|| list.display().to_string())?;
        let mut pip = shell::command("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--root-user-action", "ignore", "--only-binary", ":all:", "--require-hashes"])
            .arg("--target")
            .arg(folder.join("python"))
            .arg("--requirement")
            .arg(&list);
        shell::read(&mut pip)
            .context("the tools of a release cannot be had; Python 3 with pip fetches them")?;
        fs::rename(&list, &marker).with_context(|| marker.display().to_string())?;
        Ok(this)
    }

    /// `cargo-zigbuild`: takes Cargo's commands, and a glibc after the target's name.
    pub(super) fn zigbuild(&self, arguments: &[&str]) -> Command {
        // The same surroundings as Cargo has everywhere else here.
        let cargo = shell::cargo(&[]);
        let mut command = shell::command(self.folder.join("python/bin/cargo-zigbuild"));
        for (name, value) in cargo.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(arguments);
        command.env("CARGO_ZIGBUILD_ZIG_PATH", self.folder.join("python/ziglang/zig"));
        command.env("CARGO_ZIGBUILD_CACHE_DIR", self.folder.join("cache"));
        command.env("ZIG_GLOBAL_CACHE_DIR", self.folder.join("zig"));
        command.env("ZIG_LOCAL_CACHE_DIR", self.folder.join("zig"));
        command
    }

    /// `nfpm`, which writes packages.
    pub(super) fn nfpm(&self) -> Command {
        shell::command(self.folder.join("python/bin/nfpm"))
    }

    /// LLVM's `objcopy` of the Rust toolchain, which knows every processor.
    pub(super) fn objcopy(&self) -> Command {
        let host = format!("lib/rustlib/{}-unknown-linux-gnu/bin", std::env::consts::ARCH);
        let mut command = shell::command(self.sysroot.join(host).join("rust-objcopy"));
        command.env("LD_LIBRARY_PATH", self.sysroot.join("lib"));
        command
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_tool_is_pinned_by_version_and_hash() {
        let lines = super::PINNED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pinned = lines.filter(|line| {
            let hash =
                line.split_once("==").and_then(|(_, rest)| rest.split_once(" --hash=sha256:"));
            hash.is_some_and(|(version, hash)| !version.is_empty() && hash.len() == 64)
        });
        let names: Vec<_> = pinned.filter_map(|line| line.split("==").next()).collect();
        assert_eq!(names, ["ziglang", "cargo-zigbuild", "nfpm"]);
    }
}
