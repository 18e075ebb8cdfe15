//! `m365-audit verify`: what an output lost is named, exactly, whatever a SIEM made of the rest.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use m365_audit_core::Utc;
use m365_sim::{SimConfig, Span};
use serde_json::Value;

use crate::support::{Running, World, assert_code, lines, text};

/// With real records' oddities, missing ids among them.
fn world() -> World {
    World::new(SimConfig { subscribed: true, page_size: 3, ..crate::support::world() })
}

/// Without: every record has an id and a time.
fn plain_world() -> World {
    let config = SimConfig { subscribed: true, page_size: 3, ..crate::support::world() };
    World::new(SimConfig { oddness: 0.0, ..config })
}

/// Up to where everything can be listed for certain.
fn settled(world: &World) -> Utc {
    let newest = world.microsoft().owed().map(|owed| owed.created_ms).max().unwrap();
    Utc::from_millis(newest - 90_000)
}

/// Collects everything, with a state in `dir`.
fn collect(world: &World, dir: &Path) -> Vec<Vec<u8>> {
    let output = dir.join("out.ndjson");
    let mut run = world.run();
    run.arg("--once").arg("--output").arg(&output).arg("--db").arg(dir.join("state.db"));
    assert_code(&run.output().unwrap(), 0);
    lines(&std::fs::read(output).unwrap()).map(<[u8]>::to_vec).collect()
}

fn verify(world: &World, dir: &Path, words: &[&str]) -> Output {
    let mut command = world.call(&["verify", "--since", "3h", "--db"]);
    command.arg(dir.join("state.db")).args(["--until", &settled(world).to_string()]).args(words);
    let output = command.output().unwrap();
    world.assert_clean("what verify says", &output.stdout);
    world.assert_clean("its log", &output.stderr);
    output
}

/// About a tenth of `lines` is thrown away: what is left, and what is not.
fn lose(lines: &[Vec<u8>], seed: u64) -> (Vec<&Vec<u8>>, Vec<&Vec<u8>>) {
    let mut state = seed;
    lines.iter().partition(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        state >> 33 > (1 << 31) / 10
    })
}

fn member(line: &[u8], name: &str) -> String {
    let record: Value = serde_json::from_slice(line).unwrap();
    record[name].as_str().unwrap().to_owned()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The same rows as a SIEM might export them.
fn exported(format: &str, rows: &[&Vec<u8>]) -> Vec<u8> {
    let text = |row: &Vec<u8>| String::from_utf8(row.clone()).unwrap();
    let join = |head: &str, each: &dyn Fn(&Vec<u8>) -> String, between: &str, end: &str| {
        let rows: Vec<String> = rows.iter().map(|row| each(row)).collect();
        format!("{head}{}{end}", rows.join(between)).into_bytes()
    };
    match format {
        "ndjson" => join("", &text, "\n", "\n"),
        "metadata" => {
            join("", &|row| format!("{{\"content_id\":\"x\",\"record\":{}}}", text(row)), "\n", "")
        }
        "array" => join("[", &text, ",\n", "]"),
        "elastic" => join(
            "{\"hits\":{\"hits\":[",
            &|row| format!("{{\"_id\":\"es\",\"_source\":{}}}", text(row)),
            ",",
            "]}}",
        ),
        "splunk" => {
            join("_time,_raw\n", &|row| format!("1,{}", quoted(&text(row))), "\r\n", "\r\n")
        }
        "columns" => join(
            "Operation;CreationTime;Id\n",
            &|row| {
                let cell = |name| quoted(&member(row, name));
                format!("{};{};{}", cell("Operation"), cell("CreationTime"), cell("Id"))
            },
            "\n",
            "",
        ),
        "ids" => join("", &|row| member(row, "Id").to_uppercase(), "\n", "\n"),
        "activity-ids" => join("", &|row| member(row, "_id"), "\n", "\n"),
        other => panic!("{other}"),
    }
}

#[test]
fn what_an_output_lost_is_named_exactly_in_each_format() {
    check(&world(), &["ndjson", "metadata", "array", "elastic", "splunk"]);
}

#[test]
fn columns_and_plain_ids_are_enough() {
    check(&plain_world(), &["columns", "ids"]);
}

#[track_caller]
fn check(world: &World, formats: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let all = collect(world, dir.path());
    let until = settled(world).as_millis();
    let in_time: HashSet<u128> = world
        .microsoft()
        .owed()
        // Without an id nobody can say what is missing.
        .filter(|owed| owed.created_ms < until && owed.id.is_some())
        .map(|owed| owed.key)
        .collect();
    for (seed, format) in (1..).zip(formats) {
        let (left, lost) = lose(&all, seed);
        let keys = |rows: &[&Vec<u8>]| world.keys(rows.iter().map(|row| row.as_slice()));
        let expected: HashSet<u128> =
            keys(&lost).difference(&keys(&left)).copied().filter(|k| in_time.contains(k)).collect();
        assert!(5 < expected.len() && expected.len() < all.len() / 2);
        let file = dir.path().join(format);
        std::fs::write(&file, exported(format, &left)).unwrap();
        let missing = dir.path().join(format!("{format}.missing"));
        let paths = [file.to_str().unwrap(), missing.to_str().unwrap()];
        let words = ["--against", paths[0], "--missing-to", paths[1], "--json"];
        let output = verify(world, dir.path(), &words);
        assert_code(&output, 1);
        let written = std::fs::read(&missing).unwrap();
        assert_eq!(world.keys(lines(&written)), expected, "{format}");
        assert_eq!(lines(&written).count(), expected.len(), "{format}: each once");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["missing"], expected.len(), "{format}: {told}");
        assert_eq!(told["complete"], false);
        let gaps = told["feeds"].as_array().unwrap().iter();
        let gaps: Vec<_> =
            gaps.flat_map(|feed| feed["blobs_with_missing"].as_array().unwrap()).collect();
        assert!(gaps.iter().all(|gap| gap["state"] == "delivered"), "{told}");
        let sum: u64 = gaps.iter().map(|gap| gap["missing"].as_u64().unwrap()).sum();
        assert_eq!(sum, expected.len() as u64);
    }
    assert!(world.microsoft().report().is_legal());
}

