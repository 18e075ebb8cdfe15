//! Nothing is collected, and nobody may overlook it.

use std::time::Duration;

use m365_audit_core::{Collector, Now, Operation, Request, StateError, Stored, Utc};

use crate::bench::{Answer, Bench, DAY, HOUR, T0, TENANT, config, healthy};

#[test]
fn a_day_of_throttling_is_told_again_and_again() {
    let mut service = |now, request: &Request| match request.operation {
        Operation::ListContent => Answer::new(
            403,
            r#"{"error":{"code":"AF429","message":"Too many requests. Method=GetContents, PublisherId=1"}}"#,
        ),
        _ => healthy(now, request, &[], || None),
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + DAY, &mut service);
    let late = bench
        .events
        .iter()
        .filter(|(at, event)| T0 + HOUR < *at && event.level() <= m365_audit_core::Level::Warn);
    let late: Vec<_> = late.map(|(_, event)| event.to_string()).collect();
    assert!((2..20).contains(&late.len()), "{late:?}");
}

#[test]
fn the_state_of_another_tenant_is_refused() {
    let mut service = |now, request: &Request| healthy(now, request, &[], || None);
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + HOUR, &mut service);
    let other = config(&[("tenant_id", "00000000-0000-0000-0000-000000000001")]);
    let now = Now { monotonic: Duration::ZERO, wall: Utc::from_millis(T0 + HOUR) };
    let refused = Collector::new(other, &bench.stored, 1, now).map(|_| ());
    assert_eq!(refused, Err(StateError::OtherTenant { found: TENANT.into() }));
    // One that an earlier version has stored does not say whose it is.
    bench.stored.remove("tenant");
    assert!(Collector::new(config(&[]), &bench.stored, 1, now).is_ok());
}
