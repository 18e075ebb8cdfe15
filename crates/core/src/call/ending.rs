//! Decides what the end of a request means for the call: on with it, once more, or its end. Sends
//! nothing.

use std::borrow::Cow;
use std::time::Duration;

use crate::access::token::{Rejection, TokenFailure};
use crate::audit::answers::Subscription;
use crate::audit::exchange::PageBody;
use crate::audit::expand::{ExpandError, Whole};
use crate::audit::judge::{self, Answer, judge};
use crate::audit::windows::PAGES_PER_WINDOW_MAX;
use crate::base::key::Key;
use crate::base::origin;
use crate::base::time::Now;
use crate::call::Caller;
use crate::call::calls::{Call, Pages};
use crate::call::failure::{CallError, CallErrorKind};
use crate::call::reply::Reply;
use crate::call::task::{ATTEMPTS_MAX, Ask, Body, ENTRIES_MAX, Flight};
use crate::contract::error_codes::{FORBIDDEN, known_error, remedy};
use crate::contract::event::Event;
use crate::contract::io::Output;
use crate::contract::request::{
    CANNOT_CONNECT, Operation, REACH_REMEDY, TransportError, TransportErrorKind,
};
use crate::json::{Item, SplitError};
use crate::source::exchange::Head;
use crate::source::verdict::Verdict;
use crate::source::words::message_of;

/// Waits between attempts.
const RETRY_BASE: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(15);

/// The longest pause that a call sits through; one that is asked to wait longer fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tokens that the API may refuse before the call gives up: the first may have been withdrawn.
const REJECTIONS_MAX: u32 = 2;

/// How a request ended.
pub(super) struct Ending {
    pub verdict: Verdict,
    pub status: u16,
    pub code: Option<Cow<'static, str>>,
    /// Microsoft's words, or ours.
    pub message: String,
}

impl Ending {
    pub(super) const fn retry(message: String) -> Self {
        Self { verdict: Verdict::Retry(None), status: 0, code: None, message }
    }

    pub(super) const fn accept(status: u16) -> Self {
        Self { verdict: Verdict::Accept, status, code: None, message: String::new() }
    }
}

impl Caller {
    /// Reads the entries that have arrived. Answers whether the rest is not wanted.
    pub(super) fn read_page(&mut self, page: &mut PageBody) -> bool {
        loop {
            match page.poll() {
                Ok(Some(Item::Record(entry))) => {
                    let Some(task) = &mut self.task else { return true };
                    if !task.reply.push(&entry.raw) {
                        page.note_bad();
                    }
                }
                Ok(Some(Item::Oversized { .. })) => page.note_bad(),
                Ok(None) => return false,
                // The error stays in the page, and the end finds it there.
                Err(_) => return true,
            }
        }
    }

    /// A request has ended, well or badly.
    pub(super) fn handle_end(
        &mut self,
        now: Now,
        mut flight: Flight,
        result: Result<(), TransportError>,
    ) {
        if flight.sent.operation == Operation::Token {
            return self.end_token(now, &flight, result);
        }
        // A start may have been passed on all the same: its end tells.
        let may_be = result.is_ok() && flight.sent.operation != Operation::StartSubscription;
        let body = flight.body.small_bytes();
        if let Some(ending) =
            self.foreign(flight.sent.operation, &flight.head, body).filter(|_| may_be)
        {
            return self.conclude(now, &flight, ending);
        }
        let ending = match result {
            Ok(()) if self.is_activities() => self.end_of_activities(&mut flight),
            Ok(()) => self.ending(&mut flight),
            // Whether it took effect, nobody knows, and Microsoft wants 15 minutes between two.
            Err(error)
                if flight.sent.operation == Operation::StartSubscription
                    && !matches!(
                        error.kind,
                        TransportErrorKind::Connect | TransportErrorKind::Tls
                    ) =>
            {
                return self.doubt(&error.to_string());
            }
            Err(error) => {
                self.salvage(&mut flight);
                Ending::retry(error.to_string())
            }
        };
        self.conclude(now, &flight, ending);
    }

    /// A blob cannot be read to its end: hands over what was read whole of it.
    fn salvage(&mut self, flight: &mut Flight) {
        if let Body::Blob(expander) = &mut flight.body
            && let Some(expanded) = expander.salvage()
        {
            self.emit(expanded);
        }
    }

