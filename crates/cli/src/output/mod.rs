//! Where lines go, and when they are safe there: a file that others may rotate, a pipe, a device.
//! What both kinds of run write with.

mod last_line;
mod spool;
mod stamp;
mod stream;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use m365_audit_core::{Commit, ConfigError, Level, LossKind, Stored, losses};

use crate::log::Log;
use crate::output::spool::Spool;
use crate::output::stream::{Kind, Stream};

pub(crate) use crate::output::stamp::{KEY as STAMP_KEY, Standing, look as look_at};

/// How often an output that nothing is written to is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An open output.
#[derive(Debug)]
pub(crate) struct Output {
    place: Place,
    log: Log,
    looked: Instant,
}

#[derive(Debug)]
enum Place {
    /// A regular file: of `--output`, or on stdout.
    Spool { spool: Box<Spool>, on_stdout: bool },
    /// What cannot be looked at again.
    Stream { stream: Stream, on_stdout: bool },
}

/// The one output of all tenants.
pub(crate) type SharedOutput = Arc<Mutex<Output>>;

/// The output, for one write. A thread that panicked with it left whole lines or half a line
/// behind, and both are taken care of.
pub(crate) fn lock(output: &SharedOutput) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output {
    /// Opens `path` for appending; stdout for `None`. Changes nothing in a file that exists.
    pub(crate) fn open(path: Option<&Path>, log: &Log) -> Result<Self, ConfigError> {
        let place = match path {
            Some(path) => Place::at(path)?,
            None => Place::stdout()?,
        };
        Ok(Self { place, log: log.clone(), looked: Instant::now() })
    }

    /// Why progress must not be recorded with this output, if so.
    pub(crate) fn refusal(&self) -> Option<ConfigError> {
        match &self.place {
            Place::Stream { stream, on_stdout: true } if stream.kind() == Kind::Null => {
                Some(ConfigError::new(
                    "output",
                    None,
                    "stdout is closed or /dev/null, and with a db all records would count as \
                     delivered without being anywhere",
                    "name a file: --output FILE; or say that you want it: --output /dev/null",
                ))
            }
            Place::Stream { .. } | Place::Spool { .. } => None,
        }
    }

    /// Says at the start what the output is and what it can promise, where that is not plain.
    pub(crate) fn introduce(&self, has_db: bool) {
        let told = match &self.place {
            Place::Spool { on_stdout: false, .. } => return,
            Place::Spool { spool, on_stdout: true } => (
                Level::Info,
                format!("stdout is a file: written to as with --output {}", spool.name()),
            ),
            Place::Stream { .. } if !has_db => return,
            Place::Stream { stream, .. } => (Level::Warn, stream.promise().to_owned()),
        };
        self.log.write(told.0, &told.1);
    }

    /// Writes whole lines, and answers when they are safe: on the disk, in the file that is at the
    /// path; or with whoever reads the pipe. After an error some of them may be there.
    pub(crate) fn deliver(&mut self, lines: &[u8]) -> io::Result<()> {
        let result = match &mut self.place {
            Place::Spool { spool, .. } => {
                spool.deliver(lines).map_err(|error| named(spool, &error))
            }
            Place::Stream { stream, .. } => stream.deliver(lines),
        };
        self.tell();
        result
    }

    /// Whether the file is still the one at its path, and whole; once a second at most.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        let Place::Spool { spool, .. } = &mut self.place else { return Ok(()) };
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let result = spool.find().map_err(|error| named(spool, &error));
        self.tell();
        result
    }

    /// Opens the file by its name again, as somebody asks for who has renamed it.
    pub(crate) fn reopen(&mut self) {
        let Place::Spool { spool, .. } = &mut self.place else { return };
        let result = spool.reopen().map_err(|error| named(spool, &error));
        self.tell();
        match result {
            Ok(()) => self.log.write(Level::Info, "SIGHUP: the output is open by its name"),
            // It is tried again with the next lines.
            Err(error) => {
                let message = format!("SIGHUP: the output cannot be opened again: {error}");
                self.log.write(Level::Error, &message);
            }
        }
    }

    /// Whether a failed write can be undone and tried again.
    pub(crate) const fn is_repairable(&self) -> bool {
        matches!(self.place, Place::Spool { .. })
    }

    /// Whether the output has a name by which it can be opened again.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self.place, Place::Spool { .. })
    }

    fn tell(&mut self) {
        if let Place::Spool { spool, .. } = &mut self.place {
            for (level, message) in spool.take_notes() {
                self.log.write(level, &message);
            }
        }
    }
}

