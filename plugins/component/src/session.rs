//! One collector, driven call by call: the core's loop runs it until a limit of the call is near or
//! nothing is to be done, and what the call hands over is gathered.
//!
//! A batch counts as delivered as soon as its last line is in the call's answer. That is safe
//! because the changes that follow from it are in the same answer or a later one, and the host
//! stores them only together with the records or after them. Must not know HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use m365_audit_core::{
    Batch as Records, BatchId, Collector, Commit, Envelope, Event, Input, Io, LineLimits,
    LineWriter, Metrics, Now, Outages, Outcome, Presented, Request, RequestId, Taken, Waits, run,
};

use crate::bindings::exports::m365_audit::source::source::{
    Batch, Cause, Change, Failure, Limits, Note, Outcome as FinalOutcome,
};
use crate::{fault, notes};

/// The longest pause with nothing under way that is waited out within a call.
const NAP_MAX: Duration = Duration::from_millis(50);

/// How long records that are there wait for more.
const LINGER: Duration = Duration::from_millis(100);

/// What is told to a host that need not call again on the collector's account.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// The longest pause while the service does not answer, so that somebody is told once a minute.
const OUTAGE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Most notes of one call; more of them come with the next.
const NOTES_MAX: usize = 1_000;

/// Most bytes of lines in one answer, whatever the host allows: it has to copy them.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A session's way to the world. All but [`Wire::wait`] return at once.
pub(crate) trait Wire {
    /// Both clocks.
    fn now(&mut self) -> Now;
    /// Starts a request.
    fn send(&mut self, id: RequestId, request: Request, timeout: Duration);
    /// Random bytes of the host, for a signature.
    fn entropy(&mut self) -> [u8; 32];
    /// Asks for the next chunk of a response.
    fn read(&mut self, id: RequestId);
    /// Drops a request.
    fn cancel(&mut self, id: RequestId);
    /// Whether no request is under way.
    fn is_idle(&self) -> bool;
    /// An address that the host did not let the last request go to.
    fn denied(&self) -> Option<&str>;
    /// Waits for inputs, at most for `timeout`, and answers all that are there.
    fn wait(&mut self, timeout: Duration, inputs: &mut Vec<Input>);
}

/// Most bytes of lines in one answer.
pub(crate) fn bytes_max(limits: &Limits) -> usize {
    usize::try_from(limits.max_bytes).unwrap_or(usize::MAX).min(BYTES_MAX)
}

/// One collector, and what stays of one call for the next.
pub(crate) struct Session<W> {
    collector: Collector,
    wire: W,
    writer: LineWriter,
    /// Records that the core has handed over, and how many of them are in answers.
    pending: Option<(Records, usize)>,
    /// A request that waits until the changes before it are stored.
    parked: Option<(RequestId, Request, Duration)>,
    gathered: Gathered,
    /// Why signing in does not work, while it does not.
    refused: Option<String>,
    /// What does not get through.
    outages: Outages,
    finished: Option<FinalOutcome>,
}

/// What the next answer holds.
#[derive(Default)]
struct Gathered {
    lines: Vec<u8>,
    count: u32,
    /// Of several changes of a key only the last counts.
    changes: BTreeMap<String, Option<String>>,
    notes: Vec<Note>,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There is more to do at once.
    More,
    /// Nothing for this long.
    Pause(Duration),
}

impl<W: Wire> Session<W> {
    pub(crate) fn new(collector: Collector, wire: W, envelope: Envelope) -> Self {
        Self {
            collector,
            wire,
            writer: LineWriter::new(envelope),
            pending: None,
            parked: None,
            gathered: Gathered::default(),
            refused: None,
            outages: Outages::default(),
            finished: None,
        }
    }

    /// Goes on until one of `limits` is near or there is nothing to do.
    pub(crate) fn poll(&mut self, limits: &Limits) -> Result<Batch, Failure> {
        let end = self.collect(limits);
        let end = self.tell_of_outage(end);
        match self.obstacle(end) {
            Some(failure) => Err(failure),
            None => Ok(self.hand_over(end)),
        }
    }

    fn collect(&mut self, limits: &Limits) -> End {
        let allowed = Duration::from_millis(limits.deadline_ms.into());
        let mut call = Call {
            records_max: limits.max_records.max(1),
            bytes_max: bytes_max(limits),
            // The rest is for the answer, which has to be copied.
            end: self.wire.now().monotonic + allowed * 9 / 10,
            wire: &mut self.wire,
            writer: &mut self.writer,
            pending: &mut self.pending,
            parked: &mut self.parked,
            gathered: &mut self.gathered,
            refused: &mut self.refused,
            outages: &mut self.outages,
        };
        match call.write_pending() {
            Ok(None) => {}
            Ok(Some(id)) => self.collector.handle_input(call.wire.now(), Input::Delivered(id)),
            Err(end) => return end,
        }
        if let Some((id, request, timeout)) = call.parked.take() {
            call.wire.send(id, request, timeout);
        }
        match run(&mut self.collector, &mut call) {
            Err(end) => end,
            Ok(()) if call.pauses() => End::More,
            Ok(()) => {
                self.finished = Some(match self.collector.outcome() {
                    Outcome::Complete => FinalOutcome::Complete,
                    Outcome::Incomplete => FinalOutcome::Incomplete,
                });
                End::Pause(PAUSE_MAX)
            }
        }
    }

    /// Says once a minute what does not get through.
    fn tell_of_outage(&mut self, end: End) -> End {
        let now = self.wire.now().monotonic;
        self.gathered.notes.extend(self.outages.due(now).map(notes::outage));
        match end {
            End::Pause(pause) if !self.outages.is_empty() => {
                End::Pause(pause.min(OUTAGE_PAUSE_MAX))
            }
            End::Pause(_) | End::More => end,
        }
    }

