//! One run: drives the collector against the simulator in virtual time, crashes it, heals the
//! world, and checks what came of it.

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use m365_audit_core::{
    Batch, BatchId, Collector, Commit, Config, ContentType, Event, Input, Level, Metrics, Now,
    Outcome, Output, Presented, Request, RequestId, Stored, Utc,
};
use m365_sim::{Credential, Issued, Microsoft, TenantConfig, issue_certificate};

use super::check::{Checkpoints, Debt, SKEW_MS, invented, unwanted};
use super::draw::Draw;
use super::host::Host;
use super::network::Network;
use super::scenario::Scenario;
use super::truth::Truth;

/// 2026-03-01T00:00:00Z: where every world begins.
const START_MS: i64 = 1_772_323_200_000;
const HOUR_MS: i64 = 3_600_000;

/// How long after the faults have ended everything owed must have arrived: longer than the slow
/// relisting of the whole retention takes.
const RECOVERY_MS: i64 = 40 * HOUR_MS;

/// How long the tokens of worlds with a certificate are valid.
const SIGNED_TOKEN_SECONDS: u32 = 3_599;

/// Outputs of one run at the most: a collector that turns in circles is a failure. Small chunks and
/// many crashes take ten million in a world that gets to its end.
const OUTPUTS_MAX: u64 = 50_000_000;

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
    /// Batches that the host lost.
    pub returned: u64,
    /// Virtual seconds.
    pub seconds: u64,
    /// Faults that the simulator gave.
    pub faults: u64,
}

/// What happens at a moment.
#[derive(Debug)]
enum Happening {
    Input(Input),
    Take(BatchId),
    Lose(BatchId),
}

