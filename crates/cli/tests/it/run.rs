//! `m365-audit run` against the simulated service, from outside.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use m365_sim::{SimConfig, Span};
use serde_json::Value;

use crate::support::{World, assert_code, end, files, lines, program, signal, text, world};

/// Within what a signal must end the program.
const PROMPT: Duration = Duration::from_secs(2);

#[test]
fn once_writes_everything_over_http_and_https_and_shows_no_secret() {
    let world = World::new(world());
    for mut command in [world.run(), world.run_over_tls()] {
        let dir = tempfile::tempdir().unwrap();
        let output = command
            .args(["--once", "--log-level", "debug", "--db"])
            .arg(dir.path().join("state.db"))
            .output()
            .unwrap();
        assert_code(&output, 0);
        assert!(world.owed().is_subset(&world.keys(lines(&output.stdout))));
        world.assert_clean("stdout", &output.stdout);
        world.assert_clean("stderr", &output.stderr);
        for (name, bytes) in files(dir.path()) {
            world.assert_clean(&name, &bytes);
        }
    }
}

#[test]
fn an_authority_that_nobody_trusts_is_told_at_once_with_the_remedy() {
    let world = World::new(world());
    let mut command = world.run_over_untrusted_tls();
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = stderr.find(|line| line.contains("first sign-in")).unwrap();
    assert!(told.contains("WARN") && told.contains("set ca_file"), "{told}");
    signal(&child, "-TERM");
    let (status, time) = end(&mut child);
    assert_eq!(status.code(), Some(0));
    assert!(time < PROMPT, "{time:?}");
}

#[test]
fn metadata_wraps_the_record_and_leaves_its_bytes_alone() {
    let world = World::new(world());
    let output = world.run().args(["--once", "--metadata"]).output().unwrap();
    assert_code(&output, 0);
    let mut records = Vec::new();
    for line in lines(&output.stdout) {
        let line = text(line);
        let at = line.find("\"record\":").unwrap() + "\"record\":".len();
        records.push(&line.as_bytes()[at..line.len() - 1]);
        // Not the record: it may hold lone surrogates, which not every parser takes.
        let value: Value = serde_json::from_str(&format!("{}null}}", &line[..at])).unwrap();
        let members: Vec<_> = value.as_object().unwrap().keys().collect();
        let names = ["content_created", "content_id", "content_type", "record", "tenant_id"];
        assert_eq!(members, names);
        assert!(value["content_type"].as_str().unwrap().starts_with("Audit."));
    }
    assert!(world.owed().is_subset(&world.keys(records.into_iter())));
}

#[test]
fn a_file_is_continued_and_half_a_line_is_cut_off() {
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = (dir.path().join("state.db"), dir.path().join("audit.ndjson"));
    fs::write(&path, "{\"from\":\"before\"}\n{\"half\":").unwrap();
    let once = || {
        let mut command = world.run();
        command.arg("--once").arg("--db").arg(&db).arg("--output").arg(&path);
        command.output().unwrap()
    };
    let output = once();
    assert_code(&output, 0);
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("8 bytes were cut off"), "{}", text(&output.stderr));
    let first = fs::read(&path).unwrap();
    let mut all = lines(&first);
    assert_eq!(all.next(), Some(&b"{\"from\":\"before\"}"[..]));
    assert!(world.owed().is_subset(&world.keys(all)));

    assert_code(&once(), 0);
    let second = fs::read(&path).unwrap();
    assert!(second.starts_with(&first));
    let new = lines(&second[first.len()..]).count();
    assert!(new < lines(&first).count() / 10, "{new} lines are written again");
}

#[test]
fn a_signal_ends_a_run_that_goes_on_for_ever() {
    let world = World::new(world());
    for name in ["-TERM", "-INT"] {
        let mut child = world.run().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut received = Vec::new();
        stdout.read_until(b'\n', &mut received).unwrap();
        let reader = std::thread::spawn(move || {
            stdout.read_to_end(&mut received).unwrap();
            received
        });
        signal(&child, name);
        let (status, time) = end(&mut child);
        assert_eq!(status.code(), Some(0));
        assert!(time < PROMPT, "{time:?}");
        assert!(0 < lines(&reader.join().unwrap()).count());
    }
}

/// A world whose every batch is larger than a pipe, so that a write hangs until it is read.
fn heavy_world() -> World {
    let size = Span::new(100_000, 100_000);
    World::new(SimConfig { record_bytes: size, records_per_blob: Span::new(5, 5), ..world() })
}

