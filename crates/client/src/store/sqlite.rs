//! The state in a SQLite file: one row a key, one transaction a commit.
//!
//! A file that is not ours, damaged or newer is refused before anything is written to it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use m365_audit_core::{Commit, Stored, is_past};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};

use super::error::{DbState, StoreError};
use super::group::{Backend, Change};
use super::holder::holder;
use super::lock::TenantLock;
use super::options::DbOptions;
use super::places::{Opened, file_at, is_open};
use crate::files::{open_private, refuse_link};

/// `M365` in ASCII: marks a file as ours (SQLite's `application_id`).
const APPLICATION_ID: i64 = 0x4D33_3635;

/// The version of the table below (SQLite's `user_version`).
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE m365_audit_state (
        tenant TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (tenant, key)
    ) WITHOUT ROWID;";

const OF_TENANT: &str = "SELECT key, value FROM m365_audit_state WHERE tenant = ?1";

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How long a commit waits for another process on the same file, a collector of another tenant
/// or a backup.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One connection to a file. Fields are dropped in order.
#[derive(Debug)]
pub(super) struct SqliteFile {
    connection: Connection,
    path: PathBuf,
    /// Whether what is done can be undone. Without a journal it cannot: then nobody's failure may
    /// be in one transaction with what others store.
    undoes: bool,
    /// Which file it was when it was opened.
    opened: Opened,
}

impl SqliteFile {
    /// Opens the file, which is there, at its one true path.
    pub(super) fn open(path: &Path, options: &DbOptions) -> Result<Self, StoreError> {
        let opened = Opened::note(path);
        let connection = connect(path, options)?;
        let undoes = &*options.journal_mode != "off";
        Ok(Self { connection, path: path.into(), undoes, opened })
    }

    /// Stores the changes of each in one transaction. Fails as a whole: none is stored then.
    fn commit_together(&mut self, group: &[Change]) -> rusqlite::Result<Results> {
        let mut transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(group.len());
        for change in group {
            let mut savepoint = transaction.savepoint()?;
            let applied = apply(&savepoint, &change.tenant, &change.commit);
            if let Err(error) = applied {
                // A full disk may have ended the whole transaction, and there is no way back then.
                if savepoint.rollback().is_err() {
                    return Err(error);
                }
                results.push(Err(explain(&self.path, &error)));
            } else {
                results.push(Ok(()));
            }
            savepoint.commit()?;
        }
        transaction.commit()?;
        Ok(results)
    }
}

type Results = Vec<Result<(), StoreError>>;

impl Backend for SqliteFile {
    /// Not the hours of its history that are over, of which there are thousands.
    fn load(&self, tenant: &str) -> Result<Stored, StoreError> {
        let read = || -> rusqlite::Result<Stored> {
            let mut stored = Stored::new();
            let mut rows = self.connection.prepare_cached(OF_TENANT)?;
            let mut rows = rows.query([tenant])?;
            while let Some(row) = rows.next()? {
                let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
                if !is_past(&key, &value) {
                    stored.insert(key, value);
                }
            }
            Ok(stored)
        };
        read().map_err(|error| explain(&self.path, &error))
    }

    fn keys_below(&self, tenant: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            self.connection
                .prepare_cached(
                    "SELECT key FROM m365_audit_state \
                     WHERE tenant = ?1 AND ?2 <= key AND key < ?2 || char(127)",
                )?
                .query_map([tenant, prefix], |row| row.get(0))?
                .collect()
        };
        read().map_err(|error| explain(&self.path, &error))
    }

    /// What is written to a file that has been renamed, removed or replaced meanwhile, nobody would
    /// find again. If all cannot be stored together, each is tried alone: a disk that has no room
    /// for what one commits may have it for the others.
    fn commit(&mut self, group: &[Change]) -> Results {
        let all = |error: &StoreError| group.iter().map(|_| Err(error.clone())).collect();
        if file_at(&self.path) != self.opened.place() {
            return all(&StoreError::Access {
                path: self.path.clone(),
                problem: "renamed, removed or replaced while it was in use; remedy: stop the \
                          collector, put the file back (`m365-audit state restore`), and start \
                          it again"
                    .into(),
            });
        }
        if self.undoes || group.len() < 2 {
            let error = match self.commit_together(group) {
                Ok(results) => return results,
                Err(error) => explain(&self.path, &error),
            };
            // For a lock each would wait as long again.
            if group.len() < 2 || matches!(error, StoreError::Busy { .. }) {
                return all(&error);
            }
        }
        let alone = |change| match self.commit_together(std::slice::from_ref(change)) {
            Ok(mut results) => results.pop().unwrap_or(Ok(())),
            Err(error) => Err(explain(&self.path, &error)),
        };
        group.iter().map(alone).collect()
    }
}

