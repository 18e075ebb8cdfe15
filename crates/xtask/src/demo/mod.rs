//! `cargo xtask demo`: seven days of a simulated tenant through the real collector, and a table
//! that says whether all of it arrived.

mod canonical;
mod display;
mod live;
pub(crate) mod native;
mod shipper;
mod tally;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::display::Display;
use self::live::Live;
use self::tally::{Arrival, Published, Tally};
use crate::artifacts::Artifacts;
use crate::component;
use crate::fluent_bit;
use crate::proc;
use crate::shell::{self, Process, print, say};
use crate::simulator::{CONTENT_TYPES, Simulator};

/// Of so many events one is shown.
const SUMMARY_EVERY: usize = 15_000;
/// Messages that may wait to be counted; the collector waits beyond.
const MESSAGES_MAX: usize = 50_000;
/// Without an event for so long, faults that last are healed, then it is given up.
const STALL: Duration = Duration::from_secs(10);
const GIVE_UP: Duration = Duration::from_secs(60);
/// How long a collector may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// Blobs an hour and content type. Seven days are then about 1,260 blobs, which the usual 2,000
/// requests a minute allow within one.
const BLOBS_PER_HOUR: f64 = 1.5;

/// What runs the collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shipper {
    /// Fluent Bit if there is one, else natively.
    #[default]
    Auto,
    /// Real Fluent Bit with the plugin.
    FluentBit,
    /// `m365-audit run`.
    Native,
    /// `m365-audit host run`, with the WASM component inside.
    Wasm,
}

impl std::str::FromStr for Shipper {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "fluent-bit" => Ok(Self::FluentBit),
            "native" => Ok(Self::Native),
            "wasm" => Ok(Self::Wasm),
            _ => bail!("--shipper {text}: use auto, fluent-bit, native or wasm"),
        }
    }
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// What runs the collector.
    pub(crate) shipper: Shipper,
    /// Everything random follows from it.
    pub(crate) seed: u64,
    /// Days of history.
    pub(crate) days: f64,
    /// Events in the history, about.
    pub(crate) events: u64,
    /// `none`, `field`, `hostile`, or a file.
    pub(crate) faults: String,
    /// Keep publishing until Ctrl-C.
    pub(crate) live: bool,
    /// With `live`, until so much time has passed.
    pub(crate) live_for: Option<Duration>,
}

impl Options {
    /// A small one, as a smoke test: of what other checks have built. Fluent Bit is the tests'.
    pub(crate) fn smoke() -> Self {
        Self {
            shipper: Shipper::Native,
            seed: 2,
            days: 1.0,
            events: 20_000,
            faults: "none".into(),
            live: false,
            live_for: None,
        }
    }
}

/// Options of the collector, by the names that every packaging shares.
#[derive(Clone, Debug)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// What collects from a simulator, over https, each second.
    pub(crate) fn of(simulator: &Simulator) -> Self {
        let ready = |name: &str| simulator.ready(name).to_owned();
        Self(vec![
            ("tenant_id", ready("tenant_id")),
            ("client_id", ready("client_id")),
            ("client_secret", ready("client_secret")),
            ("api_url", ready("https")),
            ("login_url", ready("https")),
            ("resource", ready("https")),
            ("ca_file", ready("ca_file")),
            ("content_types", CONTENT_TYPES.join(", ")),
            ("interval_sec", "1".into()),
        ])
    }

    /// Sets one, whether it was set before or not.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value.to_owned()));
        self
    }

    /// All of them, with the state in `folder`.
    pub(crate) fn all(&self, folder: &Path) -> impl Iterator<Item = (&'static str, String)> {
        let db = ("db", folder.join("state.db").display().to_string());
        self.0.iter().cloned().chain([db])
    }
}

#[derive(Debug)]
enum Message {
    Owed(Published),
    /// All that was owed when it was asked.
    OwedAll,
    Arrived(Arrival),
    Failed(anyhow::Error),
}

