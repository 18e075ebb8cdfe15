//! Pictures as SVG of how hours stand. Each says in words what it shows, and
//! none needs colour: what is in order is plain, what is not has a pattern or a letter.

use m365_audit_core::{HourStanding, Utc};

use super::write::Page;
use crate::report::sentence::minute;
use crate::report::statement::{FeedReport, HOUR_MS, STANDINGS, gravity, letter};
use crate::report::strip::date;
use crate::words::counted;

/// Patterns for the whole page.
pub(super) const PATTERNS: &str = "<svg width=\"0\" height=\"0\" style=\"position:absolute\" \
    aria-hidden=\"true\" focusable=\"false\"><defs>\
    <pattern id=\"open\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\">\
    <rect width=\"4\" height=\"4\" fill=\"#e3eefa\"/><circle cx=\"2\" cy=\"2\" r=\".8\" \
    fill=\"#1f5fa8\"/></pattern>\
    <pattern id=\"incomplete\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" \
    patternTransform=\"rotate(45)\"><rect width=\"4\" height=\"4\" fill=\"#ffe9b8\"/>\
    <rect width=\"1.6\" height=\"4\" fill=\"#8a5a00\"/></pattern></defs></svg>";

/// Days that stand side by side with their hours. Longer intervals show whole days.
const HOURLY_DAYS_MAX: usize = 62;

/// Days of one picture, so that it can be read on a telephone.
const DAYS_ABREAST: usize = 31;

/// How a standing is drawn.
const fn fill(standing: HourStanding) -> &'static str {
    match standing {
        HourStanding::Settled => "#9fd3ae",
        HourStanding::Open => "url(#open)",
        HourStanding::NotCollected => "#fff",
        HourStanding::Incomplete => "url(#incomplete)",
        HourStanding::Lost => "#b3152f",
    }
}

/// A field of one standing. Small ones have no letter.
fn field(page: &mut Page, standing: HourStanding, [x, y, width, height]: [usize; 4]) {
    let stroke = if standing == HourStanding::NotCollected { "#9aa1a9" } else { "none" };
    page.raw(&format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\" \
         stroke=\"{stroke}\" stroke-width=\".5\"/>",
        fill(standing)
    ));
    let (middle, base) = (x * 2 + width, y * 2 + height);
    let (middle, base) = (half(middle), half(base + 6));
    match standing {
        HourStanding::Lost => page.raw(&format!(
            "<text x=\"{middle}\" y=\"{base}\" font-size=\"8\" font-weight=\"700\" \
             text-anchor=\"middle\" style=\"fill:#fff\">L</text>"
        )),
        HourStanding::Incomplete => page.raw(&format!(
            "<text x=\"{middle}\" y=\"{base}\" font-size=\"8\" font-weight=\"700\" \
             text-anchor=\"middle\" stroke=\"#fff\" stroke-width=\"2\" \
             paint-order=\"stroke\">I</text>"
        )),
        HourStanding::Settled | HourStanding::Open | HourStanding::NotCollected => page,
    };
}

/// Half a number, for SVG.
fn half(number: usize) -> String {
    if number.is_multiple_of(2) { (number / 2).to_string() } else { format!("{}.5", number / 2) }
}

/// What the fields mean.
pub(super) fn legend(page: &mut Page) {
    page.raw("<ul class=\"legend\">");
    for standing in STANDINGS {
        page.raw("<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\" focusable=\"false\">");
        field(page, standing, [0, 0, 10, 10]);
        let words = match standing {
            HourStanding::Settled => {
                "settled: listed again after Microsoft added to it no more, \
                                      all delivered"
            }
            HourStanding::Open => "open: delivered so far; Microsoft may still add to it",
            HourStanding::NotCollected => "not collected",
            HourStanding::Incomplete => "incomplete: not all is delivered",
            HourStanding::Lost => "lost",
        };
        page.raw("</svg>").text(words).raw("</li>");
    }
    page.raw("</ul>");
}

/// How the hours of a feed stand, in words.
fn described(feed: &FeedReport) -> String {
    let counts = STANDINGS.map(|standing| (feed.totals.hours[gravity(standing)], standing));
    let words: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, standing)| {
            format!("{} {}", counted(count, "hour", "hours"), standing.as_str())
        })
        .collect();
    words.join(", ")
}

/// The calendar of a feed: hours of days, or days of weeks if there are many.
pub(super) fn calendar(page: &mut Page, feed: &FeedReport, id: &str) {
    let days: Vec<_> = feed.days().collect();
    if days.is_empty() {
        return;
    }
    let what = described(feed);
    page.raw("<figure>");
    if days.len() <= HOURLY_DAYS_MAX {
        for (part, days) in days.chunks(DAYS_ABREAST).enumerate() {
            hours(page, feed, days, &format!("{id}-{part}"), &what);
        }
    } else {
        weeks(page, feed, &days, id, &what);
    }
    page.element("figcaption", &format!("{what}. Times are UTC.")).raw("</figure>");
}

/// Begins a picture that is twice as wide at the most, with its words.
pub(super) fn open_picture(
    page: &mut Page,
    [width, height]: [usize; 2],
    id: &str,
    title: &str,
    what: &str,
) {
    page.raw(&format!(
        "<svg viewBox=\"0 0 {width} {height}\" style=\"max-width:{}px\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\">",
        width * 2
    ));
    page.element(&format!("title id=\"{id}-t\""), title);
    page.element(&format!("desc id=\"{id}-d\""), what);
}

