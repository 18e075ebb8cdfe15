//! What is listed again, and what becomes of windows that fail, one case at a time.

use super::*;
use crate::source::retention::horizon;
use crate::source::urgency::Urgency;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const MILLISECOND: Duration = Duration::from_millis(1);

fn hour(hour: i64) -> Utc {
    Utc::from_millis(hour * 3_600_000)
}

fn hours(start: i64, end: i64) -> Interval {
    Interval::new(hour(start), hour(end)).unwrap()
}

fn minutes(start: i64, minutes: u32) -> Interval {
    Interval::new(hour(start), hour(start) + MINUTE * minutes).unwrap()
}

/// Microsoft's time; its horizon is a full hour. Stretches from 36 on can be listed, as far as they
/// reach beyond 832:05:01; 43 has not ended.
fn now() -> Utc {
    let now = hour(1_000) + Duration::from_secs(1);
    assert_eq!(horizon(now), hour(1_000));
    now
}

/// What failed windows leave behind.
struct Failing {
    older: Older,
    whole_lane: bool,
}

impl Failing {
    fn new() -> Self {
        Self { older: Older::new(Vec::new(), 0), whole_lane: false }
    }

    /// A window is given up, of a round perhaps, after so many tries by itself.
    fn fail(&mut self, window: Interval, round: Option<Round>, tries: u32) -> (u32, bool) {
        let run = Run { round, tries, ..Run::new(window, Urgency::Soon) };
        self.older.fail(&run, false, self.whole_lane, MINUTE, now())
    }

    fn refuse(&mut self, window: Interval) -> (u32, bool) {
        self.older.fail(&Run::new(window, Urgency::Soon), true, self.whole_lane, MINUTE, now())
    }
}

fn aside(window: Interval, failures: u32, not_before: Duration) -> Aside {
    Aside { window, round: Some(3), failures, not_before }
}

#[test]
fn how_long_a_window_may_be_is_stored_in_minutes_and_none_for_the_longest() {
    for (minutes, span, stored) in [
        (0, HOUR * 23, 0),
        (240, HOUR * 4, 240),
        (23 * 60 - 1, MINUTE * (23 * 60 - 1), 23 * 60 - 1),
        (23 * 60, HOUR * 23, 0),
        (9_999, HOUR * 23, 0),
        (1, MINUTE * 15, 15),
    ] {
        let older = Older::new(Vec::new(), minutes);
        assert_eq!((older.span(), older.stored_span()), (span, stored));
    }
}

#[test]
fn windows_that_succeed_get_longer_by_an_eighth() {
    let after = |length| {
        let mut older = Older::new(Vec::new(), 240);
        older.failures = 3;
        older.succeeded(minutes(0, length), None);
        assert_eq!(older.failures(), 0);
        older.span()
    };
    assert_eq!(after(119), MINUTE * 240, "that was short, and proves nothing");
    assert_eq!(after(120), MINUTE * 270);
    let mut longest = Older::new(Vec::new(), 0);
    longest.succeeded(hours(0, 23), None);
    assert_eq!(longest.span(), HOUR * 23);
}

#[test]
fn a_round_is_made_when_its_last_piece_was_listed() {
    let mut older = Older::new(vec![(4, 0)], 0);
    let under_way = UnderWay { round: 3, begun: hour(500), next: hour(91), end: hour(92) };
    older.under_way = Some(under_way);
    older.succeeded(hours(69, 91), Some(3));
    assert_eq!(older.made(3), None, "there is more of it");
    older.under_way = Some(UnderWay { next: hour(92), ..under_way });
    older.succeeded(hours(91, 92), Some(4));
    older.succeeded(hours(91, 92), None);
    assert_eq!((older.made(3), older.made(4)), (None, Some(hour(0))), "that was another");
    older.look_at = hour(600);
    older.succeeded(hours(91, 92), Some(3));
    assert!(!older.is_under_way());
    assert_eq!((older.made(3), older.look_at()), (Some(hour(500)), Utc::MIN));
    older.make(3, hour(501));
    assert_eq!(older.made, [(4, 0), (3, hour(501).as_millis())]);
}

