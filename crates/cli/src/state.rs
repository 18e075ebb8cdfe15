//! `m365-audit state`: what a `db` holds. Takes no lock, so that a collector may be at work.

mod acknowledge;
mod copy;
mod file;
mod text;
mod transfer;

use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_core::{Stored, losses, summarize};

pub(crate) use self::acknowledge::user;
use self::file::{Held, place};
use self::text::Tenant;
use crate::calls;
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
    match matches.subcommand() {
        Some(("show", matches)) => calls::look(matches, |raw| {
            let (text, problems) = show(Held::read(raw)?, matches.get_flag("json"));
            calls::print(&text);
            calls::say(&problems);
            Ok(if problems.is_empty() { COMPLETE } else { INCOMPLETE })
        }),
        Some(("acknowledge", matches)) => acknowledge::main(matches),
        Some(("copy", matches)) => transfer::main(matches),
        Some(("backup", matches)) => copy::back_up(matches),
        Some(("restore", matches)) => copy::bring_back(matches),
        _ => unreachable!("clap insists on a command and knows no other"),
    }
}

/// What is stored, and what is wrong with it. One tenant's damage hides no other tenant.
fn show(held: Held, json: bool) -> (String, String) {
    let Held { options, tenants, names } = held;
    let tenant = |(id, stored): (String, Stored)| Tenant {
        name: names.name(&id).map(str::to_owned),
        id,
        keys: stored.len(),
        bytes: stored.values().map(String::len).sum(),
        losses: losses(&stored).unwrap_or_default(),
        lanes: summarize(&stored),
    };
    let tenants: Vec<Tenant> = tenants.into_iter().map(tenant).collect();
    let problems = tenants.iter().filter_map(|tenant| {
        let error = tenant.lanes.as_ref().err()?;
        Some(format!("{}: tenant {}: {error}\n", options.path.display(), tenant.heading()))
    });
    let problems = problems.collect();
    (if json { text::as_json(&tenants) } else { text::as_text(&tenants) }, problems)
}
