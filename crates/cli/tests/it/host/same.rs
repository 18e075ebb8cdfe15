//! The component in its host does what `m365-audit run` does, and either goes on from the other's
//! state.

use std::collections::BTreeSet;
use std::fs;

use m365_audit_test_support::needs::component;
use serde_json::Value;

use crate::support::{World, assert_code, files, lines, program, text, world};

#[test]
fn it_writes_what_run_writes_and_shows_no_secret() {
    let Some(component) = component() else { return };
    let world = World::new(world());
    let plain = world.run().arg("--once").output().unwrap();
    assert_code(&plain, 0);
    let dir = tempfile::tempdir().unwrap();
    let hosted = world
        .host("run", &component)
        .args(["--once", "--log-level", "debug", "--db"])
        .arg(dir.path().join("state.db"))
        .output()
        .unwrap();
    assert_code(&hosted, 0);
    let set = |bytes| lines(bytes).map(<[u8]>::to_vec).collect::<BTreeSet<_>>();
    assert!(world.owed().is_subset(&world.keys(lines(&hosted.stdout))));
    assert_eq!(set(&hosted.stdout), set(&plain.stdout));
    assert_eq!(lines(&hosted.stdout).count(), set(&hosted.stdout).len(), "something came twice");
    world.assert_clean("stdout", &hosted.stdout);
    world.assert_clean("stderr", &hosted.stderr);
    for (name, bytes) in files(dir.path()) {
        world.assert_clean(&name, &bytes);
    }
}

#[test]
fn either_goes_on_from_the_others_state() {
    let Some(component) = component() else { return };
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    for (name, order) in [("run-first", [false, true]), ("host-first", [true, false])] {
        let (db, path) = (dir.path().join(name), dir.path().join(format!("{name}.ndjson")));
        let mut before = 0;
        for hosted in order {
            let mut command = if hosted { world.host("run", &component) } else { world.run() };
            let output =
                command.arg("--once").arg("--db").arg(&db).arg("--output").arg(&path).output();
            assert_code(&output.unwrap(), 0);
            let bytes = fs::read(&path).unwrap();
            assert!(world.owed().is_subset(&world.keys(lines(&bytes))), "{name}");
            let count = lines(&bytes).count();
            // Nothing but what was too fresh for the first.
            assert!(before == 0 || count < before + before / 10, "{name}: {before}, {count}");
            before = count;
        }
    }
}

#[test]
fn check_tells_whether_it_would_work_and_starts_nothing() {
    let Some(component) = component() else { return };
    let world = World::new(world());
    let output = world.host("check", &component).output().unwrap();
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("signed in"), "{}", text(&output.stderr));
    assert_eq!(world.microsoft().report().operations.get("start"), None);
    let output = world
        .host("check", &component)
        .env("M365_AUDIT_CLIENT_SECRET", "wr0ng~secret~value")
        .output()
        .unwrap();
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("AADSTS7000215") && stderr.contains("remedy: "), "{stderr}");
    assert!(!stderr.contains("wr0ng"), "{stderr}");
}

#[test]
fn describe_prints_a_schema() {
    let Some(component) = component() else { return };
    let output =
        program("host").arg("describe").arg("--component").arg(component).output().unwrap();
    assert_code(&output, 0);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["name"], "m365-audit");
    for option in ["tenant_id", "certificate", "certificate_algorithm"] {
        assert!(value["config_schema"]["properties"][option].is_object(), "{option}");
    }
}
