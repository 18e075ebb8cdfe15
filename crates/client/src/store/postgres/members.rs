//! Which processes share the tenants, and which of them a tenant belongs to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::trouble::Trouble;

/// Says that this process is alive.
const BEAT: &str = "
    INSERT INTO m365_audit_member AS m (id, name, until, since, shares, room, tenants_max)
    VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second', clock_timestamp(), $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET
        until = EXCLUDED.until, shares = EXCLUDED.shares, room = EXCLUDED.room";

/// Takes its leave, and forgets those that died long ago.
const LEAVE: &str = "
    DELETE FROM m365_audit_member
    WHERE id = $1 OR until < clock_timestamp() - interval '1 day'";

const SHARERS: &str = "
    SELECT id, name, shares, room FROM m365_audit_member
    WHERE shares IS NOT NULL AND clock_timestamp() < until";

const LEASES: &str = "
    SELECT tenant, holder, until <= clock_timestamp(), wanted FROM m365_audit_lease
    WHERE tenant = ANY($1)";

const WANT: &str = "
    WITH wanted AS (
        SELECT tenant FROM m365_audit_lease
        WHERE tenant = ANY($1) AND holder <> $2 AND wanted IS DISTINCT FROM $2
        ORDER BY tenant FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE m365_audit_lease l SET wanted = $2 FROM wanted WHERE l.tenant = wanted.tenant";

/// A process that shares tenants with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sharer {
    pub(super) id: Box<str>,
    pub(super) name: Box<str>,
    /// Tells one tenants file from another.
    pub(super) shares: Box<str>,
    /// Whether it takes further tenants.
    pub(super) room: bool,
}

/// What a process says of itself.
#[derive(Debug)]
pub(super) struct Beat<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) lease: Duration,
    pub(super) shares: Option<&'a str>,
    pub(super) room: bool,
    pub(super) tenants_max: Option<i64>,
}

impl Beat<'_> {
    pub(super) async fn tell(&self, client: &Client) -> Result<(), Trouble> {
        let seconds = self.lease.as_secs_f64();
        client
            .execute_typed(
                BEAT,
                &[
                    (&self.id, Type::TEXT),
                    (&self.name, Type::TEXT),
                    (&seconds, Type::FLOAT8),
                    (&self.shares, Type::TEXT),
                    (&self.room, Type::BOOL),
                    (&self.tenants_max, Type::INT8),
                ],
            )
            .await?;
        Ok(())
    }
}

pub(super) async fn leave(client: &Client, id: &str) -> Result<(), Trouble> {
    client.execute_typed(LEAVE, &[(&id, Type::TEXT)]).await?;
    Ok(())
}

/// Asks for tenants that others hold.
pub(super) async fn want(client: &Client, me: &str, tenants: &[Arc<str>]) -> Result<(), Trouble> {
    if tenants.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
    client.execute_typed(WANT, &[(&names, Type::TEXT_ARRAY), (&me, Type::TEXT)]).await?;
    Ok(())
}

/// How it stands in the database.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) sharers: Vec<Sharer>,
    /// Who holds a tenant; `None`: nobody.
    pub(super) holders: HashMap<Arc<str>, Option<Box<str>>>,
    /// Tenants that somebody asks for, and who.
    pub(super) wanted: Vec<(Arc<str>, Box<str>)>,
}

pub(super) async fn view(client: &Client, tenants: &[Arc<str>]) -> Result<View, Trouble> {
    let mut view = View::default();
    for row in client.query_typed(SHARERS, &[]).await? {
        view.sharers.push(Sharer {
            id: row.get::<_, &str>(0).into(),
            name: row.get::<_, &str>(1).into(),
            shares: row.get::<_, &str>(2).into(),
            room: row.get(3),
        });
    }
    let names: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
    for row in client.query_typed(LEASES, &[(&names, Type::TEXT_ARRAY)]).await? {
        let is_free: bool = row.get(2);
        let holder = (!is_free).then(|| row.get::<_, &str>(1).into());
        let tenant: Arc<str> = row.get::<_, &str>(0).into();
        if let Some(by) = row.get::<_, Option<&str>>(3) {
            view.wanted.push((Arc::clone(&tenant), by.into()));
        }
        view.holders.insert(tenant, holder);
    }
    Ok(view)
}

