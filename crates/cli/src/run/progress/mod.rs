//! Where things stand, for people: rows on a terminal, lines elsewhere.

mod line;
mod rates;
mod rows;
mod terminal;
mod view;
mod waiting;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use m365_audit_client::WebhookMetrics;
use m365_audit_core::{Event, Level, Metrics};

use crate::log::Log;
use crate::run::progress::rates::Rates;
pub(crate) use crate::run::progress::terminal::bars;
pub(crate) use crate::run::progress::view::View;
use crate::run::progress::waiting::{Denials, Waiting};
use crate::terminal::is_dumb;
use crate::words::span;

/// How often rows are drawn.
const ROWS_PERIOD: Duration = Duration::from_millis(250);

/// After how long the first line is written.
const FIRST_LINE_AFTER: Duration = Duration::from_secs(8);

/// How often a line is written while something moves.
const LINE_PERIOD: Duration = Duration::from_secs(60);

/// How often a line is written while nothing moves.
const IDLE_LINE_PERIOD: Duration = Duration::from_secs(60 * 60);

/// How often it is asked whether it is time for a line.
const LINE_CHECK_PERIOD: Duration = Duration::from_secs(1);

/// Columns of a terminal that does not say how many it has.
const WIDTH_DEFAULT: usize = 80;

/// Shows metrics as they change.
#[derive(Debug)]
pub(crate) struct Progress {
    display: Display,
    shown_at: Option<Instant>,
    rates: Rates,
    /// What calls the webhook has had, if there is one.
    webhook: Option<WebhookMetrics>,
    /// Records that were too long for a line of the output.
    oversized: u64,
    waiting: Waiting,
    /// Whether the run has an end, so that somebody waits for it.
    once: bool,
    start: Instant,
}

#[derive(Debug)]
enum Display {
    Nothing,
    Rows(Rows),
    Lines(Lines),
}

/// On a terminal.
#[derive(Debug)]
struct Rows {
    all: MultiProgress,
    term: console::Term,
    shown: Vec<ProgressBar>,
    width: usize,
}

/// In a log.
#[derive(Debug)]
struct Lines {
    /// Whatever levels the log shows.
    always: bool,
    /// When the last one was written, and how many events there had been.
    written: Option<(Instant, Moved)>,
}

/// What makes a line worth writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moved {
    events: u64,
    blobs_quarantined: u64,
    denied: usize,
    losses: u64,
}

impl Moved {
    fn of(metrics: &Metrics) -> Self {
        let lanes = &metrics.lanes;
        Self {
            events: lanes.iter().map(|lane| lane.records_delivered).sum(),
            blobs_quarantined: lanes.iter().map(|lane| lane.blobs_quarantined).sum(),
            denied: lanes.iter().filter(|lane| lane.denied).count(),
            losses: metrics.losses_unacknowledged,
        }
    }
}

impl Progress {
    /// `mode` is one of the words of `--progress`.
    pub(crate) fn new(mode: &str, bars: MultiProgress) -> Self {
        let terminal = std::io::stderr().is_terminal() && !is_dumb();
        let display = match mode {
            "never" => Display::Nothing,
            _ if terminal => {
                let (term, shown, width) = (console::Term::stderr(), Vec::new(), WIDTH_DEFAULT);
                Display::Rows(Rows { all: bars, term, shown, width })
            }
            _ => Display::Lines(Lines { always: mode == "always", written: None }),
        };
        let start = Instant::now();
        let rates = Rates::default();
        let (waiting, once) = (Waiting::new(start), false);
        Self { display, shown_at: None, rates, webhook: None, oversized: 0, waiting, once, start }
    }

    /// The same for a run that has an end, if `once` is so.
    pub(crate) fn once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// Takes in what happened to a tenant; its name is empty if it is the only one.
    pub(crate) fn observe(&mut self, tenant: &str, event: &Event) {
        self.waiting.observe(tenant, event, Instant::now());
    }

    /// A blob of a tenant was read.
    pub(crate) fn note_read(&mut self, tenant: &str, content_id: &str) {
        self.waiting.read(tenant, content_id);
    }

    /// Another run of a tenant's collector begins, or none.
    pub(crate) fn forget(&mut self, tenant: &str) {
        self.waiting.forget(tenant);
    }

    const fn period(&self) -> Option<Duration> {
        match self.display {
            Display::Nothing => None,
            Display::Rows(_) => Some(ROWS_PERIOD),
            Display::Lines(_) => Some(LINE_CHECK_PERIOD),
        }
    }

    /// Whether there is anything for [`Self::show`] to do.
    pub(crate) fn is_due(&self) -> bool {
        let Some(period) = self.period() else { return false };
        self.rates.is_due(Instant::now())
            || self.shown_at.is_none_or(|shown| period <= shown.elapsed())
    }

