//! SIGKILL at random moments, from a seed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use m365_sim::{SimConfig, Span};

use crate::support::{World, end, signal, world};

/// How many, unless `M365_AUDIT_KILLS` says it.
const KILLS: u64 = 40;

/// Log lines of a start and of a few calls.
const LINES_MAX: u64 = 60;

pub(crate) fn kills() -> u64 {
    std::env::var("M365_AUDIT_KILLS").map_or(KILLS, |text| text.parse().expect("a number"))
}

/// Much small content, slowly answered, of which every record has an id: several times what so many
/// kills may repeat, so that too much would show.
pub(crate) fn slow_world(seed: u64) -> World {
    World::new(SimConfig {
        seed,
        blobs_per_hour: Span::new(100, 100),
        records_per_blob: Span::new(1, 10),
        record_bytes: Span::new(500, 2_000),
        oddness: 0.0,
        latency_ms: 60,
        ..world()
    })
}

/// Random moments from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Kills `command` at a random moment: after so many lines of its log, or so much time.
pub(crate) fn run_and_kill(mut command: Command, dice: &mut Dice) {
    let mut child = command
        .args(["--log-level", "debug", "--log-format", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, told) = mpsc::channel();
    let log = BufReader::new(child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    // Mostly while it collects; now and then while it starts.
    if 0 < dice.below(8) {
        told.recv().unwrap();
    }
    let (lines, patience) = (dice.below(LINES_MAX), Duration::from_millis(dice.below(1_500)));
    let until = Instant::now() + patience;
    for _ in 0..lines {
        let left = until.saturating_duration_since(Instant::now());
        if told.recv_timeout(left).is_err() {
            break;
        }
    }
    kill(&mut child);
    drop(told);
    reader.join().unwrap();
}

fn kill(child: &mut Child) {
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    signal(child, "-KILL");
    end(child);
}