#[derive(Debug)]
struct Scheduled {
    at_ms: i64,
    number: u64,
    happening: Happening,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at_ms, other.number).cmp(&(self.at_ms, self.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

struct World {
    scenario: Scenario,
    config: Config,
    secret: String,
    portal_token: String,
    draw: Draw,
    /// Apart from the other choices, which must not depend on how often somebody signs in.
    entropy: Draw,
    microsoft: Microsoft,
    network: Network,
    host: Host,
    stored: Stored,
    checkpoints: Checkpoints,
    agenda: BinaryHeap<Scheduled>,
    number: u64,
    now_ms: i64,
    /// When the process began.
    born_ms: i64,
    skew_ms: i64,
    /// When batches were last taken, so that deliveries keep their order.
    delivered_ms: i64,
    begin_ms: i64,
    activities_begin_ms: i64,
    /// What was created before cannot be asked of a collector that was silent for long.
    reach_ms: i64,
    outputs: u64,
    kinds: BTreeMap<&'static str, u64>,
    log: Vec<String>,
    /// The most blobs of one feed that were known and not settled.
    pending_peak: u64,
    /// Every event, if somebody wants to see them.
    events: Option<Vec<Event>>,
    stats: Stats,
}

const fn kind(output: &Output) -> &'static str {
    match output {
        Output::Request { .. } => "requests",
        Output::Read(_) => "reads",
        Output::Cancel(_) => "cancels",
        Output::Credential => "credentials",
        Output::Batch(_) => "batches",
        Output::Commit(_) => "commits",
        Output::Event(_) => "events",
        Output::Wait(_) => "waits",
        Output::Finished => "finished",
    }
}

/// Runs the world of a seed to its end.
///
/// # Errors
/// The first check that does not hold.
pub fn run(scenario: Scenario) -> Result<Stats, Failure> {
    let seed = scenario.seed;
    let mut world = World::new(scenario);
    match world.live() {
        Ok(()) => Ok(world.stats),
        Err(what) => Err(Failure { seed, what, log: world.log }),
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
}

/// Runs a scripted world for some hours, or until the collector finishes, and shows what happened.
/// Nothing is healed; checked is what every step checks, and that no request was illegal.
///
/// # Errors
/// What does not hold.
pub fn observe(scenario: Scenario, hours: u64) -> Result<Observed, String> {
    let mut world = World::new(scenario);
    world.events = Some(Vec::new());
    let until_ms = START_MS + i64::try_from(hours).unwrap_or(1) * HOUR_MS;
    let mut collector = world.start()?;
    let mut outcome = None;
    while world.now_ms < until_ms && outcome.is_none() {
        if world.step(&mut collector, until_ms, false)? {
            outcome = Some(collector.outcome());
        }
    }
    let report = world.microsoft.report();
    if !report.is_legal() {
        return Err(format!("illegal requests: {:?}", report.illegal));
    }
    Ok(Observed {
        events: world.events.take().unwrap_or_default(),
        metrics: collector.metrics().clone(),
        outcome,
        stored: world.stored,
        pending_peak: world.pending_peak,
        records: world.host.records,
        repeated: world.host.taken.values().filter(|taken| taken.times > 1).count(),
        subscriptions: world.microsoft.subscriptions(),
    })
}

/// The certificate of all worlds that sign in with one. Making its key takes a while.
fn certificate() -> &'static Issued {
    const DAYS_MS: i64 = 100 * 24 * HOUR_MS;
    static ISSUED: OnceLock<Issued> = OnceLock::new();
    ISSUED.get_or_init(|| issue_certificate(1, "ring", START_MS - DAYS_MS, START_MS + DAYS_MS))
}

#[expect(clippy::print_stderr, reason = "asked for, on the command line")]
fn show(line: &str) {
    eprintln!("{line}");
}

impl World {
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
        Self {
            draw: Draw::new(!scenario.seed),
            entropy: Draw::new(scenario.seed.rotate_left(32)),
            skew_ms: scenario.skew_ms,
            stored: scenario.stored.clone(),
            scenario,
            config,
            secret,
            portal_token,
            microsoft,
            network: Network::default(),
            host: Host::default(),
            checkpoints: Checkpoints::default(),
            agenda: BinaryHeap::new(),
            number: 0,
            now_ms: START_MS,
            born_ms: START_MS,
            delivered_ms: START_MS,
            begin_ms: i64::MIN,
            activities_begin_ms: i64::MIN,
            reach_ms: i64::MIN,
            outputs: 0,
            kinds: BTreeMap::new(),
            log: Vec::new(),
            pending_peak: 0,
            events: None,
            stats: Stats::default(),
        }
    }

    fn now(&self) -> Now {
        let alive_ms = (self.now_ms - self.born_ms).unsigned_abs();
        Now {
            monotonic: Duration::from_millis(alive_ms),
            wall: Utc::from_millis(self.now_ms + self.skew_ms),
        }
    }

    fn start(&mut self) -> Result<Collector, String> {
        let seed = self.draw.next();
        Collector::new(self.config.clone(), &self.stored, seed.into(), self.now())
            .map_err(|error| format!("the state cannot be read back: {error}"))
    }

    /// Faulty times, then healed ones until everything has arrived.
    fn live(&mut self) -> Result<(), String> {
        let hours = i64::try_from(self.scenario.faulty_hours).unwrap_or(1);
        let heal_ms = START_MS + hours * HOUR_MS;
        let mut collector = self.start()?;
        while self.now_ms < heal_ms {
            self.step(&mut collector, heal_ms, true)?;
        }
        self.microsoft.heal();
        if self.scenario.silent_hours > 0 {
            self.be_silent(&mut collector)?;
        }
        let due_ms = self.now_ms.max(heal_ms) + HOUR_MS;
        while self.now_ms < due_ms {
            self.step(&mut collector, due_ms, false)?;
        }
        self.microsoft.advance(self.now_ms);
        let types = self.config.content_types().to_vec();
        let activities = self.config.feeds().contains(&ContentType::CloudAppActivities);
        if (!types.is_empty() && self.begin_ms == i64::MIN)
            || (activities && self.activities_begin_ms == i64::MIN)
        {
            return Err("an hour after the faults have ended, collection has not begun".into());
        }
        // A wrong `Date` may have moved the begin, before anything was listed.
        let begin_ms = self.begin_ms.saturating_add(SKEW_MS).max(self.reach_ms);
        let wanted = self.scenario.wanted;
        let until_ms = self.now_ms - 600_000;
        let activities = activities.then(|| self.activities_begin_ms.saturating_add(SKEW_MS));
        let mut debt = {
            let alive_ms = self.reach_ms.saturating_add(7 * 24 * HOUR_MS);
            let microsoft = &self.microsoft;
            Debt::new(microsoft, &types, begin_ms, until_ms, alive_ms, wanted, activities)
        };
        self.stats.owed = debt.missing() as u64;
        let mut look_ms = self.now_ms;
        while !debt.is_settled(&self.host) {
            if self.now_ms > due_ms + RECOVERY_MS {
                let described = debt.describe_missing(&self.microsoft);
                return Err(format!(
                    "{} of {} records never arrived:\n{described}",
                    debt.missing(),
                    self.stats.owed
                ));
            }
            look_ms += HOUR_MS / 2;
            while self.now_ms < look_ms {
                self.step(&mut collector, look_ms, false)?;
            }
        }
        self.finish(collector)
    }

    /// Nobody collects for a long time: what Microsoft does not keep for so long cannot arrive.
    fn be_silent(&mut self, collector: &mut Collector) -> Result<(), String> {
        /// What is as old as this may be gone before it is its turn: at the least pace that is
        /// drawn a week of content takes five hours, and the newest comes first.
        const EDGE_MS: i64 = 6 * HOUR_MS;
        let hours = i64::try_from(self.scenario.silent_hours).unwrap_or(1);
        self.now_ms += hours * HOUR_MS;
        self.reach_ms = self.now_ms - 7 * 24 * HOUR_MS + EDGE_MS;
        self.crash(collector)
    }

    /// A clean stop, and the checks of the whole run.
    fn finish(&mut self, mut collector: Collector) -> Result<(), String> {
        collector.handle_input(self.now(), Input::Shutdown);
        let give_up_ms = self.now_ms + HOUR_MS;
        while self.now_ms < give_up_ms {
            if self.step(&mut collector, give_up_ms, false)? {
                break;
            }
        }
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
        let invented = invented(&self.microsoft, &self.host);
        if invented > 0 {
            return Err(format!("{invented} records arrived that were never published"));
        }
        let unwanted = unwanted(&self.microsoft, &self.host, self.scenario.wanted);
        if unwanted > 0 {
            return Err(format!("{unwanted} records arrived that the filter leaves out"));
        }
        if let Some(what) = self.checkpoints.unread() {
            return Err(format!("what was stored could not be read, nor checked: {what}"));
        }
        let truth = Truth {
            microsoft: &self.microsoft,
            host: &self.host,
            stored: &self.stored,
            wanted: self.scenario.wanted,
            begin_ms: self.begin_ms.saturating_add(SKEW_MS),
            alive_ms: self.reach_ms.saturating_add(7 * 24 * HOUR_MS),
            now_ms: self.now_ms,
        };
        if let Some(what) = truth.contradiction() {
            return Err(format!("what the state says is not so: {what}"));
        }
        let wanted = self.scenario.wanted;
        if let Some(what) = self.checkpoints.ahead(&self.microsoft, &self.host, wanted) {
            return Err(format!("marked as done before it was delivered: {what}"));
        }
        self.stats.records = self.host.records;
        self.stats.seconds = (self.now_ms - START_MS).unsigned_abs() / 1_000;
        Ok(())
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

    /// What the collector signs in with, as its driver would present it.
    fn present(&mut self) -> Presented {
        let mut entropy = [0; 32];
        for part in entropy.chunks_exact_mut(8) {
            part.copy_from_slice(&self.entropy.next().to_le_bytes());
        }
        Presented::unchanged(entropy)
    }

    /// Performs one output. Time passes, but not beyond `until_ms`. Answers whether the collector
    /// has finished.
    fn step(
        &mut self,
        collector: &mut Collector,
        until_ms: i64,
        faulty: bool,
    ) -> Result<bool, String> {
        self.outputs += 1;
        if self.outputs > OUTPUTS_MAX {
            return Err(format!("more than {OUTPUTS_MAX} outputs: {:?}", self.kinds));
        }
        let output = collector.poll_output(self.now());
        *self.kinds.entry(kind(&output)).or_default() += 1;
        let crashes = faulty && self.draw.next() % 1_000_000 < self.scenario.crash_per_million;
        if crashes && self.draw.chance(500) {
            return self.crash(collector).map(|()| false);
        }
        match output {
            Output::Request { id, request, timeout } => self.send(id, &request, timeout)?,
            Output::Read(id) => {
                let chunk_bytes_max = self.scenario.chunk_bytes_max;
                let arrival = self.network.read(id, chunk_bytes_max, &mut self.draw);
                if let Some((after_ms, input)) = arrival {
                    self.schedule(after_ms, Happening::Input(input));
                }
            }
            Output::Cancel(id) => self.network.cancel(id),
            Output::Credential => {
                let presented = self.present();
                collector.handle_input(self.now(), Input::Credential(presented));
            }
            Output::Batch(batch) => self.emit(batch, faulty)?,
            Output::Commit(commit) => self.commit(commit)?,
            Output::Event(event) => self.note(&event)?,
            Output::Wait(timeout) => self.wait(collector, timeout, until_ms, faulty)?,
            Output::Finished => return Ok(true),
        }
        if crashes {
            self.crash(collector)?;
        }
        Ok(false)
    }

    fn schedule(&mut self, after_ms: i64, happening: Happening) {
        self.number += 1;
        let at_ms = self.now_ms + after_ms;
        self.agenda.push(Scheduled { at_ms, number: self.number, happening });
    }

    fn send(&mut self, id: RequestId, request: &Request, timeout: Duration) -> Result<(), String> {
        const SHOWN_EVERY: u64 = 16;
        if self.outputs.is_multiple_of(SHOWN_EVERY) {
            self.keep_secret(&format!("{request:?}"))?;
        }
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let arrival = self.network.send(&mut self.microsoft, self.now_ms, id, request, timeout_ms);
        self.schedule(arrival.0, Happening::Input(arrival.1));
        // Tokens, the list and starts come on top of what `max_in_flight` bounds.
        let most = self.number_of("max_in_flight") + 7;
        if self.network.len() as u64 > most {
            return Err(format!("{} requests in flight", self.network.len()));
        }
        Ok(())
    }

    fn number_of(&self, option: &str) -> u64 {
        self.scenario.options.get(option).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn emit(&mut self, batch: Batch, faulty: bool) -> Result<(), String> {
        let id = batch.id;
        self.host.give(batch);
        let each = self.scenario.chunk_bytes_max + self.number_of("batch_bytes") + 100_000;
        let most = self.number_of("buffer_bytes") + self.number_of("max_in_flight") * each;
        if self.host.given_bytes() > most {
            return Err(format!("{} bytes undelivered", self.host.given_bytes()));
        }
        let delay = self.draw.between(0, self.scenario.delivery_ms_max);
        let mut at_ms = self.now_ms + i64::try_from(delay).unwrap_or_default();
        if !self.scenario.unordered {
            at_ms = at_ms.max(self.delivered_ms);
            self.delivered_ms = at_ms;
        }
        let lost = faulty && self.draw.chance(self.scenario.return_per_mille);
        let happening = if lost { Happening::Lose(id) } else { Happening::Take(id) };
        self.schedule(at_ms - self.now_ms, happening);
        Ok(())
    }

    fn commit(&mut self, commit: Commit) -> Result<(), String> {
        self.checkpoints.note(&commit, &self.host);
        for (key, value) in &commit.changes {
            if let (true, Some(lane)) = (key.starts_with("lane/"), value) {
                self.note_begin(key, lane)?;
            }
        }
        commit.apply(&mut self.stored);
        Ok(())
    }

    /// Notes where a first run begins, by the first lane that says so.
    fn note_begin(&mut self, key: &str, lane: &str) -> Result<(), String> {
        let activities = key.ends_with(ContentType::CloudAppActivities.as_str());
        let (option, days) =
            if activities { ("activities_lookback", 180) } else { ("lookback", 7) };
        let begin = if activities { self.activities_begin_ms } else { self.begin_ms };
        if begin != i64::MIN {
            return Ok(());
        }
        let digits = lane.split("\"begin\":").nth(1).unwrap_or_default();
        let digits = digits.split(',').next().unwrap_or_default();
        let begin_ms: i64 = digits.parse().map_err(|_| format!("no begin in {lane}"))?;
        let lookback_ms = i64::try_from(self.number_of(option) * 1_000).unwrap_or(0);
        let edge_ms = days * 24 * HOUR_MS - if activities { 2 * HOUR_MS } else { HOUR_MS };
        if begin_ms > self.now_ms - lookback_ms.min(edge_ms) + SKEW_MS {
            return Err(format!("the look-back of {key} begins too late"));
        }
        let noted = if activities { &mut self.activities_begin_ms } else { &mut self.begin_ms };
        *noted = begin_ms;
        Ok(())
    }

    fn note(&mut self, event: &Event) -> Result<(), String> {
        const LOG_MAX: usize = 40;
        if let Some(events) = &mut self.events {
            events.push(event.clone());
        }
        let line = event.to_string();
        self.keep_secret(&line)?;
        self.keep_secret(&format!("{event:?}"))?;
        let seconds = (self.now_ms - START_MS) / 1_000;
        let logged = format!("{seconds:>7} s {:?} {line}", event.level());
        if self.scenario.logged {
            show(&logged);
        }
        if event.level() < Level::Debug {
            if self.log.len() == LOG_MAX {
                self.log.remove(0);
            }
            self.log.push(logged);
        }
        Ok(())
    }

    fn keep_secret(&self, text: &str) -> Result<(), String> {
        // Tokens of the simulator are shaped like JWTs.
        if text.contains(&self.secret) || text.contains(&self.portal_token) || text.contains("eyJ")
        {
            return Err(format!("a secret shows in {text:?}"));
        }
        Ok(())
    }

    fn wait(
        &mut self,
        collector: &mut Collector,
        timeout: Option<Duration>,
        until_ms: i64,
        faulty: bool,
    ) -> Result<(), String> {
        let pending = collector.metrics().lanes.iter().map(|lane| lane.blobs_pending).max();
        self.pending_peak = self.pending_peak.max(pending.unwrap_or_default());
        let timer_ms = timeout.map(|timeout| {
            // Rounded up, as timers are, but never an idle turn.
            self.now_ms + i64::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX / 2)
        });
        let agenda_ms = self.agenda.peek().map(|next| next.at_ms);
        let Some(next_ms) = timer_ms.into_iter().chain(agenda_ms).min() else {
            return Err("the collector waits for ever".into());
        };
        if faulty && self.draw.chance(self.scenario.jump_per_mille) {
            self.skew_ms += i64::try_from(self.draw.between(0, 7_200_000)).unwrap_or(0) - 3_600_000;
        }
        self.now_ms = next_ms.clamp(self.now_ms, until_ms.max(self.now_ms));
        collector.handle_input(self.now(), Input::Timeout);
        if self.now_ms >= START_MS + HOUR_MS / 2 {
            for content in std::mem::take(&mut self.scenario.hints) {
                collector.handle_input(self.now(), Input::Hint(content));
            }
        }
        while self.agenda.peek().is_some_and(|next| next.at_ms <= self.now_ms) {
            let Some(next) = self.agenda.pop() else { break };
            let input = match next.happening {
                Happening::Input(input) => input,
                Happening::Take(id) if self.host.take(id) => Input::Delivered(id),
                Happening::Take(_) => continue,
                Happening::Lose(id) => {
                    self.host.lose_from(id);
                    self.stats.returned += 1;
                    Input::Returned(id)
                }
            };
            collector.handle_input(self.now(), input);
        }
        Ok(())
    }

    /// The process dies. What the host was given, it may have taken all the same.
    fn crash(&mut self, collector: &mut Collector) -> Result<(), String> {
        self.stats.crashes += 1;
        if self.scenario.logged {
            show(&format!("{:>7} s crash", (self.now_ms - START_MS) / 1_000));
        }
        let agenda = std::mem::take(&mut self.agenda);
        for next in agenda.into_sorted_vec().into_iter().rev() {
            if let Happening::Take(id) = next.happening
                && self.draw.chance(500)
            {
                self.host.take(id);
            }
        }
        self.host.crash();
        self.network = Network::default();
        self.now_ms += i64::try_from(self.draw.between(0, 60_000)).unwrap_or_default();
        self.born_ms = self.now_ms;
        self.delivered_ms = self.now_ms;
        *collector = self.start()?;
        Ok(())
    }
}
