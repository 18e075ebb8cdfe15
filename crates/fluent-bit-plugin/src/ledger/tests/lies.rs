//! The ledger against hosts that lie: they drop batches uncounted, count some twice, and raise one
//! counter after the other.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::ledger::*;
use crate::terms::LOST_AFTER;

/// What becomes of a batch in the ring buffer.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is counted and written.
    Taken,
    /// There is no chunk for it.
    Dropped,
    /// It is counted twice and written. At most one is, until the ledger begins anew.
    Doubled,
    /// It is counted, and somebody reads between its records and its bytes.
    Torn,
}

#[derive(Clone, Debug)]
enum Step {
    /// So many batches, of sizes out of [`SIZES`].
    Append(Vec<usize>),
    /// The engine empties the ring buffer.
    Engine(Vec<Fate>),
    /// A collect after so many milliseconds; the engine is seen to wait, or to have come back.
    Collect { millis: u64, waiting: Option<bool>, beat: bool },
}

/// Batches of one length each, and one that is as long as two.
const SIZES: [(u32, usize); 3] = [(1, 700), (1, 700), (2, 1_400)];

/// How much longer a batch can be.
const ROOM: usize = 100;

struct Liar {
    ledger: Ledger,
    now: Duration,
    reading: Reading,
    /// Ticket, records, bytes.
    ring: VecDeque<(u64, u32, usize)>,
    written: BTreeSet<u64>,
    /// Of batches, in the order of tickets.
    sizes: Vec<usize>,
    next: u64,
    settled: u64,
    doubled: bool,
    /// Whether batches are made unlike.
    padded: bool,
}

impl Liar {
    fn new(padded: bool) -> Self {
        let terms = Terms {
            commit_delay: Duration::ZERO,
            lost_after: LOST_AFTER,
            in_flight_batches: 64,
            in_flight_bytes: 1 << 20,
        };
        let reading =
            Reading { bytes: Some(0), writes: Some(0), pulse: Some(0), ..Reading::default() };
        Self {
            ledger: Ledger::new(Signal::Counters, terms),
            now: Duration::ZERO,
            reading,
            ring: VecDeque::new(),
            written: BTreeSet::new(),
            sizes: Vec::new(),
            next: 0,
            settled: 0,
            doubled: false,
            padded,
        }
    }

    fn append(&mut self, size: usize) {
        let at = usize::try_from(self.next).unwrap();
        // What is produced again is the same again.
        if at == self.sizes.len() {
            self.sizes.push(size);
        }
        let (records, bytes) = SIZES[self.sizes[at]];
        if !self.ledger.has_room(bytes) {
            return;
        }
        let padding = if self.padded { self.ledger.padding(bytes, ROOM) } else { Some(0) };
        let Some(padding) = padding else { return };
        let entry = (self.next, records, bytes + padding);
        self.ledger.appended(self.now, entry, self.reading);
        self.reading.writes = self.reading.writes.map(|writes| writes + 1);
        self.ring.push_back(entry);
        self.next += 1;
    }

    fn count(&mut self, records: u32, bytes: usize) {
        self.reading.records += u64::from(records);
        self.reading.bytes = self.reading.bytes.map(|all| all + bytes as u64);
    }

    fn engine(&mut self, fates: &[Fate]) {
        let mut fates = fates.iter().copied();
        while let Some((ticket, records, bytes)) = self.ring.pop_front() {
            match fates.next().unwrap_or(Fate::Taken) {
                Fate::Dropped => continue,
                Fate::Torn => {
                    self.count(records, 0);
                    self.collect(1, Some(false), false);
                    self.count(0, bytes);
                }
                Fate::Doubled if !self.doubled => {
                    self.doubled = true;
                    self.count(2 * records, 2 * bytes);
                }
                Fate::Doubled | Fate::Taken => self.count(records, bytes),
            }
            self.written.insert(ticket);
        }
    }

