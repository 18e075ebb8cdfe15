//! Blobs that are not at once what they are, and those that never become it.

use m365_audit_core::{Level, Operation, Request, Stored};

use crate::bench::{Answer, Bench, DAY, HOUR, MIN, T0, healthy, record};

const OPTIONS: [(&str, &str); 1] = [("lookback", "2h")];

/// Lives until `until` before a service that lists one blob, whose body `body` makes: of the time
/// and of the number of the reading.
fn live(
    stored: Stored,
    from: i64,
    until: i64,
    mut body: impl FnMut(i64, usize) -> Option<Answer>,
) -> Bench {
    let mut readings = 0;
    let mut service = |now, request: &Request| {
        healthy(now, request, &[("A", T0 - HOUR, 0)], || {
            readings += 1;
            body(now, readings)
        })
    };
    let mut bench = Bench::new(&OPTIONS, stored, from);
    bench.run(until, &mut service);
    bench
}

fn count(bench: &Bench, part: &str) -> usize {
    bench.told(Level::Warn).iter().filter(|told| told.contains(part)).count()
}

/// `[]` or `null` until a moment, then a record.
fn hollow_until(body: &'static str, until: i64) -> impl FnMut(i64, usize) -> Option<Answer> {
    move |now, _| match now < until {
        true => Answer::ok(body),
        false => Answer::ok(format!("[{}]", record(1))),
    }
}

#[test]
fn what_is_hollow_for_hours_is_not_believed() {
    for body in ["null", "[]", " [ ]\r\n", "\u{feff}[]"] {
        for passes in [T0 + MIN / 2, T0 + 10 * MIN, T0 + 20 * HOUR] {
            let bench = live(Stored::new(), T0, T0 + DAY, hollow_until(body, passes));
            assert_eq!(bench.records, [record(1)], "{body} until {passes}");
            let lane = bench.lane();
            assert_eq!((lane.blobs_delivered, lane.blobs_lost), (1, 0), "{body}");
        }
    }
}

#[test]
fn a_null_is_never_believed_and_is_lost_at_last() {
    let for_ever = || hollow_until("null", i64::MAX);
    let bench = live(Stored::new(), T0, T0 + 3 * DAY, for_ever());
    let lane = bench.lane();
    assert_eq!((lane.blobs_delivered, lane.blobs_quarantined), (0, 1));
    assert_eq!(count(&bench, "cannot be read: the body is null; retrying until it"), 1);
    // Waits grow: not half a minute of requests for three weeks.
    let readings = bench.count(Operation::GetBlob, "audit/");
    assert!((100..400).contains(&readings), "{readings}");
    let bench = live(bench.stored, T0 + 20 * DAY, T0 + 22 * DAY, for_ever());
    let lane = bench.lane();
    assert_eq!((lane.blobs_delivered, lane.blobs_quarantined, lane.blobs_lost), (0, 0, 1));
    assert_eq!(
        count(
            &bench,
            "is lost: it expired before it could be read; last failure: the body is null"
        ),
        1
    );
}

#[test]
fn an_empty_list_is_believed_after_a_day_across_restarts() {
    let for_ever = || hollow_until("[]", i64::MAX);
    let first = live(Stored::new(), T0, T0 + 10 * HOUR, for_ever());
    assert_eq!((first.lane().blobs_delivered, first.lane().blobs_quarantined), (0, 1));
    let second = live(first.stored, T0 + 11 * HOUR, T0 + 23 * HOUR, for_ever());
    assert_eq!((second.lane().blobs_delivered, second.lane().blobs_quarantined), (0, 1));
    let third = live(second.stored.clone(), T0 + 23 * HOUR, T0 + 25 * HOUR, for_ever());
    assert_eq!((third.lane().blobs_delivered, third.lane().blobs_quarantined), (1, 0));
    assert_eq!(
        count(&third, "has been an empty list at every reading since 2026-03-01T00:00:0"),
        1
    );
    // A null in between: it begins anew.
    let mixed = |_, reading| Answer::ok(if reading == 1 { "null" } else { "[]" });
    let third = live(second.stored, T0 + 23 * HOUR, T0 + 25 * HOUR, mixed);
    assert_eq!((third.lane().blobs_delivered, third.lane().blobs_quarantined), (0, 1));
}

