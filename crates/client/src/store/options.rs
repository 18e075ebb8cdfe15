//! What the options say about where the state is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, RawOptions};
use rustls::pki_types::CertificateDer;

use crate::roots::read_roots;

use super::error::StoreError;
use super::postgres::{Beside, Server, is_server, shown};

/// Where and how the state is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DbOptions {
    /// The SQLite file, or what messages call the PostgreSQL.
    pub path: PathBuf,
    /// SQLite's `synchronous`: one of the words of `db.sync`.
    pub synchronous: Box<str>,
    /// SQLite's `journal_mode`: one of the words of `db.journal_mode`.
    pub journal_mode: Box<str>,
    /// Whether the file is locked against every other process.
    pub exclusive: bool,
    /// The PostgreSQL; `None`: it is a SQLite file.
    pub server: Option<Arc<Server>>,
}

impl DbOptions {
    /// Where `db` alone says, a file or the URL of a PostgreSQL; the rest is as it is by default.
    ///
    /// # Errors
    /// It begins like a URL of PostgreSQL, and is none.
    pub fn at(db: &Path) -> Result<Self, StoreError> {
        let text = db.to_str().filter(|text| is_server(text));
        match text.map(Self::of_text).transpose() {
            Ok(Some(options)) => Ok(options),
            Ok(None) => Ok(Self {
                path: db.into(),
                synchronous: "full".into(),
                journal_mode: "wal".into(),
                exclusive: false,
                server: None,
            }),
            Err(error) => Err(StoreError::Access {
                path: shown(text.unwrap_or_default()).into(),
                problem: format!("{}; remedy: {}", error.problem, error.remedy),
            }),
        }
    }

    /// Reads the options; `None` without `db`. Mistakes stay in `reader`.
    pub(crate) fn parse(
        reader: &mut Reader<'_>,
        roots: &[CertificateDer<'static>],
    ) -> Option<Self> {
        let path = reader.optional("db");
        let synchronous = reader.word("db.sync").into();
        let journal_mode = reader.word("db.journal_mode").into();
        let exclusive = reader.boolean("db.locking");
        let lease = reader.duration("db.lease");
        let most = reader.optional("db.tenants_max").map(|_| reader.number("db.tenants_max"));
        let password_file = reader.optional("db_password_file");
        let text = path?;
        if !is_server(&text) {
            Self::check_file(&text, reader);
            if let Some(file) = &password_file {
                reader.report(ConfigError::new(
                    "db_password_file",
                    Some(file),
                    "without effect, because db is a file",
                    "leave it out, or write db = postgres://user@host/database",
                ));
            }
            let path = text.into();
            return Some(Self { path, synchronous, journal_mode, exclusive, server: None });
        }
        let beside = Beside {
            password_file: password_file.as_deref().map(Path::new),
            roots,
            lease: Some(lease),
            tenants_max: most.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        };
        match Server::parse(&text, &beside, |name| std::env::var(name).ok()) {
            Ok(server) => {
                let path = server.to_string().into();
                let server = Some(Arc::new(server));
                Some(Self { path, synchronous, journal_mode, exclusive, server })
            }
            Err(mistake) => {
                let value = match mistake.option {
                    "db" => Some(shown(&text)),
                    _ => password_file,
                };
                reader.report(ConfigError::new(
                    mistake.option,
                    value.as_deref(),
                    &mistake.problem,
                    mistake.remedy,
                ));
                None
            }
        }
    }

    /// Where the state is that these options name, whatever else they say; `None` without `db`.
    ///
    /// # Errors
    /// It is a PostgreSQL, and there is a mistake in what is said of it.
    pub fn of_raw(raw: &RawOptions) -> Result<Option<Self>, ConfigError> {
        let text =
            |name: &str| raw.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
        let Some(db) = text("db") else { return Ok(None) };
        let roots = text("ca_file").filter(|_| is_server(db)).map(|path| {
            read_roots(Path::new(path)).map_err(|problem| {
                let remedy = "name a PEM file with the certificate of your authority";
                ConfigError::new("ca_file", Some(path), &problem, remedy)
            })
        });
        let roots = roots.transpose()?.unwrap_or_default();
        let password_file = text("db_password_file").map(Path::new);
        Self::of(db, &Beside { password_file, roots: &roots, ..Beside::default() }).map(Some)
    }

    /// What `db` alone says, with the defaults of the other options: for a look at a state.
    ///
    /// # Errors
    /// It is a URL of PostgreSQL with a mistake.
    pub fn of_text(text: &str) -> Result<Self, ConfigError> {
        Self::of(text, &Beside::default())
    }

    fn of(text: &str, beside: &Beside<'_>) -> Result<Self, ConfigError> {
        let server = if is_server(text) {
            let server = Server::parse(text, beside, |name| std::env::var(name).ok());
            let server = server.map_err(|mistake| {
                let (problem, remedy) = (&mistake.problem, mistake.remedy);
                ConfigError::new(mistake.option, Some(&shown(text)), problem, remedy)
            })?;
            Some(Arc::new(server))
        } else {
            None
        };
        Ok(Self {
            path: server.as_ref().map_or_else(|| text.into(), |server| server.to_string().into()),
            synchronous: "full".into(),
            journal_mode: "wal".into(),
            exclusive: false,
            server,
        })
    }

    /// Whether it is a file that is not there.
    pub(super) fn is_absent(&self) -> bool {
        self.server.is_none() && !self.path.try_exists().unwrap_or(true)
    }

    fn check_file(text: &str, reader: &mut Reader<'_>) {
        let path = Path::new(text);
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut refuse = |problem: &str, remedy: &str| {
            reader.report(ConfigError::new("db", Some(text), problem, remedy));
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
    }
}
