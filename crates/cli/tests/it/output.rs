//! `m365-audit run` and what becomes of its output: rotated, cut, removed, restored; full, closed,
//! or read by somebody who has seen enough. With the real programs.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use m365_audit_test_support::needs::skip;
use m365_sim::{SimConfig, Span};
use serde_json::Value;

use crate::support::{Running, World, assert_code, lines, program, text, world};

/// Where a run keeps its state and its records.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.path("audit.ndjson")
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path("state.db")
    }

    /// A run with this state and this output.
    pub(crate) fn run(&self, world: &World) -> Command {
        let mut command = self.run_to_stdout(world);
        command.arg("--output").arg(self.output());
        command
    }

    pub(crate) fn run_to_stdout(&self, world: &World) -> Command {
        let mut command = world.run();
        command.arg("--db").arg(self.db()).args(["--progress", "never"]);
        command
    }

    /// The keys of the records in a file; lines of others are left out.
    pub(crate) fn keys(&self, world: &World, bytes: &[u8]) -> HashSet<u128> {
        let ours = |line: &&[u8]| !line.starts_with(b"{\"from\":");
        world.keys(lines(bytes).filter(ours))
    }

    pub(crate) fn state(&self, words: &[&str]) -> std::process::Output {
        program("state")
            .arg(words[0])
            .arg("--db")
            .arg(self.db())
            .args(&words[1..])
            .output()
            .unwrap()
    }
}

/// Some thousand records.
fn large_world() -> World {
    World::new(SimConfig {
        days: 0.12,
        blobs_per_hour: Span::new(60, 80),
        records_per_blob: Span::new(8, 12),
        ..world()
    })
}

/// The program `logrotate`, if it is installed or can be.
pub(crate) fn logrotate() -> Option<PathBuf> {
    let known = ["/usr/sbin/logrotate", "/usr/bin/logrotate"].map(PathBuf::from);
    let found = known.into_iter().find(|path| path.exists());
    if found.is_none() {
        skip("logrotate is not installed");
    }
    found
}

/// Rotates once, as root's daily run would.
pub(crate) fn rotate(logrotate: &Path, place: &Place) {
    let status = Command::new(logrotate)
        .args(["--force", "--state"])
        .arg(place.path("rotated"))
        .arg(place.path("logrotate.conf"))
        .status()
        .unwrap();
    assert!(status.success());
}

/// All that is in rotated files and in the present one.
pub(crate) fn union(place: &Place) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(place.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("audit") {
            continue;
        }
        let content = if name.ends_with(".gz") {
            Command::new("gzip").arg("-dc").arg(&path).output().unwrap().stdout
        } else {
            fs::read(&path).unwrap()
        };
        all.extend_from_slice(whole(&content));
    }
    all
}

/// Without a line that is under way.
pub(crate) fn whole(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)]
}

#[test]
fn logrotate_under_load_loses_nothing() {
    let Some(logrotate) = logrotate() else { return };
    let world = large_world();
    let place = Place::new();
    let config = format!(
        "{} {{\n rotate 100000\n missingok\n notifempty\n create\n compress\n}}\n",
        place.output().display()
    );
    fs::write(place.path("logrotate.conf"), config).unwrap();
    let mut running = place
        .run(&world)
        .arg("--once")
        .stderr(fs::File::create(place.path("log")).unwrap())
        .spawn()
        .unwrap();
    let mut rotations = 0;
    let status = loop {
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        if place.output().exists() {
            rotate(&logrotate, &place);
            rotations += 1;
        }
    };
    let log = fs::read_to_string(place.path("log")).unwrap();
    let (owed, all) = (world.owed(), union(&place));
    let arrived = place.keys(&world, &all);
    let lost = owed.difference(&arrived).count();
    println!("{rotations} rotations, {lost} of {} records lost", owed.len());
    assert_eq!(lost, 0, "{log}");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(3 <= rotations && log.contains("was renamed, and is opened anew"), "{log}");
    let again = lines(&all).count() - arrived.len();
    assert!(again < arrived.len() / 2, "{again} lines came twice");
    // No rotation is taken for a loss.
    assert!(!log.contains("ERROR"), "{log}");
    assert_code(&place.state(&["acknowledge"]), 0);
}

