//! `m365-audit doctor`: whether collecting will work, and if not, what to do. Changes nothing.

mod checks;
mod report;

use clap::{ArgMatches, Command};
use serde_json::json;

use crate::calls::{self, Session, print};
use crate::doctor::report::{Report, Status};
use crate::{COMPLETE, INCOMPLETE};

const AFTER_HELP: &str = "\
Signs in, looks at the token, lists the subscriptions and the content of the last hours, and tries
whether db can be written. Reads no record, starts nothing, changes nothing, and may run beside a
collector. Each line is ok, warn or fail, and says what to do.

Exit codes: 0 nothing failed (there may be warnings), 1 something failed, 2 wrong configuration.

Examples:
  m365-audit doctor --config m365-audit.toml
  m365-audit doctor --json | jq '.tenants[].checks[] | select(.status != \"ok\")'";

pub(crate) fn command() -> Command {
    let also = ["content_types", "start_subscriptions", "db"];
    Command::new("doctor")
        .about("Check whether collecting will work, and say what to do")
        .after_help(AFTER_HELP)
        .args(calls::args(&also))
}

/// Checks, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let log = calls::log(matches);
    let settings = match Session::settings(matches) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let reports = [&settings].map(|settings| checks::examine(settings, &log));
    show(&reports, calls::json(matches))
}

fn show(reports: &[Report], json: bool) -> u8 {
    let failed = reports.iter().any(|report| report.status() == Status::Fail);
    if json {
        let tenants: Vec<_> = reports.iter().map(Report::as_json).collect();
        print(&format!("{:#}\n", json!({ "ok": !failed, "tenants": tenants })));
    } else {
        let texts: Vec<_> = reports.iter().map(Report::as_text).collect();
        print(&texts.join("\n"));
    }
    if failed { INCOMPLETE } else { COMPLETE }
}
