//! The native [`Io`]: connects one run of a machine to the wire, the store and the sink. Waits
//! without holding up a thread, so that a few of them drive many machines.

use std::time::{Duration, Instant};

use m365_audit_core::{
    ACKNOWLEDGED, Batch, BatchId, Commit, Event, Input, Io, Machine, Metrics, Now, OutputShort,
    Presented, REPLAY, Request, RequestId, Session, Step, Taken,
};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout as within;

use crate::clocks::Clocks;
use crate::credentials::Presenter;
use crate::error::RunError;
use crate::handle::{Handle, Message};
use crate::http::Http;
use crate::sink::Sink;
use crate::status::{HistoryNews, Slot};
use crate::store::Store;
use crate::webhook::Receiver;

/// How often the sink sees the metrics when nothing happens.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// How often it is looked what somebody has written into the store beside this process.
const STORE_LOOK_EVERY: Duration = Duration::from_secs(15);

/// Most inputs that one wait answers, so that deliveries are written out in between.
const INPUTS_PER_WAIT_MAX: usize = 256;

/// What outlives a run, apart from the store and the sink.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) handle: Handle,
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
    /// When the run must have ended, once that is asked for.
    pub(crate) stop_at: Option<Instant>,
    /// The host sees ids that count up over all runs; a run's own begin at zero.
    pub(crate) batches_before: u64,
    /// The id that the host has not seen yet.
    pub(crate) batches_next: u64,
    /// What was told of outputs between two runs.
    pub(crate) shorts: Vec<OutputShort>,
}

/// One run's [`Io`].
pub(crate) struct Driver<'a, S> {
    pub(crate) clocks: &'a Clocks,
    pub(crate) http: Http,
    pub(crate) presenter: &'a mut Presenter,
    pub(crate) inbox: &'a mut Inbox,
    pub(crate) sink: &'a mut S,
    pub(crate) store: &'a mut Store,
    pub(crate) webhook: Option<&'a Receiver>,
    /// Where others see how it stands.
    pub(crate) status: Option<&'a Slot>,
    /// How often the sink sees the metrics when nothing happens.
    pub(crate) tick: Duration,
    /// Scratch space for [`Sink::flush`].
    pub(crate) flushed: Vec<BatchId>,
    /// Handed over, and not stored yet.
    pub(crate) uncommitted: Option<Commit>,
    /// When it is looked next what somebody has written into the store.
    pub(crate) look_at: Instant,
    /// Whether the core has been told to finish.
    pub(crate) shutdown_told: bool,
}

impl<S: Sink> Io for Driver<'_, S> {
    type Error = RunError;

    fn now(&mut self) -> Now {
        self.clocks.now()
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        self.http.send(id, request, timeout);
    }

    fn read(&mut self, id: RequestId) {
        self.http.read(id);
    }

    fn cancel(&mut self, id: RequestId) {
        self.http.cancel(id);
    }

    fn credential(&mut self) -> Presented {
        self.presenter.present()
    }

    fn emit(&mut self, mut batch: Batch) -> Result<Taken, RunError> {
        batch.id = self.inbox.outward(batch.id);
        self.status.iter().for_each(|status| status.turn_to_output());
        let emitted = self.sink.emit(batch).map_err(RunError::Sink);
        self.status.iter().for_each(|status| status.turn());
        emitted.map(|()| Taken::Later)
    }

    /// Stored by [`drive`], before anything that follows.
    fn commit(&mut self, commit: Commit) -> Result<(), RunError> {
        self.uncommitted = Some(commit);
        Ok(())
    }

    fn observe(&mut self, event: Event) {
        self.status.iter().for_each(|status| status.observe(&event));
        self.sink.observe(&event);
    }
}

/// Drives `machine` until it has finished.
pub(crate) async fn drive<M: Machine, S: Sink>(
    machine: &mut M,
    driver: &mut Driver<'_, S>,
) -> Result<(), RunError> {
    let mut session = Session::new();
    loop {
        match session.step(machine, driver)? {
            Step::Commit => driver.store().await?,
            Step::Wait(timeout) => {
                driver.wait(timeout, machine.metrics(), session.inputs()).await?;
            }
            Step::Paused | Step::Finished => return Ok(()),
        }
    }
}

