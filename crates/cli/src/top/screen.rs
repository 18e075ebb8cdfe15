//! What the screen shows, at any width. Draws; asks nobody.

use std::cmp::Reverse;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Cell, Paragraph, Row, StatefulWidget, Table, TableState, Widget};

use crate::terminal::has_colours;
use crate::top::model::{Answer, Badness, Tenant};
use crate::words;

/// From this width on all columns are shown; below the second, the fewest.
const WIDE: u16 = 110;
const NARROW: u16 = 76;

/// Columns of a strip in the table.
const STRIP_COLUMNS: u16 = 28;

/// Errors and warnings below the chosen tenant.
const TROUBLES_MAX: usize = 4;

/// Rows of the table when it is printed.
const PRINTED_ROWS_MAX: usize = 1_000;

/// The screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    answer: Answer,
    /// Why there is no newer answer.
    problem: Option<String>,
    search: String,
    searching: bool,
    only_bad: bool,
    chosen: Option<String>,
}

impl Screen {
    /// Shows another answer.
    pub(super) fn take(&mut self, answer: Answer) {
        self.answer = answer;
        self.problem = None;
        self.keep_chosen();
    }

    /// Says that there is none; what was shown stays.
    pub(super) fn fail(&mut self, problem: String) {
        self.problem = Some(problem);
    }

    /// The chosen tenant's id.
    pub(super) fn chosen(&self) -> Option<String> {
        self.chosen.clone()
    }

    /// Chooses another tenant, so many rows away.
    pub(super) fn choose_by(&mut self, rows: isize) {
        let shown = self.shown();
        let chosen = |tenant: &&Tenant| Some(&tenant.tenant_id) == self.chosen.as_ref();
        let at = shown.iter().position(chosen).unwrap_or(0);
        let last = shown.len().saturating_sub(1);
        let at = at.saturating_add_signed(rows).min(last);
        self.chosen = shown.get(at).map(|tenant| tenant.tenant_id.clone());
    }

    pub(super) fn toggle_bad(&mut self) {
        self.only_bad = !self.only_bad;
        self.keep_chosen();
    }

    pub(super) const fn begin_search(&mut self) {
        self.searching = true;
    }

    /// What is searched for, while it is being written.
    pub(super) fn search_mut(&mut self) -> Option<&mut String> {
        self.searching.then_some(&mut self.search)
    }

    pub(super) fn end_search(&mut self) {
        self.searching = false;
        self.keep_chosen();
    }

    pub(super) fn drop_search(&mut self) {
        self.search.clear();
        self.end_search();
    }

    /// What is chosen is among what is shown.
    fn keep_chosen(&mut self) {
        self.choose_by(0);
    }

    /// Worst first.
    fn shown(&self) -> Vec<&Tenant> {
        let wanted = self.search.to_lowercase();
        let is_meant = |tenant: &&Tenant| {
            let text = format!("{} {} {}", tenant.name, tenant.tenant_id, tenant.words());
            (!self.only_bad || tenant.badness() != Badness::Fine)
                && text.to_lowercase().contains(&wanted)
        };
        let mut shown: Vec<&Tenant> = self.answer.tenants.iter().filter(is_meant).collect();
        shown.sort_by(|one, other| {
            let worse = Reverse(one.badness()).cmp(&Reverse(other.badness()));
            worse.then(other.lag_seconds.total_cmp(&one.lag_seconds))
        });
        shown
    }

