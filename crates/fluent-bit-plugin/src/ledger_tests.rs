//! What the ledger promises, against a small model of the engine.

use super::*;

/// A host whose engine takes batches out of the ring buffer when told to.
struct World {
    ledger: Ledger,
    now: Duration,
    reading: Reading,
    ring: VecDeque<u64>,
    paused: bool,
}

impl World {
    fn new(signal: Signal) -> Self {
        Self::with_delay(signal, Duration::ZERO)
    }

    fn with_delay(signal: Signal, commit_delay: Duration) -> Self {
        Self {
            ledger: Ledger::new(
                signal,
                Terms {
                    commit_delay,
                    lost_after: LOST_AFTER,
                    in_flight_batches: 8,
                    in_flight_bytes: 1_000,
                },
            ),
            now: Duration::ZERO,
            reading: Reading { records: 100, writes: Some(7) },
            ring: VecDeque::new(),
            paused: false,
        }
    }

    /// The author sends `records`, processors make `kept` of them.
    fn append_altered(&mut self, ticket: u64, records: u32, kept: u64) {
        let before = self.reading;
        if kept > 0 {
            self.ring.push_back(kept);
            self.reading.writes = self.reading.writes.map(|writes| writes + 1);
        }
        self.ledger.appended(self.now, (ticket, records, 10), before);
    }

    fn append(&mut self, ticket: u64, records: u32) {
        assert!(self.ledger.has_room(10), "no room for {ticket}");
        self.append_altered(ticket, records, records.into());
    }

    /// The engine moves so many batches into chunks.
    fn engine_takes(&mut self, batches: usize) {
        self.reading.records += self.ring.drain(..batches).sum::<u64>();
    }

    /// A collect after this time: tickets that settled, and the first one that was returned.
    fn collect_after(&mut self, millis: u64) -> (Vec<u64>, Option<u64>) {
        self.now += Duration::from_millis(millis);
        let reading = self.ledger.wants_reading().then_some(self.reading);
        let lost = self.ledger.observe(self.now, reading, self.paused);
        (self.settled(), lost)
    }

    fn settled(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.ledger.pop_settled(self.now)).collect()
    }

    /// Past the first batch, which goes alone to see whether counts can be trusted.
    fn warm(mut self) -> Self {
        self.append(0, 1);
        self.engine_takes(1);
        assert_eq!(self.collect_after(100).0, []);
        assert_eq!(self.collect_after(500).0, [0]);
        self
    }
}

#[test]
fn a_batch_settles_only_when_its_mark_is_reached_and_it_is_written() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    assert_eq!(world.collect_after(1_000).0, [], "it lies in the ring buffer");
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, [], "counted, perhaps not yet written");
    assert_eq!(world.collect_after(499).0, []);
    assert_eq!(world.collect_after(1).0, [1]);
    assert_eq!(world.ledger.unsettled(), 0);
}

#[test]
fn a_batch_settles_at_once_when_a_later_one_was_counted() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 5);
    world.append(3, 5);
    world.engine_takes(2);
    assert_eq!(world.collect_after(100).0, [1]);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, [2]);
    assert_eq!(world.collect_after(500).0, [3]);
}

#[test]
fn the_first_batch_goes_alone() {
    let mut world = World::new(Signal::Counters);
    world.append(0, 3);
    assert!(!world.ledger.has_room(10));
    world.engine_takes(1);
    world.collect_after(100);
    assert!(world.ledger.has_room(10), "one exact count is enough");
}

#[test]
fn what_is_in_flight_is_bounded_in_batches_and_bytes() {
    let mut world = World::new(Signal::Counters).warm();
    for ticket in 1..=8 {
        world.append(ticket, 1);
    }
    assert!(!world.ledger.has_room(10));
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, []);
    assert!(world.ledger.has_room(10), "counted, so no longer in the ring buffer");
    assert!(!world.ledger.has_room(931), "the other seven hold 70 bytes");
    assert!(world.ledger.has_room(930));
}

#[test]
fn a_full_ring_buffer_teaches_its_size() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 1);
    world.append(2, 1);
    world.ledger.refused();
    assert!(!world.ledger.has_room(1));
    world.engine_takes(2);
    world.collect_after(100);
    world.collect_after(600);
    world.append(3, 1);
    world.append(4, 1);
    assert!(!world.ledger.has_room(1));
}