/// What a process does about the tenants that it knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Free, and next in turn.
    pub(super) claim: Vec<Arc<str>>,
    /// Held by somebody whom they belong to less.
    pub(super) want: Vec<Arc<str>>,
}

/// Decides what `me` does, which has `room` for so many more. `held` tells which it has. A tenant
/// that is free belongs to the one of those with room that has the highest number for it; each
/// further one waits for a turn of `patience` longer, so that a tenant that only some of them know
/// is taken by one of those.
pub(super) fn decide(
    me: &str,
    room: usize,
    view: &View,
    held: impl Fn(&str) -> bool,
    free_since: &mut HashMap<Arc<str>, Instant>,
    now: Instant,
    patience: Duration,
) -> Moves {
    let mut moves = Moves::default();
    free_since.retain(|tenant, _| matches!(view.holders.get(tenant), Some(None)));
    let mut tenants: Vec<_> = view.holders.iter().collect();
    tenants.sort_unstable();
    for (tenant, holder) in tenants {
        if held(tenant) || room <= moves.claim.len() + moves.want.len() {
            continue;
        }
        let own = number(me, tenant);
        let ahead = view
            .sharers
            .iter()
            .filter(|other| *other.id != *me && other.room && own < number(&other.id, tenant))
            .count();
        match holder {
            Some(holder) if **holder == *me => moves.claim.push(Arc::clone(tenant)),
            Some(holder) => {
                if ahead == 0 && number(holder, tenant) < own {
                    moves.want.push(Arc::clone(tenant));
                }
            }
            None => {
                let since = *free_since.entry(Arc::clone(tenant)).or_insert(now);
                let turn = patience.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX));
                if turn <= now.saturating_duration_since(since) {
                    moves.claim.push(Arc::clone(tenant));
                }
            }
        }
    }
    moves
}

/// Whether `me` gives a tenant to this one that asks for it.
pub(super) fn owes(me: &str, other: &Sharer, tenant: &str) -> bool {
    other.room && number(me, tenant) < number(&other.id, tenant)
}

/// The number that a process has for a tenant (rendezvous hashing): the same in every process, and
/// of another process's coming and going it does not change.
fn number(member: &str, tenant: &str) -> u64 {
    let digest = Sha256::new_with_prefix(member).chain_update([0]).chain_update(tenant).finalize();
    digest.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}

