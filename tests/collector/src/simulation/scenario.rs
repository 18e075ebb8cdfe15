//! What one seed means: the world, the collector's options, and what goes wrong around it.

use m365_audit_core::{ContentRef, RawOptions, Stored};
use m365_audit_world::{Chunks, Draw, Habits, START_MS, Setting};
use m365_sim::{FaultPlan, SimConfig, Span};

use super::together::Sharing;
use super::wanted::Wanted;

/// One drawn world.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed it was drawn from.
    pub seed: u64,
    /// `none`, `field` or `hostile`.
    pub faults: &'static str,
    pub(super) sim: SimConfig,
    pub(super) options: RawOptions,
    /// Hours until faults end; everything owed then must arrive.
    pub(super) faulty_hours: u64,
    /// Hours for which nobody collects when the faults have ended: 0, or about as long as Microsoft
    /// keeps content, or longer.
    pub(super) silent_hours: u64,
    /// Whether two members collect on one database while there are faults, and what that is like.
    pub(super) sharing: Option<Sharing>,
    /// How often a crash follows an output, per million.
    pub(super) crash_per_million: u64,
    /// How often the host loses a batch and all after it, per thousand batches.
    pub(super) return_per_mille: u64,
    /// Longest time the host takes for a batch, in milliseconds.
    pub(super) delivery_ms_max: u64,
    /// Whether deliveries overtake each other.
    pub(super) unordered: bool,
    /// How far the local clock is off at the start, in milliseconds.
    pub(super) skew_ms: i64,
    /// How often the local clock jumps, per thousand waits.
    pub(super) jump_per_mille: u64,
    /// Longest chunk of a body.
    pub(super) chunk_bytes_max: u64,
    /// Whether the collector ends when everything that existed at the start is delivered.
    pub(super) once: bool,
    /// What an earlier run left.
    pub(super) stored: Stored,
    /// What the collector's filter asks for.
    pub(super) wanted: Wanted,
    /// What somebody says exists: told once, half an hour after the beginning.
    pub(super) hints: Vec<ContentRef>,
    /// Whether activities are asked for with the portal's own token.
    pub(super) portal_token: bool,
    /// Whether every event is printed as it happens.
    pub(super) logged: bool,
}

const HOUR_MS: i64 = 3_600_000;

/// What keeps a collector from getting ahead.
#[derive(Clone, Copy)]
struct Pace {
    crash_per_million: u64,
    delivery_ms_max: u64,
    chunk_bytes_max: u64,
}

impl Pace {
    /// Whether a long page of activities takes so many reads that the process rarely lives to see
    /// its end.
    const fn reads_crumbs(self) -> bool {
        const PAGE_BYTES: u64 = 6_000_000;
        // One output asks for the chunk, another waits for it.
        let outputs = 2 * PAGE_BYTES / self.chunk_bytes_max;
        self.chunk_bytes_max < 1_000 || outputs * self.crash_per_million > 1_000_000
    }
}

