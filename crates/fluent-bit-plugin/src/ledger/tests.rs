//! What the ledger promises, against a small model of the engine.

mod edges;
mod lies;

use super::*;
use crate::terms::LOST_AFTER;
use crate::trust::{DOUBTS_MAX, MISMATCHES_MAX};

/// Bytes of each batch, unless a test says otherwise.
const BYTES: usize = 10;

impl Ledger {
    /// Batches that are not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.entries.len()
    }
}

/// A host whose engine takes batches out of the ring buffer when told to.
struct World {
    ledger: Ledger,
    now: Duration,
    reading: Reading,
    /// Records and bytes.
    ring: VecDeque<(u64, usize)>,
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
            reading: Reading {
                records: 100,
                bytes: Some(4_000),
                writes: Some(7),
                pulse: Some(50_000),
                chunks_up: None,
                waiting: None,
            },
            ring: VecDeque::new(),
            paused: false,
        }
    }

    /// The author sends `records`, processors make `kept` of them.
    fn append_altered(&mut self, ticket: u64, records: u32, kept: u64) {
        let before = self.reading;
        if kept > 0 {
            let bytes = if kept == u64::from(records) { BYTES } else { BYTES / 2 };
            self.ring.push_back((kept, bytes));
            self.reading.writes = self.reading.writes.map(|writes| writes + 1);
        }
        self.ledger.appended(self.now, (ticket, records, BYTES), before);
    }

    fn append(&mut self, ticket: u64, records: u32) {
        assert!(self.ledger.has_room(BYTES), "no room for {ticket}");
        self.append_altered(ticket, records, records.into());
    }

    /// The engine counts so many records and bytes of one batch.
    fn engine_counts(&mut self, records: u64, bytes: usize) {
        self.reading.records += records;
        self.reading.bytes = self.reading.bytes.map(|all| all + bytes as u64);
    }

    /// The engine takes so many batches and writes all but the last for sure.
    fn engine_takes(&mut self, batches: usize) {
        for (records, bytes) in self.ring.drain(..batches).collect::<Vec<_>>() {
            self.engine_counts(records, bytes);
        }
    }

    /// The engine comes back from what it did.
    fn beat(&mut self) {
        self.reading.pulse = self.reading.pulse.map(|pulse| pulse + 5_000);
    }

    /// A collect after this time: tickets that settled, and the first one that was returned.
    fn collect_after(&mut self, millis: u64) -> (Vec<u64>, Option<u64>) {
        self.now += Duration::from_millis(millis);
        let reading = self.ledger.wants_reading(self.now).then_some(self.reading);
        let lost = self.ledger.observe(self.now, reading, self.paused);
        (self.settled(), lost)
    }

    /// So many collects that settle nothing; the first ticket that was returned.
    fn collects(&mut self, count: u32) -> Option<u64> {
        let mut lost = None;
        for _ in 0..count {
            let (settled, returned) = self.collect_after(100);
            assert_eq!(settled, [], "{:?}", self.ledger);
            lost = lost.or(returned);
        }
        lost
    }

    /// What is counted becomes known, and then that it is written.
    fn collect_written(&mut self) -> Vec<u64> {
        let mut settled = self.collect_after(100).0;
        settled.extend(self.collect_after(100).0);
        self.beat();
        settled.extend(self.collect_after(1_000).0);
        settled
    }

    fn settled(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.ledger.pop_settled(self.now)).collect()
    }

    fn close(&mut self) -> Vec<u64> {
        self.ledger.close(self.now, Some(self.reading), self.paused);
        self.settled()
    }

    /// Past the first batch, which goes alone to see whether counts can be trusted.
    fn warm(mut self) -> Self {
        self.append(0, 1);
        self.engine_takes(1);
        assert_eq!(self.collect_written(), [0]);
        self
    }

    /// The ring buffer is known to be empty.
    fn quieten(&mut self) {
        for _ in 0..4 {
            assert!(!self.ledger.has_room(BYTES), "what was lost may still turn up");
            self.beat();
            self.collect_after(1_000);
            if !self.ledger.quiet.is_awaited() {
                return;
            }
        }
        panic!("no quiet: {:?}", self.ledger);
    }
}