    /// Shows where things stand, if it is time to. Cheap if not.
    pub(crate) fn show(&mut self, view: &View<'_>, log: &Log) {
        let Some(period) = self.period() else { return };
        let now = Instant::now();
        self.rates.sample(now, view.all);
        if self.shown_at.is_some_and(|shown| now.duration_since(shown) < period) {
            return;
        }
        self.shown_at = Some(now);
        let beside = self.beside();
        let outage = self.waiting.outage(now);
        let awaited = self.waiting.blobs(view.all, now).filter(|_| self.once);
        match &mut self.display {
            Display::Nothing => {}
            Display::Rows(shown) => {
                let columns = console::Term::stderr().size_checked();
                let width = columns.map_or(WIDTH_DEFAULT, |(_, columns)| columns.into());
                let below = outage.into_iter().chain(awaited).collect::<Vec<_>>();
                let known = (&self.rates, self.waiting.denials());
                shown.draw(view, known, &beside, &below, width);
            }
            Display::Lines(lines) => {
                let (always, moved) = (lines.always, Moved::of(view.all));
                let stuck = outage.is_some() || awaited.is_some();
                if !view.all.lanes.is_empty() && lines.is_due(now, self.start, moved, stuck) {
                    lines.written = Some((now, moved));
                    // What is wrong says more than what has not moved.
                    let summary = || line::summary(view.all, &self.rates, &beside);
                    write(log, always, &outage.unwrap_or_else(summary));
                    awaited.iter().for_each(|awaited| write(log, always, awaited));
                }
            }
        }
    }

    /// Keeps what the webhook has had, to be shown with the rest.
    pub(crate) fn note_webhook(&mut self, metrics: WebhookMetrics) {
        self.webhook = Some(metrics);
    }

    /// Keeps how many records were too long for a line of the output, to be shown with the rest.
    pub(crate) const fn note_oversized(&mut self, count: u64) {
        self.oversized = count;
    }

    /// Figures of other parts, which stand behind those of the collectors.
    fn beside(&self) -> Vec<String> {
        let mut figures = Vec::new();
        if let Some(webhook) = self.webhook {
            figures.push(format!("{} notifications", HumanCount(webhook.notifications)));
            figures.push(format!("{} hints", HumanCount(webhook.hints)));
            let refused = webhook.refused.iter().sum();
            if 0 < refused {
                figures.push(format!("{} calls refused", HumanCount(refused)));
            }
        }
        if 0 < self.oversized {
            figures.push(format!("{} oversized", HumanCount(self.oversized)));
        }
        figures
    }

    /// Takes the rows away and leaves a summary of `metrics`.
    pub(crate) fn close(&mut self, metrics: &Metrics, log: &Log) {
        self.rates.push(Instant::now(), metrics);
        if let Display::Rows(rows) = &mut self.display {
            rows.clear();
        }
        if !metrics.lanes.is_empty() {
            let summary = line::summary(metrics, &self.rates, &self.beside());
            let line = format!("{summary} in {}", span(self.start.elapsed()));
            let always = matches!(self.display, Display::Lines(Lines { always: true, .. }));
            write(log, always, &line);
        }
    }
}

impl Rows {
    /// `below` stands in rows of its own.
    fn draw(
        &mut self,
        view: &View<'_>,
        (rates, denials): (&Rates, &Denials),
        beside: &[String],
        below: &[String],
        width: usize,
    ) {
        if self.width != width {
            // What stands there was made for another width, and perhaps takes more lines now.
            let columns = self.shown.iter().map(|row| row.message());
            let columns = columns.map(|row| console::measure_text_width(row.trim_end()));
            let more = terminal::wrapped(columns, width);
            // A terminal that is gone has nothing to clear.
            drop(self.all.clear());
            if 0 < more {
                drop(self.term.clear_last_lines(more));
            }
            self.width = width;
        }
        let mut rows = rows::rows(view, (rates, denials), beside, width);
        let cut = |text: &String| text.chars().take(width.saturating_sub(1)).collect();
        rows.extend(below.iter().map(cut));
        while rows.len() < self.shown.len() {
            self.shown.pop().iter().for_each(ProgressBar::finish_and_clear);
        }
        for (at, row) in rows.into_iter().enumerate() {
            if self.shown.len() <= at {
                let style = ProgressStyle::with_template("{msg}");
                let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
                self.shown.push(self.all.add(ProgressBar::no_length().with_style(style)));
            }
            self.shown[at].set_message(row);
        }
    }

    fn clear(&mut self) {
        for bar in self.shown.drain(..) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

impl Lines {
    /// Whether it is time for a line: soon after the start, then while something moves or is stuck.
    fn is_due(&self, now: Instant, start: Instant, moved: Moved, stuck: bool) -> bool {
        match self.written {
            None => FIRST_LINE_AFTER <= now.duration_since(start),
            Some((at, before)) => {
                let idle = moved == before && !stuck;
                let period = if idle { IDLE_LINE_PERIOD } else { LINE_PERIOD };
                period <= now.duration_since(at)
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

#[cfg(test)]
mod tests;
