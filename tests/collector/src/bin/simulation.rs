//! Runs the simulation ring over many seeds on all cores. Exits with 1 if any of them fails.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use m365_audit_tests::simulation::{Scenario, Stats, run};

/// Failures after which a run is given up.
const FAILURES_MAX: u64 = 10;

/// Run the collector against the simulated Microsoft in virtual time, one world a seed.
///
/// Every world draws its faults, crashes, failing sinks and clock jumps from its seed, and is
/// checked for: everything owed delivered, nothing invented, bytes equal, no checkpoint ahead of
/// delivery, no illegal request, limits held, no secret shown.
#[derive(Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Show the scenario of each seed.
    #[arg(long)]
    show: bool,
    /// Show every event of each seed, in place of the last ones of those that fail.
    #[arg(long)]
    events: bool,
    /// Threads. Default: one a core.
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.show {
        for seed in arguments.start..arguments.start.saturating_add(arguments.seeds) {
            println!("{:#?}", Scenario::draw(seed));
        }
    }
    let jobs = arguments
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let next = AtomicU64::new(arguments.start);
    let failures = AtomicU64::new(0);
    let began = Instant::now();
    let end = arguments.start.saturating_add(arguments.seeds);
    let totals = std::thread::scope(|scope| {
        let worker = || work(&next, end, &failures, arguments.start, began, arguments.events);
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .fold((0, Stats::default()), |(n, sum), (m, stats)| (n + m, add(sum, stats)))
    });
    let (worlds, sum) = totals;
    println!(
        "{worlds} worlds in {:.1} s: {} records owed, {} arrived, {} requests, {} faults, \
         {} crashes, {} runs of two members, {} batches returned, {:.0} virtual days",
        began.elapsed().as_secs_f64(),
        sum.owed,
        sum.records,
        sum.requests,
        sum.faults,
        sum.crashes,
        sum.runs_shared,
        sum.returned,
        Duration::from_secs(sum.seconds).as_secs_f64() / 86_400.0
    );
    let failed = failures.into_inner();
    println!("{} passed, {failed} failed", worlds - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(
    next: &AtomicU64,
    end: u64,
    failures: &AtomicU64,
    start: u64,
    began: Instant,
    shown: bool,
) -> (u64, Stats) {
    const PROGRESS_EVERY: u64 = 10_000;
    let (mut worlds, mut sum) = (0, Stats::default());
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || failures.load(Ordering::Relaxed) >= FAILURES_MAX {
            return (worlds, sum);
        }
        worlds += 1;
        match run(Scenario::draw(seed).logged(shown)) {
            Ok(stats) => sum = add(sum, stats),
            Err(failure) => {
                failures.fetch_add(1, Ordering::Relaxed);
                eprintln!("FAILED {failure}");
            }
        }
        let done = seed - start + 1;
        if done.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("{done} worlds after {:.0} s", began.elapsed().as_secs_f64());
        }
    }
}

const fn add(a: Stats, b: Stats) -> Stats {
    Stats {
        owed: a.owed + b.owed,
        records: a.records + b.records,
        requests: a.requests + b.requests,
        crashes: a.crashes + b.crashes,
        runs_shared: a.runs_shared + b.runs_shared,
        returned: a.returned + b.returned,
        seconds: a.seconds + b.seconds,
        faults: a.faults + b.faults,
    }
}
