//! One collector per state file and tenant: two would each skip what the other has taken.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::StoreError;
use crate::files::open_private;

/// How long a child that this process has begun may hold what the process has let go of: from its
/// fork until it runs its program, it has all that was open.
const FORK_MAX: Duration = Duration::from_millis(500);

/// What this process has let go of, and when.
static RELEASED: Mutex<Vec<(PathBuf, Instant)>> = Mutex::new(Vec::new());

/// An exclusive lock beside the state file. The system releases it when the process dies, however
/// it dies; the file stays, since removing it would race with the next owner.
#[derive(Debug)]
pub(crate) struct TenantLock {
    path: PathBuf,
    _file: File,
}

impl Drop for TenantLock {
    fn drop(&mut self) {
        let mut released = released();
        released.retain(|(_, at)| at.elapsed() < FORK_MAX);
        released.push((std::mem::take(&mut self.path), Instant::now()));
    }
}

fn released() -> MutexGuard<'static, Vec<(PathBuf, Instant)>> {
    // Every change of it is whole.
    RELEASED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a child of this process may hold it still.
fn is_just_released(path: &Path) -> bool {
    released().iter().any(|(known, at)| known == path && at.elapsed() < FORK_MAX)
}

impl TenantLock {
    /// Locks `<db>.<tenant>.lock`.
    pub(crate) fn acquire(db: &Path, tenant: &str) -> Result<Self, StoreError> {
        let path = Self::path(db, tenant);
        let failed = |error: std::io::Error| StoreError::Access {
            path: path.clone(),
            problem: format!("the lock file cannot be used: {error}"),
        };
        let mut options = OpenOptions::new();
        let file = open_private(&path, options.create(true).truncate(false).write(true))
            .map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    released().retain(|(known, _)| *known != path);
                    return Ok(Self { path, _file: file });
                }
                Err(TryLockError::WouldBlock) if is_just_released(&path) => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    let (path, lock) = (db.into(), path);
                    return Err(StoreError::InUse { path, tenant: tenant.into(), lock });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

impl TenantLock {
    /// Whether somebody holds it. Creates nothing.
    pub(crate) fn is_held(db: &Path, tenant: &str) -> bool {
        let held = |file: &File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        OpenOptions::new().write(true).open(Self::path(db, tenant)).is_ok_and(|file| held(&file))
    }

    /// Tenants whose locks lie beside the file, held or not.
    pub(crate) fn tenants(db: &Path) -> Vec<String> {
        let start = db.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}."));
        let directory = db.parent().filter(|parent| *parent != Path::new(""));
        let entries = std::fs::read_dir(directory.unwrap_or_else(|| Path::new(".")));
        let tenant = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let tenant = name.strip_prefix(start.as_deref()?)?.strip_suffix(".lock")?;
            // One with a dot is of another file.
            (!tenant.contains('.')).then(|| tenant.to_owned())
        };
        entries.into_iter().flatten().filter_map(tenant).collect()
    }

    fn path(db: &Path, tenant: &str) -> PathBuf {
        let mut path = db.as_os_str().to_owned();
        path.push(format!(".{tenant}.lock"));
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_between_its_fork_and_its_program_is_no_other_collector() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("state.db");
        let first = TenantLock::acquire(&db, "tenant").unwrap();
        // What a child has: the same open file.
        let of_child = first._file.try_clone().unwrap();
        drop(first);
        let child = thread::spawn(move || {
            thread::yield_now();
            drop(of_child);
        });
        let second = TenantLock::acquire(&db, "tenant").unwrap();
        child.join().unwrap();
        // What somebody has, and has not let go of since, is told at once.
        let refused = TenantLock::acquire(&db, "tenant");
        assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
        drop(second);
    }
}
