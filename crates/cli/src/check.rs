//! `m365-audit check`: whether a configuration is right, without asking anybody. For CI, and before
//! a restart.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use crate::calls::{self, print};
use crate::exit::{COMPLETE, MISCONFIGURED};
use crate::findings::{Report, Status};
use crate::sections::{self, Surroundings};
use crate::{run, sources};

const AFTER_HELP: &str = "\
Reads what `m365-audit run` would read (flags, variables, --config and the tenants file or folder),
or with --fluent-bit a configuration of Fluent Bit in either format, with what it includes and its
${VARIABLES}, and judges every option of every section as the plugin does when it starts. (Fluent
Bit's own --dry-run looks at names alone.) Asks nobody, opens no db, changes nothing; `m365-audit
doctor` asks Microsoft too.

With --no-environment, files, folders, secrets and variables that are not here are `not checked`,
and no mistake: for CI, where they are not.

Exit codes: 0 nothing is wrong (there may be warnings), 2 something is.

Examples:
  m365-audit check --config m365-audit.toml
  m365-audit check --fluent-bit /etc/fluent-bit/fluent-bit.yaml
  m365-audit check --fluent-bit fluent-bit.conf --no-environment --json";

pub(crate) fn command() -> Command {
    Command::new("check")
        .about("Check a configuration, also one of Fluent Bit, without asking anybody")
        .after_help(AFTER_HELP)
        .args([
            calls::fluent_bit_arg(),
            Arg::new("no-environment")
                .long("no-environment")
                .action(ArgAction::SetTrue)
                .help("Do not miss files, folders, secrets and variables that are not here"),
        ])
        .args(calls::args(&["db", "tenants_file"]))
}

/// Checks, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    calls::log(matches).warn_of_variables();
    let around = match matches.get_flag("no-environment") {
        true => Surroundings::Elsewhere,
        false => Surroundings::Here,
    };
    let mut reports = Vec::new();
    let pipeline = matches.get_one::<PathBuf>("fluent-bit");
    let config = matches.get_one::<PathBuf>("config");
    if let Some(path) = pipeline {
        let (whole, judged) = sections::judge(path, around);
        reports.push(whole);
        reports.extend(judged.into_iter().map(|judged| judged.report));
    }
    if config.is_some() || pipeline.is_none() {
        reports.extend(configuration(matches, config, around));
    }
    show(&reports, calls::json(matches))
}

/// The configuration of `run`, and each tenant that has a mistake.
fn configuration(
    matches: &ArgMatches,
    config: Option<&PathBuf>,
    around: Surroundings,
) -> Vec<Report> {
    let name = config.map_or_else(|| "flags and variables".to_owned(), |path| shown(path));
    let mut report = Report::of("configuration", name);
    let judgement = sources::judge(matches, around == Surroundings::Here, run::mistakes);
    for (error, place) in &judgement.mistakes {
        sections::tell(&mut report, error, place, around);
    }
    if report.findings.is_empty() {
        report.ok("options", format!("{}, each as `m365-audit run` takes it", judgement.options));
    }
    if let Some(tenants) = &judgement.tenants {
        let count = tenants.tenants.len();
        if 0 < count {
            report.ok("tenants", format!("{count} without a mistake"));
        }
    }
    let mut reports = vec![report];
    for mistake in &judgement.of_tenants {
        let name = match &mistake.table {
            Some(table) => format!("{table} ({})", mistake.file),
            None => mistake.file.clone(),
        };
        // The mistakes of one table follow each other.
        if reports.last().is_none_or(|last| last.name != name) {
            reports.push(Report::new(name));
        }
        if let Some(report) = reports.last_mut() {
            sections::tell(report, &mistake.error, "", around);
        }
    }
    reports
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn show(reports: &[Report], json: bool) -> u8 {
    let wrong = reports.iter().any(|report| report.status() == Status::Fail);
    if json {
        let all: Vec<_> = reports.iter().map(Report::as_json).collect();
        print(&format!("{:#}\n", json!({ "ok": !wrong, "checked": all })));
    } else {
        let texts: Vec<_> = reports.iter().map(Report::as_text).collect();
        print(&texts.join("\n"));
    }
    if wrong { MISCONFIGURED } else { COMPLETE }
}
