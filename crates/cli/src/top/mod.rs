//! `m365-audit top`: how collection stands, in a terminal, live. Looks and changes nothing.

#[cfg(unix)]
mod live;
mod model;
mod screen;
mod source;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::names::Names;
use crate::terminal::is_dumb;
use crate::top::screen::Screen;
use crate::top::source::Source;
use crate::{arguments, calls, sources};

/// The width of what is printed where there is no terminal.
const PRINTED_COLUMNS: u16 = 120;

const AFTER_HELP: &str = "\
Keys: up and down choose a tenant, / searches, b shows only those with a problem, q ends.
Worst first: lost data, then what is not collected, then what is furthest behind.

Examples:
  m365-audit top                          a collector on this machine, with --status-listen 9477
  m365-audit top http://collector:9477    one elsewhere
  m365-audit top --db state.db            what a state says, whether a collector runs or not;
                                          names of tenants come from --config or --tenants-file
  m365-audit top --once | less            print it once";

/// Options that say what tenants are called.
const NAMING: [&str; 2] = ["config", "tenants_file"];

pub(crate) fn command() -> Command {
    Command::new("top")
        .about("Show how collection stands, live in a terminal")
        .after_help(AFTER_HELP)
        .args([
            Arg::new("address")
                .value_name("ADDRESS")
                .default_value("9477")
                .help("What the collector's status_listen says, or a URL"),
            arguments::db("Look into this state instead; it may be in use"),
            Arg::new("once").long("once").action(ArgAction::SetTrue).help("Print it once, and end"),
        ])
        .args(
            calls::args(&NAMING).into_iter().filter(|arg| NAMING.contains(&arg.get_id().as_str())),
        )
}

/// Shows it, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let address = matches.get_one::<String>("address").map_or("", String::as_str);
    let asked = matches.value_source("address") == Some(clap::parser::ValueSource::CommandLine);
    let db = matches.get_one::<PathBuf>("db").filter(|_| !asked);
    let names = match db.map(|_| sources::gathered(matches)) {
        None => Names::default(),
        Some(Ok(raw)) => Names::of(&raw),
        Some(Err(report)) => return fail(report.trim_end(), MISCONFIGURED),
    };
    let source = match Source::new(address, db, names) {
        Ok(source) => source,
        Err(problem) => return fail(&problem, MISCONFIGURED),
    };
    let terminal = io::stdout().is_terminal() && io::stdin().is_terminal() && !is_dumb();
    let ended = match matches.get_flag("once") || !terminal {
        true => print(&source),
        #[cfg(unix)]
        false => live::show(source),
        #[cfg(not(unix))]
        false => print(&source),
    };
    match ended {
        Ok(()) => COMPLETE,
        Err(problem) => fail(&problem, INCOMPLETE),
    }
}

fn fail(problem: &str, code: u8) -> u8 {
    // Nothing can be told any more if stderr is gone.
    drop(writeln!(io::stderr(), "{problem}"));
    code
}

/// Everything, as lines.
fn print(source: &Source) -> Result<(), String> {
    let mut screen = Screen::default();
    screen.take(source.look(None)?);
    let chosen = screen.chosen();
    if let Some(tenant) = &chosen {
        screen.take(source.look(Some(tenant))?);
    }
    let terminal = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    let text = screen.as_text(terminal.map_or(PRINTED_COLUMNS, |(width, _)| width.0));
    // A reader that has seen enough is no failure.
    drop(io::stdout().write_all(text.as_bytes()));
    Ok(())
}
