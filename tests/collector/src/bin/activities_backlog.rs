//! How many requests a backlog of activities takes: the collector against the simulated Activities
//! API in virtual time, until everything is delivered. Prints one JSON object. Measures nothing in
//! real time but how long it took.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use m365_audit_core::{
    Collector, Config, Event, Input, Now, Outcome, Output, Presented, RawOptions, Stored, Utc,
};
use m365_audit_tests::simulation::{Draw, Network};
use m365_sim::{FaultPlan, Microsoft, SimConfig, Span};
use serde_json::json;
use xxhash_rust::xxh3::xxh3_128;

/// 2026-03-01T00:00:00Z.
const START_MS: i64 = 1_772_323_200_000;
/// Activities on a page at the most.
const PAGE: u64 = 5_000;
/// Bytes that arrive at once, and how long the service and the host take.
const CHUNK_BYTES_MAX: u64 = 256 << 10;
const LATENCY_MS: u64 = 300;
const DELIVERY_MS: i64 = 20;
/// A backlog that is not through by then never is.
const PATIENCE_MS: i64 = 24 * 3_600_000;

/// Collect a backlog of activities and count the requests.
#[derive(Parser)]
struct Arguments {
    /// How many activities, about.
    #[arg(long, default_value_t = 1_000_000)]
    activities: u32,
    /// Over how many days they are spread.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Requests a minute, of the collector and of the service.
    #[arg(long, default_value_t = 30)]
    requests_per_minute: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match collect(&arguments) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn collect(arguments: &Arguments) -> Result<serde_json::Value, String> {
    let began = Instant::now();
    let per_hour = arguments.activities.div_ceil(arguments.days * 24);
    let mut microsoft = Microsoft::new(
        SimConfig {
            seed: 5,
            activities_per_hour: Span::new(per_hour, per_hour),
            activity_days: f64::from(arguments.days),
            blobs_per_hour: Span::new(0, 0),
            live: false,
            latency_ms: LATENCY_MS,
            portal_quota_per_minute: arguments.requests_per_minute,
            faults: FaultPlan::none(),
            ..SimConfig::default()
        },
        START_MS,
    );
    let config = config(&microsoft, arguments)?;
    let mut world = World::new(&mut microsoft);
    let mut collector = Collector::new(config, &Stored::new(), 5, world.now())
        .map_err(|error| error.to_string())?;
    while !world.step(&mut collector)? {}
    let (seconds, arrived, repeated) =
        ((world.now_ms - START_MS) / 1_000, world.arrived, world.repeated);
    if collector.outcome() != Outcome::Complete {
        return Err(format!("it ended {:?}", collector.outcome()));
    }
    let owed: Vec<u128> = microsoft.owed_activities().map(|owed| owed.hash).collect();
    let missing = owed.iter().filter(|hash| !arrived.contains(hash)).count();
    let report = microsoft.report();
    if !report.is_legal() {
        return Err(format!("illegal requests: {:?}", report.illegal_by_rule));
    }
    let requests = report.operations.get("activities").copied().unwrap_or_default();
    let least = (owed.len() as u64).div_ceil(PAGE);
    Ok(json!({
        "activities": owed.len(),
        "missing": missing,
        "repeated": repeated,
        "requests": requests,
        "least": least,
        "peak_per_minute": report.portal_peak_per_minute.values().max(),
        "virtual_seconds": seconds,
        "real_seconds": began.elapsed().as_secs(),
        "peak_kilobytes": peak_kilobytes(),
    }))
}

fn config(microsoft: &Microsoft, arguments: &Arguments) -> Result<Config, String> {
    let tenant = &microsoft.tenants()[0];
    let options: RawOptions = [
        ("source", "cloud_app_activities".to_owned()),
        ("tenant_id", tenant.id.to_string()),
        ("client_id", tenant.apps[0].client_id.to_string()),
        ("client_secret", tenant.apps[0].secret().unwrap_or_default().to_owned()),
        ("portal_url", microsoft.portal_url(tenant.id).unwrap_or_default()),
        ("activities_lookback", format!("{}d", arguments.days)),
        ("activities_requests_per_minute", arguments.requests_per_minute.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let config = Config::parse(&options);
    config.map(|config| config.once(true)).map_err(|errors| format!("{errors:?}"))
}

/// The service, the way to it, and a host that takes everything after a moment.
struct World<'a> {
    microsoft: &'a mut Microsoft,
    network: Network,
    draw: Draw,
    agenda: BTreeMap<(i64, u64), Input>,
    number: u64,
    now_ms: i64,
    /// Hashes of the records that arrived.
    arrived: HashSet<u128>,
    repeated: u64,
}

impl<'a> World<'a> {
    fn new(microsoft: &'a mut Microsoft) -> Self {
        Self {
            microsoft,
            network: Network::default(),
            draw: Draw::new(5),
            agenda: BTreeMap::new(),
            number: 0,
            now_ms: START_MS,
            arrived: HashSet::new(),
            repeated: 0,
        }
    }

    fn now(&self) -> Now {
        let alive_ms = (self.now_ms - START_MS).unsigned_abs();
        let wall = Utc::from_millis(self.now_ms);
        Now { monotonic: Duration::from_millis(alive_ms), wall }
    }

    fn after(&mut self, ms: i64, input: Input) {
        self.number += 1;
        self.agenda.insert((self.now_ms + ms, self.number), input);
    }

    /// Performs one output. Answers whether the collector has finished.
    fn step(&mut self, collector: &mut Collector) -> Result<bool, String> {
        if START_MS + PATIENCE_MS < self.now_ms {
            return Err("it does not come to an end".into());
        }
        match collector.poll_output(self.now()) {
            Output::Request { id, request, timeout } => {
                let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
                let (ms, input) =
                    self.network.send(self.microsoft, self.now_ms, id, &request, timeout_ms);
                self.after(ms, input);
            }
            Output::Read(id) => {
                if let Some((ms, input)) = self.network.read(id, CHUNK_BYTES_MAX, &mut self.draw) {
                    self.after(ms, input);
                }
            }
            Output::Cancel(id) => self.network.cancel(id),
            Output::Credential => {
                let presented = Presented::unchanged([7; 32]);
                collector.handle_input(self.now(), Input::Credential(presented));
            }
            Output::Batch(batch) => {
                for record in &batch.records {
                    self.repeated += u64::from(!self.arrived.insert(xxh3_128(&record.raw)));
                }
                self.after(DELIVERY_MS, Input::Delivered(batch.id));
            }
            Output::Event(event) => report(&event),
            Output::Commit(_) => {}
            Output::Wait(wait) => return self.wait(collector, wait).map(|()| false),
            Output::Finished => return Ok(true),
        }
        Ok(false)
    }

    /// On to what happens next, or to the end of the wait.
    fn wait(&mut self, collector: &mut Collector, wait: Option<Duration>) -> Result<(), String> {
        let until = wait.map(|wait| {
            self.now_ms + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2).max(1)
        });
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let Some(at) = next.into_iter().chain(until).min() else {
            return Err("it waits for nothing".into());
        };
        self.now_ms = self.now_ms.max(at);
        if next == Some(at)
            && let Some((_, input)) = self.agenda.pop_first()
        {
            collector.handle_input(self.now(), input);
        } else {
            collector.handle_input(self.now(), Input::Timeout);
        }
        Ok(())
    }
}

/// What is out of the ordinary should not be there.
fn report(event: &Event) {
    if event.level() <= m365_audit_core::Level::Warn {
        eprintln!("{event}");
    }
}

/// The most memory that this process has used.
fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
