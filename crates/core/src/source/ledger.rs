//! What the host was given and has not answered for, in order.
//!
//! Progress follows the order of emission: an entry counts only when it and all before it are
//! delivered. So a record that was left out because an earlier batch holds it is never counted
//! before that batch is.
//!
//! Records that the host was given before are left out when they are emitted, not when they are
//! scanned: the question is what the host was given, in the order in which it was. Decided earlier,
//! it would have to be undone when batches are returned.
//!
//! A batch that is lost takes all later ones with it (go-back-N): hosts lose from the end of a
//! queue, and a later entry must not settle while a record that it left out is in a batch that
//! never arrived.

use std::collections::VecDeque;

use crate::base::time::Utc;
use crate::contract::batch::{BatchId, Record};
use crate::contract::loss::LossKind;
use crate::contract::metrics::LaneMetrics;
use crate::records::treatment::TreatmentCounts;

/// Entries at the most, but for what requests under way still add.
pub(crate) const ENTRIES_MAX: usize = 10_000;

/// Names one source of a collector: its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(pub usize);

/// One batch, or the end of a blob or page that had nothing more to emit. What it is a part of, its
/// source knows.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub id: BatchId,
    /// Whose it is.
    pub source: SourceId,
    /// Whether it is the end of its blob or page.
    pub last: bool,
    /// Its number of records.
    pub records: u64,
    /// What was done to its records.
    pub treated: TreatmentCounts,
    /// Records left out because they are too large, beside those of the entry.
    pub dropped: u64,
    /// Bytes of its records.
    pub bytes: u64,
    /// When its events happened, to the second, and how many did: of those that say so.
    pub happened: Box<[(Utc, u64)]>,
    /// When Microsoft published it.
    pub published: Utc,
    /// Whether the host has taken it. A mere end of a blob needs no taking.
    pub delivered: bool,
}

impl Entry {
    /// When events happened, to the second: neighbours in a blob often share one.
    pub(crate) fn happened(records: &[Record]) -> Box<[(Utc, u64)]> {
        Self::by_second(&records.iter().filter_map(Record::second).collect::<Vec<_>>())
    }

    /// How many there are of each.
    pub(crate) fn by_second(seconds: &[i64]) -> Box<[(Utc, u64)]> {
        let together = seconds.chunk_by(|one, next| one == next);
        let counted = together.map(|same| (Utc::from_millis(same[0] * 1_000), same.len() as u64));
        counted.collect()
    }

    /// Counts what the host has taken at this moment.
    pub(crate) fn count(&self, metrics: &mut LaneMetrics, server_now: Utc) {
        metrics.records_delivered += self.records;
        metrics.records_redacted += self.treated.redacted;
        metrics.records_withheld += self.treated.withheld;
        metrics.records_malformed += self.treated.malformed;
        metrics.bytes_delivered += self.bytes;
        if 0 < self.records {
            metrics.last_delivery = metrics.last_delivery.max(Some(server_now));
        }
        for (happened, records) in &self.happened {
            metrics.event_delay.note(*happened, server_now, *records);
        }
    }

    /// What of it is lost.
    pub(crate) const fn lost(&self) -> [(LossKind, u64); 2] {
        [
            (LossKind::RecordsDropped, self.dropped),
            (LossKind::RecordsWithheld, self.treated.withheld),
        ]
    }
}

/// Entries in the order of emission.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: VecDeque<Entry>,
    next_id: u64,
    bytes: u64,
    batches: u64,
}

impl Ledger {
    /// The id of the next entry.
    pub(crate) const fn next_id(&self) -> BatchId {
        BatchId(self.next_id)
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        assert!(entry.id == self.next_id(), "entries are numbered in order");
        self.next_id += 1;
        self.bytes += entry.bytes;
        self.batches += u64::from(!entry.delivered);
        self.entries.push_back(entry);
    }

    /// Bytes that the host has not taken yet.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Batches that the host has not taken yet.
    pub(crate) const fn batches(&self) -> u64 {
        self.batches
    }