#[test]
fn a_batch_settles_only_when_it_was_counted_and_the_engine_came_back() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.beat();
    assert_eq!(world.collect_after(1_000).0, [], "it lies in the ring buffer");
    world.engine_takes(1);
    world.beat();
    assert_eq!(world.collect_after(100).0, [], "counted, perhaps after the beat");
    assert_eq!(world.collect_after(100).0, []);
    assert_eq!(world.collect_after(3_600_000).0, [], "it may be in a filter for an hour");
    world.beat();
    assert_eq!(world.collect_after(1_000).0, [1]);
    assert_eq!(world.ledger.unsettled(), 0);
}

#[test]
fn without_beats_a_counted_batch_settles_after_ten_seconds() {
    let mut world = World::new(Signal::Counters);
    world.reading.pulse = None;
    world.append(1, 5);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, []);
    assert_eq!(world.collect_after(9_999).0, []);
    assert_eq!(world.collect_after(1_000).0, [1]);
}

#[test]
fn without_beats_it_waits_four_times_as_long_as_a_batch_was_seen_to_take() {
    let mut world = World::new(Signal::Counters);
    world.reading.pulse = None;
    world.append(0, 1);
    world.engine_takes(1);
    world.collect_after(100);
    world.append(1, 5);
    world.append(2, 5);
    world.collect_after(100);
    world.engine_takes(1);
    world.collect_after(2_900); // 3.0 s after the handover.
    world.engine_takes(1);
    world.collect_after(3_500);
    assert_eq!(world.collect_after(13_900).0, []);
    assert_eq!(world.collect_after(1_000).0, [2]);
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
    assert_eq!(world.collect_written(), [3]);
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
    world.append(3, 1);
    world.append(4, 1);
    assert!(!world.ledger.has_room(1));
}

#[test]
fn readings_are_rare_while_only_a_beat_is_waited_for() {
    let mut world = World::new(Signal::Counters).warm();
    assert!(!world.ledger.wants_reading(world.now));
    world.append(1, 5);
    assert!(world.ledger.wants_reading(world.now));
    world.engine_takes(1);
    world.collect_after(100);
    world.collect_after(100);
    let next = |millis| world.now + Duration::from_millis(millis);
    assert!(!world.ledger.wants_reading(next(999)));
    assert!(world.ledger.wants_reading(next(1_000)));
    world.append(2, 5);
    assert!(world.ledger.wants_reading(world.now));
}

#[test]
fn counts_that_stand_still_for_thirty_seconds_return_everything_from_the_first_lost() {
    let mut world = World::new(Signal::Counters).warm();
    for ticket in 1..=4 {
        world.append(ticket, 5);
    }
    world.engine_takes(2);
    assert_eq!(world.collect_after(100), (vec![1], None));
    world.collect_after(100);
    world.beat();
    assert_eq!(world.collect_after(100), (vec![2], None));
    world.ring.clear(); // The engine had no chunk for the others.
    assert_eq!(world.collect_after(29_700), (vec![], None));
    assert_eq!(world.collect_after(200), (vec![], Some(3)));
    assert_eq!(world.ledger.unsettled(), 0);
}

#[test]
fn a_batch_lost_in_the_middle_is_noticed_though_the_records_would_fit() {
    // 7 + 5 records are as many as 5 + 7.
    let mut world = World::new(Signal::Counters).warm();
    for (ticket, records, bytes) in [(1, 5, 50), (2, 7, 70), (3, 5, 55)] {
        world.ledger.appended(world.now, (ticket, records, bytes), world.reading);
        world.reading.writes = world.reading.writes.map(|writes| writes + 1);
    }
    world.engine_counts(7, 70); // "No available chunk" for the first one.
    world.engine_counts(5, 55);
    assert_eq!(world.collects(MISMATCHES_MAX), Some(1));
    assert_eq!(world.ledger.unsettled(), 0);
    world.quieten();
    assert!(!world.ledger.is_altered(), "it may have been a full disk");
    world.append(1, 5);
    assert!(!world.ledger.has_room(1), "one goes alone, to see");
    world.engine_takes(1);
    world.collect_after(100);
    assert!(world.ledger.has_room(1));
}

