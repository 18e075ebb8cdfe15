//! `m365-audit doctor`: whether collecting will work, and if not, what to do. Changes nothing.

mod activities;
mod checks;
mod coverage;
mod look;
mod output;
mod report;

use std::cmp::Reverse;

use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_client::{TenantMistake, Tenants, TenantsFile};
use serde_json::json;

use crate::arguments;
use crate::calls::{self, Session, print, say};
use crate::doctor::report::{Report, Status, short};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::Log;
use crate::sources::{Plan, plan};

const AFTER_HELP: &str = "\
Signs in, looks at the token, lists the subscriptions and the content of the last hours, and tries
whether db can be written and what it holds can be continued from. Where activities of Defender for
Cloud Apps are collected, it looks at their address, token and permission, and searches for some.
Keeps no record, starts nothing, changes nothing, and may run beside a collector. Each line is ok,
warn, `not checked` or fail, and says what to do: not checked is what nobody can know before
something else is put right, or a subscription is started and has content. With a tenants_file every
tenant of it is looked at, one after the other, or the one that --tenant-id names; a table with a
mistake is a failure, and the others are looked at all the same. --summary prints one line a tenant,
the worst first.

Exit codes: 0 all was checked and nothing failed (there may be warnings), 1 something failed or
could not be checked, 2 wrong configuration.

Examples:
  m365-audit doctor --config m365-audit.toml
  m365-audit doctor --json | jq '.tenants[].checks[] | select(.status != \"ok\")'";

pub(crate) fn command() -> Command {
    let also = [
        "source",
        "content_types",
        "start_subscriptions",
        "db",
        "db_password_file",
        "portal_url",
        "portal_token",
        "portal_resource",
        "activities_filter",
        "activities_requests_per_minute",
    ];
    Command::new("doctor")
        .about("Check whether collecting will work, and say what to do")
        .after_help(AFTER_HELP)
        .arg(
            Arg::new("summary")
                .long("summary")
                .action(ArgAction::SetTrue)
                .help("One line a tenant, the worst first, with what is wrong most"),
        )
        .args(calls::args(&also))
}

/// Checks, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let log = calls::log(matches);
    log.warn_of_variables();
    let named = arguments::value(matches, "tenant_id").is_some_and(|(_, from_flag)| from_flag);
    let reports = match plan(matches, |_| Ok(())).map(|(plan, ())| plan) {
        Ok(Plan::One(settings)) => vec![checks::examine(&settings, &log)],
        Ok(Plan::Many(..)) if named => match Session::settings(matches) {
            Ok(settings) => vec![checks::examine(&settings, &log)],
            Err(code) => return code,
        },
        Ok(Plan::Many(file, tenants)) => examine_all(&file, &tenants, &log),
        Err(report) => {
            say(&report);
            return MISCONFIGURED;
        }
    };
    show(reports, calls::json(matches), matches.get_flag("summary"))
}

/// Every tenant of a file, those with mistakes last.
fn examine_all(file: &TenantsFile, tenants: &Tenants, log: &Log) -> Vec<Report> {
    let mut reports = Vec::new();
    for tenant in &tenants.tenants {
        let mut report = checks::examine(&tenant.settings, &log.of(&tenant.name));
        report.tenant = format!("{} ({})", tenant.name, report.tenant);
        reports.push(report);
    }
    for TenantMistake { table, error, .. } in &tenants.mistakes {
        let name = table.as_deref().map_or_else(|| file.name(), str::to_owned);
        let value = error.value.as_ref().map(|value| format!(" = {value:?}")).unwrap_or_default();
        let detail = format!("{}: {}{value}: {}", file.name(), error.option, error.problem);
        // The mistakes of one table follow each other.
        if reports.last().is_none_or(|last: &Report| last.tenant != name) {
            reports.push(Report::new(name));
        }
        if let Some(report) = reports.last_mut() {
            report.fail("settings", detail, error.remedy.clone());
        }
    }
    reports
}

fn show(mut reports: Vec<Report>, json: bool, summary: bool) -> u8 {
    // What nobody knows does not count as well.
    let failed = reports.iter().any(|report| report.status() >= Status::Unknown);
    if summary {
        // Of equals, in the order of the file.
        reports.sort_by_key(|report| Reverse(report.gravity()));
    }
    if json {
        let as_json = if summary { Report::as_short_json } else { Report::as_json };
        let tenants: Vec<_> = reports.iter().map(as_json).collect();
        print(&format!("{:#}\n", json!({ "ok": !failed, "tenants": tenants })));
    } else if summary {
        print(&short(&reports));
    } else {
        let texts: Vec<_> = reports.iter().map(Report::as_text).collect();
        print(&texts.join("\n"));
    }
    if failed { INCOMPLETE } else { COMPLETE }
}
