//! `m365-audit run`: collects into a file or stdout, as NDJSON, or to a receiver over a network.

pub(crate) mod board;
mod destination;
mod last_words;
mod many;
mod network;
mod people;
mod place;
pub(crate) mod progress;
pub(crate) mod signals;
mod sink;

use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_client::{Client, RunError, Settings};
use m365_audit_core::{Level, Outcome};
use m365_audit_sinks::{Couriers, Insistence, Patience, SinkOptions, Stop};

use crate::arguments;
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::Log;
use crate::output::Output;
use crate::run::board::Board;
use crate::run::people::People;
use crate::run::place::{Place, RunSink, Target, Whose};
use crate::run::signals::Signals;
use crate::sources::{self, Plan};

pub(crate) use crate::run::destination::{Destination, Opened, logger, mistakes};
pub(crate) use crate::run::last_words::{INCOMPLETE_WORDS, losses_words};
#[cfg(feature = "host")]
pub(crate) use crate::run::many::verdict_of_many;

/// Connections to a receiver, if there are many tenants: the answers to one tenant's messages are
/// waited for while another's are sent.
pub(crate) const COURIERS_OF_MANY: usize = 4;

const AFTER_HELP: &str = "\
A flag comes before its variable, a variable before the file, the file before the default.
Without --db nothing is remembered: every start collects from lookback again.

Example:
  export M365_AUDIT_CLIENT_SECRET=...
  m365-audit run --tenant-id GUID --client-id GUID --db state.db --output audit.ndjson

To whoever speaks OpenTelemetry, acknowledged (Fluent's forward protocol: --sink forward):
  m365-audit run --config m365-audit.toml --db state.db --sink otlp \\
      --otlp-endpoint https://otel.example:4318";

pub(crate) fn command() -> Command {
    Command::new("run")
        .about("Collect audit events: as NDJSON, by OTLP, or by Fluent's forward protocol")
        .after_help(AFTER_HELP)
        .args(args())
        .args(arguments::sink_args())
        .args(arguments::output_args())
        .args(arguments::args())
}

/// What a run takes beside the options of the table.
pub(crate) fn args() -> Vec<Arg> {
    let own = [
        Arg::new("config")
            .long("config")
            .env("M365_AUDIT_CONFIG")
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help("TOML file with the options below; see `m365-audit options --format toml`"),
        Arg::new("once").long("once").action(ArgAction::SetTrue).help(
            "Collect everything that exists at the start, then exit: 0 if all of it was written \
             and no loss is left that nobody has acknowledged. During an outage of the service it \
             goes on trying; `timeout 1h m365-audit …` sets it a limit",
        ),
        Arg::new("stop-on-stdin-close")
            .long("stop-on-stdin-close")
            .action(ArgAction::SetTrue)
            .help(
                "Stop as SIGTERM does when stdin is closed: for a parent that ends its children so",
            ),
    ];
    own.into_iter().chain(arguments::shown_args()).collect()
}

/// Collects, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let (plan, opened) = match sources::plan(matches, Opened::open) {
        Ok(planned) => planned,
        Err(report) => return refuse(&report),
    };
    let Opened { destination, log, progress } = opened;
    let once = matches.get_flag("once");
    let people = People { board: Board::new(progress.once(once), log.clone()), log };
    let target = match destination {
        Destination::Lines(output) => {
            if let Err(refusal) = accept(&output, plan.has_db()) {
                return refuse(&refusal);
            }
            Target::Lines(Arc::new(Mutex::new(*output)))
        }
        Destination::Network(sink) => match network(&sink, &plan, once, &people.log) {
            Ok(target) => target,
            Err(problem) => {
                people.log.write(Level::Error, &problem);
                return MISCONFIGURED;
            }
        },
    };
    let place = Place { target, once, stdin: matches.get_flag("stop-on-stdin-close"), people };
    match plan {
        Plan::One(settings) => one(*settings, once, &place),
        Plan::Many(file, tenants) => many::collect(file, tenants, once, &place),
    }
}

