//! One run: lets the collector live against the simulator, crashes it, heals the world, and checks
//! what came of it.

use std::fmt;
use std::sync::OnceLock;

use m365_audit_core::{Collector, Config, Event, Feed, Input, Metrics, Outcome, Stored};
use m365_audit_world::{End, Passing, START_MS, World};
use m365_sim::{Credential, Issued, Microsoft, TenantConfig, issue_certificate};

use super::again::Wish;
use super::check::{Debt, SKEW_MS, invented, unwanted};
use super::history::Account;
use super::published::Published;
use super::scenario::Scenario;
use super::together::{Sharing, Together};
use super::truth::Truth;
use super::watch::Notes;

const HOUR_MS: i64 = 3_600_000;

/// How long after the faults have ended everything owed must have arrived: longer than the slow
/// relisting of the whole retention takes.
const RECOVERY_MS: i64 = 40 * HOUR_MS;

/// How long the tokens of worlds with a certificate are valid.
const SIGNED_TOKEN_SECONDS: u32 = 3_599;

/// How a run failed, with the line that repeats it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What does not hold.
    pub what: String,
    /// The last events of the collector.
    pub log: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.log {
            writeln!(f, "    {line}")?;
        }
        write!(
            f,
            "seed {}: {}\n  again: cargo xtask sim --start {} --seeds 1",
            self.seed, self.what, self.seed
        )
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Records that were owed and arrived.
    pub owed: u64,
    /// Records that arrived, duplicates included.
    pub records: u64,
    /// Requests.
    pub requests: u64,
    /// Crashes.
    pub crashes: u64,
    /// Runs of two members on one database.
    pub runs_shared: u64,
    /// Batches that the host lost.
    pub returned: u64,
    /// Virtual seconds.
    pub seconds: u64,
    /// Faults that the simulator gave.
    pub faults: u64,
}

/// Runs the world of a seed to its end.
///
/// # Errors
/// The first check that does not hold.
pub fn run(scenario: Scenario) -> Result<Stats, Failure> {
    let seed = scenario.seed;
    let mut ring = Ring::new(scenario);
    match ring.live() {
        Ok(()) => Ok(ring.stats),
        Err(what) => Err(Failure { seed, what, log: ring.notes.log }),
    }
}

/// What a scripted run showed.
#[derive(Debug)]
pub struct Observed {
    /// Every event, in order.
    pub events: Vec<Event>,
    /// The collector's account at the end.
    pub metrics: Metrics,
    /// How it ended, if it did.
    pub outcome: Option<Outcome>,
    /// What it stored.
    pub stored: Stored,
    /// The most blobs of one feed that were known and not settled.
    pub pending_peak: u64,
    /// Records that the host has taken, duplicates included.
    pub records: u64,
    /// Records that the host has taken more than once.
    pub repeated: usize,
    /// The subscriptions at the end, as Microsoft lists them.
    pub subscriptions: Vec<String>,
    /// Bytes of all commits, and those of them that are history.
    pub bytes: u64,
    /// See [`Self::bytes`].
    pub history_bytes: u64,
}

/// Runs a scripted world for some hours, or until the collector finishes, and shows what happened.
/// Nothing is healed; checked is what every step checks, and that no request was illegal.
///
/// # Errors
/// What does not hold.
pub fn observe(scenario: Scenario, hours: u64) -> Result<Observed, String> {
    let mut ring = Ring::new(scenario);
    ring.notes.events = Some(Vec::new());
    let until_ms = START_MS + i64::try_from(hours).unwrap_or(1) * HOUR_MS;
    let mut collector = ring.start()?;
    let outcome = ring.step(&mut collector, until_ms)?.then(|| collector.outcome());
    let report = ring.microsoft.report();
    if !report.is_legal() {
        return Err(format!("illegal requests: {:?}", report.illegal));
    }
    Ok(Observed {
        events: ring.notes.events.take().unwrap_or_default(),
        metrics: collector.metrics().clone(),
        outcome,
        pending_peak: ring.notes.pending_peak,
        records: ring.world.taker().records(),
        repeated: ring.world.taker().taken().values().filter(|taken| taken.times > 1).count(),
        stored: ring.world.stored,
        bytes: ring.notes.tally.bytes,
        history_bytes: ring.notes.tally.history_bytes,
        subscriptions: ring.microsoft.subscriptions(),
    })
}

