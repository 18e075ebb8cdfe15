//! One `[INPUT]` section: opens the client in Init, runs it on the worker thread, and carries
//! Fluent Bit's notices back to it.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fluent_bit_plugin::{Failure, Input, Limits, Logger, Notice, OptionSpec, Outbox, Setup};
use m365_audit_client::{
    Client, Fleet, FleetHandle, Handle, RestartPause, Settings as ClientSettings, Sink, inspect,
};
use m365_audit_core::{BatchId, summarize};

use crate::many;
use crate::metrics::{HostMetrics, Subject};
use crate::options::{self, OPTIONS, Tags, Who};
use crate::postbox::Postbox;
use crate::sink::HostSink;
use crate::webhook::WebhookCounters;

/// What the worker still does after Fluent Bit's stop: write down what has settled. What has not
/// settled by then never will.
const STOP_GRACE: Duration = Duration::from_millis(250);

/// Batches that may wait for Fluent Bit: more than the core leaves undelivered, so that handing one
/// over does not block the client.
const QUEUE_BATCHES_MAX: usize = 16_384;

/// The core bounds what waits by the bytes of the records; as events, small ones are up to so many
/// times as large. With a commit delay the core does not bound it, and the queue blocks instead.
const EVENT_GROWTH_MAX: usize = 4;

/// Said when `db` would count what a stop of Fluent Bit takes along.
const MEMORY_WARNING: &str = "db is set and Fluent Bit keeps events in memory: what no output has \
    taken is lost when Fluent Bit stops, reloads its configuration or crashes, and db counts it as \
    delivered; remedy: storage.type = \"filesystem\" and storage.path, or commit_delay = \"60\", which \
    helps against outages of an output that are shorter";

/// The input.
#[derive(Debug)]
pub(crate) enum M365Audit {
    /// Collects one tenant.
    One(Box<Single>),
    /// Collects the tenants of a file.
    Many(Box<Fleet<many::Host>>),
}

/// One tenant's client.
#[derive(Debug)]
pub(crate) struct Single {
    client: Client<HostSink>,
    logger: Logger,
}

impl Input for M365Audit {
    const NAME: &'static str = "m365_audit";
    const DESCRIPTION: &'static str = "Microsoft 365 audit events";
    const OPTIONS: &'static [OptionSpec] = OPTIONS;

    fn new(setup: &mut Setup<'_>) -> Result<Self, Failure> {
        let mut settings = options::read(setup.properties()).map_err(|errors| lines(&errors))?;
        settings.name(setup.instance_name());
        if settings.tags != Tags::Instance && !setup.own_tags() {
            return Err(Failure::new(
                "tag_per_content_type and tag_per_tenant: this build of Fluent Bit exports no \
                 flb_input_log_append; leave them off, or use an official build",
            ));
        }
        setup.commit_delay(settings.commit_delay);
        let has_db = match &settings.who {
            Who::One(client) => client.native.db.is_some(),
            Who::Many(_, tenants) => {
                tenants.tenants.iter().any(|tenant| tenant.settings.native.db.is_some())
            }
        };
        if has_db && settings.commit_delay.is_zero() {
            setup.warn_of_memory(MEMORY_WARNING);
        }
        let growth = if settings.commit_delay.is_zero() { EVENT_GROWTH_MAX } else { 1 };
        setup.limits(Limits {
            queue_batches: QUEUE_BATCHES_MAX,
            queue_bytes: settings.buffer_bytes.saturating_mul(growth),
            in_flight_bytes: settings.buffer_bytes,
            ..Limits::default()
        });
        match settings.who {
            Who::One(client) => {
                check_state(&client)?;
                let (tenant_id, feeds) = (client.config.tenant_id(), client.config.feeds());
                let tenant_name = client.config.envelope().tenant_name.as_deref();
                let subject = Subject { tenant_id, tenant_name, feeds };
                let detail = client.native.status.detail;
                let metrics = HostMetrics::register(setup, &[subject], detail).swap_remove(0);
                let logger = setup.logger();
                let webhook = client.native.webhook.is_some();
                let webhook = webhook.then(|| WebhookCounters::new(setup));
                let tags = settings.tags.of_tenant(client.config.tenant_id());
                let envelope = client.config.envelope().clone();
                let sink = HostSink::new(logger.clone(), metrics, tags, envelope);
                let sink = sink.with_webhook(webhook);
                let client = Client::open(*client, |_handle| sink)?;
                Ok(Self::One(Box::new(Single { client, logger })))
            }
            Who::Many(file, tenants) => {
                let host = many::Host::new(setup, &tenants, settings.tags);
                Ok(Self::Many(Box::new(Fleet::open(file, tenants, false, host)?)))
            }
        }
    }

