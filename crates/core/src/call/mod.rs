//! Single operations of the Management Activity API and of the Activities API, each asked once and
//! answered as data: for commands, for checks of a configuration, for a doctor.
//!
//! A [`Caller`] is a machine like the [`Collector`](crate::Collector) and shares with it the
//! token, the spelling of requests, the pinning of addresses, the judgement of answers, the request
//! budget and the drivers. It keeps no state. What differs is patience: a collector tries for ever,
//! a call ends after [`ATTEMPTS_MAX`] attempts with a [`CallError`] that says what to do.
//!
//! ```no_run
//! use m365_audit_core::call::{Call, Caller, Reply};
//! # use m365_audit_core::{Config, Now, Waits};
//! # fn example<I: Waits>(config: Config, now: Now, io: &mut I) -> Result<(), I::Error> {
//! let mut caller = Caller::new(config, 1, now);
//! caller.begin(Call::ListSubscriptions);
//! m365_audit_core::run(&mut caller, io)?;
//! match caller.take_outcome() {
//!     Ok(Reply::Subscriptions(subscriptions)) => println!("{subscriptions:?}"),
//!     Ok(_) => unreachable!("a list was asked for"),
//!     Err(error) => println!("{error}"),
//! }
//! // The same caller makes the next call with the same token.
//! println!("{:?}", caller.claims());
//! # Ok(())
//! # }
//! ```

mod activities;
mod address;
mod audit;
mod calls;
mod claims;
mod ending;
mod failure;
mod range;
mod reply;
mod search;
mod task;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::access::{Access, Authorization};
use crate::activities::reader::PageReader;
use crate::audit::exchange::PageBody;
use crate::audit::expand::Expander;
use crate::base::clock::ServerClock;
use crate::base::flat_map::FlatMap;
use crate::base::random::Random;
use crate::base::time::{Now, Utc};
use crate::call::task::{Body, Flight, Task};
use crate::config::Config;
use crate::contract::batch::{Batch, BatchId, ContentRef, Record};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::SourceName;
use crate::contract::io::{Input, Machine, Output};
use crate::contract::metrics::Metrics;
use crate::contract::request::{Headers, Operation, Request, RequestId};
use crate::identity::credential::Presented;
use crate::json::digest::DigestKey;
use crate::records::treatment::Treatment;
use crate::source::exchange::{Appetite, Head, Sent, SmallBody};

pub use address::BlobAddress;
pub use calls::{Call, Pages};
pub use claims::Claims;
pub use failure::{CallError, CallErrorKind};
pub use range::{Range, RangeError};
pub use reply::Reply;
pub use task::{ATTEMPTS_MAX, ENTRIES_MAX};

pub use crate::activities::id::{ActivityId, Feedback, NoActivityId};
pub use crate::audit::answers::{
    Content, DlpType, Notification, Subscription, Webhook, WebhookRequest,
};

/// Makes single calls. See [`crate::call`].
///
/// Memory is bounded by the entries of one reply, or for a blob by one chunk, one batch and
/// `buffer_bytes` of undelivered ones.
#[derive(Debug)]
pub struct Caller {
    config: Config,
    clock: ServerClock,
    random: Random,
    digest_key: DigestKey,
    audit: Access,
    /// Access to the Activities API; `None`: it is not configured.
    activities: Option<Access>,
    metrics: Metrics,
    outputs: VecDeque<Output>,
    /// The call under way.
    task: Option<Task>,
    outcome: Option<Result<Reply, CallError>>,
    flight: Option<Flight>,
    undelivered: FlatMap<BatchId, u64>,
    treatment: Treatment,
    next_request: u64,
    next_batch: u64,
    /// Microsoft's time, as of the last input.
    server_now: Utc,
    /// By how many seconds the local clock is ahead of the last `Date` header.
    skew: Option<i64>,
    /// Whether the filters are applied to what is in blobs.
    leaves_out: bool,
}

