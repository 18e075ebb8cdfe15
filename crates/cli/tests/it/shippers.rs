//! The examples for shippers that read the spool file, with the real programs: what arrives is what
//! was published, byte for byte. Also records that are longer than their default limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use m365_audit_test_support::needs::skip;
use m365_sim::{SimConfig, Span};

use crate::output::Place;
use crate::support::{World, assert_code, lines, world};

/// Where the examples are.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shippers").join(name)
}

/// A program in PATH or where daemons are.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skip(format!("{name} is not installed"));
    }
    found
}

/// Ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Some of the records are longer than 8 KiB, and some than 64 KiB.
fn long_world() -> World {
    World::new(SimConfig { record_bytes: Span::new(500, 120_000), days: 0.05, ..world() })
}

/// Collects into the file that `start` makes somebody read, and compares what that has.
fn check(config: &str, start: impl FnOnce(&Place, &Path) -> Command) {
    let (world, place) = (long_world(), Place::new());
    let folder = place.dir.path().to_str().unwrap().to_owned();
    let text = fs::read_to_string(example(config)).unwrap();
    let text = text.replace("/var/log/m365", &folder).replace("/var/spool/rsyslog", &folder);
    let path = place.path("shipper.conf");
    fs::write(&path, text).unwrap();
    assert_code(&place.run(&world).arg("--once").output().unwrap(), 0);
    let spool = fs::read(place.output()).unwrap();
    let longest = lines(&spool).map(<[u8]>::len).max().unwrap();
    assert!(70_000 < longest && world.owed().is_subset(&place.keys(&world, &spool)), "{longest}");
    let mut command = start(&place, &path);
    let log = fs::File::create(place.path("shipper.log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut daemon = Daemon(command.spawn().unwrap());
    let received = place.path("received.ndjson");
    let until = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let arrived = fs::read(&received).unwrap_or_default();
        if spool.len() <= arrived.len() {
            assert!(arrived == spool, "{config}: not byte for byte");
            break;
        }
        let log = fs::read_to_string(place.path("shipper.log")).unwrap();
        assert!(daemon.0.try_wait().unwrap().is_none(), "{config}: it ended: {log}");
        assert!(std::time::Instant::now() < until, "{config}: {} bytes: {log}", arrived.len());
        m365_audit_test_support::pause();
    }
    println!("{config}: {} records, the longest of {longest} bytes", lines(&spool).count());
}

#[test]
fn rsyslog_reads_every_record_whole() {
    let Some(rsyslogd) = program("rsyslogd") else { return };
    check("rsyslog/rsyslog.conf", |place, config| {
        let mut command = Command::new(rsyslogd);
        command.arg("-n").arg("-f").arg(config).arg("-i").arg(place.path("pid"));
        command
    });
}

#[test]
fn syslog_ng_reads_every_record_whole() {
    let Some(syslog_ng) = program("syslog-ng") else { return };
    check("syslog-ng/syslog-ng.conf", |place, config| {
        let mut command = Command::new(syslog_ng);
        command.args(["--foreground", "--no-caps", "--cfgfile"]).arg(config);
        for (flag, file) in
            [("--persist-file", "persist"), ("--pidfile", "pid"), ("--control", "control")]
        {
            command.arg(flag).arg(place.path(file));
        }
        command
    });
}
