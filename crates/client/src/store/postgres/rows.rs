//! The states of many tenants as rows: what one group of commits changes is one statement, which
//! proves for each tenant that its epoch is ours. One statement, because a process that is stopped
//! in the middle of several would hold its locks until it goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use m365_audit_core::{Stored, is_past};
use tokio::runtime::Handle;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::super::error::StoreError;
use super::super::group::{Backend, Change};
use super::super::holdings::Proof;
use super::leases::{Claim, Leases, holder};
use super::link::Link;
use super::server::Server;
use super::trouble::Trouble;

const OF_TENANT: &str = "SELECT key, value FROM m365_audit_state WHERE tenant = $1";

const KEYS: &str = "
    SELECT tenant, key FROM m365_audit_state
    WHERE tenant = ANY($1) AND $2 <= key AND key < $2 || chr(127)
    ORDER BY key";

/// How long it holds which keys there are: each tenant asks every quarter of a minute, and all of
/// them are answered by one question.
const KEYS_HOLD: Duration = Duration::from_secs(5);

/// Stores what belongs to tenants that are held, on top of what they have committed before, and
/// names those.
///
/// Who takes a lease over waits for the lock on it, and who was faster is seen, for a row that is
/// waited for is looked at anew.
const COMMIT: &str = "
    WITH held AS (
        SELECT l.tenant FROM m365_audit_lease l
        JOIN unnest($1::text[], $2::bigint[], $9::bigint[]) AS o (tenant, epoch, commits)
            ON l.tenant = o.tenant AND l.epoch = o.epoch AND l.commits = o.commits
        WHERE l.holder = $3
        ORDER BY l.tenant FOR NO KEY UPDATE OF l
    ), counted AS (
        UPDATE m365_audit_lease l SET commits = l.commits + 1
        FROM held WHERE l.tenant = held.tenant
    ), put AS (
        INSERT INTO m365_audit_state (tenant, key, value)
        SELECT c.tenant, c.key, c.value
        FROM unnest($4::text[], $5::text[], $6::text[]) AS c (tenant, key, value)
        JOIN held ON held.tenant = c.tenant
        ON CONFLICT (tenant, key) DO UPDATE SET value = EXCLUDED.value
    ), gone AS (
        DELETE FROM m365_audit_state s
        USING unnest($7::text[], $8::text[]) AS d (tenant, key), held
        WHERE s.tenant = d.tenant AND s.key = d.key AND held.tenant = d.tenant
    )
    SELECT tenant FROM held";

type Results = Vec<Result<(), StoreError>>;

/// The writer's connection.
#[derive(Debug)]
pub(super) struct Rows {
    server: Arc<Server>,
    runtime: Handle,
    leases: Arc<Leases>,
    link: RefCell<Link>,
    /// By the prefix that was asked for.
    keys: RefCell<HashMap<String, Keys>>,
}

/// The keys of all tenants that are held.
#[derive(Debug)]
struct Keys {
    read: Instant,
    of: HashMap<String, Vec<String>>,
}

impl Rows {
    pub(super) fn new(server: Arc<Server>, runtime: Handle, leases: Arc<Leases>) -> Self {
        let link = RefCell::new(Link::new(Arc::clone(&server)));
        Self { server, runtime, leases, link, keys: RefCell::default() }
    }