#[test]
fn what_a_wrong_clock_has_noted_is_forgotten() {
    let millis = now().as_millis();
    let mut older = Older::new(vec![(3, millis), (4, millis + 1)], 0);
    older.under_way = Some(UnderWay { round: 5, begun: now(), next: hour(0), end: hour(1) });
    older.look_at = hour(2_000);
    (older.edge, older.edge_until) = (HOUR, hour(2_000));
    older.asides = [1_000, 1_001].map(|end| aside(hours(999, end), 1, HOUR)).into();
    assert_eq!(older.oldest(now()), RETENTION.oldest(now()) + HOUR);
    assert_eq!(older.oldest(hour(2_000)), RETENTION.oldest(hour(2_000)), "it is over");
    older.correct_time(now(), hour(1_000));
    assert_eq!(older.made, [(3, millis)]);
    assert_eq!(older.asides().iter().collect::<Vec<_>>(), [hours(999, 1_000)]);
    assert!(!older.is_under_way());
    assert_eq!((older.look_at(), older.oldest(now())), (Utc::MIN, RETENTION.oldest(now())));
}

#[test]
fn a_window_that_fails_gets_shorter_and_the_shortest_is_set_aside() {
    let mut failing = Failing::new();
    assert_eq!(failing.fail(hours(900, 920), None, 0), (1, true), "it is stored");
    assert_eq!((failing.older.span(), failing.older.asides.len()), (HOUR * 10, 0));
    assert_eq!(failing.fail(minutes(900, 20), None, 0), (2, true), "in a row");
    assert_eq!(failing.older.failures(), 2);
    assert_eq!((failing.older.span(), failing.older.asides.len()), (MINUTE * 15, 0));
    failing.older.failures = 0;
    assert_eq!(failing.fail(minutes(900, 15), Some(3), 0), (1, false));
    let first = failing.older.asides[0];
    assert_eq!((first.window, first.round, first.failures), (minutes(900, 15), Some(3), 1));
    assert_eq!(first.not_before, MINUTE);
    // It stays aside, whatever happens to others.
    failing.older.asides.clear();
    failing.older.failures = 0;
    failing.whole_lane = true;
    assert_eq!(failing.fail(minutes(900, 15), None, 7), (8, false));
    assert_eq!(failing.older.asides[0].failures, 8);
}

#[test]
fn where_all_listings_fail_no_window_is_to_blame() {
    let mut failing = Failing { whole_lane: true, ..Failing::new() };
    assert_eq!(failing.fail(hours(900, 920), None, 0), (1, false));
    assert_eq!(failing.fail(minutes(900, 1), None, 0), (2, false));
    assert_eq!((failing.older.span(), failing.older.asides.len()), (HOUR * 23, 0));
}

#[test]
fn no_more_than_64_windows_are_set_aside() {
    let mut failing = Failing::new();
    for start in 900..965 {
        failing.fail(minutes(start, 15), None, 0);
    }
    assert_eq!(failing.older.asides.len(), 64);
}

#[test]
fn a_piece_that_fails_is_listed_again_and_no_piece_of_another_round() {
    let mut failing = Failing::new();
    for (round, next) in [(40, 920), (39, 943)] {
        failing.older.under_way =
            Some(UnderWay { round: 40, begun: now(), next: hour(943), end: hour(943) });
        failing.fail(hours(920, 943), Some(round), 0);
        assert_eq!(failing.older.under_way.unwrap().next, hour(next), "round {round}");
    }
}

#[test]
fn windows_refused_at_the_edge_move_it_up_to_a_day_for_six_hours() {
    let at_the_edge =
        |older: &Older, off| Interval::new(older.oldest(now()) + off, hour(999)).unwrap();
    let oldest = RETENTION.oldest(now());
    let mut failing = Failing::new();
    let mut edges = Vec::new();
    for _ in 0..8 {
        let window = at_the_edge(&failing.older, HOUR - MILLISECOND);
        assert!(!failing.refuse(window).1);
        edges.push(failing.older.oldest(now()).since(oldest).as_secs() / 60);
    }
    assert_eq!(edges, [15, 30, 60, 120, 240, 480, 960, 1_440]);
    assert_eq!(failing.older.span(), HOUR * 23);
    let later = now() + HOUR * 6;
    let day = failing.older.oldest(later - MILLISECOND).since(RETENTION.oldest(later));
    assert_eq!(day, HOUR * 24 - MILLISECOND);
    assert_eq!(failing.older.oldest(later), RETENTION.oldest(later), "it is forgotten");
    // Then the window is to blame, and so is one that is further off or fails otherwise.
    let window = at_the_edge(&failing.older, HOUR - MILLISECOND);
    assert!(failing.refuse(window).1);
    let mut failing = Failing::new();
    let window = at_the_edge(&failing.older, HOUR);
    assert!(failing.refuse(window).1);
    let mut failing = Failing::new();
    let window = at_the_edge(&failing.older, HOUR - MILLISECOND);
    assert!(failing.fail(window, None, 0).1);
    assert_eq!(failing.older.oldest(now()), oldest);
}