#[test]
fn batches_that_the_host_drops_again_and_again_are_no_reason_for_distrust() {
    let mut world = World::new(Signal::Counters).warm();
    for _ in 0..5 {
        world.append(1, 5);
        world.append(2, 7);
        world.append(3, 8);
        world.ring.pop_front();
        world.engine_takes(2);
        assert_eq!(world.collects(MISMATCHES_MAX), Some(1));
        world.quieten();
        world.append(1, 5);
        world.engine_takes(1);
        assert_eq!(world.collect_written(), [1]);
        assert!(!world.ledger.is_altered());
    }
}

#[test]
fn counts_that_were_distrusted_twice_stay_distrusted() {
    let mut world = World::new(Signal::Counters).warm();
    for _ in 0..DOUBTS_MAX {
        assert!(!world.ledger.is_altered(), "{:?}", world.ledger);
        world.append(1, 5);
        if world.ledger.has_room(1) {
            world.append(2, 7);
        } else {
            world.engine_takes(1);
            world.collect_after(100);
            world.append(2, 7);
            world.append(3, 8);
        }
        world.ring.clear();
        world.engine_counts(1, 3);
        let lost: Vec<_> =
            (0..=MISMATCHES_MAX).filter_map(|_| world.collect_after(100).1).collect();
        assert_eq!(lost.len(), 1);
        world.quieten();
    }
    assert!(world.ledger.is_altered());
}

#[test]
fn counters_that_are_raised_one_after_the_other_are_no_reason_for_distrust() {
    for steps in [
        [(5, 0), (0, BYTES), (6, 0), (0, BYTES)],
        [(0, BYTES), (5, 0), (0, BYTES), (6, 0)],
        [(0, BYTES), (0, BYTES), (5, 0), (6, 0)],
    ] {
        let mut world = World::new(Signal::Counters).warm();
        world.append(1, 5);
        world.append(2, 6);
        world.ring.clear();
        let mut settled = Vec::new();
        for (records, bytes) in steps {
            world.engine_counts(records, bytes);
            let (tickets, lost) = world.collect_after(100);
            assert_eq!(lost, None, "{steps:?}");
            settled.extend(tickets);
        }
        settled.extend(world.collect_written());
        assert_eq!(settled, [1, 2], "{steps:?}");
        assert!(!world.ledger.is_altered());
    }
}

#[test]
fn a_batch_that_is_counted_twice_goes_alone_from_then_on() {
    // Conditional routes: what they match, then everything.
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 5);
    world.ring.clear();
    world.engine_counts(2, 6);
    assert_eq!(world.collect_after(100), (vec![], None), "not a mark");
    world.engine_counts(5, BYTES);
    world.engine_counts(5, BYTES);
    assert_eq!(world.collect_after(100), (vec![], Some(1)));
    assert!(world.ledger.is_altered());
    world.quieten();
    world.append(1, 5);
    world.ring.clear();
    assert!(!world.ledger.has_room(1));
    world.engine_counts(3, 8);
    assert_eq!(world.collect_written(), [], "fewer than it holds");
    world.engine_counts(5, BYTES);
    assert_eq!(world.collect_after(100).0, []);
    assert!(!world.ledger.has_room(1), "perhaps not written");
    assert_eq!(world.collect_written(), [1]);
    assert!(world.ledger.has_room(1));
}

