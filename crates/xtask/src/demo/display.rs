//! What the demo shows while it goes, and its table at the end. Counts nothing itself.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::{Row, Tally};
use crate::shell;
use crate::simulator::CONTENT_TYPES;

/// How often bars are drawn, and how often a line is printed where there is no terminal.
const BARS_PERIOD: Duration = Duration::from_millis(200);
const LINE_PERIOD: Duration = Duration::from_secs(2);

/// Bars on a terminal, lines elsewhere.
#[derive(Debug)]
pub(crate) struct Display {
    bars: Option<Bars>,
    begun: Instant,
    shown: Option<(Instant, u64)>,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    lanes: Vec<ProgressBar>,
    total: ProgressBar,
}

impl Display {
    /// Shows nothing yet.
    pub(crate) fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(Bars::new);
        Self { bars, begun: Instant::now(), shown: None }
    }

    /// Shows where things stand, if it is time to. `more` is added to the total.
    pub(crate) fn show(&mut self, tally: &Tally, more: &str) {
        let now = Instant::now();
        let period = if self.bars.is_some() { BARS_PERIOD } else { LINE_PERIOD };
        let last = self.shown.unwrap_or((self.begun, 0));
        let since = now.duration_since(last.0);
        if self.shown.is_some() && since < period {
            return;
        }
        let total = tally.total();
        let arrived = total.delivered + total.duplicates;
        let rate = arrived.saturating_sub(last.1) as f64 / since.as_secs_f64().max(0.001);
        self.shown = Some((now, arrived));
        let text = format!(
            "{} of {} events delivered, {rate:.0} events/s{more}",
            HumanCount(total.delivered),
            HumanCount(total.published),
        );
        match &self.bars {
            None => shell::say(&format!("{:4.0} s  {text}", self.begun.elapsed().as_secs_f64())),
            Some(bars) => {
                for (bar, row) in bars.lanes.iter().zip(tally.rows()) {
                    bar.set_length(row.published);
                    bar.set_position(row.delivered);
                    bar.set_message(format!(
                        "{:>9} of {:<9}",
                        HumanCount(row.delivered).to_string(),
                        HumanCount(row.published).to_string()
                    ));
                }
                bars.total.set_message(text);
            }
        }
    }

    /// Prints a line above the bars.
    pub(crate) fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| shell::say(text)),
            None => shell::say(text),
        }
    }

    /// Takes the bars away.
    pub(crate) fn close(&self) {
        if let Some(bars) = &self.bars {
            bars.lanes.iter().chain([&bars.total]).for_each(ProgressBar::finish_and_clear);
        }
    }
}

impl Bars {
    fn new() -> Self {
        let style = |template: &str| {
            // The templates below are well-formed; plain bars would do too.
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let lane = |name: &&'static str| {
            let bar = ProgressBar::new(0).with_prefix(*name);
            all.add(bar.with_style(style("{prefix:27} {wide_bar:.cyan/blue} {msg}")))
        };
        let lanes = CONTENT_TYPES.iter().map(lane).collect();
        let total = all.add(ProgressBar::no_length().with_style(style("{msg}")));
        Self { all, lanes, total }
    }
}

/// The table at the end.
pub(crate) fn table(tally: &Tally) -> String {
    let line = |name: &str, row: Row| {
        let count = |count: u64| HumanCount(count).to_string();
        format!(
            "{name:27}{:>12}{:>12}{:>12}{:>10}\n",
            count(row.published),
            count(row.delivered),
            count(row.duplicates),
            count(row.missing())
        )
    };
    let heads = ["published", "delivered", "duplicates", "missing"];
    let [a, b, c, d] = heads;
    let mut text = format!("{:27}{a:>12}{b:>12}{c:>12}{d:>10}\n", "content type");
    for (name, row) in CONTENT_TYPES.iter().zip(tally.rows()) {
        text.push_str(&line(name, *row));
    }
    text.push_str(&line("all", tally.total()));
    text
}