#[test]
fn a_hangup_opens_the_output_by_its_name_again() {
    let world = World::new(world());
    let place = Place::new();
    let mut running = Running::start(place.run(&world), place.path("log"));
    running
        .wait_until("it writes", |_| place.output().metadata().is_ok_and(|found| found.len() > 0));
    fs::rename(place.output(), place.path("audit.ndjson.1")).unwrap();
    running.signal("-HUP");
    running.wait_until("it is opened again", |log| log.contains("SIGHUP: the output is open"));
    assert!(place.output().exists());
    running.wait_until("all has arrived", |_| {
        world.owed().is_subset(&whole_keys(&world, &union(&place)))
    });
    running.stop();
    assert!(!running.log().contains("ERROR"), "{}", running.log());
}

/// The keys of whole lines.
pub(crate) fn whole_keys(world: &World, bytes: &[u8]) -> HashSet<u128> {
    world.keys(lines(whole(bytes)))
}

#[test]
fn a_file_that_was_renamed_is_opened_anew_also_while_nothing_is_written() {
    let world = World::new(world());
    let place = Place::new();
    let mut running = Running::start(place.run(&world), place.path("log"));
    running.wait_until("all has arrived", |_| {
        let bytes = fs::read(place.output()).unwrap_or_default();
        world.owed().is_subset(&whole_keys(&world, &bytes))
    });
    fs::rename(place.output(), place.path("audit.ndjson.1")).unwrap();
    running.wait_until("it is there again", |_| place.output().exists());
    fs::remove_file(place.path("audit.ndjson.1")).unwrap();
    running.wait_until("it is told", |log| log.contains("was renamed, and is opened anew"));
    // What is removed while it is the output is another matter.
    running.wait_until("it is at work", |_| place.output().exists());
    running.stop();
    assert!(!running.log().contains("ERROR"), "{}", running.log());
}

