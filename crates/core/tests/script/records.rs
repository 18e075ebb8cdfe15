//! What becomes of records.

use m365_audit_core::Stored;

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
