//! Where the state lives: a SQLite file, a [PostgreSQL](postgres), or memory if neither is
//! configured.
//!
//! Either is opened once for all tenants of the process ([`files`]), and what they commit is
//! gathered ([`group`]). Each tenant has a [`Store`] of its own, and waits for its own changes
//! only.

mod access;
mod backup;
mod copy;
mod error;
mod files;
mod group;
mod holder;
mod holdings;
mod lock;
mod look;
mod options;
mod places;
mod postgres;
mod sqlite;
mod tenant;

pub use self::access::{amend, inspect, inspect_tenant, probe, tenants_in};
pub use self::backup::{Copied, backup, restore};
pub use self::copy::{CopiedState, copy_state};
pub use self::error::{DbState, StoreError};
pub use self::group::{Tally, Written};
pub use self::holdings::{Holdings, Proof};
pub use self::options::DbOptions;
pub use self::postgres::{
    HeldTenant, Member as DbMember, Members, Server as DbServer, is_server, members, shown,
};
pub(crate) use self::postgres::{News, Shares};
pub use self::tenant::Store;

#[cfg(test)]
mod tests;
