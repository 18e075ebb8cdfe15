//! Looks into a PostgreSQL that may be in use, and changes what a collector does not write itself.
//! Creates nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use m365_audit_core::{Commit, Stored};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use super::super::error::{DbState, StoreError};
use super::leases::know;
use super::link::{Link, runtime};
use super::schema::{Identity, identify};
use super::server::Server;
use super::trouble::Trouble;

/// A process that uses a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is called: its machine, and the number of its process there.
    pub name: String,
    /// Since when it is there, in milliseconds since 1970.
    pub since: i64,
    /// Whether it has been heard of within its lease.
    pub is_alive: bool,
    /// The tenants that it shares with others, as a number and a mark; `None`: it shares none.
    pub shares: Option<String>,
    /// How many tenants it takes at most.
    pub tenants_max: Option<i64>,
    /// How many it holds.
    pub tenants: i64,
}

/// A tenant of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldTenant {
    /// The tenant.
    pub tenant: String,
    /// Who collects it; `None`: nobody at present.
    pub holder: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// Counts its runs.
    pub epoch: i64,
}

/// Who uses a database, and who holds what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The processes, by name.
    pub members: Vec<Member>,
    /// The tenants, in order.
    pub tenants: Vec<HeldTenant>,
    /// The database's time, in milliseconds since 1970.
    pub now: i64,
}

/// Does something on a connection of its own, on a thread of its own: whoever asks may be on one
/// that must not wait.
fn ask<T: Send>(
    server: &Arc<Server>,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, Trouble> + Send,
) -> Result<T, StoreError> {
    let asked = || {
        let runtime = runtime().map_err(|error| Trouble::Told(format!("no thread: {error}")))?;
        let mut link = Link::reading(Arc::clone(server));
        let result = runtime.block_on(link.with(work));
        drop(link);
        runtime.shutdown_background();
        result
    };
    let joined = thread::scope(|scope| scope.spawn(asked).join());
    let result = joined.unwrap_or_else(|_| Err(Trouble::Told("the look at it has failed".into())));
    result.map_err(|trouble| trouble.explain(server))
}

/// Whether there is anything, of ours.
async fn is_there(client: &Client) -> Result<bool, Trouble> {
    Ok(matches!(identify(client).await?, Identity::Ours(_)))
}

pub(in super::super) fn inspect(
    server: &Arc<Server>,
) -> Result<BTreeMap<String, Stored>, StoreError> {
    const ALL: &str = "SELECT tenant, key, value FROM m365_audit_state";
    ask(server, async |client| {
        let mut tenants: BTreeMap<String, Stored> = BTreeMap::new();
        if is_there(client).await? {
            for row in client.query_typed(ALL, &[]).await? {
                tenants.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
            }
        }
        Ok(tenants)
    })
}

