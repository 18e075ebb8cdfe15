//! Requests over `wasi:http`: several under way, one place to wait, bodies read a chunk at a time.
//!
//! Must not decide anything: no retry, no redirect, no look into an answer. Dropping a flight drops
//! its handles, and with them the host's connection.

use std::time::Duration;

use m365_audit_core::{Input, Now, Request, RequestId, TransportError, TransportErrorKind, Utc};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::io::poll::poll;
use wasip2::random::random::get_random_bytes;

use crate::session::Wire;

mod failure;
mod flight;
mod prepare;

use flight::{Flight, Progress};

/// The requests of one session.
#[derive(Default)]
pub(crate) struct Http {
    /// What is under way, the oldest first. Bounded by `max_in_flight`, which the core holds.
    flights: Vec<(RequestId, Box<Flight>)>,
    /// Ends of requests that could not even begin.
    unsent: Vec<Input>,
    /// Where the host does not let requests go, until a response has come.
    denied: Option<String>,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn flight(&mut self, id: RequestId) -> Option<&mut Flight> {
        let mut flights = self.flights.iter_mut();
        flights.find(|(known, _)| *known == id).map(|(_, flight)| &mut **flight)
    }

    fn remove(&mut self, id: RequestId) {
        self.flights.retain(|(known, _)| *known != id);
    }

    /// Takes in what has come for one request.
    fn advance(&mut self, id: RequestId, inputs: &mut Vec<Input>) {
        let Some(flight) = self.flight(id) else { return };
        match flight.advance() {
            Ok(Progress::Nothing) => {}
            Ok(Progress::Head { status, headers }) => {
                self.denied = None;
                inputs.push(Input::Head { id, status, headers });
            }
            Ok(Progress::Chunk(chunk)) => inputs.push(Input::Body { id, chunk }),
            Ok(Progress::End) => {
                self.remove(id);
                inputs.push(Input::End { id, result: Ok(()) });
            }
            Err(fault) => {
                if fault.denied {
                    let origin = flight.origin().to_owned();
                    self.denied = Some(origin);
                }
                self.remove(id);
                inputs.push(Input::End { id, result: Err(fault.error) });
            }
        }
    }
}

impl Wire for Http {
    fn now(&mut self) -> Now {
        let wall = wall_clock::now();
        let seconds = i64::try_from(wall.seconds).unwrap_or(i64::MAX / 1_000);
        let millis = i64::from(wall.nanoseconds / 1_000_000);
        Now {
            monotonic: Duration::from_nanos(monotonic_clock::now()),
            wall: Utc::from_millis(seconds.saturating_mul(1_000).saturating_add(millis)),
        }
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        match prepare::send(&request, timeout) {
            Ok(flight) => self.flights.push((id, Box::new(flight))),
            Err(fault) => {
                if fault.denied {
                    self.denied = Some(prepare::origin(&request.url).to_owned());
                }
                self.unsent.push(Input::End { id, result: Err(fault.error) });
            }
        }
    }

    fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let random = get_random_bytes(32);
        bytes[..random.len().min(32)].copy_from_slice(&random[..random.len().min(32)]);
        bytes
    }

    fn read(&mut self, id: RequestId) {
        if let Some(flight) = self.flight(id) {
            flight.ask();
        }
    }

    fn cancel(&mut self, id: RequestId) {
        self.remove(id);
    }

    fn is_idle(&self) -> bool {
        self.flights.is_empty() && self.unsent.is_empty()
    }

    fn denied(&self) -> Option<&str> {
        self.denied.as_deref()
    }

    fn wait(&mut self, timeout: Duration, inputs: &mut Vec<Input>) {
        inputs.append(&mut self.unsent);
        if !inputs.is_empty() {
            return;
        }
        let now = Duration::from_nanos(monotonic_clock::now());
        let waiting: Vec<_> = self.flights.iter().filter(|(_, flight)| flight.is_asked()).collect();
        let ends = waiting.iter().map(|(_, flight)| flight.deadline());
        let until = ends.fold(now + timeout, Duration::min);
        let nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        let timer = monotonic_clock::subscribe_instant(nanos);
        let mut pollables: Vec<_> = waiting.iter().map(|(_, flight)| flight.pollable()).collect();
        pollables.push(&timer);
        let ready: Vec<RequestId> = poll(&pollables)
            .into_iter()
            .filter_map(|index| usize::try_from(index).ok())
            .filter_map(|index| waiting.get(index).map(|(id, _)| *id))
            .collect();
        for id in ready {
            self.advance(id, inputs);
        }
        self.expire(inputs);
    }
}

impl Http {
    /// Ends what has waited in vain.
    fn expire(&mut self, inputs: &mut Vec<Input>) {
        let now = Duration::from_nanos(monotonic_clock::now());
        self.flights.retain(|(id, flight)| {
            let late = flight.is_asked() && flight.deadline() <= now;
            if late {
                let error = TransportError {
                    kind: TransportErrorKind::Timeout,
                    message: format!("nothing arrived for {} ms", flight.timeout().as_millis()),
                };
                inputs.push(Input::End { id: *id, result: Err(error) });
            }
            !late
        });
    }
}
