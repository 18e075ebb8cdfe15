//! `m365-audit state backup` and `state restore`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command};
use m365_audit_client::{Copied, StoreError, backup, restore};

use super::file::db;
use crate::exit::{COMPLETE, INCOMPLETE};

const AFTER_BACKUP: &str = "\
Collectors may be at work, unless db.locking is on. An earlier backup in FILE is replaced once the
new one is on the disk. A copy made by other means, such as cp, is none: what SQLite keeps beside
the file (-wal) belongs to it.

Example:
  m365-audit state backup --db state.db /backup/state.db";

const AFTER_RESTORE: &str = "\
No collector may use the db meanwhile; one that does is named. Nothing is changed before the backup
is read, verified and on the disk beside it. What was collected since the backup is collected again,
as long as Microsoft keeps it (7 days), and so arrives twice.

Example:
  m365-audit state restore --db state.db /backup/state.db";

fn file(help: &'static str) -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .value_parser(ValueParser::path_buf())
        .required(true)
        .help(help)
}

pub(super) fn commands() -> [Command; 2] {
    [
        Command::new("backup")
            .about("Copy the state, whole and as of one moment, while collectors are at work")
            .after_help(AFTER_BACKUP)
            .args([db("SQLite file that holds the state"), file("Where the copy goes")]),
        Command::new("restore")
            .about("Put a backup into the place of the state")
            .after_help(AFTER_RESTORE)
            .args([db("SQLite file that is replaced"), file("The backup")]),
    ]
}

/// Makes a backup, and answers the exit code.
pub(super) fn back_up(matches: &ArgMatches) -> u8 {
    let (db, file) = paths(matches);
    told(backup(db, file), |copied| format!("copied to {}: {copied}", file.display()))
}

/// Restores one, and answers the exit code.
pub(super) fn bring_back(matches: &ArgMatches) -> u8 {
    let (db, file) = paths(matches);
    told(restore(file, db), |copied| {
        format!(
            "{} is restored: {copied}; what was collected since the backup is collected again",
            db.display()
        )
    })
}

fn paths(matches: &ArgMatches) -> (&PathBuf, &PathBuf) {
    let path = |name| matches.get_one::<PathBuf>(name).expect("clap requires it");
    (path("db"), path("file"))
}

fn told(result: Result<Copied, StoreError>, words: impl FnOnce(&str) -> String) -> u8 {
    match result {
        Ok(Copied { tenants, bytes }) => {
            let count = tenants.len();
            let tenants = if count == 1 { "tenant" } else { "tenants" };
            let words = words(&format!("{count} {tenants}, {bytes} bytes"));
            // A reader that has seen enough is no failure.
            drop(writeln!(io::stdout(), "{words}"));
            COMPLETE
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{error}"));
            INCOMPLETE
        }
    }
}
