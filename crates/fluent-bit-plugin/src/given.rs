//! What the host was given: the ledger's numbers for it, and the author's tickets.

use std::collections::VecDeque;

/// What the host was given and is not settled: numbers for the ledger, tickets for the author.
#[derive(Debug, Default)]
pub(crate) struct Given {
    next: u64,
    /// Number, the ticket to begin again with, and what settles.
    parcels: VecDeque<(u64, u64, Vec<u64>)>,
    /// Tickets in them.
    batches: usize,
}

impl Given {
    /// Tickets that are not settled.
    pub(crate) const fn batches(&self) -> usize {
        self.batches
    }

    pub(crate) fn push(&mut self, first: u64, tickets: Vec<u64>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.batches += tickets.len();
        self.parcels.push_back((number, first, tickets));
        number
    }

    pub(crate) fn settled(&mut self, number: u64) -> Vec<u64> {
        let Some((oldest, _, tickets)) = self.parcels.pop_front() else { return Vec::new() };
        debug_assert_eq!(oldest, number, "the ledger settles in order");
        self.batches -= tickets.len();
        tickets
    }

    /// Forgets all from this number on. The ticket to begin again with.
    pub(crate) fn lost_from(&mut self, number: u64) -> Option<u64> {
        let at = self.parcels.partition_point(|(known, ..)| *known < number);
        let lost = self.parcels.split_off(at);
        self.batches -= lost.iter().map(|(.., tickets)| tickets.len()).sum::<usize>();
        lost.front().map(|(_, first, _)| *first)
    }
}
