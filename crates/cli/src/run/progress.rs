//! Where things stand, for people: bars on a terminal, a line every ten seconds elsewhere.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use m365_audit_client::WebhookMetrics;
use m365_audit_core::{LaneMetrics, Level, Metrics};

use crate::log::Log;

/// How often bars are drawn.
const BARS_PERIOD: Duration = Duration::from_millis(250);

/// How often a line is written, if anything has changed.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// Over how long rates are taken; requests are counted by the minute.
const RATE_SPAN: Duration = Duration::from_secs(60);

/// How often rates take a sample.
const SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// Shows metrics as they change.
#[derive(Debug)]
pub(crate) struct Progress {
    display: Display,
    shown_at: Option<Instant>,
    rates: Rates,
    last: Metrics,
    /// What calls the webhook has had, if there is one.
    webhook: Option<WebhookMetrics>,
    /// Records that were too long for a line of the output.
    oversized: u64,
    start: Instant,
}

#[derive(Debug)]
enum Display {
    Nothing,
    Bars {
        all: MultiProgress,
        lanes: Vec<ProgressBar>,
        total: Option<ProgressBar>,
    },
    /// `always`: whatever levels the log shows.
    Lines {
        always: bool,
        last: String,
    },
}

impl Progress {
    /// `mode` is one of the words of `--progress`.
    pub(crate) fn new(mode: &str, bars: MultiProgress) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let display = match mode {
            "never" => Display::Nothing,
            _ if terminal => Display::Bars { all: bars, lanes: Vec::new(), total: None },
            _ => Display::Lines { always: mode == "always", last: String::new() },
        };
        let start = Instant::now();
        let (rates, last) = (Rates::default(), Metrics::default());
        Self { display, shown_at: None, rates, last, webhook: None, oversized: 0, start }
    }

    /// Whether there is anything for [`Self::show`] to do.
    pub(crate) fn is_due(&self) -> bool {
        let period = match self.display {
            Display::Nothing => return false,
            Display::Bars { .. } => BARS_PERIOD,
            Display::Lines { .. } => LINE_PERIOD,
        };
        self.rates.is_due(Instant::now())
            || self.shown_at.is_none_or(|shown| period <= shown.elapsed())
    }

    /// Shows `metrics`, if it is time to. Cheap if not.
    pub(crate) fn show(&mut self, metrics: &Metrics, log: &Log) {
        let period = match self.display {
            Display::Nothing => return,
            Display::Bars { .. } => BARS_PERIOD,
            Display::Lines { .. } => LINE_PERIOD,
        };
        let now = Instant::now();
        self.last.clone_from(metrics);
        self.rates.sample(now, metrics);
        if self.shown_at.is_some_and(|shown| now.duration_since(shown) < period) {
            return;
        }
        self.shown_at = Some(now);
        self.draw(log);
    }

    /// Keeps what the webhook has had, to be shown with the rest.
    pub(crate) fn note_webhook(&mut self, metrics: WebhookMetrics) {
        self.webhook = Some(metrics);
    }

    /// Keeps how many records were too long for a line of the output, to be shown with the rest.
    pub(crate) const fn note_oversized(&mut self, count: u64) {
        self.oversized = count;
    }

    /// What stands behind other figures.
    fn beside(&self) -> String {
        let mut text = webhook_text(self.webhook);
        if 0 < self.oversized {
            text.push_str(&format!(", {} oversized", HumanCount(self.oversized)));
        }
        text
    }

    /// Takes the bars away and leaves a summary of `metrics`.
    pub(crate) fn close(&mut self, metrics: &Metrics, log: &Log) {
        self.last.clone_from(metrics);
        self.rates.push(Instant::now(), metrics);
        if let Display::Bars { lanes, total, .. } = &mut self.display {
            lanes.drain(..).chain(total.take()).for_each(|bar| bar.finish_and_clear());
        }
        if !self.last.lanes.is_empty() {
            let summary = summary(&self.last, &self.rates) + &self.beside();
            let line = format!("{summary} in {}", span(self.start.elapsed()));
            write(log, matches!(self.display, Display::Lines { always: true, .. }), &line);
        }
    }

    fn draw(&mut self, log: &Log) {
        let (metrics, beside) = (&self.last, self.beside());
        match &mut self.display {
            Display::Nothing => {}
            Display::Lines { always, last } => {
                let line = summary(metrics, &self.rates) + &beside;
                if line != *last && !metrics.lanes.is_empty() {
                    write(log, *always, &line);
                    *last = line;
                }
            }
            Display::Bars { all, lanes, total } => {
                // A run after a failure may begin with other numbers, but has the same feeds.
                for (i, lane) in metrics.lanes.iter().enumerate() {
                    if lanes.len() <= i {
                        lanes.push(all.add(bar(lane)));
                    }
                    let done = lane.blobs_delivered;
                    // A bar without a length would look full.
                    lanes[i].set_length((done + lane.blobs_pending).max(1));
                    lanes[i].set_position(done);
                    lanes[i].set_message(lane_text(lane, self.rates.events_per_second(i)));
                }
                let total = total.get_or_insert_with(|| {
                    let style = ProgressStyle::with_template("{msg}");
                    all.add(
                        ProgressBar::no_length()
                            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())),
                    )
                });
                let text = requests_text(metrics, &self.rates) + &beside;
                total.set_message(text);
            }
        }
    }
}