impl Caller {
    /// A caller with the credentials and addresses of `config`. `seed` is random, as that of a
    /// collector.
    #[must_use]
    pub fn new(config: Config, seed: u128, now: Now) -> Self {
        Self {
            treatment: Treatment::new(config.treatment()),
            clock: ServerClock::new(),
            random: Random::new(seed),
            digest_key: DigestKey::drawn(seed),
            audit: crate::audit::access(config.audit(), config.sign_in(), now),
            activities: config
                .activities()
                .map(|own| crate::activities::access(own, config.sign_in(), now)),
            metrics: Metrics {
                requests_per_minute: config.requests_per_minute(),
                ..Metrics::default()
            },
            config,
            outputs: VecDeque::new(),
            task: None,
            outcome: None,
            flight: None,
            undelivered: FlatMap::new(),
            next_request: 0,
            next_batch: 0,
            server_now: now.wall,
            skew: None,
            leaves_out: false,
        }
    }

    /// Whether records of blobs that the filters of the configuration leave out are left out of the
    /// following calls as well, and counted. Default: who asks for a blob gets all of it.
    pub const fn leave_out_filtered(&mut self, leave_out: bool) {
        self.leaves_out = leave_out;
    }

    /// Makes `call` the one that [`run`](crate::run) makes next. One that was not run to its end
    /// is forgotten.
    pub fn begin(&mut self, call: Call) {
        if let Some(flight) = self.flight.take() {
            self.outputs.push_back(Output::Cancel(flight.id));
        }
        self.undelivered = FlatMap::new();
        self.outcome = None;
        self.task = Some(Task::new(call));
    }

    /// How the last call ended, once [`run`](crate::run) has come back.
    ///
    /// # Errors
    /// The call failed, or did not end.
    pub fn take_outcome(&mut self) -> Result<Reply, CallError> {
        self.outcome.take().unwrap_or_else(|| Err(CallError::stopped(Operation::Token)))
    }

