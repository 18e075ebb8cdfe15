//! What becomes of records.

use m365_audit_core::{Level, Stored};

use crate::bench::{Answer, Bench, HOUR, MIN, T0, healthy, record};

#[test]
fn a_record_without_an_id_is_never_taken_for_another() {
    for id in ["null", "true", "{}", "[]", r#""""#, r#""  ""#] {
        let of = |n: usize| {
            format!(r#"{{"Id":{id},"CreationTime":"2026-03-01T00:00:00","Operation":"x","n":{n}}}"#)
        };
        let body = format!("[{},{}]", of(1), of(2));
        let mut service = |now, request: &_| {
            healthy(now, request, &[("A", T0 - HOUR, 0)], || Answer::ok(body.clone()))
        };
        let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
        bench.run(T0 + 5 * MIN, &mut service);
        assert_eq!(bench.records, [of(1), of(2)], "{id}");
    }
}

#[test]
fn an_oversized_record_is_reported_although_its_attempt_was_cut() {
    let huge = format!(r#"{{"Id":"h","x":"{}"}}"#, "y".repeat(150_000));
    let small: Vec<String> = (0..60).map(record).collect();
    let body = format!("[{huge},{}]", small.join(","));
    let mut attempts = 0;
    let mut service = |now, request: &_| {
        healthy(now, request, &[("A", T0 - HOUR, 0)], || {
            attempts += 1;
            let sent = if attempts == 1 { body.len() - 300 } else { body.len() };
            Answer::pieces(&body.as_bytes()[..sent], attempts == 1)
        })
    };
    let options = [("lookback", "2h"), ("record_bytes_max", "100000"), ("batch_bytes", "1000")];
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.run(T0 + 5 * MIN, &mut service);
    assert_eq!((bench.records.len(), bench.lane().blobs_delivered), (60, 1));
    assert_eq!(bench.lane().records_dropped, 1, "{:?}", bench.loud());
    assert_eq!(bench.loud().iter().filter(|told| told.contains("dropped")).count(), 1);
}

/// A record of one name that says `what`, its members in one of two orders.
fn revision(what: &str, backwards: bool) -> String {
    const NAME: [&str; 2] =
        [r#""Id":"i","CreationTime":"2026-03-01T00:00:00""#, r#""Operation":"x""#];
    let rest = if backwards {
        format!(r#" "Item" : {{"b":2, "a":"{what}\/" }}"#)
    } else {
        format!(r#""Item":{{"a":"{what}/","b":2}}"#)
    };
    let [first, second] = NAME;
    match backwards {
        true => format!("{{{rest},{second},{first}}}"),
        false => format!("{{{first},{second},{rest}}}"),
    }
}

#[test]
fn records_of_one_name_are_left_out_only_if_they_say_the_same() {
    let one = revision("1", false);
    let (two, three) = (revision("2", false), revision("3", true));
    let body =
        format!("[{one},{},{two},{},{three},{one}]", revision("1", true), revision("2", true));
    let mut service = |now, request: &_| {
        healthy(now, request, &[("A", T0 - HOUR, 0), ("B", T0 - HOUR, T0 + 9 * MIN)], || {
            Answer::ok(body.clone())
        })
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + 5 * MIN, &mut service);
    assert_eq!(bench.records, [one, two, three]);
    let lane = bench.lane();
    assert_eq!((lane.records_revised, lane.records_deduplicated), (2, 3));
    let told = bench.told(Level::Debug);
    let told: Vec<_> =
        told.iter().filter(|told| told.contains("differ from those delivered before")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains(": 2 records of blob 2026"), "{told:?}");
    assert_eq!(bench.loud(), Vec::<String>::new());
    // A life later, from what was stored, none of them is news.
    let mut bench = Bench::new(&[("lookback", "2h")], bench.stored, T0 + 6 * MIN);
    bench.run(T0 + 50 * MIN, &mut service);
    assert_eq!((bench.records.len(), bench.lane().records_deduplicated), (0, 6));
    assert_eq!(bench.lane().blobs_delivered, 1, "the other blob");
}

#[test]
fn what_is_no_json_is_delivered_and_counted() {
    let body = r#"[{"Id":"1"},{"Id":"2","x":tru},{"Id":"3","x":"\q"},7]"#;
    let mut service =
        |now, request: &_| healthy(now, request, &[("A", T0 - HOUR, 0)], || Answer::ok(body));
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + 5 * MIN, &mut service);
    let lane = bench.lane();
    assert_eq!((lane.records_delivered, lane.records_malformed), (4, 2));
    let mut bench = Bench::new(&[("lookback", "2h"), ("redact", "on")], Stored::new(), T0);
    bench.run(T0 + 5 * MIN, &mut service);
    let lane = bench.lane();
    assert_eq!((lane.records_delivered, lane.records_malformed, lane.records_withheld), (4, 0, 3));
}
