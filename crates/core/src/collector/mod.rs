//! The collector of one tenant: takes inputs, yields outputs, owns every machine.
//!
//! Three files share the type: this one routes, `schedule` decides what to send next, and `answer`
//! decides what an ended exchange means.

pub(crate) mod summary;
pub(crate) mod trouble;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::access::budget::Budget;
use crate::access::contact::Contact;
use crate::access::token::TokenMachine;
use crate::activities::ActivityLane;
use crate::audit::exchange::{Body, Exchange, Head, Purpose};
use crate::audit::expand::Expanded;
use crate::audit::hint;
use crate::audit::lane::{Lane, Subscription};
use crate::audit::plan::Urgency;
use crate::base::key::Key;
use crate::base::random::Random;
use crate::base::time::{Now, ServerClock, Utc};
use crate::config::Config;
use crate::contract::batch::{Batch, BatchId, ContentRef, ContentType, Record};
use crate::contract::event::Event;
use crate::contract::io::{Input, Machine, Output, OutputShort};
use crate::contract::metrics::Metrics;
use crate::contract::request::{Headers, Operation, Request, RequestId};
use crate::contract::state::{self, Changes, StateError, Stored};
use crate::json::digest::DigestKey;
use crate::records::redact::Redactor;
use crate::source::ledger::{Entry, Ledger, Part, Treated};
use crate::source::losses::{Loss, LossKind, Losses};
use crate::source::postponed::Postponed;

/// The collector of one tenant.
///
/// # Contract
/// See [`crate::run`]. Memory is bounded by `max_in_flight` chunks and unfinished batches, plus
/// `buffer_bytes`, plus the listings of some thousand blobs.
#[derive(Debug)]
pub struct Collector {
    pub(crate) config: Config,
    /// When it was made, on the monotonic clock.
    born: Duration,
    pub(crate) clock: ServerClock,
    pub(crate) random: Random,
    pub(crate) tokens: TokenMachine,
    pub(crate) budget: Budget,
    /// What of it may be for content that only hints name.
    pub(crate) hint_budget: Budget,
    pub(crate) lanes: Vec<Lane>,
    /// The second source, if it is collected.
    pub(crate) activities: Option<ActivityLane>,
    /// The lane that is asked first, so that all get their turn.
    pub(crate) first_lane: usize,
    /// Whether the Management Activity API was ever reached.
    pub(crate) contact: Contact,
    /// Long waits that were told.
    pub(crate) postponed: Postponed,
    pub(crate) exchanges: BTreeMap<RequestId, Exchange>,
    /// Responses that wait for room before more of them is read.
    stalled: BTreeSet<(Urgency, RequestId)>,
    digest_key: DigestKey,
    pub(crate) ledger: Ledger,
    /// What was lost, in this run or before.
    pub(crate) losses: Losses,
    pub(crate) changes: Changes,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) metrics: Metrics,
    /// Failures of the list of subscriptions in a row, and when it may be asked for again.
    pub(crate) subscription_list_failures: u32,
    pub(crate) subscription_list_not_before: Duration,
    /// When the list is looked at for webhooks, if any are wanted.
    pub(crate) webhooks_due: Duration,
    /// For [`Config::once`]: the moment up to which everything is to be collected.
    pub(crate) target: Option<Utc>,
    redactor: Option<Redactor>,
    /// Room for the filter to work in.
    scratch: String,
    next_request: u64,
    pub(crate) stopping: bool,
    finished: bool,
}

impl Machine for Collector {
    fn handle_input(&mut self, now: Now, input: Input) {
        Self::handle_input(self, now, input);
    }

    fn poll_output(&mut self, now: Now) -> Output {
        Self::poll_output(self, now)
    }

    fn metrics(&self) -> &Metrics {
        Self::metrics(self)
    }
}

/// How a collector stands when it has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was to be collected is delivered.
    Complete,
    /// It was stopped, or feeds were denied, or blobs could not be read or were lost.
    Incomplete,
}

