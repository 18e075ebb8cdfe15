//! A database that several processes share, as PostgreSQL treats the statements of the client: who
//! holds the tenant, and its state. Each call is one statement, at one moment of the server's
//! clock. That PostgreSQL does the same is a test of the client's.

use std::collections::BTreeMap;

use m365_audit_core::{Commit, Stored};

/// Who has the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lease {
    holder: String,
    epoch: i64,
    /// How many commits the database has.
    commits: i64,
    until_ms: i64,
}

/// A run of a process, as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The process.
    pub holder: String,
    /// The run.
    pub epoch: i64,
    /// The commits that it knows of.
    pub commits: i64,
}

/// What is in it.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// The state of the tenant.
    pub stored: Stored,
    lease: Option<Lease>,
    /// What it looked like at some moments.
    copies: BTreeMap<i64, (Stored, Option<Lease>)>,
}

impl Database {
    /// With a state that was there before.
    #[must_use]
    pub const fn new(stored: Stored) -> Self {
        Self { stored, lease: None, copies: BTreeMap::new() }
    }

    /// Takes the tenant for another run of a process, or answers `None`: another one has it.
    pub fn claim(&mut self, now_ms: i64, holder: &str, lease_ms: i64) -> Option<Claimant> {
        let until_ms = now_ms + lease_ms;
        let first = Lease { holder: holder.into(), epoch: 0, commits: 0, until_ms };
        let lease = self.lease.get_or_insert(first);
        if lease.holder != holder && now_ms < lease.until_ms {
            return None;
        }
        lease.holder = holder.into();
        lease.epoch += 1;
        lease.until_ms = until_ms;
        let Lease { epoch, commits, .. } = *lease;
        Some(Claimant { holder: holder.into(), epoch, commits })
    }

    fn held_by(&mut self, holder: &str, epoch: i64) -> Option<&mut Lease> {
        self.lease.as_mut().filter(|lease| lease.holder == holder && lease.epoch == epoch)
    }

    /// Keeps the tenant for a run that has it; answers whether it has.
    pub fn renew(&mut self, now_ms: i64, holder: &str, epoch: i64, lease_ms: i64) -> bool {
        let held = self.held_by(holder, epoch);
        held.map(|lease| lease.until_ms = now_ms + lease_ms).is_some()
    }

    /// Lets go of the tenant, if that run has it.
    pub fn release(&mut self, holder: &str, epoch: i64) {
        if let Some(lease) = self.held_by(holder, epoch) {
            (lease.until_ms, lease.holder) = (i64::MIN, String::new());
        }
    }

    /// Stores what a run commits if it has the tenant, and knows of all that was committed before.
    /// Answers whether it was stored.
    pub fn commit(&mut self, run: &Claimant, commit: &Commit) -> bool {
        let held = self.held_by(&run.holder, run.epoch);
        let Some(lease) = held.filter(|lease| lease.commits == run.commits) else { return false };
        lease.commits += 1;
        commit.clone().apply(&mut self.stored);
        true
    }

    /// The lease ends at once.
    pub fn expire(&mut self) {
        self.lease.iter_mut().for_each(|lease| lease.until_ms = i64::MIN);
    }

    /// What was committed so far is on its way to a replica.
    pub fn copy(&mut self, now_ms: i64) {
        self.copies.insert(now_ms, (self.stored.clone(), self.lease.clone()));
    }

    /// A replica takes over that has no more than what was copied at this moment. Answers whether
    /// there is one.
    pub fn promote(&mut self, copied_ms: i64) -> bool {
        let Some((stored, lease)) = self.copies.remove(&copied_ms) else { return false };
        self.copies.clear();
        (self.stored, self.lease) = (stored, lease);
        true
    }
}
