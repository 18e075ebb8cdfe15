//! What an author implements, and what is at hand while an instance starts.

use std::time::Duration;

use crate::abi::Host;
use crate::failure::Failure;
use crate::log::Logger;
use crate::metrics::{Counter, Gauge, Metric, Registry};
use crate::options::OptionSpec;
use crate::outbox::{Limits, Outbox};
use crate::properties::Properties;
use crate::terms::{LOST_AFTER, Terms};

/// A Fluent Bit input. One value of the type is one `[INPUT]` section.
///
/// Hand the type to [`register_input!`](crate::register_input).
pub trait Input: Send + Sized + 'static {
    /// What users write as `name`. Lower snake case, at most 28 characters, without `in_`.
    const NAME: &'static str;

    /// One line for `--help`.
    const DESCRIPTION: &'static str;

    /// All options. Checked at compile time (see [`options::check`](crate::options::check)).
    /// Fluent Bit 5.1.1 and later refuse others, and so do `--dry-run` and a hot reload; earlier
    /// versions ignore them in silence.
    const OPTIONS: &'static [OptionSpec];

    /// Starts an instance: reads options, opens files, creates metrics.
    ///
    /// Runs on the instance's input thread while the whole engine waits: no network, nothing slow.
    /// At a hot reload the old instance has stopped before.
    ///
    /// # Errors
    /// The failure is logged and Fluent Bit does not start. Name all mistakes at once.
    fn new(setup: &mut Setup<'_>) -> Result<Self, Failure>;

    /// The work, on a thread of its own: fetch, send batches, record what settles.
    ///
    /// Return soon after [`Notice::Stop`](crate::Notice::Stop): Fluent Bit waits for it, for
    /// 5 s at most. Everything the instance holds (files, locks, threads) has to be given back by
    /// then, because a hot reload starts the next instance right after.
    ///
    /// # Errors
    /// Logged as an error; so is a panic. The instance then stays silent until Fluent Bit is
    /// restarted or reloaded. Returning `Ok` before `Stop` means that there is nothing more to do.
    fn run(self, outbox: Outbox) -> Result<(), Failure>;
}

/// An instance that is starting: its options, log and metrics, and how it wants to be served.
#[derive(Debug)]
pub struct Setup<'a> {
    host: &'a Host,
    options: &'static [OptionSpec],
    logger: Logger,
    registry: Registry,
    limits: Limits,
    commit_delay: Duration,
    lost_after: Duration,
    memory_warning: Option<&'static str>,
}

/// What an author's `new` left behind, without the borrow of the host.
pub(crate) struct Plan {
    pub(crate) logger: Logger,
    pub(crate) registry: Registry,
    pub(crate) limits: Limits,
    pub(crate) terms: Terms,
    pub(crate) memory_warning: Option<&'static str>,
}

impl<'a> Setup<'a> {
    pub(crate) fn new(host: &'a Host, options: &'static [OptionSpec], logger: Logger) -> Self {
        Self {
            host,
            options,
            logger,
            registry: Registry::default(),
            limits: Limits::default(),
            commit_delay: Duration::ZERO,
            lost_after: LOST_AFTER,
            memory_warning: None,
        }
    }

    /// What it has come to.
    pub(crate) fn finish(self) -> Plan {
        let Limits { in_flight_batches, in_flight_bytes, .. } = self.limits;
        Plan {
            logger: self.logger,
            registry: self.registry,
            limits: self.limits,
            terms: Terms {
                commit_delay: self.commit_delay,
                lost_after: self.lost_after,
                in_flight_batches,
                in_flight_bytes,
            },
            memory_warning: self.memory_warning,
        }
    }

    /// The options' values.
    #[must_use]
    pub fn properties(&self) -> Properties<'a> {
        Properties::new(self.host, self.options)
    }

    /// The log, to be cloned into other threads.
    #[must_use]
    pub fn logger(&self) -> Logger {
        self.logger.clone()
    }

    /// The instance's alias, else its name (`heartbeat.0`). On hosts that do not export
    /// `flb_input_name` the plugin's name.
    #[must_use]
    pub fn instance_name(&self) -> &'a str {
        self.host.name()
    }

    /// Whether [`Batch::tag`](crate::Batch::tag) works here. If not, everything appears under the
    /// instance's tag.
    #[must_use]
    pub fn own_tags(&self) -> bool {
        self.host.can_append()
    }

    /// How much may wait. Default: [`Limits::default`].
    pub fn limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How long after the host has written a batch into a chunk it settles. Default zero, which is
    /// right with `storage.type filesystem` but for a power failure: when the chunk's pages reach
    /// the disk is the kernel's affair, within about half a minute. With chunks in memory a crash
    /// loses what no output has taken yet: a delay of a minute makes such a loss unlikely, at the
    /// price of duplicates after each restart. See [`Setup::warn_of_memory`].
    pub fn commit_delay(&mut self, delay: Duration) {
        self.commit_delay = delay;
    }

    /// A line to be logged once, as a warning, if chunks of this input turn out to be in memory.
    ///
    /// Fluent Bit shows an input no `storage.type`. But it maps chunks that are files into the
    /// process. If none is seen soon after each of the first 20 times that something was counted,
    /// or while chunks stay where they are for some ten seconds because no output takes them, then
    /// there is none.
    pub fn warn_of_memory(&mut self, warning: &'static str) {
        self.memory_warning = Some(warning);
    }

    /// How long Fluent Bit, unpaused, may take nothing of what it was given before that counts as
    /// lost and is [returned](crate::Notice::Returned). Default 30 s. Too short repeats events
    /// while a slow filter holds the engine.
    pub fn lost_after(&mut self, patience: Duration) {
        self.lost_after = patience;
    }

    /// A counter, shown as `fluentbit_input_<plugin>_<name>{name="<instance>"}`.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        let metric = Metric { name, help, label_keys: &[], label_values: &[&[]] };
        self.registry.counters(self.host, metric).swap_remove(0)
    }

    /// A counter for each set of label values, in their order. All sets have to be known now: the
    /// host's lists must not change later.
    ///
    /// All instances of the input have to give a name the same label keys. Where two differ, Fluent
    /// Bit shows no metrics at all any more, of anything.
    ///
    /// # Panics
    /// A set has more or fewer values than there are keys.
    pub fn counters(
        &mut self,
        name: &str,
        help: &str,
        label_keys: &[&str],
        label_values: &[&[&str]],
    ) -> Vec<Counter> {
        self.registry.counters(self.host, Metric { name, help, label_keys, label_values })
    }

    /// A gauge, shown as `fluentbit_input_<plugin>_<name>{name="<instance>"}`.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let metric = Metric { name, help, label_keys: &[], label_values: &[&[]] };
        self.registry.gauges(self.host, metric).swap_remove(0)
    }

    /// A gauge for each set of label values; see [`Setup::counters`].
    ///
    /// # Panics
    /// A set has more or fewer values than there are keys.
    pub fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label_keys: &[&str],
        label_values: &[&[&str]],
    ) -> Vec<Gauge> {
        self.registry.gauges(self.host, Metric { name, help, label_keys, label_values })
    }
}
