//! The collector as a command of WASI in the `wasmtime` command: killed again and again, nothing is
//! lost.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use m365_audit_test_support::needs::skip;
use m365_sim::{SimConfig, Span};

use crate::scene::Scene;

const KILLS: usize = 20;

/// For a busy machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a process is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The `wasmtime` command, and the collector as a command, if both are there.
struct Runtime {
    wasmtime: OsString,
    command: PathBuf,
}

impl Runtime {
    fn find() -> Option<Self> {
        let Some(command) = std::env::var_os("M365_AUDIT_COMMAND") else {
            skip("no m365_audit_cli.wasm; `cargo xtask component` builds it (M365_AUDIT_COMMAND)");
            return None;
        };
        let wasmtime = std::env::var_os("WASMTIME").unwrap_or_else(|| "wasmtime".into());
        if Command::new(&wasmtime).arg("--version").output().is_err() {
            skip("m365_audit_cli.wasm: no wasmtime in PATH or WASMTIME");
            return None;
        }
        Some(Self { wasmtime, command: command.into() })
    }

    /// Compiled once: each run would do it again.
    fn compiled(self, folder: &Path) -> Self {
        let compiled = folder.join("command.cwasm");
        let status = Command::new(&self.wasmtime)
            .arg("compile")
            .arg(&self.command)
            .arg("--output")
            .arg(&compiled)
            .status();
        assert!(status.expect("wasmtime runs").success());
        Self { command: compiled, ..self }
    }

    /// Runs it with a folder lent as `state`, which has its configuration.
    fn start(&self, scene: &Scene, output: &Path) -> Child {
        let folder = scene.folder.path().to_str().expect("a path of ASCII");
        let mut command = Command::new(&self.wasmtime);
        command.args(["run", "--allow-precompiled", "-S", "http", "--dir"]);
        command.arg(format!("{folder}::state")).arg(&self.command);
        command.args(["--config", "state/config.json"]);
        let file = File::options().create(true).append(true).open(output);
        command.stdout(file.expect("a file of records"));
        let log = File::options().create(true).append(true).open(scene.file("log"));
        command.stdin(Stdio::null()).stderr(log.expect("a file for its words"));
        command.spawn().expect("wasmtime starts")
    }
}

#[test]
#[allow(clippy::print_stdout)] // What came twice is worth knowing even if it is allowed.
fn twenty_kills_of_the_wasmtime_command_lose_nothing() {
    let Some(runtime) = Runtime::find() else { return };
    let scene = Scene::with(SimConfig {
        seed: 30,
        subscribed: true,
        blobs_per_hour: Span::new(30, 30),
        ..SimConfig::default()
    });
    // So slowly that it is killed in the middle.
    scene.write_config(600);
    let runtime = runtime.compiled(scene.folder.path());
    let output = scene.file("records.ndjson");
    let bytes = || fs::metadata(&output).map_or(0, |metadata| metadata.len());
    let mut while_busy = 0;
    for _ in 0..KILLS {
        let before = bytes();
        let mut child = runtime.start(&scene, &output);
        let start = Instant::now();
        while bytes() <= before + 1 && child.try_wait().expect("a child").is_none() {
            assert!(start.elapsed() < PATIENCE, "{}", said(&scene));
            std::thread::sleep(LOOK_AGAIN);
        }
        while_busy += usize::from(child.try_wait().expect("a child").is_none());
        child.kill().expect("a child");
        child.wait().expect("a child");
    }
    scene.write_config(2_000);
    let status = runtime.start(&scene, &output).wait().expect("a child");
    assert!(status.success(), "{status}: {}", said(&scene));
    // A kill may cut the last line, whose record comes again, on a line of its own.
    let text = fs::read(&output).expect("records");
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let sorted: BTreeSet<&[u8]> = lines.clone().collect();
    let is_cut = |line: &&[u8]| {
        let next = sorted.range::<[u8], _>((Bound::Excluded(*line), Bound::Unbounded)).next();
        next.is_some_and(|next| next.starts_with(line))
    };
    let (cut, whole): (Vec<_>, Vec<_>) = lines.partition(is_cut);
    assert!(cut.len() <= KILLS, "{} lines are cut", cut.len());
    fs::write(&output, whole.join(&b'\n')).expect("records");
    let again = scene.assert_complete(&output);
    println!(
        "{KILLS} kills, {while_busy} while busy: nothing lost, {again} twice, {} cut",
        cut.len()
    );
    assert!(KILLS / 2 <= while_busy, "hardly a kill while it collected: {while_busy}");
    assert!(!scene.file("running").exists(), "it came to its end");
}

fn said(scene: &Scene) -> String {
    fs::read_to_string(scene.file("log")).unwrap_or_default()
}
