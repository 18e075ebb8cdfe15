//! The machine that makes calls: one at a time, one request at a time. Routes and sends; what an
//! answer means is decided in `ending`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::access::budget::Budget;
use crate::access::token::{Generation, TokenMachine};
use crate::activities::Credential;
use crate::audit::exchange::{Body, Head};
use crate::audit::expand::{Expanded, Progress};
use crate::audit::wire;
use crate::base::interval::Interval;
use crate::base::key::Key;
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::base::time::{Now, ServerClock, Utc};
use crate::call::activities::Search;
use crate::call::failure::{CallError, CallErrorKind};
use crate::call::reply::Reply;
use crate::call::{Call, Claims, Pages, Range, RangeError};
use crate::config::Config;
use crate::contract::batch::{Batch, BatchId, ContentRef, ContentType, Record};
use crate::contract::event::Event;
use crate::contract::io::{Input, Machine, Output};
use crate::contract::metrics::Metrics;
use crate::contract::request::{Headers, Operation, Request, RequestId};
use crate::identity::credential::Presented;
use crate::json::digest::DigestKey;
use crate::records::redact::Redactor;

/// A request that fails this often in a row ends its call. With the pauses between them, which
/// double from half a second, that is about eight seconds of trouble.
pub const ATTEMPTS_MAX: u32 = 5;

/// A reply with more entries than this is not gathered: half a gigabyte of descriptors.
pub const ENTRIES_MAX: usize = 1_000_000;

/// Makes single calls. See [`crate::call`].
///
/// Memory is bounded by the entries of one reply, or for a blob by one chunk, one batch and
/// `buffer_bytes` of undelivered ones.
#[derive(Debug)]
pub struct Caller {
    pub(super) config: Config,
    pub(super) clock: ServerClock,
    pub(super) random: Random,
    digest_key: DigestKey,
    tokens: TokenMachine,
    /// Those of the Activities API.
    portal_tokens: TokenMachine,
    budget: Budget,
    /// That of the Activities API.
    portal_budget: Budget,
    pub(super) metrics: Metrics,
    pub(super) outputs: VecDeque<Output>,
    /// The call under way.
    pub(super) task: Option<Task>,
    pub(super) outcome: Option<Result<Reply, CallError>>,
    flight: Option<Flight>,
    undelivered: BTreeMap<BatchId, u64>,
    redactor: Option<Redactor>,
    next_request: u64,
    next_batch: u64,
    /// Microsoft's time, as of the last input.
    pub(super) server_now: Utc,
    /// By how many seconds the local clock is ahead of the last `Date` header.
    skew: Option<i64>,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) call: Call,
    /// What is left to ask, the first next. `None`: not planned yet.
    pub(super) asks: Option<VecDeque<Ask>>,
    pub(super) reply: Reply,
    /// How many entries the reply had before the page under way.
    pub(super) kept: usize,
    /// Next pages that were followed.
    pub(super) visited: BTreeSet<Key>,
    /// Failures in a row, and tokens that were refused.
    pub(super) failures: u32,
    pub(super) rejections: u32,
    pub(super) not_before: Duration,
    /// How far into its blob the batches reach that were handed over.
    pub(super) progress: Progress,
    /// The search of [`Call::ListActivities`], once it is planned.
    pub(super) search: Option<Box<Search>>,
}

/// One request that a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The operation's only one.
    Whole,
    /// The first page of a window.
    Window(Interval),
    /// A page that another one named.
    Page(String),
}

/// The request under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: RequestId,
    pub(super) operation: Operation,
    /// Where it was sent.
    pub(super) address: Box<str>,
    pub(super) generation: Generation,
    pub(super) sent_at: Duration,
    pub(super) head: Head,
    pub(super) body: Body,
    /// Whether nothing more is read until there is room.
    stalled: bool,
}

impl Task {
    fn new(call: Call) -> Self {
        let reply = match &call {
            Call::SignIn | Call::SignInToPortal => Reply::SignedIn,
            Call::ListSubscriptions => Reply::Subscriptions(Vec::new()),
            Call::StartSubscription { .. } => Reply::Unchanged,
            Call::StopSubscription { .. } => Reply::Stopped,
            Call::ListContent { .. } => Reply::Contents(Vec::new()),
            Call::GetBlob(_) => Reply::Expanded { records: 0, dropped: 0 },
            Call::ListNotifications { .. } => Reply::Notifications(Vec::new()),
            Call::ListDlpTypes { .. } => Reply::DlpTypes(Vec::new()),
            Call::ListActivities { .. } | Call::GetActivity(_) => {
                Reply::Activities { records: 0, dropped: 0, more: false }
            }
            Call::SendFeedback { .. } => Reply::FeedbackSent,
        };
        Self {
            call,
            asks: None,
            reply,
            kept: 0,
            visited: BTreeSet::new(),
            failures: 0,
            rejections: 0,
            not_before: Duration::ZERO,
            progress: Progress::default(),
            search: None,
        }
    }