#[test]
fn what_is_cut_from_the_file_is_told_until_it_is_acknowledged() {
    let world = World::new(world());
    let place = Place::new();
    assert_code(&place.run(&world).arg("--once").output().unwrap(), 0);
    let length = place.output().metadata().unwrap().len();
    // As copytruncate does, and as a hand that makes room.
    OpenOptions::new().write(true).open(place.output()).unwrap().set_len(0).unwrap();
    let told = format!("is {length} bytes shorter than what counts as delivered");
    let output = place.run(&world).arg("--once").output().unwrap();
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains(&told), "{}", text(&output.stderr));
    let shown = place.state(&["show", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let losses = shown[0]["losses"].to_string();
    assert!(losses.contains("\"output\"") && losses.contains(&length.to_string()), "{losses}");
    // It is not told as a new one, and is not forgotten either.
    let output = place.run(&world).arg("--once").output().unwrap();
    assert_code(&output, 1);
    assert!(!text(&output.stderr).contains(&told), "{}", text(&output.stderr));
    assert_code(&place.state(&["acknowledge", "--all"]), 0);
    assert_code(&place.run(&world).arg("--once").output().unwrap(), 0);
}

#[test]
fn an_output_that_is_cut_or_removed_under_the_collector_is_told() {
    let world = World::new(world());
    for remove in [false, true] {
        let place = Place::new();
        let mut running = Running::start(place.run(&world), place.path("log"));
        running.wait_until("all has arrived", |_| {
            let bytes = fs::read(place.output()).unwrap_or_default();
            world.owed().is_subset(&whole_keys(&world, &bytes))
        });
        if remove {
            fs::remove_file(place.output()).unwrap();
        } else {
            fs::write(place.output(), "").unwrap();
        }
        running.wait_until("it is told", |log| {
            log.contains("bytes shorter than what counts as delivered")
        });
        running.stop();
    }
}

#[test]
fn stdout_into_a_file_is_an_output_like_another() {
    let world = World::new(world());
    let place = Place::new();
    let once = || {
        let file = OpenOptions::new().append(true).create(true).open(place.output()).unwrap();
        place.run_to_stdout(&world).arg("--once").stdout(file).output().unwrap()
    };
    // Half a line, of a process that was killed.
    fs::write(place.output(), "{\"from\":\"before\"}\n{\"half\":").unwrap();
    let output = once();
    assert_code(&output, 0);
    let log = text(&output.stderr);
    assert!(log.contains("stdout is a file: written to as with --output /"), "{log}");
    assert!(log.contains("8 bytes were cut off"), "{log}");
    let bytes = fs::read(place.output()).unwrap();
    assert!(world.owed().is_subset(&place.keys(&world, &bytes)));
    // `> file` cuts what was there.
    let file = fs::File::create(place.output()).unwrap();
    let output = place.run_to_stdout(&world).arg("--once").stdout(file).output().unwrap();
    assert_code(&output, 1);
    let told = format!("is {} bytes shorter than", bytes.len());
    assert!(text(&output.stderr).contains(&told), "{}", text(&output.stderr));
}

#[test]
fn a_full_disk_counts_nothing_and_leaves_no_half_line_behind() {
    let place = Place::new();
    let mount = place.path("small");
    let Some(small) = Small::mount(&mount) else { return };
    let world = World::new(world());
    let path = mount.join("audit.ndjson");
    for on_stdout in [true, false] {
        let once = || {
            let mut command = place.run_to_stdout(&world);
            if on_stdout {
                let mut options = OpenOptions::new();
                command.stdout(options.append(true).create(true).open(&path).unwrap());
            } else {
                command.arg("--output").arg(&path);
            }
            command.arg("--once").output().unwrap()
        };
        let output = once();
        assert_code(&output, 1);
        let told = format!("the output cannot be written: {}: ", path.display());
        assert!(text(&output.stderr).contains(&told), "{}", text(&output.stderr));
        small.resize("64m");
        assert_code(&once(), 0);
        let bytes = fs::read(&path).unwrap();
        // Every line is one that was published.
        assert!(world.owed().is_subset(&place.keys(&world, &bytes)));
        fs::remove_file(&path).unwrap();
        fs::remove_file(place.db()).unwrap();
        small.resize("64k");
    }
}

/// A disk that is full soon.
pub(crate) struct Small(PathBuf);

impl Small {
    /// Of 64 KiB; `None` where that may not be had.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        if !tmpfs("size=64k", at) {
            skip("no right to mount a small tmpfs");
            return None;
        }
        Some(Self(at.into()))
    }

    pub(crate) fn resize(&self, size: &str) {
        assert!(tmpfs(&format!("remount,size={size}"), &self.0));
    }
}

fn tmpfs(options: &str, at: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn nothing_counts_as_delivered_into_nowhere() {
    let world = World::new(world());
    let place = Place::new();
    let closed = {
        let run = place.run_to_stdout(&world);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" >&-", "sh"]).arg(run.get_program()).args(run.get_args());
        for (name, value) in run.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.arg("--once").output().unwrap()
    };
    let null = place.run_to_stdout(&world).arg("--once").stdout(Stdio::null()).output().unwrap();
    for output in [&closed, &null] {
        assert_code(output, 2);
        let told = text(&output.stderr);
        assert!(
            told.contains("stdout is closed or /dev/null") && told.contains("--output"),
            "{told}"
        );
    }
    assert!(!place.db().exists());
    // Whoever wants it can say so; and without a db nothing counts.
    let mut wanted = place.run_to_stdout(&world);
    let wanted = wanted.args(["--once", "--output", "/dev/null"]).output().unwrap();
    assert_code(&wanted, 0);
    assert!(text(&wanted.stderr).contains("kept nowhere"), "{}", text(&wanted.stderr));
    assert_code(&world.run().arg("--once").stdout(Stdio::null()).output().unwrap(), 0);
    // What cannot be written at all does not count either.
    let place = Place::new();
    let mut full = place.run_to_stdout(&world);
    let full = full.args(["--once", "--output", "/dev/full"]).output().unwrap();
    assert_code(&full, 1);
    assert_code(&place.run(&world).arg("--once").output().unwrap(), 0);
    let bytes = fs::read(place.output()).unwrap();
    assert!(world.owed().is_subset(&place.keys(&world, &bytes)));
}

