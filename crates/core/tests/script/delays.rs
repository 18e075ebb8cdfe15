//! How long records take, when the host had the last one, whose clock is wrong, and what a sign-in
//! that fails counts.

use m365_audit_core::{Operation, Request, Stored, Utc};

use crate::bench::{Answer, Bench, HOUR, MIN, T0, healthy};

/// A record of an event that happened at this moment.
fn happened(id: usize, at: i64) -> String {
    let time = Utc::from_millis(at).to_string();
    format!(r#"{{"Id":"{id}","CreationTime":"{}"}}"#, &time[..19])
}

#[test]
fn delays_count_from_event_and_from_publication_to_when_the_host_has_it() {
    let mut service = |now, request: &Request| {
        healthy(now, request, &[("A", T0 - HOUR, 0)], || {
            let (early, late) = (happened(1, T0 - 10 * HOUR), happened(2, T0 - 90 * MIN));
            Answer::ok(format!(r#"[{early},{late},{},{{"Id":"4"}}]"#, happened(3, T0 - 90 * MIN)))
        })
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.takes = false;
    bench.run(T0 + 10 * MIN, &mut service);
    let lane = bench.lane();
    assert_eq!((lane.last_delivery, lane.event_delay.up_to[11]), (None, 0), "nobody has it yet");
    bench.deliver_held();
    bench.run(T0 + 11 * MIN, &mut service);
    let lane = bench.lane();
    // To the second: ten hours and ten minutes, and twice an hour and forty.
    let seconds = lane.event_delay.sum.as_secs();
    assert!((48_600..48_800).contains(&seconds), "{seconds}");
    assert_eq!(lane.event_delay.up_to, [0, 0, 0, 0, 0, 2, 2, 3, 3, 3, 3, 3]);
    // Four records, published an hour and ten minutes ago.
    assert_eq!(lane.publication_delay.up_to, [0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4]);
    let delivered = lane.last_delivery.unwrap().as_millis();
    assert!((T0 + 10 * MIN..T0 + 11 * MIN).contains(&delivered), "{delivered}");
}

#[test]
fn a_clock_that_is_ahead_and_sign_ins_that_fail_are_counted() {
    let mut refused = 0;
    let mut service = |now, request: &Request| match request.operation {
        Operation::Token if now < T0 + 5 * MIN => {
            refused += 1;
            Answer::new(401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: x"}"#)
        }
        _ => healthy(now, request, &[], || Answer::ok("[]")),
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.skew = -10 * MIN;
    bench.run(T0 + HOUR, &mut service);
    let metrics = bench.collector.metrics();
    assert!(2 < refused);
    assert_eq!(metrics.sign_in_failures, refused);
    assert!((599..=601).contains(&metrics.clock_skew), "{}", metrics.clock_skew);
    assert_eq!(metrics.credential_expiry, None, "a secret does not say when it ends");
}
