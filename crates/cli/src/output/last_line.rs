//! The end of a file of lines: half a line that a crash or a full disk has left behind.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use serde::de::IgnoredAny;

/// How much is read at once in the search for the end of the last whole line.
const SEARCH_BYTES: usize = 64 * 1024;

/// The longest last line that is looked at closely: the largest record, and what wraps it.
const LINE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What was done about an incomplete last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    /// There was none.
    Nothing,
    /// So many bytes were cut off.
    Cut(u64),
    /// It was whole, and lacked only the newline, which it got.
    Completed,
    /// It is not one of ours, and was ended with a newline.
    Ended,
}

impl Repair {
    /// What to say about it.
    pub(crate) fn words(self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Cut(bytes) => Some(format!(
                "the output ended within a line: {bytes} bytes were cut off; what did not count \
                 as delivered is collected again"
            )),
            Self::Completed => {
                Some("the output ended with a whole record without a newline: it was added".into())
            }
            Self::Ended => {
                Some("the output ended within a line that is not ours: it was ended".into())
            }
        }
    }
}

/// Sees to it that the next line begins at the start of a line.
///
/// A crash or a full disk may leave half a line behind. It was never confirmed, so its record is
/// collected again and the half can go. A line that is whole but for its newline stays. What does
/// not look like the beginning of one of our lines is somebody's own text, and is ended instead of
/// cut.
pub(crate) fn repair(file: &mut File) -> io::Result<Repair> {
    let length = file.metadata()?.len();
    let whole = end_of_last(file, length)?;
    if whole == length {
        return Ok(Repair::Nothing);
    }
    let mut first = [0];
    file.read_exact_at(&mut first, whole)?;
    let ours = &first == b"{";
    if ours && !is_whole(file, whole, length)? {
        file.set_len(whole)?;
        return Ok(Repair::Cut(length - whole));
    }
    file.write_all(b"\n")?;
    Ok(if ours { Repair::Completed } else { Repair::Ended })
}

/// How much of a file of this length [`repair`] would keep, with the newline that it would add to a
/// line of ours.
pub(crate) fn kept(file: &File, length: u64) -> io::Result<u64> {
    let whole = end_of_last(file, length)?;
    Ok(if whole < length && is_whole(file, whole, length)? { length + 1 } else { whole })
}

/// Whether one JSON value, and nothing else, stands between the two positions.
fn is_whole(file: &File, start: u64, end: u64) -> io::Result<bool> {
    if LINE_BYTES_MAX < end - start {
        return Ok(false);
    }
    let mut file = file;
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    file.take(end - start).read_to_end(&mut line)?;
    // An object that is cut anywhere is none.
    Ok(serde_json::from_slice::<IgnoredAny>(&line).is_ok())
}

/// The position behind the last newline.
pub(crate) fn end_of_last(file: &File, length: u64) -> io::Result<u64> {
    let mut block = vec![0; SEARCH_BYTES];
    let mut end = length;
    while 0 < end {
        let start = end.saturating_sub(SEARCH_BYTES as u64);
        let block = &mut block[..usize::try_from(end - start).unwrap_or(SEARCH_BYTES)];
        file.read_exact_at(block, start)?;
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
    use std::fs::{self, OpenOptions};

    #[track_caller]
    fn check(before: &str, after: &str, expected: Repair) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        fs::write(&path, before).unwrap();
        let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
        assert_eq!(repair(&mut file).unwrap(), expected);
        assert_eq!(repair(&mut file).unwrap(), Repair::Nothing);
        file.write_all(b"{}\n").unwrap();
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
    fn a_whole_line_that_lacks_its_newline_stays() {
        check("{\"a\":1}\n{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n", Repair::Completed);
        // Records with half a surrogate pair, and deep ones, are whole too.
        let odd = format!("{{\"a\":\"\\ud83d\",\"b\":{}{}}}", "[".repeat(400), "]".repeat(400));
        check(&odd, &format!("{odd}\n"), Repair::Completed);
        check("{}{}", "", Repair::Cut(4));
    }
}