/// A line about where things stand is no trouble, even where only trouble is shown.
fn write(log: &Log, always: bool, line: &str) {
    if always {
        log.write_always(Level::Info, line);
    } else {
        log.write(Level::Info, line);
    }
}

fn bar(lane: &LaneMetrics) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:25} {bar:16} {msg}");
    ProgressBar::no_length()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(lane.feed.as_str())
}

/// Counts over the last minute.
#[derive(Debug, Default)]
struct Rates {
    /// When, requests so far, events so far by feed. At most a sample a second.
    samples: VecDeque<(Instant, u64, Vec<u64>)>,
}

impl Rates {
    fn is_due(&self, now: Instant) -> bool {
        self.samples.back().is_none_or(|last| SAMPLE_PERIOD <= now.duration_since(last.0))
    }

    fn sample(&mut self, now: Instant, metrics: &Metrics) {
        if self.is_due(now) {
            self.push(now, metrics);
        }
    }

    fn push(&mut self, now: Instant, metrics: &Metrics) {
        let requests = metrics.requests.iter().sum();
        // Another run counts from zero.
        if self.samples.back().is_some_and(|last| requests < last.1) {
            self.samples.clear();
        }
        let events = metrics.lanes.iter().map(|lane| lane.records_delivered).collect();
        self.samples.push_back((now, requests, events));
        while self.samples.front().is_some_and(|old| RATE_SPAN < now.duration_since(old.0)) {
            self.samples.pop_front();
        }
    }

    fn requests_in_last_minute(&self) -> u64 {
        match (self.samples.front(), self.samples.back()) {
            // A minute has not passed yet: all of them.
            (Some(first), Some(last)) if last.0.duration_since(first.0) < RATE_SPAN / 2 => last.1,
            (Some(first), Some(last)) => last.1.saturating_sub(first.1),
            _ => 0,
        }
    }

    fn events_per_second(&self, lane: usize) -> u64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return 0;
        };
        let seconds = last.0.duration_since(first.0).as_secs().max(1);
        let count = |sample: &[u64]| sample.get(lane).copied().unwrap_or_default();
        count(&last.2).saturating_sub(count(&first.2)) / seconds
    }
}

/// Behind the figures of a feed that has lost data.
const DATA_LOST: &str = ", DATA LOST (see the log)";

