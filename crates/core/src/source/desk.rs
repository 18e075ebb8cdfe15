//! What all sources share, lent to one at a time: the clock, requests, the ledger, what is to be
//! stored and what is to be told. Decides nothing that is a service's to say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::ServerClock;
use crate::base::random::Random;
use crate::base::time::{Now, Utc};
use crate::contract::batch::{Batch, BatchId, ContentRef, Record};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::contract::io::{Output, OutputShort};
use crate::contract::metrics::Metrics;
use crate::contract::request::{Operation, Request, RequestId};
use crate::contract::state::{Changes, Commit, StateError, Stored};
use crate::json::digest::DigestKey;
use crate::records::treatment::{Treatment, TreatmentConfig};
use crate::source::account::Account;
use crate::source::history::History;
use crate::source::ledger::{Entry, Ledger, SourceId};
use crate::source::limits::Limits;
use crate::source::losses::{Loss, Losses};
use crate::source::postponed::Postponed;
use crate::source::requests::{Asker, Requests};
use crate::source::retention::horizon;
use crate::source::urgency::Urgency;

/// Records on their way to the host.
#[derive(Debug)]
pub(crate) struct Emission {
    pub content: Arc<ContentRef>,
    pub records: Vec<Record>,
    /// Whether they end their blob or page.
    pub last: bool,
    /// How many were left out because they are too large.
    pub dropped: u64,
    /// Whether the filters speak of such records.
    pub filterable: bool,
}

/// What waits for the driver.
#[derive(Debug)]
enum Queued {
    Output(Output),
    /// Everything that is to be stored by then.
    Commit,
}

/// What all sources share. Fields are private: what may be done with them are its methods.
#[derive(Debug)]
pub(crate) struct Desk {
    tenant_id: Arc<str>,
    clock: ServerClock,
    random: Random,
    digest_key: DigestKey,
    limits: Limits,
    once: bool,
    /// For a run that ends: the moment up to which everything is to be collected.
    target: Option<Utc>,
    requests: Requests,
    ledger: Ledger,
    losses: Losses,
    history: History,
    changes: Changes,
    outputs: VecDeque<Queued>,
    treatment_config: TreatmentConfig,
    treatment: Treatment,
    /// Long waits that were told.
    postponed: Postponed,
    metrics: Metrics,
}

/// What a desk is made of.
#[derive(Debug)]
pub(crate) struct DeskSettings<'a> {
    pub tenant_id: Arc<str>,
    pub limits: Limits,
    pub treatment: &'a TreatmentConfig,
    pub once: bool,
    pub seed: u128,
    pub digest_key: DigestKey,
    pub changes: Changes,
}

impl Desk {
    pub(crate) fn new(settings: DeskSettings<'_>, stored: &Stored) -> Result<Self, StateError> {
        let losses = Losses::load(stored)?;
        let mut history = History::load(stored, settings.limits.history_hours, settings.seed)?;
        if settings.once {
            history.hurry();
        }
        Ok(Self {
            tenant_id: settings.tenant_id,
            clock: ServerClock::new(),
            random: Random::new(settings.seed),
            digest_key: settings.digest_key,
            limits: settings.limits,
            once: settings.once,
            target: None,
            requests: Requests::default(),
            ledger: Ledger::default(),
            changes: settings.changes,
            outputs: VecDeque::new(),
            treatment: Treatment::new(settings.treatment),
            treatment_config: settings.treatment.clone(),
            postponed: Postponed::default(),
            metrics: Metrics {
                losses_unacknowledged: losses.unacknowledged(),
                ..Metrics::default()
            },
            losses,
            history,
        })
    }