/// The certificate of all worlds that sign in with one. Making its key takes a while.
fn certificate() -> &'static Issued {
    const DAYS_MS: i64 = 100 * 24 * HOUR_MS;
    static ISSUED: OnceLock<Issued> = OnceLock::new();
    ISSUED.get_or_init(|| issue_certificate(1, "ring", START_MS - DAYS_MS, START_MS + DAYS_MS))
}

/// A world with the simulated Microsoft in it.
struct Ring {
    scenario: Scenario,
    config: Config,
    microsoft: Microsoft,
    world: World,
    notes: Notes,
    /// What was created before cannot be asked of a collector that was silent for long.
    reach_ms: i64,
    /// Whether somebody wanted hours once more.
    asked_again: bool,
    stats: Stats,
}

impl Ring {
    fn new(scenario: Scenario) -> Self {
        let mut sim = scenario.sim.clone();
        // Some worlds sign in with a certificate, whatever the local clock says; not every minute,
        // or most of the ring's time would go into signatures.
        let signed = scenario.seed % 20 == 3 && scenario.faults != "scripted";
        if signed {
            sim.token_seconds = SIGNED_TOKEN_SECONDS;
            let mut tenant = TenantConfig::seeded(sim.seed, 0);
            let pem = certificate().certificate_pem.clone();
            tenant.apps[0].credentials.push(Credential::Certificate { pem });
            sim.tenants = vec![tenant];
        }
        let microsoft = Microsoft::new(sim, START_MS);
        let tenant = &microsoft.tenants()[0];
        let issued = signed.then(certificate);
        let key = issued.and_then(|issued| issued.key_pem.lines().nth(5));
        let secret = tenant.apps[0].secret().unwrap_or_default().to_owned();
        let credential = match issued {
            None => ("client_secret", secret.clone()),
            Some(issued) => {
                ("certificate", format!("{}{}", issued.certificate_pem, issued.key_pem))
            }
        };
        // What must not show.
        let secret = key.map_or(secret, str::to_owned);
        let mut options = scenario.options.clone();
        let identity = [
            ("tenant_id", tenant.id.to_string()),
            ("client_id", tenant.apps[0].client_id.to_string()),
            credential,
        ];
        for (option, value) in identity {
            options.entry(option.into()).or_insert(value);
        }
        let portal_token = microsoft.portal_token(tenant.id).unwrap_or_default().to_owned();
        if let Some(source) = options.get("source") {
            if source == "cloud_app_activities" {
                options.remove("content_types");
            }
            let url = microsoft.portal_url(tenant.id).unwrap_or_default();
            options.insert("portal_url".into(), url);
        }
        if scenario.portal_token {
            options.insert("portal_token".into(), portal_token.clone());
        }
        let config = Config::parse(&options)
            .expect("a scenario's options are within bounds")
            .once(scenario.once);
        let chunk_bytes_max = scenario.chunk_bytes_max;
        let secrets = [secret, portal_token];
        let notes = Notes::new(
            scenario.options.clone(),
            chunk_bytes_max,
            secrets,
            scenario.logged,
            &scenario.stored,
        );
        let mut world = World::new(scenario.setting());
        world.stored = scenario.stored.clone();
        for content in &scenario.hints {
            world.tell(HOUR_MS / 2, Input::Hint(content.clone()));
        }
        Self {
            scenario,
            config,
            microsoft,
            world,
            notes,
            reach_ms: i64::MIN,
            asked_again: false,
            stats: Stats::default(),
        }
    }

    fn start(&mut self) -> Result<Collector, String> {
        let seed = self.world.draw();
        Collector::new(self.config.clone(), &self.world.stored, seed.into(), self.world.now())
            .map_err(|error| format!("the state cannot be read back: {error}"))
    }

    /// Lets the collector live until `until_ms`, or until it has finished; answers whether it has.
    fn step(&mut self, collector: &mut Collector, until_ms: i64) -> Result<bool, String> {
        while self.world.now_ms() < until_ms {
            let mut watch = |world: &World, passing: Passing<'_>| self.notes.look(world, passing);
            match self.world.live(collector, &mut self.microsoft, &mut watch, until_ms)? {
                End::Finished => return Ok(true),
                End::Crashed => self.crash(collector)?,
                End::Paused | End::Committing | End::Refused => {}
            }
        }
        Ok(false)
    }

    /// The same of a collector that has no end of its own.
    fn go_on(&mut self, collector: &mut Collector, until_ms: i64) -> Result<(), String> {
        if self.step(collector, until_ms)? {
            return Err("the collector has finished by itself".into());
        }
        Ok(())
    }

