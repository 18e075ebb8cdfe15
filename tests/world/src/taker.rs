//! The host's side: takes batches after a while, not always in order, and now and then loses what
//! it was given. Remembers what it has taken; that survives a crash of the collector.

use std::collections::{BTreeMap, HashMap};

use m365_audit_core::{Batch, BatchId};
use xxhash_rust::xxh3::xxh3_128;

/// How a host treats batches.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How long it takes for a batch, in milliseconds: at least, and at the most.
    pub takes_ms: (u64, u64),
    /// Whether deliveries overtake each other.
    pub unordered: bool,
    /// How often it loses a batch and all after it, per thousand, while things go wrong.
    pub loses_per_mille: u64,
    /// The batch that it never takes, by number from 1. Once.
    pub refuses: Option<usize>,
    /// Whether it takes nothing until [`World::take_held`](crate::World::take_held).
    pub holds: bool,
}

/// A host that takes each batch after so many milliseconds.
impl From<u64> for Habits {
    fn from(ms: u64) -> Self {
        let takes_ms = (ms, ms);
        Self { takes_ms, unordered: false, loses_per_mille: 0, refuses: None, holds: false }
    }
}

/// What the host has, and what it was given and has not taken.
#[derive(Debug, Default)]
pub struct Taker {
    given: BTreeMap<BatchId, Batch>,
    held: Vec<BatchId>,
    taken: HashMap<u128, Taken>,
    records: u64,
    batches: usize,
}

/// One record that the host has.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its place in the order of first taking.
    pub at: u64,
    /// How often it was taken.
    pub times: u32,
}

impl Taker {
    /// Of each record taken, by its hash: how often, and when first, in the order of taking.
    #[must_use]
    pub const fn taken(&self) -> &HashMap<u128, Taken> {
        &self.taken
    }

    /// Records taken, duplicates included.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Bytes given and not taken.
    #[must_use]
    pub fn given_bytes(&self) -> u64 {
        let bytes =
            |batch: &Batch| batch.records.iter().map(|record| record.raw.len() as u64).sum::<u64>();
        self.given.values().map(bytes).sum()
    }

    /// How many batches it was given.
    pub(crate) const fn batches(&self) -> usize {
        self.batches
    }

    /// What another process's host has taken is had there as well, and from now on counted there.
    pub(crate) const fn swap_taken(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.taken, &mut other.taken);
        std::mem::swap(&mut self.records, &mut other.records);
    }

    pub(crate) fn give(&mut self, batch: Batch) {
        self.batches += 1;
        self.given.insert(batch.id, batch);
    }

    /// Takes a batch for good. False if it was lost before.
    pub(crate) fn take(&mut self, id: BatchId) -> bool {
        let Some(batch) = self.given.remove(&id) else { return false };
        for record in &batch.records {
            let at = self.records;
            self.records += 1;
            let taken = self.taken.entry(xxh3_128(&record.raw)).or_insert(Taken { at, times: 0 });
            taken.times += 1;
        }
        true
    }

    /// Keeps a batch until somebody lets go of it.
    pub(crate) fn hold(&mut self, id: BatchId) {
        self.held.push(id);
    }

    pub(crate) fn let_go(&mut self) -> Vec<BatchId> {
        std::mem::take(&mut self.held)
    }

    /// Loses a batch and all that were given after it.
    pub(crate) fn lose_from(&mut self, id: BatchId) {
        self.given.split_off(&id);
    }

    /// The collector is gone: what was not taken is gone with it.
    pub(crate) fn crash(&mut self) {
        self.given.clear();
        self.held.clear();
    }
}
