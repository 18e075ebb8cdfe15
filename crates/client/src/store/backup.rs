//! Copies of a state file: made while collectors are at work, and put back when none is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use m365_audit_core::{Stored, summarize};
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::lock::TenantLock;
use super::postgres::{is_server, shown};
use super::sqlite::{BUSY_TIMEOUT, Identity, explain, identify, inspect, require_magic, verify};
use crate::files::{open_private, refuse_link, sync_directory};

/// What SQLite keeps beside a file. A log that is left over would be written into a file that is
/// put into the place of the one that it belongs to.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The tenants, in order.
    pub tenants: Vec<String>,
    /// Its size.
    pub bytes: u64,
}

/// Writes a copy of the state file `db` to `file`: all of it, as of one moment. Collectors may be
/// at work. An earlier copy is replaced when the new one is on the disk.
///
/// # Errors
/// If one of the two cannot be used; `file` is left as it was then.
pub fn backup(db: &Path, file: &Path) -> Result<Copied, StoreError> {
    refuse_server(&[db, file])?;
    refuse_other(file)?;
    if is_same(db, file) {
        return Err(access(db, "cannot be its own backup; remedy: name another file"));
    }
    let copy = Copy::make(db, file)?;
    copy.replace(file)
}

/// Puts the state of `file`, which [`backup`] has written, into the place of `db`. No collector may
/// use `db` meanwhile. Nothing is changed before the copy is whole, verified and on the disk.
///
/// # Errors
/// If one of the two cannot be used, or a collector is at work; `db` is left as it was then.
pub fn restore(file: &Path, db: &Path) -> Result<Copied, StoreError> {
    refuse_server(&[db, file])?;
    refuse_other(db)?;
    if is_same(db, file) {
        return Err(access(db, "is the backup itself; remedy: name another file"));
    }
    let copy = Copy::make(file, db)?;
    // A link stays one, as it does for a collector.
    let place = db.canonicalize().unwrap_or_else(|_| db.into());
    let _locks = lock_all(&place, &copy.tenants)?;
    for companion in COMPANIONS {
        match fs::remove_file(beside(&place, companion)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&place, &error)),
        }
    }
    sync_directory(&place).map_err(|error| failed(&place, &error))?;
    copy.replace(&place)
}

/// A copy that has not got its name yet. Removed unless it gets it.
struct Copy {
    path: PathBuf,
    tenants: Vec<String>,
}

impl Drop for Copy {
    fn drop(&mut self) {
        // It has got its name, or nobody needs it.
        let _ = fs::remove_file(&self.path);
    }
}

impl Copy {
    /// Copies `source` beside `target`.
    fn make(source: &Path, target: &Path) -> Result<Self, StoreError> {
        require_magic(source)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let unreadable = |error: rusqlite::Error| explain(source, &error);
        let connection = Connection::open_with_flags(source, flags).map_err(unreadable)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(unreadable)?;
        if identify(&connection, source)? == Identity::Empty {
            return Err(access(source, "holds no state"));
        }
        verify(&connection, source)?;
        let target = target.canonicalize().unwrap_or_else(|_| target.into());
        let path = beside(&target, &format!(".new-{}", std::process::id()));
        let unwritable = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => {
                StoreError::NoDirectory { directory: path.parent().unwrap_or(&path).into() }
            }
            _ => failed(&path, &error),
        };
        let created = open_private(&path, OpenOptions::new().create_new(true).write(true));
        let created = created.map_err(unwritable)?;
        let mut copy = Self { path: path.clone(), tenants: Vec::new() };
        let name = path.to_str().ok_or_else(|| access(&path, "is no text"))?;
        // Into an empty file, which has its mode already.
        connection.execute("VACUUM INTO ?1", [name]).map_err(|error| explain(&path, &error))?;
        created.sync_all().map_err(unwritable)?;
        copy.tenants = understood(&path)?;
        Ok(copy)
    }

    /// Gives it its name.
    fn replace(self, target: &Path) -> Result<Copied, StoreError> {
        let unwritable = |error: io::Error| failed(target, &error);
        let bytes =
            File::open(&self.path).and_then(|file| file.metadata()).map_err(unwritable)?.len();
        let target = target.canonicalize().unwrap_or_else(|_| target.into());
        fs::rename(&self.path, &target).map_err(unwritable)?;
        sync_directory(&target).map_err(unwritable)?;
        Ok(Copied { tenants: self.tenants.clone(), bytes })
    }
}