impl Collector {
    /// A collector that continues from `stored` (empty: the first run).
    ///
    /// `seed` is random, as nobody outside can guess it: it feeds the jitter of retries and, in the
    /// first run, the key by which records are told from others of their name.
    ///
    /// # Errors
    /// If `stored` is damaged, of another tenant, or written by a newer version. Nothing is changed
    /// then.
    pub fn new(config: Config, stored: &Stored, seed: u128, now: Now) -> Result<Self, StateError> {
        let mut changes = Changes::default();
        let new = state::check_version(stored, &mut changes)?;
        state::check_tenant(stored, &config.tenant_id, &mut changes)?;
        let digest_key = state::digest_key(stored, seed, &mut changes)?;
        let lanes = config
            .content_types
            .iter()
            .map(|ct| Lane::load(*ct, &config, stored, now.wall, now.monotonic))
            .collect::<Result<Vec<_>, _>>()?;
        let activities = match &config.portal {
            Some(portal) => Some(ActivityLane::load(portal, &config, stored, now)?),
            None => None,
        };
        let started = Event::CollectorStarted { content_types: config.feeds(), resumed: !new };
        let keyed = config.portal.as_ref().is_some_and(|portal| portal.token.is_some());
        let signing_in = (!keyed || !lanes.is_empty()).then(|| Event::SigningIn {
            credential: config.sign_in.credential.to_string(),
            auto: config.sign_in.choice.auto,
        });
        let losses = Losses::load(stored)?;
        let unacknowledged = losses
            .oldest()
            .map(|since| Event::LossesUnacknowledged { losses: losses.unacknowledged(), since });
        let metrics = Metrics {
            losses_unacknowledged: losses.unacknowledged(),
            lanes: lanes
                .iter()
                .map(|lane| lane.metrics.clone())
                .chain(activities.iter().map(|lane| lane.metrics.clone()))
                .collect(),
            ..Metrics::default()
        };
        let redactor = config.redaction.as_deref().cloned().map(Redactor::new);
        Ok(Self {
            born: now.monotonic,
            clock: ServerClock::new(),
            random: Random::new(seed),
            tokens: TokenMachine::new(&config, &config.resource),
            budget: Budget::new(config.requests_per_minute, now.monotonic),
            hint_budget: Budget::new(
                (config.requests_per_minute / hint::BUDGET_PART).max(1),
                now.monotonic,
            ),
            config,
            lanes,
            activities,
            first_lane: 0,
            contact: Contact::default(),
            postponed: Postponed::default(),
            exchanges: BTreeMap::new(),
            stalled: BTreeSet::new(),
            digest_key,
            ledger: Ledger::default(),
            losses,
            changes,
            outputs: [started]
                .into_iter()
                .chain(unacknowledged)
                .chain(signing_in)
                .map(Output::Event)
                .collect(),
            metrics,
            subscription_list_failures: 0,
            subscription_list_not_before: Duration::ZERO,
            webhooks_due: Duration::ZERO,
            target: None,
            redactor,
            scratch: String::new(),
            next_request: 0,
            stopping: false,
            finished: false,
        })
    }