    /// One with the settings that users have who set none.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        use crate::options::{RawOptions, Reader};
        let none = RawOptions::new();
        let settings = DeskSettings {
            tenant_id: "".into(),
            limits: Limits::read(&mut Reader::new(&none)),
            treatment: &TreatmentConfig::default(),
            once: false,
            seed: 1,
            digest_key: DigestKey::drawn(1),
            changes: Changes::default(),
        };
        Self::new(settings, &Stored::new()).expect("an empty state is sound")
    }

    // Settings.

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The key of the digests of what records say.
    pub(crate) const fn digest_key(&self) -> DigestKey {
        self.digest_key
    }

    /// Whether this run ends.
    pub(crate) const fn is_once(&self) -> bool {
        self.once
    }

    /// What is done to records, and whether what they say may be shown.
    pub(crate) const fn treatment(&self) -> &TreatmentConfig {
        &self.treatment_config
    }

    // Time.

    /// Microsoft's time; before any answer, what the local clock says.
    pub(crate) fn server_time(&self, now: Now) -> Utc {
        self.clock.at(now)
    }

    /// Microsoft's time; `None`: no answer has told it yet.
    pub(crate) fn server_now(&self, now: Now) -> Option<Utc> {
        self.clock.is_anchored().then(|| self.clock.at(now))
    }

    /// Whether an answer contradicts what is believed of the time, or has no date.
    pub(crate) const fn is_time_doubted(&self) -> bool {
        self.clock.is_doubted()
    }

    /// Learns from the date of an answer. Whether the time is known now, or known better.
    pub(crate) fn learn_time(&mut self, now: Now, date: Option<Utc>) -> bool {
        let first = !self.clock.is_anchored();
        let correction = self.clock.observe(now, date);
        if let Some(seconds) = correction {
            self.tell(Event::ClockCorrected { seconds });
        }
        self.clock.is_anchored() && (first || correction.is_some())
    }

    /// For a run that ends: up to when everything is to be collected. Set when the time is known.
    pub(crate) fn target(&mut self, now: Now) -> Option<Utc> {
        if self.once && self.target.is_none() {
            self.target = self.server_now(now).map(horizon);
        }
        self.target
    }

    /// The same, if it is set.
    pub(crate) const fn known_target(&self) -> Option<Utc> {
        self.target
    }

    // Chance.

    /// The wait before another attempt. See [`Random::backoff`].
    pub(crate) fn backoff(&mut self, base: Duration, max: Duration, failures: u32) -> Duration {
        self.random.backoff(base, max, failures)
    }

    pub(crate) const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    // Requests.

    /// Sends a request on behalf of `asker`.
    pub(crate) fn send(&mut self, asker: Asker, request: Request, urgency: Urgency) -> RequestId {
        let id = self.requests.begin(asker, urgency);
        self.metrics.requests[request.operation as usize] += 1;
        let timeout = self.limits.request_timeout;
        self.put(Output::Request { id, request, timeout });
        id
    }

    /// Who waits for the answer to a request; `None`: nobody any more.
    pub(crate) fn asker(&self, id: RequestId) -> Option<Asker> {
        self.requests.asker(id)
    }

    /// A request has ended. Answers whether we had made it wait since its last bytes arrived.
    pub(crate) fn end(&mut self, id: RequestId) -> bool {
        self.requests.end(id).unwrap_or_default()
    }

    /// Drops a request whose answer is not wanted any more.
    pub(crate) fn cancel(&mut self, id: RequestId) {
        if self.requests.end(id).is_some() {
            self.put(Output::Cancel(id));
        }
    }

    pub(crate) fn cancel_all(&mut self) {
        while let Some(id) = self.requests.first() {
            self.cancel(id);
        }
    }

    /// Whether a request may be sent whose answer holds records. Such an answer waits while the
    /// host takes nothing, for hours if it must: so one place is never one of theirs. All but fresh
    /// content leaves a quarter of the places free, so that fresh content need not queue.
    pub(crate) fn has_place(&self, urgency: Urgency) -> bool {
        let free = match urgency {
            Urgency::Fresh => 1,
            Urgency::Soon | Urgency::Backlog => self.limits.max_in_flight.div_ceil(4),
        };
        self.has_more_than(free)
    }

    /// Whether a listing may be sent. Its answer never waits for the host, and what is not listed
    /// in time is lost: only backlog, which can wait, leaves places free.
    pub(crate) fn has_place_to_list(&self, urgency: Urgency) -> bool {
        match urgency {
            Urgency::Fresh | Urgency::Soon => self.has_more_than(0),
            Urgency::Backlog => self.has_place(urgency),
        }
    }

    /// Whether more than so many of the places are free.
    fn has_more_than(&self, free: usize) -> bool {
        self.requests.len() < self.limits.max_in_flight.saturating_sub(free)
    }

    /// Asks for the next bytes of an answer.
    pub(crate) fn read(&mut self, id: RequestId) {
        self.put(Output::Read(id));
    }

    /// The same, when there is room for what they hold.
    pub(crate) fn read_with_room(&mut self, id: RequestId) {
        if self.has_room() {
            self.read(id);
        } else {
            self.requests.stall(id);
        }
    }

    /// Bytes of an answer have arrived.
    pub(crate) fn note_bytes(&mut self, id: RequestId) {
        self.requests.note_bytes(id);
    }

    /// Goes on reading what waited for room.
    pub(crate) fn read_stalled(&mut self) {
        // Every chunk may fill the room that is left; each is looked at before the next is asked.
        if self.has_room() {
            while let Some(id) = self.requests.pop_stalled() {
                self.read(id);
            }
        }
    }

    /// The driver is asked for the credential.
    pub(crate) fn ask_credential(&mut self) {
        self.put(Output::Credential);
    }

    // Records.

    /// Whether the host has taken enough to be given more.
    pub(crate) fn has_room(&self) -> bool {
        !self.ledger.is_full(self.limits.buffer_bytes as u64)
    }

    /// Filters, redacts, enters into the ledger, hands over. The only way to the host.
    pub(crate) fn emit(&mut self, source: SourceId, emission: Emission) -> BatchId {
        let Emission { content, mut records, last, dropped, filterable } = emission;
        let treated = self.treatment.treat(&mut records, filterable);
        if treated.withheld > 0 {
            self.tell(Event::Feed(
                content.feed,
                FeedEvent::RecordsWithheldError {
                    content_id: content.id.clone(),
                    count: treated.withheld,
                },
            ));
        }
        let bytes = records.iter().map(|record| record.raw.len() as u64).sum();
        let id = self.ledger.next_id();
        // Entered even if nothing is left: what was left out must be delivered before this counts.
        self.ledger.push(Entry {
            id,
            source,
            last,
            records: records.len() as u64,
            treated,
            dropped,
            bytes,
            happened: Entry::happened(&records),
            published: content.created,
            delivered: records.is_empty(),
        });
        if !records.is_empty() {
            let tenant_id = self.tenant_id.clone();
            self.put(Output::Batch(Batch { id, tenant_id, content, records }));
        }
        id
    }

    /// The host has taken a batch.
    pub(crate) fn deliver(&mut self, id: BatchId) {
        self.ledger.deliver(id);
    }

    /// The next entry whose turn has come to count.
    pub(crate) fn pop_delivered(&mut self) -> Option<Entry> {
        self.ledger.pop_delivered()
    }

    /// The host has lost a batch and all after it: takes them out. How many batches that are.
    pub(crate) fn take_back(&mut self, id: BatchId) -> Option<u64> {
        let lost = |queued: &Queued| match queued {
            Queued::Output(Output::Batch(batch)) => id <= batch.id,
            Queued::Output(_) | Queued::Commit => false,
        };
        self.outputs.retain(|queued| !lost(queued));
        let back = self.ledger.take_back(id);
        let batches = back.iter().filter(|entry| entry.records > 0).count() as u64;
        (!back.is_empty()).then_some(batches)
    }

    pub(crate) fn is_all_delivered(&self) -> bool {
        self.ledger.is_empty()
    }

    // Losses.

    /// Notes a loss, until somebody acknowledges it.
    pub(crate) fn lose(&mut self, loss: Loss) {
        self.history.note_loss(&loss);
        self.losses.add(loss);
    }

    /// An output has less than what counts as delivered.
    pub(crate) fn lose_output(&mut self, now: Now, short: OutputShort) {
        self.lose(Loss::of_output(&short, self.server_time(now)));
        self.tell(short.event());
    }

    /// Somebody has acknowledged losses.
    pub(crate) fn acknowledge(&mut self, keys: &[String]) {
        let losses = self.losses.acknowledge(keys.iter().map(String::as_str));
        if losses > 0 {
            let left = self.losses.unacknowledged();
            self.tell(Event::LossesAcknowledged { losses, left });
        }
    }

    /// Losses that nobody has acknowledged.
    pub(crate) const fn losses(&self) -> &Losses {
        &self.losses
    }

    // History.

    /// What became of each hour.
    pub(crate) const fn history(&mut self) -> &mut History {
        &mut self.history
    }

    /// Writes what of a feed's history has changed. `now` is Microsoft's time.
    pub(crate) fn flush_history(&mut self, account: Account<'_>, clock: Now, now: Utc) {
        self.history.flush(account, clock, now, &mut self.changes);
    }

    /// Forgets what of a feed's history a wrong clock has noted behind `moment`.
    pub(crate) fn forget_future(&mut self, feed: Feed, moment: Utc) {
        self.history.forget_future(feed, moment, &mut self.changes);
    }

    // State.

    /// What is to be stored with the next commit.
    pub(crate) const fn changes(&mut self) -> &mut Changes {
        &mut self.changes
    }

    /// Everything is stored before what is put out next.
    pub(crate) fn commit_now(&mut self) {
        self.outputs.push_back(Queued::Commit);
    }

    /// Takes what is to be stored, losses included. `None`: nothing is.
    pub(crate) fn take_changes(&mut self) -> Option<Commit> {
        self.losses.flush(&mut self.changes);
        (!self.changes.is_empty()).then(|| self.changes.take())
    }

    // Telling.

    pub(crate) fn tell(&mut self, event: Event) {
        self.put(Output::Event(event));
    }

    /// A service has named a wait. Answers its end if that is to be told.
    pub(crate) fn postpone(
        &mut self,
        operation: Operation,
        feed: Option<Feed>,
        wait: Duration,
        now: Now,
    ) -> Option<Utc> {
        self.postponed.note(operation, feed, wait, self.clock.at(now))
    }

    /// The counters of all that is of no single feed.
    pub(crate) const fn counts(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// What was done so far, and where things stand as of the last [`Desk::measure`].
    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&mut self, now: Now) {
        self.metrics.clock_skew = self.clock.seconds_ahead(now);
        self.metrics.losses_unacknowledged = self.losses.unacknowledged();
        self.metrics.undelivered_batches = self.ledger.batches();
        self.metrics.undelivered_bytes = self.ledger.bytes();
    }

    fn put(&mut self, output: Output) {
        self.outputs.push_back(Queued::Output(output));
    }

    /// The next output that waits; `Some(None)`: a commit of all that is to be stored.
    pub(crate) fn pop_output(&mut self) -> Option<Option<Output>> {
        self.outputs.pop_front().map(|queued| match queued {
            Queued::Output(output) => Some(output),
            Queued::Commit => None,
        })
    }
}
