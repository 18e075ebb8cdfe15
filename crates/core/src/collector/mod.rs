//! The collector of one tenant: routes inputs to its sources, lends them the desk, and says when
//! all is done. Knows no rule of Microsoft's.

mod sign_in;
pub(crate) mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod whereabouts;

use std::time::Duration;

use bytes::Bytes;

use crate::activities::ActivitiesSource;
use crate::audit::AuditSource;
use crate::base::flat_map::FlatMap;
use crate::base::time::{Now, Utc};
use crate::collector::sign_in::SigningIn;
use crate::config::Config;
use crate::contract::batch::{BatchId, ContentRef};
use crate::contract::event::Event;
use crate::contract::io::{Input, Machine, Output};
use crate::contract::metrics::Metrics;
use crate::contract::replay::{REPLAY, Replay};
use crate::contract::request::{Headers, RequestId, TransportError};
use crate::contract::state::{self, Changes, Commit, StateError, Stored};
use crate::identity::sign_in::SignIn;
use crate::source::desk::{Desk, DeskSettings};
use crate::source::exchange::Appetite;
use crate::source::ledger::SourceId;
use crate::source::requests::Asker;
use crate::source::urgency::Wake;
use crate::source::{Corrected, Ended, Source, Standing};

/// The collector of one tenant.
///
/// # Contract
/// See [`run`](crate::run). Memory is bounded by `max_in_flight` chunks and unfinished batches,
/// plus `buffer_bytes`, plus the listings of some thousand blobs.
#[derive(Debug)]
pub struct Collector {
    desk: Desk,
    sources: Vec<Box<dyn Source>>,
    sign_in: SignIn,
    signing_in: SigningIn,
    /// Hours that are wanted once more.
    replays: FlatMap<Replay, ()>,
    /// When it was made, on the monotonic clock.
    born: Duration,
    stopping: bool,
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
        state::check_tenant(stored, config.tenant_id(), &mut changes)?;
        let digest_key = state::digest_key(stored, seed, &mut changes)?;
        let mut desk = Desk::new(
            DeskSettings {
                tenant_id: config.tenant_id().into(),
                limits: config.limits().clone(),
                treatment: config.treatment(),
                once: config.is_once(),
                seed,
                digest_key,
                changes,
            },
            stored,
        )?;
        desk.tell(Event::CollectorStarted { feeds: config.feeds(), resumed: !new });
        let mut sources = sources(&config, &mut desk, stored, now)?;
        let sign_in = config.sign_in().clone();
        for doubt in config.treatment().filter.iter().flat_map(|filter| filter.doubts()) {
            let (option, problem) = (doubt.option, doubt.to_string());
            desk.tell(Event::FilterDoubtful { option, problem });
        }
        if let Some(since) = desk.losses().oldest() {
            let losses = desk.losses().unacknowledged();
            desk.tell(Event::LossesUnacknowledged { losses, since });
        }
        if sources.iter_mut().any(|source| !source.access().is_given()) {
            desk.tell(Event::SigningIn {
                credential: sign_in.credential.to_string(),
                auto: sign_in.choice.auto,
            });
        }
        let mut collector = Self {
            desk,
            sources,
            sign_in,
            signing_in: SigningIn::default(),
            replays: FlatMap::default(),
            born: now.monotonic,
            stopping: false,
            finished: false,
        };
        let wanted = stored.range(REPLAY.to_owned()..).map(|(key, _)| key);
        collector.note_replays(wanted.take_while(|key| key.starts_with(REPLAY)).cloned());
        collector.measure(now);
        Ok(collector)
    }

    /// Takes in what happened. Outputs that follow from it come from [`Self::poll_output`].
    pub fn handle_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Head { id, status, headers } => self.handle_head(now, id, status, &headers),
            Input::Body { id, chunk } => self.handle_body(now, id, chunk),
            Input::End { id, result } => self.handle_end(now, id, result),
            Input::Delivered(id) => {
                self.desk.deliver(id);
                self.settle(now);
            }
            Input::Returned(id) => self.handle_returned(id),
            Input::Credential(presented) => self.signing_in.present(
                &mut self.sources,
                &mut self.desk,
                &self.sign_in,
                presented,
                now,
                self.stopping,
            ),
            Input::Hint(content) => self.handle_hint(now, &content),
            Input::OutputShort(short) => self.desk.lose_output(now, short),
            Input::Acknowledged(keys) => self.desk.acknowledge(&keys),
            Input::Replay(keys) => self.note_replays(keys),
            Input::Timeout => {}
            Input::Shutdown => {
                self.stopping = true;
                self.desk.history().hurry();
                self.desk.cancel_all();
            }
        }
    }

    /// The next thing to do. See [`run`](crate::run).
    pub fn poll_output(&mut self, now: Now) -> Output {
        if let Some(output) = self.pop_output(now) {
            return output;
        }
        if let Some(commit) = self.flush(now) {
            return Output::Commit(commit);
        }
        if self.finished {
            return Output::Finished;
        }
        self.open_replays(now);
        self.desk.read_stalled();
        let wake = if self.stopping { Wake::default() } else { self.schedule(now) };
        if let Some(output) = self.pop_output(now) {
            return output;
        }
        self.finished = self.desk.is_all_delivered() && (self.stopping || self.is_done(now));
        if self.finished {
            self.desk.cancel_all();
            for source in &mut self.sources {
                source.finish(&mut self.desk, now);
            }
            self.measure(now);
            return self.pop_output(now).unwrap_or(Output::Finished);
        }
        self.measure(now);
        Output::Wait(wake.earliest().map(|at| at.saturating_sub(now.monotonic)))
    }

    /// What was done so far, and where things stand as of the last [`Output::Wait`].
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        self.desk.metrics()
    }

    /// How it ended, once [`Output::Finished`] was given.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let whole = self.sources.iter().all(|source| source.is_whole());
        if !self.stopping && whole && self.desk.losses().unacknowledged() == 0 {
            Outcome::Complete
        } else {
            Outcome::Incomplete
        }
    }

    // Once more.

    /// Somebody wants hours once more.
    fn note_replays(&mut self, keys: impl IntoIterator<Item = String>) {
        for replay in keys.into_iter().filter_map(|key| Replay::parse(&key).ok()) {
            self.replays.insert(replay, ());
        }
    }

    /// Opens them when Microsoft's time is known. The request goes in the same commit; one of a
    /// feed that is not collected stays for who collects it.
    fn open_replays(&mut self, now: Now) {
        if self.stopping || self.desk.server_now(now).is_none() {
            return;
        }
        while let Some((replay, ())) = self.replays.pop_first() {
            let (desk, mut sources) = (&mut self.desk, self.sources.iter_mut());
            if sources.any(|source| source.replay(desk, now, replay)) {
                self.desk.changes().delete(replay.key());
            }
        }
    }

    // Outputs.

    fn pop_output(&mut self, now: Now) -> Option<Output> {
        loop {
            match self.desk.pop_output()? {
                Some(output) => return Some(output),
                // What hangs together is stored together.
                None => {
                    if let Some(commit) = self.flush(now) {
                        return Some(Output::Commit(commit));
                    }
                }
            }
        }
    }

    /// Takes all that is to be stored.
    fn flush(&mut self, now: Now) -> Option<Commit> {
        for source in &mut self.sources {
            source.flush(&mut self.desk, now);
        }
        self.desk.take_changes()
    }

    fn schedule(&mut self, now: Now) -> Wake {
        let mut wake = Wake::default();
        // The last one first: it has few requests, and the first would leave it no place.
        for source in self.sources.iter_mut().rev() {
            source.schedule(&mut self.desk, now, &mut wake);
        }
        wake
    }

    // Answers.

    fn handle_head(&mut self, now: Now, id: RequestId, status: u16, headers: &Headers) {
        let Some(asker) = self.desk.asker(id) else { return };
        let appetite = match asker {
            Asker::Source(SourceId(index)) => {
                self.sources[index].head(&mut self.desk, now, id, status, headers)
            }
            Asker::SignIn(_) => {
                self.signing_in.head(id, status, headers);
                Appetite::More
            }
        };
        self.learn_time(now, headers);
        self.read_on(now, id, asker, appetite);
    }

    /// Every answer tells Microsoft's time; the first one settles where the look-back begins.
    fn learn_time(&mut self, now: Now, headers: &Headers) {
        let date = headers.value("date").and_then(Utc::parse_http_date);
        if !self.desk.learn_time(now, date) {
            return;
        }
        let server_now = self.desk.server_time(now);
        let born = server_now - now.monotonic.saturating_sub(self.born);
        // One app signs in: that one of its sources tells is enough.
        let first = self.sources.first_mut();
        let validity = first.and_then(|source| source.access().look_at_validity(server_now));
        validity.into_iter().for_each(|event| self.desk.tell(event));
        for source in &mut self.sources {
            source.correct_time(Corrected { now: server_now, born });
        }
    }

    fn handle_body(&mut self, now: Now, id: RequestId, chunk: Bytes) {
        let Some(asker) = self.desk.asker(id) else { return };
        self.desk.note_bytes(id);
        let appetite = match asker {
            Asker::Source(SourceId(index)) => {
                self.sources[index].body(&mut self.desk, now, id, chunk)
            }
            Asker::SignIn(_) => self.signing_in.body(id, &chunk),
        };
        self.read_on(now, id, asker, appetite);
        self.settle(now);
    }

    /// Asks for the next bytes, now or when there is room for what they hold, or for no more.
    fn read_on(&mut self, now: Now, id: RequestId, asker: Asker, appetite: Appetite) {
        match appetite {
            Appetite::More => self.desk.read(id),
            Appetite::WhenThereIsRoom => self.desk.read_with_room(id),
            Appetite::Enough => {
                self.desk.cancel(id);
                self.end(now, id, asker, Ended { result: Ok(()), stalled: false });
            }
        }
    }

    fn handle_end(&mut self, now: Now, id: RequestId, result: Result<(), TransportError>) {
        let Some(asker) = self.desk.asker(id) else { return };
        let stalled = self.desk.end(id);
        self.end(now, id, asker, Ended { result, stalled });
    }

    fn end(&mut self, now: Now, id: RequestId, asker: Asker, ended: Ended) {
        match asker {
            Asker::Source(SourceId(index)) => {
                self.sources[index].end(&mut self.desk, now, id, ended);
            }
            Asker::SignIn(SourceId(index)) => {
                let source = &mut *self.sources[index];
                self.signing_in.end(source, &mut self.desk, now, id, ended);
            }
        }
        self.settle(now);
    }

    // Delivery.

    /// Counts what the host has taken, in the order of emission.
    fn settle(&mut self, now: Now) {
        while let Some(entry) = self.desk.pop_delivered() {
            self.sources[entry.source.0].delivered(&mut self.desk, now, &entry);
        }
    }

    fn handle_returned(&mut self, id: BatchId) {
        let Some(batches) = self.desk.take_back(id) else { return };
        self.desk.tell(Event::BatchesReturned { batches });
        for source in &mut self.sources {
            source.returned(&mut self.desk, id);
        }
    }

    fn handle_hint(&mut self, now: Now, content: &ContentRef) {
        self.desk.counts().hints += 1;
        let mut taken = false;
        for source in &mut self.sources {
            taken |= source.hint(&self.desk, now, content.clone());
        }
        self.desk.counts().hints_taken += u64::from(taken);
    }

    // The end.

    /// For a run that ends: whether nothing is left that could still be collected.
    fn is_done(&self, now: Now) -> bool {
        let (target, server_now) = (self.desk.known_target(), self.desk.server_time(now));
        let standing = |source: &dyn Source| source.standing(target, server_now);
        self.desk.is_once()
            && self.sources.iter().all(|source| standing(&**source) != Standing::Working)
    }

    fn measure(&mut self, now: Now) {
        let server_now = self.desk.server_time(now);
        self.desk.measure(now);
        let (mut rate, mut ends) = (0, None::<Utc>);
        let mut feeds = std::mem::take(&mut self.desk.counts().lanes);
        let mut shown = feeds.iter_mut();
        let mut more = Vec::new();
        for source in &mut self.sources {
            rate += source.access().rate();
            let end = source.access().tokens().and_then(|tokens| tokens.credential_end());
            ends = ends.into_iter().chain(end).min();
            for feed in source.measure(server_now) {
                match shown.next() {
                    Some(shown) => shown.clone_from(feed),
                    None => more.push(feed.clone()),
                }
            }
        }
        feeds.extend(more);
        self.desk.counts().lanes = feeds;
        self.desk.counts().requests_per_minute = rate;
        self.desk.counts().credential_expiry = ends;
    }
}

/// The sources that are collected. The only place that lists them.
fn sources(
    config: &Config,
    desk: &mut Desk,
    stored: &Stored,
    now: Now,
) -> Result<Vec<Box<dyn Source>>, StateError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if !config.audit().content_types.is_empty() {
        let (id, audit) = (SourceId(sources.len()), config.audit());
        let source = AuditSource::new(id, audit, config.sign_in(), desk, stored, now)?;
        sources.push(Box::new(source));
    }
    if let Some(activities) = config.activities() {
        let id = SourceId(sources.len());
        let source = ActivitiesSource::new(id, activities, config.sign_in(), desk, stored, now)?;
        sources.push(Box::new(source));
    }
    Ok(sources)
}
