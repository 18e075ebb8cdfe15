//! `m365-audit dlp-types`: names for the ids that DLP records hold.

use clap::{Arg, ArgMatches, Command};
use m365_audit_core::call::{Call, Reply};
use serde_json::{Value, json};

use crate::calls::table::table;
use crate::calls::{self, Session, print};
use crate::exit::COMPLETE;

const ABOUT: &str = "\
DLP records name sensitive information types by id (SensitiveType); these are their names.

Examples:
  m365-audit dlp-types --config m365-audit.toml
  m365-audit dlp-types --language es --json";

pub(crate) fn command() -> Command {
    Command::new("dlp-types")
        .about("Print the names of sensitive information types")
        .after_help(format!("{ABOUT}\n\n{}", calls::AFTER_HELP))
        .arg(
            Arg::new("language")
                .long("language")
                .value_name("TAG")
                .help("One language, such as en-US or es [default: Microsoft's, en-US]"),
        )
        .args(calls::args(&[]))
}

/// Runs the command, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    match Session::open(matches).and_then(|session| list(session, matches)) {
        Ok(()) => COMPLETE,
        Err(code) => code,
    }
}

fn list(mut session: Session, matches: &ArgMatches) -> Result<(), u8> {
    let language = matches.get_one::<String>("language").cloned();
    let types = match session.call(Call::ListDlpTypes { language }) {
        Ok(Reply::DlpTypes(types)) => types,
        Ok(_) => unreachable!("types answer with types"),
        Err(error) => return Err(session.fail("", &error)),
    };
    if calls::json(matches) {
        let all = types.iter().map(|known| json!({ "id": known.id, "name": known.name }));
        print(&format!("{:#}\n", Value::from(all.collect::<Vec<_>>())));
        return Ok(());
    }
    let rows = types
        .iter()
        .map(|known| vec![known.id.clone(), known.name.clone().unwrap_or_else(|| "-".into())]);
    print(&table(&["ID", "NAME"], &rows.collect::<Vec<_>>()));
    Ok(())
}
