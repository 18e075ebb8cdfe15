//! `m365-audit state`: what a `db` holds. Takes no lock, so that a collector may be at work.

mod acknowledge;
mod copy;
mod file;
mod text;
mod transfer;

use std::io::{self, Write};

use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_core::{Stored, losses, summarize};

pub(crate) use self::acknowledge::user;
use self::file::{place, read};
use self::text::Tenant;
use crate::exit::{COMPLETE, INCOMPLETE};

pub(crate) fn command() -> Command {
    let show = Command::new("show")
        .about(
            "Print what is delivered, what is not and why, and what is remembered, per tenant and \
             content type",
        )
        .args(place())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"));
    Command::new("state")
        .about("Look at a stored state, copy it, and acknowledge what it says was lost")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([show, acknowledge::command(), transfer::command()])
        .subcommands(copy::commands())
}

/// Prints, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let result = match matches.subcommand() {
        Some(("show", matches)) => show(matches),
        Some(("acknowledge", matches)) => return acknowledge::main(matches),
        Some(("copy", matches)) => return transfer::main(matches),
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

/// What is stored, and what is wrong with it. One tenant's damage hides no other tenant.
fn show(matches: &ArgMatches) -> anyhow::Result<(String, String)> {
    let (options, tenants) = read(matches)?;
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
        Some(format!("{}: tenant {}: {error}\n", options.path.display(), tenant.id))
    });
    let problems = problems.collect();
    Ok((
        if matches.get_flag("json") { text::as_json(&tenants) } else { text::as_text(&tenants) },
        problems,
    ))
}
