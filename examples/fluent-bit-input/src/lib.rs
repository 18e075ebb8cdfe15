//! An input that says something from time to time: the SDK by example.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant, SystemTime};

use fluent_bit_plugin::{
    Batch, Counter, EventWriter, Failure, Input, Kind, Logger, Notice, OptionSpec, Outbox, Setup,
    register_input,
};

struct Example {
    greeting: String,
    interval: Duration,
    greetings: Counter,
    logger: Logger,
}

impl Input for Example {
    const NAME: &'static str = "example";
    const DESCRIPTION: &'static str = "Greets from time to time";
    const OPTIONS: &'static [OptionSpec] = &[
        OptionSpec::new("greeting", Kind::Str, Some("hello"), "What to say."),
        OptionSpec::new("interval_sec", Kind::Time, Some("1s"), "How long between greetings."),
    ];

    fn new(setup: &mut Setup<'_>) -> Result<Self, Failure> {
        let properties = setup.properties();
        let interval = properties.time("interval_sec")?.unwrap_or_default();
        if interval.is_zero() {
            return Err(Failure::new("`interval_sec`: 0 is too short; use 1s or more"));
        }
        Ok(Self {
            greeting: properties.string("greeting").unwrap_or_default(),
            interval,
            greetings: setup.counter("greetings_total", "Greetings that arrived."),
            logger: setup.logger(),
        })
    }

    fn run(self, outbox: Outbox) -> Result<(), Failure> {
        let (mut count, mut next) = (0, Instant::now());
        loop {
            match outbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Some(Notice::Settled(_)) => self.greetings.inc(),
                Some(Notice::Returned(first)) => count = first, // Say those again.
                Some(Notice::Stop) => break,
                None => {
                    outbox.send(self.greet(count))?;
                    (count, next) = (count + 1, next + self.interval);
                }
            }
        }
        self.logger.info(format_args!("{} greetings arrived", self.greetings.value()));
        Ok(())
    }
}

impl Example {
    fn greet(&self, count: u64) -> Batch {
        let mut events = EventWriter::default();
        let body = |body: &mut fluent_bit_plugin::msgpack::Writer<'_>| {
            body.map(2);
            body.str("greeting");
            body.str(&self.greeting);
            body.str("count");
            body.uint(count);
        };
        events.event(SystemTime::now().into(), |metadata| metadata.map(0), body);
        let (msgpack, records) = events.take();
        Batch { ticket: count, tag: None, records, msgpack }
    }
}

register_input!(Example);
