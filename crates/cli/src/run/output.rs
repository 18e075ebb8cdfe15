//! Where lines go: stdout, or a file whose last line is always whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use m365_audit_core::ConfigError;

/// How much is read at once in the search for the end of the last whole line.
const SEARCH_BYTES: usize = 64 * 1024;

/// An open output.
#[derive(Debug)]
pub(crate) enum Output {
    /// The standard output.
    Stdout(io::Stdout),
    /// A regular file, locked for this process.
    File(File),
    /// A pipe or a device.
    Stream(File),
}

/// What was done about an incomplete last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    /// There was none.
    Nothing,
    /// So many bytes were cut off.
    Cut(u64),
    /// It was ended with a newline.
    Ended,
}

impl Output {
    /// Opens `path` for appending; stdout for `None`. Changes nothing in a file that exists.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::Stdout(io::stdout())) };
        let refuse = |problem: &str, remedy: &str| {
            ConfigError::new("output", Some(&path.display().to_string()), problem, remedy)
        };
        let unusable = |error: io::Error| {
            refuse(&format!("cannot be opened: {error}"), "name a file that can be written")
        };
        if path.exists() && !path.is_file() {
            let file = OpenOptions::new().write(true).open(path).map_err(unusable)?;
            return Ok(Self::Stream(file));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self::File(file)),
            Err(TryLockError::WouldBlock) => Err(refuse(
                "another m365-audit is writing to it",
                "stop that one, or name another file",
            )),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Sees to it that the next line begins at the start of a line.
    ///
    /// A crash or a full disk may leave half a line behind. It was never confirmed, so its record
    /// is collected again and the half can go. What does not look like the beginning of one of our
    /// lines is somebody's own text, and is ended instead of cut.
    pub(crate) fn repair(&mut self) -> io::Result<Repair> {
        let Self::File(file) = self else { return Ok(Repair::Nothing) };
        let length = file.metadata()?.len();
        let whole = end_of_last_line(file, length)?;
        if whole == length {
            return Ok(Repair::Nothing);
        }
        let mut first = [0];
        file.seek(SeekFrom::Start(whole))?;
        file.read_exact(&mut first)?;
        if &first == b"{" {
            file.set_len(whole)?;
            return Ok(Repair::Cut(length - whole));
        }
        file.write_all(b"\n")?;
        Ok(Repair::Ended)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.write_all(bytes),
            Self::File(file) | Self::Stream(file) => file.write_all(bytes),
        }
    }

    /// Makes safe what was written: on the disk if it is a file, else with whoever reads it.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.sync_data(),
            Self::Stream(file) => file.flush(),
        }
    }

    /// Whether a failed write can be undone and tried again.
    pub(crate) const fn is_repairable(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// The position behind the last newline.
fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut block = vec![0; SEARCH_BYTES];
    let mut end = length;
    while 0 < end {
        let start = end.saturating_sub(SEARCH_BYTES as u64);
        let block = &mut block[..usize::try_from(end - start).unwrap_or(SEARCH_BYTES)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[track_caller]
    fn check(before: &str, after: &str, repair: Repair) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        fs::write(&path, before).unwrap();
        let mut output = Output::open(Some(&path)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert_eq!(output.repair().unwrap(), repair);
        assert_eq!(output.repair().unwrap(), Repair::Nothing);
        output.write(b"{}\n").unwrap();
        output.settle().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{after}{{}}\n"));
    }

    #[test]
    fn the_next_line_begins_at_the_start_of_a_line() {
        check("", "", Repair::Nothing);
        check("{\"a\":1}\n", "{\"a\":1}\n", Repair::Nothing);
        check("{\"a\":1}\n{\"b\":", "{\"a\":1}\n", Repair::Cut(5));
        check("{\"a\":", "", Repair::Cut(5));
        check("my notes", "my notes\n", Repair::Ended);
        let long = format!("{{\"a\":\"{}", "x".repeat(3 * SEARCH_BYTES));
        check(&format!("{{}}\n{long}"), "{}\n", Repair::Cut(long.len() as u64));
    }

    #[test]
    fn two_processes_do_not_write_to_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        let _first = Output::open(Some(&path)).unwrap();
        let error = Output::open(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("another m365-audit is writing to it"), "{error}");
    }
}
