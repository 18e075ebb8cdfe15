//! What Cargo builds for other commands: programs and the plugin, and where they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{self, say};

/// Names the component to build into the command line.
pub(crate) const BUILTIN_VARIABLE: &str = "M365_AUDIT_BUILTIN_COMPONENT";

/// Names what Cargo compiles the crates of a workspace with, but not their dependencies.
const RUSTC_VARIABLE: &str = "RUSTC_WORKSPACE_WRAPPER";

/// Files that were built, by the name of their target.
#[derive(Debug)]
pub(crate) struct Artifacts(BTreeMap<String, PathBuf>);

impl Artifacts {
    /// Builds programs as the tests have them, so that both share every dependency.
    ///
    /// Features are resolved for the whole workspace, as for the tests: what Cargo unifies for a
    /// few packages alone would be compiled again for the others.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn programs(names: &[&str]) -> Result<Self> {
        let bins = names.iter().flat_map(|name| ["--bin", name]);
        Self::said(names, ["build", "--workspace"].into_iter().chain(bins).collect())
    }

    /// Builds packages in the same profile: for the plugin, which is no program.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn packages(names: &[&str]) -> Result<Self> {
        let packages = names.iter().flat_map(|name| ["--package", name]);
        Self::said(names, ["build"].into_iter().chain(packages).collect())
    }

    /// Everything that `cargo test` with these arguments will run or start: what Cargo builds for
    /// both is the same, but that here shared libraries are built too.
    ///
    /// # Errors
    /// Something does not compile.
    pub(crate) fn of_tests(arguments: &[&str]) -> Result<Self> {
        Self::said(&["all tests"], [&["build", "--all-targets"], arguments].concat())
    }

    /// What Cargo compiles for these arguments, though all of it was to be built before.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn compiled(arguments: &[&str]) -> Result<Vec<String>> {
        Ok(messages(&mut shell::cargo(arguments))?.iter().filter_map(compiled).collect())
    }

    fn said(names: &[&str], arguments: Vec<&str>) -> Result<Self> {
        say(&format!("Building {} ...", names.join(", ")));
        let start = Instant::now();
        let built = Self::of(&arguments)?;
        say(&format!("Built in {:.0} s.", start.elapsed().as_secs_f64()));
        Ok(built)
    }

    /// Builds packages in the release profile, with Cargo's progress on stderr.
    ///
    /// One build for all of them: separate ones may choose other features and compile twice.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn released(packages: &[&str]) -> Result<Self> {
        let packages: Vec<&str> = packages.iter().flat_map(|name| ["--package", name]).collect();
        Self::said(&["in the release profile"], [&["build", "--release"][..], &packages].concat())
    }

    /// The same with `m365-audit host`, and `component` inside.
    ///
    /// # Errors
    /// Something does not compile.
    pub(crate) fn build_with_host(packages: &[&str], component: &Path) -> Result<Self> {
        say(
            "Building with wasmtime (release profile), which takes some minutes the first time ...",
        );
        let mut arguments = vec!["build", "--release", "--features", "m365-audit/host"];
        arguments.extend(packages.iter().flat_map(|package| ["--package", package]));
        Self::of_with(&arguments, &[(BUILTIN_VARIABLE, component)])
    }

    /// The plugin as it is shipped: a shared library alone, so that link-time optimisation applies.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn shipped_plugin() -> Result<PathBuf> {
        say("Building in_m365_audit as it is shipped ...");
        let arguments =
            ["rustc", "--release", "--package", "in_m365_audit", "--lib", "--crate-type", "cdylib"];
        Self::of(&arguments)?.path("in_m365_audit").map(Path::to_owned)
    }

    /// The program of the fuzz targets, whose crates (not their dependencies) are compiled by
    /// `rustc`, which these variables are for.
    ///
    /// # Errors
    /// Something does not compile.
    pub(crate) fn fuzz_targets(rustc: &Path, variables: &[(&str, &Path)]) -> Result<PathBuf> {
        say("Building the fuzz targets ...");
        let mut arguments = vec!["build", "--workspace", "--bin", "fuzz"];
        arguments.extend(["--features", "m365-audit/host,m365-audit-fuzz/targets"]);
        let variables = [variables, &[(RUSTC_VARIABLE, rustc)]].concat();
        Self::of_with(&arguments, &variables)?.path("fuzz").map(Path::to_owned)
    }

    /// A library that the package in `folder`, which is a workspace of its own, depends on.
    ///
    /// # Errors
    /// Something does not compile.
    pub(crate) fn library_of(folder: &Path, name: &str, target: &Path) -> Result<PathBuf> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.to_str().context("the path of the workspace is no UTF-8")?;
        let arguments = ["build", "--locked", "--manifest-path", manifest];
        Self::of_with(&arguments, &[("CARGO_TARGET_DIR", target)])?
            .path(&format!("{name}.rlib"))
            .map(Path::to_owned)
    }

    fn of(arguments: &[&str]) -> Result<Self> {
        Self::of_with(arguments, &[])
    }

    fn of_with(arguments: &[&str], variables: &[(&str, &Path)]) -> Result<Self> {
        let mut cargo = shell::cargo(arguments);
        Self::of_command(cargo.envs(variables.iter().copied()))
    }

    /// What a command of Cargo's builds, or of a program that passes everything on to it.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn of_command(cargo: &mut Command) -> Result<Self> {
        Ok(Self(messages(cargo)?.iter().filter_map(artifact).collect()))
    }

    /// The executable or shared library of a target.
    ///
    /// # Errors
    /// It was not built.
    pub(crate) fn path(&self, target: &str) -> Result<&Path> {
        let path = self.0.get(target).map(PathBuf::as_path);
        path.with_context(|| format!("Cargo built no {target}; is its package in the list?"))
    }
}

