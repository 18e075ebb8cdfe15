//! `m365-audit errors`: what Microsoft's codes and those of our log mean, and what to do.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use m365_audit_core::{KNOWN_ERRORS, KNOWN_EVENTS, KnownError, Level};
use serde_json::{Value, json};

use crate::calls::{print, say};
use crate::exit::{COMPLETE, MISCONFIGURED};

const AFTER_HELP: &str = "\
ERROR: somebody must act, or data is lost. WARN: out of the ordinary, no data is lost. INFO: a
start, a stop, a change. DEBUG: overcome by itself.

Examples:
  m365-audit errors AF20022 AADSTS7000215
  m365-audit errors RetriesMounting";

pub(crate) fn command() -> Command {
    Command::new("errors")
        .about("Explain Microsoft's error codes, and the codes of log lines")
        .after_help(AFTER_HELP)
        .arg(Arg::new("code").value_name("CODE").num_args(0..).help(
            "Codes as AF20022, AADSTS7000215 or RetriesMounting [default: all of Microsoft's]",
        ))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("WORD")
                .value_parser(PossibleValuesParser::new(["text", "markdown", "events", "json"]))
                .default_value("text")
                .help("How they are printed; events is the table of the codes in our log"),
        )
}

/// Prints, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let mut code = COMPLETE;
    let mut known: Vec<&KnownError> = Vec::new();
    for name in matches.get_many::<String>("code").into_iter().flatten() {
        let mut all = KNOWN_ERRORS.iter().chain(KNOWN_EVENTS);
        match all.find(|known| known.code.eq_ignore_ascii_case(name)) {
            Some(found) => known.push(found),
            None => {
                say(&format!("{name:?} is not known; Microsoft's reference may say more\n"));
                code = MISCONFIGURED;
            }
        }
    }
    if known.is_empty() && code == COMPLETE {
        known = KNOWN_ERRORS.iter().collect();
    }
    match matches.get_one::<String>("format").map(String::as_str) {
        Some("markdown") => print(&markdown(&known)),
        Some("events") => print(&markdown(&KNOWN_EVENTS.iter().collect::<Vec<_>>())),
        Some("json") => {
            let all: Vec<Value> = known.iter().map(|known| as_json(known)).collect();
            print(&format!("{:#}\n", Value::from(all)));
        }
        _ => known.iter().for_each(|known| print(&text(known))),
    }
    code
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
    }
}

fn text(known: &KnownError) -> String {
    let KnownError { code, severity, meaning, remedy } = known;
    format!("{code} ({}): {meaning}\n    {remedy}\n", word(*severity))
}

fn as_json(known: &KnownError) -> Value {
    let severity = word(known.severity).to_ascii_lowercase();
    json!({
        "code": known.code,
        "severity": severity,
        "meaning": known.meaning,
        "remedy": known.remedy,
    })
}

fn markdown(known: &[&KnownError]) -> String {
    let mut table = String::from("| Code | Level | Meaning | What to do |\n|---|---|---|---|\n");
    for KnownError { code, severity, meaning, remedy } in known {
        table.push_str(&format!("| `{code}` | {} | {meaning} | {remedy} |\n", word(*severity)));
    }
    table
}