impl Place {
    fn at(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let refuse = |error: &io::Error| {
            let remedy = match error.kind() {
                io::ErrorKind::ResourceBusy => "stop that one, or name another file",
                _ => "name a file that can be written",
            };
            // With a remedy of its own.
            match error.to_string().split_once("; remedy: ") {
                Some((problem, remedy)) => {
                    ConfigError::new("output", Some(&shown), problem, remedy)
                }
                None => ConfigError::new("output", Some(&shown), &error.to_string(), remedy),
            }
        };
        let stream = fs::metadata(path).is_ok_and(|found| !found.is_file());
        if stream {
            let stream = Stream::at(path).map_err(|error| refuse(&cannot_open(&error)))?;
            return Ok(Self::Stream { stream, on_stdout: false });
        }
        let spool = Spool::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => refuse(&error),
            _ => refuse(&cannot_open(&error)),
        })?;
        Ok(Self::Spool { spool: Box::new(spool), on_stdout: false })
    }

    fn stdout() -> Result<Self, ConfigError> {
        let failed = |error: io::Error| {
            ConfigError::new("output", None, &format!("stdout: {error}"), "set --output FILE")
        };
        let stream = Stream::stdout().map_err(failed)?;
        let Some(path) = stream.path() else {
            return Ok(Self::Stream { stream, on_stdout: true });
        };
        match Spool::open(&path) {
            Ok(spool) => Ok(Self::Spool { spool: Box::new(spool), on_stdout: true }),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Err(failed(error)),
            // For example of another user, who has opened it for us.
            Err(_) => Ok(Self::Stream { stream, on_stdout: true }),
        }
    }
}

fn cannot_open(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot be opened: {error}"))
}

/// What went wrong, with the name of the file.
fn named(spool: &Spool, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", spool.name()))
}

/// What one state remembers of an output, and what it has been told of it.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Bytes that were missing in all, as far as this state has been told.
    missing: u64,
    /// Whether a loss has been told and is not in the state yet. Until then what the state says of
    /// the output stays as it is, so that a process that dies meanwhile is told again.
    owed: bool,
    /// What the state says.
    stored: Option<String>,
}

impl Memory {
    pub(crate) const fn new() -> Self {
        Self { missing: 0, owed: false, stored: None }
    }

    /// Compares the output with what a state says of it. Answers what is missing, if something is.
    pub(crate) fn resume(
        &mut self,
        output: &mut Output,
        stored: &Stored,
    ) -> io::Result<Option<Missing>> {
        self.stored = stored.get(STAMP_KEY).cloned();
        self.owed = false;
        let Place::Spool { spool, .. } = &mut output.place else { return Ok(None) };
        self.missing = spool.missing();
        let missing = match self.stored.as_deref().map(stamp::decode) {
            Some(Some(stamp)) => spool.compare(&stamp).map_err(|error| named(spool, &error))?,
            Some(None) => {
                output.log.write(
                    Level::Warn,
                    "what the state says of the output cannot be read: it is not compared",
                );
                None
            }
            None => None,
        };
        output.tell();
        Ok(self.owe(output, missing.unwrap_or_default()))
    }

    /// What has been found missing since it was asked last.
    pub(crate) fn missing(&mut self, output: &Output) -> Option<Missing> {
        let Place::Spool { spool, .. } = &output.place else { return None };
        let bytes = spool.missing() - self.missing;
        self.missing = spool.missing();
        self.owe(output, bytes)
    }

    fn owe(&mut self, output: &Output, bytes: u64) -> Option<Missing> {
        let Place::Spool { spool, .. } = &output.place else { return None };
        (bytes > 0).then(|| {
            self.owed = true;
            Missing { output: spool.name().into(), bytes }
        })
    }

    /// Puts into a commit what is safe by now.
    pub(crate) fn stamp(&mut self, output: &Output, commit: &mut Commit) {
        let Place::Spool { spool, .. } = &output.place else { return };
        if spool.missing() != self.missing {
            return;
        }
        if self.owed {
            let added = |(key, value): (&String, &Option<String>)| {
                value.as_ref().map(|value| (key.clone(), value.clone()))
            };
            let added: Stored = commit.changes.iter().filter_map(added).collect();
            let told = losses(&added).unwrap_or_default();
            if !told.iter().any(|known| known.loss.kind == LossKind::Output) {
                return;
            }
            self.owed = false;
        }
        let value = spool.stamp().encode();
        if self.stored.as_ref() != Some(&value) {
            commit.changes.insert(STAMP_KEY.into(), Some(value.clone()));
            self.stored = Some(value);
        }
    }
}

/// What an output lacks that counts as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The file.
    pub(crate) output: Box<str>,
    /// How many bytes.
    pub(crate) bytes: u64,
}
