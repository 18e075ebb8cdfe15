//! What was lost stays a hole in what the state says, until somebody acknowledges it.

use m365_audit_core::{
    Acknowledgement, Input, LaneSummary, LossKind, MissingOutput, Outcome, OutputShort, Stored,
    Utc, Why, acknowledge, losses, summarize,
};

use crate::bench::{Answer, Bench, DAY, HOUR, MIN, T0, healthy, record};

const SMALL: [(&str, &str); 2] = [("lookback", "2h"), ("record_bytes_max", "100000")];

fn huge() -> String {
    format!(r#"{{"Id":"h","x":"{}"}}"#, "y".repeat(150_000))
}

/// A collector that drops one record of a blob that was created an hour before.
fn bench_that_drops() -> Bench {
    let body = format!("[{},{}]", record(1), huge());
    let mut service =
        |now, request: &_| healthy(now, request, &[("A", T0 - HOUR, 0)], || Answer::ok(&*body));
    let mut bench = Bench::new(&SMALL, Stored::new(), T0);
    bench.run(T0 + 5 * MIN, &mut service);
    bench
}

fn feed(stored: &Stored) -> LaneSummary {
    summarize(stored).unwrap().remove(0)
}

fn is_delivered(lane: &LaneSummary, moment: i64) -> bool {
    let within = |(start, end): &(Utc, Utc)| (start.as_millis()..end.as_millis()).contains(&moment);
    lane.delivered.iter().any(within)
}

fn acknowledge_all(stored: &mut Stored) {
    let by = Acknowledgement { at: T0, by: "me".into(), note: String::new() };
    for known in losses(stored).unwrap() {
        let (key, value) = acknowledge(known.number, &by);
        stored.insert(key, value);
    }
}

#[test]
fn a_dropped_record_is_a_hole_until_somebody_acknowledges_it() {
    let bench = bench_that_drops();
    let known = losses(&bench.stored).unwrap();
    let [known] = &*known else { panic!("{known:?}") };
    assert_eq!((known.loss.kind, known.loss.count), (LossKind::RecordsDropped, 1));
    assert_eq!(known.loss.created.unwrap().0.as_millis(), T0 - HOUR);
    assert!(known.acknowledged.is_none());
    let lane = feed(&bench.stored);
    assert!(!is_delivered(&lane, T0 - HOUR), "{lane:?}");
    assert!(is_delivered(&lane, T0 - HOUR - 1) && is_delivered(&lane, T0 - HOUR + 1), "{lane:?}");
    assert_eq!(bench.collector.metrics().losses_unacknowledged, 1);

    // The next process speaks of it, and does not call its run complete.
    let mut calm = |now, request: &_| healthy(now, request, &[], || Answer::ok("[]"));
    let mut once = |stored: Stored, now: i64| {
        let mut bench = Bench::once_from(&SMALL, stored, now);
        bench.run(now + HOUR, &mut calm);
        bench
    };
    let mut next = once(bench.stored, T0 + 10 * MIN);
    let loud = next.loud();
    assert!(loud[0].contains("1 loss of this state is not acknowledged"), "{loud:?}");
    assert_eq!(next.collector.outcome(), Outcome::Incomplete);
    acknowledge_all(&mut next.stored);
    let last = once(next.stored, T0 + 20 * MIN);
    assert_eq!(last.loud(), [""; 0]);
    assert_eq!(last.collector.outcome(), Outcome::Complete);
    // It is known still, and it is not called delivered.
    assert!(losses(&last.stored).unwrap()[0].acknowledged.is_some());
    assert!(!is_delivered(&feed(&last.stored), T0 - HOUR));
}

#[test]
fn what_is_acknowledged_beside_a_collector_at_work_is_taken_notice_of() {
    let mut bench = bench_that_drops();
    acknowledge_all(&mut bench.stored);
    let keys = bench.stored.keys().filter(|key| key.starts_with("acknowledged/"));
    bench.input(Input::Acknowledged(keys.cloned().collect()));
    let mut calm = |now, request: &_| healthy(now, request, &[], || Answer::ok("[]"));
    bench.run(T0 + 6 * MIN, &mut calm);
    assert_eq!(bench.collector.metrics().losses_unacknowledged, 0);
    assert!(
        bench
            .told(m365_audit_core::Level::Info)
            .iter()
            .any(|line| line.contains("acknowledged, 0 left"))
    );
    assert!(losses(&bench.stored).unwrap()[0].acknowledged.is_some(), "both keys are there still");
}

#[test]
fn a_loss_counts_with_the_progress_that_goes_over_it_and_not_before() {
    let body = format!("[{},{}]", record(1), huge());
    let mut service =
        |now, request: &_| healthy(now, request, &[("A", T0 - HOUR, 0)], || Answer::ok(&*body));
    let mut bench = Bench::new(&SMALL, Stored::new(), T0);
    bench.takes = false;
    bench.run(T0 + 5 * MIN, &mut service);
    assert_eq!(losses(&bench.stored).unwrap(), [], "the host has not taken it");
    // The process dies, and the next one meets it again: once.
    let mut bench = Bench::new(&SMALL, bench.stored, T0 + 5 * MIN);
    bench.run(T0 + 10 * MIN, &mut service);
    assert_eq!(losses(&bench.stored).unwrap()[0].loss.count, 1);
}

#[test]
fn time_that_was_lost_is_not_called_delivered() {
    let mut calm = |now, request: &_| healthy(now, request, &[], || Answer::ok("[]"));
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + HOUR, &mut calm);
    // Twelve days of silence: Microsoft keeps seven.
    let up = T0 + HOUR + 12 * DAY;
    let mut bench = Bench::new(&[("lookback", "2h")], bench.stored, up);
    bench.run(up + 3 * HOUR, &mut calm);
    let known = losses(&bench.stored).unwrap();
    let [known] = &*known else { panic!("grows in one piece: {known:?}") };
    let (start, end) = known.loss.created.unwrap();
    assert_eq!(known.loss.kind, LossKind::Gap);
    assert!((T0 + 57 * MIN..T0 + HOUR).contains(&start.as_millis()), "{start}");
    // With what may have been gone before its time.
    let edge = up - 7 * DAY + 2 * HOUR;
    assert!((edge..edge + HOUR).contains(&end.as_millis()), "{end}");
    let lane = feed(&bench.stored);
    for moment in [T0 + 2 * HOUR, T0 + 3 * DAY, up - 7 * DAY - HOUR] {
        assert!(!is_delivered(&lane, moment), "{lane:?}");
        let told = |hole: &&m365_audit_core::Hole| {
            (hole.start.as_millis()..hole.end.as_millis()).contains(&moment)
        };
        let hole = lane.holes.iter().find(told).unwrap();
        assert!(matches!(hole.why, Why::Lost(_)), "{hole:?}");
    }
    assert!(is_delivered(&lane, up - DAY));
}

