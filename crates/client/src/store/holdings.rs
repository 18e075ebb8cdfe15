//! What one process knows of its leases in a database that it shares with others: which tenants are
//! its own, by which epoch, until when, and how far it has come. Decides and does nothing: knows no
//! clock and no database. Times are those of one clock of this machine that only goes forward.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked after leases: within these bounds, a tenth of one.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(3);

/// What a commit proves to the database: it belongs to the run that holds the tenant, and follows
/// on what that run has committed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Counts the runs of a tenant, wherever they are.
    pub epoch: i64,
    /// Counts the commits of a tenant that the database has. One that has forgotten some of them (a
    /// replica that was promoted without the last ones) takes nothing on top of what it lacks.
    pub commits: i64,
}

/// One tenant that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    proof: Proof,
    /// From before it was asked for: never later than by the database's clock.
    until: Duration,
}

/// The leases of one process.
#[derive(Debug)]
pub struct Holdings {
    lease: Duration,
    held: HashMap<Arc<str>, Held>,
}

impl Holdings {
    /// None yet; each lasts for `lease`.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self { lease, held: HashMap::new() }
    }

    /// How often leases of this length are looked after.
    #[must_use]
    pub fn look_every(lease: Duration) -> Duration {
        (lease / 10).clamp(LOOK_MIN, LOOK_MAX)
    }

    /// Whether they are to be renewed, which was begun at `last` before: at each third of a lease,
    /// and rather at this look than at the next one.
    #[must_use]
    pub fn is_due(&self, last: Option<Duration>, now: Duration) -> bool {
        let look = Self::look_every(self.lease);
        last.is_none_or(|at| self.lease / 3 <= now.saturating_sub(at) + look)
    }

    /// What proves that a tenant is ours; `None`: it is not, or has been for too long.
    #[must_use]
    pub fn proof(&self, tenant: &str, now: Duration) -> Option<Proof> {
        self.held.get(tenant).filter(|held| now < held.until).map(|held| held.proof)
    }

    /// It has become ours, which was asked for at `asked`.
    pub fn claimed(&mut self, tenant: Arc<str>, proof: Proof, asked: Duration) {
        self.held.insert(tenant, Held { proof, until: asked + self.lease });
    }

    /// So it was proved, and is stored.
    pub fn committed(&mut self, tenant: &str, proof: Proof) {
        if let Some(held) = self.held.get_mut(tenant).filter(|held| held.proof == proof) {
            held.proof.commits += 1;
        }
    }

    /// What is to be renewed: all, and by which epoch.
    #[must_use]
    pub fn to_renew(&self) -> Vec<(Arc<str>, i64)> {
        self.held.iter().map(|(tenant, held)| (Arc::clone(tenant), held.proof.epoch)).collect()
    }

    /// These were to be renewed, as was asked for at `asked`, and the database has `kept` some; the
    /// others are lost.
    pub fn renewed(
        &mut self,
        asked_for: &[(Arc<str>, i64)],
        kept: &HashMap<&str, i64>,
        asked: Duration,
    ) {
        for (tenant, epoch) in asked_for {
            let Some(own) = self.held.get_mut(tenant).filter(|own| own.proof.epoch == *epoch)
            else {
                // Another run has begun meanwhile, or it was let go of.
                continue;
            };
            if kept.get(&**tenant) == Some(epoch) {
                own.until = own.until.max(asked + self.lease);
            } else {
                self.held.remove(tenant);
            }
        }
    }

    /// Forgets one, if it is still held by this epoch.
    pub fn forget(&mut self, tenant: &str, epoch: i64) {
        if self.held.get(tenant).is_some_and(|held| held.proof.epoch == epoch) {
            self.held.remove(tenant);
        }
    }

    /// Forgets one, so that nothing is committed by it any more. Answers the epoch to let go of.
    pub fn leave(&mut self, tenant: &str) -> Option<i64> {
        self.held.remove(tenant).map(|held| held.proof.epoch)
    }

    /// Forgets all, likewise.
    pub fn leave_all(&mut self) -> Vec<(Arc<str>, i64)> {
        self.held.drain().map(|(tenant, held)| (tenant, held.proof.epoch)).collect()
    }

    /// All that are ours, their time over or not.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<str>> {
        self.held.keys().cloned().collect()
    }

    /// How many those are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// Whether a tenant is among them.
    #[must_use]
    pub fn has(&self, tenant: &str) -> bool {
        self.held.contains_key(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_ends_by_when_it_was_asked_for_and_is_renewed_in_good_time() {
        let mut holdings = Holdings::new(LEASE);
        let proof = Proof { epoch: 3, commits: 8 };
        holdings.claimed("a".into(), proof, at(100));
        assert_eq!(holdings.proof("a", at(129)), Some(proof));
        assert_eq!(holdings.proof("a", at(130)), None);
        assert!(holdings.has("a"));
        let asked_for = holdings.to_renew();
        holdings.renewed(&asked_for, &[("a", 3)].into(), at(110));
        assert_eq!(holdings.proof("a", at(139)), Some(proof));
        // An answer that comes late shortens nothing.
        holdings.renewed(&asked_for, &[("a", 3)].into(), at(101));
        assert!(holdings.proof("a", at(139)).is_some());
        assert!(holdings.is_due(None, at(0)));
        let first = (0..60).find(|seconds| holdings.is_due(Some(at(0)), at(*seconds)));
        assert_eq!(first, Some(7));
    }

    #[test]
    fn what_is_said_of_an_earlier_run_is_not_about_the_present_one() {
        let mut holdings = Holdings::new(LEASE);
        let proof = |epoch, commits| Proof { epoch, commits };
        holdings.claimed("a".into(), proof(1, 0), at(0));
        let asked_for = holdings.to_renew();
        holdings.claimed("a".into(), proof(2, 4), at(5));
        holdings.renewed(&asked_for, &HashMap::new(), at(4));
        holdings.forget("a", 1);
        holdings.committed("a", proof(1, 0));
        assert_eq!(holdings.proof("a", at(6)), Some(proof(2, 4)));
        holdings.committed("a", proof(2, 4));
        assert_eq!(holdings.proof("a", at(6)), Some(proof(2, 5)));
        holdings.renewed(&holdings.to_renew(), &HashMap::new(), at(6));
        assert!(!holdings.has("a"));
    }
}