    /// What the present token says about itself; `None` without one, or if it cannot be read.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        Claims::of(&self.audit)
    }

    /// The same of the token for the Activities API.
    #[must_use]
    pub fn activities_claims(&self) -> Option<Claims> {
        Claims::of(self.activities.as_ref()?)
    }

    /// By how many seconds the local clock is ahead of the service's, as of its last answer.
    #[must_use]
    pub const fn clock_skew_seconds(&self) -> Option<i64> {
        self.skew
    }

    /// The configuration it was made with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    fn advance(&mut self, now: Now) -> Output {
        let server_now = self.clock.at(now);
        let Some(task) = &mut self.task else { return Output::Finished };
        if now.monotonic < task.not_before {
            return Output::Wait(Some(task.not_before - now.monotonic));
        }
        let of_activities = task.call.is_of_activities();
        if of_activities && self.activities.is_none() {
            let error = CallError::no_activities(task.call.operation());
            return self.fail(error);
        }
        let asks = match &task.asks {
            Some(asks) => asks.clone(),
            // Before the sign-in as well: a mistake costs no request.
            None => match task.plan(server_now) {
                Ok(asks) => asks,
                Err(error) => {
                    let (operation, remedy) = (task.call.operation(), "name a later range");
                    let kind = CallErrorKind::Argument;
                    return self.fail(CallError::new(operation, kind, error.to_string(), remedy));
                }
            },
        };
        let Some(who) = self.who(now) else { return self.sign_in(now) };
        let Some(ask) = asks.front() else {
            let task = self.task.take().expect("it was there above");
            self.outcome = Some(Ok(task.reply));
            return Output::Finished;
        };
        let request = self.task.as_ref().and_then(|task| match (of_activities, &who) {
            (false, Authorization::Bearer(bearer)) => {
                Some(self.audit_request(&task.call, ask, bearer))
            }
            (true, who) => self.activities_request(task, who),
            (false, Authorization::Given(_)) => None,
        });
        let request = request.expect("what is asked was planned above");
        if let Err(at) = self.access().take(now.monotonic) {
            return Output::Wait(Some(at.saturating_sub(now.monotonic)));
        }
        if let Some(task) = &mut self.task {
            task.asks = Some(asks);
            task.kept = task.reply.len();
        }
        self.send(now, request).1
    }

    /// Whether the call under way is one of the Activities API.
    pub(super) fn is_activities(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.call.is_of_activities())
    }

    /// Access to the API that the call under way is about.
    pub(super) fn access(&mut self) -> &mut Access {
        match &mut self.activities {
            Some(activities)
                if self.task.as_ref().is_some_and(|task| task.call.is_of_activities()) =>
            {
                activities
            }
            Some(_) | None => &mut self.audit,
        }
    }

    /// What the next request is sent with, if there is something.
    fn who(&mut self, now: Now) -> Option<Authorization> {
        Some(self.access().authorization(now.monotonic)?.0)
    }

    fn sign_in(&mut self, now: Now) -> Output {
        match self.access().asks(now.monotonic) {
            Ok(()) => Output::Credential,
            Err(due) => Output::Wait(due.map(|due| due.saturating_sub(now.monotonic))),
        }
    }

    fn handle_credential(&mut self, now: Now, presented: Presented) {
        let (server_now, certain) = (self.clock.at(now), self.clock.is_anchored());
        let credential = presented.credential.clone();
        let of_activities = self.is_activities();
        let (one, other) = match &mut self.activities {
            Some(activities) if of_activities => (activities, Some(&mut self.audit)),
            other => (&mut self.audit, other.as_mut()),
        };
        if let (Some(other), Some(credential)) = (other.and_then(Access::tokens), credential) {
            other.learn(credential);
        }
        let Some(tokens) = one.tokens() else { return };
        let (events, request) =
            tokens.present(presented, self.config.sign_in(), server_now, certain);
        self.outputs.extend(events.into_iter().map(Output::Event));
        if let Some(request) = request.filter(|_| self.task.is_some()) {
            let (id, output) = self.send(now, request);
            if let Some(tokens) = self.access().tokens() {
                tokens.requested(id);
            }
            self.outputs.push_back(output);
        }
    }

    fn send(&mut self, now: Now, request: Request) -> (RequestId, Output) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.metrics.requests[request.operation as usize] += 1;
        self.flight = Some(Flight {
            id,
            sent: Sent {
                operation: request.operation,
                generation: self.access().generation(),
                at: now.monotonic,
            },
            address: request.url.as_str().into(),
            head: Head::default(),
            body: Body::Small(SmallBody::default()),
            stalled: false,
        });
        (id, Output::Request { id, request, timeout: self.config.limits().request_timeout })
    }

    /// Ends the call.
    pub(super) fn fail(&mut self, error: CallError) -> Output {
        self.task = None;
        self.outcome = Some(Err(error));
        Output::Finished
    }

    fn handle_head(&mut self, now: Now, id: RequestId, status: u16, headers: &Headers) {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.id == id) else { return };
        flight.head = Head::read(status, headers);
        if (200..300).contains(&status) {
            let limits = self.config.limits();
            let (batch_bytes, record_bytes_max) = (limits.batch_bytes, limits.record_bytes_max);
            flight.body = match flight.sent.operation {
                Operation::Token
                | Operation::StartSubscription
                | Operation::StopSubscription
                | Operation::GetActivity
                | Operation::SendFeedback => Body::Small(SmallBody::default()),
                Operation::GetBlob => Body::Blob(Box::new(Expander::new(
                    self.task.as_ref().map(|task| task.progress).unwrap_or_default(),
                    batch_bytes,
                    record_bytes_max,
                    self.config.audit().enrich,
                    self.digest_key,
                ))),
                Operation::ListSubscriptions
                | Operation::ListContent
                | Operation::ListNotifications
                | Operation::ListDlpTypes => Body::Entries(PageBody::new(&flight.address)),
                Operation::ListActivities => Body::Activities(Box::new(PageReader::new(
                    batch_bytes,
                    record_bytes_max,
                    self.clock.at(now),
                    self.digest_key,
                ))),
            };
        }
        let date = headers.value("date").and_then(Utc::parse_http_date);
        if let Some(date) = date {
            // Half a second is the mean of what the header leaves out.
            self.skew = Some((now.wall.as_millis() - date.as_millis() - 500) / 1_000);
        }
        if let Some(seconds) = self.clock.observe(now, date) {
            self.outputs.push_back(Output::Event(Event::ClockCorrected { seconds }));
        }
        self.read_on();
    }

    fn handle_body(&mut self, now: Now, id: RequestId, chunk: Bytes) {
        let Some(mut flight) = self.flight.take_if(|flight| flight.id == id) else { return };
        let enough = match &mut flight.body {
            Body::Small(small) => small.extend(&chunk) == Appetite::Enough,
            Body::Entries(page) => {
                page.push(chunk);
                self.read_page(page)
            }
            Body::Activities(reader) => {
                reader.push(chunk);
                self.read_activities(reader)
            }
            Body::Blob(expander) => {
                expander.push(chunk);
                loop {
                    match expander.step() {
                        Ok(Some(expanded)) => self.emit(expanded),
                        Ok(None) => break false,
                        // The error stays in the expander, and the end finds it there.
                        Err(_) => break true,
                    }
                }
            }
        };
        if enough {
            self.outputs.push_back(Output::Cancel(id));
            self.handle_end(now, flight, Ok(()));
        } else {
            self.flight = Some(flight);
            self.read_on();
        }
    }

    /// Asks for the next chunk, now or when there is room for what it holds.
    fn read_on(&mut self) {
        let room =
            self.undelivered.values().sum::<u64>() < self.config.limits().buffer_bytes as u64;
        let Some(flight) = &mut self.flight else { return };
        flight.stalled = matches!(flight.body, Body::Blob(_) | Body::Activities(_)) && !room;
        if !flight.stalled {
            self.outputs.push_back(Output::Read(flight.id));
        }
    }

    /// Hands records to the host, redacted if that is asked for.
    pub(super) fn hand_over(&mut self, mut records: Vec<Record>, bytes: u64, content: ContentRef) {
        // The filters are for what is collected, and speak of no activities.
        let of_blob = content.feed.source() == SourceName::ManagementActivity;
        let treated = self.treatment.treat(&mut records, self.leaves_out && of_blob);
        let withheld = treated.withheld;
        if let Some(Reply::Expanded { filtered, .. }) =
            self.task.as_mut().map(|task| &mut task.reply)
        {
            *filtered += treated.filtered;
        }
        if records.is_empty() {
            return;
        }
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        self.undelivered.insert(id, bytes.max(1));
        if withheld > 0 {
            self.outputs.push_back(Output::Event(Event::Feed(
                content.feed,
                FeedEvent::RecordsWithheldError { content_id: content.id.clone(), count: withheld },
            )));
        }
        self.outputs.push_back(Output::Batch(Batch {
            id,
            tenant_id: Arc::from(self.config.tenant_id()),
            content: Arc::new(content),
            records,
        }));
    }

    fn settle(&mut self, id: BatchId) {
        self.undelivered.remove(&id);
        if self.flight.as_ref().is_some_and(|flight| flight.stalled) {
            self.read_on();
        }
    }

    fn stop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.outputs.push_back(Output::Cancel(flight.id));
        }
        if let Some(task) = &self.task {
            let error = CallError::stopped(task.call.operation());
            self.fail(error);
        }
    }
}

