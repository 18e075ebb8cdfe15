//! A file of lines that others rotate, cut, replace and restore meanwhile. What was written counts
//! when, after it was synced, the path still names the file that holds it; else it is written
//! again. What counted and is not there any more is missed, and said.

mod turnover;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use m365_audit_client::{open_private, sync_directory};
use m365_audit_core::Level;

use crate::output::last_line::{self, Repair};
use crate::output::rotate::{Young, first_line};
use crate::output::stamp::{self, FileId, Mark, Stamp, Standing, place_of};
use crate::output_settings::OutputSettings;

/// How often lines are written again because the file was replaced under them. Somebody who
/// replaces it faster is told so.
const ATTEMPTS_MAX: usize = 10;

/// The file at a path.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    name: String,
    open: Open,
    /// Bytes that were found missing, in all.
    missing: u64,
    /// What is to be told. Bounded: it is taken after every call.
    notes: Vec<(Level, String)>,
    /// Whether it has been told that it is another file than a state speaks of.
    other_told: bool,
    settings: OutputSettings,
    /// What was rotated lately.
    young: Young,
    /// After a rotation that failed: when it is tried again.
    rotate_again: Option<Instant>,
    #[cfg(test)]
    pub(super) meddle: Meddler,
}

/// Who may change files between any two operations.
#[cfg(test)]
pub(super) type Meddler = super::tests::Meddler;

/// The file that is open.
#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    place: (u64, u64),
    id: FileId,
    /// The end of what counts, or was there before. Always the end of a line.
    safe: u64,
    /// What stands before that end.
    end: Mark,
    head: Mark,
    /// The least that it had since it was opened.
    lowest: u64,
    /// Whether it may end within a line: at first, and after a failed write.
    within_line: bool,
    /// What the system calls a file at the path. Not this one: it may have been renamed already.
    called: Option<PathBuf>,
    /// When it was opened, and when it was created, where the file system knows.
    since: (Instant, Option<SystemTime>),
}

