//! The contract between the core and its drivers: two closed enums and one loop.
//!
//! # Contract
//!
//! After any number of [`Machine::handle_input`] calls, the driver calls [`Machine::poll_output`]
//! until it answers [`Output::Wait`] or [`Output::Finished`], and performs each output in the order
//! it is given; inputs may also come in between. [`Session::step`] is that loop, and the
//! specification of a driver: the native client, the component and the tests differ only in their
//! [`Io`]. A driver that has a thread to itself calls [`run`], which waits where the machine does
//! ([`Waits`]); one that drives many machines on few threads takes their steps itself, and waits
//! for them all.
//!
//! Two machines speak it: the [`Collector`](crate::Collector), and the
//! [`Caller`](crate::call::Caller) for single operations.

use std::time::Duration;

use bytes::Bytes;

use crate::base::time::Now;
use crate::contract::batch::{Batch, BatchId, ContentRef};
use crate::contract::event::Event;
use crate::contract::metrics::Metrics;
use crate::contract::request::{Headers, Request, RequestId, TransportError};
use crate::contract::state::Commit;
use crate::identity::credential::Presented;

/// What happened outside.
#[derive(Debug)]
pub enum Input {
    /// The status line and headers of a response arrived. Bytes of the body follow only after
    /// [`Output::Read`].
    Head {
        /// The request that is answered.
        id: RequestId,
        /// The HTTP status code.
        status: u16,
        /// All response headers.
        headers: Headers,
    },
    /// The next bytes of a body, in answer to one [`Output::Read`]. Any size but zero; memory is
    /// bounded by it, so 16 to 256 KiB serves best.
    Body {
        /// The request.
        id: RequestId,
        /// The bytes, after content decoding (gzip).
        chunk: Bytes,
    },
    /// The response is complete, or will never be. Nothing follows for this request.
    End {
        /// The request.
        id: RequestId,
        /// Whether the whole body arrived.
        result: Result<(), TransportError>,
    },
    /// The host has taken responsibility for this batch.
    Delivered(BatchId),
    /// The host lost this batch and whatever it was given after it: everything not yet
    /// delivered from that batch on is produced again.
    Returned(BatchId),
    /// What the app signs in with: the answer to [`Output::Credential`], or news that it has
    /// changed, at any time.
    Credential(Presented),
    /// Somebody (a webhook) says that this content exists. Only a hint: polling stays the truth.
    Hint(ContentRef),
    /// An output has less than what counts as delivered. Remembered as a loss, and told.
    OutputShort(OutputShort),
    /// The keys below [`ACKNOWLEDGED`](crate::ACKNOWLEDGED) that the store holds now: somebody has
    /// acknowledged losses.
    Acknowledged(Vec<String>),
    /// The keys below [`REPLAY`](crate::REPLAY) that the store holds now: somebody wants hours once
    /// more.
    Replay(Vec<String>),
    /// Time has passed. Spurious timeouts are harmless.
    Timeout,
    /// Start nothing new; finish when everything emitted is delivered.
    Shutdown,
}

/// An output that has less than it was given and has confirmed. To be told once: afterwards what is
/// there is what counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputShort {
    /// What it is called: its path, its address.
    pub output: Box<str>,
    /// What is missing.
    pub missing: MissingOutput,
}

/// What an output does not have that counts as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingOutput {
    /// So many bytes of a file.
    Bytes(u64),
    /// Records that a receiver has refused for good.
    Records {
        /// How many.
        count: u64,
        /// Why, in its words; may be empty.
        said: Box<str>,
    },
}

impl OutputShort {
    /// How it is told.
    #[must_use]
    pub fn event(self) -> Event {
        let Self { output, missing } = self;
        match missing {
            MissingOutput::Bytes(missing_bytes) => {
                Event::OutputShortError { output, missing_bytes }
            }
            MissingOutput::Records { count, said } => {
                Event::RecordsRejectedError { output, count, said }
            }
        }
    }
}

/// What the core wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this request.
    Request {
        /// Its name in later inputs.
        id: RequestId,
        /// What to send.
        request: Request,
        /// The longest wait for the head, and for each chunk that is asked for. Time in which
        /// nobody asked for a chunk does not count.
        timeout: Duration,
    },
    /// Deliver the next chunk of this response's body, or its end.
    Read(RequestId),
    /// Forget this request; nothing of it is wanted any more. Inputs for it are ignored.
    Cancel(RequestId),
    /// Present the credential as it is now; asked before each token request. Answered by one
    /// [`Input::Credential`].
    Credential,
    /// Hand these records to the host. Answered by [`Input::Delivered`] or [`Input::Returned`].
    Batch(Batch),
    /// Write these changes to the state, atomically and durably, before performing the outputs
    /// that follow.
    Commit(Commit),
    /// Something worth telling an operator.
    Event(Event),
    /// Nothing to do until an input comes, or this much time has passed (`None`: no timer).
    Wait(Option<Duration>),
    /// The machine has come to its end; all that follows is `Finished` again.
    Finished,
}