    /// Takes in what happened. Outputs that follow from it come from [`Self::poll_output`].
    pub fn handle_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Head { id, status, headers } => self.handle_head(now, id, status, &headers),
            Input::Body { id, chunk } => self.handle_body(now, id, chunk),
            Input::End { id, result } => {
                if let Some(exchange) = self.remove_exchange(id) {
                    self.handle_end(now, exchange, result);
                }
            }
            Input::Delivered(id) => {
                self.ledger.deliver(id);
                self.settle(now);
            }
            Input::Returned(id) => self.handle_returned(id),
            Input::Credential(presented) => self.handle_credential(now, presented),
            Input::Hint(content) => self.handle_hint(now, content),
            Input::OutputShort(short) => self.handle_output_short(now, short),
            Input::Acknowledged(keys) => self.handle_acknowledged(&keys),
            Input::Timeout => {}
            Input::Shutdown => self.stop(),
        }
    }

    /// The next thing to do. See [`crate::run`].
    pub fn poll_output(&mut self, now: Now) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        self.flush(now);
        if !self.changes.is_empty() {
            return Output::Commit(self.changes.take());
        }
        if self.finished {
            return Output::Finished;
        }
        self.read_stalled();
        let wake = if self.stopping { None } else { self.schedule(now) };
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        self.finished = self.ledger.is_empty() && (self.stopping || self.is_done(now));
        if self.finished {
            self.cancel_all();
            self.tell_unread(now, true);
            self.measure(now);
            return self.outputs.pop_front().unwrap_or(Output::Finished);
        }
        self.measure(now);
        Output::Wait(wake.map(|at| at.saturating_sub(now.monotonic)))
    }

    /// Gathers all that is to be stored.
    pub(crate) fn flush(&mut self, now: Now) {
        // What is old enough to be forgotten is for Microsoft's clock to say.
        if self.clock.is_anchored() {
            let server_now = self.clock.at(now);
            for lane in &mut self.lanes {
                lane.flush(&mut self.changes, server_now, now.wall);
            }
            if let Some(lane) = &mut self.activities {
                lane.flush(&mut self.changes, server_now);
            }
        }
        self.losses.flush(&mut self.changes);
    }

    /// What was done so far, and where things stand as of the last [`Output::Wait`].
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How it ended, once [`Output::Finished`] was given.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let whole = |lane: &Lane| {
            lane.denied.is_none()
                && lane.metrics.blobs_quarantined == 0
                && !lane.metrics.has_lost_data()
        };
        let complete = !self.stopping && !self.is_given_up() && self.losses.unacknowledged() == 0;
        let activities = self.activities.as_ref().is_none_or(ActivityLane::is_whole);
        if complete && activities && self.lanes.iter().all(whole) {
            Outcome::Complete
        } else {
            Outcome::Incomplete
        }
    }

    // Requests.

    /// Sends a request.
    pub(crate) fn send(
        &mut self,
        now: Now,
        request: Request,
        purpose: Purpose,
        urgency: Urgency,
    ) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.metrics.requests[request.operation as usize] += 1;
        let generation = match (&purpose, &self.activities) {
            (Purpose::ActivityPage { .. }, Some(lane)) => lane.tokens.generation(),
            _ => self.tokens.generation(),
        };
        let exchange = Exchange::new(
            request.operation,
            purpose,
            &request.url,
            generation,
            now.monotonic,
            urgency,
        );
        self.exchanges.insert(id, exchange);
        let timeout = self.config.request_timeout;
        self.outputs.push_back(Output::Request { id, request, timeout });
        id
    }

    fn remove_exchange(&mut self, id: RequestId) -> Option<Exchange> {
        let exchange = self.exchanges.remove(&id)?;
        self.stalled.remove(&(exchange.urgency, id));
        Some(exchange)
    }

    /// Drops a request whose answer is not wanted any more.
    pub(crate) fn cancel(&mut self, id: RequestId) -> Option<Exchange> {
        let exchange = self.remove_exchange(id)?;
        self.outputs.push_back(Output::Cancel(id));
        Some(exchange)
    }

    fn handle_head(&mut self, now: Now, id: RequestId, status: u16, headers: &Headers) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.head = Head::read(status, headers);
        let operation = exchange.operation;
        if (200..300).contains(&status) {
            exchange.body = match exchange.purpose {
                Purpose::Page { .. } => Body::page(&exchange.address),
                Purpose::Blob { lane, key } => {
                    let resume = self.lanes[lane].blobs.get(&key).map(|blob| blob.emitted);
                    Body::blob(resume.unwrap_or_default(), &self.config, self.digest_key)
                }
                Purpose::ActivityPage { .. } => {
                    Body::activities(&self.config, self.clock.at(now), self.digest_key)
                }
                Purpose::PortalToken
                | Purpose::Token
                | Purpose::ListSubscriptions
                | Purpose::StartSubscription { .. }
                | Purpose::SetWebhook { .. } => Body::small(),
            };
        }
        if operation != Operation::Token {
            self.contact_of(operation).note_answer();
        }
        self.learn_time(now, headers);
        self.read_on(id);
    }

    /// Every answer tells Microsoft's time; the first one settles where the look-back begins.
    fn learn_time(&mut self, now: Now, headers: &Headers) {
        let first = !self.clock.is_anchored();
        let date = headers.value("date").and_then(Utc::parse_http_date);
        let correction = self.clock.observe(now, date);
        if let Some(seconds) = correction {
            self.event(Event::ClockCorrected { seconds });
        }
        if self.clock.is_anchored() && (first || correction.is_some()) {
            let server_now = self.clock.at(now);
            let born = server_now - now.monotonic.saturating_sub(self.born);
            let validity = match &mut self.activities {
                Some(lane) if self.lanes.is_empty() => lane.tokens.look_at_validity(server_now),
                Some(_) | None => self.tokens.look_at_validity(server_now),
            };
            self.outputs.extend(validity.map(Output::Event));
            for lane in &mut self.lanes {
                lane.correct_time(self.config.lookback, server_now, born);
            }
            if let (Some(lane), Some(portal)) = (&mut self.activities, &self.config.portal) {
                lane.correct_time(portal.lookback, server_now, born);
            }
        }
    }

    fn handle_body(&mut self, now: Now, id: RequestId, chunk: Bytes) {
        let Some(mut exchange) = self.exchanges.remove(&id) else { return };
        exchange.stalled = false;
        let enough = match (&mut exchange.body, &exchange.purpose) {
            (Body::Small(bytes), _) => bytes.extend(&chunk),
            (Body::Page(page), Purpose::Page { lane, run }) => {
                let (lane, run) = (*lane, *run);
                page.push(chunk);
                self.read_page(now, lane, run, page)
            }
            (Body::Blob(expander), Purpose::Blob { lane, key }) => {
                let (lane, key) = (*lane, *key);
                expander.push(chunk);
                loop {
                    match expander.step() {
                        Ok(Some(expanded)) => self.emit(lane, key, expanded, false),
                        Ok(None) => break false,
                        // The error stays in the expander, and `handle_end` finds it there.
                        Err(_) => break true,
                    }
                }
            }
            (Body::Activities(reader), Purpose::ActivityPage { walk, page }) => {
                reader.push(chunk);
                self.read_activities(now, *walk, *page, reader)
            }
            (Body::Page(_) | Body::Blob(_) | Body::Activities(_), _) => true,
        };
        self.exchanges.insert(id, exchange);
        if enough {
            if let Some(exchange) = self.cancel(id) {
                self.handle_end(now, exchange, Ok(()));
            }
        } else {
            self.read_on(id);
        }
        self.settle(now);
    }

    /// Asks for the next chunk, now or when there is room for what it holds.
    fn read_on(&mut self, id: RequestId) {
        let room = self.has_room();
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        if matches!(exchange.body, Body::Blob(_) | Body::Activities(_)) && !room {
            exchange.stalled = true;
            self.stalled.insert((exchange.urgency, id));
        } else {
            self.outputs.push_back(Output::Read(id));
        }
    }

    fn read_stalled(&mut self) {
        // Every chunk may fill the room that is left; each is looked at before the next is asked.
        if self.has_room() {
            while let Some((_, id)) = self.stalled.pop_first() {
                self.outputs.push_back(Output::Read(id));
            }
        }
    }

    /// Whether the host has taken enough to be given more.
    pub(crate) fn has_room(&self) -> bool {
        !self.ledger.is_full(self.config.buffer_bytes as u64)
    }

    // Delivery.

    /// Hands records to the host, but for those that it was given before. `last` says that they
    /// end their blob.
    pub(crate) fn emit(&mut self, index: usize, key: Key, expanded: Expanded, last: bool) {
        let lane = &mut self.lanes[index];
        let Some(content) = lane.note_progress(key, expanded.progress) else { return };
        let mut records = expanded.records;
        let (known, revised) = lane.leave_out_known(&mut records, expanded.known);
        self.report_revised(content.content_type, &content.id, revised);
        self.report_oversized(index, key, expanded.oversized);
        let treated = Treated { dropped: expanded.oversized, ..self.treat(&mut records) };
        if treated.withheld > 0 {
            self.event(Event::RecordsWithheldError {
                content_type: content.content_type,
                content_id: content.id.clone(),
                count: treated.withheld,
            });
        }
        let bytes = records.iter().map(|record| record.raw.len() as u64).sum();
        let id = self.ledger.next_id();
        // Entered even if nothing is left: what was left out must be delivered before this counts.
        self.ledger.push(Entry {
            id,
            part: Part::Blob { lane: index, key, progress: expanded.progress, known },
            last,
            records: records.len() as u64,
            treated,
            bytes,
            delivered: records.is_empty(),
        });
        if !records.is_empty() {
            let tenant_id = self.config.tenant_id.clone();
            self.outputs.push_back(Output::Batch(Batch { id, tenant_id, content, records }));
        }
    }

    /// Filters and redacts, if the options ask for it.
    fn treat(&mut self, records: &mut Vec<Record>) -> Treated {
        let before = records.len();
        if let Some(filter) = &self.config.filter {
            records.retain(|record| filter.passes(record, &mut self.scratch));
        }
        let filtered = (before - records.len()) as u64;
        Treated { filtered, ..self.redact(records) }
    }

    /// Redacts, if the options ask for it.
    pub(crate) fn redact(&mut self, records: &mut [Record]) -> Treated {
        let mut treated = Treated::default();
        if let Some(redactor) = &mut self.redactor {
            (treated.redacted, treated.withheld) = redactor.redact_all(records);
        }
        treated.malformed = records.iter().filter(|record| !record.is_json).count() as u64;
        treated
    }

    /// Tells of records that have the name of others and say something else.
    pub(crate) fn report_revised(&mut self, content_type: ContentType, content: &str, count: u64) {
        if 0 < count {
            self.event(Event::RecordsRevised { content_type, content_id: content.into(), count });
        }
    }

    /// Counts what the host has taken, in the order of emission.
    pub(crate) fn settle(&mut self, now: Now) {
        while let Some(entry) = self.ledger.pop_delivered() {
            match entry.part {
                Part::Blob { lane, key, progress, ref known } => {
                    let lane = &mut self.lanes[lane];
                    if let Some(blob) = lane.blobs.get(&key) {
                        // With the progress that goes over them, and not before.
                        for (kind, count) in entry.treated.lost() {
                            let told = self.clock.at(now);
                            self.losses.add(Loss::of_blob(kind, &blob.content, count, told));
                        }
                    }
                    lane.records.deliver(known);
                    lane.metrics.records_delivered += entry.records;
                    lane.metrics.records_filtered += entry.treated.filtered;
                    lane.metrics.records_redacted += entry.treated.redacted;
                    lane.metrics.records_withheld += entry.treated.withheld;
                    lane.metrics.records_malformed += entry.treated.malformed;
                    lane.metrics.bytes_delivered += entry.bytes;
                    let event = lane.deliver(key, progress, entry.last, &mut self.changes);
                    self.outputs.extend(event.map(Output::Event));
                }
                Part::Page { walk, page, ref activities } => {
                    self.settle_page(walk, page, activities, &entry, self.clock.at(now));
                }
            }
        }
    }

    fn handle_returned(&mut self, id: BatchId) {
        let lost = |output: &Output| matches!(output, Output::Batch(batch) if id <= batch.id);
        self.outputs.retain(|output| !lost(output));
        let back = self.ledger.take_back(id);
        if back.is_empty() {
            return;
        }
        let batches = back.iter().filter(|entry| entry.records > 0).count() as u64;
        self.event(Event::BatchesReturned { batches });
        for entry in back {
            let request = match &entry.part {
                Part::Blob { lane, key, known, .. } => {
                    let remaining = self.ledger.last_progress(*lane, *key);
                    let lane = &mut self.lanes[*lane];
                    lane.records.take_back(known);
                    lane.take_back(*key, remaining)
                }
                Part::Page { walk, page, activities } => {
                    let lane = self.activities.as_mut();
                    lane.and_then(|lane| lane.take_back(*walk, *page, activities))
                }
            };
            if let Some(id) = request {
                self.cancel(id);
            }
        }
    }

    fn handle_output_short(&mut self, now: Now, short: OutputShort) {
        let OutputShort { output, missing_bytes } = short;
        self.losses.add(Loss {
            feed: None,
            kind: LossKind::Output,
            created: None,
            name: Some(output.clone()),
            count: missing_bytes,
            told: self.clock.at(now),
        });
        self.event(Event::OutputShortError { output, missing_bytes });
    }

    fn handle_acknowledged(&mut self, keys: &[String]) {
        let losses = self.losses.acknowledge(keys.iter().map(String::as_str));
        if losses > 0 {
            let left = self.losses.unacknowledged();
            self.event(Event::LossesAcknowledged { losses, left });
        }
    }

    fn handle_hint(&mut self, now: Now, mut content: ContentRef) {
        self.metrics.hints += 1;
        let content_type = content.content_type;
        let sound = self.clock.is_anchored()
            && hint::is_own(&self.config, &content)
            && hint::is_timely(&content, self.clock.at(now));
        // Whoever wrote it gets no place in front by a later time.
        content.created = content.created.min(self.clock.at(now));
        let lane = self.lanes.iter_mut().find(|lane| lane.content_type == content_type);
        let taken = lane.filter(|_| sound).is_some_and(|lane| lane.take_hint(content));
        self.metrics.hints_taken += u64::from(taken);
    }

    // The end.

    fn stop(&mut self) {
        self.stopping = true;
        self.cancel_all();
    }

    fn cancel_all(&mut self) {
        while let Some(id) = self.exchanges.keys().next().copied() {
            self.cancel(id);
        }
    }

    /// For [`Config::once`]: whether nothing is left that could still be collected.
    fn is_done(&self, now: Now) -> bool {
        if !self.config.once {
            return false;
        }
        let Some(target) = self.target else { return self.is_refused() };
        let server_now = self.clock.at(now);
        let activities = self
            .activities
            .as_ref()
            .is_none_or(|lane| lane.tokens.is_hopeless() || lane.is_done(target, server_now));
        activities
            && (self.is_given_up()
                || self.lanes.iter().all(|lane| {
                    matches!(lane.subscription, Subscription::Denied { .. })
                        || (lane.is_settled_until(target, server_now)
                            && lane.is_relisted(target, server_now)
                            && lane.runs.is_empty()
                            && lane.blobs.values().all(|blob| blob.quarantined || blob.hinted))
                }))
    }

    /// Whether nothing of the first source can be had until somebody acts.
    fn is_given_up(&self) -> bool {
        self.tokens.is_hopeless() || self.contact.is_lost()
    }

    /// Whether nothing can be had at all.
    fn is_refused(&self) -> bool {
        let activities = self.activities.as_ref();
        (self.lanes.is_empty() || self.is_given_up())
            && activities.is_none_or(|lane| lane.tokens.is_hopeless() || lane.denied.is_some())
    }

    fn measure(&mut self, now: Now) {
        let server_now = self.clock.at(now);
        let own = if self.lanes.is_empty() { 0 } else { self.budget.rate() };
        let others = self.activities.as_ref().map_or(0, |lane| lane.budget.rate());
        self.metrics.requests_per_minute = own + others;
        self.metrics.losses_unacknowledged = self.losses.unacknowledged();
        self.metrics.undelivered_batches = self.ledger.batches();
        self.metrics.undelivered_bytes = self.ledger.bytes();
        for (lane, shown) in self.lanes.iter_mut().zip(&mut self.metrics.lanes) {
            lane.measure(server_now);
            shown.clone_from(&lane.metrics);
        }
        if let Some(lane) = &mut self.activities {
            lane.measure(server_now);
            if let Some(shown) = self.metrics.lanes.last_mut() {
                shown.clone_from(&lane.metrics);
            }
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
