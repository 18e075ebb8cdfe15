//! `m365-audit state show`: what a `db` holds. Reads only, and takes no lock.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_client::inspect;
use m365_audit_core::{LaneSummary, StateError, Stored, Utc, summarize};
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
        Ok((text, problems)) => {
            // A reader that has seen enough is no failure.
            drop(io::stdout().write_all(text.as_bytes()));
            drop(io::stderr().write_all(problems.as_bytes()));
            if problems.is_empty() { COMPLETE } else { INCOMPLETE }
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{error:#}"));
            INCOMPLETE
        }
    }
}

/// What one tenant has stored.
struct Tenant {
    id: String,
    keys: usize,
    bytes: usize,
    /// Why it cannot be read, if so.
    lanes: Result<Vec<LaneSummary>, StateError>,
}

/// What is stored, and what is wrong with it. One tenant's damage hides no other tenant.
fn show(matches: &ArgMatches) -> anyhow::Result<(String, String)> {
    let path = matches.get_one::<PathBuf>("db").expect("clap requires it");
    let mut tenants = inspect(path)?;
    if let Some(tenant) = matches.get_one::<String>("tenant_id") {
        let tenant = tenant.to_ascii_lowercase();
        tenants.retain(|name, _| *name == tenant);
        anyhow::ensure!(!tenants.is_empty(), "{}: no tenant {tenant}", path.display());
    }
    let tenant = |(id, stored): (String, Stored)| Tenant {
        id,
        keys: stored.len(),
        bytes: stored.values().map(String::len).sum(),
        lanes: summarize(&stored),
    };
    let tenants: Vec<Tenant> = tenants.into_iter().map(tenant).collect();
    let problems = tenants.iter().filter_map(|tenant| {
        let error = tenant.lanes.as_ref().err()?;
        Some(format!("{}: tenant {}: {error}\n", path.display(), tenant.id))
    });
    let problems = problems.collect();
    Ok((if matches.get_flag("json") { as_json(&tenants) } else { as_text(&tenants) }, problems))
}

fn as_text(tenants: &[Tenant]) -> String {
    let mut text = String::new();
    for Tenant { id, keys, bytes, lanes } in tenants {
        text.push_str(&format!("tenant {id}: {keys} keys, {bytes} bytes\n"));
        match lanes {
            Ok(lanes) => lanes.iter().for_each(|lane| text.push_str(&lane_text(lane))),
            Err(_) => text.push_str("  cannot be read\n"),
        }
    }
    if tenants.is_empty() {
        text.push_str("nothing is stored\n");
    }
    text
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
        lane.quarantine.len()
    );
    for (id, expiration) in &lane.quarantine {
        text.push_str(&format!("    in quarantine until {expiration}: {id}\n"));
    }
    for (start, end) in &lane.covered {
        text.push_str(&format!("    delivered {start} to {end}\n"));
    }
    text
}

fn as_json(tenants: &[Tenant]) -> String {
    let all = tenants.iter().map(|Tenant { id, keys, bytes, lanes }| {
        let mut tenant = json!({"tenant_id": id, "keys": keys, "bytes": bytes});
        match lanes {
            Ok(lanes) => {
                tenant["content_types"] = lanes.iter().map(lane_json).collect::<Vec<_>>().into();
            }
            Err(error) => tenant["error"] = error.to_string().into(),
        }
        tenant
    });
    format!("{:#}\n", Value::from(all.collect::<Vec<_>>()))
}

fn lane_json(lane: &LaneSummary) -> Value {
    let covered = lane.covered.iter();
    let pair = |(start, end): &(Utc, Utc)| json!([start.to_string(), end.to_string()]);
    let blob = |(id, expiration): &(Box<str>, Utc)| {
        let expiration = expiration.to_string();
        json!({"content_id": id, "expiration": expiration})
    };
    json!({
        "content_type": lane.content_type.as_str(),
        "begin": lane.begin.to_string(),
        "covered": covered.map(pair).collect::<Vec<_>>(),
        "contents": lane.contents,
        "records": lane.records,
        "blobs_in_progress": lane.blobs_in_progress,
        "blobs_quarantined": lane.quarantine.len(),
        "quarantine": lane.quarantine.iter().map(blob).collect::<Vec<_>>(),
    })
}
