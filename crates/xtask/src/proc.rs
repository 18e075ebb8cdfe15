//! What the kernel says about a process: its CPU time and its memory. Linux only; elsewhere nothing
//! is known.

use std::fs;
use std::time::Duration;

/// Clock ticks a second in `/proc`: fixed for user space on every architecture that Rust knows.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all threads so far, user and system.
pub(crate) fn cpu(id: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold anything; the fields behind it may not. The first of them is the third.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Resident bytes at present.
pub(crate) fn resident(id: u32) -> Option<u64> {
    status(id, "VmRSS:")
}

/// The most resident bytes so far, of its life.
pub(crate) fn peak(id: u32) -> Option<u64> {
    status(id, "VmHWM:")
}

fn status(id: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1_024)
}
