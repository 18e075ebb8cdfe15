//! `m365-audit replay`: hours are opened again, so that the collector that is at work, or the next
//! one, delivers them once more. Writes beside it, under a key that it does not write.

use std::io::{self, IsTerminal};

use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_client::{DbOptions, amend, inspect_tenant, tenants_in};
use m365_audit_core::{
    Commit, Feed, FeedHistory, HourStanding, REPLAY, RawOptions, Replay, Replayer, Stored, Utc,
};

use crate::calls::table::{paragraph, table};
use crate::calls::{self, moment, print, say};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::now;
use crate::names::Names;
use crate::words::counted;
use crate::{sources, state};

const AFTER_HELP: &str = "\
Whole hours, by when Microsoft made content available, are listed and read again, and delivered once
more: what was delivered before is not left out as a duplicate. Nothing else is touched. A running
collector (`run`, `host`, the Fluent Bit plugin) begins within a quarter of a minute, without one
the next run does; with db.locking on stop it first. Microsoft lists 7 days: older hours cannot be
had again. The history remembers that hours were opened again, and counts what is delivered twice.

How many blobs and records it will be is said first, from the history, and asked for; --yes answers
beforehand.

Exit codes: 0 it is requested, 1 it is not, 2 wrong configuration or argument.

Examples:
  m365-audit replay --db state.db --since 2026-11-20T08:00Z --until 2026-11-20T11:00Z
  m365-audit replay --config m365-audit.toml --since 5h --until 2h \\
      --content-types Audit.Exchange,DLP.All --tenant contoso --yes";

/// Options that say where the state is, and whose.
const SHOWN: [&str; 5] = ["config", "db", "db_password_file", "tenant_id", "tenants_file"];

pub(crate) fn command() -> Command {
    let times = [
        moment::arg("since").required(true).help(format!("First moment: {}", moment::FORMS)),
        moment::arg("until").required(true).help("End, exclusive, in the same forms"),
    ];
    let feeds = Arg::new("feeds")
        .long("content-types")
        .value_name("LIST")
        .value_delimiter(',')
        .value_parser(feed)
        .help("Only these content types, or CloudAppActivities [default: all that are collected]");
    let yes = Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("Do not ask");
    let options = calls::args(&SHOWN).into_iter().map(calls::with_tenant);
    let options = options.filter(|arg| SHOWN.contains(&arg.get_id().as_str()));
    Command::new("replay")
        .about("Deliver hours again")
        .after_help(AFTER_HELP)
        .args(times)
        .args([feeds, yes])
        .args(options)
}

fn feed(name: &str) -> Result<Feed, String> {
    let known = Feed::ALL.into_iter();
    let found = known.clone().find(|feed| feed.as_str().eq_ignore_ascii_case(name.trim()));
    let names = || known.map(Feed::as_str).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("there is none of this name; known: {}", names()))
}

/// Requests it, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    calls::look(matches, |raw| run(matches, raw).map(|()| COMPLETE))
}

/// The hours of one feed, and what was in them.
struct Part {
    replay: Replay,
    blobs: u64,
    records: u64,
}

fn run(matches: &ArgMatches, raw: &RawOptions) -> Result<(), (u8, String)> {
    let refuse = |words: String| (MISCONFIGURED, words);
    let db = DbOptions::of_raw(raw).map_err(|error| refuse(error.to_string()))?;
    let db = db.ok_or_else(|| refuse("no db: name the state by --db or --config".to_owned()))?;
    let failed = |error: m365_audit_client::StoreError| (INCOMPLETE, error.to_string());
    let stored_of = tenants_in(&db).map_err(failed)?;
    let tenant = sources::one_of(stored_of, raw).map_err(refuse)?;
    let stored = inspect_tenant(&db, &tenant).map_err(failed)?;
    let moment = |name: &str| *matches.get_one::<Utc>(name).expect("clap requires it");
    let (since, until) = (moment("since"), moment("until").min(now()));
    let wanted: Vec<Feed> = matches.get_many("feeds").into_iter().flatten().copied().collect();
    let found = parts(&stored, &wanted, since, until);
    let (parts, left_out) = found.map_err(|error| (INCOMPLETE, error.to_string()))?;
    left_out.iter().for_each(|words| say(&format!("{words}\n")));
    if parts.is_empty() {
        return Err(refuse(format!(
            "there is nothing to deliver once more from {since} to {until}; nothing was requested"
        )));
    }
    print(&told(&Names::of(raw).heading(&tenant), &parts));
    if !matches.get_flag("yes") && !agreed()? {
        return Err((INCOMPLETE, "nothing was requested".to_owned()));
    }
    request(&db, &tenant, &parts).map_err(failed)?;
    print(
        "requested: a running collector begins within a quarter of a minute, without one the next \
         run does; `m365-audit report` shows it\n",
    );
    Ok(())
}

