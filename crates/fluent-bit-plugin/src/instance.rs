//! One running instance: carries batches from the worker to the host and notices back, on the
//! input thread. Never blocks for long: pause and exit wait for it.

use std::fmt;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::abi::{self, Host, Served};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::given::Given;
use crate::input::{Plan, Setup};
use crate::ledger::Ledger;
use crate::level::Level;
use crate::log::Logger;
use crate::metrics::{Counter, Gauge, Registry};
use crate::outbox::{self, Inbox, Outbox};
use crate::parcel::{Packer, Parcel};
use crate::reading::Reading;
use crate::storage::Storage;
use crate::terms::{Signal, UNSETTLED_MAX};
use crate::widen;

/// How long one collect goes on taking batches. Pause and exit are messages to the same thread.
const DRAIN_MAX: Duration = Duration::from_millis(200);
/// The same with `threaded off`, where the whole engine waits.
const DRAIN_ON_ENGINE_MAX: Duration = Duration::from_millis(10);
/// How long one collect waits, in total, for a worker that is just refilling an empty queue.
const REFILL_MAX: Duration = Duration::from_millis(5);
/// Bytes in one handover where the host has no append of our own.
const HANDOVER_BYTES_MAX: usize = 4 << 20;
/// How long an exit waits for the worker.
const WORKER_STOP_MAX: Duration = Duration::from_secs(5);

pub(crate) type Work = Box<dyn FnOnce(Outbox) -> Result<(), Failure> + Send>;

enum Worker {
    /// Starts with the first collect: by then the whole pipeline is up.
    Ready(Work, Outbox),
    Running {
        thread: JoinHandle<()>,
        ended: Receiver<()>,
    },
    Gone,
}

/// Numbers about delivery that every input shows.
#[derive(Debug)]
pub(crate) struct Gauges {
    settled: Counter,
    returned: Counter,
    unsettled: Gauge,
    queued_bytes: Gauge,
}

impl Gauges {
    /// Creates them, while an instance is set up.
    pub(crate) fn new(setup: &mut Setup<'_>) -> Self {
        Self {
            settled: setup.counter("batches_settled_total", "Batches safe in Fluent Bit."),
            returned: setup.counter("batches_returned_total", "Times that Fluent Bit lost some."),
            unsettled: setup.gauge("batches_unsettled", "Batches handed over, not yet safe."),
            queued_bytes: setup.gauge("queued_bytes", "Bytes that wait to be handed over."),
        }
    }
}