#[test]
fn an_empty_list_that_had_records_before_is_never_believed() {
    let cut = format!("[{},{{\"Id\":", record(1));
    let body = |_, reading| Answer::ok(if reading == 1 { cut.clone() } else { "[]".to_owned() });
    let bench = live(Stored::new(), T0, T0 + 5 * DAY, body);
    assert_eq!(bench.records, [record(1)]);
    assert_eq!((bench.lane().blobs_delivered, bench.lane().blobs_quarantined), (0, 1));
}

#[test]
fn a_listing_that_is_null_covers_nothing() {
    let mut service = |now, request: &Request| match request.operation {
        Operation::ListContent if now < T0 + 20 * MIN => Answer::ok("null"),
        _ => {
            healthy(now, request, &[("A", T0 - HOUR, 0)], || Answer::ok(format!("[{}]", record(1))))
        }
    };
    let mut bench = Bench::new(&OPTIONS, Stored::new(), T0);
    bench.run(T0 + 19 * MIN, &mut service);
    assert_eq!(bench.lane().windows_listed, 0);
    assert!(0 < count(&bench, "times in a row, last: the body is null"), "{:?}", bench.loud());
    bench.run(T0 + 25 * MIN, &mut service);
    assert_eq!(bench.records, [record(1)]);
}

/// Bodies whose tail can never be read, and how many records are whole in front of it.
fn damaged() -> Vec<(String, usize)> {
    let records: Vec<String> = (0..100).map(record).collect();
    let whole = format!("[{}]", records.join(","));
    let mut quoted = records.clone();
    quoted[49] = r#"{"Id":"49","Operation":"a 5" disk","CreationTime":""}"#.into();
    let quoted = format!("[{}]", quoted.join(","));
    vec![
        (whole[..whole.len() - 20].to_owned(), 99),
        (whole[..whole.len() - 1].to_owned(), 100),
        (format!("[{},,{}]", records[..30].join(","), records[30..].join(",")), 30),
        (quoted, 49),
    ]
}

#[test]
fn records_in_front_of_what_cannot_be_read_are_delivered_once() {
    for (body, whole) in damaged() {
        let answer = |_, _| Answer::ok(body.clone());
        let bench = live(Stored::new(), T0, T0 + HOUR, answer);
        assert_eq!(bench.records.len(), whole);
        assert_eq!((bench.lane().blobs_delivered, bench.lane().blobs_quarantined), (0, 1));
        let told = format!("(the first {whole} records are handed over)");
        assert_eq!(count(&bench, &told), 1, "{:?}", bench.loud());
        // A life later they do not come again.
        let bench = live(bench.stored, T0 + HOUR, T0 + 3 * HOUR, answer);
        assert_eq!(bench.records.len(), 0);
        let bench = live(bench.stored, T0 + 20 * DAY, T0 + 22 * DAY, answer);
        assert_eq!((bench.records.len(), bench.lane().blobs_lost), (0, 1));
        let told = format!("its first {whole} records were delivered");
        assert_eq!(count(&bench, &told), 1, "{:?}", bench.loud());
    }
}

#[test]
fn records_in_front_of_a_connection_that_breaks_are_delivered_once() {
    let nameless = |n: usize| format!(r#"{{"n":{n},"x":"{}"}}"#, "y".repeat(1_000));
    let body = format!("[{}]", (0..200).map(nameless).collect::<Vec<_>>().join(","));
    let answer = |_, _| Answer::pieces(&body.as_bytes()[..body.len() - 500], true);
    let bench = live(Stored::new(), T0, T0 + DAY, answer);
    assert_eq!(bench.records, (0..199).map(nameless).collect::<Vec<_>>());
    // And what was cut once only comes whole.
    let answer = |_, reading| match reading {
        1 => Answer::pieces(&body.as_bytes()[..body.len() / 2], true),
        _ => Answer::pieces(body.as_bytes(), false),
    };
    let bench = live(Stored::new(), T0, T0 + HOUR, answer);
    assert_eq!(bench.records, (0..200).map(nameless).collect::<Vec<_>>());
    assert_eq!(bench.lane().blobs_delivered, 1);
}

#[test]
fn a_broken_blob_that_is_another_each_time_repeats_itself_a_few_times_only() {
    let body = |_, reading: usize| {
        let (a, b) = (r#"{"n":1}"#, r#"{"n":2}"#);
        let (first, second) = if reading.is_multiple_of(4) { (a, b) } else { (b, a) };
        Answer::ok(format!("[{first},{second},"))
    };
    let bench = live(Stored::new(), T0, T0 + 5 * DAY, body);
    assert!((2..=8).contains(&bench.records.len()), "{:?}", bench.records);
}
