//! The hosts of `examples/` collect everything, each once, and go on after a kill.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use m365_sim::SimConfig;

use crate::scene::{Scene, component};
use crate::tools;

/// For a collection on a busy machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a process is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An example, ready to run.
struct Example {
    program: &'static str,
    arguments: Vec<PathBuf>,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Example {
    fn command(&self, scene: &Scene, config: &Path) -> Command {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).arg(config);
        command.arg(scene.file("records.ndjson")).arg(scene.file("state.json"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    fn collect(&self, scene: &Scene, config: &Path) -> String {
        let output = self.command(scene, config).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", output.status);
        said
    }

    /// Runs it until it has written records and state, then kills it.
    fn collect_a_part(&self, scene: &Scene, config: &Path) {
        let mut child =
            self.command(scene, config).stderr(Stdio::null()).spawn().expect("it starts");
        let start = Instant::now();
        let has = |name| scene.file(name).metadata().is_ok_and(|file| 0 < file.len());
        while !(has("records.ndjson") && has("state.json")) {
            assert!(child.try_wait().expect("a child").is_none(), "it ended too soon");
            assert!(start.elapsed() < PATIENCE, "nothing came");
            std::thread::sleep(LOOK_AGAIN);
        }
        child.kill().expect("a child");
        child.wait().expect("a child");
    }

    fn collects_everything_and_goes_on_after_a_kill(&self) {
        let scene = Scene::new(1);
        let config = scene.write_config(2_000);
        let said = self.collect(&scene, &config);
        assert!(said.contains("starting to collect"), "{said}");
        assert_eq!(scene.assert_complete(&scene.file("records.ndjson")), 0, "{said}");
        let before = std::fs::read(scene.file("records.ndjson")).expect("records");
        let said = self.collect(&scene, &config);
        assert!(said.contains("continuing to collect"), "the state is read back: {said}");
        let after = std::fs::read(scene.file("records.ndjson")).expect("records");
        assert!(before == after, "what was delivered came again");

        let scene = Scene::new(2);
        // So slowly that it is killed in the middle.
        self.collect_a_part(&scene, &scene.write_config(120));
        let said = self.collect(&scene, &scene.write_config(2_000));
        assert!(said.contains("continuing to collect"), "{said}");
        scene.assert_complete(&scene.file("records.ndjson"));
    }
}

#[test]
fn python_collects_everything_and_goes_on_after_a_kill() {
    let Some(component) = component() else { return };
    let packages = match tools::python() {
        Ok(packages) => packages,
        Err(why) => return println!("SKIPPED: examples/wasm-python: {why}"),
    };
    let example = Example {
        program: "python3",
        arguments: vec![tools::examples().join("wasm-python/collect.py"), component],
        variables: vec![("PYTHONPATH", packages)],
    };
    example.collects_everything_and_goes_on_after_a_kill();
}

#[test]
fn node_collects_everything_and_goes_on_after_a_kill() {
    let Some(component) = component() else { return };
    let packages = match tools::node() {
        Ok(packages) => packages,
        Err(why) => return println!("SKIPPED: examples/wasm-node: {why}"),
    };
    // Node looks for packages beside the file that imports them, and so does what jco writes.
    let folder = tempfile::tempdir().expect("a folder");
    let modules = packages.join("node_modules");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).expect("a link");
    for file in ["collect.mjs", "package.json"] {
        let from = tools::examples().join("wasm-node").join(file);
        std::fs::copy(from, folder.path().join(file)).expect("a copy");
    }
    let mut npm = Command::new("npm");
    npm.args(["run", "transpile", "--"]).arg(&component).current_dir(folder.path());
    let output = npm.stdin(Stdio::null()).output().expect("npm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let example = Example {
        program: "node",
        arguments: vec![folder.path().join("collect.mjs")],
        variables: vec![],
    };
    example.collects_everything_and_goes_on_after_a_kill();
}

#[test]
fn one_line_of_the_wasmtime_command_collects_a_part() {
    let Some(component) = component() else { return };
    let wasmtime = std::env::var_os("WASMTIME").unwrap_or_else(|| "wasmtime".into());
    if Command::new(&wasmtime).arg("--version").output().is_err() {
        return println!("SKIPPED: examples/wasm-wasmtime-cli: no wasmtime in PATH or WASMTIME");
    }
    // One call ends before it starts subscriptions, whose time has to be stored first.
    let scene = Scene::with(SimConfig { seed: 3, subscribed: true, ..SimConfig::default() });
    let output = Command::new("sh")
        .arg(tools::examples().join("wasm-wasmtime-cli/poll.sh"))
        .arg(component)
        .arg(scene.write_config(2_000))
        .env("WASMTIME", wasmtime)
        .output()
        .expect("sh runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("ok({ndjson: "), "{said}");
    assert!(said.contains("CreationTime"), "no record: {said}");
}