    /// Draws all of it.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let detail = self.detail(area.width);
        let below = u16::try_from(detail.len()).unwrap_or(u16::MAX).min(area.height / 2);
        let parts = [Constraint::Length(2), Constraint::Min(3), Constraint::Length(below)];
        let [head, table, detail_area, foot] =
            Layout::vertical([parts[0], parts[1], parts[2], Constraint::Length(1)]).areas(area);
        Paragraph::new(self.head()).render(head, buffer);
        self.draw_table(table, buffer);
        Paragraph::new(detail).render(detail_area, buffer);
        Paragraph::new(self.foot()).render(foot, buffer);
    }

    /// All of it as text, as tall as it needs.
    pub(super) fn as_text(&self, columns: u16) -> String {
        let rows = self.shown().len().clamp(1, PRINTED_ROWS_MAX) + 1;
        let lines = 3 + rows + 2 * self.detail(columns).len();
        let lines = u16::try_from(lines).unwrap_or(u16::MAX);
        let area = Rect::new(0, 0, columns, lines);
        let mut buffer = Buffer::empty(area);
        self.draw(area, &mut buffer);
        text_of(&buffer)
    }

    fn head(&self) -> Vec<TextLine<'_>> {
        let Answer { version, packaging, now, tenants, .. } = &self.answer;
        let count = |badness| tenants.iter().filter(|one| one.badness() == badness).count();
        let (lost, waiting) = (count(Badness::Lost), count(Badness::NotReady));
        let mut words = vec![Span::raw(match tenants.len() {
            1 => "1 tenant".to_owned(),
            many => format!("{many} tenants"),
        })];
        if 0 < lost {
            words.push(Span::styled(format!(", {lost} with lost data"), style(Badness::Lost)));
        }
        if 0 < waiting {
            words.push(Span::styled(format!(", {waiting} not ready"), style(Badness::NotReady)));
        }
        if let Some(problem) = &self.problem {
            words.push(Span::styled(format!("  {problem}"), style(Badness::NotReady)));
        }
        let time = now.get(11..19).unwrap_or_default();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let title = format!("m365-audit {version}, {packaging}, {time} UTC");
        vec![TextLine::styled(title, bold), TextLine::from(words)]
    }

    fn foot(&self) -> TextLine<'_> {
        if self.searching {
            return TextLine::from(format!("/{}_", self.search));
        }
        let searched = match self.search.as_str() {
            "" => String::new(),
            text => format!("  /{text}"),
        };
        let bad = if self.only_bad { "b all" } else { "b problems" };
        TextLine::from(format!("q end  / search  {bad}  \u{2191}\u{2193} choose{searched}"))
    }

    fn draw_table(&self, area: Rect, buffer: &mut Buffer) {
        let shown = self.shown();
        let columns = columns(area.width);
        let header = Row::new(columns.iter().map(|column| column.title))
            .style(Style::new().add_modifier(Modifier::UNDERLINED));
        let rows =
            shown.iter().map(|tenant| Row::new(columns.iter().map(|column| (column.cell)(tenant))));
        let chosen = |tenant: &&Tenant| Some(&tenant.tenant_id) == self.chosen.as_ref();
        let mut state = TableState::new().with_selected(shown.iter().position(chosen));
        let table = Table::new(rows, columns.iter().map(|column| column.width))
            .header(header)
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        StatefulWidget::render(table, area, buffer, &mut state);
    }

    /// Lines about the chosen tenant.
    fn detail(&self, width: u16) -> Vec<TextLine<'_>> {
        let known = self.answer.detail.as_ref();
        let Some(tenant) = known.filter(|one| Some(&one.tenant_id) == self.chosen.as_ref()) else {
            return Vec::new();
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut lines = vec![TextLine::styled(format!("{} {}", tenant.name, tenant.words()), bold)];
        for feed in &tenant.feeds {
            let quarantined = match feed.blobs_quarantined {
                none if none <= 0.0 => String::new(),
                some => format!(", {some:.0} in quarantine"),
            };
            let denied = if feed.denied { ", denied" } else { "" };
            let text = format!(
                "{:<26} lag {:<7} backlog {:<7}{denied}{quarantined} ",
                feed.content_type,
                span(feed.lag_seconds),
                span(feed.backlog_seconds)
            );
            let mut spans = vec![Span::raw(text)];
            if WIDE <= width {
                spans.extend(strip(&feed.week, usize::from(STRIP_COLUMNS)));
            }
            lines.push(TextLine::from(spans));
        }
        for line in tenant.troubles.iter().take(TROUBLES_MAX) {
            let badness = if line.level == "error" { Badness::Lost } else { Badness::Odd };
            let times = if 1 < line.count { format!(" ({}x)", line.count) } else { String::new() };
            let time = line.time.get(11..19).unwrap_or_default();
            let text = format!("{} {time}{times} {}", line.level.to_uppercase(), line.text);
            lines.push(TextLine::styled(text, style(badness)));
        }
        lines
    }
}

