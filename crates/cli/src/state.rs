//! `m365-audit state`: what a `db` holds. Takes no lock, so that a collector may be at work.

mod acknowledge;
mod copy;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_client::inspect;
use m365_audit_core::{KnownLoss, LaneSummary, StateError, Stored, losses, summarize};

use crate::{COMPLETE, INCOMPLETE, arguments};

pub(crate) fn command() -> Command {
    let show = Command::new("show")
        .about(
            "Print what is delivered, what is not and why, and what is remembered, per tenant and \
             content type",
        )
        .args(place())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"));
    Command::new("state")
        .about("Look at a stored state, and acknowledge what it says was lost")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([show, acknowledge::command()])
        .subcommands(copy::commands())
}

/// Which file.
fn db(help: &'static str) -> Arg {
    Arg::new("db")
        .long("db")
        .env(arguments::variable("db"))
        .hide_env_values(true)
        .value_name("PATH")
        .value_parser(ValueParser::path_buf())
        .required(true)
        .help(help)
}

/// Which file, and which tenants in it.
fn place() -> [Arg; 2] {
    [
        db("SQLite file that holds the state; it may be in use"),
        Arg::new("tenant_id")
            .long("tenant-id")
            .value_name("GUID")
            .help("Only this tenant [default: all in the file]"),
    ]
}

/// Prints, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let result = match matches.subcommand() {
        Some(("show", matches)) => show(matches),
        Some(("acknowledge", matches)) => return acknowledge::main(matches),
        Some(("backup", matches)) => return copy::back_up(matches),
        Some(("restore", matches)) => return copy::bring_back(matches),
        _ => unreachable!("clap insists on a command and knows no other"),
    };
    match result {
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
    /// What was lost, acknowledged or not.
    losses: Vec<KnownLoss>,
    /// Why it cannot be read, if so.
    lanes: Result<Vec<LaneSummary>, StateError>,
}

/// The file, and what it holds of the tenants that are meant.
fn read(matches: &ArgMatches) -> anyhow::Result<(&PathBuf, BTreeMap<String, Stored>)> {
    let path = matches.get_one::<PathBuf>("db").expect("clap requires it");
    let mut tenants = inspect(path)?;
    if let Some(tenant) = matches.get_one::<String>("tenant_id") {
        let tenant = tenant.to_ascii_lowercase();
        tenants.retain(|name, _| *name == tenant);
        anyhow::ensure!(!tenants.is_empty(), "{}: no tenant {tenant}", path.display());
    }
    Ok((path, tenants))
}

/// What is stored, and what is wrong with it. One tenant's damage hides no other tenant.
fn show(matches: &ArgMatches) -> anyhow::Result<(String, String)> {
    let (path, tenants) = read(matches)?;
    let tenant = |(id, stored): (String, Stored)| Tenant {
        id,
        keys: stored.len(),
        bytes: stored.values().map(String::len).sum(),
        losses: losses(&stored).unwrap_or_default(),
        lanes: summarize(&stored),
    };
    let tenants: Vec<Tenant> = tenants.into_iter().map(tenant).collect();
    let problems = tenants.iter().filter_map(|tenant| {
        let error = tenant.lanes.as_ref().err()?;
        Some(format!("{}: tenant {}: {error}\n", path.display(), tenant.id))
    });
    let problems = problems.collect();
    Ok((
        if matches.get_flag("json") { text::as_json(&tenants) } else { text::as_text(&tenants) },
        problems,
    ))
}