#[test]
fn a_second_count_when_nothing_is_under_way_is_noticed() {
    let mut world = World::new(Signal::Counters).warm();
    world.engine_counts(1, BYTES);
    world.append(1, 5);
    assert!(world.ledger.is_altered());
    assert!(!world.ledger.has_room(1));
    world.engine_counts(5, BYTES - 1);
    assert_eq!(world.collect_written(), [], "these may be its routes alone");
    world.beat();
    assert_eq!(world.collect_after(1_000).0, [1]);
}

#[test]
fn a_pause_between_two_counts_of_a_batch_has_it_repeated() {
    let mut world = World::new(Signal::Counters);
    world.append(1, 5);
    world.ring.clear();
    world.engine_counts(5, BYTES);
    world.engine_counts(5, BYTES);
    assert_eq!(world.collect_written(), [1]);
    world.append(2, 5);
    world.ring.clear();
    // Its routes, written anew and shorter, pause the input, and the whole is dropped.
    world.engine_counts(5, BYTES - 1);
    world.paused = true;
    assert_eq!(world.collect_after(100), (vec![], None));
    assert_eq!(world.close(), [], "nobody knows");
    world.paused = false;
    world.collect_after(100);
    world.beat();
    world.collect_after(1_000);
    world.beat();
    assert_eq!(world.collect_after(1_000), (vec![], Some(2)));
}

#[test]
fn a_pause_after_a_whole_batch_that_no_route_matched_repeats_nothing() {
    let mut world = World::new(Signal::Counters);
    world.append(1, 5);
    world.ring.clear();
    world.engine_counts(5, BYTES - 1);
    world.engine_counts(5, BYTES);
    assert_eq!(world.collect_written(), [1]);
    world.append(2, 5);
    world.paused = true;
    world.collect_after(100);
    world.paused = false;
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [2], "it was counted as long as it is");
}

#[test]
fn a_pause_after_a_part_of_the_first_batch_has_it_repeated() {
    let mut world = World::new(Signal::Counters);
    world.reading.waiting = Some(true);
    world.append(1, 5);
    world.ring.clear();
    world.engine_counts(3, BYTES / 2); // Its routes pause the input, and the whole is dropped.
    world.paused = true;
    assert_eq!(world.collects(MISMATCHES_MAX), Some(1), "or a processor did that");
    assert_eq!(world.close(), []);
}

#[test]
fn a_counted_batch_settles_as_soon_as_the_engine_is_seen_to_wait() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.reading.waiting = Some(true);
    assert_eq!(world.collect_after(100).0, [], "it lies in the ring buffer");
    world.engine_takes(1);
    world.reading.waiting = Some(false);
    assert_eq!(world.collect_after(100).0, [], "counted, and now in a filter");
    assert_eq!(world.collect_after(3_600_000).0, [], "it may be there for an hour");
    world.reading.waiting = Some(true);
    assert_eq!(world.collect_after(100).0, [1]);
}

#[test]
fn an_engine_that_is_seen_to_work_writes_nothing_by_the_clock() {
    let mut world = World::new(Signal::Counters);
    world.reading.pulse = None;
    world.reading.waiting = Some(false);
    world.append(1, 5);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, []);
    assert_eq!(world.collect_after(3_600_000).0, [], "it may be in a filter for an hour");
    world.reading.waiting = Some(true);
    assert_eq!(world.collect_after(100).0, [1]);
}

