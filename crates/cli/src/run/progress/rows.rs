//! What a terminal shows: a row a feed, the worst tenants if there are several, a row for all. Each
//! fits into the width; what has no room is left out, the least important first.

use console::{Color, Style};
use indicatif::HumanCount;
use m365_audit_core::{LaneMetrics, Metrics};

use crate::run::progress::line::DATA_LOST;
use crate::run::progress::rates::Rates;
use crate::run::progress::view::{Doing, View, percent, worst};
use crate::run::progress::waiting::Denials;
use crate::words::span;

/// So many tenants have rows of their own: those that are worst off.
const TENANTS_SHOWN: usize = 5;

/// Below so many columns, feeds are shown without what most of them begin with.
const NARROW: usize = 80;
const PREFIX: &str = "Audit.";

/// What is between two cells.
const GAP: &str = "  ";

/// A part of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    text: String,
    color: Option<Color>,
}

/// A row as it is being put together, at most so wide.
#[derive(Debug)]
struct Row {
    cells: Vec<Cell>,
    left: usize,
}

impl Row {
    /// One that begins with a name. Its last column stays free: where a terminal that was made
    /// narrower breaks lines, a full row would leave a line behind.
    fn new(name: &str, name_width: usize, width: usize) -> Self {
        let mut row = Self { cells: Vec::new(), left: width.saturating_sub(1) };
        let name: String = name.chars().take(name_width.min(row.left)).collect();
        row.push(format!("{name:<name_width$}"), None);
        row
    }

    /// Adds a cell, if there is room for it.
    fn push(&mut self, text: String, color: Option<Color>) {
        let gap = if self.cells.is_empty() { 0 } else { GAP.len() };
        let width = gap + text.chars().count();
        if width <= self.left {
            self.left -= width;
            self.cells.push(Cell { text, color });
        }
    }

    /// Adds words, as many as there is room for.
    fn push_words(&mut self, words: &str) {
        let room = self.left.saturating_sub(GAP.len());
        self.push(words.chars().take(room).collect(), None);
    }

