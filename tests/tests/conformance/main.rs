//! The conformance ring: the three drivers of the core, given the same worlds, collect the same
//! records, byte for byte, and end with the same coverage.
//!
//! One runs in virtual time, one is the native client on loopback, one is the component in its
//! host. The worlds begin at a fixed moment, whatever the time is; what goes wrong is drawn from
//! the seed, so often that each driver meets it, and so seldom that the waits that follow pass
//! within the test.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]

mod compare;
mod component;
mod native;
mod simulated;
mod world;

use std::thread;

use m365_sim::{Fault, FaultPlan, Rate, Schedule, SimConfig, Span};

use compare::Account;
use world::World;

/// Runs a world through all three drivers at once, as they mostly wait, and compares.
#[track_caller]
fn check(world: &World) {
    let component = component::load();
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
    match hosted {
        Some(hosted) => {
            assert_eq!(simulated, Account::of(&truth, hosted), "simulated and component");
        }
        None => println!(
            "SKIPPED: the component, for M365_AUDIT_COMPONENT is not set; `cargo xtask test` \
             builds and sets it"
        ),
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

/// So many times in all, at most.
fn times(times: u64) -> Schedule {
    Schedule { times: Some(times), ..Schedule::default() }
}

/// What is spread over a run, so that it hits more than its beginning.
fn now_and_then(every: u64, times: u64) -> Schedule {
    Schedule { every, times: Some(times), ..Schedule::default() }
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
    let mut faults = FaultPlan::hostile();
    for (fault, rate) in &mut faults.rates {
        let published = matches!(
            fault,
            Fault::LateBlob | Fault::VeryLateBlob | Fault::RedeliveredBlob | Fault::OldEvents
        );
        let harmless = matches!(rate, Rate::Probability(p) if 0.1 <= *p);
        if !published && !harmless {
            *rate = Rate::Schedule(now_and_then(7, 1));
        }
    }
    for fault in [
        // A start has to cool down for a quarter of an hour, a denied feed for ten minutes, and
        // who asks for an hour gets it.
        Fault::SubscriptionVanished,
        Fault::SubscriptionDisabled,
        Fault::StartThrottled,
        Fault::DlpForbidden,
        Fault::InternalErrorHour,
        // Until the world heals, which it does not.
        Fault::PoisonBlobForever,
        // What has expired is lost, and nobody's loss here; what is empty is believed after a day,
        // and null never.
        Fault::ExpiredEntry,
        Fault::EmptyBlob,
        Fault::NullBlob,
        // Half a minute at the first failure of a blob, and more at a later one.
        Fault::BlobNotFound,
        Fault::BlobExpired,
        Fault::BlobInvalid,
        // In the field's world.
        Fault::Throttled429,
    ] {
        faults.rates.remove(&fault);
    }
    let faults = bounded(faults)
        .with_schedule(Fault::Throttled403, now_and_then(10, 1))
        .with_schedule(Fault::ThrottledRetryAfter, now_and_then(20, 1));
    check(&World::new(SimConfig { faults, non_objects: 0.01, ..history(3) }));
}

/// With waits of seconds where the presets have minutes.
fn bounded(faults: FaultPlan) -> FaultPlan {
    FaultPlan {
        poison_times: 2,
        hollow_seconds: 3,
        burst_requests: 3,
        retry_after_seconds: 2,
        slow_pause_ms: 20,
        // What is listed later than this world lives is nobody's.
        late_minutes: 60,
        very_late_minutes: 600,
        ..faults
    }
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    check(&World::new(history(4)).restarted_after(5));
    check(&World::new(history(5)).restarted_after(23));
}