#[test]
fn an_output_that_has_all_is_whole_and_what_else_it_has_is_named() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let all = collect(&world, dir.path());
    let mut rows: Vec<&Vec<u8>> = all.iter().collect();
    let stranger = b"{\"Id\":\"0000aaaa-0000-0000-0000-000000000001\"}".to_vec();
    rows.push(&stranger);
    // In two files, of two kinds.
    let (one, two) = rows.split_at(rows.len() / 2);
    let paths = ["one.json", "two.ndjson"].map(|name| dir.path().join(name));
    std::fs::write(&paths[0], exported("array", one)).unwrap();
    std::fs::write(&paths[1], exported("ndjson", two)).unwrap();
    let [first, second] = paths.each_ref().map(|path| path.to_str().unwrap());
    let output = verify(&world, dir.path(), &["--against", first, second]);
    assert_code(&output, 0);
    let told = text(&output.stdout);
    assert!(told.ends_with("nothing is missing\n"), "{told}");
    assert!(told.contains("0000aaaa-0000-0000-0000-000000000001"), "{told}");
    // The same from a pipe.
    let mut command = world.call(&["verify", "--since", "3h", "--against", "-"]);
    command.args(["--until", &settled(&world).to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&exported("ndjson", &rows)).unwrap();
    assert_code(&child.wait_with_output().unwrap(), 0);
}

#[test]
fn what_the_filters_leave_out_is_not_missing() {
    let world = plain_world();
    let dir = tempfile::tempdir().unwrap();
    let all = collect(&world, dir.path());
    let gone = member(&all[0], "Operation");
    let left: Vec<_> = all.iter().filter(|row| member(row, "Operation") != gone).collect();
    assert!(left.len() < all.len());
    let file = dir.path().join("left");
    std::fs::write(&file, exported("ids", &left)).unwrap();
    let words = ["--against", file.to_str().unwrap()];
    assert_code(&verify(&world, dir.path(), &words), 1);
    let output =
        verify(&world, dir.path(), &[&words[..], &["--exclude-operations", &gone]].concat());
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains("left out by the filters"), "{}", text(&output.stdout));
}

