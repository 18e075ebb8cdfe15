//! The driver in virtual time: no socket, no clock, no thread.

use std::collections::BTreeMap;
use std::time::Duration;

use m365_audit_core::{
    Batch, BatchId, Collector, Commit, Config, Event, Input, Io, Metrics, Now, Outcome, Presented,
    Request, RequestId, Stored, Utc,
};
use m365_audit_tests::simulation::{Arrival, Draw, Network};
use m365_sim::Microsoft;

use crate::world::{Collected, START_MS, World};

/// The longest chunk of a body.
const CHUNK_BYTES_MAX: u64 = 16_384;

/// What passes here in no time passes as it is for the other drivers.
const WAITS_MS_MAX: i64 = 60_000;

/// Collects to the end.
pub(crate) fn collect(world: &World) -> Collected {
    let microsoft = world.microsoft();
    let options = world.options(&microsoft, None);
    let config = Config::parse(&options).unwrap().once(true);
    let mut driver = Driver {
        microsoft,
        network: Network::default(),
        draw: Draw::new(world.sim.seed),
        now_ms: START_MS,
        agenda: BTreeMap::new(),
        number: 0,
        records: Vec::new(),
        batches: 0,
        fails_at: world.fails_at,
        unconfirmed: Vec::new(),
        stored: Stored::new(),
    };
    loop {
        let (seed, now) = (driver.draw.next(), driver.now());
        let mut collector =
            Collector::new(config.clone(), &driver.stored, seed.into(), now).unwrap();
        if m365_audit_core::run(&mut collector, &mut driver).is_ok() {
            assert_eq!(collector.outcome(), Outcome::Complete);
            assert!(driver.fails_at.is_none(), "there were fewer batches");
            let took_ms = driver.now_ms - START_MS;
            assert!(took_ms < WAITS_MS_MAX, "the others would wait for {took_ms} ms");
            return Collected { records: driver.records, stored: driver.stored };
        }
        driver.network = Network::default();
        driver.agenda.clear();
        driver.unconfirmed.clear();
    }
}

struct Driver {
    microsoft: Microsoft,
    network: Network,
    draw: Draw,
    now_ms: i64,
    /// What arrives when, in order.
    agenda: BTreeMap<(i64, u64), Input>,
    number: u64,
    records: Vec<Vec<u8>>,
    batches: usize,
    fails_at: Option<usize>,
    unconfirmed: Vec<BatchId>,
    stored: Stored,
}

/// The sink did not take a batch.
struct Refused;

impl Driver {
    fn arrive(&mut self, (after_ms, input): Arrival) {
        self.number += 1;
        self.agenda.insert((self.now_ms + after_ms, self.number), input);
    }
}

impl Io for Driver {
    type Error = Refused;

    fn now(&mut self) -> Now {
        let since = (self.now_ms - START_MS).unsigned_abs();
        Now { monotonic: Duration::from_millis(since), wall: Utc::from_millis(self.now_ms) }
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap();
        let (network, microsoft) = (&mut self.network, &mut self.microsoft);
        let arrival = network.send(microsoft, self.now_ms, id, &request, timeout_ms);
        self.arrive(arrival);
    }

    fn read(&mut self, id: RequestId) {
        if let Some(arrival) = self.network.read(id, CHUNK_BYTES_MAX, &mut self.draw) {
            self.arrive(arrival);
        }
    }

    fn cancel(&mut self, id: RequestId) {
        self.network.cancel(id);
    }

    fn credential(&mut self) -> Presented {
        Presented::unchanged([7; 32])
    }

    fn emit(&mut self, batch: Batch) -> Result<(), Refused> {
        self.batches += 1;
        if self.fails_at == Some(self.batches) {
            self.fails_at = None;
            return Err(Refused);
        }
        self.records.extend(batch.records.iter().map(|record| record.raw.to_vec()));
        self.unconfirmed.push(batch.id);
        Ok(())
    }

    fn commit(&mut self, commit: Commit) -> Result<(), Refused> {
        commit.apply(&mut self.stored);
        Ok(())
    }

    fn observe(&mut self, _: Event) {}

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        _: &Metrics,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Refused> {
        inputs.extend(self.unconfirmed.drain(..).map(Input::Delivered));
        if !inputs.is_empty() {
            return Ok(());
        }
        let timer_ms = timeout.map(|timeout| {
            // Rounded up, as timers are: else it would be an idle turn.
            self.now_ms + i64::try_from(timeout.as_micros().div_ceil(1_000)).unwrap()
        });
        let next_ms = self.agenda.first_key_value().map(|((at_ms, _), _)| *at_ms);
        let until_ms = timer_ms.into_iter().chain(next_ms).min();
        self.now_ms = self.now_ms.max(until_ms.expect("something to wait for"));
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= self.now_ms
        {
            inputs.push(entry.remove());
        }
        Ok(())
    }
}
