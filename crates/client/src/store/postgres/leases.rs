//! The leases of this process: which tenants are its own, by which epoch, and until when. An epoch
//! is the fence: it counts up with every run of a tenant, wherever it is, and a commit of an
//! earlier one is not stored, however late it arrives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::trouble::Trouble;

/// What becomes of a lease that is taken for another run.
macro_rules! taken {
    () => {
        "holder = $2,
        epoch = l.epoch + 1,
        until = clock_timestamp() + $3 * interval '1 second',
        since = CASE WHEN l.holder = $2 THEN l.since ELSE clock_timestamp() END,
        wanted = CASE WHEN l.wanted = $2 THEN NULL ELSE l.wanted END"
    };
}

/// Those whose epoch is still ours, locked in one order, as a commit locks them.
macro_rules! ours {
    () => {
        "(
        SELECT l.tenant FROM m365_audit_lease l
        JOIN unnest($1::text[], $2::bigint[]) AS o (tenant, epoch)
            ON l.tenant = o.tenant AND l.epoch = o.epoch
        WHERE l.holder = $3
        ORDER BY l.tenant FOR NO KEY UPDATE OF l
    )"
    };
}

/// Takes a tenant, or begins another run of one that is ours.
const CLAIM: &str = concat!(
    "
    INSERT INTO m365_audit_lease AS l (tenant, holder, epoch, until, since)
    VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 second', clock_timestamp())
    ON CONFLICT (tenant) DO UPDATE SET
        ",
    taken!(),
    "
    WHERE l.holder = $2 OR l.until <= clock_timestamp()
    RETURNING epoch",
);

/// Takes those that are free.
const CLAIM_MANY: &str = concat!(
    "
    WITH free AS (
        SELECT tenant FROM m365_audit_lease
        WHERE tenant = ANY($1) AND (holder = $2 OR until <= clock_timestamp())
        ORDER BY tenant FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE m365_audit_lease l SET
        ",
    taken!(),
    "
    FROM free WHERE l.tenant = free.tenant
    RETURNING l.tenant, l.epoch",
);

/// Rows for tenants that nobody has ever had.
const KNOW: &str = "
    INSERT INTO m365_audit_lease (tenant, holder, epoch, until, since)
    SELECT tenant, '', 0, '-infinity', clock_timestamp() FROM unnest($1::text[]) AS t (tenant)
    ON CONFLICT DO NOTHING";

/// Who has it.
const HOLDER: &str = "
    SELECT coalesce(m.name, l.holder) FROM m365_audit_lease l
    LEFT JOIN m365_audit_member m ON m.id = l.holder
    WHERE l.tenant = $1 AND clock_timestamp() < l.until";

/// Lets go of some: others may take them at once.
const RELEASE: &str = concat!(
    "
    WITH gone AS ",
    ours!(),
    "
    UPDATE m365_audit_lease l SET until = '-infinity', holder = ''
    FROM gone WHERE l.tenant = gone.tenant",
);

/// Keeps those whose epoch is still ours.
const RENEW: &str = concat!(
    "
    WITH ours AS ",
    ours!(),
    "
    UPDATE m365_audit_lease l SET until = clock_timestamp() + $4 * interval '1 second'
    FROM ours WHERE l.tenant = ours.tenant
    RETURNING l.tenant, l.epoch",
);

/// One that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    epoch: i64,
    /// By this machine's monotonic clock, from before it was asked for: never later than by the
    /// server's.
    until: Instant,
}

/// How a claim ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Ours,
    /// Of this one.
    Elsewhere(String),
}

/// What this process holds in one database.
#[derive(Debug)]
pub(super) struct Leases {
    /// Names this process among all that there ever were.
    pub(super) me: Box<str>,
    pub(super) lease: Duration,
    held: Mutex<HashMap<Arc<str>, Held>>,
}

