//! The stored state, as the component and as the store have it. Nothing here reads a value.

use std::time::{SystemTime, UNIX_EPOCH};

use m365_audit_client::{SINK_KEYS, Store, StoreError};
use m365_audit_core::{Commit, Loss, OutputShort, Utc, remember, summarize};

use crate::bindings::{Change, Entry, Resume};

/// What a fresh instance goes on from.
pub(crate) async fn resume(store: &Store) -> Result<Resume, StoreError> {
    let mut stored = store.loaded().await?;
    // What the sink has put there is nothing to the component.
    stored.retain(|key, _| !key.starts_with(SINK_KEYS));
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

/// The changes by which the state remembers that an output is short, for the next instance: one
/// that is at work cannot be told. `None` if the state is another component's.
pub(crate) async fn remember_short(
    store: &Store,
    short: &OutputShort,
) -> Result<Option<Commit>, StoreError> {
    let stored = store.loaded().await?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let told = Utc::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let loss = Loss::of_output(short, told);
    let ours = |_| remember(&stored, loss);
    Ok(summarize(&stored).and_then(ours).ok())
}
