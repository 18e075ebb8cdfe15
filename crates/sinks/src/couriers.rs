//! Carry what many collectors emit to a receiver: each courier from a thread of its own, one
//! message after the other, so that nobody who collects waits for a network.
//!
//! A message holds the lines of one tenant, so that what a receiver refuses is known to be that
//! tenant's. What waits here is bounded by `buffer_bytes` of each collector: it emits no more until
//! it hears that something is safe.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use m365_audit_client::{Handle, Runtime};
use m365_audit_core::BatchId;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::insistence::{Ended, Insistence};
use crate::lines::{Flow, Lines};
use crate::receiver::Receiver;
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

/// The runs of one collector: what is of an earlier one is not carried any more.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Arc<AtomicU64>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Round {
    all: Rounds,
    number: u64,
}

impl Rounds {
    /// Begins another; what was emitted before is emitted again.
    pub fn next(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// The one that is under way.
    #[must_use]
    pub fn current(&self) -> Round {
        Round { all: self.clone(), number: self.0.load(Ordering::SeqCst) }
    }
}

impl Round {
    fn is_over(&self) -> bool {
        self.all.0.load(Ordering::SeqCst) != self.number
    }

    fn is(&self, other: &Self) -> bool {
        self.number == other.number && Arc::ptr_eq(&self.all.0, &other.all.0)
    }
}

/// All couriers of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Couriers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Vec<UnboundedSender<Parcel>>,
    /// Why nothing is carried any more.
    failed: Arc<Mutex<Option<String>>>,
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
        let failed = Arc::new(Mutex::new(None));
        let mut queues = Vec::new();
        for receiver in receivers {
            let (sender, queue) = mpsc::unbounded_channel();
            let (insistence, failed) = (insistence.clone(), Arc::clone(&failed));
            let runtime = Runtime::new()?;
            let mut courier = Courier { receiver, queue, waiting: VecDeque::new(), insistence };
            thread::Builder::new().name("courier".into()).spawn(move || {
                if let Err(Ended::Refused(error)) = runtime.block_on(courier.work()) {
                    let why = format!("the records were not taken: {error}");
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                }
            })?;
            queues.push(sender);
        }
        Ok(Self(Arc::new(Shared { queues, failed, stop: insistence.stop.clone() })))
    }

    /// Gives a parcel away. All of one `lane` are carried in their order.
    pub fn carry(&self, lane: usize, parcel: Parcel) {
        let queues = &self.0.queues;
        // Fails only if that courier has given up, which is told by `failed`.
        drop(queues[lane % queues.len()].send(parcel));
    }

    /// Why nothing is carried any more, if that is so.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    /// Carries until nobody can give it anything any more.
    async fn work(&mut self) -> Result<(), Ended> {
        while let Some(parcel) = self.next().await {
            let (receiver, count) = (&mut self.receiver, parcel.count);
            if 0 < count {
                let lines = Lines { ndjson: &parcel.ndjson, count };
                let deliver = async || receiver.deliver(&parcel.flow, lines).await;
                let taken = self.insistence.insist(count, deliver).await?;
                let missing = taken.missing(self.receiver.name(), &self.insistence.logger);
                missing.into_iter().for_each(|short| parcel.handle.output_short(short));
            }
            parcel.batches.into_iter().for_each(|batch| parcel.handle.delivered(batch));
        }
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