#[test]
fn with_conditional_routes_the_engine_has_to_have_taken_all_of_a_batch() {
    let mut world = World::new(Signal::Counters);
    world.reading.waiting = Some(true);
    world.append(0, 5);
    world.ring.clear();
    world.engine_counts(5, BYTES - 1);
    world.engine_counts(5, BYTES);
    assert_eq!(world.collect_after(100).0, [], "counts may still rise");
    assert_eq!(world.collect_after(100).0, [0], "they did not, and it was one entry");
    // Up to 5.1.0 its routes and the whole are entries of the ring buffer of their own.
    world.append(1, 5);
    world.ring.clear();
    world.reading.writes = world.reading.writes.map(|writes| writes + 1);
    world.engine_counts(6, BYTES);
    for _ in 0..4 {
        assert_eq!(world.collect_after(100).0, [], "the whole may lie in the ring buffer");
    }
    world.engine_counts(5, BYTES);
    assert_eq!(world.collect_after(100).0, [], "seen for the first time");
    assert_eq!(world.collect_after(100).0, [1]);
    // What is counted once, and not as long as it is, is not the whole.
    world.append(2, 5);
    world.ring.clear();
    world.engine_counts(5, BYTES - 1);
    for _ in 0..20 {
        assert_eq!(world.collect_after(100), (vec![], None));
    }
}

#[test]
fn a_part_is_not_written_by_the_clock_while_the_engine_is_seen_to_work() {
    let mut world = World::new(Signal::Counters);
    world.reading.waiting = Some(true);
    world.append(0, 5);
    world.ring.clear();
    world.engine_counts(10, 2 * BYTES); // Conditional routes.
    assert_eq!(world.collect_after(100).0, []);
    assert_eq!(world.collect_after(100).0, [0]);
    world.append(1, 5);
    world.ring.clear();
    world.engine_counts(5, BYTES - 1);
    world.reading.waiting = Some(false);
    assert_eq!(world.collect_after(100).0, []);
    assert_eq!(world.collect_after(3_600_000).0, [], "it may be in a filter for an hour");
    world.reading.waiting = Some(true);
    assert_eq!(world.collect_after(1_000).0, [1], "it has had time enough to take the whole");
}

#[test]
fn a_part_that_is_counted_late_has_as_long_as_the_first_to_be_written() {
    let mut world = World::new(Signal::Counters);
    world.append(1, 5);
    world.ring.clear();
    world.engine_counts(3, BYTES / 2);
    assert_eq!(world.collects(MISMATCHES_MAX), None);
    assert_eq!(world.collect_after(31_000).0, [], "a filter has the first part");
    world.engine_counts(2, BYTES / 2 - 1);
    world.engine_counts(5, BYTES);
    assert_eq!(world.collect_after(1_000).0, []);
    assert_eq!(world.collect_after(31_000).0, [], "and now the whole");
    assert_eq!(world.collect_after(30_000).0, [1]);
}

#[test]
fn what_is_not_counted_although_the_engine_waits_is_lost_after_five_seconds() {
    let mut world = World::new(Signal::Counters).warm();
    world.reading.waiting = Some(false);
    world.append(1, 5);
    world.ring.clear();
    assert_eq!(world.collect_after(20_000), (vec![], None), "a filter may hold it up");
    world.reading.waiting = Some(true);
    assert_eq!(world.collects(30), None, "it may just have ended");
    assert_eq!(world.collects(20), Some(1));
    let mut world = World::new(Signal::Counters).warm();
    world.reading.waiting = Some(true);
    world.append(1, 5);
    assert_eq!(world.collects(49), None);
    assert_eq!(world.collects(1), Some(1));
}

#[test]
fn where_nobody_had_a_turn_nothing_is_lost() {
    let mut world = World::new(Signal::Counters).warm();
    world.reading.waiting = Some(true);
    world.append(1, 5);
    assert_eq!(world.collect_after(9_000), (vec![], None), "the engine may not have run either");
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).1, None);
    world.append(2, 5);
    assert_eq!(world.collect_after(4_900), (vec![], None));
    world.paused = true;
    assert_eq!(world.collect_after(60_000), (vec![], None), "a pause leaves it where it is");
}

#[test]
fn a_ring_buffer_that_the_engine_was_seen_to_leave_is_quiet() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.collect_after(100);
    assert_eq!(world.collect_after(30_000).1, Some(1));
    world.reading.waiting = Some(true);
    world.collect_after(900);
    assert!(!world.ledger.has_room(BYTES));
    world.engine_takes(1); // It turns up after all.
    world.collect_after(100);
    world.collect_after(900);
    assert!(!world.ledger.has_room(BYTES));
    world.collect_after(100);
    assert!(world.ledger.has_room(BYTES));
}