#[test]
fn counts_that_stand_still_for_thirty_seconds_return_everything_from_the_first_lost() {
    let mut world = World::new(Signal::Counters).warm();
    for ticket in 1..=4 {
        world.append(ticket, 5);
    }
    world.engine_takes(2);
    assert_eq!(world.collect_after(100), (vec![1], None));
    assert_eq!(world.collect_after(500), (vec![2], None));
    world.ring.clear(); // The engine had no chunk for the others.
    assert_eq!(world.collect_after(29_400), (vec![], None));
    assert_eq!(world.collect_after(200), (vec![], Some(3)));
    assert_eq!(world.ledger.unsettled(), 0);
}

#[test]
fn time_spent_paused_loses_nothing() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.collect_after(100);
    world.paused = true;
    assert_eq!(world.collect_after(3_600_000), (vec![], None));
    world.paused = false;
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![], None));
    assert_eq!(world.collect_after(500), (vec![1], None));
}

#[test]
fn after_a_return_a_late_arrival_settles_nothing_before_it_is_quiet() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 5);
    world.collect_after(100);
    assert_eq!(world.collect_after(30_000).1, Some(1));
    // Produced again, while the first copies are still in the ring buffer.
    world.append(1, 7);
    assert!(!world.ledger.has_room(10), "one at a time while recovering");
    world.engine_takes(2);
    assert_eq!(world.collect_after(400), (vec![], None));
    world.engine_takes(1);
    assert_eq!(world.collect_after(400), (vec![], None));
    assert_eq!(world.collect_after(500), (vec![1], None));
    assert!(world.ledger.has_room(10));
    assert!(!world.ledger.is_altered(), "late copies are no processor");
}

#[test]
fn after_a_return_too_small_a_rise_settles_nothing() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.collect_after(100);
    assert_eq!(world.collect_after(30_000).1, Some(1));
    world.append(1, 9);
    world.engine_takes(1); // The first copy, five records; the second is lost.
    world.ring.clear();
    world.collect_after(100);
    assert_eq!(world.collect_after(29_000), (vec![], None));
    assert_eq!(world.collect_after(2_000), (vec![], Some(1)));
}

#[test]
fn a_batch_that_processors_drop_settles_with_its_predecessors() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    assert_eq!(world.collect_after(100).0, []);
    world.append_altered(2, 5, 0);
    assert_eq!(world.collect_after(100).0, []);
    world.engine_takes(1);
    world.collect_after(100);
    assert_eq!(world.collect_after(500).0, [1, 2]);
    world.append_altered(3, 5, 0);
    assert_eq!(world.collect_after(100), (vec![3], None), "alone, it has nothing to wait for");
    assert!(!world.ledger.is_altered());
}

#[test]
fn batches_that_processors_drop_one_and_all_settle_with_the_next_reading() {
    let mut world = World::new(Signal::Counters).warm();
    for ticket in 1..=3 {
        world.append_altered(ticket, 5, 0);
    }
    assert_eq!(world.settled(), []);
    assert_eq!(world.collect_after(100), (vec![1, 2, 3], None));
    world.append(4, 5);
    world.engine_takes(1);
    world.collect_after(100);
    assert_eq!(world.collect_after(500), (vec![4], None));
}

#[test]
fn a_batch_that_processors_drop_among_others_costs_one_repetition() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.engine_takes(1);
    world.collect_after(100);
    world.append(2, 5);
    world.append_altered(3, 5, 0);
    assert_eq!(world.collect_after(100), (vec![], Some(2)), "2 or 3 was dropped");
    assert_eq!(world.collect_after(400).0, [1], "what was appended before is as it was");
    assert!(world.ledger.is_altered());
    world.engine_takes(1);
    world.collect_after(500);
    world.append(2, 5);
    assert!(!world.ledger.has_room(10), "from now on alone");
    world.engine_takes(1);
    world.collect_after(100);
    assert_eq!(world.collect_after(500).0, [2]);
    world.append_altered(3, 5, 0);
    assert_eq!(world.collect_after(100), (vec![3], None));
}

#[test]
fn an_empty_batch_settles_with_its_predecessors() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    let reading = world.reading;
    world.ledger.appended(world.now, (2, 0, 0), reading);
    world.engine_takes(1);
    world.collect_after(100);
    assert_eq!(world.collect_after(500).0, [1, 2]);
}

