//! One collector per state file and tenant: two would each skip what the other has taken.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::files::open_private;

/// An exclusive lock beside the state file. The system releases it when the process dies, however
/// it dies; the file stays, since removing it would race with the next owner.
#[derive(Debug)]
pub(crate) struct TenantLock {
    _file: File,
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
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::InUse { path: db.into(), tenant: tenant.into(), lock: path })
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
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