/// The tenants of a file, if this version can go on from the state of each.
fn understood(path: &Path) -> Result<Vec<String>, StoreError> {
    let tenants = inspect(path)?;
    let problem = |(tenant, stored): (&String, &Stored)| {
        summarize(stored).err().map(|error| format!("tenant {tenant}: {error}"))
    };
    match tenants.iter().find_map(problem) {
        Some(problem) => Err(StoreError::Damaged { path: path.into(), problem }),
        None => Ok(tenants.into_keys().collect()),
    }
}

/// Keeps every collector away from the file: of the tenants that are to be in it, and of those that
/// ever were.
fn lock_all(db: &Path, tenants: &[String]) -> Result<Vec<TenantLock>, StoreError> {
    let mut all = tenants.to_vec();
    all.extend(TenantLock::tenants(db));
    all.sort_unstable();
    all.dedup();
    all.iter().map(|tenant| TenantLock::acquire(db, tenant)).collect()
}

/// A PostgreSQL has backups of its own.
fn refuse_server(places: &[&Path]) -> Result<(), StoreError> {
    let text = places.iter().find_map(|place| place.to_str().filter(|text| is_server(text)));
    match text.map(shown) {
        Some(shown) => Err(access(
            Path::new(&shown),
            "a PostgreSQL, of which pg_dump makes backups; remedy: use that, or copy the state to \
             a file (`m365-audit state copy`)",
        )),
        None => Ok(()),
    }
}

