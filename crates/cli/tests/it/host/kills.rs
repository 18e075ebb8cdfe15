//! SIGKILL at random moments, into each sink: everything owed arrives, and what comes twice is no
//! more than what was in flight.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use m365_audit_test_support::needs::component;
use m365_audit_test_support::peer::{self, Behaviour, Peer};

use crate::support::kills::{Dice, kills, run_and_kill, slow_world};
use crate::support::{World, assert_code, id, lines};

/// Most bytes that one call of the component returns.
const CALL_BYTES: usize = 20_000;

/// A killed host repeats at most the answer that it had not recorded, and the part of a batch that
/// the answer before could not hold.
const IN_FLIGHT_BYTES_MAX: usize = 2 * CALL_BYTES;

/// A collection that goes on for ever, in small steps.
fn host(world: &World, component: &Path, db: &Path) -> Command {
    let mut command = world.host("run", component);
    command.arg("--db").arg(db).args(["--max-in-flight", "2", "--requests-per-minute", "100000"]);
    command.args(["--call-bytes", &CALL_BYTES.to_string()]);
    command
}

/// A record's id, and its bytes.
type Arrived = (String, usize);

fn of_line(line: &[u8]) -> Arrived {
    (id(line), line.len())
}

/// The ids, and the bytes of what came again.
fn repeated(arrived: &[Arrived]) -> (HashSet<String>, usize) {
    let mut ids = HashSet::new();
    let again = arrived.iter().filter(|(id, _)| !ids.insert(id.clone())).map(|(_, bytes)| bytes);
    let bytes = again.sum();
    (ids, bytes)
}

#[track_caller]
fn assert_bounded(what: &str, busy: u64, repeated_bytes: usize, all_bytes: usize) {
    let kills = kills();
    let bound = usize::try_from(kills).unwrap() * IN_FLIGHT_BYTES_MAX;
    println!(
        "{what}: {kills} kills ({busy} after something was delivered), {repeated_bytes} of \
         {all_bytes} bytes came again"
    );
    assert!(kills / 8 <= busy, "hardly a kill while it delivered: {busy} of {kills}");
    assert!(repeated_bytes <= bound, "{repeated_bytes} bytes, but {bound} were in flight");
}

#[test]
fn kills_lose_no_line_of_a_file_and_repeat_only_what_was_in_flight() {
    let Some(component) = component() else { return };
    let world = slow_world(1);
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = (dir.path().join("state.db"), dir.path().join("audit.ndjson"));
    let (mut dice, mut busy) = (Dice(1), 0);
    let length = || fs::metadata(&path).map_or(0, |file| file.len());
    for _ in 0..kills() {
        let mut command = host(&world, &component, &db);
        command.arg("--output").arg(&path);
        let before = length();
        run_and_kill(command, &mut dice);
        busy += u64::from(before < length());
    }
    let output = host(&world, &component, &db).arg("--once").arg("--output").arg(&path).output();
    assert_code(&output.unwrap(), 0);
    let bytes = fs::read(&path).unwrap();
    assert!(world.owed().is_subset(&world.keys(lines(&bytes))));
    let arrived: Vec<_> = lines(&bytes).map(of_line).collect();
    let (_, repeated_bytes) = repeated(&arrived);
    assert_bounded("file", busy, repeated_bytes, bytes.len());
}

#[test]
fn kills_lose_no_event_of_a_receiver_and_repeat_only_what_was_in_flight() {
    let Some(component) = component() else { return };
    let world = slow_world(2);
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let receiver = Receiver::start();
    let address = receiver.address();
    let forwarding = || {
        let mut command = host(&world, &component, &db);
        command.args(["--sink", "forward", "--forward-address", &address]);
        command
    };
    let (mut dice, mut busy) = (Dice(2), 0);
    for _ in 0..kills() {
        let before = receiver.count();
        run_and_kill(forwarding(), &mut dice);
        busy += u64::from(before < receiver.count());
    }
    assert_code(&forwarding().arg("--once").output().unwrap(), 0);
    let owed = world.owed_ids();
    let arrived = receiver.arrived(&owed);
    let (ids, repeated_bytes) = repeated(&arrived);
    let missing = owed.difference(&ids).count();
    assert_eq!(missing, 0, "of {}", owed.len());
    let all_bytes = arrived.iter().map(|(_, bytes)| bytes).sum();
    assert_bounded(receiver.name(), busy, repeated_bytes, all_bytes);
}

/// The real Fluent Bit if there is one, else a peer that speaks the protocol.
enum Receiver {
    Real(Box<FluentBit>, String),
    Played(Peer),
}

impl Receiver {
    fn start() -> Self {
        let Some(executable) = fluent_bit::look() else {
            return Self::Played(Peer::start(Behaviour::default()));
        };
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let config = format!(
            "service:\n  flush: 0.2\n  grace: 1\n  http_server: on\n  http_listen: 127.0.0.1\n  \
             http_port: {{port}}\npipeline:\n  inputs:\n    - name: forward\n      \
             listen: 127.0.0.1\n      port: {port}\n  outputs:\n    - name: file\n      match: \
             '*'\n      path: '{{dir}}'\n      file: arrived\n      format: plain\n"
        );
        let fluent_bit = FluentBit::start(&executable, &config);
        Self::Real(Box::new(fluent_bit), format!("127.0.0.1:{port}"))
    }

    fn address(&self) -> String {
        match self {
            Self::Real(_, address) => address.clone(),
            Self::Played(peer) => peer.address().to_owned(),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Real(..) => "Fluent Bit",
            Self::Played(_) => "a peer",
        }
    }

    /// How many events have been seen to arrive.
    fn count(&self) -> usize {
        match self {
            Self::Real(fluent_bit, _) => fluent_bit.lines("arrived").len(),
            Self::Played(peer) => peer.count(),
        }
    }

    /// The events, once all of these are there.
    fn arrived(&self, owed: &HashSet<String>) -> Vec<Arrived> {
        match self {
            // It writes a moment after it has acknowledged.
            Self::Real(fluent_bit, _) => {
                let events = || -> Vec<Arrived> {
                    let lines = fluent_bit.lines("arrived");
                    lines.iter().map(|line| of_line(line.as_bytes())).collect()
                };
                fluent_bit_plugin_harness::until("everything is written", || {
                    let ids: HashSet<_> = events().into_iter().map(|(id, _)| id).collect();
                    owed.is_subset(&ids)
                });
                events()
            }
            Self::Played(peer) => {
                let event = |arrived: peer::Arrived| {
                    let mut bytes = Vec::new();
                    rmpv::encode::write_value(&mut bytes, &arrived.record).unwrap();
                    (arrived.record["Id"].as_str().unwrap().to_owned(), bytes.len())
                };
                peer.arrived().into_iter().map(event).collect()
            }
        }
    }
}