/// A column for each day, a row for each hour.
fn hours(
    page: &mut Page,
    feed: &FeedReport,
    days: &[(i64, &[HourStanding])],
    id: &str,
    what: &str,
) {
    const LEFT: usize = 24;
    const TOP: usize = 14;
    const CELL: usize = 11;
    const ROW: usize = 8;
    let (first, last) = (date(days[0].0), date(days[days.len() - 1].0));
    let title = format!("{}: each hour from {first} to {last}", feed.feed);
    let width = LEFT + DAYS_ABREAST.min(days.len().max(14)) * CELL + 2;
    open_picture(page, [width, TOP + 24 * ROW + 2], id, &title, what);
    for hour in [0, 6, 12, 18] {
        let y = TOP + hour * ROW + ROW;
        page.raw(&format!("<text x=\"0\" y=\"{y}\" font-size=\"8\">{hour:02} h</text>"));
    }
    for (column, (start, standings)) in days.iter().enumerate() {
        let x = LEFT + column * CELL;
        let text = date(*start);
        // The month at its first day, else the day.
        let label = if column == 0 || (column > 2 && text.ends_with("-01")) {
            text.get(5..).unwrap_or_default()
        } else if column % 2 == 0 && column > 2 && !text.ends_with("-02") {
            text.get(8..).unwrap_or_default()
        } else {
            ""
        };
        if !label.is_empty() {
            page.raw(&format!("<text x=\"{x}\" y=\"9\" font-size=\"8\">"));
            page.text(label).raw("</text>");
        }
        let mut row = usize::try_from(start.rem_euclid(24)).unwrap_or_default();
        for run in standings.chunk_by(|a, b| a == b) {
            let y = TOP + row * ROW;
            field(page, run[0], [x, y, CELL - 1, run.len() * ROW]);
            row += run.len();
        }
    }
    page.raw("</svg>");
}

/// The worst hour of each day; a column for each week.
fn weeks(
    page: &mut Page,
    feed: &FeedReport,
    days: &[(i64, &[HourStanding])],
    id: &str,
    what: &str,
) {
    const LEFT: usize = 24;
    const TOP: usize = 14;
    const CELL: usize = 11;
    // 1970-01-01 was a Thursday; weeks begin on Monday.
    let monday = |hour: i64| (hour.div_euclid(24) + 3).div_euclid(7);
    let first = monday(days[0].0);
    let last = monday(days[days.len() - 1].0);
    let columns = usize::try_from(last - first + 1).unwrap_or(1);
    let title = format!(
        "{}: the worst hour of each day from {} to {}",
        feed.feed,
        date(days[0].0),
        date(days[days.len() - 1].0)
    );
    let width = LEFT + columns.max(30) * CELL + 2;
    open_picture(page, [width, TOP + 7 * CELL + 2], id, &title, what);
    for (row, name) in ["Mon", "", "Wed", "", "Fri", "", "Sun"].into_iter().enumerate() {
        let y = TOP + row * CELL + 8;
        page.raw(&format!("<text x=\"0\" y=\"{y}\" font-size=\"8\">{name}</text>"));
    }
    let (mut month, mut free) = (String::new(), 0);
    for (start, standings) in days {
        let Some(worst) = standings.iter().copied().max_by_key(|one| gravity(*one)) else {
            continue;
        };
        let column = usize::try_from(monday(*start) - first).unwrap_or_default();
        let row = usize::try_from((start.div_euclid(24) + 3).rem_euclid(7)).unwrap_or_default();
        let (x, y) = (LEFT + column * CELL, TOP + row * CELL);
        field(page, worst, [x, y, CELL - 1, CELL - 1]);
        let text = date(*start);
        let this = text.get(..7).unwrap_or_default();
        // Each has room for its text.
        if this != month && free <= column && column + 3 <= columns.max(30) {
            page.raw(&format!("<text x=\"{x}\" y=\"9\" font-size=\"8\">"));
            page.text(this.get(2..).unwrap_or_default()).raw("</text>");
            this.clone_into(&mut month);
            free = column + 3;
        }
    }
    page.raw("</svg>");
}

/// One row of days for a table of tenants: the worst of all feeds.
pub(super) fn ribbon(page: &mut Page, feeds: &[FeedReport]) {
    const CELL: usize = 6;
    let mut days: std::collections::BTreeMap<i64, HourStanding> = std::collections::BTreeMap::new();
    for (start, standings) in feeds.iter().flat_map(FeedReport::days) {
        let worst = standings.iter().copied().max_by_key(|one| gravity(*one));
        let Some(worst) = worst else { continue };
        let day = days.entry(start.div_euclid(24)).or_insert(worst);
        if gravity(*day) < gravity(worst) {
            *day = worst;
        }
    }
    // The newest, as many as fit.
    let skipped = days.len().saturating_sub(DAYS_ABREAST);
    let days: Vec<_> = days.into_iter().skip(skipped).collect();
    let Some((first, _)) = days.first() else { return };
    let letters: String = days.iter().map(|(_, standing)| letter(*standing)).collect();
    let from = minute(Utc::from_millis(first * 24 * HOUR_MS));
    let label = format!("worst hour of each day from {}: {letters}", from.get(..10).unwrap_or(""));
    page.raw(&format!(
        "<svg viewBox=\"0 0 {} 10\" style=\"width:{}px\" role=\"img\" aria-label=\"",
        DAYS_ABREAST * CELL,
        DAYS_ABREAST * CELL
    ));
    page.text(&label).raw("\">");
    // Today is at the right, of whomever.
    let mut x = (DAYS_ABREAST - days.len().min(DAYS_ABREAST)) * CELL;
    for run in days.chunk_by(|a, b| a.1 == b.1) {
        field(page, run[0].1, [x, 0, run.len() * CELL - 1, 10]);
        x += run.len() * CELL;
    }
    page.raw("</svg>");
}
