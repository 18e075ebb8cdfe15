//! What a state remembers of a file: which one it is, and how much of it counts as delivered. Not
//! what is in it: of a few bytes their hash, to recognise a copy, or a place that was written over.

use std::fmt::Write;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use m365_audit_core::Level;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Where it stands in the state. `m365_audit_client::SINK_KEYS` is how it begins.
pub(crate) const KEY: &str = "sink/output";

/// The same of the file beside it, for lines that are too long.
pub(crate) const OVERSIZED_KEY: &str = "sink/output/oversized";

/// The beginning of a file by which a copy of it is recognised: a record with its time and its id,
/// also where it is wrapped.
const HEAD_BYTES: u64 = 512;

/// The end of what counts as delivered, by which it is seen whether that is still there. Records
/// often end alike, so that it is as much as a few of them.
const END_BYTES: u64 = 4_096;

/// Which file it is, by whatever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    /// When it was created, in nanoseconds since the epoch, where the file system knows: inodes are
    /// given to new files again, and devices get other numbers when the machine starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<u64>,
}

/// Where a file is: its device and inode.
pub(super) fn place_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|since| u64::try_from(since.as_nanos()).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }

    /// Whether it is the same file, perhaps of another day.
    fn is(self, other: Self) -> bool {
        self.inode == other.inode
            && match (self.born, other.born) {
                (Some(one), Some(two)) => one == two,
                (None, _) | (_, None) => self.device == other.device,
            }
    }
}

/// Some bytes of a file, by their hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    bytes: u64,
    hash: u64,
}

impl Mark {
    /// Of at most `HEAD_BYTES` at the beginning, in a file of which `length` bytes count.
    pub(super) fn head(file: &File, length: u64) -> io::Result<Self> {
        Self::of(file, 0, length.min(HEAD_BYTES))
    }

    /// Of at most `END_BYTES` before `end`.
    pub(super) fn end(file: &File, end: u64) -> io::Result<Self> {
        let bytes = end.min(END_BYTES);
        Self::of(file, end - bytes, bytes)
    }

    fn of(file: &File, start: u64, bytes: u64) -> io::Result<Self> {
        let mut read = vec![0; usize::try_from(bytes).unwrap_or_default()];
        file.read_exact_at(&mut read, start)?;
        Ok(Self { bytes, hash: xxh3_64(&read) })
    }

    /// Whether there are as many bytes as ever will be in a mark at the beginning.
    pub(super) const fn is_full_head(self) -> bool {
        self.bytes == HEAD_BYTES
    }

    /// Whether the same bytes stand at the beginning.
    fn begins(self, file: &File) -> io::Result<bool> {
        self.stands_at(file, 0)
    }

    /// Of the first `length` bytes of a file, how many are still what they were when this was the
    /// mark at its beginning: all or none.
    pub(super) fn left(self, file: &File, length: u64) -> io::Result<u64> {
        Ok(if self.bytes <= length && self.begins(file)? { length } else { 0 })
    }

    /// Whether the same bytes stand before `end`.
    pub(super) fn ends_at(self, file: &File, end: u64) -> io::Result<bool> {
        self.stands_at(file, end.saturating_sub(self.bytes))
    }

