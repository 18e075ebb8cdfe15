//! A plugin for the harness: well-behaved or not, as its `mode` says.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fmt;
use std::panic;
use std::thread;
use std::time::Duration;

use fluent_bit_plugin::msgpack::Writer;
use fluent_bit_plugin::{
    Batch, Counter, EventTime, EventWriter, Failure, Input, Kind, Limits, Logger, Notice,
    OptionSpec, Outbox, Setup, register_input,
};

/// The number in the first of batches that are alike.
const FIRST_ALIKE: u64 = 100_000;

struct Trap {
    mode: String,
    batches: u64,
    own_tags: bool,
    sent: Counter,
    by_kind: Vec<Counter>,
    logger: Logger,
}

impl Input for Trap {
    const NAME: &'static str = "trap";
    const DESCRIPTION: &'static str = "Misbehaves on demand";
    const OPTIONS: &'static [OptionSpec] = &[
        OptionSpec::new("mode", Kind::Str, Some("count"), "How to misbehave."),
        OptionSpec::new("batches", Kind::Int, Some("10"), "How many batches to send."),
        OptionSpec::new("own_tags", Kind::Bool, Some("off"), "A tag for each batch."),
        OptionSpec::new("lost_after", Kind::Time, Some("30s"), "When to send again."),
        OptionSpec::new("in_flight", Kind::Size, Some("16M"), "Bytes in the ring buffer."),
        OptionSpec::new("commit_delay", Kind::Time, Some("0"), "When to settle."),
    ];

    fn new(setup: &mut Setup<'_>) -> Result<Self, Failure> {
        // It panics on purpose; the SDK logs it, and nobody wants it on stderr too.
        panic::set_hook(Box::new(|_| {}));
        let properties = setup.properties();
        let mode = properties.string("mode").unwrap_or_default();
        match mode.as_str() {
            "fail_new" => return Err(Failure::new("first mistake\nsecond mistake")),
            "panic_new" => panic!("in new"),
            _ => {}
        }
        let in_flight_bytes = properties.size("in_flight")?.and_then(|n| n.try_into().ok());
        let limits = Limits::default();
        setup.limits(Limits {
            in_flight_bytes: in_flight_bytes.unwrap_or(limits.in_flight_bytes),
            queue_bytes: in_flight_bytes.unwrap_or(limits.queue_bytes),
            ..limits
        });
        setup.lost_after(properties.time("lost_after")?.unwrap_or_default());
        setup.commit_delay(properties.time("commit_delay")?.unwrap_or_default());
        Ok(Self {
            mode,
            batches: properties.int("batches")?.and_then(|n| n.try_into().ok()).unwrap_or(0),
            own_tags: properties.bool("own_tags")?.unwrap_or_default() && setup.own_tags(),
            sent: setup.counter("sent_total", "Batches sent."),
            by_kind: setup.counters("kinds_total", "By kind.", &["kind"], &[&["odd"], &["even"]]),
            logger: setup.logger(),
        })
    }

    fn run(self, outbox: Outbox) -> Result<(), Failure> {
        match self.mode.as_str() {
            "fail_run" => return Err(Failure::new("in run")),
            "panic_run" => panic!("in run"),
            "tables" => fill_tables(),
            "panic_waker" => outbox.on_wake(|| panic!("in the waker")),
            "panic_log" => self.logger.info(Unprintable),
            "log_thread" => self.log_from_another_thread(),
            "flood" => return self.flood(&outbox),
            "deep" => return self.deep(&outbox),
            "alike" => {}
            "deaf" => return self.deaf(&outbox),
            "hang" => loop {
                thread::park();
            },
            _ => {}
        }
        self.count(&outbox)
    }
}

/// Hash tables of a size that is no multiple of 16. Where one does not lie at such a multiple, an
/// aligned load ends the process.
fn fill_tables() {
    let tables: Vec<HashSet<u64>> = (0..10_000).map(|n| HashSet::from([n, n + 1, n + 2])).collect();
    assert!(tables.iter().zip(0..).all(|(table, n)| table.contains(&n)));
}

impl Trap {
    /// Sends numbered batches, begins again where it is told, says what has settled.
    fn count(&self, outbox: &Outbox) -> Result<(), Failure> {
        let mut next = 0;
        loop {
            while next < self.batches {
                if let Some(notice) = outbox.try_recv() {
                    if !self.note(notice, &mut next) {
                        return Ok(());
                    }
                    continue;
                }
                outbox.send(self.batch(next))?;
                next += 1;
            }
            let notice = outbox.recv();
            if !self.note(notice, &mut next) {
                return Ok(());
            }
        }
    }