impl Scenario {
    /// Draws the world of `seed`.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let faults = draw.pick(&["none", "field", "field", "hostile", "hostile"]);
        let calm = faults == "none";
        let mut plan = match faults {
            "none" => FaultPlan::none(),
            "field" => FaultPlan::field(),
            _ => FaultPlan::hostile(),
        };
        // Content that comes later than the daily relisting can promise is no collector's fault.
        plan.very_late_minutes = plan.very_late_minutes.min(4 * 1_440);
        // Most worlds are small, so that many can be run; some are large enough for what needs it.
        let large = draw.chance(60);
        let mut sim = SimConfig {
            seed,
            days: if large { draw.pick(&[0.5, 1.0, 2.0]) } else { draw.pick(&[0.05, 0.2, 0.4]) },
            blobs_per_hour: draw.pick(&[Span::new(0, 1), Span::new(0, 2), Span::new(1, 3)]),
            records_per_blob: draw.pick(&[Span::new(0, 3), Span::new(1, 6), Span::new(5, 20)]),
            record_bytes: draw.pick(&[Span::new(100, 600), Span::new(300, 2_000)]),
            oddness: 0.3,
            non_objects: draw.pick(&[0.0, 0.0, 0.01]),
            lag_seconds: draw.pick(&[Span::new(0, 1), Span::new(0, 60), Span::new(0, 600)]),
            page_size: if large { draw.pick(&[4, 20, 200]) } else { draw.pick(&[1, 2, 20]) },
            quota_per_minute: 1_000,
            latency_ms: draw.pick(&[0, 20, 200, 2_000]),
            token_seconds: draw.pick(&[60, 600, 3_599]),
            subscribed: draw.chance(500),
            faults: plan,
            ..SimConfig::default()
        };
        let mut options = Self::options(&mut draw, large);
        let chunk_bytes_max = draw.pick(&[150, 1_000, 16_000, 100_000]);
        // A process that lives for a hundred outputs needs chunks in which something fits.
        let crash_rates: &[u64] =
            if chunk_bytes_max < 1_000 { &[0, 20, 100] } else { &[0, 100, 1_000, 5_000] };
        let delivery_ms_max = draw.pick(&[0, 100, 5_000, 600_000]);
        // Every loss takes back all that is outstanding: a slow host that loses much gets nowhere.
        let return_rates: &[u64] = if delivery_ms_max > 5_000 { &[0, 1] } else { &[0, 5, 50] };
        let wanted = Wanted::draw(&mut draw);
        let crash_per_million = if calm { 0 } else { draw.pick(crash_rates) };
        let pace = Pace { crash_per_million, delivery_ms_max, chunk_bytes_max };
        let portal_token = Self::draw_activities(&mut draw, large, pace, &mut sim, &mut options);
        options.extend(wanted.option().map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self {
            seed,
            faults,
            sim,
            options,
            faulty_hours: if large { draw.between(4, 20) } else { draw.between(1, 5) },
            crash_per_million,
            return_per_mille: if calm { 0 } else { draw.pick(return_rates) },
            delivery_ms_max,
            unordered: draw.chance(300),
            skew_ms: draw.pick(&[0, 0, 30, -30, 36 * 60, -36 * 60]) * HOUR_MS / 60,
            jump_per_mille: if calm { 0 } else { draw.pick(&[0, 0, 2]) },
            chunk_bytes_max,
            once: false,
            stored: Stored::new(),
            wanted,
            hints: Vec::new(),
            portal_token,
            logged: false,
            // The last that are drawn, so that all else is as it was before.
            silent_hours: match large {
                false if draw.chance(120) => draw.pick(&[160, 172, 200, 240]),
                _ => 0,
            },
            sharing: draw.chance(150).then(|| Sharing::draw(&mut draw)),
        }
    }

