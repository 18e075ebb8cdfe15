//! When the collector rotates its file itself, under which names, and which rotated files it
//! deletes. Of a file it knows the name alone: what is in it is the spool's business.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use m365_audit_core::Utc;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::output_settings::Rotation;

/// Nothing that was rotated within this time is deleted: whoever reads the files has not seen it
/// yet, perhaps.
const AGE_MIN: Duration = Duration::from_secs(3_600);

/// Files that may be rotated within one second.
const NAMES_MAX: u32 = 10_000;

/// `20261130T030000Z`
const STAMP_LENGTH: usize = 16;

impl Rotation {
    /// As many whole lines from the beginning of `lines` as fit behind `length` bytes, at least
    /// one.
    pub(super) fn part(self, length: u64, lines: &[u8]) -> usize {
        let Some(bytes) = self.bytes else { return lines.len() };
        let room = usize::try_from(bytes.saturating_sub(length)).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines.len();
        }
        match lines[..room].iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None => first_line(lines).len(),
        }
    }
}

/// The first line, its line feed included.
pub(super) fn first_line(lines: &[u8]) -> &[u8] {
    &lines[..lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1)]
}

/// Gives the file at `path` a name with the time, which no other file has. Answers the name.
pub(super) fn rename_away(path: &Path, now: SystemTime) -> io::Result<PathBuf> {
    // Where the path is a link, the file is renamed and the link stays.
    let path = fs::canonicalize(path)?;
    let stamp = stamp(now);
    for number in 0..NAMES_MAX {
        let target = named(&path, &stamp, number);
        match rename_to_free(&path, &target) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result.map(|()| target),
        }
    }
    Err(io::Error::other(format!("{NAMES_MAX} files were rotated within a second")))
}

/// Renames, and never over another file.
fn rename_to_free(path: &Path, target: &Path) -> io::Result<()> {
    match renameat_with(CWD, path, CWD, target, RenameFlags::NOREPLACE) {
        // A file system that does not know it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            if fs::symlink_metadata(target).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(path, target)
        }
        result => result.map_err(Into::into),
    }
}

/// `audit-20261130T030000Z.ndjson`, `audit-20261130T030000Z-1.ndjson`
fn named(path: &Path, stamp: &str, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{stamp}"));
    if 0 < number {
        name.push(format!("-{number}"));
    }
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// The time as it stands in names, UTC.
fn stamp(now: SystemTime) -> String {
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let time = Utc::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)).to_string();
    // 2026-11-30T03:00:00.000Z
    let second = time.split('.').next().unwrap_or_default();
    format!("{}Z", second.replace(['-', ':'], ""))
}

/// A file that was rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotated {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// When, as its name says it, and the number behind that.
    at: (SystemTime, u32),
    modified: SystemTime,
}

/// The files that were rotated away from `path`, by their names, the oldest first.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<Rotated>> {
    let path = fs::canonicalize(path)?;
    let mut found = Vec::new();
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    for entry in fs::read_dir(directory.unwrap_or_else(|| Path::new(".")))? {
        let entry = entry?;
        let Some(at) = rotated_at(&path, &entry.file_name()) else { continue };
        // Not of what a link leads to.
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            let modified = metadata.modified()?;
            found.push(Rotated { path: entry.path(), bytes: metadata.len(), at, modified });
        }
    }
    found.sort_by_key(|rotated| rotated.at);
    Ok(found)
}

/// When the file called `name` was rotated away from `path`, if it was.
fn rotated_at(path: &Path, name: &OsStr) -> Option<(SystemTime, u32)> {
    let stem = path.file_stem()?.to_str()?;
    let rest = name.to_str()?.strip_prefix(stem)?.strip_prefix('-')?;
    let rest = match path.extension() {
        Some(extension) => rest.strip_suffix(extension.to_str()?)?.strip_suffix('.')?,
        None => rest,
    };
    let (stamp, number) = rest.split_at_checked(STAMP_LENGTH)?;
    let number = match number.strip_prefix('-') {
        Some(digits) if !digits.starts_with(['0', '+']) => digits.parse().ok()?,
        None if number.is_empty() => 0,
        Some(_) | None => return None,
    };
    // 20261130T030000Z
    let part = |start: usize, end: usize| stamp.get(start..end);
    let (date, time) =
        ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(9, 11)?, part(11, 13)?, part(13, 15)?));
    let text = format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, time.0, time.1, time.2);
    let millis = u64::try_from(Utc::parse(&text)?.as_millis()).ok()?;
    let at = UNIX_EPOCH + Duration::from_millis(millis);
    (stamp == self::stamp(at)).then_some((at, number))
}

/// Of these files, which there are too many of and may go. `young` says of which it is known that
/// they were rotated within the hour, whatever the clock on the wall says.
pub(super) fn doomed(
    files: Vec<Rotated>,
    keep: usize,
    now: SystemTime,
    young: impl Fn(&Path) -> bool,
) -> Vec<Rotated> {
    if keep == 0 {
        return Vec::new();
    }
    let surplus = files.len().saturating_sub(keep);
    let is_old = |file: &Rotated| {
        let newest = file.at.0.max(file.modified);
        now.duration_since(newest).is_ok_and(|age| AGE_MIN <= age)
    };
    files.into_iter().take(surplus).filter(|file| is_old(file) && !young(&file.path)).collect()
}

/// The files that this process has rotated within the hour, by a clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Young(Vec<(PathBuf, Instant)>);

