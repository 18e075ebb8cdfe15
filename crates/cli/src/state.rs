//! `m365-audit state show`: what a `db` holds. Reads only, and takes no lock.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_client::inspect;
use m365_audit_core::{LaneSummary, Stored, Utc, summarize};
use serde_json::{Value, json};

use crate::{COMPLETE, INCOMPLETE, arguments};

pub(crate) fn command() -> Command {
    let show = Command::new("show")
        .about("Print what is delivered and remembered, per tenant and content type")
        .args([
            Arg::new("db")
                .long("db")
                .env(arguments::variable("db"))
                .hide_env_values(true)
                .value_name("PATH")
                .value_parser(ValueParser::path_buf())
                .required(true)
                .help("SQLite file that holds the state; it may be in use"),
            Arg::new("tenant_id")
                .long("tenant-id")
                .value_name("GUID")
                .help("Only this tenant [default: all in the file]"),
            Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"),
        ]);
    Command::new("state")
        .about("Look at a stored state")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(show)
}

/// Prints, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let Some(("show", matches)) = matches.subcommand() else {
        unreachable!("clap insists on a command and knows no other")
    };
    match show(matches) {
        Ok(text) => {
            // A reader that has seen enough is no failure.
            drop(io::stdout().write_all(text.as_bytes()));
            COMPLETE
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{error:#}"));
            INCOMPLETE
        }
    }
}

fn show(matches: &ArgMatches) -> anyhow::Result<String> {
    let path = matches.get_one::<PathBuf>("db").expect("clap requires it");
    let mut tenants = inspect(path)?;
    if let Some(tenant) = matches.get_one::<String>("tenant_id") {
        let tenant = tenant.to_ascii_lowercase();
        tenants.retain(|name, _| *name == tenant);
        anyhow::ensure!(!tenants.is_empty(), "{}: no tenant {tenant}", path.display());
    }
    if matches.get_flag("json") { as_json(&tenants) } else { as_text(&tenants) }
}

fn as_text(tenants: &BTreeMap<String, Stored>) -> anyhow::Result<String> {
    let mut text = String::new();
    for (tenant, stored) in tenants {
        text.push_str(&format!(
            "tenant {tenant}: {} keys, {} bytes\n",
            stored.len(),
            stored.values().map(String::len).sum::<usize>()
        ));
        for lane in summarize(stored)? {
            text.push_str(&lane_text(&lane));
        }
    }
    if tenants.is_empty() {
        text.push_str("nothing is stored\n");
    }
    Ok(text)
}

fn lane_text(lane: &LaneSummary) -> String {
    let mut text = format!(
        "  {}\n    begins {}\n    {} contents and {} records remembered, {} blobs in progress, \
         {} in quarantine\n",
        lane.content_type,
        lane.begin,
        lane.contents,
        lane.records,
        lane.blobs_in_progress,
        lane.blobs_quarantined
    );
    for (start, end) in &lane.covered {
        text.push_str(&format!("    delivered {start} to {end}\n"));
    }
    text
}

fn as_json(tenants: &BTreeMap<String, Stored>) -> anyhow::Result<String> {
    let mut all = Vec::new();
    for (tenant, stored) in tenants {
        let lanes: Vec<Value> = summarize(stored)?.iter().map(lane_json).collect();
        all.push(json!({
            "tenant_id": tenant,
            "keys": stored.len(),
            "bytes": stored.values().map(String::len).sum::<usize>(),
            "content_types": lanes,
        }));
    }
    Ok(format!("{:#}\n", Value::from(all)))
}

fn lane_json(lane: &LaneSummary) -> Value {
    let covered = lane.covered.iter();
    let pair = |(start, end): &(Utc, Utc)| json!([start.to_string(), end.to_string()]);
    json!({
        "content_type": lane.content_type.as_str(),
        "begin": lane.begin.to_string(),
        "covered": covered.map(pair).collect::<Vec<_>>(),
        "contents": lane.contents,
        "records": lane.records,
        "blobs_in_progress": lane.blobs_in_progress,
        "blobs_quarantined": lane.blobs_quarantined,
    })
}