/// Where collectors put what arrives.
#[derive(Clone)]
pub(crate) struct Arrivals {
    sender: SyncSender<Message>,
    count: Arc<AtomicUsize>,
}

/// What arrives, for whoever counts it otherwise.
#[derive(Debug)]
pub(crate) struct Arrived(Receiver<Message>);

impl Arrived {
    /// The next event, if there is one soon.
    ///
    /// # Errors
    /// The collector has ended.
    pub(crate) fn next(&self, patience: Duration) -> Result<Option<Arrival>> {
        match self.0.recv_timeout(patience) {
            Ok(Message::Arrived(arrival)) => Ok(Some(arrival)),
            Ok(_) | Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the collector ended by itself"),
        }
    }

    /// Takes everything until the collector ends.
    pub(crate) fn drain(self) {
        self.0.into_iter().for_each(drop);
    }
}

impl Arrivals {
    /// Where a collector puts what arrives, and where it can be taken from.
    pub(crate) fn channel() -> (Self, Arrived) {
        let (sender, messages) = sync_channel(MESSAGES_MAX);
        (Self { sender, count: Arc::default() }, Arrived(messages))
    }

    /// Whether the next event should come with a line about it.
    pub(crate) fn wants_summary(&self) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(SUMMARY_EVERY)
    }

    /// Hands an event over. `false`: the demo is over.
    pub(crate) fn send(&self, arrival: Arrival) -> bool {
        self.sender.send(Message::Arrived(arrival)).is_ok()
    }
}

/// A line about an event.
fn summary(content_type: &str, field: &impl Fn(&str) -> Option<String>) -> String {
    let field = |name: &str| field(name).unwrap_or_else(|| "-".into());
    let short = |text: String| text.chars().take(40).collect::<String>();
    let [time, operation, user] = ["CreationTime", "Operation", "UserId"].map(|n| short(field(n)));
    format!("        e.g. {content_type:27}{time:22}{operation:32}{user}")
}

/// Runs the demo.
///
/// # Errors
/// Something is missing, changed or illegal at the end, or a part cannot be built or started.
pub(crate) fn run(options: &Options) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let flag = Arc::clone(&stop);
        signal_hook::flag::register(signal, flag).context("signals cannot be watched")?;
    }
    // After Ctrl-C the rest still has to arrive, and be compared with what was published.
    shell::keep_signals_from_processes();
    let fluent_bit = match options.shipper {
        Shipper::Native | Shipper::Wasm => None,
        Shipper::Auto | Shipper::FluentBit => fluent_bit::find()?,
    };
    if fluent_bit.is_none() && options.shipper == Shipper::FluentBit {
        bail!("no Fluent Bit: {}", fluent_bit::REMEDY);
    }
    let built = match options.shipper {
        Shipper::Wasm => {
            let component = component::build_by_any()?.path;
            Artifacts::build_with_host(&["m365-sim", "m365-audit"], &component)?
        }
        _ if fluent_bit.is_some() => Artifacts::packages(&["m365-sim", "in_m365_audit"])?,
        _ => Artifacts::programs(&["m365-sim", "m365-audit"])?,
    };
    let simulator = Simulator::start(built.path("m365-sim")?, &world(options))?;
    say(&format!(
        "Microsoft, simulated: {} (seed {}, {} days of history, faults: {})",
        simulator.ready("https"),
        options.seed,
        options.days,
        options.faults
    ));
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let settings = Settings::of(&simulator);
    let (sender, messages) = sync_channel(MESSAGES_MAX);
    let arrivals = Arrivals { sender: sender.clone(), count: Arc::default() };
    let place = Place { folder: folder.path(), settings: &settings };
    let collector = start(options.shipper, fluent_bit.as_deref(), &built, &place, arrivals)?;
    let mut demo = Demo {
        simulator: Arc::new(simulator),
        collector,
        sender,
        messages,
        stop,
        loading: false,
        moved: Instant::now(),
        healed: options.faults == "none",
        begun: Instant::now(),
        live: options.live.then(|| Live::new(options.live_for)),
        tally: Tally::default(),
        display: Display::new(),
    };
    let done = demo.collect().and_then(|()| demo.finish());
    demo.display.close();
    if done.is_err() {
        let folder = folder.keep();
        say(&format!("The collector's log: {}", folder.join("collector.log").display()));
    }
    done
}

