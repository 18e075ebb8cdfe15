//! `m365-audit state copy`.

use std::io::{self, Write};

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command};
use m365_audit_client::{CopiedState, copy_state};

use super::file::named;
use crate::exit::{COMPLETE, INCOMPLETE};
use crate::words::counted;

const AFTER_HELP: &str = "\
Each place is a SQLite file or postgres://user@host/database (password: PGPASSWORD). No collector
may have the tenants meanwhile, in either of them; one that does is named. Both are read again at
the end and compared. What is in FROM stays there: start no collector with it any more.

Example:
  m365-audit state copy --from state.db --to postgres://audit@db.example/audit

Exit codes: 0 all of it has arrived, 1 something failed; what has arrived by then stays, and the
same command goes on.";

fn place(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("DB")
        .value_parser(ValueParser::path_buf())
        .required(true)
        .help(help)
}

pub(super) fn command() -> Command {
    Command::new("copy")
        .about("Copy a state to another place: from SQLite to PostgreSQL, and back")
        .after_help(AFTER_HELP)
        .args([place("from", "Where it is"), place("to", "Where it goes")])
}

/// Copies, and answers the exit code.
pub(super) fn main(matches: &ArgMatches) -> u8 {
    match run(matches) {
        Ok(words) => {
            // A reader that has seen enough is no failure.
            drop(writeln!(io::stdout(), "{words}"));
            COMPLETE
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{error:#}"));
            INCOMPLETE
        }
    }
}

fn run(matches: &ArgMatches) -> anyhow::Result<String> {
    let (from, to) = (named(matches, "from")?, named(matches, "to")?);
    let CopiedState { tenants, keys, bytes, present } = copy_state(&from, &to)?;
    let counted = |count: usize, one, many| counted(count as u64, one, many);
    let mut words = format!(
        "copied to {} and compared: {}, {}, {bytes} bytes",
        to.path.display(),
        counted(tenants, "tenant", "tenants"),
        counted(keys, "key", "keys"),
    );
    if 0 < present {
        let was = counted(present, "tenant was", "tenants were");
        words.push_str(&format!("; {was} there before"));
    }
    Ok(words)
}
