//! The output as a file that others read: rotated by the collector itself, and by the real
//! logrotate in its three ways, with kills in between; with long lines beside it; on a full disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::output::{Place, Small, logrotate, rotate, union, whole, whole_keys};
use crate::support::kills::{Dice, kills, run_and_kill, slow_world};
use crate::support::{Running, World, assert_code, lines, text, world};

/// A collection that goes on for ever, in small steps.
fn collecting(place: &Place, world: &World) -> Command {
    let mut command = place.run(world);
    command.args(["--max-in-flight", "2", "--requests-per-minute", "100000"]);
    command
}

/// What the files that were rotated hold, by name.
fn rotated(place: &Place) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(place.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries
        .filter(|path| name(path).starts_with("audit-"))
        .map(|path| (name(&path), fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn kills_lose_no_line_while_the_collector_rotates_its_file() {
    let world = slow_world(3);
    let place = Place::new();
    let rotating = || {
        let mut command = collecting(&place, &world);
        command.args(["--output-rotate-bytes", "100K", "--output-keep", "1000"]);
        command
    };
    let mut dice = Dice(3);
    for _ in 0..kills() {
        run_and_kill(rotating(), &mut dice);
    }
    let output = rotating().arg("--once").output().unwrap();
    assert_code(&output, 0);
    assert!(!text(&output.stderr).contains("ERROR"), "{}", text(&output.stderr));
    let files = rotated(&place);
    for (name, content) in &files {
        // No half line, and every line is one that was published.
        world.keys(lines(content));
        assert!(content.len() <= 100_000, "{name}: {} bytes", content.len());
    }
    assert!(5 < files.len(), "{} files", files.len());
    let (owed, all) = (world.owed(), union(&place));
    let arrived = place.keys(&world, &all);
    let lost = owed.difference(&arrived).count();
    let again = lines(&all).count() - arrived.len();
    println!("{} files, {lost} of {} lost, {again} lines came twice", files.len(), owed.len());
    assert_eq!(lost, 0);
    // No rotation is taken for a loss.
    assert_code(&place.state(&["acknowledge"]), 0);
}

/// Collects while logrotate is at work, and is killed after some rotations, again and again.
/// Answers the log.
fn rotate_and_kill(way: &str, seed: u64, world: &World, place: &Place) -> Option<String> {
    let logrotate = logrotate()?;
    let pid = place.path("pid");
    let config = format!(
        "{} {{\n rotate 100000\n missingok\n notifempty\n {way}\n}}\n",
        place.output().display()
    );
    let config = config.replace("PID", pid.to_str().unwrap());
    fs::write(place.path("logrotate.conf"), config).unwrap();
    let (mut dice, mut log, mut rotations) = (Dice(seed), String::new(), 0);
    for turn in 0..=kills() / 3 {
        let log_file = place.path(&format!("log.{turn}"));
        let mut command = collecting(place, world);
        let stderr = fs::File::create(&log_file).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        fs::write(&pid, child.id().to_string()).unwrap();
        for _ in 0..dice.below(8) {
            rotate(&logrotate, place);
            rotations += 1;
        }
        assert!(child.try_wait().unwrap().is_none(), "{}", fs::read_to_string(&log_file).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        log += &fs::read_to_string(log_file).unwrap();
        if turn % 3 == 0 && place.output().exists() {
            // While nobody collects, too.
            fs::write(&pid, "").unwrap();
            rotate(&logrotate, place);
        }
    }
    println!("{way:?}: {} kills, {rotations} rotations", kills() / 3 + 1);
    Some(log)
}

#[test]
fn logrotate_with_a_hangup_and_kills_lose_nothing() {
    let world = slow_world(4);
    let place = Place::new();
    let way = "nocreate\n postrotate\n  kill -HUP $(cat PID) 2>/dev/null || true\n endscript";
    let Some(log) = rotate_and_kill(way, 4, &world, &place) else { return };
    assert_nothing_is_lost(&world, &place, &log);
}

#[test]
fn logrotate_that_creates_and_kills_lose_nothing() {
    let world = slow_world(5);
    let place = Place::new();
    let Some(log) = rotate_and_kill("create", 5, &world, &place) else { return };
    assert_nothing_is_lost(&world, &place, &log);
}

fn assert_nothing_is_lost(world: &World, place: &Place, log: &str) {
    let output = collecting(place, world).arg("--once").output().unwrap();
    assert_code(&output, 0);
    let log = log.to_owned() + text(&output.stderr);
    assert!(!log.contains("ERROR"), "{log}");
    assert!(world.owed().is_subset(&whole_keys(world, &union(place))), "{log}");
    assert_code(&place.state(&["acknowledge"]), 0);
}

/// What is written between its copy and its cut is in neither; it is told, to the byte or more.
#[test]
fn logrotate_that_copies_and_cuts_is_survived_and_what_it_loses_is_told() {
    let world = slow_world(6);
    let place = Place::new();
    let Some(log) = rotate_and_kill("copytruncate", 6, &world, &place) else { return };
    let output = collecting(&place, &world).arg("--once").output().unwrap();
    let log = log + text(&output.stderr);
    let arrived = whole_keys(&world, &union(&place));
    let owed = world.owed();
    let lost: u64 = {
        let microsoft = world.microsoft();
        let all = microsoft.owed();
        let lost = all.filter(|one| owed.contains(&one.key) && !arrived.contains(&one.key));
        lost.map(|record| record.bytes.len() as u64).sum()
    };
    let shown: Value = serde_json::from_slice(&place.state(&["show", "--json"]).stdout).unwrap();
    let losses = shown[0]["losses"].as_array().unwrap().clone();
    let told: u64 = losses.iter().map(|loss| loss["count"].as_u64().unwrap()).sum();
    println!("{lost} bytes lost, {told} told");
    assert!(lost <= told, "{lost} bytes lost, {told} told: {log}");
    assert_code(&output, i32::from(0 < told));
    // No hole of zeros, where the file was longer before.
    assert!(!whole(&fs::read(place.output()).unwrap()).contains(&0));
}

#[test]
fn old_files_are_deleted_and_young_ones_stay() {
    let world = World::new(world());
    let place = Place::new();
    let old = place.path("audit-20200101T000000Z.ndjson");
    let strange = place.path("audit-2020.ndjson");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    for path in [&old, &strange] {
        fs::write(path, "{}\n").unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let output = place
        .run(&world)
        .args(["--once", "--output-rotate-bytes", "100K", "--output-keep", "1"])
        .output()
        .unwrap();
    assert_code(&output, 0);
    let log = text(&output.stderr);
    assert!(log.contains("audit-20200101T000000Z.ndjson was deleted, 3 bytes"), "{log}");
    assert!(!old.exists() && strange.exists());
    fs::remove_file(strange).unwrap();
    // More than output_keep, but none of them is an hour old.
    assert!(2 < rotated(&place).len(), "{log}");
    assert!(world.owed().is_subset(&place.keys(&world, &union(&place))));
}

#[test]
fn long_lines_go_to_a_file_beside_the_output_with_a_warning() {
    let world = World::new(world());
    let place = Place::new();
    let output = place
        .run(&world)
        .args(["--once", "--output-line-bytes-max", "2K"])
        .args(["--output-mode", "0640"])
        .arg("--metrics-file")
        .arg(place.path("m365.prom"))
        .output()
        .unwrap();
    assert_code(&output, 0);
    let beside = place.path("audit.oversized.ndjson");
    let [short, long] = [place.output(), beside.clone()].map(|path| fs::read(path).unwrap());
    assert!(lines(&short).all(|line| line.len() <= 2_000) && !short.is_empty());
    assert!(lines(&long).all(|line| 2_000 < line.len()) && !long.is_empty());
    assert!(world.owed().is_subset(&place.keys(&world, &union(&place))));
    let log = text(&output.stderr);
    assert!(
        log.contains("WARN  records longer than output_line_bytes_max (2000 bytes): "),
        "{log}"
    );
    let told = format!(", {} oversized", lines(&long).count());
    assert!(log.contains(&told), "{told}: {log}");
    let numbers = fs::read_to_string(place.path("m365.prom")).unwrap();
    let counted = numbers.lines().find(|line| line.contains("records_oversized_total{")).unwrap();
    assert!(counted.ends_with(&format!(" {}", lines(&long).count())), "{counted}");
    for path in [place.output(), beside] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
    }
    // Without a file there is nothing beside it.
    let mut piped = place.run_to_stdout(&world);
    let output = piped.args(["--once", "--output-line-bytes-max", "2K"]).output().unwrap();
    assert_code(&output, 2);
    let told = text(&output.stderr);
    assert!(told.contains("output_line_bytes_max: without effect") && told.contains("--output"));
}

#[test]
fn a_full_disk_is_told_once_and_collection_goes_on_when_there_is_room() {
    let world = World::new(world());
    let place = Place::new();
    let mount = place.path("small");
    let Some(small) = Small::mount(&mount) else { return };
    let path = mount.join("audit.ndjson");
    let mut command = place.run_to_stdout(&world);
    command.arg("--output").arg(&path).args(["--log-level", "debug"]);
    let mut running = Running::start(command, place.path("log"));
    let told = "nothing is collected until there is room";
    running.wait_until("it is told", |log| log.contains(told));
    running.wait_until("it waits", |log| log.contains("the output cannot be written yet"));
    small.resize("64m");
    running.wait_until("all has arrived", |_| {
        world.owed().is_subset(&whole_keys(&world, &fs::read(&path).unwrap()))
    });
    running.stop();
    let log = running.log();
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert_eq!(log.matches("the output can be written again").count(), 1, "{log}");
    // Every line is one that was published.
    place.keys(&world, &fs::read(&path).unwrap());
}

#[test]
fn a_hangup_does_not_end_a_run_without_a_file() {
    let world = World::new(world());
    let place = Place::new();
    let mut command = place.run_to_stdout(&world);
    command.args(["--output", "/dev/null", "--log-level", "debug"]);
    let mut running = Running::start(command, place.path("log"));
    running.wait_until("it collects", |log| log.contains("DEBUG "));
    running.signal("-HUP");
    running.wait_until("it is told", |log| log.contains("SIGHUP: there is no file to open again"));
    running.stop();
}

#[test]
fn a_closed_stdin_ends_a_run_that_is_asked_to_watch_it() {
    let world = World::new(world());
    let place = Place::new();
    let mut command = place.run(&world);
    command.arg("--stop-on-stdin-close").stdin(Stdio::piped()).stdout(Stdio::null());
    let log = place.path("log");
    let mut child = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    while place.output().metadata().map_or(0, |found| found.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "{}", fs::read_to_string(&log).unwrap());
        m365_audit_test_support::pause();
    }
    drop(child.stdin.take());
    let status = child.wait().unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stdin was closed") && log.contains("stopped; "), "{log}");
}