    fn ask<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut link = self.link.borrow_mut();
        self.runtime.block_on(link.with(work))
    }

    /// Which keys there are, of all tenants that are held.
    fn read_keys(&self, tenant: &str, prefix: &str) -> Result<Keys, Trouble> {
        let held = self.leases.holdings().all();
        let mut tenants: Vec<&str> = held.iter().map(|tenant| &**tenant).collect();
        tenants.push(tenant);
        let read = Instant::now();
        let rows = self.ask(async |client| {
            let names = (&tenants as _, Type::TEXT_ARRAY);
            Ok(client.query_typed(KEYS, &[names, (&prefix, Type::TEXT)]).await?)
        })?;
        // Those without keys have been looked at as well.
        let looked_at = tenants.into_iter().map(|tenant| (tenant.to_owned(), Vec::new()));
        let mut of: HashMap<String, Vec<String>> = looked_at.collect();
        for row in &rows {
            of.entry(row.get(0)).or_default().push(row.get(1));
        }
        Ok(Keys { read, of })
    }

    /// What is committed may be such keys.
    fn forget_keys(&self, group: &[Change]) {
        let mut known = self.keys.borrow_mut();
        for change in group {
            for (prefix, keys) in known.iter_mut() {
                if change.commit.changes.keys().any(|key| key.starts_with(&**prefix)) {
                    keys.of.remove(&*change.tenant);
                }
            }
        }
    }

    fn place(&self) -> PathBuf {
        self.server.to_string().into()
    }

    /// Each alone or together, with what the database says of whole.
    fn store(&self, group: &[Change]) -> Result<Results, Trouble> {
        let rows = Changed::of(group, &self.leases);
        let held: HashSet<String> = if rows.proofs.is_empty() {
            HashSet::new()
        } else {
            self.ask(async |client| rows.store(client, &self.leases.me).await)?
        };
        let mut holdings = self.leases.holdings();
        for (tenant, proof) in rows.proofs.iter().filter(|(tenant, _)| held.contains(**tenant)) {
            holdings.committed(tenant, *proof);
        }
        drop(holdings);
        Ok(group.iter().map(|change| self.judge(change, &rows, &held)).collect())
    }

    fn judge(
        &self,
        change: &Change,
        rows: &Changed<'_>,
        held: &HashSet<String>,
    ) -> Result<(), StoreError> {
        let tenant = &*change.tenant;
        if held.contains(tenant) {
            return Ok(());
        }
        let Some(Proof { epoch, .. }) = rows.proofs.get(tenant).copied() else {
            return Err(StoreError::LeaseEnded { path: self.place(), tenant: tenant.into() });
        };
        self.leases.holdings().forget(tenant, epoch);
        let holder = self.ask(async |client| holder(client, tenant).await);
        if holder.as_ref().is_ok_and(|holder| holder.is(&self.leases.me, epoch)) {
            return Err(StoreError::WentBack { path: self.place(), tenant: tenant.into() });
        }
        let by = holder.map_or_else(|_| "somebody".into(), |holder| holder.by);
        Err(StoreError::Lost { path: self.place(), tenant: tenant.into(), epoch, by })
    }
}

impl Backend for Rows {
    /// Begins a run: whatever an earlier one has sent, and the database has not seen yet, is not
    /// stored any more. What it has stored is in what is read here.
    fn load(&self, tenant: &str) -> Result<Stored, StoreError> {
        let claimed = self.ask(async |client| {
            let claim = self.leases.claim(client, tenant).await?;
            let Claim::Ours = claim else { return Ok((claim, Stored::new())) };
            let rows = client.query_typed(OF_TENANT, &[(&tenant, Type::TEXT)]).await?;
            let pairs = rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1)));
            Ok((claim, pairs.filter(|(key, value)| !is_past(key, value)).collect()))
        });
        match claimed.map_err(|trouble| trouble.explain(&self.server))? {
            (Claim::Ours, stored) => Ok(stored),
            (Claim::Elsewhere(by), _) => {
                Err(StoreError::Held { path: self.place(), tenant: tenant.into(), by })
            }
        }
    }

    fn keys_below(&self, tenant: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
        if let Some(known) = self.keys.borrow().get(prefix)
            && known.read.elapsed() < KEYS_HOLD
            && let Some(keys) = known.of.get(tenant)
        {
            return Ok(keys.clone());
        }
        let read = self.read_keys(tenant, prefix);
        let read = read.map_err(|trouble| trouble.explain(&self.server))?;
        let keys = read.of.get(tenant).cloned().unwrap_or_default();
        self.keys.borrow_mut().insert(prefix.into(), read);
        Ok(keys)
    }

    /// If all cannot be stored together for what one of them says, each is tried alone. If nobody
    /// knows whether they were stored, none is tried again: each tenant begins another run.
    fn commit(&mut self, group: &[Change]) -> Results {
        self.forget_keys(group);
        let trouble = match self.store(group) {
            Ok(results) => return results,
            Err(trouble) => trouble,
        };
        let about_data = trouble.is_about_data();
        let error = trouble.explain(&self.server);
        if group.len() < 2 || !about_data {
            return group.iter().map(|_| Err(error.clone())).collect();
        }
        let alone = |change| match self.store(std::slice::from_ref(change)) {
            Ok(mut results) => results.pop().unwrap_or(Ok(())),
            Err(trouble) => Err(trouble.explain(&self.server)),
        };
        group.iter().map(alone).collect()
    }
}

/// What a group changes. Of a key that is changed twice the later change counts.
#[derive(Debug, Default)]
struct Changed<'a> {
    proofs: BTreeMap<&'a str, Proof>,
    rows: BTreeMap<(&'a str, &'a str), Option<&'a str>>,
}

impl<'a> Changed<'a> {
    fn of(group: &'a [Change], leases: &Leases) -> Self {
        let mut all = Self::default();
        for change in group {
            let tenant = &*change.tenant;
            let Some(proof) = leases.proof(tenant) else { continue };
            all.proofs.insert(tenant, proof);
            let changes = &change.commit.changes;
            all.rows.extend(
                changes.iter().map(|(key, value)| ((tenant, key.as_str()), value.as_deref())),
            );
        }
        all
    }