pub(in super::super) fn tenants_in(server: &Arc<Server>) -> Result<Vec<String>, StoreError> {
    const TENANTS: &str = "SELECT DISTINCT tenant FROM m365_audit_state ORDER BY tenant";
    ask(server, async |client| {
        if !is_there(client).await? {
            return Ok(Vec::new());
        }
        let rows = client.query_typed(TENANTS, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    })
}

pub(in super::super) fn inspect_tenant(
    server: &Arc<Server>,
    tenant: &str,
) -> Result<Stored, StoreError> {
    ask(server, async |client| {
        if is_there(client).await? { read_tenant(client, tenant).await } else { Ok(Stored::new()) }
    })
}

async fn read_tenant(client: &Client, tenant: &str) -> Result<Stored, Trouble> {
    const ONE: &str = "SELECT key, value FROM m365_audit_state WHERE tenant = $1";
    let rows = client.query_typed(ONE, &[(&tenant, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Whether a collector could use it.
pub(in super::super) fn probe(server: &Arc<Server>, tenant: &str) -> Result<DbState, StoreError> {
    const MAY: &str = "SELECT has_table_privilege('m365_audit_state', p) \
        AND has_table_privilege('m365_audit_lease', p) \
        AND has_table_privilege('m365_audit_member', p), p \
        FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p";
    const MAY_CREATE: &str = "SELECT has_schema_privilege(current_schema(), 'CREATE')";
    const HELD: &str = "SELECT count(*) FROM m365_audit_lease \
        WHERE tenant = $1 AND clock_timestamp() < until";
    ask(server, async |client| {
        if !is_there(client).await? {
            let row = client.query_typed_one(MAY_CREATE, &[]).await?;
            return if row.get(0) {
                Ok(DbState::Absent)
            } else {
                Err(Trouble::Told(
                    "there are no tables, and this user may create none; remedy: GRANT CREATE ON \
                     SCHEMA to it, or let another user start once, as OPERATING.md says"
                        .into(),
                ))
            };
        }
        for row in client.query_typed(MAY, &[]).await? {
            let (may, what): (bool, &str) = (row.get(0), row.get(1));
            if !may {
                return Err(Trouble::Told(format!(
                    "this user has no {what} on the tables m365_audit_…; remedy: grant what \
                     OPERATING.md lists"
                )));
            }
        }
        let row = client.query_typed_one(HELD, &[(&tenant, Type::TEXT)]).await?;
        Ok(if row.get::<_, i64>(0) == 0 { DbState::Writable } else { DbState::InUse })
    })
}

/// As [`crate::amend`]. Whoever holds the row of the lease goes alone: no commit comes between.
pub(in super::super) fn amend(
    server: &Arc<Server>,
    tenant: &str,
    change: impl FnOnce(&Stored) -> Commit + Send,
) -> Result<Commit, StoreError> {
    const LOCK: &str = "SET LOCAL idle_in_transaction_session_timeout = '10s'";
    const ROW: &str = "SELECT 1 FROM m365_audit_lease WHERE tenant = $1 FOR UPDATE";
    ask(server, async |client| {
        if !is_there(client).await? {
            return Err(Trouble::Told("holds no state".into()));
        }
        know(client, &[tenant.into()]).await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute(LOCK).await?;
        transaction.query_typed(ROW, &[(&tenant, Type::TEXT)]).await?;
        let stored = read_tenant(transaction.client(), tenant).await?;
        let commit = change(&stored);
        write(&transaction, tenant, &commit).await?;
        transaction.commit().await?;
        Ok(commit)
    })
}

async fn write(
    transaction: &Transaction<'_>,
    tenant: &str,
    commit: &Commit,
) -> Result<(), Trouble> {
    const PUT: &str = "INSERT INTO m365_audit_state (tenant, key, value) VALUES ($1, $2, $3) \
        ON CONFLICT (tenant, key) DO UPDATE SET value = EXCLUDED.value";
    const REMOVE: &str = "DELETE FROM m365_audit_state WHERE tenant = $1 AND key = $2";
    for (key, value) in &commit.changes {
        let (tenant, key) = ((&tenant as _, Type::TEXT), (key as _, Type::TEXT));
        match value {
            Some(value) => {
                transaction.execute_typed(PUT, &[tenant, key, (value as _, Type::TEXT)]).await?
            }
            None => transaction.execute_typed(REMOVE, &[tenant, key]).await?,
        };
    }
    Ok(())
}

/// Who uses a database, and who holds what in it.
///
/// # Errors
/// It cannot be read, or has no tables of this version.
pub fn members(server: &Arc<Server>) -> Result<Members, StoreError> {
    const MEMBERS: &str = "
        SELECT m.name, (extract(epoch FROM m.since) * 1000)::bigint, clock_timestamp() < m.until,
            m.shares, m.tenants_max,
            (SELECT count(*) FROM m365_audit_lease l
                WHERE l.holder = m.id AND clock_timestamp() < l.until)
        FROM m365_audit_member m ORDER BY m.name, m.since";
    const TENANTS: &str = "
        SELECT l.tenant, CASE WHEN clock_timestamp() < l.until THEN coalesce(m.name, l.holder) END,
            (extract(epoch FROM l.since) * 1000)::bigint, l.epoch
        FROM m365_audit_lease l LEFT JOIN m365_audit_member m ON m.id = l.holder
        ORDER BY l.tenant";
    const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    ask(server, async |client| {
        let now = client.query_typed_one(NOW, &[]).await?.get(0);
        let mut all = Members { now, ..Members::default() };
        if !is_there(client).await? {
            return Ok(all);
        }
        let member = |row: &tokio_postgres::Row| Member {
            name: row.get(0),
            since: row.get(1),
            is_alive: row.get(2),
            shares: row.get(3),
            tenants_max: row.get(4),
            tenants: row.get(5),
        };
        let tenant = |row: &tokio_postgres::Row| HeldTenant {
            tenant: row.get(0),
            holder: row.get(1),
            since: row.get(2),
            epoch: row.get(3),
        };
        all.members = client.query_typed(MEMBERS, &[]).await?.iter().map(member).collect();
        all.tenants = client.query_typed(TENANTS, &[]).await?.iter().map(tenant).collect();
        Ok(all)
    })
}