/// A machine without I/O that a driver connects to the world.
pub trait Machine {
    /// Takes in what happened. Outputs that follow from it come from [`Self::poll_output`].
    fn handle_input(&mut self, now: Now, input: Input);
    /// The next thing to do.
    fn poll_output(&mut self, now: Now) -> Output;
    /// What was done so far, and where things stand as of the last [`Output::Wait`].
    fn metrics(&self) -> &Metrics;
}

/// When the host takes responsibility for a batch that it is handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has it: the session tells the machine.
    AtOnce,
    /// [`Input::Delivered`] or [`Input::Returned`] will say.
    Later,
}

/// What a driver offers. All methods return at once.
pub trait Io {
    /// A failure of the host's own machinery: the state cannot be written, the sink is gone.
    type Error;

    /// Both clocks.
    fn now(&mut self) -> Now;
    /// Starts a request.
    fn send(&mut self, id: RequestId, request: Request, timeout: Duration);
    /// Asks for the next chunk of a response.
    fn read(&mut self, id: RequestId);
    /// Drops a request.
    fn cancel(&mut self, id: RequestId);
    /// Presents the credential. A driver whose credential never changes presents only entropy.
    fn credential(&mut self) -> Presented;
    /// Hands a batch to the sink. Answers when the host takes responsibility for it.
    ///
    /// # Errors
    /// If the sink can never take it. A sink that is merely busy keeps the batch: the core emits no
    /// more than its undelivered limit allows.
    fn emit(&mut self, batch: Batch) -> Result<Taken, Self::Error>;
    /// Writes state changes. They are durable before the next step, whoever sees to that.
    ///
    /// # Errors
    /// If they are not stored. The caller must then start again from what is stored.
    fn commit(&mut self, commit: Commit) -> Result<(), Self::Error>;
    /// Shows an event.
    fn observe(&mut self, event: Event);
    /// Whether to leave it at what was performed so far. Asked before each output; another session
    /// of the same machine goes on from there.
    fn pauses(&self) -> bool {
        false
    }
}

/// A driver that has a thread to itself: its [`Io::commit`] comes back when the changes are stored.
pub trait Waits: Io {
    /// Waits for inputs, at most for `timeout` (`None`: for ever), and answers all that are there;
    /// none if the time has passed. `metrics` are those of the machine, and settled.
    ///
    /// # Errors
    /// If no input can come any more.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        metrics: &Metrics,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Self::Error>;
}

/// What has to happen before a session's next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Changes were handed to [`Io::commit`]: they must be durable.
    Commit,
    /// An input must come, or this much time pass (`None`: no timer). What comes goes into
    /// [`Session::inputs`].
    Wait(Option<Duration>),
    /// The driver pauses: it decides.
    Paused,
    /// The machine has finished: nothing.
    Finished,
}

/// Drives a machine up to where something has to be waited for, again and again.
#[derive(Debug, Default)]
pub struct Session {
    inputs: Vec<Input>,
    /// Whether the last step was to wait.
    waited: bool,
}

impl Session {
    /// A session that has taken no step.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What came while it was waited for, to be filled before the next step; nothing: the time has
    /// passed.
    pub const fn inputs(&mut self) -> &mut Vec<Input> {
        &mut self.inputs
    }

    /// Performs what `machine` wants done up to where it has to be waited.
    ///
    /// # Errors
    /// The first failure of `io`. Everything delivered and committed before stays so; what was in
    /// flight is collected again by the next collector that starts from the stored state.
    pub fn step<M: Machine, I: Io>(
        &mut self,
        machine: &mut M,
        io: &mut I,
    ) -> Result<Step, I::Error> {
        if std::mem::take(&mut self.waited) {
            let now = io.now();
            if self.inputs.is_empty() {
                machine.handle_input(now, Input::Timeout);
            }
            for input in self.inputs.drain(..) {
                machine.handle_input(now, input);
            }
        }
        while !io.pauses() {
            match machine.poll_output(io.now()) {
                Output::Request { id, request, timeout } => io.send(id, request, timeout),
                Output::Read(id) => io.read(id),
                Output::Cancel(id) => io.cancel(id),
                Output::Credential => {
                    let presented = io.credential();
                    machine.handle_input(io.now(), Input::Credential(presented));
                }
                Output::Batch(batch) => {
                    let id = batch.id;
                    if io.emit(batch)? == Taken::AtOnce {
                        machine.handle_input(io.now(), Input::Delivered(id));
                    }
                }
                Output::Commit(commit) => {
                    io.commit(commit)?;
                    return Ok(Step::Commit);
                }
                Output::Event(event) => io.observe(event),
                Output::Wait(timeout) => {
                    self.waited = true;
                    return Ok(Step::Wait(timeout));
                }
                Output::Finished => return Ok(Step::Finished),
            }
        }
        Ok(Step::Paused)
    }
}

/// Drives `machine` on the calling thread until it has finished, or `io` pauses.
///
/// # Errors
/// As [`Session::step`].
pub fn run<M: Machine, I: Waits>(machine: &mut M, io: &mut I) -> Result<(), I::Error> {
    let mut session = Session::new();
    loop {
        match session.step(machine, io)? {
            Step::Commit => {}
            Step::Wait(timeout) => io.wait(timeout, machine.metrics(), session.inputs())?,
            Step::Paused | Step::Finished => return Ok(()),
        }
    }
}