    /// Stores it, and names the tenants that were held.
    async fn store(&self, client: &Client, me: &str) -> Result<HashSet<String>, Trouble> {
        let (tenants, proofs): (Vec<&str>, Vec<Proof>) = self.proofs.iter().unzip();
        let (epochs, commits): (Vec<i64>, Vec<i64>) =
            proofs.iter().map(|proof| (proof.epoch, proof.commits)).unzip();
        let (mut put, mut gone) = ((vec![], vec![], vec![]), (vec![], vec![]));
        for ((tenant, key), value) in &self.rows {
            if let Some(value) = value {
                put.0.push(*tenant);
                put.1.push(*key);
                put.2.push(*value);
            } else {
                gone.0.push(*tenant);
                gone.1.push(*key);
            }
        }
        let held = client
            .query_typed(
                COMMIT,
                &[
                    (&tenants, Type::TEXT_ARRAY),
                    (&epochs, Type::INT8_ARRAY),
                    (&me, Type::TEXT),
                    (&put.0, Type::TEXT_ARRAY),
                    (&put.1, Type::TEXT_ARRAY),
                    (&put.2, Type::TEXT_ARRAY),
                    (&gone.0, Type::TEXT_ARRAY),
                    (&gone.1, Type::TEXT_ARRAY),
                    (&commits, Type::INT8_ARRAY),
                ],
            )
            .await?;
        Ok(held.iter().map(|row| row.get(0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use m365_audit_core::Commit;
    use m365_audit_test_support::postgres;
    use m365_audit_world::{Claimant, Database, Draw};

    use super::super::super::DbOptions;
    use super::*;

    #[test]
    fn one_question_answers_for_all_tenants_and_what_is_committed_is_seen() {
        let Some(server) = postgres::shared() else { return };
        let options = DbOptions::of_text(&server.url(&server.database())).unwrap();
        let server = options.server.unwrap();
        let runtime = super::super::link::runtime().unwrap();
        let leases = Arc::new(Leases::new("me".into(), server.lease));
        let mut rows = Rows::new(server, runtime.handle().clone(), leases);
        let change = |tenant: &str, value: Option<&str>| Change {
            tenant: tenant.into(),
            commit: Commit { changes: [("a/1".to_owned(), value.map(str::to_owned))].into() },
        };
        for tenant in ["one", "two"] {
            rows.load(tenant).unwrap();
            assert!(rows.commit(&[change(tenant, Some("x"))])[0].is_ok());
        }
        assert_eq!(rows.keys_below("one", "a/").unwrap(), ["a/1"]);
        // Both have been asked about: the other one's answer is not asked for again.
        assert!(rows.keys.borrow()["a/"].of.contains_key("two"));
        assert_eq!(rows.keys_below("two", "a/").unwrap(), ["a/1"]);
        assert!(rows.commit(&[change("two", None)])[0].is_ok());
        assert!(rows.keys_below("two", "a/").unwrap().is_empty());
        assert_eq!(rows.keys_below("one", "a/").unwrap(), ["a/1"]);
    }

    #[test]
    fn what_an_earlier_run_has_sent_is_not_stored_however_late_it_arrives() {
        let Some(server) = postgres::shared() else { return };
        let options = DbOptions::of_text(&server.url(&server.database())).unwrap();
        let server = options.server.unwrap();
        let runtime = super::super::link::runtime().unwrap();
        let leases = Arc::new(Leases::new("me".into(), server.lease));
        let mut rows = Rows::new(server, runtime.handle().clone(), Arc::clone(&leases));
        let change = |value: &str| Change {
            tenant: "tenant".into(),
            commit: Commit { changes: [("key".to_owned(), Some(value.to_owned()))].into() },
        };
        assert_eq!(rows.load("tenant").unwrap(), Stored::new());
        // On its way, while the connection breaks and another run begins.
        let group = [change("late")];
        let late = Changed::of(&group, &leases);
        assert_eq!(rows.load("tenant").unwrap(), Stored::new());
        assert!(rows.commit(&[change("new")])[0].is_ok());
        let stored = rows.ask(async |client| late.store(client, "me").await).unwrap();
        assert!(stored.is_empty(), "{stored:?}");
        assert_eq!(rows.load("tenant").unwrap()["key"], "new");
    }

    /// One process on the real database, as the simulation has it on its own.
    struct Process {
        leases: Arc<Leases>,
        rows: Rows,
    }

    impl Process {
        fn commit(&self, proof: Proof, key: &str, value: &str) -> bool {
            let proofs = [("tenant", proof)].into();
            let changed = Changed { proofs, rows: [(("tenant", key), Some(value))].into() };
            let me = &*self.leases.me;
            let held = self.rows.ask(async |client| changed.store(client, me).await);
            held.unwrap().contains("tenant")
        }

        fn renew(&self) {
            self.rows.ask(async |client| self.leases.renew(client).await).unwrap();
        }

        fn release(&self, epoch: i64) {
            let left = [("tenant".into(), epoch)];
            self.rows.ask(async |client| self.leases.release(client, &left).await).unwrap();
        }

        fn stored(&self) -> Stored {
            let rows = self.rows.ask(async |client| {
                Ok(client.query_typed(OF_TENANT, &[(&"tenant", Type::TEXT)]).await?)
            });
            rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
        }
    }

    #[test]
    fn postgresql_does_what_the_simulation_takes_it_to_do() {
        const LEASE: Duration = Duration::from_secs(100_000);
        let lease_ms = i64::try_from(LEASE.as_millis()).unwrap();
        let Some(server) = postgres::shared() else { return };
        let name = server.database();
        let options = DbOptions::of_text(&server.url(&name)).unwrap();
        let db = options.server.unwrap();
        let runtime = super::super::link::runtime().unwrap();
        let all = ["a", "b"].map(|me| {
            let leases = Arc::new(Leases::new(me.into(), LEASE));
            let handle = runtime.handle().clone();
            Process { rows: Rows::new(Arc::clone(&db), handle, Arc::clone(&leases)), leases }
        });
        let (mut model, mut draw) = (Database::new(Stored::new()), Draw::new(15));
        let mut proofs: Vec<(usize, Proof)> = Vec::new();
        let mut counts = [0; 6];
        for step in 0..300 {
            let what = draw.pick(&[0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 5]);
            let n = usize::from(draw.chance(500));
            let (process, me) = (&all[n], ["a", "b"][n]);
            // Mostly the last ones, now and then one that is long over.
            let back = usize::try_from(draw.next() % 3 * (draw.next() % 4)).unwrap();
            let known = proofs.len().checked_sub(1 + back).map(|at| proofs[at]);
            let happened = match (what, known) {
                (0, _) => {
                    let claimed = model.claim(0, me, lease_ms);
                    let stored = process.rows.load("tenant");
                    assert_eq!(stored.is_ok(), claimed.is_some(), "{step}: {stored:?}");
                    let now = process.leases.now();
                    let own = process.leases.holdings().proof("tenant", now);
                    let proof = |run: &Claimant| Proof { epoch: run.epoch, commits: run.commits };
                    assert_eq!(own, claimed.as_ref().map(proof), "{step}");
                    proofs.extend(own.map(|own| (n, own)));
                    claimed.is_some()
                }
                (1, Some((n, proof))) => {
                    let Proof { epoch, commits } = proof;
                    let run = Claimant { holder: ["a", "b"][n].into(), epoch, commits };
                    let (key, value) = (format!("k{}", step % 7), step.to_string());
                    let changes = [(key.clone(), Some(value.clone()))].into();
                    let stored = model.commit(&run, &Commit { changes });
                    assert_eq!(all[n].commit(proof, &key, &value), stored, "{step}: {run:?}");
                    proofs.extend(stored.then_some((n, Proof { commits: commits + 1, epoch })));
                    stored
                }
                (2, _) => {
                    let asked = process.leases.holdings().to_renew();
                    let kept = asked.iter().any(|(_, epoch)| model.renew(0, me, *epoch, lease_ms));
                    process.renew();
                    assert_eq!(process.leases.holdings().has("tenant"), kept, "{step}");
                    kept
                }
                (3, Some((n, proof))) => {
                    model.release(["a", "b"][n], proof.epoch);
                    all[n].release(proof.epoch);
                    true
                }
                (4, _) => {
                    model.expire();
                    server.sql(&name, "UPDATE m365_audit_lease SET until = '-infinity'");
                    true
                }
                (5, Some(_)) => {
                    // What a replica has; from then on until the next one, or it takes over.
                    if model.promote(0) {
                        server.sql(
                            &name,
                            "DELETE FROM m365_audit_state; DELETE FROM m365_audit_lease; \
                             INSERT INTO m365_audit_state TABLE had_state; \
                             INSERT INTO m365_audit_lease TABLE had_lease; \
                             DROP TABLE had_state; DROP TABLE had_lease",
                        );
                    } else {
                        model.copy(0);
                        server.sql(
                            &name,
                            "CREATE TABLE had_state AS TABLE m365_audit_state; \
                             CREATE TABLE had_lease AS TABLE m365_audit_lease",
                        );
                    }
                    true
                }
                _ => false,
            };
            counts[what] += usize::from(happened);
            assert_eq!(process.stored(), model.stored, "{step}");
        }
        assert!(counts.iter().all(|count| 2 < *count), "{counts:?}");
    }
}
