//! One queue to Fluent Bit for the batches of many tenants: remembers whose each batch is, so that
//! what becomes of it reaches its client.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fluent_bit_plugin::{Batch, Outbox};
use m365_audit_client::Handle;
use m365_audit_core::BatchId;

/// Names one client among all that there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u64);

/// The queue. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Postbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Held while a batch is sent, which may take as long as Fluent Bit is paused: tickets and
    /// batches keep one order. Never held by whoever carries notices.
    order: Mutex<()>,
    sent: Mutex<Sent>,
}

/// What Fluent Bit has not answered for, oldest first. Bounded by its queues.
#[derive(Debug, Default)]
struct Sent {
    next_slot: u64,
    next_ticket: u64,
    handles: BTreeMap<Slot, Handle>,
    batches: VecDeque<(u64, Slot, BatchId)>,
}

impl Postbox {
    /// A place for another client.
    pub(crate) fn enter(&self, handle: Handle) -> Slot {
        let mut sent = self.sent();
        let slot = Slot(sent.next_slot);
        sent.next_slot += 1;
        sent.handles.insert(slot, handle);
        slot
    }

    /// A client has gone; nobody wants to know of its batches.
    pub(crate) fn leave(&self, slot: Slot) {
        let mut sent = self.sent();
        sent.handles.remove(&slot);
        sent.batches.retain(|(_, of, _)| *of != slot);
    }

    /// Sends a batch of a client. When Fluent Bit is stopping, it is dropped: the next run
    /// collects it again.
    pub(crate) fn send(&self, outbox: &Outbox, slot: Slot, id: BatchId, mut batch: Batch) {
        let _order = self.0.order.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sent = self.sent();
        batch.ticket = sent.next_ticket;
        sent.next_ticket += 1;
        sent.batches.push_back((batch.ticket, slot, id));
        drop(sent);
        outbox.send(batch).unwrap_or(());
    }

    /// Fluent Bit has taken the batch of this ticket.
    pub(crate) fn settled(&self, ticket: u64) {
        let mut sent = self.sent();
        if let Ok(at) = sent.batches.binary_search_by_key(&ticket, |(known, ..)| *known)
            && let Some((_, slot, id)) = sent.batches.remove(at)
            && let Some(handle) = sent.handles.get(&slot)
        {
            handle.delivered(id);
        }
    }

    /// Fluent Bit has lost this batch and all after it: each client hears of its first one.
    pub(crate) fn returned(&self, ticket: u64) {
        let mut sent = self.sent();
        let from = sent.batches.partition_point(|(known, ..)| *known < ticket);
        let mut first = BTreeMap::new();
        for (_, slot, id) in sent.batches.split_off(from) {
            first.entry(slot).or_insert(id);
        }
        for (slot, id) in first {
            if let Some(handle) = sent.handles.get(&slot) {
                handle.returned(id);
            }
        }
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        // Every change of it is whole.
        self.0.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
