//! The sink of a simulated host: takes batches after a while, not always in order, and now and then
//! loses what it was given. Remembers what it has taken; that survives a crash of the collector.

use std::collections::{BTreeMap, HashMap};

use m365_audit_core::{Batch, BatchId};
use xxhash_rust::xxh3::xxh3_128;

/// What the host has, and what it was given and has not taken.
#[derive(Debug, Default)]
pub(super) struct Host {
    given: BTreeMap<BatchId, Batch>,
    /// Hashes of the records taken: how often, and when first, in the order of taking.
    pub(super) taken: HashMap<u128, Taken>,
    /// Records taken, duplicates included.
    pub(super) records: u64,
}

/// One record that the host has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Its place in the order of first taking.
    pub(super) at: u64,
    pub(super) times: u32,
}

impl Host {
    pub(super) fn give(&mut self, batch: Batch) {
        self.given.insert(batch.id, batch);
    }

    /// Takes a batch for good. False if it was lost before.
    pub(super) fn take(&mut self, id: BatchId) -> bool {
        let Some(batch) = self.given.remove(&id) else { return false };
        for record in &batch.records {
            let at = self.records;
            self.records += 1;
            let taken = self.taken.entry(xxh3_128(&record.raw)).or_insert(Taken { at, times: 0 });
            taken.times += 1;
        }
        true
    }

    /// Loses a batch and all that were given after it.
    pub(super) fn lose_from(&mut self, id: BatchId) {
        self.given.split_off(&id);
    }

    /// The collector is gone: what was not taken is gone with it.
    pub(super) fn crash(&mut self) {
        self.given.clear();
    }

    /// Bytes given and not taken.
    pub(super) fn given_bytes(&self) -> u64 {
        let bytes =
            |batch: &Batch| batch.records.iter().map(|record| record.raw.len() as u64).sum::<u64>();
        self.given.values().map(bytes).sum()
    }
}