#[test]
fn an_output_that_was_cut_is_told_and_remembered() {
    let mut calm = |now, request: &_| healthy(now, request, &[], || Answer::ok("[]"));
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.input(Input::OutputShort(OutputShort {
        output: "/var/log/\u{e4}udit.ndjson".into(),
        missing: MissingOutput::Bytes(4_711),
    }));
    bench.run(T0 + MIN, &mut calm);
    assert!(bench.loud()[0].contains("udit.ndjson is 4711 bytes shorter"), "{:?}", bench.loud());
    let known = losses(&bench.stored).unwrap();
    assert_eq!((known[0].loss.kind, known[0].loss.count), (LossKind::Output, 4_711));
    assert_eq!(known[0].loss.name.as_deref(), Some("/var/log/\u{e4}udit.ndjson"));
    assert!(bench.stored.iter().all(|(key, value)| key.is_ascii() && value.is_ascii()));
}

#[test]
fn records_that_a_receiver_refused_are_told_and_add_up() {
    let mut calm = |now, request: &_| healthy(now, request, &[], || Answer::ok("[]"));
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    for (count, said) in [(2, "too old"), (3, "")] {
        let missing = MissingOutput::Records { count, said: said.into() };
        let output = "otlp to https://otel.example/v1/logs".into();
        bench.input(Input::OutputShort(OutputShort { output, missing }));
    }
    bench.run(T0 + MIN, &mut calm);
    let told = "otlp to https://otel.example/v1/logs: 2 records were refused for good, and are \
                dropped: \"too old\"; remedy: ";
    assert!(bench.loud()[0].contains(told), "{:?}", bench.loud());
    assert!(bench.loud()[1].contains("3 records were refused for good"), "{:?}", bench.loud());
    let known = losses(&bench.stored).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].loss.kind, known[0].loss.count), (LossKind::RecordsRejected, 5));
}
