//! An open output: whole lines into it, and what it can promise of them.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use m365_audit_core::{ConfigError, Level};

use crate::log::Log;
use crate::output::oversized::Oversized;
use crate::output::place::Place;
use crate::output::spool::Spool;
use crate::output::stream::Kind;
use crate::output_settings::OutputSettings;

/// How often an output that nothing is written to is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An open output.
#[derive(Debug)]
pub(crate) struct Output {
    place: Place,
    /// Where longer lines go, if there is a limit.
    oversized: Option<Oversized>,
    log: Log,
    looked: Instant,
    /// The disk was full when lines were written last.
    full: bool,
    full_told: bool,
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
    ///
    /// # Errors
    /// If it cannot be opened; also for settings that do not fit it.
    pub(crate) fn open(
        path: Option<&Path>,
        settings: OutputSettings,
        log: &Log,
    ) -> Result<Self, ConfigError> {
        let place = match path {
            Some(path) => Place::at(path, settings)?,
            None => Place::stdout(settings)?,
        };
        let oversized = match (&place, settings.line_bytes_max) {
            (Place::Spool { spool, .. }, Some(bytes_max)) => {
                Some(Oversized::open(spool.path(), bytes_max, settings)?)
            }
            (Place::Stream { .. } | Place::Spool { .. }, _) => None,
        };
        if let (Place::Stream { .. }, Some(option)) = (&place, settings.of_a_file()) {
            return Err(no_file(option));
        }
        let (log, looked) = (log.clone(), Instant::now());
        Ok(Self { place, oversized, log, looked, full: false, full_told: false })
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
        if self.full && !self.has_room(lines.len()) {
            return Err(ErrorKind::StorageFull.into());
        }
        let result = self.write(lines);
        self.tell();
        self.full = result.as_ref().is_err_and(is_full);
        if result.is_ok() && std::mem::take(&mut self.full_told) {
            self.log.write(Level::Info, "the output can be written again");
        }
        result
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let spool = match &mut self.place {
            Place::Spool { spool, .. } => spool,
            Place::Stream { stream, .. } => return stream.deliver(lines),
        };
        let parted = match &mut self.oversized {
            None => None,
            // The long ones first: they are few, and come twice if the others cannot be written.
            Some(oversized) => oversized.part(lines, &self.log)?,
        };
        let lines = parted.as_deref().unwrap_or(lines);
        spool.deliver(lines).map_err(|error| spool.named(&error))
    }

    /// Whether there is room for so many bytes, as far as the file system says it.
    fn has_room(&self, bytes: usize) -> bool {
        match &self.place {
            Place::Spool { spool, .. } => spool.room().is_none_or(|room| bytes as u64 <= room),
            Place::Stream { .. } => true,
        }
    }

    /// How many records were longer than a line may be, since the start.
    pub(crate) fn oversized(&self) -> u64 {
        self.oversized.as_ref().map_or(0, Oversized::count)
    }

    /// Whether the file is still the one at its path, and whole; once a second at most.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        let Place::Spool { spool, .. } = &mut self.place else { return Ok(()) };
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let result = spool.look().map_err(|error| spool.named(&error));
        let beside = self.oversized.as_mut().map_or(Ok(()), Oversized::look);
        self.tell();
        result.and(beside)
    }

    /// Opens the file by its name again, as somebody asks for who has renamed it.
    pub(crate) fn reopen(&mut self) {
        let Place::Spool { spool, .. } = &mut self.place else { return };
        let result = spool.reopen().map_err(|error| spool.named(&error));
        let beside = self.oversized.as_mut().map_or(Ok(()), Oversized::reopen);
        self.tell();
        match result.and(beside) {
            Ok(()) => self.log.write(Level::Info, "SIGHUP: the output is open by its name"),
            // It is tried again with the next lines.
            Err(error) => {
                let message = format!("SIGHUP: the output cannot be opened again: {error}");
                self.log.write(Level::Error, &message);
            }
        }
    }

    /// Says that the disk is full: once, until it has room again.
    pub(crate) fn tell_full(&mut self, error: &io::Error) {
        if std::mem::replace(&mut self.full_told, true) {
            self.log.write(Level::Debug, &format!("the output cannot be written yet: {error}"));
        } else {
            self.log.write(
                Level::Error,
                &format!(
                    "the output cannot be written: {error}; nothing is collected until there is \
                     room, and then it goes on by itself"
                ),
            );
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

    /// Whether it is a terminal, of which a hangup is the end.
    pub(crate) const fn is_terminal(&self) -> bool {
        match &self.place {
            Place::Stream { stream, .. } => matches!(stream.kind(), Kind::Terminal),
            Place::Spool { .. } => false,
        }
    }

    /// Its file, and the one beside it, where it has them.
    pub(super) fn files(&self) -> (Option<&Spool>, Option<&Spool>) {
        (self.place.spool(), self.oversized.as_ref().map(Oversized::spool))
    }

    /// The same, to be changed.
    pub(super) fn files_mut(&mut self) -> (Option<&mut Spool>, Option<&mut Spool>) {
        (self.place.spool_mut(), self.oversized.as_mut().map(Oversized::spool_mut))
    }

    /// Where it says what it has found.
    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    /// Says what its files have found.
    pub(super) fn tell(&mut self) {
        let mut notes = Vec::new();
        if let Place::Spool { spool, .. } = &mut self.place {
            notes.extend(spool.take_notes());
        }
        if let Some(oversized) = &mut self.oversized {
            notes.extend(oversized.take_notes());
        }
        for (level, message) in notes {
            self.log.write(level, &message);
        }
    }
}

/// An option of files where there is none.
pub(crate) fn no_file(option: &str) -> ConfigError {
    ConfigError::new(
        option,
        None,
        "without effect, because records go to no file",
        "name one: --output FILE; or leave it out",
    )
}

/// Whether an error says that a disk, or a share of it, is full. It passes by itself when somebody
/// makes room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