#[test]
fn one_event_is_found_with_what_became_of_it_beside_a_collector_at_work() {
    let world = plain_world();
    let dir = tempfile::tempdir().unwrap();
    let all = collect(&world, dir.path());
    let mut run = world.run();
    run.arg("--db").arg(dir.path().join("state.db")).args(["--output", "/dev/null"]);
    let mut running = Running::start(run, dir.path().join("log"));
    let (id, operation) = (member(&all[0], "Id"), member(&all[0], "Operation"));
    let blob =
        world.microsoft().owed().find(|owed| owed.bytes == all[0]).map(|owed| owed.content_id);
    let find = |id: &str, more: &[&str]| {
        let mut command = world.call(&["verify", "--id", id, "--around", "3h", "--db"]);
        command.arg(dir.path().join("state.db")).args(more).output().unwrap()
    };
    let output = find(&id.to_uppercase(), &[]);
    assert_code(&output, 0);
    let told = text(&output.stdout);
    assert!(told.contains("the collector delivered it"), "{told}");
    assert!(blob.is_none_or(|blob| told.contains(&*blob)), "{told}");
    let output = find(&id, &["--json", "--exclude-operations", &operation]);
    assert_code(&output, 0);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&value["filtered"], &value["state"]), (&true.into(), &"delivered".into()));
    assert_eq!(value["operation"], operation);
    let output = find("0000aaaa-0000-0000-0000-000000000001", &[]);
    assert_code(&output, 1);
    assert!(text(&output.stdout).contains("has no such event"), "{}", text(&output.stdout));
    running.wait_until("it is at work", |_| true);
    running.stop();
}

#[test]
fn what_cannot_be_compared_costs_no_request_and_says_what_to_do() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("export");
    for (content, words) in [
        (&b"\x1f\x8b\x08\x00"[..], "gzip -dc"),
        (b"time,what\n1,2\n", "--id-field"),
        (b"{\"what\":1}\n", "--id-field"),
        (b"[{\"Id\":\"a\"}", "whole"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = verify(&world, dir.path(), &["--against", file.to_str().unwrap()]);
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    std::fs::write(&file, "a\n").unwrap();
    let file = file.to_str().unwrap();
    let output = verify(&world, dir.path(), &["--against", file, "--missing-to", file]);
    assert_code(&output, 2);
    assert_eq!(std::fs::read(file).unwrap(), b"a\n");
    assert_eq!(world.microsoft().report().requests, 0);
}

/// Two hours of activities, and nothing else.
fn portal() -> World {
    World::new(SimConfig {
        activities_per_hour: Span::new(150, 200),
        activity_days: 0.1,
        portal_quota_per_minute: 1_000,
        blobs_per_hour: Span::new(0, 0),
        ..crate::support::world()
    })
}

const OF_PORTAL: [&str; 4] =
    ["--source", "cloud_app_activities", "--activities-requests-per-minute", "1000"];

/// Collects all activities, with a state in `dir`.
fn collect_activities(world: &World, dir: &Path) -> Vec<Vec<u8>> {
    let output = dir.join("out.ndjson");
    let words = ["run", "--once", "--activities-lookback", "3h"];
    let mut run = world.call(&[&words[..], &OF_PORTAL].concat());
    run.arg("--output").arg(&output).arg("--db").arg(dir.join("state.db"));
    assert_code(&run.output().unwrap(), 0);
    lines(&std::fs::read(output).unwrap()).map(<[u8]>::to_vec).collect()
}

/// Ids of all activities, and when each was stored.
fn stored(world: &World) -> HashMap<String, i64> {
    let microsoft = world.microsoft();
    microsoft.owed_activities().map(|owed| (owed.id, owed.created_ms)).collect()
}

#[test]
fn activities_that_an_output_lost_are_named_exactly() {
    let world = portal();
    let dir = tempfile::tempdir().unwrap();
    let all = collect_activities(&world, dir.path());
    let stored = stored(&world);
    let until = stored.values().max().unwrap() - 90_000;
    let ids = |rows: &[&Vec<u8>]| -> BTreeSet<String> {
        rows.iter().map(|row| member(row, "_id")).collect()
    };
    let formats = ["ndjson", "metadata", "array", "elastic", "splunk", "activity-ids"];
    for (seed, format) in (1..).zip(formats) {
        let (left, lost) = lose(&all, seed);
        let in_time = |id: &String| stored[id] < until;
        let expected: BTreeSet<String> =
            ids(&lost).difference(&ids(&left)).filter(|id| in_time(id)).cloned().collect();
        assert!(5 < expected.len() && expected.len() < all.len() / 2);
        let file = dir.path().join(format);
        std::fs::write(&file, exported(format, &left)).unwrap();
        let missing = dir.path().join(format!("{format}.missing"));
        let paths = [file.to_str().unwrap(), missing.to_str().unwrap()];
        let until = Utc::from_millis(until).to_string();
        let words = ["verify", "--since", "3h", "--until", &until, "--json"];
        let more = ["--against", paths[0], "--missing-to", paths[1]];
        let mut command = world.call(&[&words[..], &more, &OF_PORTAL].concat());
        let output = command.arg("--db").arg(dir.path().join("state.db")).output().unwrap();
        assert_code(&output, 1);
        let written = std::fs::read(&missing).unwrap();
        let written: Vec<_> = lines(&written).map(<[u8]>::to_vec).collect();
        assert_eq!(ids(&written.iter().collect::<Vec<_>>()), expected, "{format}");
        assert_eq!(written.len(), expected.len(), "{format}: each once");
        assert!(written.iter().all(|row| all.contains(row)), "{format}: as they were sent");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&told["missing"], &told["complete"]), (&expected.len().into(), &false.into()));
        let feed = &told["feeds"][0];
        let named = feed["activities_missing"].as_array().unwrap();
        let of_them: BTreeSet<_> =
            named.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(of_them, expected, "{format}");
        // What the collector remembers one by one it has delivered.
        assert!(named.iter().all(|it| it["state"] == "delivered"), "{feed}");
        // Hour by hour.
        for hour in feed["hours"].as_array().unwrap() {
            let start = Utc::parse(hour["hour"].as_str().unwrap()).unwrap().as_millis();
            let within = |id: &&String| (start..start + 3_600_000).contains(&stored[*id]);
            assert_eq!(hour["missing"], expected.iter().filter(within).count(), "{hour}");
        }
    }
    assert!(world.microsoft().report().is_legal());
}

