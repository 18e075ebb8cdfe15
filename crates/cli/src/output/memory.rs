//! What one state remembers of an output, and what it has been told of it.

use std::io;

use m365_audit_core::{Commit, Level, LossKind, Stored, losses};

use crate::log::Log;
use crate::output::open::Output;
use crate::output::spool::Spool;
use crate::output::stamp;

/// What one state remembers of an output: of its file, and of the one beside it.
#[derive(Debug)]
pub(crate) struct Memory {
    main: Track,
    oversized: Track,
}

/// What an output lacks that counts as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The file, or both of them.
    pub(crate) output: Box<str>,
    /// How many bytes.
    pub(crate) bytes: u64,
}

impl Missing {
    /// What two files lack together.
    fn join(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(Self {
                output: format!("{} and {}", one.output, other.output).into(),
                bytes: one.bytes.saturating_add(other.bytes),
            }),
            (one, other) => one.or(other),
        }
    }
}

impl Memory {
    pub(crate) const fn new() -> Self {
        Self { main: Track::new(stamp::KEY), oversized: Track::new(stamp::OVERSIZED_KEY) }
    }

    /// Compares the output with what a state says of it. Answers what is missing, if something is.
    pub(crate) fn resume(
        &mut self,
        output: &mut Output,
        stored: &Stored,
    ) -> io::Result<Option<Missing>> {
        let log = output.log().clone();
        let (main, beside) = output.files_mut();
        let main = main.map_or(Ok(None), |spool| self.main.resume(spool, stored, &log));
        let beside = beside.map_or(Ok(None), |spool| self.oversized.resume(spool, stored, &log));
        output.tell();
        Ok(Missing::join(main?, beside?))
    }

    /// What has been found missing since it was asked last.
    pub(crate) fn missing(&mut self, output: &Output) -> Option<Missing> {
        let (main, beside) = output.files();
        let main = main.and_then(|spool| self.main.missing(spool));
        Missing::join(main, beside.and_then(|spool| self.oversized.missing(spool)))
    }

    /// Puts into a commit what is safe by now.
    pub(crate) fn stamp(&mut self, output: &Output, commit: &mut Commit) {
        let (main, beside) = output.files();
        if let Some(spool) = main {
            self.main.stamp(spool, commit);
        }
        if let Some(spool) = beside {
            self.oversized.stamp(spool, commit);
        }
    }
}

/// What one state remembers of one file.
#[derive(Debug)]
struct Track {
    /// Where.
    key: &'static str,
    /// Bytes that were missing in all, as far as this state has been told.
    missing: u64,
    /// Whether a loss has been told and is not in the state yet. Until then what the state says of
    /// the file stays as it is, so that a process that dies meanwhile is told again.
    owed: bool,
    /// What the state says.
    stored: Option<String>,
}

impl Track {
    const fn new(key: &'static str) -> Self {
        Self { key, missing: 0, owed: false, stored: None }
    }

    fn resume(
        &mut self,
        spool: &mut Spool,
        stored: &Stored,
        log: &Log,
    ) -> io::Result<Option<Missing>> {
        self.stored = stored.get(self.key).cloned();
        self.owed = false;
        self.missing = spool.missing();
        let missing = match self.stored.as_deref().map(stamp::decode) {
            Some(Some(stamp)) => spool.compare(&stamp).map_err(|error| spool.named(&error))?,
            Some(None) => {
                log.write(
                    Level::Warn,
                    "what the state says of the output cannot be read: it is not compared",
                );
                None
            }
            None => None,
        };
        Ok(self.owe(spool, missing.unwrap_or_default()))
    }

    fn missing(&mut self, spool: &Spool) -> Option<Missing> {
        let bytes = spool.missing() - self.missing;
        self.missing = spool.missing();
        self.owe(spool, bytes)
    }

    fn owe(&mut self, spool: &Spool, bytes: u64) -> Option<Missing> {
        (bytes > 0).then(|| {
            self.owed = true;
            Missing { output: spool.name().into(), bytes }
        })
    }

    fn stamp(&mut self, spool: &Spool, commit: &mut Commit) {
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
            commit.changes.insert(self.key.into(), Some(value.clone()));
            self.stored = Some(value);
        }
    }
}