/// Writes the changes of one tenant.
fn apply(transaction: &Connection, tenant: &str, commit: &Commit) -> rusqlite::Result<()> {
    for (key, value) in &commit.changes {
        match value {
            Some(value) => transaction
                .prepare_cached("REPLACE INTO m365_audit_state VALUES (?1, ?2, ?3)")?
                .execute(params![tenant, key, value])?,
            None => transaction
                .prepare_cached("DELETE FROM m365_audit_state WHERE tenant = ?1 AND key = ?2")?
                .execute(params![tenant, key])?,
        };
    }
    Ok(())
}

/// Changes what is stored for a tenant by what `change` makes of it, in one transaction. Takes no
/// lock: for what a collector at work does not write itself. Answers what was changed.
///
/// # Errors
/// If the file cannot be read and written, or is not a state file that this version knows.
pub(super) fn amend(
    path: &Path,
    tenant: &str,
    change: impl FnOnce(&Stored) -> Commit,
) -> Result<Commit, StoreError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    let mut connection = open_known(path)?;
    no_checkpoint_on_close(&connection, false).map_err(failed)?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    let write = || -> rusqlite::Result<Commit> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let commit = change(&read_tenant(&transaction, tenant)?);
        apply(&transaction, tenant, &commit)?;
        transaction.commit()?;
        Ok(commit)
    };
    write().map_err(failed)
}

