//! Tries a configuration: signs in and lists subscriptions, each once. Starts nothing and reads no
//! content.
//!
//! A collector does it, from an empty state and only until it would go on: what it would send next
//! is not sent, and nothing of it is stored.

use std::time::Duration;

use m365_audit_core::{
    Collector, Config, Event, Input, Operation, Output, Presented, StateError, Stored,
};

use crate::bindings::exports::m365_audit::source::source::{Cause, Failure, Note};
use crate::session::{Wire, denial};
use crate::{fault, notes};

/// The longest wait at once.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The longest pause that is sat through.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does both. What fails is tried again, five times in all, with pauses that double from some
/// seconds.
pub(crate) fn check<W: Wire>(config: Config, wire: &mut W, seed: u64) -> Result<(), Failure> {
    let mut check = Check { wire, told: Vec::new(), throttled: false };
    match check.run(config, seed) {
        Ok(()) => Ok(()),
        Err((cause, message)) => Err(Failure { notes: check.told, ..fault::new(cause, message) }),
    }
}

struct Check<'a, W> {
    wire: &'a mut W,
    told: Vec<Note>,
    /// Whether the last failure was a request for fewer requests.
    throttled: bool,
}

/// Why it does not work.
type Trouble = (Cause, String);

impl<W: Wire> Check<'_, W> {
    fn run(&mut self, config: Config, seed: u64) -> Result<(), Trouble> {
        let damaged = |error: StateError| (Cause::Permanent, error.to_string());
        let mut collector =
            Collector::new(config, &Stored::new(), seed, self.wire.now()).map_err(damaged)?;
        let mut inputs = Vec::new();
        loop {
            match collector.poll_output(self.wire.now()) {
                Output::Request { id, request, timeout } => match request.operation {
                    Operation::Token | Operation::ListSubscriptions => {
                        self.wire.send(id, request, timeout);
                    }
                    // It knows its subscriptions, and would begin to collect.
                    _ => return Ok(()),
                },
                Output::Credential => {
                    let presented = Presented::unchanged(self.wire.entropy());
                    collector.handle_input(self.wire.now(), Input::Credential(presented));
                }
                Output::Read(id) => self.wire.read(id),
                Output::Cancel(id) => self.wire.cancel(id),
                Output::Event(Event::SubscriptionMissing { .. }) | Output::Finished => {
                    return Ok(());
                }
                Output::Event(event) => self.observe(&event)?,
                Output::Wait(timeout) => {
                    let timeout = timeout.unwrap_or(WAIT_MAX).min(WAIT_MAX);
                    self.wire.wait(timeout, &mut inputs);
                    // Nothing helps until somebody has changed the host or the configuration.
                    if let Some(address) = self.wire.denied() {
                        return Err((Cause::Config, denial(address)));
                    }
                    if inputs.is_empty() {
                        inputs.push(Input::Timeout);
                    }
                    let now = self.wire.now();
                    inputs.drain(..).for_each(|input| collector.handle_input(now, input));
                }
                // There are no records yet, and what it would store follows from nothing done.
                Output::Batch(_) | Output::Commit(_) => {}
            }
        }
    }

    /// Takes note of what happened. Fails if it will not pass by itself, or not soon.
    fn observe(&mut self, event: &Event) -> Result<(), Trouble> {
        let cause = if self.throttled { Cause::Throttled } else { Cause::Transient };
        match event {
            Event::TokenRefusedError { .. } | Event::FeedDeniedError { .. } => {
                return Err((Cause::Auth, event.to_string()));
            }
            // The collector's own word for five failures in a row.
            Event::RetriesMounting { .. } => return Err((cause, event.to_string())),
            Event::RequestRetried { retry_in, .. } if PATIENCE < *retry_in => {
                return Err((cause, event.to_string()));
            }
            Event::Throttled { pause, .. } if PATIENCE < *pause => {
                return Err((Cause::Throttled, event.to_string()));
            }
            // Told before the retry that follows from it.
            Event::Throttled { .. } => self.throttled = true,
            Event::RequestRetried { .. } => self.throttled = false,
            _ => {}
        }
        self.told.push(notes::note(event));
        Ok(())
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
