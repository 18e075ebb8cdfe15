//! `m365-audit verify`: asks Microsoft again, and holds what it has against what arrived. Changes
//! nothing, and works beside a running collector.

mod arrived;
mod ask;
mod columns;
mod compare;
mod known;
mod missing;
mod one;
mod progress;
mod read;
mod row;
mod taker;
mod tally;
mod text;

use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use indicatif::MultiProgress;
use m365_audit_client::Settings;
use m365_audit_core::Level;

use self::arrived::{Arrived, Named};
use self::compare::Comparison;
use self::known::{contents, stored, tell_of_quota};
use self::missing::Missing;
use self::progress::Progress;
use self::row::{ID_FIELD, IdField, NAMELESS};
use self::taker::{Account, Taker};
use self::text::Findings;
use crate::arguments;
use crate::calls::{self, Session, code_of, moment, print};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::Log;
use crate::names::heading_of;

/// Ids that are named of those that Microsoft does not have.
const UNKNOWN_SHOWN: usize = 20;

const AFTER_HELP: &str = "\
Asks Microsoft for everything it made available in the interval, and looks for each record in FILE:
what a SIEM exported, as NDJSON, JSON arrays, CSV or plain ids, one a line; which of them it is
shows at its beginning. The id is found as `Id`, also within what pipelines and SIEMs wrap records
in (record, _source, _raw, result, event, message, AuditData ...), as event.id (Elastic), OfficeId
(Sentinel) or RecordId (Purview), and as `_id` of an activity; --id-field names another place.
Records that the filters of the configuration leave out need not arrive.

With --id it says where one event is: in which blob, when that was published, listed and delivered,
and whether it was filtered. --around is about when the event happened; its blob is looked for from
an hour before until a day after.

Microsoft lists content for 7 days. Requests are limited by requests_per_minute; a collector of the
same tenant shares Microsoft's quota, so leave it room. What was created in the last minutes may be
on its way: end the interval an hour ago. With db it is said what the collector knows of each blob;
db is read, and not locked. Of each id 16 to 33 bytes are kept in memory.

Exit codes: 0 nothing is missing and all was compared, or the event was delivered or filtered;
1 something is missing, or could not be compared; 2 wrong configuration or argument.

Examples:
  m365-audit verify --config m365-audit.toml --since 26h --until 2h --against siem.ndjson
  zcat export.csv.gz | m365-audit verify --config m365-audit.toml --since 2026-11-20 \\
      --until 2026-11-21 --against - --id-field event.id --missing-to missing.ndjson
  m365-audit verify --config m365-audit.toml --around 2026-11-20T08:00Z \\
      --id 2c2b9a8e-6d3f-4b0e-9a55-08dd0a1c7f21";

/// Options that matter here beside those of every call.
const SHOWN: [&str; 17] = [
    "source",
    "content_types",
    "exclude_content_types",
    "db",
    "db_password_file",
    "portal_url",
    "portal_token",
    "activities_filter",
    "activities_requests_per_minute",
    "include_workloads",
    "exclude_workloads",
    "include_operations",
    "exclude_operations",
    "include_users",
    "exclude_users",
    "include_record_types",
    "exclude_record_types",
];

pub(crate) fn command() -> Command {
    Command::new("verify")
        .about("Ask Microsoft again, and say what did not arrive; or where one event is")
        .after_help(AFTER_HELP)
        .args(own_args())
        .args(moment::args())
        .args(calls::args(&SHOWN).into_iter().map(calls::with_tenant))
}

fn own_args() -> [Arg; 6] {
    let path = || ValueParser::path_buf();
    [
        Arg::new("against")
            .long("against")
            .value_name("FILE")
            .num_args(1..)
            .action(ArgAction::Append)
            .value_parser(path())
            .required_unless_present("id")
            .help("What arrived; - is stdin"),
        Arg::new("id_field").long("id-field").value_name("PATH").help(format!(
            "Where the id stands in a row, with dots between members: record.{ID_FIELD} \
             [default: {ID_FIELD}, and its usual other names]"
        )),
        Arg::new("missing_to")
            .long("missing-to")
            .value_name("FILE")
            .value_parser(path())
            .conflicts_with("id")
            .help("Write the missing records there, one a line (NDJSON), to be fed in"),
        Arg::new("id")
            .long("id")
            .value_name("ID")
            .conflicts_with("against")
            .requires("around")
            .help("Say where this event is"),
        moment::arg("around").requires("id").help("When it happened, about"),
        arguments::words("progress", &["auto", "never", "always"], "auto").help(
            "A bar if stderr is a terminal, else a line every 10 s at level info. `always` shows \
             the line whatever --log-level says",
        ),
    ]
}