impl Young {
    pub(super) fn enter(&mut self, path: PathBuf, now: Instant) {
        self.0.retain(|(_, at)| now.duration_since(*at) < AGE_MIN);
        self.0.push((path, now));
    }

    pub(super) fn has(&self, path: &Path, now: Instant) -> bool {
        self.0.iter().any(|(known, at)| known == path && now.duration_since(*at) < AGE_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn names_hold_the_time_and_are_never_taken_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("audit.ndjson");
        let mut names = Vec::new();
        for content in ["one", "two", "three"] {
            fs::write(&path, content).unwrap();
            let target = rename_away(&path, at(1_796_007_600)).unwrap();
            names.push(target.file_name().unwrap().to_str().unwrap().to_owned());
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
        }
        let expected = ["", "-1", "-2"].map(|end| format!("audit-20261130T030000Z{end}.ndjson"));
        assert_eq!(names, expected);
        fs::write(&path, "").unwrap();
        let found: Vec<_> = rotated(&path).unwrap().into_iter().map(|file| file.at).collect();
        assert_eq!(found, [0, 1, 2].map(|number| (at(1_796_007_600), number)));
    }

    #[test]
    fn a_link_stays_and_the_file_that_it_leads_to_is_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("data");
        fs::create_dir(&real).unwrap();
        let link = dir.path().join("audit.ndjson");
        fs::write(real.join("a.ndjson"), "x").unwrap();
        std::os::unix::fs::symlink(real.join("a.ndjson"), &link).unwrap();
        let target = rename_away(&link, at(0)).unwrap();
        assert_eq!(target, real.join("a-19700101T000000Z.ndjson"));
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    }

    #[test]
    fn only_names_that_were_given_here_are_taken_for_rotated() {
        let check = |path: &str, name: &str, expected: bool| {
            let found = rotated_at(Path::new(path), OsStr::new(name));
            assert_eq!(found.is_some(), expected, "{path} {name}");
        };
        check("a/audit.ndjson", "audit-20261130T030000Z.ndjson", true);
        check("a/audit.ndjson", "audit-20261130T030000Z-12.ndjson", true);
        check("audit", "audit-20261130T030000Z", true);
        for name in [
            "audit.ndjson",
            "audit-20261130T030000Z.ndjson.gz",
            "audit-20261130T030000Z-.ndjson",
            "audit-20261130T030000Z-01.ndjson",
            "audit-20261130T030000Z-x.ndjson",
            "audit-20261130T030000.ndjson",
            "audit-20261330T030000Z.ndjson",
            "audit-2026113XT030000Z.ndjson",
            "audit.oversized-20261130T030000Z.ndjson",
            "myaudit-20261130T030000Z.ndjson",
            "audit-20261130T030000Z",
            "audit-2026\u{e4}130T03000Z.ndjson",
        ] {
            check("a/audit.ndjson", name, false);
        }
    }

    #[test]
    fn the_oldest_go_and_nothing_of_the_last_hour() {
        let now = at(1_000_000);
        let file = |name: &str, rotated: u64, modified: u64| Rotated {
            path: name.into(),
            bytes: 1,
            at: (at(rotated), 0),
            modified: at(modified),
        };
        let files = || {
            vec![
                file("old", 900_000, 900_000),
                file("touched", 910_000, 999_000),
                file("young", 996_401, 900_000),
                // The clock was wrong then.
                file("future", 2_000_000, 900_000),
                file("last", 2_000_001, 900_000),
            ]
        };
        let names = |keep, now| -> Vec<PathBuf> {
            doomed(files(), keep, now, |_| false).into_iter().map(|file| file.path).collect()
        };
        assert_eq!(names(0, now), [] as [PathBuf; 0]);
        assert_eq!(names(5, now), [] as [PathBuf; 0]);
        assert_eq!(names(1, now), [Path::new("old")]);
        assert_eq!(names(3, at(1_003_000)), [Path::new("old"), Path::new("touched")]);
        // A clock that leaps does not make old what was rotated a moment ago.
        assert_eq!(doomed(files(), 1, at(9_000_000), |path| path != Path::new("old")).len(), 1);
        let (mut young, start) = (Young::default(), Instant::now());
        young.enter("young".into(), start);
        assert!(young.has(Path::new("young"), start + AGE_MIN / 2));
        assert!(!young.has(Path::new("young"), start + AGE_MIN));
        assert!(!young.has(Path::new("old"), start));
    }

    #[test]
    fn lines_are_parted_where_a_file_is_full() {
        let rotation = Rotation { bytes: Some(10), ..Rotation::default() };
        let lines = b"{}\n{1}\n{22}\n";
        assert_eq!(rotation.part(0, lines), 7);
        assert_eq!(rotation.part(7, lines), 3);
        // At least one.
        assert_eq!(rotation.part(8, lines), 3);
        assert_eq!(rotation.part(99, lines), 3);
        assert_eq!(Rotation::default().part(99, lines), lines.len());
        assert_eq!(rotation.part(0, b"{\"long\":\"line\"}\n{}\n"), 16);
    }

    #[test]
    fn a_link_called_like_a_rotated_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        File::create(&path).unwrap();
        std::os::unix::fs::symlink(&path, dir.path().join("audit-20261130T030000Z.ndjson"))
            .unwrap();
        assert_eq!(rotated(&path).unwrap(), []);
    }
}