    fn collect(&mut self, millis: u64, waiting: Option<bool>, beat: bool) {
        self.now += Duration::from_millis(millis);
        if waiting == Some(true) || beat || 500 <= millis {
            // It has emptied the ring buffer since.
            self.engine(&[]);
        }
        if beat {
            self.reading.pulse = self.reading.pulse.map(|pulse| pulse + 5_000);
        }
        let wanted = self.ledger.wants_reading(self.now);
        let reading = wanted.then_some(Reading { waiting, ..self.reading });
        let lost = self.ledger.observe(self.now, reading, false);
        self.settle();
        if let Some(ticket) = lost {
            self.next = ticket;
            self.doubled = false;
        }
    }

    fn settle(&mut self) {
        while let Some(ticket) = self.ledger.pop_settled(self.now) {
            assert_eq!(ticket, self.settled, "out of order");
            assert!(self.written.contains(&ticket), "{ticket} was dropped: {:?}", self.ledger);
            self.settled += 1;
        }
    }

    /// From now on the host is honest, and everything arrives.
    fn finish(&mut self) {
        let owed = self.sizes.len() as u64;
        for _ in 0..5_000 {
            if self.settled == owed {
                return;
            }
            self.engine(&[]);
            self.collect(100, Some(true), true);
            while self.next < owed {
                let before = self.next;
                self.append(0);
                if self.next == before {
                    break;
                }
            }
        }
        panic!("{} of {owed} batches settled: {:?}", self.settled, self.ledger);
    }

    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Append(sizes) => sizes.iter().for_each(|size| self.append(*size)),
                Step::Engine(fates) => self.engine(fates),
                Step::Collect { millis, waiting, beat } => self.collect(*millis, *waiting, *beat),
            }
        }
        self.finish();
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Taken),
        3 => Just(Fate::Dropped),
        1 => Just(Fate::Doubled),
        1 => Just(Fate::Torn),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let append = prop::collection::vec(0..SIZES.len(), 1..9).prop_map(Step::Append);
    let engine = prop::collection::vec(fate(), 0..9).prop_map(Step::Engine);
    let millis = prop_oneof![9 => Just(100_u64), 1 => Just(31_000)];
    let waiting = prop_oneof![Just(None), Just(Some(false)), Just(Some(true))];
    let collect = (millis, waiting, any::<bool>())
        .prop_map(|(millis, waiting, beat)| Step::Collect { millis, waiting, beat });
    prop_oneof![1 => append, 1 => engine, 2 => collect]
}

/// A host that is honest with the first batch, which earns it trust, and then empties the ring
/// buffer with these fates.
fn after_the_first(padded: bool, fates: &[Fate]) -> Liar {
    let mut liar = Liar::new(padded);
    liar.append(0);
    liar.engine(&[]);
    liar.collect(100, Some(true), false);
    fates.iter().for_each(|_| liar.append(0));
    assert_eq!(liar.ring.len(), fates.len(), "all of them are under way");
    liar.engine(fates);
    liar
}

#[test]
fn batches_of_one_length_are_not_taken_for_each_other() {
    use Fate::{Doubled, Dropped, Taken};
    for fates in [
        &[Dropped, Taken][..],
        &[Taken, Dropped, Dropped, Taken, Taken, Taken, Taken],
        &[Dropped, Doubled, Dropped, Taken],
    ] {
        let mut liar = after_the_first(true, fates);
        (0..10).for_each(|_| liar.collect(100, Some(true), true));
        let honest = fates.iter().take_while(|fate| matches!(fate, Taken)).count() as u64;
        assert!(liar.settled <= 1 + honest, "{} settled", liar.settled);
        liar.finish();
    }
}

#[test]
#[should_panic(expected = "was dropped")]
fn without_their_padding_they_would_be() {
    let mut liar = after_the_first(false, &[Fate::Dropped, Fate::Taken]);
    (0..10).for_each(|_| liar.collect(100, Some(true), true));
}

proptest! {
    #[test]
    fn whatever_is_dropped_is_never_settled_and_arrives_in_the_end(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        Liar::new(true).run(&steps);
    }
}
