//! What the ledger promises where something is just so: just in time, just enough, nothing at all.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// Past batches of which a processor drops some records: any rise is a batch's own.
fn thinned() -> World {
    let mut world = World::new(Signal::Counters);
    world.append_altered(0, 10, 4);
    world.engine_takes(1);
    assert_eq!(world.collects(MISMATCHES_MAX), None);
    assert_eq!(world.collect_written(), [0]);
    assert!(world.ledger.is_altered());
    world
}

#[test]
fn nothing_is_read_while_nothing_is_under_way() {
    let mut world = World::with_delay(Signal::Counters, HOUR);
    assert!(!world.ledger.is_waiting());
    assert!(!world.ledger.wants_reading(world.now + HOUR));
    world.append(1, 5);
    assert!(world.ledger.is_waiting());
    world.engine_takes(1);
    assert_eq!(world.collect_written(), []);
    assert_eq!(world.ledger.unsettled(), 1);
    assert!(!world.ledger.is_waiting(), "it waits for its delay only");
    assert!(!world.ledger.wants_reading(world.now + HOUR));
}

#[test]
fn without_counters_nothing_is_read_and_nothing_made_longer() {
    let mut world = World::new(Signal::Time);
    assert_eq!(world.ledger.padding(700, 100), Some(0));
    world.append(1, 5);
    assert!(!world.ledger.wants_reading(world.now + HOUR));
    assert_eq!(World::new(Signal::Counters).ledger.padding(700, 100), Some(1));
    assert_eq!(World::new(Signal::Counters).ledger.padding(0, 100), Some(0), "it holds nothing");
}

#[test]
fn without_counters_what_is_believed_makes_room() {
    let mut world = World::new(Signal::Time);
    world.append(1, 5);
    assert_eq!(world.collect_after(10_000), (vec![1], None));
    world.append(2, 5);
    assert!(world.ledger.has_room(990));
    assert!(!world.ledger.has_room(991), "the second holds 10 of 1,000 bytes");
}

#[test]
fn a_full_ring_buffer_teaches_its_size_without_what_was_counted() {
    let mut world = World::new(Signal::Counters).warm();
    for ticket in 1..=3 {
        world.append(ticket, 1);
    }
    world.engine_takes(1);
    assert_eq!(world.collect_after(100).0, []);
    world.ledger.refused();
    world.engine_takes(2);
    world.collect_after(100);
    world.append(4, 1);
    world.append(5, 1);
    assert!(!world.ledger.has_room(1), "it holds two");
}

#[test]
fn counts_that_stand_still_are_waited_for_as_long_as_was_asked_and_no_longer() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.ring.clear();
    assert_eq!(world.collect_after(29_999), (vec![], None));
    assert_eq!(world.collect_after(1), (vec![], Some(1)));
}

#[test]
fn bytes_that_rise_without_records_while_nothing_is_under_way_multiply_nothing() {
    let mut world = World::new(Signal::Counters).warm();
    world.engine_counts(0, BYTES);
    world.append(1, 5);
    assert!(!world.ledger.is_altered(), "once it may be a reading between two counters");
    world.engine_takes(1);
    assert_eq!(world.collect_written(), [1]);
    assert!(world.ledger.has_room(1));
}

#[test]
fn a_pause_that_is_first_seen_at_the_stop_leaves_a_part_unsettled() {
    for (paused, settled) in [(true, vec![]), (false, vec![2])] {
        let mut world = World::new(Signal::Counters);
        world.append(1, 5);
        world.ring.clear();
        world.engine_counts(10, 2 * BYTES); // Conditional routes.
        assert_eq!(world.collect_written(), [1]);
        world.append(2, 5);
        world.ring.clear();
        world.engine_counts(5, BYTES - 1);
        world.paused = paused;
        assert_eq!(world.close(), settled, "the whole may be dropped");
    }
}

#[test]
fn a_stop_settles_nothing_when_counts_do_not_fit_any_more() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    world.append(2, 7);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![], None), "counted, perhaps not written");
    world.engine_counts(3, 3);
    assert_eq!(world.close(), []);
}

#[test]
fn what_follows_a_batch_that_processors_drop_is_told_by_its_own_count() {
    let mut world = World::new(Signal::Counters).warm();
    world.append(1, 5);
    assert_eq!(world.collect_after(100), (vec![], None));
    world.append_altered(2, 6, 0);
    assert_eq!(world.collect_after(100), (vec![], None));
    assert!(world.ledger.has_room(990));
    assert!(!world.ledger.has_room(991), "the first holds 10 of 1,000 bytes, the second none");
    world.append(3, 7);
    world.engine_takes(2);
    assert_eq!(world.collect_after(100), (vec![1, 2], None));
    assert_eq!(world.collect_written(), [3]);
    assert!(!world.ledger.is_altered());
}

#[test]
fn an_empty_batch_before_which_there_is_nothing_settles_at_once() {
    for signal in [Signal::Counters, Signal::Time] {
        let mut world = World::new(signal);
        world.ledger.appended(world.now, (1, 0, 0), world.reading);
        assert_eq!(world.settled(), [1]);
    }
}

#[test]
fn a_processor_that_multiplies_what_it_thinned_has_batches_go_one_by_one() {
    let mut world = thinned();
    world.append_altered(1, 10, 20);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![], None), "alone, it is its own");
    assert!(!world.ledger.has_room(1), "more of it may come");
    assert_eq!(world.collect_written(), [1]);
    world.append_altered(2, 10, 20);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![], None));
    assert!(!world.ledger.has_room(1), "from now on");
}

#[test]
fn a_processor_that_multiplies_one_of_two_has_both_repeated() {
    let mut world = thinned();
    world.append_altered(1, 10, 4);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![], None), "counted, perhaps not written");
    world.append_altered(2, 10, 30);
    world.engine_takes(1);
    assert_eq!(world.collect_after(100), (vec![], Some(1)));
}
