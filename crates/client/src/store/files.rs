//! The state files that this process has open: each of them once, for all tenants that are in it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::group::Writer;
use super::options::DbOptions;
use super::places::{Place, file_at};
use super::sqlite::SqliteFile;

/// How long it holds that a file is locked by somebody else. That takes seconds to find out, and as
/// long for each tenant if each did so.
const BUSY_HOLDS: Duration = Duration::from_secs(1);

static FILES: Mutex<Option<Files>> = Mutex::new(None);

/// By options, with the one true path.
#[derive(Default)]
struct Files {
    /// Those that nobody uses any more are forgotten when another is opened.
    open: HashMap<DbOptions, Weak<SharedFile>>,
    busy: HashMap<DbOptions, (Instant, StoreError)>,
}

/// An open file. Closed when the last of its tenants has gone.
#[derive(Debug)]
pub(super) struct SharedFile {
    pub(super) writer: Writer,
    /// Which file it was when it was opened.
    place: Option<Place>,
}

/// The file at `path`, the one true path: as it is open already, or newly opened.
pub(super) fn shared(path: &Path, options: &DbOptions) -> Result<Arc<SharedFile>, StoreError> {
    // Held while a file is opened, so that it is opened once.
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let Files { open, busy } = files.get_or_insert_default();
    open.retain(|_, file| 0 < file.strong_count());
    busy.retain(|_, (since, _)| since.elapsed() < BUSY_HOLDS);
    let key = DbOptions { path: path.into(), ..options.clone() };
    let place = file_at(path);
    let known = open.get(&key).and_then(Weak::upgrade);
    if let Some(known) = known.filter(|known| known.place == place && known.writer.is_alive()) {
        return Ok(known);
    }
    if let Some((_, error)) = busy.get(&key) {
        return Err(error.clone());
    }
    let file = match SqliteFile::open(path, options) {
        Ok(file) => file,
        Err(error) => {
            if matches!(error, StoreError::Busy { .. }) {
                busy.insert(key, (Instant::now(), error.clone()));
            }
            return Err(error);
        }
    };
    let writer = Writer::start(Box::new(file)).map_err(|error| StoreError::Access {
        path: path.into(),
        problem: format!("no thread to write it: {error}"),
    })?;
    let file = Arc::new(SharedFile { writer, place });
    open.insert(key, Arc::downgrade(&file));
    Ok(file)
}