/// A column of the table.
struct Column {
    title: &'static str,
    width: Constraint,
    cell: fn(&Tenant) -> Cell<'_>,
}

fn columns(width: u16) -> Vec<Column> {
    let column = |title, width, cell| Column { title, width, cell };
    let name: fn(&Tenant) -> Cell<'_> = |one| Cell::new(one.name.as_str());
    let state: fn(&Tenant) -> Cell<'_> = |one| Cell::new(one.words()).style(style(one.badness()));
    let lag: fn(&Tenant) -> Cell<'_> = |one| Cell::new(span(one.lag_seconds));
    let losses: fn(&Tenant) -> Cell<'_> = |one| Cell::new(one.losses_unacknowledged.to_string());
    let names = if width < NARROW { 16 } else { 22 };
    let mut all = vec![
        column("Tenant", Constraint::Length(names), name),
        column("State", Constraint::Min(12), state),
        column("Lag", Constraint::Length(7), lag),
    ];
    if NARROW <= width {
        all.push(column("Backlog", Constraint::Length(7), |one| {
            Cell::new(span(one.backlog_seconds))
        }));
        all.push(column("Rec/s", Constraint::Length(6), |one| {
            Cell::new(format!("{:.1}", one.records_per_second))
        }));
    }
    if WIDE <= width {
        all.push(column("Req/min", Constraint::Length(7), |one| {
            Cell::new(format!("{:.0}", 60.0 * one.requests_per_second))
        }));
        all.push(column("Thr", Constraint::Length(4), |one| Cell::new(one.throttled.to_string())));
    }
    all.push(column("Lost", Constraint::Length(4), losses));
    if WIDE <= width {
        all.push(column("Last week", Constraint::Length(STRIP_COLUMNS), |one| {
            Cell::new(TextLine::from(strip(&one.week, usize::from(STRIP_COLUMNS))))
        }));
    }
    all
}

/// Hours as letters, the worst of those that share a column; with colours where there are any.
fn strip(week: &str, columns: usize) -> Vec<Span<'static>> {
    // The worst last.
    const LETTERS: [(char, Color); 6] = [
        ('x', Color::DarkGray),
        ('s', Color::Green),
        ('d', Color::Green),
        ('o', Color::Blue),
        ('i', Color::Yellow),
        ('l', Color::Red),
    ];
    let hours: Vec<char> = week.chars().collect();
    let rank = |letter: &char| LETTERS.iter().position(|(known, _)| known == letter);
    (0..columns.min(hours.len()))
        .map(|at| {
            let (from, to) = (at * hours.len() / columns, (at + 1) * hours.len() / columns);
            let worst = hours[from..to.max(from + 1)].iter().filter_map(rank).max().unwrap_or(0);
            let (letter, color) = LETTERS[worst];
            Span::styled(letter.to_string(), colored(color))
        })
        .collect()
}

fn style(badness: Badness) -> Style {
    match badness {
        Badness::Fine => Style::new(),
        Badness::Odd => colored(Color::Yellow),
        Badness::NotReady | Badness::Lost => colored(Color::Red),
    }
}

/// In colour, unless somebody wants none.
fn colored(color: Color) -> Style {
    if has_colours() { Style::new().fg(color) } else { Style::new() }
}

/// A time in seconds, as the status says it; less than none is none.
fn span(seconds: f64) -> String {
    words::span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// What stands on a screen, without what is empty at the ends of lines.
fn text_of(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let mut text = String::new();
    for line in buffer.content.chunks(width.max(1)) {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        if !line.trim_end().is_empty() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests;
