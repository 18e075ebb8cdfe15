//! What must hold at every step of a run: limits, secrets, and what commits claim.

use m365_audit_core::{Batch, Commit, Config, Event, Feed, Level, RawOptions, Request, Stored};
use m365_audit_world::{Passing, START_MS, World};

use super::beliefs::Beliefs;
use super::check::{Checkpoints, SKEW_MS};
use super::history::Tally;

const HOUR_MS: i64 = 3_600_000;

/// Notes what passes, and checks it.
#[derive(Debug)]
pub(super) struct Notes {
    options: RawOptions,
    chunk_bytes_max: u64,
    /// What must not show.
    secrets: [String; 2],
    pub(super) checkpoints: Checkpoints,
    pub(super) tally: Tally,
    pub(super) beliefs: Beliefs,
    pub(super) begin_ms: i64,
    pub(super) activities_begin_ms: i64,
    requests: u64,
    /// The last events.
    pub(super) log: Vec<String>,
    /// Whether every event is printed as it happens.
    logged: bool,
    /// Every event, if somebody wants to see them.
    pub(super) events: Option<Vec<Event>>,
    /// The most blobs of one feed that were known and not settled.
    pub(super) pending_peak: u64,
}

impl Notes {
    pub(super) fn new(
        options: RawOptions,
        chunk_bytes_max: u64,
        secrets: [String; 2],
        logged: bool,
        stored: &Stored,
    ) -> Self {
        Self {
            options,
            chunk_bytes_max,
            secrets,
            checkpoints: Checkpoints::default(),
            tally: Tally::new(stored),
            beliefs: Beliefs::default(),
            begin_ms: i64::MIN,
            activities_begin_ms: i64::MIN,
            requests: 0,
            log: Vec::new(),
            logged,
            events: None,
            pending_peak: 0,
        }
    }

    /// Prints a line, if every event is printed.
    #[expect(clippy::print_stderr, reason = "asked for, on the command line")]
    pub(super) fn show(&self, line: &str) {
        if self.logged {
            eprintln!("{line}");
        }
    }

    fn number_of(&self, option: &str) -> u64 {
        self.options.get(option).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn keep_secret(&self, text: &str) -> Result<(), String> {
        // Tokens of the simulator are shaped like JWTs.
        if text.contains("eyJ") || self.secrets.iter().any(|secret| text.contains(secret)) {
            return Err(format!("a secret shows in {text:?}"));
        }
        Ok(())
    }

    /// Notes where a first run begins, by the first lane that says so.
    fn note_begin(&mut self, now_ms: i64, key: &str, lane: &str) -> Result<(), String> {
        let activities = key.ends_with(Feed::CloudAppActivities.as_str());
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
        if begin_ms > now_ms - lookback_ms.min(edge_ms) + SKEW_MS {
            return Err(format!("the look-back of {key} begins too late"));
        }
        let noted = if activities { &mut self.activities_begin_ms } else { &mut self.begin_ms };
        *noted = begin_ms;
        Ok(())
    }

    /// Whether it is noted where the collection of all that is configured begins.
    pub(super) fn has_begun(&self, config: &Config) -> bool {
        let activities = config.feeds().contains(&Feed::CloudAppActivities);
        (config.content_types().is_empty() || self.begin_ms != i64::MIN)
            && (!activities || self.activities_begin_ms != i64::MIN)
    }

    /// Notes what passes, and checks it.
    pub(super) fn look(&mut self, world: &World, passing: Passing<'_>) -> Result<(), String> {
        match passing {
            Passing::Request(request) => self.sent(world, request),
            Passing::Batch(batch) => self.given(world, batch),
            Passing::Commit(commit) => self.stored(world.now_ms(), world.taker().records(), commit),
            Passing::Event(event) => self.told(world, event),
            Passing::Wait(metrics) => {
                let pending = metrics.lanes.iter().map(|lane| lane.blobs_pending).max();
                self.pending_peak = self.pending_peak.max(pending.unwrap_or_default());
                Ok(())
            }
        }
    }

    fn sent(&mut self, world: &World, request: &Request) -> Result<(), String> {
        const LOOKED_AT_EVERY: u64 = 16;
        self.requests += 1;
        if self.requests.is_multiple_of(LOOKED_AT_EVERY) {
            self.keep_secret(&format!("{request:?}"))?;
        }
        // Tokens, the list and starts come on top of what `max_in_flight` bounds.
        let most = self.number_of("max_in_flight") + 7;
        if world.in_flight() as u64 > most {
            return Err(format!("{} requests in flight", world.in_flight()));
        }
        Ok(())
    }

    fn given(&mut self, world: &World, batch: &Batch) -> Result<(), String> {
        self.beliefs.note_batch(batch);
        let bytes = batch.records.iter().map(|record| record.raw.len() as u64).sum::<u64>();
        let bytes = world.taker().given_bytes() + bytes;
        let each = self.chunk_bytes_max + self.number_of("batch_bytes") + 100_000;
        let most = self.number_of("buffer_bytes") + self.number_of("max_in_flight") * each;
        if bytes > most {
            return Err(format!("{bytes} bytes undelivered"));
        }
        Ok(())
    }

    /// A commit is stored that was made at this time, when the host had so many records.
    pub(super) fn stored(&mut self, now_ms: i64, had: u64, commit: &Commit) -> Result<(), String> {
        self.checkpoints.note(commit, had);
        self.beliefs.note_commit(commit);
        self.tally.note(commit, had)?;
        for (key, value) in &commit.changes {
            if let (true, Some(lane)) = (key.starts_with("lane/"), value) {
                self.note_begin(now_ms, key, lane)?;
            }
        }
        Ok(())
    }

    fn told(&mut self, world: &World, event: &Event) -> Result<(), String> {
        const LOG_MAX: usize = 40;
        if let Some(events) = &mut self.events {
            events.push(event.clone());
        }
        let line = event.to_string();
        self.keep_secret(&line)?;
        self.keep_secret(&format!("{event:?}"))?;
        let seconds = (world.now_ms() - START_MS) / 1_000;
        let logged = format!("{seconds:>7} s {:?} {line}", event.level());
        self.show(&logged);
        if event.level() < Level::Debug {
            if self.log.len() == LOG_MAX {
                self.log.remove(0);
            }
            self.log.push(logged);
        }
        Ok(())
    }
}
