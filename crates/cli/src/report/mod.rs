//! `m365-audit report`: what the state says of every hour, for people, for browsers and for
//! programs. Takes no lock, so that a collector may be at work; asks Microsoft nothing.

mod configuration;
mod html;
mod rows;
mod sentence;
mod statement;
mod strip;
mod text;

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use m365_audit_client::{DbOptions, inspect_tenant, tenants_in};
use m365_audit_core::{RawOptions, Utc};

use self::statement::{Span, Statement, Tenant};
use self::strip::Look;
use crate::calls::{self, moment};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::now;
use crate::names::Names;
use crate::sources;
use crate::terminal::has_colours;

/// How far back is looked unless somebody says otherwise.
const SINCE: Duration = Duration::from_secs(30 * 86_400);

/// Columns where there is no terminal.
const COLUMNS: usize = 80;

const AFTER_HELP: &str = "\
Reads the history that collectors keep in the db: for each feed and hour of content created, how
many blobs Microsoft listed, and what became of them. An hour is
  settled        older than what Microsoft keeps, listed again after it had ended, all delivered
  open           delivered so far; Microsoft may still add to it
  incomplete     something of it is not listed or not delivered
  lost           something of it is lost; the sentence says why
  not collected  from before the first start of the feed
Without --since the report begins 30 days ago, or at the first start if that was later. The state is
kept for 400 days. What the report cannot say stands at its end; what became of records behind the
output, `m365-audit verify` finds out.

A db alone is enough. With the configuration (--config, variables, flags) its hash stands in the
report, and what it leaves out; no secret does. html is one page that needs nothing else, and can be
printed.

Exit codes: 0 everything is settled or open, 1 something is not, 2 wrong configuration or argument.

Examples:
  m365-audit report --db state.db
  m365-audit report --config m365-audit.toml --since 2026-10-01 --until 2026-11-01 \\
      --format html > october.html
  m365-audit report --db state.db --format json | jq '.tenants[].feeds[].exceptions[]'";

pub(crate) fn command() -> Command {
    let since = moment::arg("since")
        .help(format!("First moment: {} [default: 30d, or the first start]", moment::FORMS));
    let until = moment::arg("until").default_value("now").help("End, exclusive, in the same forms");
    let format = Arg::new("format")
        .long("format")
        .value_name("WORD")
        .value_parser(PossibleValuesParser::new(["text", "html", "json", "csv"]))
        .default_value("text")
        .help("For a terminal, a browser, or programs; csv has a row for each hour");
    // What it prints, --format says; and it logs nothing.
    let options = calls::args(&["db", "db_password_file", "tenants_file"])
        .into_iter()
        .map(calls::with_tenant);
    let own = ["json", "log-level", "log-format"];
    let options = options.filter(move |arg| !own.contains(&arg.get_id().as_str()));
    Command::new("report")
        .about("Say for every hour whether all of it was delivered")
        .after_help(AFTER_HELP)
        .args([since, until, format])
        .args(options)
}

/// Reports, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    calls::look(matches, |raw| {
        run(matches, raw).map(|is_whole| if is_whole { COMPLETE } else { INCOMPLETE })
    })
}

/// Answers whether everything is settled or open.
fn run(matches: &ArgMatches, raw: &RawOptions) -> Result<bool, (u8, String)> {
    let refuse = |words: &str| Err((MISCONFIGURED, words.to_owned()));
    let options = DbOptions::of_raw(raw).map_err(|error| (MISCONFIGURED, error.to_string()))?;
    let Some(options) = options else {
        return refuse("no db: the history stands there; remedy: name it by --db or --config");
    };
    let now = now();
    let until = (*matches.get_one::<Utc>("until").expect("it has a default")).min(now);
    let since = matches.get_one::<Utc>("since").copied();
    let from_begin = since.is_none();
    let since = since.unwrap_or_else(|| until - SINCE);
    if until <= since {
        return refuse(&format!("--until ({until}) is not after --since ({since})"));
    }
    let failed = |error: m365_audit_client::StoreError| (INCOMPLETE, error.to_string());
    let names = Names::of(raw);
    let tenants = sources::meant_of(tenants_in(&options).map_err(failed)?, raw)
        .map_err(|words| (MISCONFIGURED, format!("{}: {words}", options.path.display())))?;
    let mut statement = Statement {
        made: now,
        since,
        until,
        db: options.path.clone(),
        configuration: configuration::read(raw),
        tenants: Vec::new(),
    };
    let span = Span { since, until, now, from_begin };
    let format = matches.get_one::<String>("format").map_or("text", String::as_str);
    // A reader that has seen enough is no failure.
    let mut out = BufWriter::new(io::stdout().lock());
    let _ = match format {
        "csv" => out.write_all(rows::csv_head().as_bytes()),
        "json" => out.write_all(b"{\"tenants\":["),
        _ => Ok(()),
    };
    for id in tenants {
        let stored = inspect_tenant(&options, &id).map_err(failed)?;
        let mut told = Told { format, out: &mut out, hours: Vec::new() };
        let mut tenant = Tenant::read(&id, &stored, span, &mut |history, row, standing| {
            told.hour(&id, history, row, standing);
        });
        tenant.name = names.name(&id).map(str::to_owned);
        told.tenant(&tenant, statement.tenants.is_empty());
        statement.tenants.push(tenant);
    }
    let rest = match format {
        "csv" => String::new(),
        "json" => rows::tail(&statement),
        "html" => html::write(&statement),
        _ => text::write(&statement, look()),
    };
    let _ = out.write_all(rest.as_bytes()).and_then(|()| out.flush());
    Ok(statement.is_whole())
}

/// What is written before all tenants are read.
struct Told<'a, W> {
    format: &'a str,
    out: &'a mut W,
    /// Of each feed.
    hours: Vec<(m365_audit_core::Feed, Vec<serde_json::Value>)>,
}

impl<W: Write> Told<'_, W> {
    fn hour(
        &mut self,
        tenant: &str,
        history: &m365_audit_core::FeedHistory,
        row: &m365_audit_core::HourRow,
        standing: m365_audit_core::HourStanding,
    ) {
        match self.format {
            "csv" => {
                let row = rows::csv_row(tenant, history, row, standing);
                let _ = self.out.write_all(row.as_bytes());
            }
            "json" => {
                if self.hours.last().is_none_or(|(feed, _)| *feed != history.feed) {
                    self.hours.push((history.feed, Vec::new()));
                }
                let hours = self.hours.last_mut().map(|(_, hours)| hours);
                hours.into_iter().for_each(|hours| hours.push(rows::hour_json(row, standing)));
            }
            _ => {}
        }
    }

    fn tenant(&mut self, tenant: &Tenant, first: bool) {
        if self.format == "json" {
            let value = rows::tenant_json(tenant, &self.hours);
            let comma = if first { "" } else { "," };
            let _ = write!(self.out, "{comma}\n{value}");
        }
    }
}

/// Colours and width of the terminal, if it is one.
fn look() -> Look {
    let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    Look { columns: columns.unwrap_or(COLUMNS), colour: has_colours() }
}