    /// A world without surprises, for a script: `sim` as given, one feed, a quick host.
    #[must_use]
    pub fn scripted(sim: SimConfig) -> Self {
        // One day back: nothing is so old that retention could overtake it.
        let options = [
            ("content_types", "Audit.General"),
            ("interval_sec", "300"),
            ("lookback", "86400"),
            ("max_in_flight", "16"),
            ("batch_bytes", "512000"),
            ("buffer_bytes", "8000000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            seed: sim.seed,
            faults: "scripted",
            sim,
            options: options.into(),
            faulty_hours: 0,
            silent_hours: 0,
            sharing: None,
            crash_per_million: 0,
            return_per_mille: 0,
            delivery_ms_max: 10,
            unordered: false,
            skew_ms: 0,
            jump_per_mille: 0,
            chunk_bytes_max: 16_000,
            once: false,
            stored: Stored::new(),
            wanted: Wanted::ALL,
            hints: Vec::new(),
            portal_token: false,
            logged: false,
        }
    }

    /// Sets an option of the collector.
    #[must_use]
    pub fn with(mut self, option: &str, value: &str) -> Self {
        self.options.insert(option.into(), value.into());
        self
    }

    /// Lets the collector end when everything that existed at the start is delivered.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Prints every event as it happens.
    #[must_use]
    pub const fn logged(mut self, logged: bool) -> Self {
        self.logged = logged;
        self
    }

    /// Has somebody say that these contents exist.
    #[must_use]
    pub fn hinted(mut self, hints: Vec<ContentRef>) -> Self {
        self.hints = hints;
        self
    }

    /// Continues from what an earlier run left.
    #[must_use]
    pub fn resume(mut self, stored: Stored) -> Self {
        self.stored = stored;
        self
    }

    /// Sets the local clock wrong by so many hours.
    #[must_use]
    pub const fn skewed(mut self, hours: i64) -> Self {
        self.skew_ms = hours * HOUR_MS;
        self
    }

    /// Sets how long the host takes for a batch, at the most.
    #[must_use]
    pub const fn slow_host(mut self, milliseconds: u64) -> Self {
        self.delivery_ms_max = milliseconds;
        self
    }

    /// What the world around the collector is like.
    pub(super) fn setting(&self) -> Setting {
        Setting {
            skew_ms: self.skew_ms,
            chunks: Chunks::Drawn { bytes_max: self.chunk_bytes_max },
            habits: Habits {
                takes_ms: (0, self.delivery_ms_max),
                unordered: self.unordered,
                loses_per_mille: self.return_per_mille,
                ..Habits::from(0)
            },
            crash_per_million: self.crash_per_million,
            jump_per_mille: self.jump_per_mille,
            ..Setting::calm(START_MS, self.seed)
        }
    }

    /// What it is like around the second of two members.
    pub(super) fn second_setting(&self, sharing: Sharing) -> Setting {
        let seed = self.seed.rotate_left(17) ^ 1;
        Setting { seed, skew_ms: self.skew_ms + sharing.skew_ms, ..self.setting() }
    }

    /// Activities, in a third of the worlds. Answers whether the portal's own token is used.
    fn draw_activities(
        draw: &mut Draw,
        large: bool,
        pace: Pace,
        sim: &mut SimConfig,
        options: &mut RawOptions,
    ) -> bool {
        if !draw.chance(330) {
            return false;
        }
        sim.activities_per_hour = if large {
            draw.pick(&[Span::new(0, 30), Span::new(50, 100), Span::new(300, 600)])
        } else {
            draw.pick(&[Span::new(0, 5), Span::new(5, 30)])
        };
        sim.activity_days = draw.pick(&[0.02, 0.2, 1.0, if large { 20.0 } else { 2.0 }]);
        // Long or dense: both would be tens of thousands of activities. And a host that takes
        // minutes for a small buffer does not keep up with many, nor does one that reads crumbs.
        let crumbs = pace.reads_crumbs();
        if large && (sim.activity_days > 0.5 || pace.delivery_ms_max > 5_000 || crumbs) {
            sim.activities_per_hour.max = sim.activities_per_hour.max.min(30);
            sim.activities_per_hour.min = 0;
        }
        sim.search_page_size = draw.pick(&[100, 30, 3]);
        sim.scan_page_size = draw.pick(&[5_000, 600, 20]);
        // Six requests a minute are too few to search a dense world again and again in small pages.
        if sim.activities_per_hour.max > 100 {
            sim.scan_page_size = sim.scan_page_size.max(600);
        }
        // Of a long page nothing would be delivered before the next crash.
        if crumbs {
            sim.scan_page_size = 20;
        }
        let sources = ["management_activity, cloud_app_activities", "cloud_app_activities"];
        options.insert("source".into(), draw.pick(&[sources[0], sources[0], sources[1]]).into());
        let lookback: u32 = draw.pick(&[0, 3_600, 86_400, 30 * 86_400, 180 * 86_400]);
        options.insert("activities_lookback".into(), lookback.to_string());
        // A process that begins anew does not know what the last one has sent.
        let requests =
            if pace.crash_per_million > 0 { draw.pick(&[6, 10]) } else { draw.pick(&[12, 30]) };
        options.insert("activities_requests_per_minute".into(), requests.to_string());
        draw.chance(300)
    }

    fn options(draw: &mut Draw, large: bool) -> RawOptions {
        let few: &[&str] = &["Audit.General", "DLP.All", "Audit.Exchange, DLP.All"];
        let many: &[&str] = &[
            "Audit.AzureActiveDirectory, Audit.SharePoint, DLP.All",
            "Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General, DLP.All",
        ];
        let types = draw.pick(if large { many } else { few });
        let numbers = [
            ("interval_sec", draw.pick(&[300, 900, 3_600])),
            ("lookback", draw.pick(&[0, 3_600, 86_400, 604_800, 604_800])),
            ("requests_per_minute", draw.pick(&[60, 300, 900])),
            ("max_in_flight", draw.pick(&[2, 5, 16])),
            ("dedupe_records", draw.pick(&[0, 50, 50_000])),
            ("batch_bytes", draw.pick(&[1_000, 20_000, 512_000])),
            ("buffer_bytes", draw.pick(&[100_000, 8_000_000])),
        ];
        let mut options: RawOptions =
            numbers.into_iter().map(|(name, value)| (name.into(), value.to_string())).collect();
        options.insert("content_types".into(), types.into());
        options
    }
}