    fn stands_at(self, file: &File, start: u64) -> io::Result<bool> {
        match Self::of(file, start, self.bytes) {
            Ok(found) => Ok(found == self),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Its path.
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) id: FileId,
    /// How many bytes count as delivered.
    pub(super) length: u64,
    pub(super) head: Mark,
    pub(super) end: Mark,
}

impl Stamp {
    /// As the state wants it: all ASCII.
    pub(super) fn encode(&self) -> String {
        let json = serde_json::to_string(self).expect("numbers and texts always have a JSON form");
        let mut text = String::with_capacity(json.len());
        let mut units = [0; 2];
        for c in json.chars() {
            if c.is_ascii() {
                text.push(c);
            } else {
                for unit in c.encode_utf16(&mut units) {
                    // Writing to a string does not fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
        text
    }
}

pub(super) fn decode(text: &str) -> Option<Stamp> {
    serde_json::from_str(text).ok()
}

/// A path, to be shown and compared.
pub(super) fn name_of(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.into()).to_string_lossy().into_owned()
}

/// How a file stands to what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What counts as delivered is there.
    Whole,
    /// It lacks so many bytes.
    Short(u64),
    /// It is as long, and what counts as delivered is not where it was.
    Changed,
    /// It is another file.
    Other,
}

/// Compares a file with what is remembered.
pub(super) fn compare(file: &File, stamp: &Stamp) -> io::Result<Standing> {
    let metadata = file.metadata()?;
    let id = FileId::of(&metadata);
    let length = metadata.len();
    let begins = stamp.head.begins(file)?;
    let same = if id.born.is_some() && stamp.id.born.is_some() || length < stamp.head.bytes {
        id.is(stamp.id)
    } else {
        // The number of a file that is gone may have been given to this one.
        id.is(stamp.id) && begins
    };
    let copy = 0 < stamp.head.bytes && begins;
    Ok(if !same && !copy {
        Standing::Other
    } else if length < stamp.length {
        Standing::Short(stamp.length - stamp.head.left(file, length)?)
    } else if stamp.end.ends_at(file, stamp.length)? {
        Standing::Whole
    } else {
        Standing::Changed
    })
}

/// Where all that a stamp speaks of is in a copy, in the same directory: `copytruncate` makes one
/// before it cuts the file.
pub(super) fn copy_of(path: &Path, stamp: &Stamp) -> Option<PathBuf> {
    if stamp.head.bytes == 0 {
        return None;
    }
    let path = fs::canonicalize(path).ok()?;
    let entries = fs::read_dir(path.parent()?).ok()?.flatten();
    let copies = entries.filter(|entry| {
        let long = |found: Metadata| found.is_file() && stamp.length <= found.len();
        entry.path() != path && entry.metadata().is_ok_and(long)
    });
    let mut copies = copies.map(|entry| entry.path());
    copies.find(|copy| {
        let holds = |file: &File| -> io::Result<bool> {
            Ok(stamp.head.begins(file)? && stamp.end.ends_at(file, stamp.length)?)
        };
        File::open(copy).and_then(|file| holds(&file)).unwrap_or_default()
    })
}

/// Where the file of a stamp is that is not at `path` any more, and how it stands to what is
/// remembered: under another name in the same directory. `None` if it cannot be found there, for
/// example because it was compressed.
pub(super) fn moved(path: &Path, stamp: &Stamp) -> Option<(PathBuf, Standing)> {
    let path = fs::canonicalize(path).ok()?;
    for entry in fs::read_dir(path.parent()?).ok()?.flatten() {
        let is_it = |metadata: Metadata| metadata.is_file() && FileId::of(&metadata).is(stamp.id);
        if !entry.metadata().is_ok_and(is_it) {
            continue;
        }
        let file = File::open(entry.path()).ok()?;
        match compare(&file, stamp).ok()? {
            // The number of a file that is gone, given to this one.
            Standing::Other => {}
            standing => return Some((entry.path(), standing)),
        }
    }
    None
}

/// What to say of a file that has another name now. What others do to it there is their business,
/// and is told all the same.
pub(super) fn words_of_moved(
    path: &str,
    length: u64,
    moved: &Path,
    standing: Standing,
) -> (Level, String) {
    let moved = moved.display();
    match standing {
        Standing::Whole => {
            (Level::Info, format!("{path} was rotated: the {length} bytes before are in {moved}"))
        }
        Standing::Short(_) | Standing::Changed | Standing::Other => (
            Level::Warn,
            format!(
                "{path} was rotated, and what is {moved} now has been changed since: of the \
                 {length} bytes that were delivered before not all are there"
            ),
        ),
    }
}

/// What a state says of its output and how the file stands to it now: its name, how many bytes
/// count as delivered, and the comparison, as far as it can be made. For commands that only look.
pub(crate) fn look(value: &str) -> Option<(String, u64, io::Result<Standing>)> {
    let stamp = decode(value)?;
    let standing = File::open(&stamp.path).and_then(|file| compare(&file, &stamp));
    Some((stamp.path, stamp.length, standing))
}

/// Whether these lines stand between the two positions, at the start of a line. Looks at their
/// beginning and their end.
pub(super) fn holds(file: &File, start: u64, end: u64, lines: &[u8]) -> io::Result<bool> {
    const LOOK_BYTES: usize = 4_096;
    let look = lines.len().min(LOOK_BYTES);
    let before = usize::from(0 < start);
    let mut first = vec![0; before + look];
    let mut last = vec![0; look];
    let read = file
        .read_exact_at(&mut first, start - before as u64)
        .and_then(|()| file.read_exact_at(&mut last, end - look as u64));
    match read {
        Ok(()) => Ok(first[..before].iter().all(|byte| *byte == b'\n')
            && first[before..] == lines[..look]
            && last == lines[lines.len() - look..]),
        // Cut meanwhile.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_kept_in_ascii() {
        let mark = Mark { bytes: 1, hash: u64::MAX };
        let id = FileId { device: 1, inode: 2, born: None };
        let path = "/var/log/\u{1f4dc} \"ü\"\n".to_owned();
        let stamp = Stamp { path, id, length: 3, head: mark, end: mark };
        let text = stamp.encode();
        assert!(text.is_ascii(), "{text}");
        assert_eq!(decode(&text), Some(stamp));
    }

    #[test]
    fn a_number_that_another_file_has_got_is_no_proof() {
        let id = |device, inode, born| FileId { device, inode, born };
        assert!(id(1, 2, Some(3)).is(id(1, 2, Some(3))));
        // Devices are numbered anew when the machine starts.
        assert!(id(1, 2, Some(3)).is(id(9, 2, Some(3))));
        assert!(!id(1, 2, Some(3)).is(id(1, 2, Some(4))));
        assert!(!id(1, 2, None).is(id(9, 2, None)));
        assert!(id(1, 2, None).is(id(1, 2, Some(3))));
    }
}