impl<S: Sink> Driver<'_, S> {
    /// Stores what was handed over. Other tenants go on meanwhile.
    async fn store(&mut self) -> Result<(), RunError> {
        let Some(mut commit) = self.uncommitted.take() else { return Ok(()) };
        self.show_counts();
        self.sink.stamp(&mut commit);
        let news = self.status.map(|_| HistoryNews::of(&commit));
        self.store.committed(commit).await.map_err(RunError::Store)?;
        self.status.iter().zip(news).for_each(|(status, news)| status.remember(news));
        Ok(())
    }

    /// Waits for inputs, at most for `timeout`, and answers all that are there; none if the time
    /// has passed.
    async fn wait(
        &mut self,
        timeout: Option<Duration>,
        metrics: &Metrics,
        inputs: &mut Vec<Input>,
    ) -> Result<(), RunError> {
        self.status.iter().for_each(|status| status.turn_to_output());
        self.sink.flush(&mut self.flushed).map_err(RunError::Sink)?;
        let inbox = &mut *self.inbox;
        inputs
            .extend(self.flushed.drain(..).filter_map(|id| inbox.inward(id)).map(Input::Delivered));
        self.sink.metrics(metrics);
        self.show_counts();
        self.status.iter().for_each(|status| status.show(metrics));
        if let Some(webhook) = self.webhook {
            let metrics = webhook.metrics();
            self.sink.webhook(&metrics);
            self.status.iter().for_each(|status| status.webhook(&metrics));
        }
        inputs.extend(self.inbox.shorts.drain(..).map(Input::OutputShort));
        self.store.still_ours().map_err(RunError::Store)?;
        self.look_at_store(metrics, inputs).await;
        inputs.extend(self.presenter.changed(Instant::now()).map(Input::Credential));
        if self.inbox.stop_at.is_some() && !self.shutdown_told {
            self.shutdown_told = true;
            inputs.push(Input::Shutdown);
        }
        let tick = self.tick;
        let idle =
            if inputs.is_empty() { timeout.unwrap_or(tick).min(tick) } else { Duration::ZERO };
        if let Some(first) = self.inbox.next(idle).await {
            self.take(first, inputs);
        }
        while inputs.len() < INPUTS_PER_WAIT_MAX
            && let Ok(message) = self.inbox.messages.try_recv()
        {
            self.take(message, inputs);
        }
        match self.inbox.stop_at {
            Some(at) if at <= Instant::now() => Err(RunError::Stopped),
            _ => Ok(()),
        }
    }

    /// Shows what the sink counts.
    fn show_counts(&self) {
        let counts = self.sink.counts();
        self.status.iter().for_each(|status| status.sink(counts.oversized, counts.rejected));
    }

    /// Whether somebody wants hours once more, or has acknowledged losses, beside this process:
    /// looked at now and then. A store that cannot be read just now is looked at again.
    async fn look_at_store(&mut self, metrics: &Metrics, inputs: &mut Vec<Input>) {
        let now = Instant::now();
        if now < self.look_at {
            return;
        }
        self.look_at = now + STORE_LOOK_EVERY;
        let wanted = self.store.keys_below(REPLAY).await.unwrap_or_default();
        if !wanted.is_empty() {
            inputs.push(Input::Replay(wanted));
        }
        if metrics.losses_unacknowledged > 0 {
            let acknowledged = self.store.keys_below(ACKNOWLEDGED).await.unwrap_or_default();
            if !acknowledged.is_empty() {
                inputs.push(Input::Acknowledged(acknowledged));
            }
        }
    }

    /// Turns a message into an input, if it is of this run.
    fn take(&mut self, message: Message, inputs: &mut Vec<Input>) {
        let input = match message {
            Message::Wire { run, input } => self.http.admits(run, &input).then_some(input),
            Message::Delivered(batch) => self.inbox.inward(batch).map(Input::Delivered),
            // Whatever came after it is lost too: of a batch of an earlier run, all of this one.
            Message::Returned(batch) => {
                Some(Input::Returned(self.inbox.inward(batch).unwrap_or(BatchId(0))))
            }
            Message::Hint(content) => {
                self.inbox.handle.hint_taken();
                Some(Input::Hint(content))
            }
            Message::OutputShort(short) => Some(Input::OutputShort(short)),
            Message::LookAgain => self.presenter.read_again().map(Input::Credential),
            Message::Log(level, line) => {
                self.sink.log(level, &line);
                None
            }
            Message::Shutdown(grace) => {
                self.inbox.stop_within(grace);
                let first = !std::mem::replace(&mut self.shutdown_told, true);
                first.then_some(Input::Shutdown)
            }
        };
        inputs.extend(input);
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let (handle, messages) = Handle::new();
        Self {
            handle,
            messages,
            stop_at: None,
            batches_before: 0,
            batches_next: 0,
            shorts: Vec::new(),
        }
    }

    /// The next message, or `None` if none comes in time. Gives the requests' tasks and other
    /// tenants a turn even if messages are waiting.
    pub(crate) async fn next(&mut self, idle: Duration) -> Option<Message> {
        yield_now().await;
        let until_stop = self.stop_at.map(|at| at.saturating_duration_since(Instant::now()));
        let idle = until_stop.map_or(idle, |until_stop| idle.min(until_stop));
        // The inbox itself holds a sender, so that the channel is never closed.
        within(idle, self.messages.recv()).await.ok().flatten()
    }

    /// Waits between two runs. Answers whether the end was asked for.
    pub(crate) async fn pause(&mut self, pause: Duration) -> bool {
        let resume_at = Instant::now() + pause;
        while self.stop_at.is_none() {
            let left = resume_at.saturating_duration_since(Instant::now());
            match self.next(left).await {
                Some(Message::Shutdown(grace)) => self.stop_within(grace),
                Some(Message::Hint(_)) => self.handle.hint_taken(),
                // About a run that is over.
                Some(Message::Wire { .. } | Message::Delivered(_) | Message::Returned(_)) => {}
                // For the next run.
                Some(Message::OutputShort(short)) => self.shorts.push(short),
                // The next one comes in a minute.
                Some(Message::Log(..)) => {}
                // The next run reads the file anyway.
                Some(Message::LookAgain) => {}
                None if left.is_zero() => break,
                None => {}
            }
        }
        self.stop_at.is_some()
    }

    /// Begins the ids of another run.
    pub(crate) const fn begin_run(&mut self) {
        self.batches_before = self.batches_next;
    }

    /// The id by which the host knows a batch of this run.
    fn outward(&mut self, batch: BatchId) -> BatchId {
        let id = self.batches_before + batch.0;
        self.batches_next = self.batches_next.max(id + 1);
        BatchId(id)
    }

    /// The core's name of a batch that the host speaks of; `None` if it is of an earlier run.
    fn inward(&self, batch: BatchId) -> Option<BatchId> {
        batch.0.checked_sub(self.batches_before).map(BatchId)
    }

    fn stop_within(&mut self, grace: Duration) {
        let at = Instant::now() + grace;
        self.stop_at = Some(self.stop_at.map_or(at, |earlier| earlier.min(at)));
    }
}
