//! Lines into an output, whatever happened to it before: what both kinds of run write with.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use m365_audit_core::Level;

use crate::log::Log;
use crate::run::output::{Output, Repair};

/// An output in which every line is whole.
#[derive(Debug)]
pub(crate) struct SafeOutput {
    output: Output,
    log: Log,
    /// Whether the output may end within a line: at first, and after a failed write.
    within_line: bool,
}

/// The one output of all tenants.
pub(crate) type SharedOutput = Arc<Mutex<SafeOutput>>;

/// The output, for one write. A thread that panicked with it left whole lines or half a line
/// behind, and both are taken care of.
pub(crate) fn lock(output: &SharedOutput) -> MutexGuard<'_, SafeOutput> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SafeOutput {
    pub(crate) const fn new(output: Output, log: Log) -> Self {
        Self { output, log, within_line: true }
    }

    /// Writes whole lines. After an error some of them may be there.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.within_line {
            self.repair()?;
        }
        self.within_line = true;
        self.output.write(lines)?;
        self.within_line = false;
        Ok(())
    }

    /// Makes safe what was written.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.output.settle()
    }

    /// Whether a failed write can be undone and tried again.
    pub(crate) const fn is_repairable(&self) -> bool {
        self.output.is_repairable()
    }

    fn repair(&mut self) -> io::Result<()> {
        let message = match self.output.repair()? {
            Repair::Nothing => return Ok(()),
            Repair::Cut(bytes) => format!(
                "the output ended within a line: {bytes} bytes were cut off, their record is \
                 collected again"
            ),
            Repair::Ended => "the output ended within a line that is not ours: it was ended".into(),
        };
        self.log.write(Level::Warn, &message);
        Ok(())
    }
}