fn lane_text(lane: &LaneMetrics, events_per_second: u64) -> String {
    if lane.denied {
        return "denied".into();
    }
    let mut text = format!(
        "{} of {} blobs, {} windows, {} events, {}/s, backlog {}, lag {}",
        HumanCount(lane.blobs_delivered),
        HumanCount(lane.blobs_delivered + lane.blobs_pending),
        HumanCount(lane.windows_listed),
        HumanCount(lane.records_delivered),
        HumanCount(events_per_second),
        span(lane.backlog),
        span(lane.lag),
    );
    if 0 < lane.records_filtered {
        text.push_str(&format!(", {} filtered", HumanCount(lane.records_filtered)));
    }
    if 0 < lane.records_malformed {
        text.push_str(&format!(", {} malformed", HumanCount(lane.records_malformed)));
    }
    if 0 < lane.blobs_quarantined {
        text.push_str(&format!(", {} in quarantine", HumanCount(lane.blobs_quarantined)));
    }
    if lane.has_lost_data() {
        text.push_str(DATA_LOST);
    }
    text
}

fn requests_text(metrics: &Metrics, rates: &Rates) -> String {
    let sent = HumanCount(rates.requests_in_last_minute());
    match metrics.requests_per_minute {
        // All tenants have gone, and their budgets with them.
        0 => format!("{sent} requests/min"),
        allowed => format!("{sent} requests/min of {} allowed", HumanCount(allowed.into())),
    }
}

/// What the webhook has had, behind other figures.
fn webhook_text(metrics: Option<WebhookMetrics>) -> String {
    let Some(metrics) = metrics else { return String::new() };
    let refused: u64 = metrics.refused.iter().sum();
    let mut text = format!(
        ", {} notifications, {} hints",
        HumanCount(metrics.notifications),
        HumanCount(metrics.hints)
    );
    if 0 < refused {
        text.push_str(&format!(", {} calls refused", HumanCount(refused)));
    }
    text
}

/// Everything in one line; of backlog and lag, the longest.
fn summary(metrics: &Metrics, rates: &Rates) -> String {
    let lanes = &metrics.lanes;
    let sum = |count: fn(&LaneMetrics) -> u64| HumanCount(lanes.iter().map(count).sum());
    let longest = |time: fn(&LaneMetrics) -> Duration| {
        span(lanes.iter().filter(|lane| !lane.denied).map(time).max().unwrap_or_default())
    };
    let per_second = (0..lanes.len()).map(|lane| rates.events_per_second(lane)).sum();
    let mut text = format!(
        "{} events ({}/s), {} of {} blobs, {} windows, backlog {}, lag {}, {}",
        sum(|lane| lane.records_delivered),
        HumanCount(per_second),
        sum(|lane| lane.blobs_delivered),
        sum(|lane| lane.blobs_delivered + lane.blobs_pending),
        sum(|lane| lane.windows_listed),
        longest(|lane| lane.backlog),
        longest(|lane| lane.lag),
        requests_text(metrics, rates),
    );
    let quarantined: u64 = lanes.iter().map(|lane| lane.blobs_quarantined).sum();
    if 0 < quarantined {
        text.push_str(&format!(", {} in quarantine", HumanCount(quarantined)));
    }
    let filtered: u64 = lanes.iter().map(|lane| lane.records_filtered).sum();
    if 0 < filtered {
        text.push_str(&format!(", {} filtered", HumanCount(filtered)));
    }
    let malformed: u64 = lanes.iter().map(|lane| lane.records_malformed).sum();
    if 0 < malformed {
        text.push_str(&format!(", {} malformed", HumanCount(malformed)));
    }
    let denied = lanes.iter().filter(|lane| lane.denied).count();
    if 0 < denied {
        text.push_str(&format!(", {denied} of {} feeds denied", lanes.len()));
    }
    if 0 < metrics.losses_unacknowledged {
        let losses = HumanCount(metrics.losses_unacknowledged);
        text.push_str(&format!(", not acknowledged losses: {losses}"));
    }
    if lanes.iter().any(LaneMetrics::has_lost_data) {
        text.push_str(DATA_LOST);
    }
    text
}

