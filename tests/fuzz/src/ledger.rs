//! The SDK's ledger against a model of Fluent Bit's engine that drops batches, splits them, counts
//! them twice, changes them and pauses: what settles was written.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use arbitrary::Unstructured;
use fluent_bit_plugin::fuzzing::{Counters, Ledger};

/// What the engine does to every batch of this pipeline.
#[derive(Clone, Copy, PartialEq)]
enum Pipeline {
    /// Counts what it holds.
    Plain,
    /// A processor removes some of its records and bytes.
    Thinned,
    /// Conditional routes: it is counted once for its routes, written anew, and once as a whole.
    Routed,
    /// The same in older hosts, where each part is an entry of the ring buffer.
    Split,
}

impl Pipeline {
    /// What a batch that was made longer by some padding is counted for, one step after the other.
    fn counts(self, records: u64, bytes: u64, padding: u64) -> Vec<(u64, u64)> {
        let whole = (records, bytes);
        let anew = bytes - padding;
        match self {
            Self::Plain => vec![whole],
            Self::Thinned => vec![(records.div_ceil(2), bytes / 2 + 1)],
            Self::Split if records > 1 => {
                let half = (records / 2, anew / 2);
                vec![half, (records - half.0, anew - half.1), whole]
            }
            Self::Routed | Self::Split => vec![(records, anew), whole],
        }
    }
}

/// A batch in the ring buffer.
struct Queued {
    ticket: u64,
    /// What is still to be counted of it.
    counts: VecDeque<(u64, u64)>,
}

/// The engine, one thread: takes a batch, counts it, filters it, writes it.
struct Engine {
    pipeline: Pipeline,
    ring: VecDeque<Queued>,
    /// Batches (the first in the ring buffer) that were there at the last beat.
    overdue: usize,
    /// How long the first of them has been there, but for pauses.
    lying: Duration,
    /// The input is paused: what is in the ring buffer stays there.
    paused: bool,
    /// Counted as far as it goes, and in a filter, for so long.
    at_work: Option<(Queued, Duration)>,
    counters: Counters,
    written: BTreeSet<u64>,
}

impl Engine {
    /// Finishes what it works at.
    fn finish(&mut self) {
        while self.count() {}
        self.written.extend(self.at_work.take().map(|(batch, _)| batch.ticket));
    }

    /// Counts the next part of what it works at, or of the next batch, and is in its filters.
    fn take(&mut self) {
        if self.count() {
            return;
        }
        self.finish();
        self.at_work = self.next().map(|batch| (batch, Duration::ZERO));
        self.count();
    }

    /// Counts the next part of what it works at, if there is one.
    fn count(&mut self) -> bool {
        let Some((batch, since)) = &mut self.at_work else { return false };
        let Some((records, bytes)) = batch.counts.pop_front() else { return false };
        self.counters.records += records;
        self.counters.bytes += bytes;
        *since = Duration::ZERO;
        true
    }

    /// The chunk cannot be made (no descriptors, no space): the batch is gone and not counted.
    fn drop_next(&mut self) {
        self.finish();
        self.next();
    }

    /// A batch goes into the ring buffer.
    fn append(&mut self, ticket: u64, records: u64, bytes: u64, padding: u64) {
        if self.ring.is_empty() {
            self.lying = Duration::ZERO;
        }
        let counts = VecDeque::from(self.pipeline.counts(records, bytes, padding));
        let entries = if self.pipeline == Pipeline::Split { counts.len() } else { 1 };
        self.counters.writes += entries as u64;
        self.ring.push_back(Queued { ticket, counts });
    }

    /// The next batch leaves the ring buffer.
    fn next(&mut self) -> Option<Queued> {
        self.overdue = self.overdue.saturating_sub(1);
        self.ring.pop_front()
    }

    /// Time passes. Without work the engine says that it is there; and it does not wait while there
    /// is something that it should have taken.
    fn pass(&mut self, time: Duration, seen: bool) {
        self.lying += if self.paused { Duration::ZERO } else { time };
        if let Some((_, since)) = &mut self.at_work {
            *since += time;
            if seen || *since <= FILTER_UNSEEN_MAX {
                return;
            }
            self.finish();
        } else if BEAT_EVERY <= time {
            self.beat();
        }
        if EMPTIED_EVERY <= self.lying {
            self.take();
        }
    }

    /// Pauses the input, or lets it go on. If the routes did that, the whole is dropped.
    fn pause(&mut self) {
        self.paused = !self.paused;
        if self.at_work.as_ref().is_some_and(|(batch, _)| !batch.counts.is_empty()) {
            self.at_work = None;
        }
        self.overdue = 0;
        self.lying = Duration::ZERO;
    }

