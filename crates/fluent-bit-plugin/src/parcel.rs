//! Joins queued batches into parcels: what the host is given at once. Few large ones arrive faster
//! than many small ones, and the fewer there are, the easier they are told apart.

use std::collections::VecDeque;
use std::time::Duration;

use crate::outbox::{Batch, Inbox};

/// Batches are joined up to this size: Fluent Bit's chunks are meant to be 2 MB.
const JOINED_BYTES_MAX: usize = 1 << 20;

/// Tags among which the batches of a round are sorted. One more ends it.
const TAGS_MAX: usize = 8;

/// Batches in a round, however small.
const ROUND_BATCHES_MAX: usize = 4_096;

/// What is handed over at once: events of one tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// What has to be produced again if this is lost: everything from this ticket on.
    pub(crate) first: u64,
    /// What settles with it, in the order of sending: all batches of the round with its last
    /// parcel, because each of them may have events in any.
    pub(crate) tickets: Vec<u64>,
    pub(crate) tag: Option<String>,
    pub(crate) records: u32,
    pub(crate) msgpack: Vec<u8>,
    /// Its length is what it has to be, to be told from others.
    pub(crate) padded: bool,
}

/// Takes batches out of the queue, and keeps the parcels that were not handed over yet.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    parcels: VecDeque<Parcel>,
}

impl Packer {
    /// The next parcel, made of what is queued, waiting up to `patience` for a first batch.
    pub(crate) fn next(&mut self, inbox: &Inbox, patience: Duration) -> Option<Parcel> {
        if self.parcels.is_empty() {
            let first = inbox.take(patience)?;
            self.pack(first, inbox);
        }
        self.parcels.pop_front()
    }

    /// It could not be handed over: it is the next one again.
    pub(crate) fn keep(&mut self, parcel: Parcel) {
        self.parcels.push_front(parcel);
    }

    /// What is kept is to be produced again.
    pub(crate) fn clear(&mut self) {
        self.parcels.clear();
    }

    /// One round: a parcel for each tag.
    fn pack(&mut self, first: Batch, inbox: &Inbox) {
        let mut tickets = vec![first.ticket];
        let earliest = first.ticket;
        self.parcels.push_back(Parcel {
            first: earliest,
            tickets: Vec::new(),
            tag: first.tag,
            records: first.records,
            msgpack: first.msgpack,
            padded: false,
        });
        while tickets.len() < ROUND_BATCHES_MAX {
            let Some(batch) = inbox.take_if(|batch| self.has_room(batch)) else { break };
            tickets.push(batch.ticket);
            match self.parcels.iter_mut().find(|parcel| parcel.tag == batch.tag) {
                Some(parcel) => {
                    parcel.records += batch.records;
                    parcel.msgpack.extend_from_slice(&batch.msgpack);
                }
                None => self.parcels.push_back(Parcel {
                    first: earliest,
                    tickets: Vec::new(),
                    tag: batch.tag,
                    records: batch.records,
                    msgpack: batch.msgpack,
                    padded: false,
                }),
            }
        }
        if let Some(last) = self.parcels.back_mut() {
            last.tickets = tickets;
        }
    }

    fn has_room(&self, batch: &Batch) -> bool {
        match self.parcels.iter().find(|parcel| parcel.tag == batch.tag) {
            Some(parcel) => {
                parcel.msgpack.len() + batch.msgpack.len() <= JOINED_BYTES_MAX
                    && parcel.records.checked_add(batch.records).is_some()
            }
            None => self.parcels.len() < TAGS_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{Limits, Outbox, channel};

    fn queue() -> (Outbox, Inbox) {
        channel(Limits { queue_batches: 10_000, queue_bytes: 1 << 30, ..Limits::default() })
    }

    fn send(outbox: &Outbox, ticket: u64, tag: Option<&str>, bytes: usize) {
        let tag = tag.map(str::to_owned);
        let fill = u8::try_from(ticket).unwrap_or(u8::MAX);
        outbox.send(Batch { ticket, tag, records: 2, msgpack: vec![fill; bytes] }).unwrap();
    }

    fn all(packer: &mut Packer, inbox: &Inbox) -> Vec<Parcel> {
        std::iter::from_fn(|| packer.next(inbox, Duration::ZERO)).collect()
    }

    #[test]
    fn small_batches_travel_together_up_to_a_mebibyte() {
        let (outbox, inbox) = queue();
        (0..3).for_each(|ticket| send(&outbox, ticket, None, 10));
        send(&outbox, 3, None, (1 << 20) - 20);
        send(&outbox, 4, None, 2 << 20);
        send(&outbox, 5, None, 1);
        let parcels = all(&mut Packer::default(), &inbox);
        let shapes: Vec<_> = parcels
            .iter()
            .map(|parcel| (parcel.first, parcel.records, parcel.msgpack.len()))
            .collect();
        assert_eq!(
            shapes,
            [(0, 6, 30), (3, 2, (1 << 20) - 20), (4, 2, 2 << 20), (5, 2, 1)],
            "one that is larger travels alone"
        );
        assert_eq!(parcels[0].tickets, [0, 1, 2]);
        assert_eq!(parcels[0].msgpack[..], [[0; 10], [1; 10], [2; 10]].concat());
    }

    #[test]
    fn batches_of_several_tags_settle_with_the_last_parcel_of_their_round() {
        let (outbox, inbox) = queue();
        for (ticket, tag) in [(0, Some("a")), (1, Some("b")), (2, None), (3, Some("a"))] {
            send(&outbox, ticket, tag, 5);
        }
        let parcels = all(&mut Packer::default(), &inbox);
        let tags: Vec<_> = parcels.iter().map(|parcel| parcel.tag.as_deref()).collect();
        assert_eq!(tags, [Some("a"), Some("b"), None]);
        assert_eq!(parcels[0].msgpack, [0, 0, 0, 0, 0, 3, 3, 3, 3, 3]);
        let tickets: Vec<_> = parcels.iter().map(|parcel| parcel.tickets.clone()).collect();
        assert_eq!(tickets, [vec![], vec![], vec![0, 1, 2, 3]]);
        assert!(parcels.iter().all(|parcel| parcel.first == 0), "any loss repeats all of them");
    }

    #[test]
    fn a_round_ends_at_so_many_tags_and_batches() {
        let (outbox, inbox) = queue();
        for ticket in 0..9 {
            send(&outbox, ticket, Some(&format!("tag {ticket}")), 1);
        }
        let parcels = all(&mut Packer::default(), &inbox);
        assert_eq!(parcels[7].tickets, (0..8).collect::<Vec<_>>());
        assert_eq!(parcels[8].tickets, [8]);
        (0..5_000).for_each(|ticket| send(&outbox, ticket, None, 1));
        let parcels = all(&mut Packer::default(), &inbox);
        let lengths: Vec<_> = parcels.iter().map(|parcel| parcel.tickets.len()).collect();
        assert_eq!(lengths, [4_096, 904]);
    }

    #[test]
    fn a_parcel_that_is_kept_is_the_next_one_again() {
        let (outbox, inbox) = queue();
        send(&outbox, 0, Some("a"), 1);
        send(&outbox, 1, Some("b"), 1);
        let mut packer = Packer::default();
        let first = packer.next(&inbox, Duration::ZERO).unwrap();
        packer.keep(first.clone());
        assert_eq!(packer.next(&inbox, Duration::ZERO), Some(first));
        packer.clear();
        assert_eq!(packer.next(&inbox, Duration::ZERO), None);
    }
}