#[test]
fn what_a_reader_leaves_in_the_pipe_does_not_count() {
    let world = World::new(world());
    let place = Place::new();
    let mut first = place.run_to_stdout(&world);
    let mut first =
        first.arg("--once").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // As `head -c` does: it takes what it wants, and ends.
    let mut read = vec![0; 100_000];
    first.stdout.take().unwrap().read_exact(&mut read).unwrap();
    let output = first.wait_with_output().unwrap();
    assert_code(&output, 1);
    let log = text(&output.stderr);
    assert!(log.contains("WARN  records go into a pipe: they count as delivered when"), "{log}");
    let mut arrived = whole_keys(&world, &read);
    let second = place.run_to_stdout(&world).arg("--once").output().unwrap();
    assert_code(&second, 0);
    arrived.extend(world.keys(lines(&second.stdout)));
    let owed = world.owed();
    let lost = owed.difference(&arrived).count();
    println!("{lost} of {} records lost", owed.len());
    assert_eq!(lost, 0);
}

#[test]
fn files_are_for_their_owner_and_links_of_others_are_refused() {
    let world = World::new(world());
    let place = Place::new();
    assert_code(&place.run(&world).arg("--once").output().unwrap(), 0);
    for entry in fs::read_dir(place.dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{entry:?}");
    }
    let shared = Place::new();
    fs::set_permissions(shared.dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let target = place.path("target");
    symlink(&target, shared.output()).unwrap();
    let output = shared.run(&world).arg("--once").output().unwrap();
    assert_code(&output, 2);
    let told = text(&output.stderr);
    assert!(
        told.contains("a symbolic link in") && told.contains("name the file that it leads to"),
        "{told}"
    );
    symlink(&target, shared.db()).unwrap();
    let output = shared.run_to_stdout(&world).arg("--once").output().unwrap();
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("a symbolic link in"), "{}", text(&output.stderr));
    assert!(!target.exists());
}

#[test]
fn a_state_is_backed_up_while_it_is_in_use_and_restored_when_it_is_not() {
    let world = World::new(world());
    let place = Place::new();
    let backup = place.path("backup.db");
    let backup = backup.to_str().unwrap();
    let mut running = Running::start(place.run(&world), place.path("log"));
    running.wait_until("it has a state", |log| {
        log.contains("caught up") || {
            place.output().metadata().is_ok_and(|found| found.len() > 0)
        }
    });
    assert_code(&place.state(&["backup", backup]), 0);
    let before = whole_keys(&world, &fs::read(place.output()).unwrap());
    running.wait_until("all has arrived", |_| {
        let bytes = fs::read(place.output()).unwrap_or_default();
        world.owed().is_subset(&whole_keys(&world, &bytes))
    });
    let refused = place.state(&["restore", backup]);
    assert_code(&refused, 1);
    assert!(text(&refused.stderr).contains("another collector"), "{}", text(&refused.stderr));
    // Killed: what SQLite keeps beside the file stays there.
    running.signal("-KILL");
    running.wait();
    assert!(place.path("state.db-wal").metadata().unwrap().len() > 0);
    // The output is lost too, with all that came after the backup.
    fs::remove_file(place.output()).unwrap();
    assert_code(&place.state(&["restore", backup]), 0);
    assert!(!place.path("state.db-wal").exists());
    let output = place.run(&world).arg("--once").output().unwrap();
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("is another file than at the last stop"));
    // All that came after the backup is collected again.
    let arrived = place.keys(&world, &fs::read(place.output()).unwrap());
    assert!(world.owed().difference(&arrived).all(|key| before.contains(key)));
}
