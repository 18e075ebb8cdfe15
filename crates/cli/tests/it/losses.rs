//! What was lost is spoken of until somebody acknowledges it: `state show`, `state acknowledge`,
//! the doctor, the last words of a run and its exit code.

use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};

use m365_audit_client::{DbOptions, Store};
use m365_audit_core::Commit;
use m365_sim::SimConfig;
use serde_json::Value;

use crate::support::{World, assert_code, end, program, signal, text};

fn world() -> World {
    World::new(SimConfig { subscribed: true, ..crate::support::world() })
}

/// As if an earlier run had lost five days of mail.
fn lose(world: &World, db: &Path) {
    let options = DbOptions {
        path: db.into(),
        synchronous: "off".into(),
        journal_mode: "wal".into(),
        exclusive: false,
        server: None,
    };
    let tenant = world.microsoft().tenants()[0].id.to_string();
    let mut store = Store::open(Some(&options), &tenant).unwrap();
    let value = r#"{"feed":"Audit.Exchange","kind":"gap","created":[1735689600000,1736121600000],
        "count":1,"told":1736208000000}"#;
    let changes = [("loss/0000000000000007".to_owned(), Some(value.to_owned()))].into();
    store.commit(Commit { changes }).unwrap();
}

fn state(db: &Path, words: &[&str]) -> Output {
    program("state").args(words).arg("--db").arg(db).output().unwrap()
}

#[test]
fn a_loss_is_spoken_of_until_it_is_acknowledged() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let run = || world.run().arg("--once").arg("--db").arg(&db).output().unwrap();
    assert_code(&run(), 0);
    lose(&world, &db);

    let output = run();
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("1 loss of this state is not acknowledged"), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.contains("losses not acknowledged: 1; see them"), "{last}");

    let show = state(&db, &["show"]);
    assert_code(&show, 0);
    let lost = "LOST 7: Audit.Exchange: 2025-01-01T00:00:00.000Z to 2025-01-06T00:00:00.000Z";
    assert!(text(&show.stdout).contains(lost), "{}", text(&show.stdout));
    assert!(text(&show.stdout).contains("not acknowledged losses: 1 (number 7)"));
    let doctor = |code: i32| {
        let output = world.call(&["doctor"]).arg("--db").arg(&db).output().unwrap();
        assert_code(&output, code);
        String::from_utf8(output.stdout).unwrap()
    };
    let told = doctor(1);
    assert!(told.contains("fail         losses"), "{told}");

    // A list changes nothing.
    assert_code(&state(&db, &["acknowledge"]), 1);
    assert_code(&state(&db, &["acknowledge", "8"]), 1);
    assert_code(&state(&db, &["acknowledge", "--content-type", "output"]), 1);
    let words = ["acknowledge", "7", "--note", "INC-4711", "--by", "me\u{1b}"];
    let done = state(&db, &words);
    assert_code(&done, 0);
    assert!(text(&done.stdout).contains("acknowledged 7: "), "{}", text(&done.stdout));
    assert_code(&run(), 0);
    let show = state(&db, &["show", "--json"]);
    let value: Value = serde_json::from_slice(&show.stdout).unwrap();
    assert_eq!(value[0]["losses_unacknowledged"], 0);
    assert_eq!(value[0]["losses"][0]["acknowledged"]["note"], "INC-4711");
    let show = state(&db, &["show"]);
    assert!(text(&show.stdout).contains(" by me : INC-4711"), "{}", text(&show.stdout));
    let told = doctor(0);
    assert!(told.contains("none that nobody has acknowledged"), "{told}");
}

#[test]
fn losses_can_be_acknowledged_beside_a_collector_at_work() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    assert_code(&world.run().arg("--once").arg("--db").arg(&db).output().unwrap(), 0);
    lose(&world, &db);
    let mut child = world
        .run()
        .arg("--db")
        .arg(&db)
        .args(["--log-level", "info", "--output", "/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut told = String::new();
    let mut read_until = |words: &str| {
        let mut byte = [0];
        while !told.contains(words) {
            assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{told}");
            told.push(char::from(byte[0]));
        }
    };
    read_until("is not acknowledged");
    #[cfg(target_os = "linux")]
    {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert!(core.split_whitespace().skip(4).take(2).all(|limit| limit == "0"), "{core}");
    }
    assert_code(&state(&db, &["acknowledge", "--all"]), 0);
    read_until("1 loss acknowledged, 0 left");
    signal(&child, "-KILL");
    end(&mut child);
}