    /// How it ends if somebody else has answered in the place of the API.
    pub(super) fn foreign(&self, operation: Operation, head: &Head, body: &[u8]) -> Option<Ending> {
        let of_activities = self.is_activities();
        let seen = head.with(body);
        // An activity may be missing; a search is at every address of them.
        let missing = matches!(head.status, 404 | 405) && operation == Operation::ListActivities;
        let code = if of_activities { "portal-address" } else { "api-address" };
        let said = if !self.config.treatment().may_show() {
            seen.describe_head()
        } else {
            seen.describe()
        };
        let foreign = (seen.is_foreign() && judge::code_of(seen.body).is_none()) || missing;
        foreign.then(|| Ending { code: Some(code.into()), ..Ending::retry(said) })
    }

    fn ending(&mut self, flight: &mut Flight) -> Ending {
        let fault = match &mut flight.body {
            Body::Small(small) => {
                let ok = (200..300).contains(&flight.head.status);
                let bytes = small.bytes();
                let code = if ok { None } else { judge::code_of(bytes) };
                return judged(flight.sent.operation, &flight.head, code, bytes);
            }
            Body::Entries(page) => match page.finish() {
                Ok(null) if null => return Ending::retry("the body is null".into()),
                Ok(_) if 0 < page.bad_entries() => {
                    let message =
                        format!("{} entries of the answer cannot be read", page.bad_entries());
                    return Ending::retry(message);
                }
                Ok(_) => Ok(()),
                Err(error) => Err(ExpandError::Body(error)),
            },
            // Of the other API.
            Body::Activities(_) => return self.end_of_activities(flight),
            Body::Blob(expander) => match expander.finish() {
                Ok((_, Whole::Null)) => return Ending::retry("the body is null".into()),
                Ok((expanded, Whole::Records | Whole::Empty)) => {
                    self.emit(expanded);
                    Ok(())
                }
                Err(error) => {
                    self.salvage(flight);
                    Err(error)
                }
            },
        };
        match fault {
            Ok(()) => Ending::accept(flight.head.status),
            Err(ExpandError::Body(SplitError::NotArray { first })) => {
                match judge::code_of(&first) {
                    Some(code) => judged(flight.sent.operation, &flight.head, Some(code), &first),
                    None => self
                        .foreign(flight.sent.operation, &flight.head, &first)
                        .unwrap_or_else(|| Ending::retry(self.config.treatment().shown(&first))),
                }
            }
            Err(ExpandError::Body(error)) => Ending::retry(error.to_string()),
            Err(ExpandError::Changed) => {
                Ending::retry("the blob reads differently than before".into())
            }
        }
    }

    fn conclude(&mut self, now: Now, flight: &Flight, mut ending: Ending) {
        if ending.verdict == Verdict::Forbid {
            ending.code = Some(FORBIDDEN.into());
        }
        if let Some(task) = &mut self.task
            && ending.verdict != Verdict::Accept
        {
            task.reply.truncate(task.kept);
        }
        let kind = match &ending.verdict {
            Verdict::Accept => return self.accept(now, flight, &ending),
            Verdict::Reauthenticate => return self.reject_token(now, flight, &ending),
            Verdict::Throttle(retry_after) => {
                return self.slow_down(now, flight, *retry_after, &ending);
            }
            Verdict::Retry(retry_after) => {
                if (400..500).contains(&ending.status)
                    && ending.code.as_ref().is_some_and(|code| code.starts_with("AF2"))
                {
                    // About what was asked for: it would be refused again.
                    CallErrorKind::Argument
                } else if flight.sent.operation == Operation::StartSubscription
                    && ending.status != 0
                {
                    return self.doubt(&ending.message);
                } else {
                    return self.retry(now, flight, *retry_after, &ending);
                }
            }
            Verdict::Resubscribe => CallErrorKind::NotSubscribed,
            Verdict::Replan => CallErrorKind::Argument,
            Verdict::CoolDown(wait) => CallErrorKind::CoolDown(*wait),
            Verdict::Gone => CallErrorKind::Gone,
            Verdict::Deny | Verdict::Forbid => CallErrorKind::Denied,
        };
        self.fail(error(flight.sent.operation, kind, ending));
    }