    const fn range(&self) -> Option<Range> {
        match self.call {
            Call::ListContent { range, .. } | Call::ListNotifications { range, .. } => Some(range),
            Call::SignIn
            | Call::ListSubscriptions
            | Call::StartSubscription { .. }
            | Call::StopSubscription { .. }
            | Call::GetBlob(_)
            | Call::ListDlpTypes { .. }
            | Call::SignInToPortal
            | Call::ListActivities { .. }
            | Call::GetActivity(_)
            | Call::SendFeedback { .. } => None,
        }
    }

    /// The feed that the call is about, for events.
    pub(super) const fn content_type(&self) -> Option<ContentType> {
        match self.call {
            Call::StartSubscription { content_type, .. }
            | Call::StopSubscription { content_type }
            | Call::ListContent { content_type, .. }
            | Call::ListNotifications { content_type, .. } => Some(content_type),
            Call::ListActivities { .. } | Call::GetActivity(_) | Call::SendFeedback { .. } => {
                Some(ContentType::CloudAppActivities)
            }
            Call::SignIn
            | Call::SignInToPortal
            | Call::ListSubscriptions
            | Call::GetBlob(_)
            | Call::ListDlpTypes { .. } => None,
        }
    }

    /// What to ask, as of `now`.
    fn plan(&mut self, now: Utc) -> Result<VecDeque<Ask>, RangeError> {
        let Some(range) = self.range() else {
            let mut nothing = matches!(self.call, Call::SignIn | Call::SignInToPortal);
            if let Call::ListActivities { filters, range, limit } = &self.call {
                self.search = Search::plan(filters, *range, *limit, now)?.map(Box::new);
                nothing = self.search.is_none();
            }
            return Ok(if nothing { VecDeque::new() } else { VecDeque::from([Ask::Whole]) });
        };
        let windows = range.windows(now)?;
        let newest_only = matches!(self.call, Call::ListContent { pages: Pages::First, .. });
        let skipped = if newest_only { windows.len().saturating_sub(1) } else { 0 };
        Ok(windows.into_iter().skip(skipped).map(Ask::Window).collect())
    }
}

impl Caller {
    /// A caller with the credentials and addresses of `config`. `seed` is random, as that of a
    /// collector.
    #[must_use]
    pub fn new(config: Config, seed: u128, now: Now) -> Self {
        Self {
            redactor: config.redaction.as_deref().cloned().map(Redactor::new),
            clock: ServerClock::new(),
            random: Random::new(seed),
            digest_key: DigestKey::drawn(seed),
            tokens: TokenMachine::new(&config, &config.resource),
            portal_tokens: {
                let portal = config.portal.as_ref();
                let resource = portal.map_or(&config.resource, |portal| &portal.resource);
                TokenMachine::new(&config, resource)
            },
            budget: Budget::new(config.requests_per_minute, now.monotonic),
            portal_budget: {
                let portal = config.portal.as_ref();
                let limit = portal.map_or(1, |portal| portal.requests_per_minute);
                Budget::new(limit, now.monotonic)
            },
            metrics: Metrics {
                requests_per_minute: config.requests_per_minute,
                ..Metrics::default()
            },
            config,
            outputs: VecDeque::new(),
            task: None,
            outcome: None,
            flight: None,
            undelivered: BTreeMap::new(),
            next_request: 0,
            next_batch: 0,
            server_now: now.wall,
            skew: None,
        }
    }

    /// Makes `call` the one that [`run`](crate::run) makes next. One that was not run to its end
    /// is forgotten.
    pub fn begin(&mut self, call: Call) {
        if let Some(flight) = self.flight.take() {
            self.outputs.push_back(Output::Cancel(flight.id));
        }
        self.undelivered.clear();
        self.outcome = None;
        self.task = Some(Task::new(call));
    }