#[test]
fn a_processor_that_drops_some_records_is_noticed_and_every_batch_goes_alone() {
    let mut world = World::new(Signal::Counters);
    world.append_altered(1, 10, 4);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![], None));
    assert_eq!(world.collect_after(2_000), (vec![], None));
    assert!(world.ledger.is_altered());
    world.collect_after(100);
    assert_eq!(world.collect_after(500), (vec![1], None));
    world.append_altered(2, 10, 1);
    assert!(!world.ledger.has_room(1));
    assert_eq!(world.collect_after(1_000), (vec![], None), "still in the ring buffer");
    world.engine_takes(1);
    world.collect_after(100);
    assert_eq!(world.collect_after(500), (vec![2], None));
}

#[test]
fn a_processor_that_multiplies_records_settles_nothing_that_is_not_in_a_chunk() {
    let mut world = World::new(Signal::Counters);
    world.append_altered(1, 10, 20);
    world.engine_takes(1);
    world.collect_after(100);
    assert!(world.ledger.is_altered());
    assert_eq!(world.collect_after(500).0, [1]);
    world.append_altered(2, 10, 20);
    assert_eq!(world.collect_after(1_000).0, []);
    world.engine_takes(1);
    world.collect_after(100);
    assert_eq!(world.collect_after(500).0, [2]);
}

#[test]
fn a_processor_that_starts_multiplying_later_settles_nothing_before_the_ring_is_empty() {
    let mut world = World::new(Signal::Counters).warm();
    world.append_altered(1, 10, 30);
    world.append_altered(2, 10, 30);
    world.append_altered(3, 10, 30);
    world.engine_takes(2);
    assert_eq!(world.collect_after(200), (vec![], None));
    world.engine_takes(1);
    assert_eq!(world.collect_after(400), (vec![], None));
    assert_eq!(world.collect_after(499), (vec![1], None), "the first rise is the first batch's");
    assert_eq!(world.collect_after(1), (vec![2, 3], None));
}

#[test]
fn a_processor_that_starts_dropping_later_costs_one_repetition() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 10);
    world.append_altered(2, 10, 4);
    world.append(3, 10);
    world.engine_takes(3);
    assert_eq!(world.collect_after(100), (vec![1, 2], None));
    assert_eq!(world.collect_after(1_900), (vec![], None));
    assert_eq!(world.collect_after(100), (vec![], Some(3)));
    assert!(world.ledger.is_altered());
}

#[test]
fn a_processor_that_drops_all_of_an_unverifiable_batch_is_repeated_not_lost() {
    let mut world = World::new(Signal::Counters);
    world.reading.writes = None; // A host before 4.1.
    world.append_altered(1, 5, 0);
    world.collect_after(100);
    assert_eq!(world.collect_after(30_000), (vec![], Some(1)));
}

#[test]
fn the_last_reading_settles_what_was_counted_and_nothing_else() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 5);
    world.engine_takes(1);
    world.ledger.close(world.now, Some(world.reading));
    assert_eq!(world.settled(), [1]);
    assert_eq!(world.ledger.unsettled(), 1);
}

#[test]
fn a_commit_delay_holds_a_batch_that_is_in_a_chunk() {
    let mut world = World::with_delay(Signal::Counters, Duration::from_secs(60));
    world.append(1, 5);
    world.engine_takes(1);
    world.collect_after(100);
    assert_eq!(world.collect_after(500).0, []);
    assert!(world.ledger.has_room(10), "what waits for the delay is not in flight");
    assert_eq!(world.collect_after(59_000).0, []);
    assert_eq!(world.collect_after(1_000).0, [1]);
}

#[test]
fn without_counters_time_has_to_pass_unpaused() {
    let mut world = World::new(Signal::Time);
    world.append(1, 5);
    assert_eq!(world.collect_after(1_000), (vec![], None));
    world.paused = true;
    assert_eq!(world.collect_after(60_000), (vec![], None));
    world.paused = false;
    assert_eq!(world.collect_after(999), (vec![], None));
    world.ledger.close(world.now, None);
    assert_eq!(world.settled(), [], "stopping is no evidence");
    assert_eq!(world.collect_after(1), (vec![1], None));
}

#[test]
fn without_a_ring_buffer_what_is_counted_settles() {
    let mut world = World::new(Signal::Counters);
    for tickets in [0..1, 1..9, 9..17] {
        for ticket in tickets.clone() {
            assert!(world.ledger.has_room(10), "no room for {ticket}");
            let before = world.reading;
            world.reading.records += 5;
            world.ledger.appended(world.now, (ticket, 5, 10), before);
        }
        world.collect_after(100);
        let (settled, lost) = world.collect_after(500);
        assert_eq!((settled.last().copied(), lost), (Some(tickets.end - 1), None));
    }
    assert!(!world.ledger.is_altered());
}