    fn accept(&mut self, now: Now, flight: &Flight, ending: &Ending) {
        self.access().prove(flight.sent.generation, now.monotonic);
        let Some(task) = &mut self.task else { return };
        task.rejections = 0;
        if flight.sent.operation == Operation::ListActivities {
            return self.turn_page(now, flight);
        }
        task.failures = 0;
        if let (Operation::StartSubscription, Body::Small(small)) =
            (flight.sent.operation, &flight.body)
            && ending.code.is_none()
        {
            let bytes = small.bytes();
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            match serde_json::from_slice::<Subscription>(bytes) {
                Ok(subscription) => task.reply = Reply::Started(subscription),
                Err(_) => return self.doubt("the answer is no subscription"),
            }
        }
        let Some(asks) = &mut task.asks else { return };
        asks.pop_front();
        if let Call::ListContent { pages: Pages::First, .. } = task.call {
            return;
        }
        let of_activities = task.call.is_of_activities();
        let Some(address) = flight.head.next_page.as_ref().filter(|_| !of_activities) else {
            return;
        };
        let address = &origin::resolve(&flight.address, address);
        let trouble = if !self.config.api().owns(address) {
            "the next page is on another host; the token was not sent there"
        } else if !task.visited.insert(Key::of_content(address)) {
            "the pages go in circles"
        } else if PAGES_PER_WINDOW_MAX as usize <= task.visited.len() {
            "there are too many pages"
        } else if ENTRIES_MAX <= task.reply.len() {
            "there are too many entries"
        } else {
            asks.push_front(Ask::Page(address.clone()));
            return;
        };
        let kind = CallErrorKind::Address;
        self.fail(CallError::new(flight.sent.operation, kind, trouble, "name a shorter range"));
    }

    /// A start may or may not have taken effect.
    fn doubt(&mut self, message: &str) {
        let mut error = CallError::new(
            Operation::StartSubscription,
            CallErrorKind::Unavailable,
            format!("{message}; whether the start took effect is not known"),
            "list the subscriptions; start again in 15 minutes what is not among them",
        );
        error.code = None;
        self.fail(error);
    }

    /// Once more after a while, unless it has failed too often.
    pub(super) fn retry(
        &mut self,
        now: Now,
        flight: &Flight,
        retry_after: Option<Duration>,
        ending: &Ending,
    ) {
        let Some(task) = &mut self.task else { return };
        task.failures += 1;
        let failures = task.failures;
        let wait = self.random.backoff(RETRY_BASE, RETRY_MAX, failures);
        let wait = wait.max(retry_after.unwrap_or_default());
        self.metrics.retries += 1;
        if ATTEMPTS_MAX <= failures || PATIENCE < wait {
            let kind = CallErrorKind::Unavailable;
            let known = ending.code.as_deref().and_then(known_error);
            let remedy = match known {
                Some(known) => known.remedy,
                None if ending.message.starts_with(CANNOT_CONNECT) => REACH_REMEDY,
                None => "try again later",
            };
            let mut error =
                CallError::new(flight.sent.operation, kind, ending.message.clone(), remedy);
            error.code = ending.code.as_deref().map(str::to_owned);
            self.fail(error);
            return;
        }
        task.not_before = now.monotonic + wait;
        let feed = task.feed();
        self.outputs.push_back(Output::Event(Event::RequestRetried {
            operation: flight.sent.operation,
            feed,
            content_id: None,
            reason: ending.message.clone(),
            retry_in: wait,
        }));
    }

    fn slow_down(
        &mut self,
        now: Now,
        flight: &Flight,
        retry_after: Option<Duration>,
        ending: &Ending,
    ) {
        self.metrics.throttled += 1;
        let pause = self.access().throttle(now.monotonic, retry_after).pause;
        let requests_per_minute = self.access().rate();
        let Some(task) = &mut self.task else { return };
        task.failures += 1;
        if ATTEMPTS_MAX <= task.failures || PATIENCE < pause {
            let mut error = CallError::new(
                flight.sent.operation,
                CallErrorKind::Throttled,
                ending.message.clone(),
                "try again in some minutes",
            );
            error.code = ending.code.as_deref().map(str::to_owned);
            self.fail(error);
            return;
        }
        task.not_before = now.monotonic + pause;
        let operation = flight.sent.operation;
        self.outputs.push_back(Output::Event(Event::Throttled {
            operation,
            requests_per_minute,
            pause,
            until: self.clock.at(now) + pause,
        }));
    }

