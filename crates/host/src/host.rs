//! Polls a component: resume, collect, deliver, commit, in this order and no other.
//!
//! The sink's answer is awaited before the next call: the contract's `committed` speaks of all
//! earlier calls. Records that wait for an acknowledgement would have to be kept, bounded and
//! replayed here; the component does all that already.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use m365_audit_client::{Runtime, Store, StoreError};
use m365_audit_core::{Level, OutputShort, Secret};
use m365_audit_sinks::{
    Attempt, Ended, Insistence, Lines, Logger, Patience, SinkError, Stop, unless,
};

use crate::bindings::Level as NoteLevel;
use crate::bindings::{Batch, Cause, Failure, Limits, Note, Outcome, Resume};
use crate::component::Component;
use crate::guest::{CallError, Guest};
use crate::sandbox::Sandbox;
use crate::sink::Sink;
use crate::state;

/// Records that one call may return: of the smallest, as many as make a batch.
const BATCH_RECORDS_MAX: u32 = 20_000;

/// The part of the call timeout that a call is asked to take at most.
const DEADLINE_PART: u32 = 3;

/// The longest pause that a component may ask for.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// How a run has ended, and that somebody has stopped it: `None`.
type Ran = Result<Option<Outcome>, RunError>;

/// What reads a configuration again; `None`: there is nothing to be read.
type Refresh = Box<dyn Fn() -> Option<Secret<String>> + Send + Sync>;

/// Runs one component for one tenant.
pub struct Host<S> {
    component: Arc<Component>,
    sandbox: Sandbox,
    config: Secret<String>,
    sink: S,
    stop: Stop,
    once: bool,
    patience: Patience,
    /// Reads the configuration again.
    refresh: Refresh,
    // Last: whoever waits for the lock may rely on everything else being gone.
    store: Store,
}

/// Why a host has ended before its component did. What was delivered and committed stays so.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system gave no thread or no event queue.
    #[error("the runtime cannot be set up: {0}")]
    Runtime(#[source] std::io::Error),
    /// The component refuses its configuration.
    #[error("{0}")]
    Config(String),
    /// The component says that trying again does not help.
    #[error("{0}")]
    Permanent(String),
    /// The state file failed.
    #[error("the state was not stored: {0}")]
    Store(#[from] StoreError),
    /// The sink failed for good.
    #[error("the records were not taken: {0}")]
    Sink(#[source] SinkError),
    /// The component or the service kept failing.
    #[error("given up after {attempts} attempts in a row: {reason}")]
    Failing {
        /// How many there were.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// The grace of [`Stop::stop`] has passed.
    #[error("stopped before everything that was collected was delivered")]
    Stopped,
}

/// What comes of one call: a batch, or what to do about a failure.
type Polled = Result<Result<Batch, Next>, RunError>;

/// What the loop does next.
enum Next {
    /// Polls again, the same instance.
    Go,
    /// Waits, then polls the same instance.
    Wait(Duration),
    /// Drops the instance and starts another from the stored state.
    Restart { reason: String },
    /// Tries the same instance again, if that helps at all.
    Retry { reason: String, after: Option<Duration>, level: Level },
    /// The collection is over.
    Finished(Outcome),
}

impl<S: Sink + Send> Host<S> {
    /// Prepares everything; calls nothing yet. With `once`, a component that keeps failing ends the
    /// run; without it, it is tried for ever. One component makes the guests of many hosts.
    pub fn new(
        component: impl Into<Arc<Component>>,
        sandbox: Sandbox,
        config: Secret<String>,
        store: Store,
        sink: S,
        once: bool,
    ) -> Self {
        Self {
            component: component.into(),
            sandbox,
            config,
            sink,
            stop: Stop::new(),
            once,
            patience: Patience::default(),
            refresh: Box::new(|| None),
            store,
        }
    }

    /// Goes on after failures in another way than by default.
    #[must_use]
    pub const fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Reads the configuration again, when the service refuses the credentials: they may have been
    /// rotated. A component that is given others goes on from the stored state. Default: never.
    #[must_use]
    pub fn refresh(
        mut self,
        refresh: impl Fn() -> Option<Secret<String>> + Send + Sync + 'static,
    ) -> Self {
        self.refresh = Box::new(refresh);
        self
    }

    /// Ends it from other threads.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The sink.
    pub const fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Polls until the collection is over, or somebody stops it: `None`. Holds up the calling
    /// thread.
    ///
    /// # Errors
    /// See [`RunError`]. Another run goes on from what is stored.
    pub fn run(&mut self) -> Result<Option<Outcome>, RunError> {
        let runtime = Runtime::new().map_err(RunError::Runtime)?;
        runtime.block_on(self.collect())
    }

    /// As [`Host::run`], for who has a runtime with time and network, and sends it from thread to
    /// thread.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn collect(&mut self) -> Pin<Box<dyn Future<Output = Ran> + Send + '_>> {
        let mut turn = Turn {
            component: &self.component,
            sandbox: &self.sandbox,
            config: &mut self.config,
            refresh: &*self.refresh,
            sink: &mut self.sink,
            store: &mut self.store,
            logger: self.sandbox.logger.clone(),
            stop: self.stop.clone(),
            once: self.once,
            patience: self.patience,
            guest: None,
        };
        Box::pin(async move { turn.run().await })
    }
}

/// One batch, to be given to the sink until it is safe.
struct Delivery<'a, S> {
    sink: &'a mut S,
    lines: Lines<'a>,
}

impl<S: Sink + Send> Attempt for Delivery<'_, S> {
    type Done = ();

    async fn attempt(&mut self) -> Result<(), SinkError> {
        self.sink.deliver(self.lines).await
    }
}