    /// With colours, if stderr shows any (`NO_COLOR`, `CLICOLOR` and dumb terminals are obeyed).
    fn paint(self) -> String {
        let mut text = String::new();
        for (at, cell) in self.cells.iter().enumerate() {
            if 0 < at {
                text.push_str(GAP);
            }
            match cell.color {
                Some(color) => {
                    let style = Style::new().for_stderr().fg(color);
                    text.push_str(&style.apply_to(&cell.text).to_string());
                }
                None => text.push_str(&cell.text),
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// All rows. `beside` are figures of other parts, for the last row.
pub(super) fn rows(
    view: &View<'_>,
    (rates, denials): (&Rates, &Denials),
    beside: &[String],
    width: usize,
) -> Vec<String> {
    let View { all, tenants } = *view;
    let worst = worst_of(tenants);
    let names = all.lanes.iter().map(|lane| name_of(lane, width));
    let names = names.chain(worst.iter().map(|(name, _)| *name));
    let name_width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let name_width = name_width.max("all".len()).min(width / 2);
    let feeds = all.lanes.iter().enumerate();
    let mut rows: Vec<_> = feeds
        .map(|(at, lane)| {
            let mut row = Row::new(name_of(lane, width), name_width, width);
            if tenants.is_empty() {
                let denial = denials.get(&lane.feed).map_or("see the log", String::as_str);
                feed(&mut row, lane, at, rates, denial);
            } else {
                feed_of_many(&mut row, lane, at, rates, tenants);
            }
            row.paint()
        })
        .collect();
    rows.extend(worst.iter().map(|(name, metrics)| {
        let mut row = Row::new(name, name_width, width);
        tenant(&mut row, metrics);
        row.paint()
    }));
    let mut row = Row::new("all", name_width, width);
    total(&mut row, all, rates, beside);
    rows.push(row.paint());
    rows
}

fn name_of(lane: &LaneMetrics, width: usize) -> &'static str {
    let name = lane.feed.as_str();
    if width < NARROW { name.strip_prefix(PREFIX).unwrap_or(name) } else { name }
}

const fn color(doing: Doing) -> Option<Color> {
    match doing {
        Doing::CaughtUp => Some(Color::Green),
        Doing::Reading | Doing::Listing => Some(Color::Cyan),
        Doing::Starting => None,
        Doing::Denied | Doing::Lost => Some(Color::Red),
    }
}

fn doing(row: &mut Row, doing: Doing) {
    row.push(format!("{:<9}", doing.word()), color(doing));
}

fn feed(row: &mut Row, lane: &LaneMetrics, at: usize, rates: &Rates, denial: &str) {
    let state = Doing::of(lane);
    doing(row, state);
    if state == Doing::Denied {
        return row.push_words(denial);
    }
    counted(row, lane, at, rates);
    if state == Doing::Listing {
        row.push(format!("{} windows listed", HumanCount(lane.windows_listed)), None);
    }
    if state == Doing::CaughtUp {
        row.push(format!("lag {}", span(lane.lag)), None);
    }
    if state == Doing::Lost {
        row.push("see the log".into(), None);
    }
    beside_figures(row, lane);
}

/// Percent, events, what cannot be read, speed, time left.
fn counted(row: &mut Row, lane: &LaneMetrics, at: usize, rates: &Rates) {
    let percent = percent(lane).map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"));
    row.push(format!("{percent:>4}"), None);
    row.push(format!("{:>9} events", HumanCount(lane.records_delivered).to_string()), None);
    if 0 < lane.blobs_quarantined {
        let text = format!("{} unreadable", HumanCount(lane.blobs_quarantined));
        row.push(text, Some(Color::Yellow));
    }
    row.push(format!("{:>7}", format!("{}/s", HumanCount(rates.events_per_second(at)))), None);
    if 0 < lane.blobs_pending
        && let Some(time) = rates.time_for(at, lane.blobs_pending)
    {
        row.push(format!("{} left", span(time)), None);
    }
}

/// Of how many tenants a feed has caught up, in place of what it is doing in one of them.
fn feed_of_many(
    row: &mut Row,
    lane: &LaneMetrics,
    at: usize,
    rates: &Rates,
    tenants: &[(&str, &Metrics)],
) {
    let of = tenants.iter().flat_map(|(_, metrics)| &metrics.lanes);
    let of: Vec<_> = of.filter(|one| one.feed == lane.feed).map(Doing::of).collect();
    let done = of.iter().filter(|doing| **doing == Doing::CaughtUp).count();
    let color = (done == of.len()).then_some(Color::Green);
    row.push(format!("{done} of {} caught up", of.len()), color);
    let count = |wanted| of.iter().filter(|doing| **doing == wanted).count();
    for (count, words) in [(count(Doing::Lost), "lost data"), (count(Doing::Denied), "denied")] {
        if 0 < count {
            row.push(format!("{count} {words}"), Some(Color::Red));
        }
    }
    counted(row, lane, at, rates);
    beside_figures(row, lane);
}

fn beside_figures(row: &mut Row, lane: &LaneMetrics) {
    let figures = [(lane.records_filtered, "filtered"), (lane.records_malformed, "malformed")];
    for (count, word) in figures.into_iter().filter(|(count, _)| 0 < *count) {
        row.push(format!("{} {word}", HumanCount(count)), None);
    }
}

/// The tenants that are worst off, the worst first. Who has caught up is none of them.
fn worst_of<'a>(tenants: &[(&'a str, &'a Metrics)]) -> Vec<(&'a str, &'a Metrics)> {
    let behind = tenants.iter().filter(|(_, metrics)| Doing::CaughtUp < worst(metrics).0);
    let mut behind: Vec<_> = behind.copied().collect();
    behind.sort_by_cached_key(|(_, metrics)| std::cmp::Reverse(worst(metrics)));
    behind.truncate(TENANTS_SHOWN);
    behind
}

fn tenant(row: &mut Row, metrics: &Metrics) {
    let (state, lag) = worst(metrics);
    doing(row, state);
    row.push(format!("lag {}", span(lag)), None);
    let feeds = metrics.lanes.iter().filter(|lane| Doing::CaughtUp < Doing::of(lane));
    let feeds: Vec<_> = feeds.map(|lane| lane.feed.as_str()).collect();
    row.push(feeds.join(", "), None);
}

fn total(row: &mut Row, all: &Metrics, rates: &Rates, beside: &[String]) {
    let lost = all.lanes.iter().any(LaneMetrics::has_lost_data);
    if lost {
        row.push(DATA_LOST.into(), Some(Color::Red));
    }
    let sent = HumanCount(rates.requests_in_last_minute());
    row.push(
        match all.requests_per_minute {
            // All tenants have gone, and their budgets with them.
            0 => format!("{sent} requests/min"),
            allowed => format!("{sent} of {} requests/min", HumanCount(allowed.into())),
        },
        None,
    );
    let (_, lag) = worst(all);
    row.push(format!("lag {}", span(lag)), None);
    if 0 < all.losses_unacknowledged {
        let losses = HumanCount(all.losses_unacknowledged);
        row.push(format!("losses not acknowledged: {losses}"), Some(Color::Yellow));
    }
    for figure in beside {
        row.push(figure.clone(), None);
    }
}
