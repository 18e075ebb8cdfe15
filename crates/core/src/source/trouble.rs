//! Tells of trouble, of all sources alike: nothing answers, somebody else answers, tokens are
//! refused, fewer requests are asked for, requests fail again and again. What follows from an
//! answer otherwise is decided by whoever asked.

use std::time::Duration;

use crate::access::Access;
use crate::access::token::{REJECTED_MAX, Rejection};
use crate::base::time::Now;
use crate::contract::error_codes::remedy;
use crate::contract::event::Event;
use crate::contract::feed::Feed;
use crate::contract::request::Operation;
use crate::source::desk::Desk;
use crate::source::exchange::Sent;

/// Failures in a row after which an operator hears of it.
pub(crate) const MOUNTING: u32 = 5;

impl Desk {
    /// A request failed and is repeated: at DEBUG, and at WARN as it mounts.
    pub(crate) fn tell_retry(
        &mut self,
        operation: Operation,
        feed: Option<Feed>,
        failures: u32,
        reason: &str,
        retry_in: Duration,
    ) {
        self.counts().retries += 1;
        // Again and again, but ever less often.
        let mounting = failures >= MOUNTING
            && (failures / MOUNTING).is_power_of_two()
            && failures.is_multiple_of(MOUNTING);
        let reason = reason.to_owned();
        self.tell(if mounting {
            Event::RetriesMounting { operation, feed, failures, reason }
        } else {
            Event::RequestRetried { operation, feed, content_id: None, reason, retry_in }
        });
    }

    /// Tells of a long wait that an answer has named, with its end.
    pub(crate) fn tell_wait(
        &mut self,
        now: Now,
        operation: Operation,
        feed: Option<Feed>,
        reason: &str,
        named: Option<Duration>,
    ) {
        let until = named.and_then(|wait| self.postpone(operation, feed, wait, now));
        if let Some(until) = until {
            let reason = reason.to_owned();
            self.tell(Event::RequestPostponed { operation, feed, reason, until });
        }
    }
}

/// Nothing answered. While nothing ever has, that is told at once.
pub(crate) fn silence(access: &mut Access, desk: &mut Desk, operation: Operation, reason: &str) {
    if access.contact().note_silence() {
        desk.tell(Event::ApiUnreachable { operation, reason: reason.to_owned() });
    }
}

/// Somebody else answered in the place of an API. Told at once while it was never reached.
pub(crate) fn foreign(
    access: &mut Access,
    desk: &mut Desk,
    operation: Operation,
    feed: Option<Feed>,
    answer: &str,
) {
    if access.contact().note_foreign() {
        let code = access.troubles().address;
        let (answer, remedy) = (answer.to_owned(), remedy(code));
        desk.tell(Event::ForeignAnswerError { operation, feed, answer, code, remedy });
    }
}

/// An answer found the token no good. `answer` is what it said.
pub(crate) fn reject(
    access: &mut Access,
    desk: &mut Desk,
    now: Now,
    sent: Sent,
    feed: Option<Feed>,
    answer: &str,
) -> Rejection {
    let operation = sent.operation;
    let (rejection, rejected) =
        access.reject(sent.generation, sent.at, now.monotonic, desk.random());
    if let (Rejection::Discarded(wait), Some(tokens)) = (rejection, rejected) {
        if tokens == REJECTED_MAX {
            let (answer, remedy) = (answer.to_owned(), remedy(access.troubles().rejected));
            let event = Event::TokensRejectedError { operation, feed, tokens, answer, remedy };
            desk.tell(event);
        } else {
            let reason = &format!("{answer}: the token was refused");
            desk.tell_retry(operation, feed, tokens, reason, wait);
        }
    }
    rejection
}

/// Fewer requests are asked for.
pub(crate) fn throttle(
    access: &mut Access,
    desk: &mut Desk,
    now: Now,
    operation: Operation,
    feed: Option<Feed>,
    retry_after: Option<Duration>,
) {
    desk.counts().throttled += 1;
    let slowed = access.throttle(now.monotonic, retry_after);
    let requests_per_minute = access.rate();
    let pause = slowed.pause;
    let told = desk.postpone(operation, feed, pause, now);
    if slowed.is_slower {
        let until = desk.server_time(now) + pause;
        desk.tell(Event::Throttled { operation, requests_per_minute, pause, until });
        return;
    }
    let reason = "throttled";
    if let Some(until) = told {
        let reason = reason.to_owned();
        desk.tell(Event::RequestPostponed { operation, feed, reason, until });
    }
    // It cannot go any lower, or has been there before, and must not go unheard.
    desk.tell_retry(operation, feed, slowed.in_a_row, reason, pause);
}