#[test]
fn a_signal_ends_a_run_whose_output_nobody_reads() {
    let world = heavy_world();
    let mut child = world.run().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    signal(&child, "-TERM");
    let (status, time) = end(&mut child);
    assert_eq!(status.code(), Some(1));
    assert!(time < PROMPT, "{time:?}");
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let last = stderr.lines().last().unwrap();
    assert!(last.contains("WARN  stopped in the middle: "), "{stderr}");
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let world = heavy_world();
    let mut child = world.run().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    signal(&child, "-TERM");
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(stderr.any(|line| line.unwrap().contains("stopping")));
    signal(&child, "-INT");
    let (status, time) = end(&mut child);
    assert_eq!(status.code(), Some(1));
    assert!(time < Duration::from_secs(1), "{time:?}");
}

#[test]
fn a_closed_pipe_ends_the_run_and_nothing_is_lost() {
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let mut child = world
        .run()
        .arg("--db")
        .arg(&db)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Before the first line: what a pipe has taken is the reader's.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("the output cannot be written"), "{stderr}");
    assert!(!stderr.contains("starting again"), "{stderr}");

    let output = world.run().arg("--once").arg("--db").arg(&db).output().unwrap();
    assert_code(&output, 0);
    assert!(world.owed().is_subset(&world.keys(lines(&output.stdout))));
}

#[test]
fn a_second_process_on_one_db_is_refused() {
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let mut first = world
        .run()
        .arg("--db")
        .arg(&db)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It has its db before its first line.
    let mut stdout = first.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    let second = world.run().arg("--once").arg("--db").arg(&db).output().unwrap();
    assert_code(&second, 1);
    let stderr = text(&second.stderr);
    assert!(stderr.contains("state.db: another collector of tenant"), "{stderr}");

    // A look at it is allowed all the same.
    let show = program("state").arg("show").arg("--db").arg(&db).output().unwrap();
    assert_code(&show, 0);
    signal(&first, "-KILL");
    end(&mut first);
}

/// Who raises it must hear that nothing more comes by it.
#[test]
fn a_lookback_that_an_existing_state_ignores_is_told() {
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let run = |lookback: &str| {
        let mut command = world.call(&["run", "--once", "--log-format", "json"]);
        command.env_remove("M365_AUDIT_PORTAL_URL").args(["--lookback", lookback]);
        let output = command.arg("--db").arg(dir.path().join("state.db")).output().unwrap();
        assert_code(&output, 0);
        let lines = text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        lines.into_iter().filter(|line| line["code"] == "LookbackIgnored").collect::<Vec<_>>()
    };
    assert_eq!(run("1h"), Vec::<Value>::new());
    assert_eq!(run("1h"), Vec::<Value>::new(), "as before");
    let told = run("3d");
    let [told] = &told[..] else { panic!("once: {told:?}") };
    assert_eq!(told["level"], "warn");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("lookback") && message.contains("another db"), "{message}");
    assert_eq!(run("30m"), Vec::<Value>::new(), "what is shorter asks for nothing more");
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = (dir.path().join("state.db"), dir.path().join("audit.ndjson"));
    for _ in 0..3 {
        let mut child = world
            .run()
            .arg("--db")
            .arg(&db)
            .arg("--output")
            .arg(&path)
            .args(["--log-level", "debug", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("listed")));
        signal(&child, "-KILL");
        end(&mut child);
    }
    let output = world.run().arg("--once").arg("--db").arg(&db).arg("--output").arg(&path).output();
    assert_code(&output.unwrap(), 0);
    assert!(world.owed().is_subset(&world.keys(lines(&fs::read(&path).unwrap()))));
}

#[test]
fn json_logs_are_json_to_the_last_line() {
    let world = World::new(world());
    let output = world
        .run()
        .args(["--once", "--log-format", "json", "--log-level", "debug", "--progress", "always"])
        .output()
        .unwrap();
    assert_code(&output, 0);
    for line in lines(&output.stderr) {
        let value: Value = serde_json::from_slice(line).unwrap();
        assert!(value["time"].is_string() && value["level"].is_string(), "{value}");
    }
}

#[test]
fn progress_is_shown_always_and_is_no_error() {
    let world = World::new(world());
    let flags = ["--once", "--log-format", "json", "--log-level", "error", "--progress"];
    let told = |mode: &str| -> Vec<Value> {
        let output = world.run().args(flags).arg(mode).output().unwrap();
        assert_code(&output, 0);
        lines(&output.stderr).map(|line| serde_json::from_slice(line).unwrap()).collect()
    };
    assert!(told("auto").is_empty());
    let always = told("always");
    assert!(!always.is_empty() && always.iter().all(|line| line["level"] == "info"), "{always:?}");
    let last = always.last().unwrap()["message"].as_str().unwrap();
    assert!(last.contains(" of 2,000 requests/min"), "{last}");
}