    /// Faulty times, then healed ones until everything has arrived.
    fn live(&mut self) -> Result<(), String> {
        let hours = i64::try_from(self.scenario.faulty_hours).unwrap_or(1);
        let heal_ms = START_MS + hours * HOUR_MS;
        let mut collector = match self.scenario.sharing {
            Some(sharing) => self.live_together(sharing, heal_ms)?,
            None => {
                let mut collector = self.start()?;
                self.world.faulty = true;
                self.go_on(&mut collector, heal_ms)?;
                collector
            }
        };
        self.world.faulty = false;
        self.microsoft.heal();
        if self.scenario.silent_hours > 0 {
            self.be_silent(&mut collector)?;
        }
        let due_ms = self.world.now_ms().max(heal_ms) + HOUR_MS;
        self.go_on(&mut collector, due_ms)?;
        self.microsoft.advance(self.world.now_ms());
        let types = self.config.content_types().to_vec();
        let activities = self.config.feeds().contains(&Feed::CloudAppActivities);
        if (!types.is_empty() && self.notes.begin_ms == i64::MIN)
            || (activities && self.notes.activities_begin_ms == i64::MIN)
        {
            return Err("an hour after the faults have ended, collection has not begun".into());
        }
        // A wrong `Date` may have moved the begin, before anything was listed.
        let begin_ms = self.notes.begin_ms.saturating_add(SKEW_MS).max(self.reach_ms);
        let until_ms = self.world.now_ms() - 600_000;
        let activities = activities.then(|| self.notes.activities_begin_ms.saturating_add(SKEW_MS));
        let mut debt = {
            let alive_ms = self.reach_ms.saturating_add(7 * 24 * HOUR_MS);
            let published = self.published();
            Debt::new(&published, &types, begin_ms, until_ms, alive_ms, activities)
        };
        self.stats.owed = debt.missing() as u64;
        let mut look_ms = self.world.now_ms();
        while !debt.is_settled(self.world.taker()) {
            if self.world.now_ms() > due_ms + RECOVERY_MS {
                let described = debt.describe_missing(&self.published());
                return Err(format!(
                    "{} of {} records never arrived:\n{described}",
                    debt.missing(),
                    self.stats.owed
                ));
            }
            look_ms += HOUR_MS / 2;
            self.go_on(&mut collector, look_ms)?;
        }
        if self.scenario.seed.is_multiple_of(4) {
            self.ask_again(&mut collector)?;
        }
        self.finish(collector)
    }

    /// Faulty times with two members on one database. Answers who goes on alone, from what they
    /// have stored.
    fn live_together(&mut self, sharing: Sharing, heal_ms: i64) -> Result<Collector, String> {
        let second = World::new(self.scenario.second_setting(sharing));
        let first = std::mem::replace(&mut self.world, World::new(self.scenario.setting()));
        let (worlds, stored) = ([first, second], self.scenario.stored.clone());
        let (microsoft, notes) = (&mut self.microsoft, &mut self.notes);
        let mut both = Together::new(&self.config, microsoft, notes, sharing, worlds, stored);
        let lived = both.live(heal_ms);
        self.stats.runs_shared = both.runs;
        // Each run follows on another process.
        self.stats.crashes += both.runs + 1;
        let stored;
        (self.world, stored) = both.end();
        self.world.stored = stored;
        lived?;
        self.start()
    }

    /// Somebody wants some hours once more, of a collector that is at work.
    fn ask_again(&mut self, collector: &mut Collector) -> Result<(), String> {
        /// Relisting takes so long at the least pace that is drawn.
        const HOURS: i64 = 12;
        let (feeds, now_ms) = (self.config.feeds(), self.world.now_ms());
        let (wish, input) = {
            let mut stored = std::mem::take(&mut self.world.stored);
            let (taker, beliefs) = (self.world.taker(), &self.notes.beliefs);
            let made = Wish::make(&feeds, now_ms, taker, beliefs, &mut stored);
            self.world.stored = stored;
            made
        };
        self.asked_again = true;
        self.world.tell(0, input);
        self.go_on(collector, now_ms + HOURS * HOUR_MS)?;
        let (taker, stored) = (self.world.taker(), &self.world.stored);
        let (begin_ms, activities_begin_ms) = (self.notes.begin_ms, self.notes.activities_begin_ms);
        match wish.unmet(&self.published(), taker, stored, begin_ms, activities_begin_ms) {
            Some(what) => Err(format!("asked for once more: {what}")),
            None => Ok(()),
        }
    }