/// Tells one set of tenants from another.
pub(super) fn fingerprint(tenants: &[Arc<str>]) -> Box<str> {
    let mut sorted: Vec<&str> = tenants.iter().map(|tenant| &**tenant).collect();
    sorted.sort_unstable();
    let digest = Sha256::digest(sorted.join("\n"));
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{} tenants, {hex}", sorted.len()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(6);

    /// Some processes and tenants, without a database: what they decide is done at once.
    struct World {
        view: View,
        free_since: HashMap<Box<str>, HashMap<Arc<str>, Instant>>,
        now: Instant,
        moved: usize,
    }

    impl World {
        fn new(tenants: usize) -> Self {
            let tenant = |n: usize| (format!("tenant-{n}").into(), None);
            let holders = (0..tenants).map(tenant).collect();
            let view = View { holders, ..View::default() };
            Self { view, free_since: HashMap::new(), now: Instant::now(), moved: 0 }
        }

        fn join(&mut self, id: &str) {
            let (id, name) = (id.into(), id.into());
            self.view.sharers.push(Sharer { id, name, shares: "x".into(), room: true });
        }

        fn die(&mut self, id: &str) {
            self.view.sharers.retain(|sharer| *sharer.id != *id);
            for holder in self.view.holders.values_mut() {
                *holder = holder.take().filter(|holder| **holder != *id);
            }
        }

        fn held(&self, id: &str) -> HashSet<Arc<str>> {
            let is_its = |holder: &Option<Box<str>>| holder.as_deref() == Some(id);
            let holders = self.view.holders.iter();
            holders.filter(|(_, holder)| is_its(holder)).map(|(name, _)| Arc::clone(name)).collect()
        }

        /// Lets all decide once, `max` tenants each; then what is wanted is given.
        fn round(&mut self, max: usize, known: impl Fn(&str, &str) -> bool) {
            let mut wanted = Vec::new();
            for at in 0..self.view.sharers.len() {
                let me = self.view.sharers[at].id.clone();
                let held = self.held(&me);
                let mut view = View { sharers: self.view.sharers.clone(), ..View::default() };
                let all = self.view.holders.iter().filter(|(tenant, _)| known(&me, tenant));
                view.holders = all.map(|(name, who)| (Arc::clone(name), who.clone())).collect();
                let since = self.free_since.entry(me.clone()).or_default();
                let has = |tenant: &str| held.contains(tenant);
                let room = max.saturating_sub(held.len());
                let moves = decide(&me, room, &view, has, since, self.now, PATIENCE);
                self.moved += moves.claim.len();
                for tenant in moves.claim {
                    self.view.holders.insert(tenant, Some(me.clone()));
                }
                self.view.sharers[at].room = self.held(&me).len() < max;
                wanted.extend(moves.want.into_iter().map(|tenant| (tenant, me.clone())));
            }
            self.moved += wanted.len();
            for (tenant, by) in wanted {
                self.view.holders.insert(tenant, Some(by));
            }
            self.now += PATIENCE / 2;
        }

        fn settle(&mut self, max: usize) {
            (0..4).for_each(|_| self.round(max, |_, _| true));
        }
    }

    #[test]
    fn those_who_come_and_go_move_no_more_than_what_is_theirs() {
        let mut world = World::new(600);
        world.join("a");
        world.settle(1_000);
        assert_eq!(world.held("a").len(), 600);
        world.join("b");
        world.join("c");
        world.moved = 0;
        world.settle(1_000);
        let shares = ["a", "b", "c"].map(|id| world.held(id).len());
        assert!(shares.iter().all(|share| (150..250).contains(share)), "{shares:?}");
        assert_eq!(world.moved, shares[1] + shares[2], "nothing moves twice");
        let before = world.held("a");
        world.die("b");
        world.moved = 0;
        world.settle(1_000);
        assert_eq!(world.moved, shares[1]);
        assert!(before.is_subset(&world.held("a")));
        assert_eq!(world.held("a").len() + world.held("c").len(), 600);
    }

    #[test]
    fn nobody_takes_more_than_it_may_and_nothing_goes_to_and_fro() {
        let mut world = World::new(100);
        ["a", "b", "c"].iter().for_each(|id| world.join(id));
        world.settle(30);
        assert_eq!(["a", "b", "c"].map(|id| world.held(id).len()), [30, 30, 30]);
        world.moved = 0;
        world.settle(30);
        assert_eq!(world.moved, 0);
        world.join("d");
        world.settle(30);
        let held = ["a", "b", "c", "d"].map(|id| world.held(id).len());
        assert_eq!(held.iter().sum::<usize>(), 100, "{held:?}");
        world.moved = 0;
        world.settle(30);
        assert_eq!(world.moved, 0);
    }

    #[test]
    fn a_tenant_that_only_one_of_them_knows_is_taken_by_that_one_and_stays_there() {
        let mut world = World::new(40);
        ["a", "b", "c"].iter().for_each(|id| world.join(id));
        let known = |me: &str, tenant: &str| me == "b" || tenant.ends_with('1');
        (0..8).for_each(|_| world.round(100, known));
        assert!(world.view.holders.values().all(Option::is_some));
        world.moved = 0;
        (0..8).for_each(|_| world.round(100, known));
        assert_eq!(world.moved, 0);
    }

    #[test]
    fn the_order_of_a_file_makes_no_other_file_of_it() {
        let [a, b, c] = ["a", "b", "c"].map(Arc::<str>::from);
        let one = fingerprint(&[a.clone(), b.clone()]);
        assert_eq!(one, fingerprint(&[b.clone(), a.clone()]));
        assert_ne!(one, fingerprint(&[a, b, c]));
    }
}