pub(super) fn read_tenant(connection: &Connection, tenant: &str) -> rusqlite::Result<Stored> {
    connection
        .prepare_cached(OF_TENANT)?
        .query_map([tenant], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// The state of every tenant in the file at `path`, by tenant. Takes no lock and changes nothing:
/// for a look at a file that may be in use.
///
/// # Errors
/// If the file cannot be read, or is not a state file that this version knows.
pub(super) fn inspect(path: &Path) -> Result<BTreeMap<String, Stored>, StoreError> {
    require_magic(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| explain(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    match identify(&connection, path)? {
        Identity::Empty => return Ok(BTreeMap::new()),
        Identity::Ours => {}
    }
    let read = || -> rusqlite::Result<BTreeMap<String, Stored>> {
        let mut tenants: BTreeMap<String, Stored> = BTreeMap::new();
        let mut rows = connection.prepare("SELECT tenant, key, value FROM m365_audit_state")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            tenants.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
        }
        Ok(tenants)
    };
    read().map_err(failed)
}

/// Whether the file could be opened for `tenant` and written. Leaves it as it is, and creates none.
///
/// # Errors
/// As [`super::Store::open`], except that a file in use is no error.
pub(super) fn probe(options: &DbOptions, tenant: &str) -> Result<DbState, StoreError> {
    let path = &options.path;
    if !path.try_exists().unwrap_or(true) {
        // What cannot be written cannot hold its journal either: the directory decides.
        let mut neighbour = path.as_os_str().to_owned();
        neighbour.push(format!(".probe-{}", std::process::id()));
        let neighbour = PathBuf::from(neighbour);
        let created = open_private(&neighbour, OpenOptions::new().create_new(true).write(true));
        let removed = created.and_then(|_| std::fs::remove_file(&neighbour));
        return match removed {
            Ok(()) => Ok(DbState::Absent),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let directory = path.parent().unwrap_or(path).into();
                Err(StoreError::NoDirectory { directory })
            }
            Err(error) => Err(StoreError::Access {
                path: path.clone(),
                problem: format!("cannot be created: {error}"),
            }),
        };
    }
    let failed = |error: rusqlite::Error| explain(path, &error);
    let mut connection = open_known(path)?;
    // Begun for writing, and rolled back.
    connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(rusqlite::Transaction::rollback)
        .map_err(failed)?;
    let held = TenantLock::is_held(&path.canonicalize().unwrap_or_else(|_| path.clone()), tenant);
    Ok(if held { DbState::InUse } else { DbState::Writable })
}

/// The file's one true path, so that two ways to name it meet at one lock. Creates it if need be.
pub(super) fn locate(path: &Path) -> Result<PathBuf, StoreError> {
    let access = |error: std::io::Error| StoreError::Access {
        path: path.into(),
        problem: format!("cannot be opened: {error}"),
    };
    // Before the file is created: not where a link leads to.
    refuse_link(path).map_err(access)?;
    match open_private(path, OpenOptions::new().create_new(true).write(true)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => require_magic(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(path).into();
            return Err(StoreError::NoDirectory { directory });
        }
        Err(error) => return Err(access(error)),
    }
    path.canonicalize().map_err(access)
}

/// Opens a state file that is there and that this version knows, for writing; as long as nothing is
/// written, closing it changes nothing.
fn open_known(path: &Path) -> Result<Connection, StoreError> {
    require_magic(path)?;
    let failed = |error: rusqlite::Error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    no_checkpoint_on_close(&connection, true).map_err(failed)?;
    identify(&connection, path)?;
    verify(&connection, path)?;
    Ok(connection)
}

/// Refuses a file that is neither empty nor begins as SQLite's do, before SQLite sees it. One that
/// is open already has passed, and must not be looked at by other means than SQLite's.
pub(crate) fn require_magic(path: &Path) -> Result<(), StoreError> {
    if is_open(path) {
        return Ok(());
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|error| StoreError::Access {
            path: path.into(),
            problem: format!("cannot be read: {error}"),
        })?;
    if start.is_empty() || start == MAGIC {
        Ok(())
    } else {
        Err(StoreError::NotSqlite { path: path.into() })
    }
}

fn connect(path: &Path, options: &DbOptions) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // Before the first access: only then does SQLite do without shared memory.
    let locking = if options.exclusive { "EXCLUSIVE" } else { "NORMAL" };
    pragma(&connection, "locking_mode", locking).map_err(failed)?;
    // Otherwise closing a file that was refused would write its log back into it.
    no_checkpoint_on_close(&connection, true).map_err(failed)?;
    if identify(&connection, path)? == Identity::Empty {
        create_schema(&mut connection, path)?;
    }
    verify(&connection, path)?;
    no_checkpoint_on_close(&connection, false).map_err(failed)?;
    let mode = pragma(&connection, "journal_mode", &options.journal_mode).map_err(failed)?;
    if !mode.eq_ignore_ascii_case(&options.journal_mode) {
        return Err(StoreError::Access {
            path: path.into(),
            problem: format!(
                "SQLite cannot use journal mode {} here, only {mode}; remedy: set db.journal_mode \
                 to {mode}, or set db to a file on a local disk",
                options.journal_mode
            ),
        });
    }
    connection.pragma_update(None, "synchronous", &*options.synchronous).map_err(failed)?;
    Ok(connection)
}

/// Sets a pragma and answers its value.
fn pragma(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<String> {
    connection.pragma_update_and_check(None, name, value, |row| row.get(0))
}

fn no_checkpoint_on_close(connection: &Connection, on: bool) -> rusqlite::Result<bool> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// No table and no mark: a new file.
    Empty,
    /// A state file of this version.
    Ours,
}

/// Whose file it is. Reads only.
pub(crate) fn identify(connection: &Connection, path: &Path) -> Result<Identity, StoreError> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        Ok((
            connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
            connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        ))
    };
    let (application, version, tables) = read().map_err(|error| explain(path, &error))?;
    match (application, version, tables) {
        (0, 0, 0) => Ok(Identity::Empty),
        (APPLICATION_ID, SCHEMA_VERSION, _) => Ok(Identity::Ours),
        (APPLICATION_ID, found, _) => {
            Err(StoreError::Newer { path: path.into(), found, known: SCHEMA_VERSION })
        }
        _ => Err(StoreError::Foreign { path: path.into() }),
    }
}

fn create_schema(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Another process may have been faster, for another tenant.
    if identify(&transaction, path)? == Identity::Empty {
        let create = || -> rusqlite::Result<()> {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)
        };
        create().map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// Refuses a file in which SQLite finds damage. Takes milliseconds: the state is small.
pub(crate) fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged { path: path.into(), problem: verdict })
}

