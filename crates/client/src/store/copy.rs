//! Copies a state from one place to another, whatever the two are, and compares what has arrived.

use std::collections::BTreeMap;

use m365_audit_core::{Commit, Stored, summarize};

use super::access::inspect;
use super::error::StoreError;
use super::options::DbOptions;
use super::tenant::Store;

/// What has been copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedState {
    /// Tenants.
    pub tenants: usize,
    /// Keys of all of them.
    pub keys: usize,
    /// Bytes of their values.
    pub bytes: usize,
    /// Tenants of these that were there already, and the same.
    pub present: usize,
}

/// Copies all tenants of `from` to `to`, one after another, each of them whole. No collector may
/// have them meanwhile, neither here nor there. At the end both are read again and compared.
///
/// # Errors
/// If one of the two cannot be used, or is in use; if `to` holds another state of one of the
/// tenants. Those that were copied before stay, and a further attempt passes over them.
pub fn copy_state(from: &DbOptions, to: &DbOptions) -> Result<CopiedState, StoreError> {
    let refuse = |options: &DbOptions, problem: &str| StoreError::Access {
        path: options.path.clone(),
        problem: problem.into(),
    };
    if from.path == to.path {
        return Err(refuse(to, "is copied to itself; remedy: name another place"));
    }
    let first_look = inspect(from)?;
    if first_look.is_empty() {
        return Err(refuse(from, "holds no state"));
    }
    let mut locks = Vec::new();
    for tenant in first_look.keys() {
        locks.push(held(from, tenant)?);
    }
    // As it is now that nobody changes it.
    let source = inspect(from)?;
    refuse_broken(from, &source)?;
    let present = if to.is_absent() { BTreeMap::new() } else { inspect(to)? };
    let differs = |(tenant, stored): (&String, &Stored)| {
        source.get(tenant).is_some_and(|source| source != stored).then_some(tenant.clone())
    };
    if let Some(tenant) = present.iter().find_map(differs) {
        let problem = format!(
            "holds another state of tenant {tenant}; remedy: name an empty place, or keep the one \
             that is there"
        );
        return Err(refuse(to, &problem));
    }
    let is_there = |tenant: &String| present.contains_key(tenant);
    for (tenant, stored) in source.iter().filter(|(tenant, _)| !is_there(tenant)) {
        let mut store = held(to, tenant)?;
        let changes = stored.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        store.commit(Commit { changes: changes.collect() })?;
    }
    let arrived = inspect(to)?;
    if let Some(tenant) = source.keys().find(|tenant| arrived.get(*tenant) != source.get(*tenant)) {
        let problem = format!("tenant {tenant} did not arrive as it is; remedy: report this");
        return Err(refuse(to, &problem));
    }
    if inspect(from)? != source {
        return Err(refuse(from, "was changed while it was copied; remedy: copy it again"));
    }
    drop(locks);
    Ok(CopiedState {
        tenants: source.len(),
        keys: source.values().map(Stored::len).sum(),
        bytes: source.values().flat_map(Stored::values).map(String::len).sum(),
        present: source.keys().filter(|tenant| is_there(tenant)).count(),
    })
}

/// One tenant, held so that nobody else collects it.
fn held(options: &DbOptions, tenant: &str) -> Result<Store, StoreError> {
    let store = Store::open(Some(options), tenant)?;
    store.load()?;
    Ok(store)
}

/// What nobody could go on from is not copied as if it were a state.
fn refuse_broken(from: &DbOptions, all: &BTreeMap<String, Stored>) -> Result<(), StoreError> {
    for (tenant, stored) in all {
        if let Err(error) = summarize(stored) {
            let problem = format!("tenant {tenant}: {error}");
            return Err(StoreError::Damaged { path: from.path.clone(), problem });
        }
    }
    Ok(())
}