impl Machine for Caller {
    fn handle_input(&mut self, now: Now, input: Input) {
        self.server_now = self.clock.at(now);
        match input {
            Input::Head { id, status, headers } => self.handle_head(now, id, status, &headers),
            Input::Body { id, chunk } => self.handle_body(now, id, chunk),
            Input::End { id, result } => {
                if let Some(flight) = self.flight.take_if(|flight| flight.id == id) {
                    self.handle_end(now, flight, result);
                }
            }
            Input::Credential(presented) => self.handle_credential(now, presented),
            Input::Delivered(id) => self.settle(id),
            Input::Returned(_) | Input::Shutdown => {
                self.undelivered = FlatMap::new();
                self.stop();
            }
            Input::Hint(_)
            | Input::OutputShort(_)
            | Input::Acknowledged(_)
            | Input::Replay(_)
            | Input::Timeout => {}
        }
    }

    fn poll_output(&mut self, now: Now) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        self.metrics.requests_per_minute = self.access().rate();
        self.metrics.undelivered_batches = self.undelivered.len() as u64;
        self.metrics.undelivered_bytes = self.undelivered.values().sum();
        if self.flight.is_some() {
            return Output::Wait(None);
        }
        let output = self.advance(now);
        let waits = matches!(output, Output::Finished) && !self.undelivered.is_empty();
        if waits { Output::Wait(None) } else { output }
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
