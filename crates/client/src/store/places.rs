//! Which files this process has open by SQLite. Whoever opens and closes one of them by other means
//! lets go of all locks that SQLite holds on it, for POSIX locks are the process's: then another
//! process writes beside this one (<https://sqlite.org/howtocorrupt.html>, section 2.2).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Device and inode.
pub(super) type Place = (u64, u64);

/// How many connections there are to each.
static OPEN: Mutex<Option<HashMap<Place, usize>>> = Mutex::new(None);

/// Says that a file is open, for as long as it lives.
#[derive(Debug)]
pub(super) struct Opened(Option<Place>);

impl Opened {
    /// To be made before the file is opened, and dropped after it is closed.
    pub(super) fn note(path: &Path) -> Self {
        let place = file_at(path);
        if let Some(place) = place {
            *open().get_or_insert_default().entry(place).or_default() += 1;
        }
        Self(place)
    }

    /// Which file it is.
    pub(super) const fn place(&self) -> Option<Place> {
        self.0
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(place) = self.0 else { return };
        let mut open = open();
        let open = open.get_or_insert_default();
        match open.get_mut(&place) {
            Some(count) if 1 < *count => *count -= 1,
            Some(_) | None => drop(open.remove(&place)),
        }
    }
}

/// Whether this process has the file at `path` open.
pub(super) fn is_open(path: &Path) -> bool {
    let open = open();
    file_at(path).is_some_and(|place| open.as_ref().is_some_and(|open| open.contains_key(&place)))
}

/// Which file is at a path. None where there is no such thing.
pub(super) fn file_at(path: &Path) -> Option<Place> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn open() -> MutexGuard<'static, Option<HashMap<Place, usize>>> {
    // Every change of it is whole.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