    fn reject_token(&mut self, now: Now, flight: &Flight, ending: &Ending) {
        // There is no other than that which the portal made.
        let made = self.access().is_given();
        let code = if made { "portal-token" } else { self.access().troubles().rejected };
        let remedy = remedy(code);
        // Not through `access`, which borrows all.
        let mut random = self.random.clone();
        let sent = flight.sent;
        let wait = match made {
            true => RETRY_BASE,
            false => {
                match self.access().reject(sent.generation, sent.at, now.monotonic, &mut random).0 {
                    Rejection::Discarded(wait) => wait,
                    Rejection::NotTheToken => RETRY_BASE,
                }
            }
        };
        self.random = random;
        let Some(task) = &mut self.task else { return };
        task.rejections += 1;
        if REJECTIONS_MAX < task.rejections {
            let message = format!("{}: the API does not take the token", ending.message);
            let kind = CallErrorKind::Credentials;
            let mut error = CallError::new(flight.sent.operation, kind, message, remedy);
            error.code = Some(code.to_owned());
            self.fail(error);
            return;
        }
        task.not_before = now.monotonic + wait;
    }

    fn end_token(&mut self, now: Now, flight: &Flight, result: Result<(), TransportError>) {
        // Not through `access`, which borrows all.
        let (server_now, mut random) = (self.clock.at(now), self.random.clone());
        let Some(tokens) = self.access().tokens() else { return };
        let outcome = match result {
            Err(error) => Err(TokenFailure::Transient { reason: error.to_string() }),
            Ok(()) => {
                let seen = flight.head.with(flight.body.small_bytes());
                tokens.accept(&seen, now.monotonic, server_now)
            }
        };
        let failure = match outcome {
            Ok(lifetime) => {
                if let Some(task) = &mut self.task {
                    task.failures = 0;
                }
                let first = false;
                self.outputs.push_back(Output::Event(Event::TokenAcquired { lifetime, first }));
                return;
            }
            Err(failure) => tokens.soften(failure),
        };
        let after = flight.head.retry_after;
        let (wait, _) = tokens.fail(&failure, after, now.monotonic, &mut random);
        let code = tokens.address_code();
        self.random = random;
        match failure {
            TokenFailure::Refused { code, message } => {
                let remedy = known_error(&code).map_or("", |known| known.remedy);
                let kind = CallErrorKind::Credentials;
                let mut error = CallError::new(Operation::Token, kind, message, remedy);
                error.code = Some(code);
                self.fail(error);
            }
            TokenFailure::Foreign { answer } => {
                let ending = Ending { code: Some(code.into()), ..Ending::retry(answer) };
                self.retry(now, flight, Some(wait), &ending);
            }
            TokenFailure::Transient { reason } => {
                self.retry(now, flight, Some(wait), &Ending::retry(reason));
            }
        }
    }
}

fn judged(
    operation: Operation,
    head: &Head,
    code: Option<Cow<'static, str>>,
    body: &[u8],
) -> Ending {
    let status = head.status;
    let answer = Answer {
        operation,
        status,
        code,
        retry_after: head.retry_after,
        named_wait: judge::named_wait(body),
    };
    let verdict = judge(&answer);
    let message = match message_of(body) {
        Some(message) => format!("{message} (HTTP status {status})"),
        None => format!("HTTP status {status}"),
    };
    Ending { verdict, status, code: answer.code, message }
}

fn error(operation: Operation, kind: CallErrorKind, ending: Ending) -> CallError {
    let known = ending.code.as_deref().and_then(known_error);
    let remedy = if matches!(kind, CallErrorKind::CoolDown(_)) {
        "leave it alone for that long, then start it again"
    } else {
        known.map_or("", |known| known.remedy)
    };
    let mut error = CallError::new(operation, kind, ending.message, remedy);
    error.code = ending.code.map(Cow::into_owned);
    error
}
