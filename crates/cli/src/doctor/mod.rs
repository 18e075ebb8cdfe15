//! `m365-audit doctor`: whether collecting will work, and if not, what to do. Changes nothing, but
//! that `--start` starts subscriptions.

mod activities;
mod checks;
mod coverage;
mod first_page;
mod look;
mod output;
mod start;

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use indicatif::MultiProgress;
use m365_audit_client::{Settings, TenantMistake, Tenants, TenantsFile, Who};
use serde_json::json;

use crate::arguments;
use crate::calls::{self, Session, print, say};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::findings::{Report, Status, short};
use crate::log::Log;
use crate::names::heading;
use crate::sections::{self, Judged, Surroundings};
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

--start starts the subscriptions that are missing, and waits until Microsoft lists them; the first
content can take up to 12 hours. --fluent-bit reads a configuration of Fluent Bit, YAML or classic,
in the place of --config: each of its sections m365_audit is checked as by `m365-audit check`, and
then as any tenant. Variables in it are those of this shell.

Exit codes: 0 all was checked and nothing failed (there may be warnings), 1 something failed or
could not be checked, 2 wrong configuration.

Examples:
  m365-audit doctor --config m365-audit.toml
  m365-audit doctor --config m365-audit.toml --start
  m365-audit doctor --fluent-bit /etc/fluent-bit/fluent-bit.yaml
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
        .arg(calls::fluent_bit_arg())
        .arg(
            Arg::new("start").long("start").action(ArgAction::SetTrue).help(
                "Start the subscriptions that are missing, and wait until each can be listed",
            ),
        )
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
    let bars = MultiProgress::new();
    let log = calls::log_above(matches, bars.clone());
    log.warn_of_variables();
    let start = matches.get_flag("start").then_some(&bars);
    let examine = |settings: &Settings, log: &Log| checks::examine(settings, log, start);
    let named = arguments::value(matches, "tenant_id").is_some_and(|(_, from_flag)| from_flag);
    if let Some(path) = matches.get_one::<PathBuf>("fluent-bit") {
        let reports = examine_pipeline(path, &log, &examine);
        return show(reports, calls::json(matches), matches.get_flag("summary"));
    }
    let reports = match plan(matches, |_| Ok(())).map(|(plan, ())| plan) {
        Ok(Plan::One(settings)) => vec![examine(&settings, &log)],
        Ok(Plan::Many(..)) if named => match Session::settings(matches) {
            Ok(settings) => vec![examine(&settings, &log)],
            Err(code) => return code,
        },
        Ok(Plan::Many(file, tenants)) => examine_all(&file, &tenants, &log, &examine),
        Err(report) => {
            say(&report);
            return MISCONFIGURED;
        }
    };
    show(reports, calls::json(matches), matches.get_flag("summary"))
}

/// Every tenant of a file, those with mistakes last.
fn examine_all(
    file: &TenantsFile,
    tenants: &Tenants,
    log: &Log,
    examine: &impl Fn(&Settings, &Log) -> Report,
) -> Vec<Report> {
    let mut reports = Vec::new();
    for tenant in &tenants.tenants {
        let mut report = examine(&tenant.settings, &log.of(&tenant.name));
        let id = tenant.settings.config.tenant_id();
        report.name = heading(Some(&tenant.name), id);
        report.title = tenant.name.to_string();
        reports.push(report);
    }
    for TenantMistake { table, error, .. } in &tenants.mistakes {
        let name = table.as_deref().map_or_else(|| file.name(), str::to_owned);
        let value = error.value.as_ref().map(|value| format!(" = {value:?}")).unwrap_or_default();
        let detail = format!("{}: {}{value}: {}", file.name(), error.option, error.problem);
        // The mistakes of one table follow each other.
        if reports.last().is_none_or(|last: &Report| last.name != name) {
            reports.push(Report::new(name));
        }
        if let Some(report) = reports.last_mut() {
            report.fail("settings", detail, error.remedy.clone());
        }
    }
    reports
}

/// A configuration of Fluent Bit: the file, each section of ours, and whom it collects.
fn examine_pipeline(
    path: &Path,
    log: &Log,
    examine: &impl Fn(&Settings, &Log) -> Report,
) -> Vec<Report> {
    let (whole, judged) = sections::judge(path, Surroundings::Here);
    let mut reports = vec![whole];
    for Judged { report, section } in judged {
        reports.push(report);
        match section.map(|section| section.who) {
            Some(Who::One(settings)) => reports.push(examine(&settings, log)),
            Some(Who::Many(file, mut tenants)) => {
                // Tables with mistakes have been told with the section.
                tenants.mistakes.clear();
                reports.extend(examine_all(&file, &tenants, log, examine));
            }
            None => {}
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