#[test]
fn a_processor_that_changes_nothing_but_the_size_is_noticed() {
    for bytes in [BYTES - 1, BYTES + 1] {
        let mut world = World::new(Signal::Counters);
        world.append(1, 5);
        world.ring.clear();
        world.engine_counts(5, bytes);
        assert_eq!(world.collects(MISMATCHES_MAX), None);
        assert!(world.ledger.is_altered());
        assert_eq!(world.collect_written(), [1]);
    }
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
    assert_eq!(world.collect_written(), [1]);
}

#[test]
fn after_a_return_nothing_is_handed_over_before_it_is_quiet() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 5);
    world.collect_after(100);
    assert_eq!(world.collect_after(30_000).1, Some(1));
    assert!(!world.ledger.has_room(BYTES));
    world.beat();
    world.collect_after(1_000);
    world.engine_takes(2); // They turn up after all.
    world.beat();
    world.collect_after(1_000);
    world.paused = true;
    world.collect_after(60_000);
    world.paused = false;
    world.quieten();
    assert!(!world.ledger.is_altered(), "late copies are no processor");
    world.append(1, 7);
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [1]);
}

#[test]
fn a_return_without_beats_waits_for_ten_seconds() {
    let mut world = World::new(Signal::Counters);
    world.reading.pulse = None;
    world.append(1, 5);
    world.collect_after(100);
    assert_eq!(world.collect_after(30_000).1, Some(1));
    world.collect_after(9_900);
    assert!(!world.ledger.has_room(BYTES));
    world.collect_after(1_000);
    assert!(world.ledger.has_room(BYTES));
}

#[test]
fn a_stop_after_a_return_settles_nothing_of_it() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 5);
    world.collect_after(100);
    assert_eq!(world.collect_after(30_000).1, Some(1));
    world.engine_takes(1); // The first copy of one; then the host stops.
    assert_eq!(world.close(), []);
}

#[test]
fn a_stop_settles_nothing_when_counts_do_not_fit() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 12);
    world.append(2, 3);
    world.engine_counts(5, 5);
    assert_eq!(world.close(), []);
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 7);
    world.ring.pop_front();
    world.engine_takes(1);
    assert_eq!(world.close(), [], "which of them it was cannot be told");
}

#[test]
fn a_batch_that_processors_drop_settles_with_its_predecessors() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    assert_eq!(world.collect_after(100).0, []);
    world.append_altered(2, 5, 0);
    assert_eq!(world.collect_after(100).0, []);
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [1, 2]);
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
    assert_eq!(world.collect_written(), [4]);
}

#[test]
fn a_batch_that_processors_drop_among_others_costs_one_repetition() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(2, 5);
    world.append_altered(3, 5, 0);
    assert_eq!(world.collect_after(100), (vec![], Some(2)), "2 or 3 was dropped");
    assert!(world.ledger.is_altered());
    world.engine_takes(1);
    world.quieten();
    world.append(2, 5);
    assert!(!world.ledger.has_room(10), "from now on alone");
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [2]);
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
    assert_eq!(world.collect_written(), [1, 2]);
}

#[test]
fn a_processor_that_drops_some_records_is_noticed_and_every_batch_goes_alone() {
    let mut world = World::new(Signal::Counters);
    world.append_altered(1, 10, 4);
    world.engine_takes(1);
    assert_eq!(world.collects(MISMATCHES_MAX), None);
    assert!(world.ledger.is_altered());
    assert!(!world.ledger.has_room(1), "the first one shows whether more follows");
    assert_eq!(world.collect_written(), [1]);
    world.append_altered(2, 10, 1);
    assert!(!world.ledger.has_room(1));
    assert_eq!(world.collect_after(1_000), (vec![], None), "still in the ring buffer");
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, []);
    world.append_altered(3, 10, 9);
    assert_eq!(world.collect_after(100).0, [], "the second is perhaps in a filter");
    assert!(!world.ledger.has_room(1));
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, [2], "no, for the third was counted");
    assert_eq!(world.collect_written(), [3]);
}

