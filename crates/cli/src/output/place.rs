//! What an output writes to, and how it is opened: a regular file, or what cannot be looked at
//! again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use m365_audit_core::ConfigError;

use crate::output::spool::Spool;
use crate::output::stream::Stream;
use crate::output_settings::OutputSettings;

/// What lines are written to.
#[derive(Debug)]
pub(super) enum Place {
    /// A regular file: of `--output`, or on stdout.
    Spool { spool: Box<Spool>, on_stdout: bool },
    /// What cannot be looked at again.
    Stream { stream: Stream, on_stdout: bool },
}

impl Place {
    /// The file or device at a path.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn at(path: &Path, settings: OutputSettings) -> Result<Self, ConfigError> {
        let stream = fs::metadata(path).is_ok_and(|found| !found.is_file());
        if stream {
            let stream = Stream::at(path).map_err(|error| refusal(path, &cannot_open(&error)))?;
            return Ok(Self::Stream { stream, on_stdout: false });
        }
        let spool = open_spool(path, settings)?;
        Ok(Self::Spool { spool: Box::new(spool), on_stdout: false })
    }

    /// Its file, if it is one.
    pub(super) fn spool(&self) -> Option<&Spool> {
        match self {
            Self::Spool { spool, .. } => Some(spool),
            Self::Stream { .. } => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn spool_mut(&mut self) -> Option<&mut Spool> {
        match self {
            Self::Spool { spool, .. } => Some(spool),
            Self::Stream { .. } => None,
        }
    }

    /// What stdout is: a file as well, perhaps.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(super) fn stdout(settings: OutputSettings) -> Result<Self, ConfigError> {
        let failed = |error: io::Error| {
            ConfigError::new("output", None, &format!("stdout: {error}"), "set --output FILE")
        };
        let stream = Stream::stdout().map_err(failed)?;
        let Some(path) = stream.path() else {
            return Ok(Self::Stream { stream, on_stdout: true });
        };
        match Spool::open(&path, settings) {
            Ok(spool) => Ok(Self::Spool { spool: Box::new(spool), on_stdout: true }),
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Err(failed(error)),
            // For example of another user, who has opened it for us.
            Err(_) => Ok(Self::Stream { stream, on_stdout: true }),
        }
    }
}

/// Opens a file, or says what is in the way.
pub(super) fn open_spool(path: &Path, settings: OutputSettings) -> Result<Spool, ConfigError> {
    Spool::open(path, settings).map_err(|error| match error.kind() {
        ErrorKind::ResourceBusy => refusal(path, &error),
        _ => refusal(path, &cannot_open(&error)),
    })
}

fn refusal(path: &Path, error: &io::Error) -> ConfigError {
    let shown = path.display().to_string();
    let remedy = match error.kind() {
        ErrorKind::ResourceBusy => "stop that one, or name another file",
        _ => "name a file that can be written",
    };
    // With a remedy of its own.
    match error.to_string().split_once("; remedy: ") {
        Some((problem, remedy)) => ConfigError::new("output", Some(&shown), problem, remedy),
        None => ConfigError::new("output", Some(&shown), &error.to_string(), remedy),
    }
}

fn cannot_open(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot be opened: {error}"))
}
