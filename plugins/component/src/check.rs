//! Tries a configuration: signs in and asks each source that is collected, once: for the list of
//! subscriptions, for a page of activities. Starts nothing and hands nothing over.
//!
//! A collector does it, from an empty state and only until it would go on: what it would send next
//! is not sent, and nothing of it is stored.

use std::time::Duration;

use m365_audit_core::{
    Batch, Collector, Commit, Config, Event, FeedEvent, Input, Io, Metrics, Now, Operation,
    Presented, Request, RequestId, Stored, Taken, Waits, run,
};

use crate::bindings::exports::m365_audit::source::source::{Cause, Failure, Note};
use crate::session::{Wire, denial};
use crate::{fault, notes};

/// The longest wait at once.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The longest pause that is sat through.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does all that. What fails is tried again, five times in all, with pauses that double from some
/// seconds.
pub(crate) fn check<W: Wire>(config: Config, wire: &mut W, seed: u128) -> Result<(), Failure> {
    let mut trial = Trial {
        wire,
        told: Vec::new(),
        throttled: false,
        subscriptions: !config.content_types().is_empty(),
        activities: config.activities_filter().is_some(),
        search: None,
        trouble: None,
    };
    let mut collector = Collector::new(config, &Stored::new(), seed, trial.wire.now())
        .map_err(|error| fault::new(Cause::Permanent, error.to_string()))?;
    match run(&mut collector, &mut trial).and_then(|()| trial.trouble.take().map_or(Ok(()), Err)) {
        Ok(()) => Ok(()),
        Err((cause, message)) => Err(Failure { notes: trial.told, ..fault::new(cause, message) }),
    }
}

struct Trial<'a, W> {
    wire: &'a mut W,
    told: Vec<Note>,
    /// Whether the last failure was a request for fewer requests.
    throttled: bool,
    /// What is still to be found out of each source.
    subscriptions: bool,
    activities: bool,
    /// The search that is under way.
    search: Option<RequestId>,
    trouble: Option<Trouble>,
}

/// Why it does not work.
type Trouble = (Cause, String);

impl<W: Wire> Io for Trial<'_, W> {
    type Error = Trouble;

    fn now(&mut self) -> Now {
        self.wire.now()
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        match request.operation {
            Operation::Token | Operation::ListSubscriptions => {
                self.wire.send(id, request, timeout);
            }
            // The first is a small one; what it would search besides is not sent.
            Operation::ListActivities if self.search.is_none() => {
                self.search = Some(id);
                self.wire.send(id, request, timeout);
            }
            Operation::ListActivities => {}
            // It knows its subscriptions, and would begin to collect.
            _ => self.subscriptions = false,
        }
    }

    fn read(&mut self, id: RequestId) {
        self.wire.read(id);
    }

    fn cancel(&mut self, id: RequestId) {
        self.wire.cancel(id);
    }

    fn credential(&mut self) -> Presented {
        Presented::unchanged(self.wire.entropy())
    }

    /// Of a search: there are activities, and nobody has asked for them.
    fn emit(&mut self, _: Batch) -> Result<Taken, Trouble> {
        self.activities = false;
        Ok(Taken::Later)
    }

    /// What it would store follows from nothing done.
    fn commit(&mut self, _: Commit) -> Result<(), Trouble> {
        Ok(())
    }

    fn observe(&mut self, event: Event) {
        match event {
            Event::Feed(_, FeedEvent::SubscriptionMissing { .. }) => self.subscriptions = false,
            Event::Feed(_, FeedEvent::ActivitiesListed { .. }) => self.activities = false,
            event => match self.grave(&event) {
                Some(cause) => self.trouble = Some((cause, event.to_string())),
                None => self.told.push(notes::note(&event)),
            },
        }
    }

    /// All is found out.
    fn pauses(&self) -> bool {
        self.trouble.is_some() || !(self.subscriptions || self.activities)
    }
}

impl<W: Wire> Waits for Trial<'_, W> {
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        _: &Metrics,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Trouble> {
        self.wire.wait(timeout.unwrap_or(WAIT_MAX).min(WAIT_MAX), inputs);
        // Nothing helps until somebody has changed the host or the configuration.
        if let Some(address) = self.wire.denied() {
            return Err((Cause::Config, denial(address)));
        }
        for input in inputs {
            if let Input::End { id, .. } = input {
                self.search = self.search.filter(|search| search != id);
            }
        }
        Ok(())
    }
}