/// Nothing can be told any more if stderr is gone.
fn refuse(report: &str) -> u8 {
    drop(std::io::stderr().write_all(report.as_bytes()));
    MISCONFIGURED
}

/// The couriers to a receiver.
fn network(sink: &SinkOptions, plan: &Plan, once: bool, log: &Log) -> Result<Target, String> {
    let couriers = match plan {
        Plan::One(_) => 1,
        Plan::Many(..) => COURIERS_OF_MANY,
    };
    let logger = logger(log);
    let mut receivers = Vec::new();
    while receivers.len() < couriers {
        receivers.extend(sink.receiver(&logger).map_err(|error| error.to_string())?);
    }
    let insistence = Insistence { patience: Patience::default(), once, stop: Stop::new(), logger };
    let couriers = Couriers::start(receivers, &insistence)
        .map_err(|error| format!("no thread can be started: {error}"))?;
    Ok(Target::Network { couriers, metadata: sink.metadata() })
}

fn one(mut settings: Settings, once: bool, place: &Place) -> u8 {
    settings.config = settings.config.once(once);
    let envelope = settings.config.envelope().clone();
    let tenant_id = settings.config.tenant_id().to_owned();
    let mut place = place.clone();
    place.people.log =
        place.people.log.of_only(envelope.tenant_name.as_deref().unwrap_or(&tenant_id));
    let place = &place;
    let whose = Whose { tenant_id: &tenant_id, name: None };
    match Client::open(settings, |handle| place.sink(whose, envelope, handle)) {
        Ok(client) => collect(client, once, place),
        Err(error) => {
            place.people.log.write(Level::Error, &error.to_string());
            INCOMPLETE
        }
    }
}

/// Says what the output is; the report if it is of no use.
pub(crate) fn accept(output: &Output, has_db: bool) -> Result<(), String> {
    if let Some(refusal) = output.refusal().filter(|_| has_db) {
        return Err(sources::refused(&refusal));
    }
    output.introduce(has_db);
    Ok(())
}

fn collect(mut client: Client<RunSink>, once: bool, place: &Place) -> u8 {
    let log = &place.people.log;
    let handle = client.handle();
    let reader = client.handle();
    let stop = move |grace| handle.shutdown(grace);
    let look_again = move || reader.look_again();
    let signals = match Signals::watch(stop, look_again, place.output(), log.clone()) {
        Ok(signals) => signals,
        Err(error) => {
            log.write(Level::Error, &format!("signals cannot be watched: {error}"));
            return INCOMPLETE;
        }
    };
    if place.stdin {
        signals.raise_when_stdin_closes(log);
    }
    let result = if once { client.run() } else { client.run_until_shutdown() };
    let losses = place.people.board.close();
    let (code, level, message) = verdict(&result, once, signals.came(), losses);
    log.write(level, &message);
    code
}

/// The exit code and the last words.
fn verdict(
    result: &Result<Outcome, RunError>,
    once: bool,
    stopped: bool,
    losses: u64,
) -> (u8, Level, String) {
    let (code, level, words) = match result {
        Ok(Outcome::Complete) => (COMPLETE, Level::Info, "complete"),
        // Who collects for ever is always interrupted in the middle.
        Ok(Outcome::Incomplete) if stopped && !once => {
            (COMPLETE, Level::Info, "stopped; everything that was written is recorded")
        }
        Ok(Outcome::Incomplete) if stopped => {
            (INCOMPLETE, Level::Warn, "interrupted; with the same db the next run goes on")
        }
        Ok(Outcome::Incomplete) => (INCOMPLETE, Level::Warn, INCOMPLETE_WORDS),
        Err(error) => return (INCOMPLETE, Level::Error, error.to_string()),
    };
    let level = if losses > 0 { level.min(Level::Warn) } else { level };
    (code, level, format!("{words}{}", losses_words(losses)))
}