#[test]
fn a_processor_that_drops_some_batches_whole_and_some_in_part_holds_nothing_up() {
    let mut world = World::new(Signal::Counters);
    world.append_altered(1, 10, 4);
    world.engine_takes(1);
    assert_eq!(world.collects(MISMATCHES_MAX), None);
    assert_eq!(world.collect_written(), [1]);
    world.append_altered(2, 10, 3);
    world.engine_takes(1);
    world.collect_after(100);
    world.append_altered(3, 10, 0);
    assert_eq!(world.collect_after(100), (vec![], None), "the second is perhaps in a filter");
    assert!(world.ledger.has_room(1));
    world.append_altered(4, 10, 5);
    assert_eq!(world.collect_after(100), (vec![], None));
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![2, 3], None));
    assert_eq!(world.collect_written(), [4]);
}

#[test]
fn a_processor_that_multiplies_records_settles_nothing_that_is_not_in_a_chunk() {
    let mut world = World::new(Signal::Counters);
    world.append_altered(1, 10, 20);
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [1]);
    assert!(world.ledger.is_altered());
    world.append_altered(2, 10, 20);
    assert_eq!(world.collect_after(1_000).0, []);
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [2]);
}

#[test]
fn a_processor_that_starts_multiplying_later_costs_one_repetition() {
    let mut world = World::new(Signal::Counters).warm();
    world.append_altered(1, 10, 30);
    world.append_altered(2, 10, 30);
    world.append_altered(3, 10, 30);
    world.engine_takes(2);
    assert_eq!(world.collect_after(200), (vec![], Some(1)));
    world.engine_takes(1);
    world.quieten();
    world.append_altered(1, 10, 30);
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [1]);
}

#[test]
fn a_processor_that_starts_dropping_later_costs_repetitions_and_loses_nothing() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 10);
    world.append_altered(2, 10, 4);
    world.append(3, 10);
    world.engine_takes(3);
    assert_eq!(world.collects(MISMATCHES_MAX), Some(1));
    world.quieten();
    world.append(1, 10);
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [1]);
    world.append_altered(2, 10, 4);
    world.engine_takes(1);
    assert_eq!(world.collects(MISMATCHES_MAX), None, "alone, it is its own");
    assert!(world.ledger.is_altered());
    assert_eq!(world.collect_written(), [2]);
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
    assert_eq!(world.close(), [1]);
    assert_eq!(world.ledger.unsettled(), 1);
}

#[test]
fn a_commit_delay_holds_a_batch_that_is_in_a_chunk() {
    let mut world = World::with_delay(Signal::Counters, Duration::from_secs(60));
    world.append(1, 5);
    world.engine_takes(1);
    assert_eq!(world.collect_written(), []);
    assert!(world.ledger.has_room(10), "what waits for the delay is not in flight");
    assert_eq!(world.collect_after(59_000).0, []);
    assert_eq!(world.collect_after(1_000).0, [1]);
}

#[test]
fn without_counters_time_has_to_pass_unpaused() {
    let mut world = World::new(Signal::Time);
    world.append(1, 5);
    assert_eq!(world.collect_after(5_000), (vec![], None));
    world.paused = true;
    assert_eq!(world.collect_after(60_000), (vec![], None));
    world.paused = false;
    assert_eq!(world.collect_after(4_999), (vec![], None));
    world.ledger.close(world.now, None, false);
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
            world.engine_counts(5, BYTES);
            world.ledger.appended(world.now, (ticket, 5, BYTES), before);
        }
        assert_eq!(world.collect_written(), tickets.collect::<Vec<_>>());
    }
    assert!(!world.ledger.is_altered());
}