    fn run(self, outbox: Outbox) -> Result<(), Failure> {
        match self {
            Self::One(mut single) => {
                single.client.sink().connect(outbox.clone());
                let (notices, handle) = (outbox.clone(), single.client.handle());
                outbox.on_wake(move || carry(&notices, &handle));
                single.supervise(&outbox);
            }
            Self::Many(mut fleet) => {
                let postbox = fleet.host().connect(outbox.clone());
                let (notices, handle) = (outbox.clone(), fleet.handle());
                outbox.on_wake(move || carry_to_many(&notices, &postbox, &handle));
                // Supervises its clients itself.
                fleet.run();
            }
        }
        // The waker holds the outbox that holds the waker.
        outbox.on_wake(|| ());
        Ok(())
    }
}

impl Single {
    /// Runs the client until Fluent Bit stops, whatever happens to it.
    fn supervise(&mut self, outbox: &Outbox) {
        let mut pauses = RestartPause::new();
        loop {
            let start = Instant::now();
            // Each run starts from what is stored, so half-done work of the last one is harmless.
            let ended = catch_unwind(AssertUnwindSafe(|| self.client.run_until_shutdown()));
            if outbox.is_stopped() {
                return;
            }
            let problem = match ended {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!(
                    "panic: {}; remedy: report this with the log before it",
                    message(&*panic)
                ),
            };
            let pause = pauses.after(start.elapsed());
            let seconds = pause.as_secs();
            self.logger.error(format_args!(
                "{problem}; starting again from the stored state in {seconds} s"
            ));
            self.client.sink().reset();
            if stops_within(outbox, pause) {
                return;
            }
        }
    }
}

/// Refuses a state that cannot be continued from, before anything is started with it. A file that
/// is not even a state is for the client to refuse.
fn check_state(settings: &ClientSettings) -> Result<(), Failure> {
    let Some(db) = settings.native.db.as_ref().filter(|db| db.path.exists()) else {
        return Ok(());
    };
    let Ok(tenants) = inspect(db) else { return Ok(()) };
    let stored = tenants.get(settings.config.tenant_id());
    let problem = stored.and_then(|stored| summarize(stored).err());
    problem.map_or(Ok(()), |problem| {
        Err(Failure::new(format!("db = \"{}\": {problem}", db.path.display())))
    })
}

/// Tells the client what became of its batches. Called by Fluent Bit's thread; never blocks.
fn carry(notices: &Outbox, handle: &Handle) {
    while let Some(notice) = notices.try_recv() {
        match notice {
            Notice::Settled(ticket) => handle.delivered(BatchId(ticket)),
            Notice::Returned(ticket) => handle.returned(BatchId(ticket)),
            Notice::Stop => {
                handle.shutdown(STOP_GRACE);
                return; // It is told again and again.
            }
        }
    }
}

/// The same for many clients.
fn carry_to_many(notices: &Outbox, postbox: &Postbox, handle: &FleetHandle) {
    while let Some(notice) = notices.try_recv() {
        match notice {
            Notice::Settled(ticket) => postbox.settled(ticket),
            Notice::Returned(ticket) => postbox.returned(ticket),
            Notice::Stop => {
                handle.shutdown(STOP_GRACE);
                return; // It is told again and again.
            }
        }
    }
}

/// Waits; answers whether Fluent Bit stopped meanwhile. What settles now belongs to a run that is
/// over.
fn stops_within(outbox: &Outbox, pause: Duration) -> bool {
    let end = Instant::now() + pause;
    loop {
        match outbox.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Some(Notice::Stop) => return true,
            Some(Notice::Settled(_) | Notice::Returned(_)) => {}
            None => return false,
        }
    }
}

fn lines<E: Display>(errors: &[E]) -> Failure {
    Failure::new(errors.iter().map(|error| format!("{error}\n")).collect::<String>())
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