#[test]
fn a_feed_that_nobody_has_subscribed_is_told_with_what_to_do() {
    let world = World::new(world());
    let output = world.run().args(["--once", "--start-subscriptions", "off"]).output().unwrap();
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    let told = "Audit.Exchange: not collected: no active subscription; remedy: start it: \
                `m365-audit subscriptions start Audit.Exchange`, or set start_subscriptions on";
    assert_eq!(stderr.matches(told).count(), 1, "{stderr}");
    assert!(!stderr.contains("feeds denied"), "{stderr}");
    assert!(stderr.contains("has no subscription"), "{stderr}");
}

#[test]
fn a_refused_secret_is_told_with_its_remedy_and_never_shown() {
    let world = World::new(world());
    let output = world
        .run()
        .env("M365_AUDIT_CLIENT_SECRET", "wr0ng~secret~value")
        .arg("--once")
        .output()
        .unwrap();
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("AADSTS7000215"), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.contains("the sign-in was refused") && last.contains("ERROR above"), "{stderr}");
    assert!(!stderr.contains("wr0ng"), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn state_show_tells_what_a_db_holds() {
    let world = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let output = world.run().arg("--once").arg("--db").arg(&db).output().unwrap();
    assert_code(&output, 0);
    let written = lines(&output.stdout).count();
    let show = |more: &[&str]| {
        let output = program("state").arg("show").arg("--db").arg(&db).args(more).output().unwrap();
        assert_code(&output, 0);
        String::from_utf8(output.stdout).unwrap()
    };
    let told = show(&[]);
    assert!(told.contains("Audit.SharePoint") && told.contains("delivered 20"), "{told}");
    let value: Value = serde_json::from_str(&show(&["--json"])).unwrap();
    let feeds = value[0]["content_types"].as_array().unwrap();
    assert_eq!(feeds.len(), 4);
    let remembered: u64 = feeds.iter().map(|feed| feed["records"].as_u64().unwrap()).sum();
    // Those without an Id cannot be remembered.
    assert!(0 < remembered && remembered <= written as u64, "{remembered} of {written}");
    let tenant = value[0]["tenant_id"].as_str().unwrap();
    assert_eq!(show(&["--tenant-id", &tenant.to_uppercase()]), told);
    let other = ["state", "show", "--tenant-id", "nobody", "--db"];
    let output = program(other[0]).args(&other[1..]).arg(&db).output().unwrap();
    assert_code(&output, 1);
}

#[test]
fn one_tenants_damage_is_named_and_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let options = m365_audit_client::DbOptions {
        path: path.clone(),
        synchronous: "off".into(),
        journal_mode: "delete".into(),
        exclusive: false,
        server: None,
    };
    let blob = r#"{"id":"blob-7","uri":"u","created":0,"expiration":86400000,"records":0,
        "digest":"0","quarantined":true}"#;
    let lane = r#"{"begin":0,"covered":[],"sweep":0}"#;
    for (tenant, lane) in [("damaged", "{oops"), ("whole", lane)] {
        let mut store = m365_audit_client::Store::open(Some(&options), tenant).unwrap();
        let pairs = [("version", "1"), ("lane/DLP.All", lane), ("blob/DLP.All/00", blob)];
        let change = |(key, value): (&str, &str)| (key.to_owned(), Some(value.to_owned()));
        let changes = pairs.into_iter().map(change).collect();
        store.commit(m365_audit_core::Commit { changes }).unwrap();
    }
    let show = |more: &[&str]| {
        program("state").arg("show").arg("--db").arg(&path).args(more).output().unwrap()
    };
    let output = show(&[]);
    assert_code(&output, 1);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let told = format!("{}: tenant damaged: the stored state is damaged", path.display());
    assert!(stderr.starts_with(&told), "{stderr}");
    assert!(stdout.contains("tenant whole: 3 keys"), "{stdout}");
    assert!(stdout.contains("in quarantine until 1970-01-02T00:00:00.000Z: blob-7"), "{stdout}");
    let value: Value = serde_json::from_slice(&show(&["--json"]).stdout).unwrap();
    assert!(value[0]["error"].as_str().unwrap().contains("damaged"), "{value}");
    assert_eq!(value[1]["content_types"][0]["quarantine"][0]["content_id"], "blob-7");
    assert_code(&show(&["--tenant-id", "whole"]), 0);
}