    /// Nobody collects for a long time: what Microsoft does not keep for so long cannot arrive.
    fn be_silent(&mut self, collector: &mut Collector) -> Result<(), String> {
        /// What is as old as this may be gone before it is its turn: at the least pace that is
        /// drawn a week of content takes five hours, and the newest comes first.
        const EDGE_MS: i64 = 6 * HOUR_MS;
        let hours = i64::try_from(self.scenario.silent_hours).unwrap_or(1);
        self.world.sleep(hours * HOUR_MS);
        self.reach_ms = self.world.now_ms() - 7 * 24 * HOUR_MS + EDGE_MS;
        self.crash(collector)
    }

    /// What Microsoft has published by now.
    fn published(&self) -> Published {
        Published::walk(&self.microsoft, self.scenario.wanted)
    }

    /// A clean stop, and the checks of the whole run.
    fn finish(&mut self, mut collector: Collector) -> Result<(), String> {
        collector.handle_input(self.world.now(), Input::Shutdown);
        self.step(&mut collector, self.world.now_ms() + HOUR_MS)?;
        if collector.metrics().undelivered_batches > 0 {
            return Err("a stopped collector did not finish".into());
        }
        let report = self.microsoft.report();
        self.stats.requests = report.requests;
        self.stats.faults = report.faults.values().sum();
        if !report.is_legal() {
            let first = report.illegal.first();
            return Err(format!("illegal requests: {:?}: {first:?}", report.illegal_by_rule));
        }
        let peak = report.peak_per_minute.values().copied().max().unwrap_or_default();
        self.check_pace(peak)?;
        let published = self.published();
        let invented = invented(&published, self.world.taker());
        if invented > 0 {
            return Err(format!("{invented} records arrived that were never published"));
        }
        let unwanted = unwanted(&published, self.world.taker());
        if unwanted > 0 {
            return Err(format!("{unwanted} records arrived that the filter leaves out"));
        }
        if let Some(what) = self.notes.checkpoints.unread() {
            return Err(format!("what was stored could not be read, nor checked: {what}"));
        }
        let truth = Truth {
            published: &published,
            taker: self.world.taker(),
            stored: &self.world.stored,
            begin_ms: self.notes.begin_ms.saturating_add(SKEW_MS),
            alive_ms: self.reach_ms.saturating_add(7 * 24 * HOUR_MS),
            now_ms: self.world.now_ms(),
        };
        if let Some(what) = truth.contradiction() {
            return Err(format!("what the state says is not so: {what}"));
        }
        self.check_history(&published)?;
        if let Some(what) = self.notes.checkpoints.ahead(&published, self.world.taker()) {
            return Err(format!("marked as done before it was delivered: {what}"));
        }
        self.stats.returned = self.world.returned();
        self.stats.records = self.world.taker().records();
        self.stats.seconds = (self.world.now_ms() - START_MS).unsigned_abs() / 1_000;
        Ok(())
    }

    /// The history is the simulator's truth, hour by hour.
    fn check_history(&mut self, published: &Published) -> Result<(), String> {
        let odd = self.microsoft.report().faults.get("odd_entry").copied().unwrap_or_default();
        let calm = self.scenario.faults == "none" && self.scenario.skew_ms == 0;
        let account = Account {
            published,
            taker: self.world.taker(),
            stored: &self.world.stored,
            done: self.notes.checkpoints.done(),
            beliefs: &self.notes.beliefs,
            exact: calm
                && !self.asked_again
                && self.stats.crashes == 0
                && self.world.returned() == 0,
            odd,
            now_ms: self.world.now_ms(),
        };
        match account.contradiction() {
            Some(what) => Err(format!("the history is not so: {what}")),
            None => Ok(()),
        }
    }

    /// `requests_per_minute` holds in any minute. A process that follows on another does not know
    /// what that one has sent, and begins a minute of its own.
    fn check_pace(&self, peak: u64) -> Result<(), String> {
        let allowed = self.scenario.options.get("requests_per_minute");
        let Some(allowed) = allowed.and_then(|text| text.parse::<u64>().ok()) else {
            return Ok(());
        };
        if self.stats.crashes == 0 && allowed < peak {
            return Err(format!("{peak} requests in a minute of {allowed}"));
        }
        Ok(())
    }

    /// The process dies, and another one begins.
    fn crash(&mut self, collector: &mut Collector) -> Result<(), String> {
        self.stats.crashes += 1;
        let seconds = (self.world.now_ms() - START_MS) / 1_000;
        self.notes.show(&format!("{seconds:>7} s crash"));
        self.world.crash();
        *collector = self.start()?;
        Ok(())
    }
}
