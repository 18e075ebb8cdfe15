//! Blobs that are not at once what they are.

use m365_audit_core::{Request, Stored};

use crate::bench::{Answer, Bench, DAY, HOUR, MIN, T0, healthy, record};

#[test]
fn a_null_is_believed_after_a_while_only_and_not_in_silence() {
    for (until, records) in [(T0 + MIN / 2, 1), (T0 + HOUR, 0)] {
        let mut service = |now, request: &Request| {
            healthy(now, request, &[("A", T0 - HOUR, 0)], || match now < until {
                true => Answer::ok("null"),
                false => Answer::ok(format!("[{}]", record(1))),
            })
        };
        let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
        bench.run(T0 + DAY, &mut service);
        assert_eq!(bench.records.len(), records);
        assert_eq!(bench.lane().blobs_delivered, 1);
        let told = bench.loud().iter().filter(|told| told.contains("is null each time")).count();
        assert_eq!(told, 1 - records);
    }
}
