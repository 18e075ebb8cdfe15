//! `m365-audit run`: collects into a file or stdout, as NDJSON.

pub(crate) mod board;
mod last_words;
mod many;
mod place;
pub(crate) mod progress;
pub(crate) mod signals;
mod sink;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use indicatif::MultiProgress;
use m365_audit_client::{Client, RunError, Settings};
use m365_audit_core::{ConfigError, Level, Outcome, RawOptions};

use crate::arguments::{self, words};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::{Format, Log};
use crate::output::Output;
use crate::output_settings::OutputSettings;
use crate::run::board::Board;
use crate::run::place::Place;
use crate::run::progress::Progress;
use crate::run::signals::Signals;
use crate::run::sink::NdjsonSink;
use crate::sources::{self, Plan};

pub(crate) use crate::run::last_words::{INCOMPLETE_WORDS, losses_words};

const AFTER_HELP: &str = "\
A flag comes before its variable, a variable before the file, the file before the default.
Without --db nothing is remembered: every start collects from lookback again.

Example:
  export M365_AUDIT_CLIENT_SECRET=...
  m365-audit run --tenant-id GUID --client-id GUID --db state.db --output audit.ndjson";

pub(crate) fn command() -> Command {
    Command::new("run")
        .about("Collect audit events as NDJSON, one record a line")
        .after_help(AFTER_HELP)
        .args(args())
        .args(arguments::output_args())
        .args(arguments::args())
}

/// What a run takes beside the options of the table.
pub(crate) fn args() -> [Arg; 7] {
    [
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
        Arg::new("output")
            .long("output")
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help(
                "Append to this file. Progress is recorded only when the records are on the disk \
                 [default: stdout]",
            ),
        Arg::new("stop-on-stdin-close")
            .long("stop-on-stdin-close")
            .action(ArgAction::SetTrue)
            .help(
                "Stop as SIGTERM does when stdin is closed: for a parent that ends its children so",
            ),
        words("log-level", &["error", "warn", "info", "debug"], "info")
            .help("The least important lines to show on stderr"),
        words("log-format", &["text", "json"], "text").help("How lines on stderr look"),
        words("progress", &["auto", "never", "always"], "auto").help(
            "Bars if stderr is a terminal, else a line every 10 s. `always` shows the line \
             whatever --log-level says",
        ),
    ]
}

/// Collects, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let (log, progress) = shown(matches);
    log.warn_of_variables();
    let opened = |raw: &RawOptions| open_output(matches, raw, &log);
    let (plan, output) = match sources::plan(matches, opened) {
        Ok(planned) => planned,
        Err(report) => {
            // Nothing can be told any more if stderr is gone.
            drop(std::io::stderr().write_all(report.as_bytes()));
            return MISCONFIGURED;
        }
    };
    if let Err(refusal) = accept(&output, plan.has_db()) {
        drop(std::io::stderr().write_all(refusal.as_bytes()));
        return MISCONFIGURED;
    }
    let once = matches.get_flag("once");
    let output = Arc::new(Mutex::new(output));
    let board = Board::new(progress, log.clone());
    let stdin = matches.get_flag("stop-on-stdin-close");
    let place = Place { output, once, stdin, log, board };
    match plan {
        Plan::One(settings) => one(*settings, once, &place),
        Plan::Many(file, tenants) => many::collect(file, tenants, once, &place),
    }
}

fn one(mut settings: Settings, once: bool, place: &Place) -> u8 {
    settings.config = settings.config.once(once);
    let envelope = settings.config.envelope().clone();
    match Client::open(settings, |handle| NdjsonSink::new(place.clone(), envelope, handle)) {
        Ok(client) => collect(client, once, place),
        Err(error) => {
            place.log.write(Level::Error, &error.to_string());
            INCOMPLETE
        }
    }
}

/// Where lines for people go, and how progress is shown.
pub(crate) fn shown(matches: &ArgMatches) -> (Log, Progress) {
    let word = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let level = arguments::level(word("log-level"));
    let format = if word("log-format") == "json" { Format::Json } else { Format::Text };
    let bars = MultiProgress::new();
    let log = Log::new(level, format, bars.clone());
    (log, Progress::new(word("progress"), bars))
}

/// The file of `--output`, or stdout; by the options of output files.
pub(crate) fn open_output(
    matches: &ArgMatches,
    raw: &RawOptions,
    log: &Log,
) -> Result<Output, Vec<ConfigError>> {
    let settings = OutputSettings::parse(raw)?;
    let path = matches.get_one::<PathBuf>("output");
    let path = path.map(PathBuf::as_path).filter(|path| *path != Path::new("-"));
    Output::open(path, settings, log).map_err(|error| vec![error])
}

/// Says what the output is; the report if it is of no use.
pub(crate) fn accept(output: &Output, has_db: bool) -> Result<(), String> {
    if let Some(refusal) = output.refusal().filter(|_| has_db) {
        return Err(sources::refused(&refusal));
    }
    output.introduce(has_db);
    Ok(())
}

fn collect(mut client: Client<NdjsonSink>, once: bool, place: &Place) -> u8 {
    let log = &place.log;
    let handle = client.handle();
    let reader = client.handle();
    let stop = move |grace| handle.shutdown(grace);
    let look_again = move || reader.look_again();
    let signals = match Signals::watch(stop, look_again, Some(&place.output), log.clone()) {
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
    let losses = place.board.close();
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
