//! Tries a configuration: signs in and lists subscriptions, each once. Starts nothing and reads no
//! content.

use std::time::Duration;

use m365_audit_core::call::{Call, CallError, CallErrorKind, Caller};
use m365_audit_core::{Config, Input, Machine, Output, Presented};

use crate::bindings::exports::m365_audit::source::source::{Cause, Failure, Note};
use crate::session::{Wire, denial};
use crate::{fault, notes};

/// The longest wait at once.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Makes the one call. What fails is tried again a few times, within seconds.
pub(crate) fn check<W: Wire>(config: Config, mut wire: W, seed: u64) -> Result<(), Failure> {
    let mut caller = Caller::new(config, seed, wire.now());
    caller.begin(Call::ListSubscriptions);
    let (mut inputs, mut told) = (Vec::new(), Vec::new());
    loop {
        match caller.poll_output(wire.now()) {
            Output::Request { id, request, timeout } => wire.send(id, request, timeout),
            Output::Credential => {
                let presented = Presented::unchanged(wire.entropy());
                caller.handle_input(wire.now(), Input::Credential(presented));
            }
            Output::Read(id) => wire.read(id),
            Output::Cancel(id) => wire.cancel(id),
            Output::Event(event) => told.push(notes::note(&event)),
            Output::Wait(timeout) => {
                wire.wait(timeout.unwrap_or(WAIT_MAX).min(WAIT_MAX), &mut inputs);
                // Nothing helps until somebody has changed the host or the configuration.
                if let Some(address) = wire.denied() {
                    return Err(Failure {
                        notes: told,
                        ..fault::new(Cause::Config, denial(address))
                    });
                }
                if inputs.is_empty() {
                    inputs.push(Input::Timeout);
                }
                let now = wire.now();
                inputs.drain(..).for_each(|input| caller.handle_input(now, input));
            }
            // A list has no records and no state.
            Output::Batch(_) | Output::Commit(_) => {}
            Output::Finished => break,
        }
    }
    caller.take_outcome().map(drop).map_err(|error| failure(&error, told))
}

fn failure(error: &CallError, notes: Vec<Note>) -> Failure {
    let cause = match error.kind {
        CallErrorKind::Credentials | CallErrorKind::Denied => Cause::Auth,
        CallErrorKind::Throttled | CallErrorKind::CoolDown(_) => Cause::Throttled,
        CallErrorKind::Argument | CallErrorKind::Address => Cause::Config,
        CallErrorKind::Unavailable | CallErrorKind::Stopped => Cause::Transient,
        // Not what a list of subscriptions says.
        CallErrorKind::NotSubscribed | CallErrorKind::Gone => Cause::Permanent,
    };
    Failure { notes, ..fault::new(cause, error.to_string()) }
}