/// Verifies, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let bars = MultiProgress::new();
    let log = calls::log_above(matches, bars.clone());
    log.warn_of_variables();
    let word = matches.get_one::<String>("progress").map_or("auto", String::as_str);
    let progress = Progress::new(word, &bars, log.clone());
    let result =
        Session::settings(matches).and_then(|settings| match matches.get_one::<String>("id") {
            Some(id) => one::find(matches, &settings, log, id, progress),
            None => all(matches, &settings, log, progress),
        });
    match result {
        Ok(code) | Err(code) => code,
    }
}

fn all(
    matches: &ArgMatches,
    settings: &Settings,
    log: Log,
    mut progress: Progress,
) -> Result<u8, u8> {
    let field = IdField::new(matches.get_one::<String>("id_field").map(String::as_str));
    let paths: Vec<&PathBuf> = matches.get_many("against").into_iter().flatten().collect();
    let refuse = |error: anyhow::Error| {
        log.write(Level::Error, &format!("{error:#}"));
        MISCONFIGURED
    };
    // Before the first request: what cannot be read costs none.
    let (arrived, accounts) = read_all(&paths, &field, &mut progress).map_err(refuse)?;
    let missing_to = matches.get_one::<PathBuf>("missing_to");
    let missing = Missing::create(missing_to.map(PathBuf::as_path)).map_err(refuse)?;
    let range = moment::range(matches);
    let known = stored(settings, &log).and_then(|stored| contents(&stored, &log));
    let mut session = Session::of(settings, log.clone())?;
    session.calls.leave_out_filtered(true);
    tell_of_quota(settings, &log);
    let feeds = settings.config.feeds();
    progress.steps((ask::slices(range).len() * feeds.len()) as u64);
    let (mut comparison, mut code) = (Comparison::new(arrived, missing, known), COMPLETE);
    for feed in feeds {
        if let Err(error) = comparison.feed(&mut session, feed, range, &mut progress) {
            session.fail(feed.as_str(), &error);
            code = code.max(code_of(&error));
        }
    }
    progress.finish();
    let closed = comparison.missing.close();
    let unknown_ids = unknown_ids(&paths, &field, &comparison.arrived);
    let findings = Findings {
        tenant: settings.config.tenant_id(),
        heading: heading_of(settings),
        range,
        accounts: &accounts,
        ids: comparison.arrived.len(),
        tally: &comparison.tally,
        unknown: comparison.arrived.unknown(),
        unknown_ids: &unknown_ids,
        missing_to: missing_to.map(|path| path.display().to_string()),
    };
    print(&if calls::json(matches) { findings.as_json() } else { findings.as_text() });
    if let Err(error) = closed {
        log.write(Level::Error, &format!("{error:#}"));
        code = code.max(INCOMPLETE);
    }
    Ok(code.max(if findings.is_whole() { COMPLETE } else { INCOMPLETE }))
}

fn read_all(
    paths: &[&PathBuf],
    field: &IdField,
    progress: &mut Progress,
) -> anyhow::Result<(Arrived, Vec<(String, Account)>)> {
    let mut arrived = Arrived::default();
    let mut accounts = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let mut take = |named: &Named, row: u64| {
            arrived.add(named);
            if row.is_multiple_of(65_536) {
                progress.say(|| format!("{name}: {row} rows read"));
            }
        };
        let mut taker = Taker { field, account: Account::default(), take: &mut take };
        read::file(path, &mut taker)?;
        let account = taker.account;
        anyhow::ensure!(
            account.rows == 0 || account.without_id + account.unreadable < account.rows,
            "{name}: no row has an id ({} rows); remedy: name its place by --id-field",
            account.rows
        );
        accounts.push((name, account));
    }
    arrived.seal();
    Ok((arrived, accounts))
}

/// Some of the ids that Microsoft does not have, from files that can be read again.
fn unknown_ids(paths: &[&PathBuf], field: &IdField, arrived: &Arrived) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let again = paths.iter().filter(|path| path.as_path() != Path::new("-") && path.is_file());
    for path in again.take_while(|_| arrived.unknown() > 0) {
        let mut take = |named: &Named, _: u64| {
            let new = !named.id.starts_with(NAMELESS) && !ids.contains(&named.id);
            if ids.len() < UNKNOWN_SHOWN && new && arrived.is_unknown(&named.id) {
                ids.push(named.id.clone());
            }
        };
        let mut taker = Taker { field, account: Account::default(), take: &mut take };
        // It could be read before; what is shown here is but a sample.
        let _ = read::file(path, &mut taker);
    }
    ids
}
