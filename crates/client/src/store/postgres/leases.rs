//! The leases of this process in the database. An epoch is the fence: it counts up with every run
//! of a tenant, wherever it is, and a commit of an earlier one is not stored, however late it
//! arrives.
//! What follows from the answers, [`Holdings`] decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::super::holdings::{Holdings, Proof};
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
    RETURNING epoch, commits",
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
    RETURNING l.tenant, l.epoch, l.commits",
);

/// Rows for tenants that nobody has ever had.
const KNOW: &str = "
    INSERT INTO m365_audit_lease (tenant, holder, epoch, until, since)
    SELECT tenant, '', 0, '-infinity', clock_timestamp() FROM unnest($1::text[]) AS t (tenant)
    ON CONFLICT DO NOTHING";

/// Who has it, by which run.
const HOLDER: &str = "
    SELECT coalesce(m.name, l.holder), l.holder, l.epoch FROM m365_audit_lease l
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
    began: Instant,
    holdings: Mutex<Holdings>,
}

impl Leases {
    pub(super) fn new(me: Box<str>, lease: Duration) -> Self {
        let holdings = Mutex::new(Holdings::new(lease));
        Self { me, lease, began: Instant::now(), holdings }
    }

    pub(super) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        // Every change of it is whole.
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the clock of the holdings.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// What proves that a tenant is ours; `None`: it is not, or has been for too long.
    pub(super) fn proof(&self, tenant: &str) -> Option<Proof> {
        let now = self.now();
        self.holdings().proof(tenant, now)
    }

    /// Takes a tenant for another run.
    pub(super) async fn claim(&self, client: &Client, tenant: &str) -> Result<Claim, Trouble> {
        let asked = self.now();
        let (me, seconds) = (&*self.me, self.lease.as_secs_f64());
        let rows = client
            .query_typed(
                CLAIM,
                &[(&tenant, Type::TEXT), (&me, Type::TEXT), (&seconds, Type::FLOAT8)],
            )
            .await?;
        if let Some(row) = rows.first() {
            let proof = Proof { epoch: row.get(0), commits: row.get(1) };
            self.holdings().claimed(tenant.into(), proof, asked);
            return Ok(Claim::Ours);
        }
        self.holdings().leave(tenant);
        Ok(Claim::Elsewhere(holder(client, tenant).await?.by))
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
        let asked = self.now();
        let (me, seconds) = (&*self.me, self.lease.as_secs_f64());
        let names: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
        let rows = client
            .query_typed(
                CLAIM_MANY,
                &[(&names, Type::TEXT_ARRAY), (&me, Type::TEXT), (&seconds, Type::FLOAT8)],
            )
            .await?;
        let mut holdings = self.holdings();
        let claimed = rows.iter().map(|row| {
            let tenant: Arc<str> = row.get::<_, &str>(0).into();
            let proof = Proof { epoch: row.get(1), commits: row.get(2) };
            holdings.claimed(Arc::clone(&tenant), proof, asked);
            tenant
        });
        Ok(claimed.collect())
    }

    /// Keeps all, and forgets those that were lost.
    pub(super) async fn renew(&self, client: &Client) -> Result<(), Trouble> {
        let asked = self.now();
        let asked_for = self.holdings().to_renew();
        if asked_for.is_empty() {
            return Ok(());
        }
        let (names, epochs): (Vec<&str>, Vec<i64>) =
            asked_for.iter().map(|(tenant, epoch)| (&**tenant, *epoch)).unzip();
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
        self.holdings().renewed(&asked_for, &kept, asked);
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
}

/// Sees to it that there is a row for each.
pub(super) async fn know(client: &Client, tenants: &[Arc<str>]) -> Result<(), Trouble> {
    let names: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
    client.execute_typed(KNOW, &[(&names, Type::TEXT_ARRAY)]).await?;
    Ok(())
}

/// Who has a tenant at present.
#[derive(Debug, Default)]
pub(super) struct Holder {
    /// What it is called.
    pub(super) by: String,
    id: String,
    epoch: i64,
}

impl Holder {
    /// Whether it is this run of this process.
    pub(super) fn is(&self, me: &str, epoch: i64) -> bool {
        self.id == me && self.epoch == epoch
    }
}

pub(super) async fn holder(client: &Client, tenant: &str) -> Result<Holder, Trouble> {
    let rows = client.query_typed(HOLDER, &[(&tenant, Type::TEXT)]).await?;
    Ok(rows.first().map_or_else(
        || Holder { by: "somebody who has just left".into(), ..Holder::default() },
        |row| Holder { by: row.get(0), id: row.get(1), epoch: row.get(2) },
    ))
}
