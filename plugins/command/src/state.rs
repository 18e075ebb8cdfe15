//! The state in a folder: one file, replaced in one step, and a mark that somebody is at work. Does
//! not look into what it keeps.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "state.json";
const NEW: &str = "state.json.new";

/// Is there while a command runs, and after one that was killed.
const MARK: &str = "running";

/// What is stored, and where.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    entries: BTreeMap<String, String>,
    was_interrupted: bool,
}

impl State {
    /// Reads what is stored; nothing, the first time.
    ///
    /// # Errors
    /// The folder is not there or not to be written, or the file is damaged.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let file = folder.join(FILE);
        let told = |error: io::Error| io::Error::new(error.kind(), shown(&file, &error));
        let entries = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let remedy = "restore it, or move it away to collect from lookback again";
                told(io::Error::other(format!("damaged ({error}); remedy: {remedy}")))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(told(error)),
        };
        let mark = folder.join(MARK);
        let was_interrupted = mark.exists();
        File::create(&mark).map_err(|error| {
            let remedy = "lend the folder to the command, as by --dir, or name it by --state";
            let text = format!("{}; remedy: {remedy}", shown(&mark, &error));
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self { folder: folder.to_owned(), entries, was_interrupted })
    }

    /// Whether the run before did not come to its end.
    pub(crate) const fn was_interrupted(&self) -> bool {
        self.was_interrupted
    }

    pub(crate) const fn entries(&self) -> &BTreeMap<String, String> {
        &self.entries
    }

    /// Stores changes, all or none of them.
    ///
    /// # Errors
    /// They cannot be written; what was stored before is still there.
    pub(crate) fn store<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> io::Result<()> {
        let mut changed = false;
        for (key, value) in changes {
            changed = true;
            match value {
                Some(value) => self.entries.insert(key.to_owned(), value.to_owned()),
                None => self.entries.remove(key),
            };
        }
        if !changed {
            return Ok(());
        }
        let (new, file) = (self.folder.join(NEW), self.folder.join(FILE));
        let written = File::create(&new).and_then(|mut made| {
            made.write_all(&serde_json::to_vec(&self.entries)?)?;
            made.sync_all()
        });
        let told = |error: io::Error| io::Error::new(error.kind(), shown(&file, &error));
        written.and_then(|()| fs::rename(&new, &file)).map_err(told)
    }

    /// Comes to the end.
    ///
    /// # Errors
    /// The mark cannot be removed.
    pub(crate) fn close(self) -> io::Result<()> {
        fs::remove_file(self.folder.join(MARK))
    }
}

/// An error of a file, with its name.
fn shown(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_read_again_and_an_interruption_shows() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path()).unwrap();
        assert!(!state.was_interrupted() && state.entries().is_empty());
        state.store([("a", Some("1")), ("b", Some("2"))]).unwrap();
        state.store([("a", None), ("c", Some("3"))]).unwrap();
        drop(state);
        let state = State::open(folder.path()).unwrap();
        assert!(state.was_interrupted(), "it was not closed");
        let expected = [("b", "2"), ("c", "3")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!(*state.entries(), BTreeMap::from(expected));
        state.close().unwrap();
        assert!(!State::open(folder.path()).unwrap().was_interrupted());
    }

    #[test]
    fn a_damaged_state_is_told_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{\"a\":").unwrap();
        let error = State::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("state.json: damaged"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "{\"a\":");
        let error = State::open(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("remedy: lend the folder"), "{error}");
    }
}