    /// How the last call ended, once [`run`](crate::run) has come back.
    ///
    /// # Errors
    /// The call failed, or did not end.
    pub fn take_outcome(&mut self) -> Result<Reply, CallError> {
        self.outcome.take().unwrap_or_else(|| Err(stopped(Operation::Token)))
    }

    /// What the present token says about itself; `None` without one, or if it cannot be read.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        Claims::read(self.tokens.usable(Duration::ZERO)?.0.expose())
    }

    /// The same of the token for the Activities API.
    #[must_use]
    pub fn portal_claims(&self) -> Option<Claims> {
        Claims::read(self.portal_tokens.usable(Duration::ZERO)?.0.expose())
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
        let portal = task.call.is_of_portal();
        if portal && self.config.portal.is_none() {
            let error = no_portal(task.call.operation());
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
        let request = self.task.as_ref().and_then(|task| match (portal, &who) {
            (false, Credential::Bearer(bearer)) => Some(self.request(&task.call, ask, bearer)),
            (true, who) => self.portal_request(task, who),
            (false, Credential::Portal(_)) => None,
        });
        let request = request.expect("what is asked was planned above");
        if let Err(at) = self.budget().take(now.monotonic) {
            return Output::Wait(Some(at.saturating_sub(now.monotonic)));
        }
        if let Some(task) = &mut self.task {
            task.asks = Some(asks);
            task.kept = task.reply.len();
        }
        self.send(now, request).1
    }

    /// Whether the call under way is one of the Activities API.
    pub(super) fn is_at_portal(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.call.is_of_portal())
    }

    /// The tokens of the API that the call under way is about.
    pub(super) fn tokens(&mut self) -> &mut TokenMachine {
        if self.is_at_portal() { &mut self.portal_tokens } else { &mut self.tokens }
    }

    /// The budget of the API that the call under way is about.
    pub(super) fn budget(&mut self) -> &mut Budget {
        if self.is_at_portal() { &mut self.portal_budget } else { &mut self.budget }
    }

    /// What the next request is sent with, if there is something.
    fn who(&self, now: Now) -> Option<Credential> {
        let tokens = if !self.is_at_portal() {
            &self.tokens
        } else if let Some(token) = self.config.portal.as_ref()?.token.clone() {
            return Some(Credential::Portal(token));
        } else {
            &self.portal_tokens
        };
        Some(Credential::Bearer(tokens.usable(now.monotonic)?.0.clone()))
    }

    fn sign_in(&mut self, now: Now) -> Output {
        match self.tokens().wants_request(now.monotonic) {
            Ok(()) => {
                self.tokens().ask();
                Output::Credential
            }
            Err(due) => Output::Wait(due.map(|due| due.saturating_sub(now.monotonic))),
        }
    }

    fn handle_credential(&mut self, now: Now, presented: Presented) {
        let (server_now, certain) = (self.clock.at(now), self.clock.is_anchored());
        let credential = presented.credential.clone();
        let (tokens, other) = if self.is_at_portal() {
            (&mut self.portal_tokens, &mut self.tokens)
        } else {
            (&mut self.tokens, &mut self.portal_tokens)
        };
        let (events, request) = tokens.present(presented, &self.config, server_now, certain);
        if let Some(credential) = credential {
            other.learn(credential);
        }
        self.outputs.extend(events.into_iter().map(Output::Event));
        if let Some(request) = request.filter(|_| self.task.is_some()) {
            let (id, output) = self.send(now, request);
            self.tokens().requested(id);
            self.outputs.push_back(output);
        }
    }

    fn request(&self, call: &Call, ask: &Ask, bearer: &Secret<String>) -> Request {
        let config = &self.config;
        match (call, ask) {
            (_, Ask::Page(address)) => wire::follow(config, call.operation(), address, bearer),
            (Call::ListNotifications { content_type, .. }, Ask::Window(window)) => {
                wire::list_notifications(config, *content_type, *window, bearer)
            }
            (Call::ListContent { content_type, .. }, Ask::Window(window)) => {
                wire::list_content(config, *content_type, *window, bearer)
            }
            (Call::StartSubscription { content_type, webhook }, _) => {
                wire::start_subscription(config, *content_type, webhook.as_ref(), bearer)
            }
            (Call::StopSubscription { content_type }, _) => {
                wire::stop_subscription(config, *content_type, bearer)
            }
            (Call::GetBlob(address), _) => {
                wire::follow(config, Operation::GetBlob, &address.uri, bearer)
            }
            (Call::ListDlpTypes { language }, _) => {
                wire::list_dlp_types(config, language.as_deref(), bearer)
            }
            // What has windows is planned in windows; a sign-in asks nothing; what is of the
            // other API goes there.
            (
                Call::ListSubscriptions
                | Call::SignIn
                | Call::SignInToPortal
                | Call::ListActivities { .. }
                | Call::GetActivity(_)
                | Call::SendFeedback { .. }
                | Call::ListContent { .. }
                | Call::ListNotifications { .. },
                _,
            ) => wire::list_subscriptions(config, bearer),
        }
    }

    fn send(&mut self, now: Now, request: Request) -> (RequestId, Output) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.metrics.requests[request.operation as usize] += 1;
        self.flight = Some(Flight {
            id,
            operation: request.operation,
            address: request.url.as_str().into(),
            generation: self.tokens().generation(),
            sent_at: now.monotonic,
            head: Head::default(),
            body: Body::small(),
            stalled: false,
        });
        (id, Output::Request { id, request, timeout: self.config.request_timeout })
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
            flight.body = match flight.operation {
                Operation::Token | Operation::StartSubscription | Operation::StopSubscription => {
                    Body::small()
                }
                Operation::GetBlob => {
                    let progress = self.task.as_ref().map(|task| task.progress);
                    Body::blob(progress.unwrap_or_default(), &self.config, self.digest_key)
                }
                Operation::ListSubscriptions
                | Operation::ListContent
                | Operation::ListNotifications
                | Operation::ListDlpTypes => Body::page(&flight.address),
                Operation::ListActivities => {
                    Body::activities(&self.config, self.clock.at(now), self.digest_key)
                }
                Operation::GetActivity | Operation::SendFeedback => Body::small(),
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
            Body::Small(small) => small.extend(&chunk),
            Body::Page(page) => {
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
        let room = self.undelivered.values().sum::<u64>() < self.config.buffer_bytes as u64;
        let Some(flight) = &mut self.flight else { return };
        flight.stalled = matches!(flight.body, Body::Blob(_) | Body::Activities(_)) && !room;
        if !flight.stalled {
            self.outputs.push_back(Output::Read(flight.id));
        }
    }

    /// Hands records over.
    pub(super) fn emit(&mut self, expanded: Expanded) {
        let Some(task) = &mut self.task else { return };
        let Call::GetBlob(address) = &task.call else { return };
        task.progress = expanded.progress;
        if let Reply::Expanded { records, dropped } = &mut task.reply {
            *records += expanded.records.len() as u64;
            *dropped += expanded.oversized;
        }
        if expanded.records.is_empty() {
            return;
        }
        // It gets ahead: what failed before does not count any more.
        task.failures = 0;
        let epoch = Utc::from_millis(0);
        let content = ContentRef {
            content_type: address.content_type().unwrap_or(ContentType::AuditGeneral),
            id: address.content_id().into(),
            uri: address.uri.as_str().into(),
            // No listing said so.
            created: epoch,
            expiration: epoch,
        };
        self.hand_over(expanded.records, expanded.bytes, content);
    }

    /// Hands records to the host, redacted if that is asked for.
    pub(super) fn hand_over(&mut self, mut records: Vec<Record>, bytes: u64, content: ContentRef) {
        let redactor = self.redactor.as_mut();
        let (_, withheld) = redactor.map_or((0, 0), |redactor| redactor.redact_all(&mut records));
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        self.undelivered.insert(id, bytes.max(1));
        if withheld > 0 {
            self.outputs.push_back(Output::Event(Event::RecordsWithheldError {
                content_type: content.content_type,
                content_id: content.id.clone(),
                count: withheld,
            }));
        }
        self.outputs.push_back(Output::Batch(Batch {
            id,
            tenant_id: Arc::clone(&self.config.tenant_id),
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
            let error = stopped(task.call.operation());
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
                self.undelivered.clear();
                self.stop();
            }
            Input::Hint(_) | Input::OutputShort(_) | Input::Acknowledged(_) | Input::Timeout => {}
        }
    }

    fn poll_output(&mut self, now: Now) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        self.metrics.requests_per_minute = self.budget().rate();
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

fn no_portal(operation: Operation) -> CallError {
    let problem = "the Defender for Cloud Apps API is not configured";
    let remedy = "set source to cloud_app_activities, and portal_url";
    CallError::new(operation, CallErrorKind::Argument, problem, remedy)
}

fn stopped(operation: Operation) -> CallError {
    CallError::new(operation, CallErrorKind::Stopped, "interrupted before it was done", "")
}