fn agreed() -> Result<bool, (u8, String)> {
    if !io::stdin().is_terminal() {
        let words =
            "nothing was requested: there is no terminal to ask on; --yes answers beforehand";
        return Err((MISCONFIGURED, words.to_owned()));
    }
    say(&paragraph("All of this is delivered again, to the same output as everything else."));
    say("Go on? [y/N] ");
    Ok(calls::agrees(&mut io::stdin().lock()))
}

type Found = (Vec<Part>, Vec<String>);

/// What can be had again, and what cannot.
fn parts(
    stored: &Stored,
    wanted: &[Feed],
    since: Utc,
    until: Utc,
) -> Result<Found, m365_audit_core::StateError> {
    let (mut parts, mut left_out) = (Vec::new(), Vec::new());
    for feed in Feed::ALL {
        let named = wanted.contains(&feed);
        if !named && !wanted.is_empty() {
            continue;
        }
        let Some(history) = FeedHistory::find(stored, feed)? else {
            if named {
                left_out
                    .push(format!("{feed}: it is not collected, or not since there is a history"));
            }
            continue;
        };
        let oldest = (now() - history.kept).max(history.begin);
        if since < oldest {
            left_out.push(format!(
                "{feed}: what was created before {oldest} is left out: it was not collected, or \
                 Microsoft does not list it any more"
            ));
        }
        // No hour is opened that could be had in part only.
        let from = if since < oldest { next_hour(oldest) } else { since };
        let Some(replay) = Replay::of(feed, from, until) else { continue };
        let mut part = Part { replay, blobs: 0, records: 0 };
        for hour in history.hours(stored, from, until, now()) {
            let (row, standing) = hour?;
            if standing != HourStanding::NotCollected {
                part.blobs += row.blobs_listed;
                // What was delivered twice is delivered once now.
                part.records += row.records_delivered / (row.replays + 1);
            }
        }
        parts.push(part);
    }
    Ok((parts, left_out))
}

/// Where the hour after `moment` begins.
const fn next_hour(moment: Utc) -> Utc {
    Utc::from_millis((moment.hour() + 1) * 3_600_000)
}

fn told(tenant: &str, parts: &[Part]) -> String {
    let hour = |hour: i64| Utc::from_millis(hour * 3_600_000).to_string();
    let row = |part: &Part| {
        let Part { replay, blobs, records } = part;
        let times = [hour(replay.from), hour(replay.until)];
        let numbers = [replay.until - replay.from]
            .map(|hours| hours.to_string())
            .into_iter()
            .chain([blobs.to_string(), records.to_string()]);
        [replay.feed.to_string()].into_iter().chain(times).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = parts.iter().map(row).collect();
    let blobs: u64 = parts.iter().map(|part| part.blobs).sum();
    let records: u64 = parts.iter().map(|part| part.records).sum();
    format!(
        "tenant {tenant}\n{}about {} and {}; what Microsoft has added since comes as well\n",
        table(&["FEED", "FROM", "TO", "HOURS", "BLOBS", "RECORDS"], &rows),
        counted(blobs, "blob", "blobs"),
        counted(records, "record", "records"),
    )
}

fn request(
    db: &DbOptions,
    tenant: &str,
    parts: &[Part],
) -> Result<(), m365_audit_client::StoreError> {
    let replayer = Replayer { at: now().as_millis(), by: state::user() };
    amend(db, tenant, |_| {
        let requests = parts.iter().map(|part| part.replay.request(&replayer));
        debug_assert!(parts.iter().all(|part| part.replay.key().starts_with(REPLAY)));
        Commit { changes: requests.map(|(key, value)| (key, Some(value))).collect() }
    })
    .map(drop)
}