impl Leases {
    pub(super) fn new(me: Box<str>, lease: Duration) -> Self {
        Self { me, lease, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Arc<str>, Held>> {
        // Every change of it is whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch by which a tenant is ours; `None`: it is not, or has been for too long.
    pub(super) fn epoch(&self, tenant: &str) -> Option<i64> {
        let now = Instant::now();
        self.held().get(tenant).filter(|held| now < held.until).map(|held| held.epoch)
    }

    /// How many are ours.
    pub(super) fn count(&self) -> usize {
        self.held().len()
    }

    /// Whether it is among ours, its time over or not.
    pub(super) fn has(&self, tenant: &str) -> bool {
        self.held().contains_key(tenant)
    }

    /// Forgets one, if it is still held by this epoch. Answers whether it was.
    pub(super) fn forget(&self, tenant: &str, epoch: i64) -> bool {
        let mut held = self.held();
        let is_it = held.get(tenant).is_some_and(|held| held.epoch == epoch);
        is_it && held.remove(tenant).is_some()
    }

    /// Takes a tenant for another run.
    pub(super) async fn claim(&self, client: &Client, tenant: &str) -> Result<Claim, Trouble> {
        let until = Instant::now() + self.lease;
        let (me, seconds) = (&*self.me, self.lease.as_secs_f64());
        let rows = client
            .query_typed(
                CLAIM,
                &[(&tenant, Type::TEXT), (&me, Type::TEXT), (&seconds, Type::FLOAT8)],
            )
            .await?;
        if let Some(row) = rows.first() {
            self.held().insert(tenant.into(), Held { epoch: row.get(0), until });
            return Ok(Claim::Ours);
        }
        self.held().remove(tenant);
        Ok(Claim::Elsewhere(holder(client, tenant).await?))
    }

    /// Takes those that are free, and names them.
    pub(super) async fn claim_many(
        &self,
        client: &Client,
        tenants: &[Arc<str>],
    ) -> Result<Vec<Arc<str>>, Trouble> {
        if tenants.is_empty() {
            return Ok(Vec::new());
        }
        let until = Instant::now() + self.lease;
        let (me, seconds) = (&*self.me, self.lease.as_secs_f64());
        let names: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
        let rows = client
            .query_typed(
                CLAIM_MANY,
                &[(&names, Type::TEXT_ARRAY), (&me, Type::TEXT), (&seconds, Type::FLOAT8)],
            )
            .await?;
        let mut held = self.held();
        let claimed = rows.iter().map(|row| {
            let tenant: Arc<str> = row.get::<_, &str>(0).into();
            held.insert(Arc::clone(&tenant), Held { epoch: row.get(1), until });
            tenant
        });
        Ok(claimed.collect())
    }

    /// Keeps all, and forgets those that were lost.
    pub(super) async fn renew(&self, client: &Client) -> Result<(), Trouble> {
        let until = Instant::now() + self.lease;
        let asked: Vec<(Arc<str>, i64)> = {
            let held = self.held();
            held.iter().map(|(tenant, held)| (Arc::clone(tenant), held.epoch)).collect()
        };
        if asked.is_empty() {
            return Ok(());
        }
        let (names, epochs): (Vec<&str>, Vec<i64>) =
            asked.iter().map(|(tenant, epoch)| (&**tenant, *epoch)).unzip();
        let (me, seconds) = (&*self.me, self.lease.as_secs_f64());
        let rows = client
            .query_typed(
                RENEW,
                &[
                    (&names, Type::TEXT_ARRAY),
                    (&epochs, Type::INT8_ARRAY),
                    (&me, Type::TEXT),
                    (&seconds, Type::FLOAT8),
                ],
            )
            .await?;
        let kept: HashMap<&str, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let mut held = self.held();
        for (tenant, epoch) in asked {
            let Some(own) = held.get_mut(&tenant).filter(|own| own.epoch == epoch) else {
                // Another run has begun meanwhile, or it was let go of.
                continue;
            };
            if kept.get(&*tenant) == Some(&epoch) {
                own.until = own.until.max(until);
            } else {
                held.remove(&tenant);
            }
        }
        Ok(())
    }

    /// Lets go of these, by the epochs that they were left with. Those that cannot be told to the
    /// database end there by themselves.
    pub(super) async fn release(
        &self,
        client: &Client,
        left: &[(Arc<str>, i64)],
    ) -> Result<(), Trouble> {
        if left.is_empty() {
            return Ok(());
        }
        let (names, epochs): (Vec<&str>, Vec<i64>) =
            left.iter().map(|(tenant, epoch)| (&**tenant, *epoch)).unzip();
        let me = &*self.me;
        client
            .execute_typed(
                RELEASE,
                &[(&names, Type::TEXT_ARRAY), (&epochs, Type::INT8_ARRAY), (&me, Type::TEXT)],
            )
            .await?;
        Ok(())
    }

    /// All that are ours.
    pub(super) fn all(&self) -> Vec<Arc<str>> {
        self.held().keys().cloned().collect()
    }

    /// Forgets one, so that nothing is committed by it any more. Answers the epoch to let go of.
    pub(super) fn leave(&self, tenant: &str) -> Option<i64> {
        self.held().remove(tenant).map(|held| held.epoch)
    }

    /// Forgets all, likewise.
    pub(super) fn leave_all(&self) -> Vec<(Arc<str>, i64)> {
        self.held().drain().map(|(tenant, held)| (tenant, held.epoch)).collect()
    }
}

/// Sees to it that there is a row for each.
pub(super) async fn know(client: &Client, tenants: &[Arc<str>]) -> Result<(), Trouble> {
    let names: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
    client.execute_typed(KNOW, &[(&names, Type::TEXT_ARRAY)]).await?;
    Ok(())
}

/// Who has a tenant at present.
pub(super) async fn holder(client: &Client, tenant: &str) -> Result<String, Trouble> {
    let rows = client.query_typed(HOLDER, &[(&tenant, Type::TEXT)]).await?;
    Ok(rows.first().map_or_else(|| "somebody who has just left".into(), |row| row.get(0)))
}
