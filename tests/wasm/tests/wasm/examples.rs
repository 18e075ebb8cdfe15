//! The hosts of `examples/` collect everything, each once, and go on after a kill.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use m365_audit_test_support::faults;
use m365_audit_test_support::needs::{component, skip};
use m365_audit_wasm_tests::guest::{RECORDS, Recipe};
use m365_sim::{Fault, FaultPlan, SimConfig};

use crate::scene::Scene;
use crate::tools;

/// For a collection on a busy machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(300);

/// An example, ready to run.
struct Example {
    program: &'static str,
    arguments: Vec<PathBuf>,
    variables: Vec<(&'static str, PathBuf)>,
    /// Where it stands, if it stands there for this test only.
    #[allow(dead_code, reason = "it is there until it is dropped")]
    folder: Option<tempfile::TempDir>,
}

impl Example {
    /// Runs it on files in `folder`.
    fn command(&self, folder: &Path, config: &Path) -> Command {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).arg(config);
        command.arg(folder.join("records.ndjson")).arg(folder.join("state.json"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    fn collect(&self, folder: &Path, config: &Path) -> String {
        let output = self.command(folder, config).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", output.status);
        said
    }

    /// Runs it until it has written records and state, then kills it.
    fn collect_a_part(&self, scene: &Scene, config: &Path) {
        let mut child = self
            .command(scene.folder.path(), config)
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let start = Instant::now();
        let has = |name| scene.file(name).metadata().is_ok_and(|file| 0 < file.len());
        while !(has("records.ndjson") && has("state.json")) {
            assert!(child.try_wait().expect("a child").is_none(), "it ended too soon");
            assert!(start.elapsed() < PATIENCE, "nothing came");
            m365_audit_test_support::pause();
        }
        child.kill().expect("a child");
        child.wait().expect("a child");
    }

    fn collects_everything_and_goes_on_after_a_kill(&self) {
        let scene = Scene::new(1);
        let config = scene.write_config(2_000);
        let said = self.collect(scene.folder.path(), &config);
        assert!(said.contains("starting to collect"), "{said}");
        assert_eq!(scene.assert_complete(&scene.file("records.ndjson")), 0, "{said}");
        let before = std::fs::read(scene.file("records.ndjson")).expect("records");
        let said = self.collect(scene.folder.path(), &config);
        assert!(said.contains("continuing to collect"), "the state is read back: {said}");
        let after = std::fs::read(scene.file("records.ndjson")).expect("records");
        assert!(before == after, "what was delivered came again");

        let scene = Scene::new(2);
        // So slowly that it is killed in the middle.
        self.collect_a_part(&scene, &scene.write_config(120));
        let said = self.collect(scene.folder.path(), &scene.write_config(2_000));
        assert!(said.contains("continuing to collect"), "{said}");
        scene.assert_complete(&scene.file("records.ndjson"));
    }

    fn survives_cut_bodies_and_a_hostile_service(&self) {
        // Each way to cut a body, several times: tokens, listings and blobs.
        let cut = [Fault::Reset, Fault::Truncated, Fault::StallBody].into_iter();
        let cut = cut.fold(FaultPlan::none(), |faults, fault| {
            faults.with_schedule(fault, faults::now_and_then(3, 4))
        });
        for (seed, faults) in [(4, cut), (5, faults::hostile())] {
            let sim = SimConfig { seed, faults, subscribed: true, ..SimConfig::default() };
            let scene = Scene::with(sim);
            let said = self.collect(scene.folder.path(), &scene.write_config(2_000));
            scene.assert_complete(&scene.file("records.ndjson"));
            assert!(!said.contains("trap: "), "no instance was lost: {said}");
            for fault in ["reset", "truncated", "stall_body"] {
                assert!(scene.given(fault) > 0, "{fault} never came");
            }
        }
    }
}

/// The two hosts, each with a component.
#[derive(Clone, Copy)]
enum Language {
    Python,
    Node,
}

impl Language {
    /// The example, ready to run `component`; `None`, and said why, if it cannot be.
    fn example(self, component: PathBuf) -> Option<Example> {
        let (name, packages) = match self {
            Self::Python => ("wasm-python", tools::python()),
            Self::Node => ("wasm-node", tools::node()),
        };
        match packages {
            Ok(packages) => Some(match self {
                Self::Python => python(packages, component),
                Self::Node => node(&packages, &component),
            }),
            Err(why) => {
                skip(format_args!("examples/{name}: {why}"));
                None
            }
        }
    }
}

fn python(packages: PathBuf, component: PathBuf) -> Example {
    Example {
        program: "python3",
        arguments: vec![tools::examples().join("wasm-python/collect.py"), component],
        variables: vec![("PYTHONPATH", packages)],
        folder: None,
    }
}

/// Node looks for packages beside the file that imports them, and so does what jco writes.
fn node(packages: &Path, component: &Path) -> Example {
    let folder = tempfile::tempdir().expect("a folder");
    let modules = packages.join("node_modules");
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).expect("a link");
    for file in ["collect.mjs", "package.json"] {
        let from = tools::examples().join("wasm-node").join(file);
        std::fs::copy(from, folder.path().join(file)).expect("a copy");
    }
    let mut npm = Command::new("npm");
    npm.args(["run", "transpile", "--"]).arg(component).current_dir(folder.path());
    let output = npm.stdin(Stdio::null()).output().expect("npm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Example {
        program: "node",
        arguments: vec![folder.path().join("collect.mjs")],
        variables: vec![],
        folder: Some(folder),
    }
}

#[test]
fn python_collects_everything_and_goes_on_after_a_kill() {
    let Some(example) = component().and_then(|path| Language::Python.example(path)) else { return };
    example.collects_everything_and_goes_on_after_a_kill();
}

#[test]
fn node_collects_everything_and_goes_on_after_a_kill() {
    let Some(example) = component().and_then(|path| Language::Node.example(path)) else { return };
    example.collects_everything_and_goes_on_after_a_kill();
}

#[test]
fn python_survives_cut_bodies_and_a_hostile_service() {
    let Some(example) = component().and_then(|path| Language::Python.example(path)) else { return };
    example.survives_cut_bodies_and_a_hostile_service();
}

#[test]
fn node_survives_cut_bodies_and_a_hostile_service() {
    let Some(example) = component().and_then(|path| Language::Node.example(path)) else { return };
    example.survives_cut_bodies_and_a_hostile_service();
}

#[test]
fn python_goes_on_with_a_fresh_instance_after_a_trap() {
    goes_on_with_a_fresh_instance(Language::Python);
}

#[test]
fn node_goes_on_with_a_fresh_instance_after_a_trap() {
    goes_on_with_a_fresh_instance(Language::Node);
}

/// A failure whose cause is the last one, `state-required`, and which says nothing.
const STATE_REQUIRED: &str = "(memory.fill (i32.const 1024) (i32.const 0) (i32.const 64))
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store8 offset=4 (i32.const 1024) (i32.const 5))
    (return (i32.const 1024))";

/// Components that fail on every third call of an instance: what each answer held is in the
/// output once, nothing is missing, and half a line of an earlier life harms nobody.
#[track_caller]
fn goes_on_with_a_fresh_instance(language: Language) {
    for failure in ["unreachable", STATE_REQUIRED] {
        let misbehaviour =
            format!("(if (i32.eq (local.get $calls) (i32.const 3)) (then {failure}))");
        let guest = Recipe { misbehaviour: &misbehaviour, ..Recipe::default() }.make();
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("guest.wasm"), guest).expect("a file");
        std::fs::write(file("config.json"), "{}").expect("a file");
        std::fs::write(file("records.ndjson"), "{\"n\":00").expect("a file");
        let Some(example) = language.example(file("guest.wasm")) else { return };
        let said = example.collect(folder.path(), &file("config.json"));
        let records = std::fs::read_to_string(file("records.ndjson")).expect("records");
        let expected: String = (0..RECORDS).map(|n| format!("{{\"n\":{n:04}}}\n")).collect();
        assert_eq!(records, format!("{{\"n\":00\n{expected}"), "{said}");
    }
    // Nobody waits for ever for one that can do nothing else.
    let guest = Recipe { misbehaviour: "unreachable", ..Recipe::default() }.make();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guest.wasm");
    std::fs::write(&path, guest).expect("a file");
    std::fs::write(folder.path().join("config.json"), "{}").expect("a file");
    let Some(example) = language.example(path) else { return };
    let output = example.command(folder.path(), &folder.path().join("config.json")).output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let traps = said.lines().filter(|line| line.starts_with("trap: ")).count();
    assert_eq!((output.status.code(), traps), (Some(1), 5), "{said}");
}

#[test]
fn one_line_of_the_wasmtime_command_collects_a_part() {
    let Some(component) = component() else { return };
    let wasmtime = std::env::var_os("WASMTIME").unwrap_or_else(|| "wasmtime".into());
    if Command::new(&wasmtime).arg("--version").output().is_err() {
        return skip("examples/wasm-wasmtime-cli: no wasmtime in PATH or WASMTIME");
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