#[test]
fn an_output_that_has_all_activities_is_whole() {
    let world = portal();
    let dir = tempfile::tempdir().unwrap();
    let all = collect_activities(&world, dir.path());
    let until = Utc::from_millis(stored(&world).values().max().unwrap() - 90_000).to_string();
    let file = dir.path().join("all");
    let verify = |rows: &[&Vec<u8>], more: &[&str]| {
        std::fs::write(&file, exported("ndjson", rows)).unwrap();
        let words = ["verify", "--since", "3h", "--until", &until, "--against"];
        let words = [&words[..], &[file.to_str().unwrap()], &OF_PORTAL, more].concat();
        world.call(&words).output().unwrap()
    };
    let rows: Vec<_> = all.iter().collect();
    let whole = verify(&rows, &[]);
    assert_code(&whole, 0);
    assert!(text(&whole.stdout).ends_with("nothing is missing\n"), "{}", text(&whole.stdout));
    // What the filter of the configuration leaves out need not arrive.
    let guests = |row: &&Vec<u8>| text(row).contains("@fabrikam.example\"");
    let some: Vec<_> = all.iter().filter(guests).collect();
    assert!(!some.is_empty() && some.len() < all.len());
    let filter = ["--activities-filter", "user.domain eq fabrikam.example"];
    assert_code(&verify(&some, &filter), 0);
    assert_code(&verify(&some, &[]), 1);
}

#[test]
fn one_activity_is_found_with_what_became_of_it() {
    let world = portal();
    let dir = tempfile::tempdir().unwrap();
    let all = collect_activities(&world, dir.path());
    let guest = |row: &&Vec<u8>| text(row).contains("@fabrikam.example\"");
    let id = all.iter().find(|row| !guest(row)).map(|row| member(row, "_id")).unwrap();
    let find = |id: &str, more: &[&str]| {
        let words = ["verify", "--id", id, "--around", "3h", "--json", "--db"];
        let mut command = world.call(&words);
        command.arg(dir.path().join("state.db")).args(OF_PORTAL).args(more).output().unwrap()
    };
    let output = find(&id, &[]);
    assert_code(&output, 0);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["state"], &told["filtered"]), (&"delivered".into(), &false.into()));
    let at = Utc::from_millis(stored(&world)[&id]).to_string();
    assert_eq!((&told["stored"], told["hour"].is_string()), (&at.into(), true), "{told}");
    let filter = ["--activities-filter", "user.domain eq fabrikam.example"];
    let output = find(&id, &filter);
    assert_code(&output, 0);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["filtered"], true, "{told}");
    assert_code(&find("0123456789abcdef01234567_1", &[]), 1);
}
