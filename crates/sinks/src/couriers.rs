//! Carry what many collectors emit to a receiver: each courier from a thread of its own, one
//! message after the other, so that nobody who collects waits for a network.
//!
//! A message holds the lines of one tenant, so that what a receiver refuses is known to be that
//! tenant's. What waits here is bounded by `buffer_bytes` of each collector: it emits no more until
//! it hears that something is safe.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use m365_audit_client::{Handle, Runtime};
use m365_audit_core::BatchId;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::insistence::{Attempt, Ended, Insistence};
use crate::lines::{Flow, Lines};
use crate::receiver::{Receiver, SinkError, Taken};
use crate::stop::Stop;

/// Bytes of lines that a message holds, unless a single line is longer: what every receiver takes
/// by default, with room for the form.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// Lines of one tenant on their way.
#[derive(Debug)]
pub struct Parcel {
    /// Whose lines they are.
    pub flow: Arc<Flow>,
    /// Whole lines, each ended by a line feed.
    pub ndjson: String,
    /// How many.
    pub count: u32,
    /// The batches that are safe once these lines are.
    pub batches: Vec<BatchId>,
    /// Who is told.
    pub handle: Handle,
    /// The collector's run that they are of.
    pub round: Round,
}

/// The runs of one collector: what is of an earlier one, or of one that has failed, is not carried
/// any more.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Arc<Present>);

/// The run that is under way.
#[derive(Debug, Default)]
struct Present {
    number: AtomicU64,
    /// Why its records are not taken, however often they are sent.
    failed: Mutex<Option<String>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Round {
    all: Rounds,
    number: u64,
}

impl Rounds {
    /// Begins another; what was emitted before is emitted again.
    pub fn next(&self) {
        self.0.number.fetch_add(1, Ordering::SeqCst);
        *self.failure() = None;
    }

    /// The one that is under way.
    #[must_use]
    pub fn current(&self) -> Round {
        Round { all: self.clone(), number: self.0.number.load(Ordering::SeqCst) }
    }

    /// Why nothing of it is carried any more, if that is so.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.failure().clone()
    }

    fn failure(&self) -> MutexGuard<'_, Option<String>> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round {
    fn is_over(&self) -> bool {
        self.all.0.number.load(Ordering::SeqCst) != self.number || self.all.failure().is_some()
    }

    fn is(&self, other: &Self) -> bool {
        self.number == other.number && Arc::ptr_eq(&self.all.0, &other.all.0)
    }

    fn fail(&self, why: String) {
        let mut failure = self.all.failure();
        if self.all.0.number.load(Ordering::SeqCst) == self.number {
            failure.get_or_insert(why);
        }
    }
}

/// All couriers of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Couriers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Vec<UnboundedSender<Parcel>>,
    stop: Stop,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.stop(Duration::ZERO);
    }
}

impl Couriers {
    /// Starts one for each of `receivers`, which are the same one.
    ///
    /// # Errors
    /// The system gives no thread, or no event queue.
    pub fn start(receivers: Vec<Box<dyn Receiver>>, insistence: &Insistence) -> io::Result<Self> {
        let mut queues = Vec::new();
        for receiver in receivers {
            let (sender, queue) = mpsc::unbounded_channel();
            let insistence = insistence.clone();
            let runtime = Runtime::new()?;
            let mut courier = Courier { receiver, queue, waiting: VecDeque::new(), insistence };
            let thread = thread::Builder::new().name("courier".into());
            thread.spawn(move || runtime.block_on(courier.work()))?;
            queues.push(sender);
        }
        Ok(Self(Arc::new(Shared { queues, stop: insistence.stop.clone() })))
    }

    /// Gives a parcel away. All of one `lane` are carried in their order.
    pub fn carry(&self, lane: usize, parcel: Parcel) {
        let queues = &self.0.queues;
        // Fails only if everything has been asked to end.
        drop(queues[lane % queues.len()].send(parcel));
    }
}

struct Courier {
    receiver: Box<dyn Receiver>,
    queue: UnboundedReceiver<Parcel>,
    /// Taken from the queue, and not carried yet.
    waiting: VecDeque<Parcel>,
    insistence: Insistence,
}

impl Courier {
    /// Carries until nobody can give it anything any more, or it is asked to end. A refusal that
    /// lasts ends the run of the collector that it met, and nobody else's: each of them decides
    /// when to begin again.
    async fn work(&mut self) {
        while let Some(parcel) = self.next().await {
            match self.deliver(&parcel).await {
                Ok(()) => {
                    parcel.batches.into_iter().for_each(|batch| parcel.handle.delivered(batch));
                }
                Err(Ended::Refused(error)) => {
                    parcel.round.fail(format!("the records were not taken: {error}"));
                }
                Err(Ended::Stopped) => return,
            }
        }
    }

    async fn deliver(&mut self, parcel: &Parcel) -> Result<(), Ended> {
        let count = parcel.count;
        if count == 0 {
            return Ok(());
        }
        let lines = Lines { ndjson: &parcel.ndjson, count };
        let message = Message { receiver: &mut *self.receiver, flow: &parcel.flow, lines };
        let taken = self.insistence.insist(count, message).await?;
        let logger = &self.insistence.logger;
        let missing = taken.missing(&parcel.flow, self.receiver.name(), logger);
        missing.into_iter().for_each(|short| parcel.handle.output_short(short));
        Ok(())
    }

    /// What goes into the next message: a parcel, and those behind it that are of the same run of
    /// the same collector, as far as there is room.
    async fn next(&mut self) -> Option<Parcel> {
        let mut first = loop {
            let parcel = match self.waiting.pop_front() {
                Some(parcel) => parcel,
                None => self.queue.recv().await?,
            };
            if !parcel.round.is_over() {
                break parcel;
            }
        };
        while let Ok(parcel) = self.queue.try_recv() {
            self.waiting.push_back(parcel);
        }
        while let Some(next) = self.waiting.front()
            && next.round.is(&first.round)
            && first.ndjson.len() + next.ndjson.len() <= MESSAGE_BYTES_MAX
            && let Some(mut next) = self.waiting.pop_front()
        {
            first.ndjson.push_str(&next.ndjson);
            first.count += next.count;
            first.batches.append(&mut next.batches);
        }
        Some(first)
    }
}

/// One message, to be sent until it is taken.
struct Message<'a> {
    receiver: &'a mut dyn Receiver,
    flow: &'a Flow,
    lines: Lines<'a>,
}

impl Attempt for Message<'_> {
    type Done = Taken;

    async fn attempt(&mut self) -> Result<Taken, SinkError> {
        self.receiver.deliver(self.flow, self.lines).await
    }
}
