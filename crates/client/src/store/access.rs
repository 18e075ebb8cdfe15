//! Looks into a state that may be in use, and changes what a collector does not write itself: a
//! file or a PostgreSQL, as it is said.

use std::collections::BTreeMap;

use m365_audit_core::{Commit, Stored};

use super::error::{DbState, StoreError};
use super::options::DbOptions;
use super::postgres;
use super::{look, sqlite};

/// The state of every tenant where `options` say, by tenant. Takes no lock and changes
/// nothing: for a look at one that may be in use.
///
/// # Errors
/// If it cannot be read, or holds no state that this version knows.
pub fn inspect(options: &DbOptions) -> Result<BTreeMap<String, Stored>, StoreError> {
    match &options.server {
        Some(server) => postgres::inspect(server),
        None => sqlite::inspect(&options.path),
    }
}

/// What is stored of one tenant: nothing, if it is not in there.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_tenant(options: &DbOptions, tenant: &str) -> Result<Stored, StoreError> {
    match &options.server {
        Some(server) => postgres::inspect_tenant(server, tenant),
        None => look::inspect_tenant(&options.path, tenant),
    }
}

/// The tenants that are kept there, in order.
///
/// # Errors
/// As [`inspect`].
pub fn tenants_in(options: &DbOptions) -> Result<Vec<String>, StoreError> {
    match &options.server {
        Some(server) => postgres::tenants_in(server),
        None => look::tenants_in(&options.path),
    }
}

/// Changes what is stored for a tenant by what `change` makes of it, in one transaction. Takes no
/// lock: for what a collector at work does not write itself. Answers what was changed.
///
/// # Errors
/// If it cannot be read and written, or holds no state that this version knows.
pub fn amend(
    options: &DbOptions,
    tenant: &str,
    change: impl FnOnce(&Stored) -> Commit + Send,
) -> Result<Commit, StoreError> {
    match &options.server {
        Some(server) => postgres::amend(server, tenant, change),
        None => sqlite::amend(&options.path, tenant, change),
    }
}

/// Whether `tenant` could be opened and written there. Leaves everything as it is, and creates
/// nothing.
///
/// # Errors
/// As [`Store::open`](crate::Store::open), except that a state in use is no error.
pub fn probe(options: &DbOptions, tenant: &str) -> Result<DbState, StoreError> {
    match &options.server {
        Some(server) => postgres::probe(server, tenant),
        None => sqlite::probe(options, tenant),
    }
}