    /// Comes back from all work, and says so. Between two of these it empties the ring buffer.
    fn beat(&mut self) {
        while 0 < self.overdue {
            self.take();
        }
        self.finish();
        self.overdue = if self.paused { 0 } else { self.ring.len() };
        self.counters.pulse += 5_000;
    }
}

/// Sizes of batches: few, so that many are alike.
const SIZES: [usize; 4] = [10, 10, 20, 300];

/// By how much the first event of a batch can grow.
const PADDING_MAX: usize = 300;

/// How often the engine looks into the ring buffer, unless it is at work.
const EMPTIED_EVERY: Duration = Duration::from_millis(250);

/// How often the engine says that it came back, unless it is at work.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// Whoever has never seen it do so believes after a minute that it never will, as with
/// `storage.metrics off`. No filter takes as long then.
const FILTER_UNSEEN_MAX: Duration = Duration::from_secs(59);

/// Steps of one life.
const STEPS_MAX: usize = 200;

/// What settles was written, whatever becomes of the rest.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(shape) = u.arbitrary::<u8>() else { return };
    let pipeline = match shape & 3 {
        0 | 1 => Pipeline::Plain,
        2 => Pipeline::Thinned,
        _ if shape & 16 == 0 => Pipeline::Routed,
        _ => Pipeline::Split,
    };
    let counters = Counters { records: 100, bytes: 4_000, writes: 7, pulse: 50_000, waiting: None };
    // Some systems let the engine's thread be seen.
    let visible = shape & 8 != 0;
    let mut engine = Engine {
        pipeline,
        ring: VecDeque::new(),
        overdue: 0,
        lying: Duration::ZERO,
        paused: false,
        at_work: None,
        counters,
        written: BTreeSet::new(),
    };
    let mut ledger = Ledger::new(8, 1_000);
    let (mut now, mut ticket) = (Duration::ZERO, 0);
    // Whether the present pause, or its end, is still to be seen.
    let mut turned = false;
    // The first beat that was read, and whether there was another.
    let (mut first, mut seen) = (None, false);
    for _ in 0..STEPS_MAX {
        if u.is_empty() {
            break;
        }
        let Ok(step) = u.arbitrary::<u8>() else { break };
        let waiting = visible.then(|| engine.at_work.is_none());
        match step & 7 {
            0..=2 => {
                let bytes = SIZES[usize::from(step >> 3 & 3)];
                // As an instance does it: what is not long enough has to wait.
                let fits = !engine.paused && ledger.has_room(bytes);
                let padding = if fits { ledger.padding(bytes, PADDING_MAX) } else { None };
                if let Some(padding) = padding {
                    let bytes = bytes + padding;
                    let records = u32::from(step >> 5 & 1) + 1;
                    let before = Counters { waiting, ..engine.counters };
                    engine.append(ticket, records.into(), bytes as u64, padding as u64);
                    ledger.appended(now, (ticket, records, bytes), before);
                    ticket += 1;
                }
            }
            3 | 4 => engine.take(),
            5 => engine.beat(),
            6 if step >> 3 & 3 == 0 => engine.drop_next(),
            6 if step >> 3 & 3 == 1 && !turned => {
                engine.pause();
                turned = true;
            }
            6 => {}
            _ => {
                let millis =
                    [50, 100, 1_100, 11_000, 31_000, 61_000, 100, 50][usize::from(step >> 5)];
                let time = Duration::from_millis(millis);
                now += time;
                engine.pass(time, seen);
                let waiting = visible.then(|| engine.at_work.is_none());
                let reading = Counters { waiting, ..engine.counters };
                let reading = ledger.wants_reading(now).then_some(reading);
                if let Some(Counters { pulse, .. }) = reading {
                    seen |= *first.get_or_insert(pulse) != pulse;
                }
                ledger.observe(now, reading, engine.paused);
                turned = false;
                settle(&mut ledger, &engine, now);
            }
        }
    }
    if shape & 4 != 0 {
        // The engine waits for us, so it has come to the end of what it did.
        engine.finish();
        ledger.close(now, engine.counters, engine.paused);
        settle(&mut ledger, &engine, now);
    }
}

#[track_caller]
fn settle(ledger: &mut Ledger, engine: &Engine, now: Duration) {
    while let Some(ticket) = ledger.pop_settled(now) {
        let written = engine.written.contains(&ticket);
        assert!(written, "batch {ticket} settled and was never written: {ledger:?}");
    }
}