/// A run under way.
struct Turn<'a, S> {
    component: &'a Component,
    sandbox: &'a Sandbox,
    config: &'a mut Secret<String>,
    refresh: &'a (dyn Fn() -> Option<Secret<String>> + Send + Sync),
    sink: &'a mut S,
    store: &'a mut Store,
    logger: Logger,
    stop: Stop,
    once: bool,
    patience: Patience,
    /// The instance, if there is one that can go on.
    guest: Option<Guest>,
}

impl<S: Sink + Send> Turn<'_, S> {
    async fn run(&mut self) -> Result<Option<Outcome>, RunError> {
        let mut failures = 0;
        loop {
            let stop = self.stop.clone();
            if stop.is_asked() {
                return Ok(None);
            }
            // Boxed: of the future by itself the compiler cannot tell that it may be sent.
            let polled: Pin<Box<dyn Future<Output = Polled> + Send + '_>> = Box::pin(self.poll());
            let Some(polled) = unless(stop.asked(), polled).await else { return Ok(None) };
            let next = match polled? {
                Ok(batch) => {
                    failures = 0;
                    self.settle(batch).await?
                }
                Err(next) => next,
            };
            let pause = match next {
                Next::Go => continue,
                Next::Wait(pause) => pause,
                Next::Finished(outcome) => return Ok(Some(outcome)),
                Next::Restart { reason } => {
                    self.guest = None;
                    failures += 1;
                    if self.gives_up(failures) {
                        return Err(RunError::Failing { attempts: failures, reason });
                    }
                    let pause = self.patience.pause(failures, None);
                    let next = "a fresh instance goes on from the stored state";
                    self.mourn(Level::Error, &reason, next, pause);
                    pause
                }
                Next::Retry { reason, after, level } => {
                    failures += 1;
                    if self.gives_up(failures) {
                        return Err(RunError::Failing { attempts: failures, reason });
                    }
                    let pause = self.patience.pause(failures, after);
                    self.mourn(level, &reason, "trying again", pause);
                    pause
                }
            };
            if unless(stop.asked(), tokio::time::sleep(pause)).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// Whether a collection that has an end has failed often enough.
    fn gives_up(&self, failures: u32) -> bool {
        self.insistence().gives_up(failures)
    }

    fn mourn(&self, level: Level, reason: &str, next: &str, pause: Duration) {
        let seconds = pause.as_secs();
        let when = if pause.is_zero() { "at once".into() } else { format!("in {seconds} s") };
        self.logger.log(level, &format!("{reason}; {next} {when}"));
    }

    /// One call. `Err` says what to do about its failure.
    async fn poll(&mut self) -> Polled {
        let restart = |error: CallError| Next::Restart { reason: error.to_string() };
        let (guest, resume) = match &mut self.guest {
            Some(guest) => (guest, Resume::Committed),
            None => {
                let guest = match Guest::new(self.component, self.sandbox).await {
                    Ok(guest) => guest,
                    Err(error) => return Ok(Err(restart(error))),
                };
                let stored = self.store.loaded().await?;
                let short = self.sink.resume(&stored).map_err(RunError::Sink)?;
                if let Some(short) = short {
                    self.remember(&short).await?;
                }
                let resume = state::resume(self.store).await?;
                (self.guest.insert(guest), resume)
            }
        };
        let deadline = self.sandbox.call_timeout / DEADLINE_PART;
        let limits = Limits {
            max_records: BATCH_RECORDS_MAX,
            max_bytes: self.sandbox.batch_bytes_max,
            deadline_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX),
        };
        let result = guest.poll(self.component, self.config, &resume, limits).await;
        match result {
            Ok(Ok(batch)) => Ok(Ok(batch)),
            Ok(Err(failure)) => self.judge(failure).map(Err),
            Err(error) => Ok(Err(restart(error))),
        }
    }

    /// What follows from a failure that the component reports.
    fn judge(&mut self, failure: Failure) -> Result<Next, RunError> {
        self.tell(&failure.notes);
        let reason = failure.message;
        let after = failure.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
        Ok(match failure.cause {
            Cause::Config => return Err(RunError::Config(reason)),
            Cause::Permanent => return Err(RunError::Permanent(reason)),
            // The host only says `committed` to an instance that has just returned a batch.
            Cause::StateRequired => Next::Restart { reason: format!("state required: {reason}") },
            Cause::Auth => match (self.refresh)().filter(|config| config != self.config) {
                Some(config) => {
                    *self.config = config;
                    Next::Restart { reason: format!("{reason}; the credentials have changed") }
                }
                None => Next::Retry { reason, after, level: Level::Error },
            },
            Cause::Throttled | Cause::Transient => {
                Next::Retry { reason, after, level: Level::Warn }
            }
        })
    }

    /// Brings a batch to safety, then stores what changed with it: never the other way round.
    async fn settle(&mut self, batch: Batch) -> Result<Next, RunError> {
        self.tell(&batch.notes);
        self.sink.metrics(&batch.metrics);
        if 0 < batch.count {
            self.deliver(Lines { ndjson: &batch.ndjson, count: batch.count }).await?;
        }
        let short = self.sink.missing();
        if !batch.changes.is_empty() {
            let mut commit = state::commit(batch.changes);
            self.sink.stamp(&mut commit);
            self.store.committed(commit).await?;
        }
        if let Some(short) = short {
            self.remember(&short).await?;
            // A fresh one finds it in the state.
            self.guest = None;
            return Ok(match batch.finished {
                Some(_) => Next::Finished(Outcome::Incomplete),
                None => Next::Go,
            });
        }
        Ok(match batch.finished {
            Some(outcome) => Next::Finished(outcome),
            None if batch.more => Next::Go,
            None => Next::Wait(Duration::from_millis(batch.wait_ms.into()).min(WAIT_MAX)),
        })
    }

    /// Says that the output lacks what counts as delivered, and puts it into the state.
    async fn remember(&mut self, short: &OutputShort) -> Result<(), RunError> {
        let event = short.clone().event();
        self.logger.log(event.level(), &event.to_string());
        if let Some(mut commit) = state::remember_short(self.store, short).await? {
            self.sink.stamp(&mut commit);
            self.store.committed(commit).await?;
        }
        Ok(())
    }

    /// Gives records to the sink until they are safe: they are at hand, and the component waits.
    async fn deliver(&mut self, lines: Lines<'_>) -> Result<(), RunError> {
        let insistence = self.insistence();
        let delivery = Delivery { sink: &mut *self.sink, lines };
        let delivered = insistence.insist(lines.count, delivery).await;
        delivered.map_err(|ended| match ended {
            Ended::Stopped => RunError::Stopped,
            Ended::Refused(error) => RunError::Sink(error),
        })
    }

    fn insistence(&self) -> Insistence {
        let (stop, logger) = (self.stop.clone(), self.logger.clone());
        Insistence { patience: self.patience, once: self.once, stop, logger }
    }

    fn tell(&self, notes: &[Note]) {
        for note in notes {
            let level = match note.level {
                NoteLevel::Error => Level::Error,
                NoteLevel::Warn => Level::Warn,
                NoteLevel::Info => Level::Info,
                NoteLevel::Debug => Level::Debug,
            };
            self.logger.log(level, &note.message);
        }
    }
}
