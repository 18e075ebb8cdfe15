//! `m365-audit members`: which processes share a PostgreSQL, and who collects which tenant.

use std::time::Duration;

use clap::{ArgMatches, Command};
use m365_audit_client::{DbMember, DbOptions, HeldTenant, Members, inspect_tenant, members};
use m365_audit_core::{RawOptions, Stored, Utc, summarize};
use serde_json::{Value, json};

use crate::calls::table::table;
use crate::calls::{self, print};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::names::Names;
use crate::words::span;

const AFTER_HELP: &str = "\
BEHIND is how long ago that was created up to which everything is delivered, of the content type
that is furthest behind: the usual lag of a tenant that is collected, and growing of one that is
not. The database's clock decides.

Example:
  m365-audit members --db postgres://audit@db.example/audit

Exit codes: 0 every tenant is collected, 1 one is not, or it failed, 2 wrong configuration.";

/// Options that say where the state is.
const SHOWN: [&str; 6] = ["config", "json", "db", "db_password_file", "ca_file", "tenants_file"];

pub(crate) fn command() -> Command {
    let options = calls::args(&SHOWN);
    let options = options.into_iter().filter(|arg| SHOWN.contains(&arg.get_id().as_str()));
    Command::new("members")
        .about("Show which processes share a PostgreSQL, and who collects which tenant")
        .after_help(AFTER_HELP)
        .args(options)
}

/// Shows them, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    calls::look(matches, |raw| run(matches, raw))
}

fn run(matches: &ArgMatches, raw: &RawOptions) -> Result<u8, (u8, String)> {
    let refuse = |words: &str| (MISCONFIGURED, words.to_owned());
    let options = DbOptions::of_raw(raw).map_err(|error| refuse(&error.to_string()))?;
    let options = options.ok_or_else(|| refuse("no db: name it by --db or --config"))?;
    let Some(server) = &options.server else {
        let path = options.path.display();
        return Err(refuse(&format!(
            "db = \"{path}\": a file, which one process has; remedy: name a PostgreSQL"
        )));
    };
    let failed = |error: m365_audit_client::StoreError| (INCOMPLETE, error.to_string());
    let all = members(server).map_err(failed)?;
    let names = Names::of(raw);
    let mut rows = Vec::new();
    for held in &all.tenants {
        let stored = inspect_tenant(&options, &held.tenant).map_err(failed)?;
        let behind = behind(&stored, all.now);
        rows.push(Row { held, name: names.name(&held.tenant), behind });
    }
    print(&if matches.get_flag("json") { as_json(&all, &rows) } else { as_text(&all, &rows) });
    let is_whole = rows.iter().all(|row| row.held.holder.is_some());
    Ok(if is_whole { COMPLETE } else { INCOMPLETE })
}

/// One tenant.
struct Row<'a> {
    held: &'a HeldTenant,
    name: Option<&'a str>,
    behind: Option<Duration>,
}

/// How long ago that was created up to which all is delivered.
fn behind(stored: &Stored, now: i64) -> Option<Duration> {
    let lanes = summarize(stored).ok()?;
    let end = |(_, end): &(Utc, Utc)| end.as_millis();
    let delivered =
        lanes.iter().map(|lane| lane.delivered.first().map_or_else(|| lane.begin.as_millis(), end));
    Some(passed(now, delivered.min()?))
}

fn passed(now: i64, then: i64) -> Duration {
    Duration::from_millis(u64::try_from(now - then).unwrap_or(0))
}

fn as_text(all: &Members, rows: &[Row<'_>]) -> String {
    let member = |member: &DbMember| {
        vec![
            member.name.clone(),
            if member.is_alive { "alive".into() } else { "gone".into() },
            span(passed(all.now, member.since)),
            member.tenants.to_string(),
            member.tenants_max.map_or_else(|| "any".into(), |most| most.to_string()),
            member.shares.clone().unwrap_or_else(|| "none".into()),
        ]
    };
    let tenant = |row: &Row<'_>| {
        let holder = row.held.holder.as_deref();
        let since = holder.map(|_| span(passed(all.now, row.held.since)));
        vec![
            row.name.unwrap_or(&row.held.tenant).to_owned(),
            holder.unwrap_or("nobody").to_owned(),
            since.unwrap_or_else(|| "-".into()),
            row.behind.map_or_else(|| "-".into(), span),
        ]
    };
    let members: Vec<_> = all.members.iter().map(member).collect();
    let tenants: Vec<_> = rows.iter().map(tenant).collect();
    format!(
        "{}\n{}",
        table(&["MEMBER", "STATE", "SINCE", "TENANTS", "MOST", "SHARES"], &members),
        table(&["TENANT", "HELD BY", "SINCE", "BEHIND"], &tenants),
    )
}

fn as_json(all: &Members, rows: &[Row<'_>]) -> String {
    let at = |millis: i64| Utc::from_millis(millis).to_string();
    let member = |member: &DbMember| {
        json!({
            "name": member.name,
            "alive": member.is_alive,
            "since": at(member.since),
            "tenants": member.tenants,
            "tenants_max": member.tenants_max,
            "shares": member.shares,
        })
    };
    let tenant = |row: &Row<'_>| {
        json!({
            "tenant_id": row.held.tenant,
            "tenant_name": row.name,
            "held_by": row.held.holder,
            "since": row.held.holder.as_ref().map(|_| at(row.held.since)),
            "epoch": row.held.epoch,
            "behind_seconds": row.behind.map(|behind| behind.as_secs()),
        })
    };
    let members: Vec<Value> = all.members.iter().map(member).collect();
    let tenants: Vec<Value> = rows.iter().map(tenant).collect();
    let all = json!({ "now": at(all.now), "members": members, "tenants": tenants });
    format!("{all:#}\n")
}
