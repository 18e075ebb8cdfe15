//! How many requests a backlog of activities takes: the collector against the simulated Activities
//! API in virtual time, until everything is delivered. Prints one JSON object. Measures nothing in
//! real time but how long it took.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use m365_audit_core::{Collector, Config, Level, Outcome, RawOptions};
use m365_audit_world::{Chunks, End, Passing, START_MS, Setting, World};
use m365_sim::{FaultPlan, Microsoft, SimConfig, Span};
use serde_json::json;

/// Activities on a page at the most.
const PAGE: u64 = 5_000;
/// Bytes that arrive at once, and how long the service and the host take.
const CHUNK_BYTES_MAX: u64 = 256 << 10;
const LATENCY_MS: u64 = 300;
const DELIVERY_MS: u64 = 20;
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
    let mut world = World::new(Setting {
        chunks: Chunks::Drawn { bytes_max: CHUNK_BYTES_MAX },
        habits: DELIVERY_MS.into(),
        ..Setting::calm(START_MS, 5)
    });
    let mut collector =
        Collector::new(config, &world.stored, 5, world.now()).map_err(|error| error.to_string())?;
    let until_ms = START_MS + PATIENCE_MS;
    let end = world.live(&mut collector, &mut microsoft, &mut look, until_ms)?;
    if end != End::Finished {
        return Err("it does not come to an end".into());
    }
    let taken = world.taker().taken();
    if collector.outcome() != Outcome::Complete {
        return Err(format!("it ended {:?}", collector.outcome()));
    }
    let owed: Vec<u128> = microsoft.owed_activities().map(|owed| owed.hash).collect();
    let missing = owed.iter().filter(|hash| !taken.contains_key(hash)).count();
    let report = microsoft.report();
    if !report.is_legal() {
        return Err(format!("illegal requests: {:?}", report.illegal_by_rule));
    }
    let requests = report.operations.get("activities").copied().unwrap_or_default();
    let least = (owed.len() as u64).div_ceil(PAGE);
    Ok(json!({
        "activities": owed.len(),
        "missing": missing,
        "repeated": world.taker().records() - taken.len() as u64,
        "requests": requests,
        "least": least,
        "peak_per_minute": report.portal_peak_per_minute.values().max(),
        "virtual_seconds": (world.now_ms() - START_MS) / 1_000,
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

/// What is out of the ordinary should not be there.
fn look(_: &World, passing: Passing<'_>) -> Result<(), String> {
    if let Passing::Event(event) = passing
        && event.level() <= Level::Warn
    {
        eprintln!("{event}");
    }
    Ok(())
}

/// The most memory that this process has used.
fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