/// Runs Cargo, with its progress on stderr. Answers what it tells programs.
fn messages(cargo: &mut Command) -> Result<Vec<Value>> {
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = shell::output(cargo)?;
    if !output.status.success() {
        bail!(
            "`{}` failed; its output above says why. On a new machine a C compiler is needed too: \
             apt-get install gcc",
            shell::spelled(cargo)
        );
    }
    let messages = String::from_utf8(output.stdout).context("Cargo's messages")?;
    let message = |line| serde_json::from_str(line).context("a message of Cargo's");
    messages.lines().map(message).collect()
}

/// What a message says was compiled just now.
fn compiled(message: &Value) -> Option<String> {
    let target = &message["target"];
    let name = target["name"].as_str()?;
    let kind = target["kind"][0].as_str()?;
    (message["fresh"] == false).then(|| format!("{name} ({kind})"))
}

/// The name and the file of an executable or shared library, or of a library with its ending; a
/// program's own tests are not it.
fn artifact(message: &Value) -> Option<(String, PathBuf)> {
    if message["profile"]["test"] == true {
        return None;
    }
    let name = message["target"]["name"].as_str()?.to_owned();
    if let Some(executable) = message["executable"].as_str() {
        return Some((name, executable.into()));
    }
    let is_cdylib = message["target"]["crate_types"].as_array()?.iter().any(|t| t == "cdylib");
    let files = || message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(library) = files().find(|file| is_cdylib && file.ends_with(".so")) {
        return Some((name, library.into()));
    }
    let library = files().find(|file| file.ends_with(".rlib"))?;
    Some((name + ".rlib", library.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_built_before_is_fresh() {
        let message = |fresh: bool| {
            let target = json!({"name": "wasmtime", "kind": ["lib"]});
            json!({"reason": "compiler-artifact", "target": target, "fresh": fresh})
        };
        assert_eq!(compiled(&message(true)), None);
        assert_eq!(compiled(&message(false)).as_deref(), Some("wasmtime (lib)"));
        assert_eq!(compiled(&json!({"reason": "build-finished", "success": true})), None);
    }
}