/// One `[INPUT]` section.
pub(crate) struct Instance {
    host: Host,
    logger: Logger,
    registry: Registry,
    gauges: Gauges,
    worker: Worker,
    inbox: Inbox,
    engine: Engine,
    storage: Storage,
    /// What to say when chunks turn out to be in memory.
    memory_warning: Option<&'static str>,
    ledger: Ledger,
    /// What was taken from the queue, and not yet by the host.
    packer: Packer,
    /// What the host was given and is not settled, oldest first, as the ledger knows it.
    given: Given,
    /// What the host reads between collect and cleanup.
    handed: Option<Vec<u8>>,
    started: Instant,
    drain_max: Duration,
    paused: bool,
    stopped: bool,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl Instance {
    pub(crate) fn new(host: Host, plan: Plan, gauges: Gauges, work: Work) -> Self {
        let signal = if host.can_count() { Signal::Counters } else { Signal::Time };
        plan.logger.debug(format_args!("batches settle by {signal:?}"));
        let drain_max = if host.is_threaded() { DRAIN_MAX } else { DRAIN_ON_ENGINE_MAX };
        let (outbox, inbox) = outbox::channel(plan.limits);
        Self {
            host,
            logger: plan.logger,
            registry: plan.registry,
            gauges,
            worker: Worker::Ready(work, outbox),
            inbox,
            engine: Engine::find(),
            storage: Storage::new(),
            memory_warning: plan.memory_warning,
            ledger: Ledger::new(signal, plan.terms),
            packer: Packer::default(),
            given: Given::default(),
            handed: None,
            started: Instant::now(),
            drain_max,
            paused: false,
            stopped: false,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The counters, and then whether the engine waits for events.
    fn read(&self) -> Option<Reading> {
        let reading = self.host.counters()?;
        Some(Reading { waiting: self.engine.is_waiting(), ..reading })
    }

    /// Whether the host may be given this parcel. Then it is as long as it has to be, to be told
    /// from others.
    fn make_room(&self, parcel: &mut Parcel) -> bool {
        let bytes = parcel.msgpack.len();
        let unsettled = self.given.batches() + parcel.tickets.len();
        if !self.ledger.has_room(bytes) || (0 < self.given.batches() && UNSETTLED_MAX < unsettled) {
            return false;
        }
        if parcel.padded {
            // It was refused: what is under way has only become less since.
            return true;
        }
        let texts = widen::short_texts(&parcel.msgpack);
        let Some(padding) = self.ledger.padding(bytes, widen::room(&texts)) else { return false };
        widen::widen(&mut parcel.msgpack, &texts, padding);
        parcel.padded = true;
        true
    }

    /// The host has taken a parcel, and copied it or will do so now.
    fn given(&mut self, now: Duration, parcel: &mut Parcel, before: Reading) {
        let (first, tickets) = (parcel.first, std::mem::take(&mut parcel.tickets));
        let number = self.given.push(first, tickets);
        self.ledger.appended(now, (number, parcel.records, parcel.msgpack.len()), before);
    }

    /// With `threaded off` a pause may come while an append of ours is running, when nothing can
    /// be done about it but to remember it.
    fn follow_pauses(&mut self) {
        let paused = abi::is_paused();
        if paused != self.paused {
            self.logger.debug(if paused { "paused" } else { "resumed" });
            self.observe(None);
            self.paused = paused;
        }
    }

    fn observe(&mut self, reading: Option<Reading>) {
        let now = self.now();
        let altered = self.ledger.is_altered();
        let lost = self.ledger.observe(now, reading, self.paused);
        self.settle(now);
        if let Some(ticket) = lost.and_then(|number| self.given.lost_from(number)) {
            self.logger.warn("Fluent Bit did not take what it was given: producing it again");
            self.gauges.returned.inc();
            self.packer.clear();
            self.inbox.returned(ticket);
        }
        if !altered && self.ledger.is_altered() {
            self.logger.warn(
                "a processor or a conditional route changes what is counted: delivering one batch \
                 at a time; use filters for full speed",
            );
        }
    }

    /// Says once if chunks are in memory, where the author wants that said.
    fn watch_storage(&mut self, reading: Option<Reading>) {
        let Some(warning) = self.memory_warning else { return };
        let now = self.now();
        let wanted = self.storage.wants_reading(now);
        let counters = || if wanted { self.host.counters() } else { None };
        let Some(reading) = reading.or_else(counters) else { return };
        if self.storage.observe(now, reading, self.host.plugin()) {
            self.logger.warn(warning);
        }
    }

    fn settle(&mut self, now: Duration) {
        while let Some(number) = self.ledger.pop_settled(now) {
            for ticket in self.given.settled(number) {
                self.gauges.settled.inc();
                self.inbox.settled(ticket);
            }
        }
    }

    /// Appends what is queued, and what the worker refills meanwhile. `reading` are the counters as
    /// of now, if they were read.
    fn drain(&mut self, reading: Option<Reading>) {
        let begin = Instant::now();
        let mut patience = REFILL_MAX;
        let mut busy = false;
        let mut reading = reading.filter(|_| self.ledger.is_waiting());
        while begin.elapsed() < self.drain_max {
            // Only a worker that was busy a moment ago is worth waiting for.
            let wait = if busy { patience } else { Duration::ZERO };
            let waiting = Instant::now();
            let Some(mut parcel) = self.packer.next(&self.inbox, wait) else { break };
            patience = patience.saturating_sub(waiting.elapsed());
            if !self.make_room(&mut parcel) {
                self.packer.keep(parcel);
                break;
            }
            let before = *reading.get_or_insert_with(|| self.host.counters().unwrap_or_default());
            let append =
                || self.host.append(parcel.tag.as_deref(), &parcel.msgpack, parcel.records);
            if !parcel.msgpack.is_empty() && !append() {
                if abi::is_paused() {
                    self.logger.debug("refused in a pause: trying again");
                } else {
                    self.logger.debug("the ring buffer is full: trying again");
                    self.ledger.refused();
                }
                self.packer.keep(parcel);
                break;
            }
            self.given(self.now(), &mut parcel, before);
            busy = true;
            if abi::is_paused() {
                break;
            }
        }
        self.follow_pauses();
        self.settle(self.now());
    }

    /// Metrics and log lines, which only this thread may hand to the host.
    #[allow(clippy::cast_precision_loss)] // Gauges are doubles.
    fn publish(&mut self) {
        self.gauges.unsettled.set(self.given.batches() as f64);
        self.gauges.queued_bytes.set(self.inbox.queued().1 as f64);
        self.registry.push(&self.host);
        self.logger.print(&self.host);
    }
}

impl Served for Instance {
    /// The pipeline is up: the worker may start.
    fn start(&mut self) {
        if !matches!(self.worker, Worker::Ready(..)) || self.stopped {
            return;
        }
        let Worker::Ready(work, outbox) = std::mem::replace(&mut self.worker, Worker::Gone) else {
            return;
        };
        let (ending, ended) = mpsc::channel();
        let logger = self.logger.clone();
        // Linux cuts a thread's name at 15 bytes.
        let name = format!("w-{}", self.host.plugin());
        let spawned = thread::Builder::new().name(name).spawn(move || {
            let stopping = outbox.clone();
            match abi::contain(|| work(outbox)) {
                Ok(Ok(())) if stopping.is_stopped() => {}
                Ok(Err(failure)) if failure.is_stop() => {}
                Ok(Ok(())) => logger.info("finished: nothing more to collect"),
                Ok(Err(failure)) => logger.error(format_args!("stopped collecting: {failure}")),
                Err(panic) => logger.error(format_args!("stopped collecting: panic: {panic}")),
            }
            // Nobody listens if the exit gave up waiting.
            let _ = ending.send(());
        });
        match spawned {
            Ok(thread) => self.worker = Worker::Running { thread, ended },
            Err(error) => self.logger.error(format_args!("cannot start a thread: {error}")),
        }
    }

    /// Once a collect: settles, then hands over what is queued.
    fn tick(&mut self) {
        self.start();
        if !self.stopped {
            self.follow_pauses();
            let wanted = self.ledger.wants_reading(self.now());
            let reading = if wanted { self.read() } else { None };
            self.observe(reading);
            self.watch_storage(reading);
            if !self.paused && self.host.can_append() {
                self.drain(reading);
            }
        }
        self.publish();
    }

    /// For hosts without an append of our own: what the host shall append. The host reads it until
    /// [`Served::clean_up`].
    fn hand_over(&mut self) -> Option<&[u8]> {
        if self.stopped || self.paused || self.host.can_append() {
            return None;
        }
        let before = self.host.counters().unwrap_or_default();
        let now = self.now();
        let mut handed = Vec::new();
        while let Some(mut parcel) = self.packer.next(&self.inbox, Duration::ZERO) {
            let full =
                !handed.is_empty() && handed.len() + parcel.msgpack.len() > HANDOVER_BYTES_MAX;
            if full || !self.make_room(&mut parcel) {
                self.packer.keep(parcel);
                break;
            }
            self.given(now, &mut parcel, before);
            if self.host.can_count() {
                // What the host appends at once it counts at once: no batch would prove another.
                handed = parcel.msgpack;
                break;
            }
            if handed.is_empty() {
                handed = parcel.msgpack;
            } else {
                handed.extend_from_slice(&parcel.msgpack);
            }
        }
        self.handed = (!handed.is_empty()).then_some(handed);
        self.handed.as_deref()
    }

    /// The host has copied what [`Served::hand_over`] gave it.
    fn clean_up(&mut self) {
        self.handed = None;
    }

    /// The host has paused or resumed this instance.
    fn pause_changed(&mut self) {
        self.follow_pauses();
        self.publish();
    }

    /// The engine waits for this thread, so the counters are final. Safe to repeat.
    fn stop(&mut self) {
        if self.stopped {
            return;
        }
        self.follow_pauses();
        self.stopped = true;
        let now = self.now();
        self.ledger.close(now, self.host.counters(), self.paused);
        self.settle(now);
        self.inbox.stop();
        self.packer.clear();
        if let Worker::Running { thread, ended } = std::mem::replace(&mut self.worker, Worker::Gone)
        {
            match ended.recv_timeout(WORKER_STOP_MAX) {
                // The thread has nothing left to do but to end; its panics were contained.
                Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => drop(thread.join()),
                Err(mpsc::RecvTimeoutError::Timeout) => self.logger.error(format_args!(
                    "the worker did not stop within {} s and was left behind",
                    WORKER_STOP_MAX.as_secs()
                )),
            }
        }
        self.publish();
    }

    /// The exit callback: nothing of the host is touched afterwards.
    fn exit(mut self: Box<Self>) {
        self.stop();
        self.host.release();
    }

    /// A callback panicked: says so. What it was doing is retried by the next one.
    fn panicked(&mut self, callback: &str, panic: &str) {
        self.logger.log(Level::Error, format_args!("panic in {callback}: {panic}"));
        self.logger.print(&self.host);
    }
}

impl Drop for Instance {
    /// A thread that ends without an exit callback (the engine failed to start): stop the worker,
    /// but leave the host alone, which may be half gone.
    fn drop(&mut self) {
        self.inbox.stop();
        if let Worker::Running { thread, ended } = std::mem::replace(&mut self.worker, Worker::Gone)
            && ended.recv_timeout(WORKER_STOP_MAX).is_ok()
        {
            drop(thread.join());
        }
    }
}