impl Open {
    /// Opens a file and locks it. Changes nothing in it. `None` if `now` is the same file.
    fn at(
        path: &Path,
        mode: u32,
        now: Option<(u64, u64)>,
        meddle: impl Fn(),
    ) -> io::Result<Option<Self>> {
        let is_new = fs::symlink_metadata(path).is_err();
        let file = open_private(path, OpenOptions::new().read(true).append(true).create(true))?;
        if is_new {
            // Not left to the umask: who names a mode wants that one.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        meddle();
        // Nobody else sees its name for certain before.
        sync_directory(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a file any more"));
        }
        let place = place_of(&metadata);
        if now == Some(place) {
            return Ok(None);
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let problem = "another m365-audit is writing to it";
                return Err(io::Error::new(ErrorKind::ResourceBusy, problem));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let safe = last_line::end_of_last(&file, metadata.len())?;
        Ok(Some(Self {
            place,
            id: FileId::of(&metadata),
            safe,
            end: Mark::end(&file, safe)?,
            head: Mark::head(&file, safe)?,
            lowest: metadata.len(),
            within_line: true,
            called: fs::canonicalize(path).ok(),
            since: (Instant::now(), metadata.created().ok()),
            file,
        }))
    }

    /// Whether it was removed, and not renamed before: then there is no other name under which its
    /// bytes may be, or may have been compressed.
    fn is_removed(&self) -> io::Result<bool> {
        if self.file.metadata()?.nlink() > 0 {
            return Ok(false);
        }
        let mut removed = match &self.called {
            Some(called) => called.clone().into_os_string(),
            None => return Ok(false),
        };
        removed.push(" (deleted)");
        Ok(called(&self.file).is_some_and(|now| now.as_os_str() == removed))
    }

    /// How old it is: by the clock on the wall, or for how long it has been open. The longer time
    /// counts, so that a clock that was set back does not hold a rotation up.
    fn age(&self) -> Duration {
        let (opened, created) = self.since;
        let by_wall = created.and_then(|created| created.elapsed().ok()).unwrap_or_default();
        by_wall.max(opened.elapsed())
    }

    /// From here on `safe` is the end.
    fn rebase(&mut self, safe: u64) -> io::Result<()> {
        self.safe = safe;
        self.lowest = self.lowest.min(safe);
        self.head = Mark::head(&self.file, safe)?;
        self.end = Mark::end(&self.file, safe)?;
        Ok(())
    }

    /// Remembers what was added behind `safe`.
    fn advance(&mut self, safe: u64) -> io::Result<()> {
        self.safe = safe;
        if !self.head.is_full_head() {
            self.head = Mark::head(&self.file, safe)?;
        }
        self.end = Mark::end(&self.file, safe)?;
        Ok(())
    }
}

/// What the system calls an open file: its name of now, or the last one that it had.
fn called(file: &File) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

impl Spool {
    /// What went wrong, with the name of the file.
    pub(super) fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.name))
    }

    /// Opens or creates the file, and locks it. Changes nothing in one that exists.
    pub(super) fn open(path: &Path, settings: OutputSettings) -> io::Result<Self> {
        let open = Open::at(path, settings.mode, None, || ())?.ok_or(ErrorKind::Other)?;
        Ok(Self {
            path: path.into(),
            name: stamp::name_of(path),
            open,
            missing: 0,
            notes: Vec::new(),
            other_told: false,
            settings,
            young: Young::default(),
            rotate_again: None,
            #[cfg(test)]
            meddle: Meddler::default(),
        })
    }

    /// Where it is opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Room that its file system has left, as far as that is known.
    pub(super) fn room(&self) -> Option<u64> {
        let found = rustix::fs::fstatvfs(&self.open.file).ok()?;
        found.f_bavail.checked_mul(found.f_frsize)
    }

    /// Its path, as it is shown.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that counted as delivered and were found missing while it was open, in all.
    pub(super) const fn missing(&self) -> u64 {
        self.missing
    }

    pub(super) fn take_notes(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.notes)
    }

    /// What a state may remember of it now.
    pub(super) fn stamp(&self) -> Stamp {
        let Open { id, safe, end, head, .. } = self.open;
        Stamp { path: self.name.clone(), id, length: safe, head, end }
    }

    /// Compares the file with what a state remembers. Answers how many bytes are missing.
    pub(super) fn compare(&mut self, stamp: &Stamp) -> io::Result<Option<u64>> {
        // What is left of half a line is nothing that was delivered.
        self.find()?;
        let missing = match stamp::compare(&self.open.file, stamp)? {
            Standing::Whole => 0,
            Standing::Short(missing) => self.unless_copied(stamp, missing),
            // Perhaps it was short when it was opened, and has grown since, by what others wrote.
            Standing::Changed if self.open.lowest < stamp.length => {
                let kept = stamp.head.left(&self.open.file, self.open.lowest)?;
                self.unless_copied(stamp, stamp.length - kept)
            }
            Standing::Changed => {
                self.note_changed(stamp.length);
                stamp.length
            }
            Standing::Other => {
                self.note_other(stamp);
                0
            }
        };
        Ok((missing > 0).then_some(missing))
    }

    /// Writes lines until they are safe in the file at the path, or in one that was at the path
    /// until it was rotated.
    pub(super) fn deliver(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut left = lines;
        while !left.is_empty() {
            let length = self.rotate_if_due(first_line(left).len())?;
            let part =
                length.map_or(left.len(), |length| self.settings.rotation.part(length, left));
            let (now, later) = left.split_at(part);
            self.deliver_part(now)?;
            left = later;
        }
        Ok(())
    }

    fn deliver_part(&mut self, lines: &[u8]) -> io::Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            self.find()?;
            if self.try_deliver(lines)? {
                return Ok(());
            }
        }
        Err(io::Error::other("the file is replaced or written over as fast as it is written to"))
    }

    /// Now and then, while nothing is written.
    pub(super) fn look(&mut self) -> io::Result<()> {
        if self.rotate_if_due(0)?.is_some() { Ok(()) } else { self.find() }
    }

    /// Sees to it that the open file is the one at the path, that what counts is in it, and that it
    /// ends with a whole line.
    pub(super) fn find(&mut self) -> io::Result<()> {
        let at_path = self.is_at_path()?;
        self.check(at_path)?;
        if !at_path {
            self.open_again(None)?;
            self.meddled();
            self.check(true)?;
        }
        self.open.within_line = false;
        Ok(())
    }

    /// Whether what counts is in the open file; what is not is missed. Mends its end if it may.
    fn check(&mut self, mend: bool) -> io::Result<()> {
        let open = &self.open;
        let length = open.file.metadata()?.len();
        let short = length < open.safe;
        let changed = !short && !open.end.ends_at(&open.file, open.safe)?;
        if short {
            let kept = last_line::kept(&open.file, length)?;
            let kept = open.head.left(&open.file, kept)?;
            self.miss_cut(self.open.safe.saturating_sub(kept));
        } else if changed {
            self.note_changed(open.safe);
            self.miss(self.open.safe);
        }
        if mend && (short || changed || self.open.within_line || self.open.safe < length) {
            self.repair()?;
        }
        if short || changed {
            let length = self.open.file.metadata()?.len();
            self.open.rebase(last_line::end_of_last(&self.open.file, length)?)?;
        }
        Ok(())
    }

    /// Opens the file by its name, whatever is open now.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.open_again(None)?;
        self.find()
    }

    /// Writes lines and syncs them. Answers whether they are in the file at the path, behind all
    /// that counts, and whole.
    fn try_deliver(&mut self, lines: &[u8]) -> io::Result<bool> {
        self.meddled();
        self.open.within_line = true;
        self.open.file.write_all(lines)?;
        // Appending moves the position to the end of what was appended.
        let end = self.open.file.stream_position()?;
        self.meddled();
        self.open.file.sync_data()?;
        self.meddled();
        let Some(start) = end.checked_sub(lines.len() as u64) else { return Ok(false) };
        if start < self.open.safe && !self.miss_before(start)? {
            return Ok(false);
        }
        // In this order: if the path names the file after it was synced, then whoever renames it
        // later and reads it to its end, as logrotate does to compress it, reads these lines.
        if !self.is_at_path()? {
            return Ok(false);
        }
        self.meddled();
        let open = &self.open;
        if !stamp::holds(&open.file, start, end, lines)?
            || !open.end.ends_at(&open.file, open.safe)?
        {
            return Ok(false);
        }
        self.open.within_line = false;
        self.open.advance(end)?;
        Ok(true)
    }

    /// The file was cut before lines were written to it, and these stand at `start`, where others
    /// did. Answers whether they begin a line there.
    fn miss_before(&mut self, start: u64) -> io::Result<bool> {
        let open = &mut self.open;
        if open.file.metadata()?.len() < start {
            // Cut once more.
            return Ok(false);
        }
        let whole = last_line::end_of_last(&open.file, start)?;
        let missing = open.safe - open.head.left(&open.file, whole)?;
        self.miss_cut(missing);
        self.open.rebase(whole)?;
        Ok(whole == start)
    }

    fn is_at_path(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(place_of(&found) == self.open.place),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens the file at the path. `rotated`: the name and length that we gave the one before.
    fn open_again(&mut self, rotated: Option<(&Path, u64)>) -> io::Result<()> {
        let (now, mode) = (Some(self.open.place), self.settings.mode);
        let open = Open::at(&self.path, mode, now, || self.meddled())?;
        let Some(open) = open else { return Ok(()) };
        let before = self.stamp();
        let old = std::mem::replace(&mut self.open, open);
        // Of a copy that somebody has put into its place the same holds as of the file itself.
        match stamp::compare(&self.open.file, &before)? {
            Standing::Whole => self.note(Level::Info, format!("{} was replaced", self.name)),
            Standing::Short(_) => {
                // Without half a line at its end.
                let kept = before.head.left(&self.open.file, self.open.safe)?;
                self.miss(before.length.saturating_sub(kept));
            }
            Standing::Changed => {
                self.note_changed(before.length);
                self.miss(before.length);
            }
            // With nothing in it, nothing went with it.
            Standing::Other if 0 < before.length && old.is_removed()? => {
                self.note(Level::Error, format!("{} was removed, and is opened anew", self.name));
                self.miss(before.length);
            }
            Standing::Other => {
                let Self { name, .. } = self;
                let message = match rotated {
                    Some((target, length)) => {
                        format!("{name} was rotated: {length} bytes are in {}", target.display())
                    }
                    None => format!(
                        "{name} was renamed, and is opened anew; the {} bytes before are in the \
                         file that it was",
                        before.length
                    ),
                };
                self.note(Level::Info, message);
            }
        }
        Ok(())
    }

    fn repair(&mut self) -> io::Result<()> {
        let repair = last_line::repair(&mut self.open.file)?;
        self.open.lowest = self.open.lowest.min(self.open.file.metadata()?.len());
        if let Repair::Completed | Repair::Ended = repair {
            self.open.file.sync_data()?;
        }
        self.notes.extend(repair.words().map(|words| (Level::Warn, words)));
        Ok(())
    }

    /// The file was cut, and so many bytes are not in it any more.
    fn miss_cut(&mut self, bytes: u64) {
        let stamp = self.stamp();
        let missing = self.unless_copied(&stamp, bytes);
        self.miss(missing);
    }

    /// How many bytes of a file that was cut are missing: none if whoever has cut it has copied it
    /// before.
    fn unless_copied(&mut self, stamp: &Stamp, missing: u64) -> u64 {
        let Some(copy) = stamp::copy_of(&self.path, stamp) else { return missing };
        let (name, length, copy) = (&self.name, stamp.length, copy.display());
        let message = format!("{name} was cut: the {length} bytes before are in {copy}");
        self.note(Level::Info, message);
        0
    }

    const fn miss(&mut self, bytes: u64) {
        self.missing = self.missing.saturating_add(bytes);
    }

    fn note(&mut self, level: Level, message: String) {
        self.notes.push((level, message));
    }

    fn note_changed(&mut self, length: u64) {
        self.note(
            Level::Error,
            format!(
                "{}: what counts as delivered, the first {length} bytes, is not as it was written: \
                 somebody has changed the file; all of these bytes are taken for missing",
                self.name
            ),
        );
    }

    fn note_other(&mut self, stamp: &Stamp) {
        if !std::mem::replace(&mut self.other_told, true) {
            let Stamp { path, length, .. } = stamp;
            let (level, message) = if *path != self.name {
                (Level::Info, format!("until now records went to {path}: {length} bytes are there"))
            } else if let Some((moved, standing)) = stamp::moved(&self.path, stamp) {
                stamp::words_of_moved(path, *length, &moved, standing)
            } else {
                let message = format!(
                    "{path} is another file than at the last stop, rotated perhaps; the {length} \
                     bytes that were delivered before should be in the one that it was"
                );
                (Level::Warn, message)
            };
            self.note(level, message);
        }
    }

    /// Somebody else has a turn, in tests.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests meddle"))]
    fn meddled(&self) {
        #[cfg(test)]
        self.meddle.turn();
    }
}
