//! What goes wrong with a PostgreSQL, and what is to be done about it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use super::super::error::StoreError;
use super::server::Server;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the client or the server says.
    Server(tokio_postgres::Error),
    /// No answer in time: whether it was done, nobody knows.
    Late(Duration),
    /// Tables of our names that are not ours.
    Foreign,
    /// Tables of a newer version.
    Newer { found: i64, known: i64 },
    /// In words, with the remedy.
    Told(String),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl Trouble {
    /// Whether it is about what was to be written, and not about the connection: another commit
    /// may fare better, and this one was not stored for certain.
    pub(super) fn is_about_data(&self) -> bool {
        match self {
            // A value that cannot be stored, a constraint, a limit of the program.
            Self::Server(error) => code(error)
                .is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class))),
            Self::Late(_) | Self::Foreign | Self::Newer { .. } | Self::Told(_) => false,
        }
    }

    /// As an error of the store.
    pub(super) fn explain(self, server: &Server) -> StoreError {
        let path = PathBuf::from(server.to_string());
        let problem = match self {
            Self::Newer { found, known } => return StoreError::Newer { path, found, known },
            Self::Foreign => "tables called m365_audit_… of another application; remedy: name \
                 another database, or give this user a schema of its own (ALTER ROLE … SET \
                 search_path)"
                .to_owned(),
            Self::Late(after) => format!(
                "no answer for {} s, which is db.lease; whether it was stored is found out before \
                 anything else is; remedy: look at what the database waits for, or raise db.lease",
                after.as_secs_f64()
            ),
            Self::Told(problem) => problem,
            Self::Server(error) => words(&error),
        };
        StoreError::Access { path, problem }
    }
}

/// The SQLSTATE of what the server says.
pub(super) fn code(error: &tokio_postgres::Error) -> Option<&str> {
    error.code().map(tokio_postgres::error::SqlState::code)
}

/// What went wrong, with a remedy where there is one.
fn words(error: &tokio_postgres::Error) -> String {
    let Some(told) = error.as_db_error() else {
        let mut causes = Vec::new();
        let mut cause: Option<&dyn Error> = Some(error);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        // The last one says what is the matter, the first one what it was about.
        causes.dedup();
        let all = causes.join(": ");
        let remedy = if all.contains("certificate") || all.contains("UnknownIssuer") {
            "remedy: trust its authority (sslrootcert=FILE in db, or ca_file), and name the host \
             as its certificate does"
        } else if all.contains("password missing") {
            "remedy: write it into db_password_file, or set PGPASSWORD"
        } else if all.contains("does not support TLS") {
            "remedy: let the server speak TLS, or write sslmode=disable in db on a network that \
             is yours alone"
        } else {
            "remedy: look whether the database runs, and at host and port in db"
        };
        return format!("{all}; {remedy}");
    };
    let remedy = match told.code().code() {
        "28P01" | "28000" => {
            "look at user and password (db_password_file, PGPASSWORD), and at \
             pg_hba.conf"
        }
        "3D000" => "create the database, or name another one in db",
        "42501" => "grant what OPERATING.md lists to this user",
        "42P01" | "42703" | "42804" => "tables or columns are missing: restore a backup",
        "25006" => "name the primary in db: a replica takes no state",
        "53300" => "allow more connections, or go through pgbouncer",
        "53100" => "make room on the disk of the database",
        "57P01" | "57P02" | "57P03" => "none: it goes on by itself when the database is back",
        _ => "look at the log of the database",
    };
    let (message, code) = (told.message(), told.code().code());
    format!("{message} (SQLSTATE {code}); remedy: {remedy}")
}
