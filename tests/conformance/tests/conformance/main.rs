//! The conformance ring: the three drivers of the core, given the same worlds, collect the same
//! records, byte for byte, and end with the same coverage.
//!
//! One runs in virtual time, one is the native client on loopback, one is the component in its
//! host. The worlds begin at a fixed moment, whatever the time is; what goes wrong is drawn from
//! the seed, so often that each driver meets it, and so seldom that the waits that follow pass
//! within the test.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod compare;
mod component;
mod envelope;
mod native;
mod simulated;
mod world;

use std::thread;

use m365_audit_test_support::faults::{self, bounded, now_and_then, times};
use m365_audit_test_support::needs;
use m365_sim::{Fault, FaultPlan, Rate, SimConfig, Span};

use compare::Account;
use envelope::ENVELOPES;
use world::World;

/// Runs a world through all three drivers at once, as they mostly wait, and compares.
#[track_caller]
fn check(world: &World) {
    // Without one the other two are compared.
    let component = needs::component();
    let (simulated, native, hosted) = thread::scope(|scope| {
        let native = scope.spawn(|| native::collect(world));
        let hosted = component
            .as_ref()
            .map(|component| scope.spawn(move || component::collect(component, world)));
        let simulated = simulated::collect(world);
        let hosted = hosted.map(|hosted| hosted.join().expect("the component's run"));
        (simulated, native.join().expect("the native run"), hosted)
    });
    let truth = world.truth();
    let simulated = Account::of(&truth, simulated);
    assert!(100 < simulated.records(), "a world with almost nothing in it");
    assert_eq!(simulated, Account::of(&truth, native), "simulated and native");
    if let Some(hosted) = hosted {
        assert_eq!(simulated, Account::of(&truth, hosted), "simulated and component");
    }
}

/// A day and a half of a tenant, and nothing new.
fn history(seed: u64) -> SimConfig {
    SimConfig {
        seed,
        days: 1.5,
        live: false,
        blobs_per_hour: Span::new(0, 2),
        records_per_blob: Span::new(1, 6),
        record_bytes: Span::new(300, 4_000),
        oddness: 0.3,
        page_size: 20,
        subscribed: true,
        ..SimConfig::default()
    }
}

#[test]
fn a_clean_world_with_both_sources_is_collected_alike() {
    let sim = SimConfig {
        subscribed: false,
        activities_per_hour: Span::new(10, 30),
        activity_days: 1.0,
        search_page_size: 30,
        ..history(1)
    };
    check(&World::new(sim).with_activities());
}

#[test]
fn records_in_each_envelope_are_collected_alike() {
    for (envelope, seed) in ENVELOPES.iter().zip(6..) {
        let sim = SimConfig { days: 0.4, ..history(seed) };
        check(&World::new(sim).in_envelope(envelope));
    }
}

#[test]
fn a_world_with_the_faults_of_the_field_is_collected_alike() {
    let mut faults = FaultPlan::field();
    for rate in faults.rates.values_mut() {
        // What belongs to blobs and pages comes as it does in the field.
        if matches!(rate, Rate::Probability(p) if *p < 0.01) {
            *rate = Rate::Schedule(now_and_then(17, 2));
        }
    }
    // A start has to cool down for a quarter of an hour, a blob that is gone for half a minute and
    // more; what has expired is lost.
    for fault in [
        Fault::SubscriptionDisabled,
        Fault::BlobNotFound,
        Fault::ExpiredEntry,
        // Believed after a day.
        Fault::EmptyBlob,
        // In the hostile world: each way to throttle costs ten seconds and half of the rate.
        Fault::Throttled403,
    ] {
        faults.rates.remove(&fault);
    }
    let faults = bounded(faults)
        .with_schedule(Fault::TokenThrottled, times(1))
        .with_schedule(Fault::Throttled429, now_and_then(40, 1))
        .with_schedule(Fault::InternalErrorBurst, now_and_then(50, 1));
    check(&World::new(SimConfig { faults, ..history(2) }));
}

#[test]
fn a_hostile_world_is_collected_alike() {
    let faults = faults::hostile();
    check(&World::new(SimConfig { faults, non_objects: 0.01, ..history(3) }));
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    check(&World::new(history(4)).restarted_after(5));
    check(&World::new(history(5)).restarted_after(23));
}
