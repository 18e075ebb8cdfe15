//! The `try.sh` of each recipe in `examples`, with the programs that it needs, if they are there:
//! it fails unless what arrives is what was published.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fluent_bit_plugin_harness::fluent_bit;
use m365_audit_test_support::needs::skip;

use crate::support::{PATIENCE, program, text};

/// How a script says what it takes beside the programs of this workspace.
const NEEDS: &str = "# Needs:";

/// What this machine has for recipes.
struct Bench {
    simulator: PathBuf,
    fluent_bit: Option<PathBuf>,
    plugin: Option<PathBuf>,
    path: String,
}

impl Bench {
    /// None, and the reason, without the simulator.
    fn new() -> Option<Self> {
        let simulator = Path::new(env!("CARGO_BIN_EXE_m365-audit")).with_file_name("m365-sim");
        if !simulator.is_file() {
            skip("no m365-sim beside the program; `cargo test --workspace` builds it");
            return None;
        }
        // Where daemons are.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let plugin = std::env::var_os("M365_AUDIT_PLUGIN").map(PathBuf::from);
        let bench = Self { simulator, fluent_bit: fluent_bit::look(), plugin, path };
        // With it all of them publish the shapes of records.
        match bench.lacks("curl") {
            Some(curl) => skip(format!("recipes: without {curl}")),
            None => return Some(bench),
        }
        None
    }

    /// What is missing of this.
    fn lacks(&self, need: &str) -> Option<String> {
        let (there, how) = match need.split_once(':') {
            Some(("python3", module)) => (
                self.succeeds("python3", &["-c", &format!("import {module}")]),
                format!("Python's {module}"),
            ),
            Some(("fluent-bit", part)) => {
                (self.has_part(part), format!("a Fluent Bit with its `{part}`"))
            }
            _ => match need {
                "fluent-bit" => (self.fluent_bit.is_some(), "Fluent Bit (FLUENT_BIT)".into()),
                "plugin" => {
                    let how = "in_m365_audit.so (M365_AUDIT_PLUGIN, which `cargo xtask test` sets)";
                    (self.plugin.is_some(), how.into())
                }
                _ => {
                    let found = std::env::split_paths(&self.path).map(|folder| folder.join(need));
                    (found.into_iter().any(|path| path.is_file()), need.into())
                }
            },
        };
        (!there).then_some(how)
    }

    /// Whether Fluent Bit was built with this input or output.
    fn has_part(&self, part: &str) -> bool {
        let help = |path: &PathBuf| Command::new(path).arg("--help").output();
        let told = self.fluent_bit.as_ref().and_then(|path| help(path).ok());
        let is_it = |line: &str| line.split_whitespace().next() == Some(part);
        told.is_some_and(|told| String::from_utf8_lossy(&told.stdout).lines().any(is_it))
    }

    fn succeeds(&self, name: &str, words: &[&str]) -> bool {
        let mut command = Command::new(name);
        command.args(words).env("PATH", &self.path).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Runs a recipe, or says why not.
    fn run(&self, name: &str, script: &Path) {
        let all = fs::read_to_string(script).unwrap();
        let needs = all.lines().find_map(|line| line.strip_prefix(NEEDS));
        let needs = needs.unwrap_or_else(|| panic!("{name}: no line {NEEDS}"));
        let lacks: Vec<_> = needs.split_whitespace().filter_map(|need| self.lacks(need)).collect();
        if !lacks.is_empty() {
            return skip(format!("recipe {name}: without {}", lacks.join(", ")));
        }
        // Without what the environment says to the program.
        let mut command = Command::new("timeout");
        for (variable, _) in program("run").get_envs() {
            command.env_remove(variable);
        }
        command
            .arg(PATIENCE.as_secs().to_string())
            .arg("sh")
            .arg(script)
            .env("PATH", &self.path)
            .env("M365_AUDIT", env!("CARGO_BIN_EXE_m365-audit"))
            .env("M365_SIM", &self.simulator)
            .stdin(Stdio::null());
        command.envs(self.fluent_bit.iter().map(|path| ("FLUENT_BIT", path)));
        command.envs(self.plugin.iter().map(|path| ("M365_AUDIT_PLUGIN", path)));
        let output = command.output().unwrap();
        let (said, told) = (text(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "recipe {name}: {}: {said}{told}", output.status);
        println!("{name}: {}", said.lines().last().unwrap_or_default());
    }
}

/// Runs all recipes of a folder.
fn check(folder: &str) {
    let Some(bench) = Bench::new() else { return };
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
    let all = all.canonicalize().unwrap();
    let recipes = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().path());
    let mut recipes: Vec<_> = recipes.filter(|path| path.is_dir()).collect();
    recipes.sort();
    assert!(!recipes.is_empty());
    for recipe in recipes {
        let name = format!("{folder}/{}", recipe.file_name().unwrap().to_str().unwrap());
        assert!(recipe.join("README.md").is_file(), "{name}");
        let script = recipe.join("try.sh");
        match script.is_file() {
            true => bench.run(&name, &script),
            false => skip(format!("recipe {name}: nothing here speaks its protocol")),
        }
    }
}

/// Runs one that is no folder of recipes.
fn check_one(name: &str) {
    let Some(bench) = Bench::new() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    bench.run(name, &script.canonicalize().unwrap().join("try.sh"));
}

#[test]
fn recipes_for_outputs_bring_what_was_published() {
    check("outputs");
}

#[test]
fn recipes_for_shippers_bring_what_was_published() {
    check("shippers");
}

#[test]
fn what_runs_in_pods_brings_what_was_published() {
    check_one("kubernetes");
}

#[test]
fn containers_bring_what_was_published() {
    check_one("containers");
}