/// Refuses to write over what is no state file. A damaged one may go.
fn refuse_other(path: &Path) -> Result<(), StoreError> {
    refuse_link(path).map_err(|error| failed(path, &error))?;
    if !path.try_exists().unwrap_or(true) {
        return Ok(());
    }
    require_magic(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(path, flags) else { return Ok(()) };
    match identify(&connection, path) {
        Err(error @ (StoreError::Foreign { .. } | StoreError::Newer { .. })) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_same(one: &Path, two: &Path) -> bool {
    match (one.canonicalize(), two.canonicalize()) {
        (Ok(one), Ok(two)) => one == two,
        (Err(_), _) | (_, Err(_)) => one == two,
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn access(path: &Path, problem: &str) -> StoreError {
    StoreError::Access { path: path.into(), problem: problem.into() }
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    access(path, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::super::options::DbOptions;
    use super::*;
    use m365_audit_core::Commit;

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

    fn open(path: &Path) -> Result<Store, StoreError> {
        let options = DbOptions {
            path: path.into(),
            synchronous: "full".into(),
            journal_mode: "wal".into(),
            exclusive: false,
            server: None,
        };
        Store::open(Some(&options), TENANT)
    }

    fn put(store: &mut Store, value: &str) {
        let changes = [("version", "1"), ("x", value)];
        let change = |(key, value): (&str, &str)| (key.to_owned(), Some(value.to_owned()));
        store.commit(Commit { changes: changes.into_iter().map(change).collect() }).unwrap();
    }

    fn x(path: &Path) -> String {
        inspect(path).unwrap()[TENANT]["x"].clone()
    }

    #[test]
    fn a_copy_is_made_while_a_collector_is_at_work_and_put_back_when_none_is() {
        let dir = tempfile::tempdir().unwrap();
        let (db, file) = (dir.path().join("state.db"), dir.path().join("backup.db"));
        let mut store = open(&db).unwrap();
        put(&mut store, "one");
        let copied = backup(&db, &file).unwrap();
        assert_eq!(copied.tenants, [TENANT]);
        put(&mut store, "two");
        assert_eq!((x(&file).as_str(), x(&db).as_str()), ("one", "two"));
        let refused = restore(&file, &db).unwrap_err();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        assert_eq!(x(&db), "two");
        drop(store);
        restore(&file, &db).unwrap();
        assert_eq!(x(&db), "one");
        // An earlier copy is replaced, and nothing is left behind.
        put(&mut open(&db).unwrap(), "three");
        backup(&db, &file).unwrap();
        assert_eq!(x(&file), "three");
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            // Whoever only reads a db leaves the two empty.
            .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
            .collect();
        left.sort_unstable();
        assert_eq!(left, ["backup.db", "state.db", &format!("state.db.{TENANT}.lock")]);
    }

    #[test]
    fn a_log_that_a_kill_has_left_is_not_written_into_what_is_restored() {
        let dir = tempfile::tempdir().unwrap();
        let (db, file) = (dir.path().join("state.db"), dir.path().join("backup.db"));
        let mut store = open(&db).unwrap();
        put(&mut store, "one");
        backup(&db, &file).unwrap();
        put(&mut store, "two");
        // As a kill leaves them.
        let wal = fs::read(beside(&db, "-wal")).unwrap();
        drop(store);
        fs::write(beside(&db, "-wal"), wal).unwrap();
        restore(&file, &db).unwrap();
        assert_eq!(open(&db).unwrap().load().unwrap()["x"], "one");
    }

    #[test]
    fn nothing_is_put_back_under_a_collector_of_another_tenant() {
        let dir = tempfile::tempdir().unwrap();
        let (db, file) = (dir.path().join("state.db"), dir.path().join("backup.db"));
        put(&mut open(&db).unwrap(), "one");
        backup(&db, &file).unwrap();
        put(&mut open(&db).unwrap(), "two");
        let lock = TenantLock::acquire(&db.canonicalize().unwrap(), "another").unwrap();
        let refused = restore(&file, &db).unwrap_err();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        assert_eq!(x(&db), "two");
        drop(lock);
        restore(&file, &db).unwrap();
        assert_eq!(x(&db), "one");
    }

    #[test]
    fn nothing_is_put_back_beside_a_log_that_cannot_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (db, file) = (dir.path().join("state.db"), dir.path().join("backup.db"));
        put(&mut open(&db).unwrap(), "one");
        backup(&db, &file).unwrap();
        put(&mut open(&db).unwrap(), "two");
        fs::create_dir(beside(&db, "-journal")).unwrap();
        let refused = restore(&file, &db).unwrap_err();
        assert!(matches!(refused, StoreError::Access { .. }), "{refused}");
        fs::remove_dir(beside(&db, "-journal")).unwrap();
        assert_eq!(x(&db), "two");
    }

    #[test]
    fn a_copy_into_a_missing_directory_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("state.db");
        put(&mut open(&db).unwrap(), "one");
        let refused = backup(&db, &dir.path().join("none").join("backup.db")).unwrap_err();
        assert!(matches!(refused, StoreError::NoDirectory { .. }), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (db, file) = (dir.path().join("state.db"), dir.path().join("backup.db"));
        put(&mut open(&db).unwrap(), "one");
        backup(&db, &file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_state_or_damaged_is_neither_taken_nor_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let (db, other) = (dir.path().join("state.db"), dir.path().join("other"));
        let mut store = open(&db).unwrap();
        for n in 0..200 {
            put(&mut store, &n.to_string().repeat(2_000));
        }
        drop(store);
        let whole = fs::read(&db).unwrap();
        fs::write(&other, "notes").unwrap();
        for result in [backup(&db, &other), restore(&other, &db), restore(&db, &other)] {
            assert!(matches!(result, Err(StoreError::NotSqlite { .. })), "{result:?}");
        }
        assert_eq!(fs::read(&other).unwrap(), b"notes");
        fs::remove_file(&other).unwrap();
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE in_tail (x)").unwrap();
        for result in [backup(&db, &other), restore(&other, &db), restore(&db, &other)] {
            assert!(matches!(result, Err(StoreError::Foreign { .. })), "{result:?}");
        }
        for result in [backup(&db, &db), restore(&db, &db)] {
            assert!(matches!(result, Err(StoreError::Access { .. })), "{result:?}");
        }
        let mut damaged = whole.clone();
        let end = damaged.len();
        damaged[end - 4_096..].fill(0xA5);
        fs::write(&other, &damaged).unwrap();
        let result = restore(&other, &db);
        assert!(matches!(result, Err(StoreError::Damaged { .. })), "{result:?}");
        // A state that nobody could go on from is no backup either.
        fs::remove_file(&other).unwrap();
        let mut store = open(&other).unwrap();
        let changes = [("x".to_owned(), Some("1".to_owned()))].into();
        store.commit(Commit { changes }).unwrap();
        drop(store);
        let result = restore(&other, &db);
        assert!(matches!(result, Err(StoreError::Damaged { .. })), "{result:?}");
        assert_eq!(fs::read(&db).unwrap(), whole);
        // What is damaged may be replaced: that is what a backup is for.
        backup(&db, &dir.path().join("good")).unwrap();
        fs::write(&db, &damaged).unwrap();
        restore(&dir.path().join("good"), &db).unwrap();
        open(&db).unwrap();
    }
}