#[test]
fn what_is_set_aside_is_asked_for_by_itself_as_far_as_it_can_be_listed() {
    let mut older = Older::new(Vec::new(), 0);
    older.asides = vec![
        aside(hours(0, 840), 2, Duration::ZERO),
        aside(hours(900, 901), 3, MINUTE),
        aside(hours(0, 800), 4, MINUTE),
    ];
    let mut wake = Wake::default();
    let window = Interval::new(RETENTION.oldest(now()), hour(840)).unwrap();
    let before = MINUTE - MILLISECOND;
    assert_eq!(older.take_aside(&mut wake, before, now()), Some(Some((window, Some(3), 2))));
    assert_eq!(older.take_aside(&mut wake, before, now()), None);
    assert_eq!(wake.earliest(), Some(MINUTE));
    assert_eq!(older.take_aside(&mut wake, MINUTE, now()), Some(None), "it is gone");
    let next = older.take_aside(&mut wake, MINUTE, now());
    assert_eq!(next, Some(Some((hours(900, 901), Some(3), 3))));
    assert_eq!(older.take_aside(&mut wake, HOUR, now()), None);
}

#[test]
fn a_round_is_listed_piece_by_piece_without_what_is_set_aside() {
    let mut older = Older::new(Vec::new(), 240);
    assert_eq!(older.next_piece(now()), Ok(None), "there is none");
    older.under_way = Some(UnderWay { round: 7, begun: now(), next: hour(800), end: hour(842) });
    older.asides.push(aside(hours(838, 839), 1, HOUR));
    let first = Interval::new(RETENTION.oldest(now()), RETENTION.oldest(now()) + HOUR * 4).unwrap();
    let second = Interval::new(first.end, hour(838)).unwrap();
    for piece in [first, second, hours(839, 842)] {
        assert_eq!(older.next_piece(now()), Ok(Some((piece, 7))));
    }
    assert!(older.is_under_way());
    assert_eq!(older.next_piece(now()), Err(()), "it is to be stored");
    assert_eq!((older.is_under_way(), older.made(7)), (false, Some(now())));
}

#[test]
fn rounds_are_due_by_the_day_and_the_last_day_every_half_hour() {
    let mut older = Older::new(Vec::new(), 0);
    older.make(40, hour(980));
    older.make(plan::RECENT, hour(999));
    let rounds = older.rounds(None, hour(0), true, now());
    let oldest = RETENTION.oldest(now());
    assert_eq!(rounds.len(), 9);
    assert_eq!(rounds[0], (36, hour(852), Interval::new(oldest, hour(851)).unwrap()));
    assert_eq!(rounds[4], (40, hour(1_004), hours(920, 943)));
    assert_eq!(rounds[7], (43, hour(1_013), hours(989, 1_000)));
    assert_eq!(rounds[8], (plan::RECENT, hour(999) + MINUTE * 30, hours(977, 1_000)));
    let rounds = older.rounds(None, hour(985), false, now());
    let windows: Vec<_> = rounds.iter().map(|(round, _, window)| (*round, *window)).collect();
    let expected = [(42, hours(985, 989)), (43, hours(989, 1_000)), (0, hours(985, 1_000))];
    assert_eq!(windows, expected, "not what lies before the beginning");
}

#[test]
fn a_run_that_ends_lists_again_what_was_listed_before_the_last_run() {
    let mut older = Older::new(Vec::new(), 0);
    let target = hour(990);
    for round in 36..=43 {
        older.make(round, target);
    }
    let due = |older: &Older, target, is_new| {
        let rounds = older.rounds(Some(target), hour(0), is_new, now());
        assert!(rounds.iter().all(|(_, due, _)| *due == now()));
        rounds.iter().map(|(round, _, _)| *round).collect::<Vec<_>>()
    };
    assert!(due(&older, target, false).is_empty(), "the last day is a part of them");
    older.make(40, target - MILLISECOND);
    assert_eq!(due(&older, target, false), [40]);
    assert!(due(&older, target, true).is_empty(), "a first run has nothing to list again");
    older.made.clear();
    assert_eq!(due(&older, hour(989), false), [36, 37, 38, 39, 40, 41, 42], "43 begins there");
    assert_eq!(due(&older, hour(989) + MILLISECOND, false).len(), 8);
}

