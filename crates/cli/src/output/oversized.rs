//! The file beside the output, for lines that whoever reads the output would cut. It is a spool of
//! its own: rotated by the same rules, and remembered in the state.

use std::io;
use std::path::{Path, PathBuf};

use m365_audit_core::{ConfigError, Level};

use crate::log::Log;
use crate::output::place::open_spool;
use crate::output::spool::Spool;
use crate::output_settings::OutputSettings;

/// The file, and what goes there.
#[derive(Debug)]
pub(super) struct Oversized {
    spool: Spool,
    bytes_max: usize,
    count: u64,
}

impl Oversized {
    /// Opens the file beside `output`.
    ///
    /// # Errors
    /// As for the output itself.
    pub(super) fn open(
        output: &Path,
        bytes_max: usize,
        settings: OutputSettings,
    ) -> Result<Self, ConfigError> {
        let spool = open_spool(&beside(output), settings)?;
        Ok(Self { spool, bytes_max, count: 0 })
    }

    /// How many lines were too long, since the start.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn spool_mut(&mut self) -> &mut Spool {
        &mut self.spool
    }

    pub(super) const fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Brings the lines that are too long to safety. Answers the others; `None`: all of them.
    pub(super) fn part(&mut self, lines: &[u8], log: &Log) -> io::Result<Option<Vec<u8>>> {
        let is_long = |line: &[u8]| self.bytes_max < line.strip_suffix(b"\n").unwrap_or(line).len();
        let all = || lines.split_inclusive(|byte| *byte == b'\n');
        let count = all().filter(|line| is_long(line)).count();
        if count == 0 {
            return Ok(None);
        }
        let (long, others): (Vec<&[u8]>, Vec<&[u8]>) = all().partition(|line| is_long(line));
        let longest = long.iter().map(|line| line.len()).max().unwrap_or_default();
        self.spool.deliver(&long.concat()).map_err(|error| self.spool.named(&error))?;
        self.count += count as u64;
        let (name, max) = (self.spool.name(), self.bytes_max);
        log.write(
            Level::Warn,
            &format!(
                "records longer than output_line_bytes_max ({max} bytes): {count}, the longest of \
                 {longest} bytes; they are in {name}"
            ),
        );
        Ok(Some(others.concat()))
    }

    pub(super) fn look(&mut self) -> io::Result<()> {
        self.spool.look().map_err(|error| self.spool.named(&error))
    }

    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.spool.reopen().map_err(|error| self.spool.named(&error))
    }

    pub(super) fn take_notes(&mut self) -> Vec<(Level, String)> {
        self.spool.take_notes()
    }
}

/// `audit.oversized.ndjson` beside `audit.ndjson`.
fn beside(output: &Path) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(".oversized");
    if let Some(extension) = output.extension() {
        name.push(".");
        name.push(extension);
    }
    output.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stands_beside_the_output() {
        let name = |path: &str| beside(Path::new(path)).display().to_string();
        assert_eq!(name("/var/log/audit.ndjson"), "/var/log/audit.oversized.ndjson");
        assert_eq!(name("audit"), "audit.oversized");
    }
}