/// `2d 3h`, `3h 5m`, `5m 7s`, `7s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use m365_audit_core::{ContentType, Feed};

    fn metrics(requests: u64, events: u64) -> Metrics {
        let lane = LaneMetrics {
            windows_listed: 12,
            blobs_delivered: 1_234,
            blobs_pending: 66,
            records_delivered: events,
            backlog: Duration::from_secs(2 * 86_400 + 3 * 3_600),
            lag: Duration::from_secs(65),
            ..LaneMetrics::new(Feed::Audit(ContentType::AuditExchange))
        };
        let share_point = LaneMetrics::new(Feed::Audit(ContentType::AuditSharePoint));
        let denied = LaneMetrics { denied: true, ..share_point };
        Metrics {
            requests: std::array::from_fn(|at| if at == 0 { requests } else { 0 }),
            requests_per_minute: 2_000,
            lanes: vec![lane, denied],
            ..Metrics::default()
        }
    }

    #[test]
    fn the_summary_says_what_was_done_and_what_is_left() {
        let start = Instant::now();
        let mut rates = Rates::default();
        rates.sample(start, &metrics(0, 0));
        rates.sample(start + Duration::from_millis(900), &metrics(50, 5_000));
        rates.sample(start + Duration::from_secs(10), &metrics(300, 50_000));
        let metrics = metrics(300, 50_000);
        expect!["50,000 events (5,000/s), 1,234 of 1,300 blobs, 12 windows, backlog 2d 3h, lag 1m 5s, 300 requests/min of 2,000 allowed, 1 of 2 feeds denied"].assert_eq(&summary(&metrics, &rates));
        expect![
            "1,234 of 1,300 blobs, 12 windows, 50,000 events, 5,000/s, backlog 2d 3h, lag 1m 5s"
        ]
        .assert_eq(&lane_text(&metrics.lanes[0], 5_000));
        assert_eq!(lane_text(&metrics.lanes[1], 0), "denied");
    }

    #[test]
    fn malformed_records_are_counted_in_both_lines() {
        let mut metrics = metrics(0, 0);
        assert!(!summary(&metrics, &Rates::default()).contains("malformed"));
        metrics.lanes[0].records_malformed = 1_007;
        assert!(summary(&metrics, &Rates::default()).contains(", 1,007 malformed"));
        assert!(lane_text(&metrics.lanes[0], 0).ends_with(", 1,007 malformed"));
    }

    #[test]
    fn a_loss_of_any_kind_is_shown() {
        let losses: [fn(&mut LaneMetrics); 5] = [
            |lane| lane.blobs_lost = 1,
            |lane| lane.records_withheld = 1,
            |lane| lane.records_dropped = 1,
            |lane| lane.listing_entries_dropped = 1,
            |lane| lane.listing_gaps = Duration::from_secs(1),
        ];
        for lose in losses {
            let mut metrics = metrics(0, 0);
            assert!(!summary(&metrics, &Rates::default()).contains("LOST"));
            lose(&mut metrics.lanes[0]);
            assert!(lane_text(&metrics.lanes[0], 0).ends_with(", DATA LOST (see the log)"));
            let text = summary(&metrics, &Rates::default());
            assert!(text.ends_with(", DATA LOST (see the log)"), "{text}");
        }
    }

    #[test]
    fn the_last_line_counts_the_last_requests() {
        let start = Instant::now();
        let mut rates = Rates::default();
        rates.sample(start, &metrics(1, 0));
        let mut last = metrics(36, 100);
        last.requests_per_minute = 0;
        last.lanes[0].blobs_quarantined = 2;
        rates.sample(start, &last);
        assert_eq!(rates.requests_in_last_minute(), 1);
        rates.push(start, &last);
        let text = summary(&last, &rates);
        assert!(text.contains(" 36 requests/min, "), "{text}");
        assert!(text.contains(", 2 in quarantine"), "{text}");
    }

    #[test]
    fn rates_cover_the_last_minute_only() {
        let start = Instant::now();
        let mut rates = Rates::default();
        for second in 0..200 {
            let at = start + Duration::from_secs(second);
            rates.sample(at, &metrics(second * 10, second * 1_000));
        }
        assert_eq!(rates.requests_in_last_minute(), 600);
        assert_eq!(rates.events_per_second(0), 1_000);
        assert!(rates.samples.len() <= 61);
        // Another run.
        rates.sample(start + Duration::from_secs(201), &metrics(1, 0));
        assert_eq!(rates.events_per_second(0), 0);
    }
}