    fn note(&self, notice: Notice, next: &mut u64) -> bool {
        match notice {
            Notice::Settled(ticket) => self.logger.info(format_args!("settled {ticket}")),
            Notice::Returned(ticket) => {
                self.logger.info(format_args!("returned {ticket}"));
                *next = ticket;
            }
            Notice::Stop => {
                self.logger.info("told to stop");
                return false;
            }
        }
        true
    }

    /// One event, as long as that of any other batch.
    fn alike(&self, ticket: u64) -> Batch {
        let mut events = EventWriter::default();
        events.event(
            EventTime::from_unix(1_700_000_000, 0),
            |metadata| metadata.map(0),
            |body| {
                body.map(3);
                body.str("n");
                // Five bytes, whatever the ticket.
                body.uint(FIRST_ALIKE + ticket);
                for name in ["Operation", "UserId"] {
                    body.str(name);
                    body.str("the same as ever");
                }
            },
        );
        let (msgpack, records) = events.take();
        Batch { ticket, tag: self.own_tags.then(|| format!("trap.{ticket}")), records, msgpack }
    }

    /// Two events.
    fn batch(&self, ticket: u64) -> Batch {
        if self.mode == "alike" {
            return self.alike(ticket);
        }
        let mut events = EventWriter::default();
        for half in 0..2 {
            events.event(
                EventTime::from_unix(1_700_000_000, 0),
                |metadata| metadata.map(0),
                |body| {
                    body.map(2);
                    body.str("n");
                    body.uint(2 * ticket + half);
                    body.str("text");
                    body.str(&format!("event {}", 2 * ticket + half));
                },
            );
        }
        self.sent.inc();
        self.by_kind[usize::from(ticket.is_multiple_of(2))].inc();
        let (msgpack, records) = events.take();
        Batch { ticket, tag: self.own_tags.then(|| format!("trap.{ticket}")), records, msgpack }
    }

    /// For each depth up to `batches` one batch: an event of that depth, then a shallow one.
    fn deep(&self, outbox: &Outbox) -> Result<(), Failure> {
        for depth in 1..=self.batches {
            let mut events = EventWriter::default();
            let time = EventTime::from_unix(1_700_000_000, 0);
            let deep = |body: &mut Writer<'_>| {
                body.map(2);
                body.str("n");
                body.uint(depth);
                body.str("text");
                // The innermost container is empty: it counts all the same.
                (2..depth).for_each(|_| body.array(1));
                if depth > 1 {
                    body.array(0);
                } else {
                    body.nil();
                }
            };
            events.event(time, |metadata| metadata.map(0), deep);
            let shallow = |body: &mut Writer<'_>| {
                body.map(1);
                body.str("n");
                body.uint(1_000 + depth);
            };
            events.event(time, |metadata| metadata.map(0), shallow);
            let (msgpack, records) = events.take();
            let tag = Some(format!("depth.{depth}"));
            outbox.send(Batch { ticket: depth, tag, records, msgpack })?;
        }
        let mut next = 0;
        while self.note(outbox.recv(), &mut next) {}
        Ok(())
    }

    /// Batches of 1 MiB, 512 events each, as fast as they are taken; then silence.
    fn flood(&self, outbox: &Outbox) -> Result<(), Failure> {
        let text = "x".repeat(2_000);
        for ticket in 0..self.batches {
            let mut events = EventWriter::with_capacity(1 << 20);
            for n in 0..512 {
                events.event(
                    EventTime::from_unix(1_700_000_000, 0),
                    |metadata| metadata.map(0),
                    |body| {
                        body.map(2);
                        body.str("n");
                        body.uint(512 * ticket + n);
                        body.str("text");
                        body.str(&text);
                    },
                );
            }
            let (msgpack, records) = events.take();
            outbox.send(Batch { ticket, tag: None, records, msgpack })?;
            while outbox.try_recv().is_some() {}
        }
        while outbox.recv() != Notice::Stop {}
        Ok(())
    }

    /// Fills the queue and never listens.
    fn deaf(&self, outbox: &Outbox) -> Result<(), Failure> {
        for ticket in 0.. {
            outbox.send(self.batch(ticket))?;
        }
        Ok(())
    }

    fn log_from_another_thread(&self) {
        let logger = self.logger.clone();
        let other = thread::spawn(move || {
            logger.warn("from a foreign thread\nforged [error] line\0");
            thread::park_timeout(Duration::ZERO);
        });
        drop(other.join());
    }
}

struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("while printing")
    }
}

register_input!(Trap);
