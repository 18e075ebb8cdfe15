//! The simulator's faults for tests on loopback, where time is real: each kind comes, and the waits
//! that follow pass within the test.

use m365_sim::{Fault, FaultPlan, Rate, Schedule};

/// So many times in all, at most.
#[must_use]
pub fn times(times: u64) -> Schedule {
    Schedule { times: Some(times), ..Schedule::default() }
}

/// What is spread over a run, so that it hits more than its beginning.
#[must_use]
pub fn now_and_then(every: u64, times: u64) -> Schedule {
    Schedule { every, times: Some(times), ..Schedule::default() }
}

/// Everything that goes wrong, once each, but for what costs minutes or is lost for good.
#[must_use]
pub fn hostile() -> FaultPlan {
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
    bounded(faults)
        .with_schedule(Fault::Throttled403, now_and_then(10, 1))
        .with_schedule(Fault::ThrottledRetryAfter, now_and_then(20, 1))
}

/// With waits of seconds where the presets have minutes.
#[must_use]
pub fn bounded(faults: FaultPlan) -> FaultPlan {
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