pub(crate) fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    let problem = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, problem },
        Some(ErrorCode::NotADatabase) => StoreError::NotSqlite { path },
        // SQLite's general error: our statements do not fit the schema.
        Some(ErrorCode::Unknown) => StoreError::Damaged { path, problem },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Busy { by: holder(&path), path }
        }
        _ => match error {
            rusqlite::Error::InvalidColumnType(..) => StoreError::Damaged { path, problem },
            _ => StoreError::Access { path, problem },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Store, group::wait};
    use super::*;
    use std::fs;

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
    const OTHER: &str = "ebac1a16-0000-4000-8000-000000000000";

    fn options(path: &Path) -> DbOptions {
        DbOptions {
            path: path.into(),
            synchronous: "full".into(),
            journal_mode: "wal".into(),
            exclusive: false,
            server: None,
        }
    }

    fn open(options: &DbOptions, tenant: &str) -> Result<Store, StoreError> {
        Store::open(Some(options), tenant)
    }

    fn commit(pairs: &[(&str, Option<&str>)]) -> Commit {
        let change = |&(key, value): &(&str, Option<&str>)| (key.to_owned(), value.map(Into::into));
        Commit { changes: pairs.iter().map(change).collect() }
    }

    /// Opens a file with this content, which must fail and leave it as it was.
    #[track_caller]
    fn refused(path: &Path, content: &[u8]) -> String {
        fs::write(path, content).unwrap();
        let error = open(&options(path), TENANT).unwrap_err().to_string();
        assert!(fs::read(path).unwrap() == content, "the file was changed: {error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert!(error.contains("remedy: "), "{error}");
        error
    }

    #[test]
    fn what_was_committed_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        for journal_mode in ["wal", "delete", "truncate", "persist", "memory", "off"] {
            for exclusive in [false, true] {
                let path = dir.path().join(format!("{journal_mode}-{exclusive}.db"));
                let options =
                    DbOptions { journal_mode: journal_mode.into(), exclusive, ..options(&path) };
                let mut store = open(&options, TENANT).unwrap();
                assert!(store.load().unwrap().is_empty());
                store.commit(commit(&[("a", Some("1")), ("b", Some("2"))])).unwrap();
                store.commit(commit(&[("a", None), ("b", Some("3")), ("c", None)])).unwrap();
                drop(store);
                let store = open(&options, TENANT).unwrap();
                let expected = Stored::from([("b".to_owned(), "3".to_owned())]);
                assert_eq!(store.load().unwrap(), expected);
                drop(store);
                assert_eq!(inspect(&path).unwrap()[TENANT], expected);
            }
        }
    }

    #[test]
    fn hours_of_the_history_that_are_over_are_not_loaded_and_stay_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut store = open(&options(&path), TENANT).unwrap();
        let (over, open) = ("history/DLP.All/490000", "history/DLP.All/490001");
        store.commit(commit(&[(over, Some("l1d1a7")), (open, Some("l1d1a3"))])).unwrap();
        assert_eq!(store.load().unwrap().into_keys().collect::<Vec<_>>(), [open]);
        assert_eq!(inspect(&path).unwrap()[TENANT].len(), 2);
    }

    #[test]
    fn a_state_can_be_amended_beside_the_collector_that_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut store = open(&options(&path), TENANT).unwrap();
        store.commit(commit(&[("loss/1", Some("x")), ("lossy", Some("y"))])).unwrap();
        let amended = amend(&path, TENANT, |stored| {
            assert_eq!(stored["loss/1"], "x");
            commit(&[("acknowledged/1", Some("me"))])
        });
        assert_eq!(amended.unwrap().changes.len(), 1);
        assert_eq!(wait(store.keys_below("acknowledged/")).unwrap(), ["acknowledged/1"]);
        assert_eq!(wait(store.keys_below("loss/")).unwrap(), ["loss/1"]);
        // Neither has written over the other.
        store.commit(commit(&[("loss/2", Some("z"))])).unwrap();
        let keys: Vec<_> = store.load().unwrap().into_keys().collect();
        assert_eq!(keys, ["acknowledged/1", "loss/1", "loss/2", "lossy"]);
        assert!(
            amend(&path, OTHER, |stored| {
                assert!(stored.is_empty());
                Commit::default()
            })
            .is_ok()
        );
    }

    #[test]
    fn tenants_share_a_file_and_see_only_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut one = open(&options(&path), TENANT).unwrap();
        let mut two = open(&options(&path), OTHER).unwrap();
        one.commit(commit(&[("a", Some("1"))])).unwrap();
        two.commit(commit(&[("a", Some("2"))])).unwrap();
        assert_eq!(one.load().unwrap()["a"], "1");
        assert_eq!(two.load().unwrap()["a"], "2");
        // While both are at work.
        assert_eq!(inspect(&path).unwrap().len(), 2);
    }

    #[test]
    fn a_second_collector_is_refused_until_the_first_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let first = open(&options(&path), TENANT).unwrap();
        let detour = dir.path().join(".").join("state.db");
        for way in [&path, &detour] {
            let error = open(&options(way), TENANT).unwrap_err();
            assert!(matches!(error, StoreError::InUse { .. }), "{error}");
            assert!(error.to_string().contains("state.db"), "{error}");
        }
        drop(first);
        open(&options(&path), TENANT).unwrap();
    }

    #[test]
    fn a_probe_tells_whether_a_file_can_be_written_and_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        assert_eq!(probe(&options(&path), TENANT).unwrap(), DbState::Absent);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let missing = probe(&options(&dir.path().join("none").join("state.db")), TENANT);
        assert!(matches!(missing, Err(StoreError::NoDirectory { .. })), "{missing:?}");
        let mut store = open(&options(&path), TENANT).unwrap();
        store.commit(commit(&[("a", Some("1"))])).unwrap();
        assert_eq!(probe(&options(&path), TENANT).unwrap(), DbState::InUse);
        assert_eq!(probe(&options(&path), "another").unwrap(), DbState::Writable);
        drop(store);
        let before = std::fs::read(&path).unwrap();
        assert_eq!(probe(&options(&path), TENANT).unwrap(), DbState::Writable);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::write(&path, "no database").unwrap();
        let foreign = probe(&options(&path), TENANT);
        assert!(matches!(foreign, Err(StoreError::NotSqlite { .. })), "{foreign:?}");
        // What a collector would refuse, a probe does not call fit for use.
        let path = dir.path().join("damaged.db");
        let mut store = open(&options(&path), TENANT).unwrap();
        let many = (0..200).map(|n| (format!("key/{n}"), Some("x".repeat(200)))).collect();
        store.commit(Commit { changes: many }).unwrap();
        drop(store);
        let mut broken = fs::read(&path).unwrap();
        broken[3 * 4096..4 * 4096].fill(0xA5);
        fs::write(&path, &broken).unwrap();
        let damaged = probe(&options(&path), TENANT).unwrap_err();
        assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged}");
    }

    #[test]
    fn an_exclusively_locked_file_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let exclusive = DbOptions { exclusive: true, ..options(&path) };
        let _first = open(&exclusive, TENANT).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        let error = identify(&connection, &path).unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    }

    #[test]
    fn files_that_are_not_ours_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let text = refused(&path, b"# my notes\n");
        assert!(text.contains("not a SQLite file"), "{text}");

        let other = dir.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE in_tail (x)").unwrap();
        let text = refused(&path, &fs::read(&other).unwrap());
        assert!(text.contains("another application"), "{text}");
    }

    #[test]
    fn a_newer_schema_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let newer = dir.path().join("newer.db");
        drop(open(&options(&newer), TENANT).unwrap());
        Connection::open(&newer).unwrap().pragma_update(None, "user_version", 7).unwrap();
        let text = refused(&dir.path().join("state.db"), &fs::read(&newer).unwrap());
        assert!(text.contains("schema 7"), "{text}");
    }

    #[test]
    fn closing_a_file_that_was_refused_writes_no_log_into_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, used) = (dir.path().join("state.db"), dir.path().join("used.db"));
        let _store = open(&options(&used), TENANT).unwrap();
        // A newer version was at work, and what it wrote is still in its log.
        let newer = Connection::open(&used).unwrap();
        newer.pragma_update(None, "user_version", 7).unwrap();
        let log = |path: &Path| path.with_extension("db-wal");
        fs::copy(&used, &path).unwrap();
        fs::copy(log(&used), log(&path)).unwrap();
        let before = (fs::read(&path).unwrap(), fs::read(log(&path)).unwrap());
        let refused = |result: Result<(), StoreError>| {
            let error = result.unwrap_err();
            assert!(matches!(error, StoreError::Newer { found: 7, .. }), "{error}");
            let after = (fs::read(&path).unwrap(), fs::read(log(&path)).unwrap());
            assert!(after == before, "the file or its log was changed");
        };
        refused(open(&options(&path), TENANT).map(drop));
        refused(probe(&options(&path), TENANT).map(drop));
        refused(amend(&path, TENANT, |_| Commit::default()).map(drop));
    }

    #[test]
    fn what_is_amended_while_nobody_is_at_work_leaves_no_log_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        drop(open(&options(&path), TENANT).unwrap());
        amend(&path, TENANT, |_| commit(&[("a", Some("1"))])).unwrap();
        assert!(!path.with_extension("db-wal").exists());
        assert_eq!(inspect(&path).unwrap()[TENANT]["a"], "1");
    }

    #[test]
    fn what_cannot_be_created_is_told_from_a_missing_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("notes");
        fs::write(&file, "").unwrap();
        let below = file.join("state.db");
        // The name is just short enough; those of what lies beside the file are not.
        let long = dir.path().join("x".repeat(250));
        for error in [
            open(&options(&below), TENANT).map(drop).unwrap_err(),
            probe(&options(&below), TENANT).map(drop).unwrap_err(),
            probe(&options(&long), TENANT).map(drop).unwrap_err(),
        ] {
            let StoreError::Access { problem, .. } = error else { panic!("{error}") };
            assert!(problem.starts_with("cannot be "), "{problem}");
        }
    }

    #[test]
    fn what_only_looks_like_sqlite_or_holds_no_text_is_told_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut content = MAGIC.to_vec();
        content.resize(4_096, 0);
        let text = refused(&path, &content);
        assert!(text.contains("not a SQLite file"), "{text}");
        fs::remove_file(&path).unwrap();
        let store = open(&options(&path), TENANT).unwrap();
        let insert = "INSERT INTO m365_audit_state VALUES (?1, 'a', x'00')";
        Connection::open(&path).unwrap().execute(insert, [TENANT]).unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[test]
    fn damage_is_found_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole.db");
        let mut store = open(&options(&whole), TENANT).unwrap();
        let large = "x".repeat(100_000);
        store.commit(commit(&[("a", Some(&large)), ("b", Some(&large))])).unwrap();
        drop(store);
        let whole = fs::read(&whole).unwrap();

        let path = dir.path().join("state.db");
        let mut broken = whole.clone();
        broken[4_096..8_192].fill(0xff);
        let text = refused(&path, &broken);
        assert!(text.contains("damaged"), "{text}");

        let text = refused(&path, &whole[..whole.len() / 2]);
        assert!(text.contains("damaged"), "{text}");

        let text = refused(&path, &whole[..50]);
        assert!(text.contains("damaged"), "{text}");

        drop(open(&options(&dir.path().join("bare.db")), TENANT).unwrap());
        let bare = dir.path().join("bare.db");
        Connection::open(&bare).unwrap().execute_batch("DROP TABLE m365_audit_state").unwrap();
        let error = open(&options(&bare), TENANT).unwrap().load().unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_committed_to_a_file_that_is_not_at_its_path_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("state.db"), dir.path().join("other.db"));
        let mut store = open(&options(&path), TENANT).unwrap();
        store.commit(commit(&[("a", Some("1"))])).unwrap();
        fs::rename(&path, &other).unwrap();
        let gone = store.commit(commit(&[("a", Some("2"))])).unwrap_err().to_string();
        assert!(gone.contains("renamed, removed or replaced"), "{gone}");
        fs::write(&path, "").unwrap();
        store.commit(commit(&[("a", Some("2"))])).unwrap_err();
        fs::rename(&other, &path).unwrap();
        store.commit(commit(&[("a", Some("3"))])).unwrap();
    }

    #[test]
    fn a_missing_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing").join("state.db");
        let error = open(&options(&path), TENANT).unwrap_err().to_string();
        assert!(error.contains("missing: there is no such directory"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn new_files_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(&options(&dir.path().join("state.db")), TENANT).unwrap();
        store.commit(commit(&[("a", Some("1"))])).unwrap();
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
        assert!(3 <= files.len());
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
        }
    }

    fn changes(of: &[(&str, &str)]) -> Vec<Change> {
        let change = |&(tenant, value): &(&str, &str)| Change {
            tenant: tenant.into(),
            commit: commit(&[("a", Some(value)), ("b", Some("1"))]),
        };
        of.iter().map(change).collect()
    }

    fn new_file(path: &Path) -> SqliteFile {
        fs::write(path, "").unwrap();
        SqliteFile::open(path, &options(path)).unwrap()
    }

    #[test]
    fn what_one_tenant_cannot_store_is_neither_stored_nor_in_the_way_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut without_journal = options(&dir.path().join("off.db"));
        without_journal.journal_mode = "off".into();
        fs::write(&without_journal.path, "").unwrap();
        let mut without_journal =
            SqliteFile::open(&without_journal.path, &without_journal).unwrap();
        let mut file = new_file(&dir.path().join("state.db"));
        let trigger = "CREATE TEMP TRIGGER no BEFORE INSERT ON main.m365_audit_state \
                       WHEN NEW.tenant = 'two' AND NEW.key = 'b' \
                       BEGIN SELECT RAISE(ABORT, 'refused'); END";
        file.connection.execute_batch(trigger).unwrap();
        let results = file.commit(&changes(&[("one", "x"), ("two", "x"), ("three", "x")]));
        let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
        assert_eq!(stored, [true, false, true]);
        assert!(results[1].as_ref().unwrap_err().to_string().contains("refused"), "{results:?}");
        let kept = ["one", "two", "three"].map(|tenant| file.load(tenant).unwrap().len());
        assert_eq!(kept, [2, 0, 2]);
        // What cannot be undone is in no transaction with others.
        without_journal.connection.execute_batch(trigger).unwrap();
        let results = without_journal.commit(&changes(&[("two", "x"), ("three", "x")]));
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true]);
        assert_eq!(without_journal.load("three").unwrap().len(), 2);
    }

    #[test]
    fn a_full_disk_fails_those_that_have_no_room_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        for large_at in [0, 1, 2] {
            let mut file = new_file(&dir.path().join(format!("state-{large_at}.db")));
            file.connection.pragma_update(None, "max_page_count", 40).unwrap();
            let large = "x".repeat(1_000_000);
            let mut of = [("one", "y"), ("two", "y"), ("three", "y")];
            of[large_at].1 = &large;
            let results = file.commit(&changes(&of));
            for (at, (tenant, _)) in of.iter().enumerate() {
                assert_eq!(results[at].is_ok(), at != large_at, "{large_at}: {results:?}");
                let told = results[at].as_ref().err().map(ToString::to_string);
                assert!(told.is_none_or(|told| told.contains("is full")), "{results:?}");
                let kept = file.load(tenant).unwrap().len();
                assert_eq!(kept, if at == large_at { 0 } else { 2 }, "{large_at}: {tenant}");
            }
            // And there is room again.
            file.connection.pragma_update(None, "max_page_count", 4_000).unwrap();
            assert!(file.commit(&changes(&of)).iter().all(Result::is_ok));
        }
    }

    #[test]
    fn a_lock_of_somebody_else_fails_all_and_is_told_after_the_time_that_a_commit_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut file = new_file(&path);
        file.connection.busy_timeout(Duration::from_millis(20)).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let group = changes(&[("one", "x"), ("two", "x")]);
        for result in file.commit(&group) {
            assert!(matches!(result, Err(StoreError::Busy { .. })), "{result:?}");
        }
        assert_eq!(inspect(&path).unwrap().len(), 0);
        other.execute_batch("COMMIT").unwrap();
        assert!(file.commit(&group).iter().all(Result::is_ok));
        assert_eq!(inspect(&path).unwrap().len(), 2);
    }

    /// The locks that this process holds for writing on the file.
    #[cfg(target_os = "linux")]
    fn locks_on(path: &Path) -> usize {
        use std::os::unix::fs::MetadataExt;
        let end = format!(":{}", fs::metadata(path).unwrap().ino());
        let own = std::process::id().to_string();
        let held = |line: &&str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.contains(&&*own) && words.iter().any(|word| word.ends_with(&end))
        };
        fs::read_to_string("/proc/locks").unwrap().lines().filter(held).count()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn looking_at_a_file_that_is_open_lets_go_of_none_of_its_locks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let exclusive = DbOptions { exclusive: true, ..options(&path) };
        let mut store = open(&exclusive, TENANT).unwrap();
        store.commit(commit(&[("a", Some("1"))])).unwrap();
        let locks = locks_on(&path);
        assert!(0 < locks);
        // Each of them has its reasons to fail; that is not the question.
        drop(inspect(&path));
        drop(probe(&exclusive, TENANT));
        drop(amend(&path, TENANT, |_| Commit::default()));
        drop(crate::store::tenants_in(&exclusive));
        drop(crate::store::backup(&path, &dir.path().join("copy.db")));
        drop(open(&exclusive, OTHER));
        drop(open(&options(&path), OTHER));
        assert_eq!(locks_on(&path), locks);
    }
}