    /// Whether no further entry should be made for now. Ends of empty blobs weigh nothing, so that
    /// bytes alone would not bound their number.
    pub(crate) fn is_full(&self, bytes_max: u64) -> bool {
        self.bytes >= bytes_max || self.entries.len() >= ENTRIES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The host has taken a batch. Ids that are not waited for are ignored: after a return, what
    /// was under way may still be taken.
    pub(crate) fn deliver(&mut self, id: BatchId) {
        let index = self.entries.binary_search_by_key(&id, |entry| entry.id);
        if let Some(entry) = index.ok().and_then(|index| self.entries.get_mut(index))
            && !entry.delivered
        {
            entry.delivered = true;
            self.bytes -= entry.bytes;
            self.batches -= 1;
        }
    }

    /// The next entry whose turn has come.
    pub(crate) fn pop_delivered(&mut self) -> Option<Entry> {
        self.entries.pop_front_if(|entry| entry.delivered)
    }

    /// The host has lost a batch: takes it and all after it out. It may be out already, by an
    /// earlier loss; what was given since is lost all the same.
    pub(crate) fn take_back(&mut self, id: BatchId) -> Vec<Entry> {
        let from = self.entries.partition_point(|entry| entry.id < id);
        let back: Vec<_> = self.entries.drain(from..).collect();
        for entry in back.iter().filter(|entry| !entry.delivered) {
            self.bytes -= entry.bytes;
            self.batches -= 1;
        }
        back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(ledger: &mut Ledger) {
        ledger.push(Entry {
            id: ledger.next_id(),
            source: SourceId(0),
            last: false,
            records: 1,
            treated: TreatmentCounts::default(),
            dropped: 0,
            bytes: 10,
            happened: Box::default(),
            published: Utc::from_millis(0),
            delivered: false,
        });
    }

    fn ledger(entries: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..entries {
            push(&mut ledger);
        }
        ledger
    }

    fn popped(ledger: &mut Ledger) -> Vec<u64> {
        std::iter::from_fn(|| ledger.pop_delivered()).map(|entry| entry.id.0).collect()
    }

    #[test]
    fn nothing_counts_before_what_was_emitted_earlier() {
        let mut ledger = ledger(3);
        ledger.deliver(BatchId(1));
        assert!(popped(&mut ledger).is_empty() && !ledger.is_empty());
        ledger.deliver(BatchId(0));
        assert_eq!(popped(&mut ledger), [0, 1]);
        assert_eq!((ledger.bytes(), ledger.batches()), (10, 1));
    }

    #[test]
    fn what_is_dropped_or_withheld_is_lost() {
        let mut ledger = ledger(1);
        let entry = ledger.entries.back_mut().unwrap();
        entry.treated = TreatmentCounts { filtered: 1, redacted: 2, withheld: 3, malformed: 5 };
        entry.dropped = 4;
        let lost = [(LossKind::RecordsDropped, 4), (LossKind::RecordsWithheld, 3)];
        assert_eq!(entry.lost(), lost);
    }

    #[test]
    fn it_is_full_by_bytes_or_by_number() {
        assert!(!ledger(9).is_full(100));
        assert!(ledger(10).is_full(100));
        assert!(ledger(10_000).is_full(u64::MAX));
    }

    #[test]
    fn a_return_takes_back_everything_after_it() {
        let mut ledger = ledger(4);
        ledger.deliver(BatchId(2));
        assert_eq!(ledger.take_back(BatchId(1)).len(), 3);
        ledger.deliver(BatchId(3));
        ledger.deliver(BatchId(0));
        assert_eq!(popped(&mut ledger), [0]);
        assert_eq!((ledger.bytes(), ledger.batches()), (0, 0));
        assert!(ledger.is_empty() && ledger.take_back(BatchId(1)).is_empty());
        push(&mut ledger);
        assert_eq!(ledger.take_back(BatchId(2)).len(), 1, "given after the loss");
    }
}
