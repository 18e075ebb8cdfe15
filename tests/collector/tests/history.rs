//! What became of each hour, and hours that are delivered once more: one behaviour a test.

#![allow(clippy::unwrap_used)] // A helper of tests may panic.

use m365_audit_core::{
    ContentType, Event, Feed, FeedEvent, FeedHistory, HourRow, HourStanding, Replay, Replayer,
    Stored, Utc,
};
use m365_audit_tests::simulation::{Observed, Scenario, observe};
use m365_sim::{SimConfig, Span};

const START_MS: i64 = 1_772_323_200_000;
const HOUR_MS: i64 = 3_600_000;
const FEED: Feed = Feed::Audit(ContentType::AuditGeneral);

fn sim() -> SimConfig {
    SimConfig {
        seed: 7,
        days: 0.5,
        blobs_per_hour: Span::new(1, 3),
        records_per_blob: Span::new(2, 5),
        subscribed: true,
        ..SimConfig::default()
    }
}

#[track_caller]
fn watch(scenario: Scenario, hours: u64) -> Observed {
    observe(scenario, hours).unwrap_or_else(|what| panic!("{what}"))
}

fn hours(stored: &Stored, from: i64, until: i64) -> Vec<(HourRow, HourStanding)> {
    let feed = FeedHistory::find(stored, FEED).unwrap().unwrap();
    let [since, until] = [from, until].map(|hour| Utc::from_millis(START_MS + hour * HOUR_MS));
    feed.hours(stored, since, until, until).map(Result::unwrap).collect()
}

#[test]
fn a_calm_day_is_open_to_its_last_hour_and_adds_up() {
    let observed = watch(Scenario::scripted(sim()), 6);
    let hours = hours(&observed.stored, -30, 6);
    let standings: Vec<_> = hours.iter().map(|(_, standing)| *standing).collect();
    assert_eq!(&standings[..6], [HourStanding::NotCollected; 6], "a day back");
    assert!(standings[6..].iter().all(|it| *it == HourStanding::Open), "{standings:?}");
    let sum = |of: fn(&HourRow) -> u64| hours.iter().map(|(row, _)| of(row)).sum::<u64>();
    let lane = &observed.metrics.lanes[0];
    assert_eq!(sum(|row| row.records_delivered), lane.records_delivered);
    assert_eq!(sum(|row| row.blobs_delivered), lane.blobs_delivered);
    assert_eq!(sum(|row| row.bytes), lane.bytes_delivered);
    let timed = lane.event_delay.up_to.last().copied();
    assert_eq!(Some(sum(|row| row.delays.records())), timed);
    assert!(timed > Some(0));
    assert!(0 < lane.blobs_delivered && sum(HourRow::blobs_waiting) == 0);
}

#[test]
fn the_history_is_a_small_part_of_what_is_stored() {
    let busy = SimConfig {
        days: 0.3,
        blobs_per_hour: Span::new(60, 60),
        records_per_blob: Span::new(50, 50),
        record_bytes: Span::new(100, 200),
        ..sim()
    };
    let observed = watch(Scenario::scripted(busy), 3);
    let Observed { bytes, history_bytes, .. } = observed;
    assert!(history_bytes * 10 <= bytes, "{history_bytes} of {bytes} bytes");
    // What is listed again and again, and brings nothing.
    let idle = watch(Scenario::scripted(sim()), 24);
    assert!(idle.history_bytes <= 30_000, "{} bytes in a day", idle.history_bytes);
}

#[test]
fn hours_are_delivered_once_more_by_the_next_run_and_nothing_else_is() {
    let first = watch(Scenario::scripted(sim()), 4);
    let [since, until] = [-5, -2].map(|hour| Utc::from_millis(START_MS + hour * HOUR_MS));
    let replay = Replay::of(FEED, since, until).unwrap();
    let mut stored = first.stored.clone();
    stored.extend([replay.request(&Replayer { at: START_MS, by: "me".into() })]);
    let second = watch(Scenario::scripted(sim()).resume(stored), 4);
    let records = |observed: &Observed, of: fn(&HourRow) -> u64| {
        let hours = hours(&observed.stored, -5, -2);
        hours.iter().map(|(row, _)| of(row)).sum::<u64>()
    };
    let before = records(&first, |row| row.records_delivered);
    assert!(0 < before && second.records == before, "{before}, {}", second.records);
    assert_eq!(records(&second, |row| row.records_delivered), 2 * before);
    assert_eq!(records(&second, |row| row.replays), 3);
    let timed = |observed: &Observed| records(observed, |row| row.delays.records());
    assert_eq!(timed(&second), timed(&first), "what is replayed says nothing of delays");
    assert_eq!(records(&second, HourRow::blobs_waiting), 0);
    assert!(!second.stored.contains_key(&replay.key()), "it was asked for once");
    assert!(!second.stored.keys().any(|key| key.starts_with("again/")), "it is over");
    let reopened =
        |event: &&Event| matches!(event, Event::Feed(FEED, FeedEvent::HoursReopened { .. }));
    assert_eq!(second.events.iter().filter(reopened).count(), 1);
    let third = watch(Scenario::scripted(sim()).resume(second.stored), 4);
    assert_eq!(third.records, 0, "and not again");
}

#[test]
fn hours_that_microsoft_does_not_keep_are_refused_in_words() {
    let first = watch(Scenario::scripted(sim()), 2);
    let long_ago = Utc::from_millis(START_MS - 30 * 24 * HOUR_MS);
    let until = Utc::from_millis(START_MS - 29 * 24 * HOUR_MS);
    let replay = Replay::of(FEED, long_ago, until).unwrap();
    let mut stored = first.stored;
    stored.extend([replay.request(&Replayer { at: START_MS, by: "me".into() })]);
    let second = watch(Scenario::scripted(sim()).resume(stored), 2);
    assert_eq!(second.records, 0);
    assert!(
        second
            .events
            .iter()
            .any(|event| matches!(event, Event::Feed(FEED, FeedEvent::ReplayRefused { .. })))
    );
    assert!(!second.stored.contains_key(&replay.key()));
}
