//! What the options say about the state file.

use std::path::{Path, PathBuf};

use m365_audit_core::ConfigError;
use m365_audit_core::config::Reader;

/// Where and how the state is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DbOptions {
    /// The SQLite file.
    pub path: PathBuf,
    /// SQLite's `synchronous`: one of the words of `db.sync`.
    pub synchronous: Box<str>,
    /// SQLite's `journal_mode`: one of the words of `db.journal_mode`.
    pub journal_mode: Box<str>,
    /// Whether the file is locked against every other process.
    pub exclusive: bool,
}

impl DbOptions {
    /// Reads the options; `None` without `db`. Mistakes stay in `reader`.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let path = reader.optional("db");
        let synchronous = reader.word("db.sync").into();
        let journal_mode = reader.word("db.journal_mode").into();
        let exclusive = reader.boolean("db.locking");
        let text = path?;
        let path = PathBuf::from(&text);
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut refuse = |problem: &str, remedy: &str| {
            reader.report(ConfigError::new("db", Some(&text), problem, remedy));
        };
        if path.is_dir() {
            refuse("a directory", "name a file in it");
        } else if !directory.is_dir() {
            let directory = directory.display();
            refuse(
                &format!("there is no directory {directory}"),
                "create it, or name another file",
            );
        }
        Some(Self { path, synchronous, journal_mode, exclusive })
    }
}
