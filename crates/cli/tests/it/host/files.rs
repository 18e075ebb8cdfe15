//! What becomes of the file that `host run` writes to: as with `run`.

use std::fs::{self, OpenOptions};

use m365_audit_test_support::needs::component;
use serde_json::Value;

use crate::support::{Running, World, assert_code, lines, program, text, world};

#[test]
fn what_is_cut_from_the_file_is_told_until_it_is_acknowledged() {
    let Some(component) = component() else { return };
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = (dir.path().join("state.db"), dir.path().join("audit.ndjson"));
    let once = || {
        let mut command = world.host("run", &component);
        command.arg("--once").arg("--db").arg(&db).arg("--output").arg(&path).output().unwrap()
    };
    let state = |words: &[&str]| {
        program("state").arg(words[0]).arg("--db").arg(&db).args(&words[1..]).output().unwrap()
    };
    assert_code(&once(), 0);
    let length = path.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let told = format!("is {length} bytes shorter than what counts as delivered");
    let output = once();
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains(&told), "{}", text(&output.stderr));
    let shown: Value = serde_json::from_slice(&state(&["show", "--json"]).stdout).unwrap();
    assert!(shown[0]["losses"].to_string().contains(&length.to_string()), "{shown}");
    let output = once();
    assert_code(&output, 1);
    assert!(!text(&output.stderr).contains(&told), "{}", text(&output.stderr));
    assert_code(&state(&["acknowledge", "--all"]), 0);
    assert_code(&once(), 0);
}

#[test]
fn a_file_that_is_renamed_is_opened_anew_and_nothing_is_lost() {
    let Some(component) = component() else { return };
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = (dir.path().join("state.db"), dir.path().join("audit.ndjson"));
    let other = dir.path().join("audit.ndjson.1");
    let mut command = world.host("run", &component);
    command.arg("--db").arg(&db).arg("--output").arg(&path);
    let mut running = Running::start(command, dir.path().join("log"));
    running.wait_until("it writes", |_| path.metadata().is_ok_and(|found| found.len() > 0));
    fs::rename(&path, &other).unwrap();
    running.signal("-HUP");
    running.wait_until("it is opened again", |log| log.contains("SIGHUP: the output is open"));
    running.wait_until("all has arrived", |_| {
        let mut all = fs::read(&other).unwrap();
        all.extend(fs::read(&path).unwrap());
        let end = all.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        world.owed().is_subset(&world.keys(lines(&all[..end])))
    });
    running.stop();
    assert!(!running.log().contains("ERROR"), "{}", running.log());
}
