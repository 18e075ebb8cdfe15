//! What a service manager is told, as systemd hears it: on a socket of its own.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use m365_sim::{Listen, Server, SimConfig, TenantConfig};

use crate::support::{PATIENCE, Running, World, world};
use crate::tenants;

/// A manager that listens.
struct Manager(UnixDatagram);

impl Manager {
    /// One whose socket is this.
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4_096];
        let length = self.0.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// The messages up to one with this line, which is the last of them.
    #[track_caller]
    fn until(&self, line: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|last: &String| last.lines().any(|said| said == line)) {
            heard.push(self.next());
        }
        heard
    }

    /// What has come and was not heard yet.
    fn so_far(&self) -> String {
        let mut heard = String::new();
        let mut buffer = [0; 4_096];
        self.0.set_nonblocking(true).unwrap();
        loop {
            match self.0.recv(&mut buffer) {
                Ok(length) => heard.push_str(&String::from_utf8_lossy(&buffer[..length])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.0.set_nonblocking(false).unwrap();
        heard
    }
}

/// Writes other text of the same length into a file, whose time stays: from outside it looks the
/// same.
fn rewrite(path: &Path, text: &str) {
    let before = fs::metadata(path).unwrap();
    assert_eq!(before.len(), text.len() as u64);
    // The time goes with the text at once, so that nobody sees the one without the other.
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    let file = File::options().append(true).open(&beside).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[test]
fn ready_is_who_has_signed_in_and_listed() {
    let world = World::new(world());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let manager = Manager::at(&path("notify"));

    let right = world.microsoft().tenants()[0].apps[0].secret().unwrap().to_owned();
    fs::write(path("secret"), "x".repeat(right.len())).unwrap();
    let mut command = world.run();
    command.env_remove("M365_AUDIT_CLIENT_SECRET").env("NOTIFY_SOCKET", path("notify"));
    command.arg("--client-secret-file").arg(path("secret"));
    command.args(["--progress", "never", "--output"]).arg(path("audit.ndjson"));
    command.arg("--db").arg(path("state.db"));
    let mut running = Running::start(command, path("log"));
    running.wait_until("the secret is refused", |log| log.contains("AADSTS7000215"));
    running.signal("-HUP");
    running.wait_until("it has heard that", |log| log.contains("SIGHUP: the output is open"));
    let heard = manager.so_far();
    assert!(heard.contains("STATUS=signing in"), "{heard}");
    // A reload in between does not make it ready.
    assert!(!heard.contains("READY=1") && !heard.contains("RELOADING=1"), "{heard}");

    // A new secret that looks like the old one from outside is read when somebody says so.
    rewrite(&path("secret"), &right);
    running.signal("-HUP");
    running.wait_until("it is taken", |log| log.contains("the credential has changed"));
    manager.until("READY=1");

    running.signal("-HUP");
    let heard = manager.until("READY=1").concat();
    assert!(heard.contains("RELOADING=1\nMONOTONIC_USEC="), "{heard}");
    // What is read again and is the same has not changed.
    let log = running.log();
    assert_eq!(log.matches("the credential has changed").count(), 1, "{log}");
    running.stop();
    manager.until("STOPPING=1");
}

#[test]
fn a_reload_ends_nothing_where_records_go_to_a_pipe() {
    let world = World::new(world());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let manager = Manager::at(&path("notify"));
    let mut command = world.run();
    command.env("NOTIFY_SOCKET", path("notify")).args(["--progress", "never"]);
    let mut running = Running::start(command, path("log"));
    manager.until("READY=1");
    running.signal("-HUP");
    let heard = manager.until("READY=1").concat();
    assert!(heard.contains("RELOADING=1"), "{heard}");
    running.stop();
}

#[test]
fn of_several_tenants_one_is_enough_and_a_reload_reads_their_file() {
    let tenants = (0..2).map(|n| TenantConfig::seeded(7, n)).collect();
    let config = SimConfig { tenants, days: 0.02, ..world() };
    let server = Server::start(config, &Listen::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let manager = Manager::at(&path("notify"));

    let tables = [0, 1].map(|n| tenants::table(&server, n));
    let secret = server.microsoft().tenants()[1].apps[0].secret().unwrap().to_owned();
    let wrong = tables[1].replace(&secret, &"x".repeat(secret.len()));
    fs::write(path("tenants.toml"), format!("{}{wrong}", tables[0])).unwrap();
    let mut command = tenants::command(&server, folder.path());
    command.env("NOTIFY_SOCKET", path("notify"));
    let mut running = Running::start(command, path("log"));
    running.wait_until("the other is refused", |log| log.contains("t1: sign-in refused"));
    manager.until("READY=1");

    rewrite(&path("tenants.toml"), &tables.concat());
    running.signal("-HUP");
    manager.until("READY=1");
    running.wait_until("it is read", |log| log.contains("tenants.toml was read again"));
    running.wait_until("it collects too", |log| log.contains("t1: Audit.Exchange: caught up"));
    running.stop();
}
