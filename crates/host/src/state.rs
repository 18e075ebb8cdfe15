//! The stored state, as the component and as the store have it. Nothing here reads a value.

use m365_audit_client::{Store, StoreError};
use m365_audit_core::Commit;

use crate::bindings::{Change, Entry, Resume};

/// What a fresh instance goes on from.
pub(crate) fn resume(store: &Store) -> Result<Resume, StoreError> {
    let stored = store.load()?;
    if stored.is_empty() {
        return Ok(Resume::Fresh);
    }
    let entries = stored.into_iter().map(|(key, value)| Entry { key, value });
    Ok(Resume::Stored(entries.collect()))
}

/// The changes of a batch.
pub(crate) fn commit(changes: Vec<Change>) -> Commit {
    let changes = changes.into_iter().map(|change| (change.key, change.value));
    Commit { changes: changes.collect() }
}