#[test]
fn the_oldest_round_that_is_due_is_begun_unless_the_last_day_waits_for_longer() {
    let everything = [hours(0, 1_000)].into_iter().collect();
    let begun = |recent_due: Utc, due: Utc| {
        let mut older = Older::new(Vec::new(), 0);
        let rounds = vec![
            (37, now() + MILLISECOND, hours(851, 874)),
            (38, due, hours(874, 897)),
            (39, hour(0), hours(897, 920)),
            (plan::RECENT, recent_due, hours(977, 1_000)),
        ];
        assert!(!older.begin_round(rounds, &everything, false, now()));
        assert_eq!(older.look_at(), now() + MILLISECOND);
        let under_way = older.under_way.unwrap();
        assert_eq!(under_way.begun, now());
        (under_way.round, under_way.next, under_way.end)
    };
    assert_eq!(begun(hour(998), hour(997)), (38, hour(874), hour(897)));
    assert_eq!(begun(hour(997), hour(997)), (38, hour(874), hour(897)));
    assert_eq!(begun(hour(996), hour(997)), (plan::RECENT, hour(977), hour(1_000)));
    assert_eq!(begun(hour(998), now()), (plan::RECENT, hour(977), hour(1_000)));
    let mut older = Older::new(Vec::new(), 0);
    assert!(!older.begin_round(Vec::new(), &everything, false, now()));
    assert_eq!((older.is_under_way(), older.look_at()), (false, now() + MINUTE * 30));
}

#[test]
fn a_round_of_which_nothing_was_listed_yet_is_left_to_the_backlog() {
    let covered = [hours(0, 850)].into_iter().collect();
    // 39 leaves a remainder of 7: seven eighths of a day earlier than now. A run that ends does not
    // spread them.
    for (ends, made) in [(false, now() - HOUR * 21), (true, now())] {
        let mut older = Older::new(Vec::new(), 0);
        let rounds = vec![(39, now(), hours(897, 920)), (38, hour(2_000), hours(874, 897))];
        assert!(older.begin_round(rounds, &covered, ends, now()), "it is stored");
        assert_eq!(older.made(39), Some(made));
        assert_eq!((older.is_under_way(), older.look_at()), (false, now()));
    }
}

#[test]
fn a_run_that_ends_waits_for_what_is_under_way_and_not_for_what_always_fails() {
    let mut older = Older::new(Vec::new(), 0);
    assert!(older.is_done());
    older.asides = vec![aside(hours(900, 901), 5, HOUR), aside(hours(901, 902), 4, HOUR)];
    assert!(!older.is_done());
    older.asides.pop();
    assert!(older.is_done());
    older.under_way = Some(UnderWay { round: 7, begun: now(), next: hour(0), end: hour(1) });
    assert!(!older.is_done());
}

#[test]
fn rounds_that_a_crash_would_undo_are_not_stored_as_made() {
    let mut older = Older::new(Vec::new(), 0);
    let at = now().as_millis();
    for round in [plan::RECENT, 35, 36, 38, 39, 40] {
        older.make(round, now());
    }
    older.asides.push(aside(hours(942, 950), 1, HOUR));
    let settled = older.settled(|round| round == 38, now());
    assert_eq!(settled, [(plan::RECENT, at), (36, at), (39, at)]);
    older.asides.clear();
    let all = [plan::RECENT, 36, 38, 39, 40].map(|round| (round, at));
    assert_eq!(older.settled(|_| false, now()), all, "35 cannot be listed any more");
}

#[test]
fn older_windows_wait_until_they_are_due() {
    let mut older = Older::new(Vec::new(), 0);
    older.wait_until(MINUTE);
    let mut wake = Wake::default();
    assert!(!older.is_due(&mut wake, MINUTE - MILLISECOND));
    assert_eq!(wake.earliest(), Some(MINUTE));
    assert!(older.is_due(&mut wake, MINUTE));
}