/// Where a collector runs, and with which options.
struct Place<'a> {
    folder: &'a Path,
    settings: &'a Settings,
}

/// Starts the collector, and says which.
fn start(
    shipper: Shipper,
    fluent_bit: Option<&Path>,
    built: &Artifacts,
    place: &Place<'_>,
    arrivals: Arrivals,
) -> Result<Process> {
    let Place { folder, settings } = place;
    match fluent_bit {
        Some(executable) => {
            say(&format!("Collector: in_m365_audit.so in {}", executable.display()));
            let plugin = built.path("in_m365_audit")?;
            shipper::start(executable, plugin, folder, settings, arrivals)
        }
        None if shipper == Shipper::Wasm => {
            say("Collector: the WASM component in m365-audit host run");
            let program = built.path("m365-audit")?;
            native::start_host(program, folder, settings, arrivals)
        }
        None => {
            say(
                "Collector: m365-audit run, because there is no Fluent Bit or native was asked for",
            );
            native::start(built.path("m365-audit")?, folder, settings, arrivals)
        }
    }
}

/// The simulator's options.
fn world(options: &Options) -> Vec<String> {
    let blobs = (5.0 * 24.0 * options.days * BLOBS_PER_HOUR).max(1.0);
    let mean = (options.events as f64 / blobs).max(1.0).round();
    let span = format!("{}..{}", (mean * 0.5).ceil(), (mean * 1.5).floor());
    let words = [
        ("--seed", options.seed.to_string()),
        ("--days", options.days.to_string()),
        ("--blobs-per-hour", "1..2".into()),
        ("--records-per-blob", span),
        ("--faults", options.faults.clone()),
    ];
    words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

struct Demo {
    simulator: Arc<Simulator>,
    collector: Process,
    sender: SyncSender<Message>,
    messages: Receiver<Message>,
    stop: Arc<AtomicBool>,
    loading: bool,
    moved: Instant,
    healed: bool,
    begun: Instant,
    live: Option<Live>,
    tally: Tally,
    display: Display,
}

impl Demo {
    /// Until everything that is owed has arrived.
    fn collect(&mut self) -> Result<()> {
        self.load();
        loop {
            self.take(Duration::from_millis(50))?;
            let stopped = self.stop.load(Ordering::Relaxed);
            match &mut self.live {
                Some(live) if !live.is_over(stopped) => {
                    live.publish(&self.simulator)?;
                    self.moved = Instant::now();
                    continue;
                }
                Some(live) if !live.is_closed() => {
                    live.close();
                    self.display.say("No more is published; the rest arrives ...");
                    self.load();
                    continue;
                }
                None if stopped => bail!("interrupted"),
                _ => {}
            }
            if !self.loading && self.tally.is_complete() {
                // Content that came late came before it was known to be owed.
                if self.tally.unknown() == 0 || self.healed_unknown()? {
                    return Ok(());
                }
            }
            if !self.is_moving()? {
                return Ok(());
            }
        }
    }

    /// Asks once more what is owed. Whether nothing that arrived is unknown then, or it is too late
    /// for it to become known.
    fn healed_unknown(&mut self) -> Result<bool> {
        let before = self.tally.unknown();
        self.load();
        while self.loading {
            self.take(Duration::from_millis(50))?;
        }
        Ok(self.tally.is_complete() && self.tally.unknown() == before)
    }

    /// Heals after a while without an event; `false` after a longer one.
    fn is_moving(&mut self) -> Result<bool> {
        let still = self.moved.elapsed();
        if STALL < still && !self.healed {
            self.healed = true;
            self.display.say("Nothing arrives: Microsoft heals, so what was poisoned can be read");
            self.simulator.heal()?;
            self.load();
        }
        Ok(still < GIVE_UP)
    }

    /// Asks, in the background, what is owed.
    fn load(&mut self) {
        self.loading = true;
        let (simulator, sender) = (Arc::clone(&self.simulator), self.sender.clone());
        std::thread::spawn(move || {
            let done = simulator.owed(|line| {
                // The demo is over when nobody receives.
                sender.send(Message::Owed(Published::parse(line)?)).context("the demo is over")
            });
            // As above.
            let _ = sender.send(match done {
                Ok(()) => Message::OwedAll,
                Err(error) => Message::Failed(error),
            });
        });
    }

    /// Takes what has come, waits a while for it, and shows where things stand.
    fn take(&mut self, patience: Duration) -> Result<()> {
        let mut next = self.messages.recv_timeout(patience);
        let mut taken = 0;
        while let Ok(message) = next {
            match message {
                Message::Owed(published) => self.tally.owe(published),
                Message::OwedAll => self.loading = false,
                Message::Failed(error) => return Err(error),
                Message::Arrived(arrival) => self.arrive(&arrival),
            }
            taken += 1;
            if taken == MESSAGES_MAX {
                break;
            }
            next = self.messages.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
        if let Some(status) = self.collector.ended() {
            bail!("the collector ended by itself ({status}); its log says why");
        }
        let more = self.live.as_ref().map(Live::text).unwrap_or_default();
        self.display.show(&self.tally, &more);
        Ok(())
    }

    fn arrive(&mut self, arrival: &Arrival) {
        self.moved = Instant::now();
        self.tally.arrive(arrival);
        if let Some(live) = &mut self.live {
            live.arrive(&arrival.content_id);
        }
        if let Some(summary) = &arrival.summary {
            self.display.say(summary);
        }
    }

    /// Stops the collector, and judges.
    fn finish(&mut self) -> Result<()> {
        let took = self.moved.duration_since(self.begun);
        let (cpu, peak) = (proc::cpu(self.collector.id()), proc::peak(self.collector.id()));
        let ended = self.collector.stop(STOP_PATIENCE)?;
        // What was under way counts too, as duplicates.
        while let Ok(message) = self.messages.recv_timeout(Duration::from_millis(300)) {
            if let Message::Arrived(arrival) = message {
                self.tally.arrive(&arrival);
            }
        }
        self.display.close();
        let report = self.simulator.report()?;
        print(&format!("\n{}", display::table(&self.tally)));
        if let Some(live) = &self.live {
            print(&live.last_words());
        }
        let total = self.tally.total();
        print(&format!(
            "{:.1} s, {:.0} events/s, {} requests; the collector used {:.1} s of CPU and {:.0} MiB, \
             and ended {:.1} s after SIGTERM",
            took.as_secs_f64(),
            total.delivered as f64 / took.as_secs_f64().max(0.001),
            report["requests"],
            cpu.unwrap_or_default().as_secs_f64(),
            peak.unwrap_or_default() as f64 / f64::from(1 << 20),
            ended.as_secs_f64()
        ));
        self.judge(&report)
    }

    fn judge(&self, report: &Value) -> Result<()> {
        let missing = self.tally.total().missing();
        if 0 < missing {
            bail!("{missing} records are missing, such as {:?}", self.tally.missing_keys(3));
        }
        if 0 < self.tally.unknown() {
            bail!("{} events are no record that was published", self.tally.unknown());
        }
        let illegal = &report["illegal_by_rule"];
        if illegal.as_object().is_some_and(|rules| !rules.is_empty()) {
            bail!("requests broke Microsoft's rules: {illegal}");
        }
        print("Everything that was published has arrived, unchanged.");
        Ok(())
    }
}
