//! The spool rotates its file by itself. Like everybody else who does it, by a new name: what was
//! written stays as it is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use m365_audit_client::sync_directory;
use m365_audit_core::Level;

use super::Spool;
use crate::output::rotate;
use crate::output::stamp::place_of;

/// How long a file is left alone after a rotation that failed.
const ROTATION_PAUSE: Duration = Duration::from_secs(60);

impl Spool {
    /// Rotates the file if it is too old, or too full for so many bytes more. Answers how long the
    /// file at the path is then; `None` if nothing is rotated, for the moment or at all.
    pub(super) fn rotate_if_due(&mut self, more: usize) -> io::Result<Option<u64>> {
        let rotation = self.settings.rotation;
        let rests = self.rotate_again.is_some_and(|again| Instant::now() < again);
        if !rotation.is_set() || rests {
            return Ok(None);
        }
        // From here on there is no half line at its end.
        self.find()?;
        let length = self.open.file.metadata()?.len();
        let full = rotation.bytes.is_some_and(|bytes| bytes < length.saturating_add(more as u64));
        let old = rotation.after.is_some_and(|after| after <= self.open.age());
        if length == 0 || !(full || old) {
            return Ok(Some(length));
        }
        self.open.file.sync_all()?;
        self.meddled();
        match rotate::rename_away(&self.path, SystemTime::now()) {
            Ok(target) => {
                self.rotate_again = None;
                self.rotated(target, length)?;
                Ok(Some(self.open.file.metadata()?.len()))
            }
            // Somebody was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.find()?;
                Ok(Some(self.open.file.metadata()?.len()))
            }
            // The file goes on growing, and nothing is lost by that.
            Err(error) => {
                self.rotate_again = Some(Instant::now() + ROTATION_PAUSE);
                let name = &self.name;
                let message = format!(
                    "{name} cannot be rotated, and grows on: {error}; trying again in a minute"
                );
                self.note(Level::Warn, message);
                Ok(None)
            }
        }
    }

    /// The file at the path has got the name `target`.
    fn rotated(&mut self, target: PathBuf, length: u64) -> io::Result<()> {
        self.meddled();
        sync_directory(&target)?;
        sync_directory(&self.path)?;
        self.meddled();
        let ours = fs::metadata(&target).is_ok_and(|found| place_of(&found) == self.open.place);
        // What others have done to it until it got its name; from now on it is not touched.
        self.check(ours)?;
        self.open_again(ours.then_some((target.as_path(), length)))?;
        self.young.enter(target, Instant::now());
        // What is too much can wait, whatever is wrong with it.
        if let Err(error) = self.prune() {
            self.note(Level::Warn, format!("older files of {} stay: {error}", self.name));
        }
        Ok(())
    }

    /// Deletes the rotated files that are too many.
    fn prune(&mut self) -> io::Result<()> {
        let keep = self.settings.rotation.keep;
        if keep == 0 {
            return Ok(());
        }
        let (files, now) = (rotate::rotated(&self.path)?, Instant::now());
        let young = |path: &Path| self.young.has(path, now);
        for file in rotate::doomed(files, keep, SystemTime::now(), young) {
            let (name, bytes) = (file.path.display(), file.bytes);
            let (level, message) = match fs::remove_file(&file.path) {
                Ok(()) => (
                    Level::Info,
                    format!("{name} was deleted, {bytes} bytes: output_keep is {keep}"),
                ),
                Err(error) => (Level::Warn, format!("{name} cannot be deleted: {error}")),
            };
            self.note(level, message);
        }
        Ok(())
    }
}
