//! Looks at a state file that may be in use, one tenant at a time. Takes no lock and changes
//! nothing.

use std::path::Path;

use m365_audit_core::Stored;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::sqlite::{BUSY_TIMEOUT, Identity, explain, identify, read_tenant, require_magic};

/// The file, opened for reading; `None`: there is nothing in it.
fn open(path: &Path) -> Result<Option<Connection>, StoreError> {
    require_magic(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| explain(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    Ok(match identify(&connection, path)? {
        Identity::Empty => None,
        Identity::Ours => Some(connection),
    })
}

/// The tenants of the file at `path`, in order.
///
/// # Errors
/// If the file cannot be read, or is not a state file that this version knows.
pub(super) fn tenants_in(path: &Path) -> Result<Vec<String>, StoreError> {
    let Some(connection) = open(path)? else { return Ok(Vec::new()) };
    let read = || -> rusqlite::Result<Vec<String>> {
        let query = "SELECT DISTINCT tenant FROM m365_audit_state ORDER BY tenant";
        connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    };
    read().map_err(|error| explain(path, &error))
}

/// What is stored of one tenant: nothing, if it is not in the file.
///
/// # Errors
/// If the file cannot be read, or is not a state file that this version knows.
pub(super) fn inspect_tenant(path: &Path, tenant: &str) -> Result<Stored, StoreError> {
    let Some(connection) = open(path)? else { return Ok(Stored::new()) };
    read_tenant(&connection, tenant).map_err(|error| explain(path, &error))
}

#[cfg(test)]
mod tests {
    use m365_audit_core::Commit;

    use super::*;
    use crate::store::{DbOptions, Store};

    #[test]
    fn tenants_are_looked_at_one_by_one_while_they_are_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let options = DbOptions {
            path: dir.path().canonicalize().unwrap().join("state.db"),
            synchronous: "full".into(),
            journal_mode: "wal".into(),
            exclusive: false,
            server: None,
        };
        let tenants = ["b-tenant", "a-tenant"];
        let stores = tenants.map(|tenant| {
            let mut store = Store::open(Some(&options), tenant).unwrap();
            let changes = [("key".to_owned(), Some(tenant.to_owned()))].into();
            store.commit(Commit { changes }).unwrap();
            store
        });
        assert_eq!(tenants_in(&options.path).unwrap(), ["a-tenant", "b-tenant"]);
        let stored = inspect_tenant(&options.path, "b-tenant").unwrap();
        assert_eq!(stored, Stored::from([("key".to_owned(), "b-tenant".to_owned())]));
        assert_eq!(inspect_tenant(&options.path, "c-tenant").unwrap(), Stored::new());
        drop(stores);
    }
}