impl<W> Trial<'_, W> {
    /// The cause of what will not pass by itself, or not soon.
    fn grave(&mut self, event: &Event) -> Option<Cause> {
        let cause = if self.throttled { Cause::Throttled } else { Cause::Transient };
        match event {
            Event::TokenRefusedError { .. }
            | Event::TokensRejectedError { .. }
            | Event::Feed(_, FeedEvent::FeedDeniedError { .. }) => Some(Cause::Auth),
            // The collector's own words for five failures in a row, for what answers in the place
            // of Microsoft, and for a wait that nobody sits through.
            Event::RetriesMounting { .. }
            | Event::ForeignAnswerError { .. }
            | Event::RequestPostponed { .. } => Some(cause),
            Event::RequestRetried { retry_in, .. } if PATIENCE < *retry_in => Some(cause),
            Event::Throttled { pause, .. } if PATIENCE < *pause => Some(Cause::Throttled),
            // Told before the retry that follows from it.
            Event::Throttled { .. } => {
                self.throttled = true;
                None
            }
            Event::RequestRetried { .. } => {
                self.throttled = false;
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use m365_sim::{Fault, FaultPlan, Schedule, SimConfig};

    use super::*;
    use crate::simulated::{Simulated, config, world};

    fn wire(faults: FaultPlan) -> Simulated {
        Simulated::new(SimConfig { faults, ..world() })
    }

    fn fails(mut wire: Simulated, changes: &[(&str, &str)]) -> (Failure, Simulated) {
        let config = config(&wire, changes);
        (check(config, &mut wire, 1).unwrap_err(), wire)
    }

    #[test]
    fn it_signs_in_and_looks_at_the_subscriptions_and_starts_nothing() {
        for subscribed in [true, false] {
            for start in ["on", "off"] {
                let mut wire = Simulated::new(SimConfig { subscribed, ..world() });
                let config = config(&wire, &[("start_subscriptions", start)]);
                check(config, &mut wire, 1).unwrap();
                assert_eq!(wire.sent, [Operation::Token, Operation::ListSubscriptions]);
            }
        }
    }

    /// What is sent for these sources, in a world with or without activities.
    fn sent(source: &str, sim: SimConfig) -> Vec<Operation> {
        let mut wire = Simulated::new(sim);
        let url = wire.microsoft.portal_url(wire.microsoft.tenants()[0].id).unwrap();
        let config = config(&wire, &[("source", source), ("portal_url", &url)]);
        check(config, &mut wire, 1).unwrap();
        assert!(wire.microsoft.report().is_legal());
        wire.sent.sort_unstable();
        wire.sent
    }

    #[test]
    fn each_source_that_is_collected_is_asked_once() {
        use Operation::{ListActivities, ListSubscriptions, Token};
        let busy = SimConfig {
            activities_per_hour: m365_sim::Span::new(90, 120),
            subscribed: true,
            ..world()
        };
        for sim in [world(), busy] {
            let both = "management_activity, cloud_app_activities";
            assert_eq!(sent("cloud_app_activities", sim.clone()), [Token, ListActivities]);
            let all = [Token, Token, ListSubscriptions, ListActivities];
            assert_eq!(sent(both, sim), all);
        }
    }

    #[test]
    fn activities_without_permission_are_told_with_the_remedy() {
        let mut tenant = m365_sim::TenantConfig::seeded(world().seed, 0);
        tenant.apps[0].roles.retain(|role| role != "Investigation.read");
        let wire = Simulated::new(SimConfig { tenants: vec![tenant], ..world() });
        let url = wire.microsoft.portal_url(wire.microsoft.tenants()[0].id).unwrap();
        let changes = [("source", "cloud_app_activities"), ("portal_url", &*url)];
        let (failure, _) = fails(wire, &changes);
        assert_eq!(failure.cause, Cause::Auth);
        assert!(failure.message.contains("Investigation.read"), "{}", failure.message);
    }

    #[test]
    fn a_wrong_secret_is_told_with_its_remedy() {
        let (failure, wire) = fails(wire(FaultPlan::none()), &[("client_secret", "hush-hush")]);
        assert_eq!(failure.cause, Cause::Auth);
        assert!(failure.message.contains("AADSTS7000215"), "{}", failure.message);
        assert!(failure.message.contains("remedy: "), "{}", failure.message);
        assert!(!format!("{failure:?}").contains("hush-hush"));
        assert_eq!(wire.sent, [Operation::Token]);
    }

    #[test]
    fn a_tenant_without_permission_is_told_with_its_remedy() {
        let mut sim = world();
        let mut tenant = m365_sim::TenantConfig::seeded(sim.seed, 0);
        tenant.licensed = false;
        sim.tenants = vec![tenant];
        let (failure, _) = fails(Simulated::new(sim), &[]);
        assert_eq!(failure.cause, Cause::Auth);
        assert!(failure.message.contains("AF20012"), "{}", failure.message);
    }

    #[test]
    fn an_address_that_the_host_denies_is_a_mistake_of_the_configuration() {
        let mut wire = wire(FaultPlan::none());
        wire.denies = Some("https://elsewhere.example");
        let (failure, _) = fails(wire, &[]);
        assert_eq!(failure.cause, Cause::Config);
        assert!(failure.message.contains("https://elsewhere.example"), "{}", failure.message);
    }

    #[test]
    fn what_passes_is_sat_through_and_what_does_not_is_given_up() {
        let times = |times| Schedule { times: Some(times), ..Schedule::default() };
        let faults = FaultPlan::none()
            .with_schedule(Fault::TokenServerError, times(1))
            .with_schedule(Fault::InternalError, times(2));
        let mut passing = wire(faults);
        let config = config(&passing, &[]);
        check(config, &mut passing, 1).unwrap();
        let (failure, wire) = fails(wire(FaultPlan::none().with(Fault::InternalError, 1.0)), &[]);
        assert_eq!(failure.cause, Cause::Transient);
        assert!(failure.message.contains("500"), "{}", failure.message);
        let listed = wire.sent.iter().filter(|of| **of == Operation::ListSubscriptions).count();
        assert_eq!(listed, 5);
        let (failure, _) = fails(self::wire(FaultPlan::none().with(Fault::Throttled429, 1.0)), &[]);
        assert_eq!(failure.cause, Cause::Throttled);
    }
}