    /// What somebody has to remove before anything more is collected. Told as a failure, unless
    /// the call has records.
    fn obstacle(&mut self, end: End) -> Option<Failure> {
        let End::Pause(pause) = end else { return None };
        if !self.gathered.lines.is_empty() || self.finished.is_some() {
            return None;
        }
        let (cause, message) = match (self.wire.denied(), &self.refused) {
            (Some(address), _) => (Cause::Config, denial(address)),
            (None, Some(refused)) => (Cause::Auth, refused.clone()),
            (None, None) => return None,
        };
        Some(Failure {
            cause,
            message,
            retry_after_ms: Some(fault::millis(pause)),
            notes: std::mem::take(&mut self.gathered.notes),
        })
    }

    fn hand_over(&mut self, end: End) -> Batch {
        let gathered = std::mem::take(&mut self.gathered);
        let change = |(key, value)| Change { key, value };
        let pause = match end {
            End::More => Duration::ZERO,
            End::Pause(pause) => pause,
        };
        Batch {
            ndjson: String::from_utf8(gathered.lines).expect("lines are written as UTF-8"),
            count: gathered.count,
            changes: gathered.changes.into_iter().map(change).collect(),
            more: end == End::More,
            wait_ms: fault::millis(pause),
            finished: self.finished,
            notes: gathered.notes,
            metrics: notes::metrics(self.collector.metrics()),
        }
    }
}

/// One call: its limits, and all of the session but the collector.
struct Call<'a, W> {
    records_max: u32,
    bytes_max: usize,
    /// On the monotonic clock.
    end: Duration,
    wire: &'a mut W,
    writer: &'a mut LineWriter,
    pending: &'a mut Option<(Records, usize)>,
    parked: &'a mut Option<(RequestId, Request, Duration)>,
    gathered: &'a mut Gathered,
    refused: &'a mut Option<String>,
    outages: &'a mut Outages,
}

impl<W> Call<'_, W> {
    /// Writes what the core has handed over. Answers which batch is written to its last record.
    ///
    /// # Errors
    /// Not all of it has room, which ends the call.
    fn write_pending(&mut self) -> Result<Option<BatchId>, End> {
        let Some((records, first)) = self.pending else { return Ok(None) };
        let left = self.records_max.saturating_sub(self.gathered.count);
        let limits = LineLimits {
            records_max: usize::try_from(left).unwrap_or(usize::MAX),
            bytes_max: self.bytes_max,
        };
        let next = self.writer.write_from(records, *first, limits, &mut self.gathered.lines);
        self.gathered.count += u32::try_from(next - *first).unwrap_or(u32::MAX);
        self.gathered.notes.extend(self.writer.take_taken().map(|taken| notes::taken(&taken)));
        *first = next;
        if next < records.records.len() {
            return Err(End::More);
        }
        Ok(self.pending.take().map(|(records, _)| records.id))
    }
}

impl<W: Wire> Io for Call<'_, W> {
    type Error = End;

    fn now(&mut self) -> Now {
        self.wire.now()
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        if request.operation.follows_commits() && !self.gathered.changes.is_empty() {
            *self.parked = Some((id, request, timeout));
        } else {
            self.wire.send(id, request, timeout);
        }
    }

    fn read(&mut self, id: RequestId) {
        self.wire.read(id);
    }

    fn cancel(&mut self, id: RequestId) {
        self.wire.cancel(id);
    }

    /// The credential is that of the configuration.
    fn credential(&mut self) -> Presented {
        Presented::unchanged(self.wire.entropy())
    }

    fn emit(&mut self, records: Records) -> Result<Taken, End> {
        *self.pending = Some((records, 0));
        self.write_pending().map(|_| Taken::AtOnce)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), End> {
        self.gathered.changes.extend(commit.changes);
        Ok(())
    }

    fn observe(&mut self, event: Event) {
        if let Event::TokenRefusedError { .. } | Event::TokensRejectedError { .. } = event {
            *self.refused = Some(event.to_string());
        } else if let Event::TokenAcquired { .. } = event {
            *self.refused = None;
        }
        self.outages.observe("", &event, self.wire.now().monotonic);
        self.gathered.notes.push(notes::note(&event));
    }

    /// A request that is parked waits for the end of the call; so do notes that have no room.
    fn pauses(&self) -> bool {
        self.parked.is_some() || NOTES_MAX <= self.gathered.notes.len()
    }
}

impl<W: Wire> Waits for Call<'_, W> {
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        _: &Metrics,
        inputs: &mut Vec<Input>,
    ) -> Result<(), End> {
        let timeout = timeout.unwrap_or(PAUSE_MAX).min(PAUSE_MAX);
        if self.wire.is_idle() && NAP_MAX < timeout {
            return Err(End::Pause(timeout));
        }
        let left = self.end.saturating_sub(self.wire.now().monotonic);
        if left.is_zero() {
            return Err(End::More);
        }
        let lingering = !self.gathered.lines.is_empty() && LINGER < timeout.min(left);
        let longest = if lingering { LINGER } else { timeout.min(left) };
        self.wire.wait(longest, inputs);
        if inputs.is_empty() && lingering { Err(End::More) } else { Ok(()) }
    }
}

/// The sentence for an address that the host does not allow.
pub(crate) fn denial(address: &str) -> String {
    format!(
        "the host does not allow requests to {address}; remedy: allow this address in the host, \
         or correct cloud, login_url or api_url"
    )
}

#[cfg(test)]
mod tests;
