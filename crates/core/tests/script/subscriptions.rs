//! Subscriptions that somebody else changes.

use m365_audit_core::{Level, Operation, Request, Stored};

use crate::bench::{Answer, Bench, DAY, HOUR, T0, healthy};

#[test]
fn a_list_that_contradicts_the_content_is_told() {
    let mut service = |now, request: &Request| match request.operation {
        Operation::ListContent => Answer::new(
            400,
            r#"{"error":{"code":"AF20022","message":"No subscription found for the specified content type."}}"#,
        ),
        _ => healthy(now, request, &[], || None),
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + DAY, &mut service);
    let told = bench.loud();
    assert!((3..20).contains(&told.len()), "{told:?}");
    assert!(told.iter().all(|told| told.contains("although the list")), "{told:?}");
}

#[test]
fn what_was_published_while_a_subscription_was_stopped_is_told() {
    let mut service = |now, request: &Request| healthy(now, request, &[], || None);
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + HOUR, &mut service);
    assert_eq!(bench.loud(), [""; 0]);
    // An administrator stops it while nobody collects.
    let mut service = |now, request: &Request| match request.operation {
        Operation::ListSubscriptions => {
            Answer::ok(r#"[{"contentType":"Audit.General","status":"disabled","webhook":null}]"#)
        }
        _ => healthy(now, request, &[], || None),
    };
    let mut bench = Bench::new(&[("lookback", "2h")], bench.stored, T0 + 3 * DAY);
    bench.run(T0 + 3 * DAY + HOUR, &mut service);
    let told = bench.told(Level::Error);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("content published from 2026-03-01T00:5"), "{told:?}");
    assert!(told[0].contains(" to 2026-03-04T00:00:00"), "{told:?}");
}
