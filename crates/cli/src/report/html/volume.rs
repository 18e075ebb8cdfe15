//! Pictures as SVG of how much there was and how long it took, day by day. Each says in words what
//! it shows, and none needs colour.

use m365_audit_core::DelayCounts;

use super::picture::open_picture;
use super::write::Page;
use crate::report::sentence::{self, PERCENTILES};
use crate::report::statement::FeedReport;
use crate::report::strip::date;
use crate::words::{counted, grouped};

/// How much was delivered on each day.
pub(super) fn volume(page: &mut Page, feed: &FeedReport, id: &str) {
    const HEIGHT: usize = 48;
    const TOP: usize = 12;
    let days = &feed.volumes;
    let Some(most) = days.iter().copied().max().filter(|most| *most > 0) else { return };
    let first = feed.first_hour.div_euclid(24);
    let day = |at: usize| date((first + i64::try_from(at).unwrap_or_default()) * 24);
    let bar = step(days.len());
    let width = (days.len() * bar).max(320) + 2;
    let busiest = days.iter().position(|count| *count == most).unwrap_or_default();
    let what = format!(
        "{} in all; the most on {}: {}",
        counted(feed.totals.records, "record", "records"),
        day(busiest),
        grouped(most)
    );
    let title = format!("{}: records delivered, by day of content created", feed.feed);
    page.raw("<figure>");
    open_picture(page, [width, TOP + HEIGHT + 12], id, &title, &what);
    page.raw("<text x=\"0\" y=\"8\" font-size=\"8\">").text(&grouped(most)).raw("</text>");
    for (at, count) in days.iter().enumerate() {
        let scaled = u128::from(*count) * HEIGHT as u128 / u128::from(most);
        let height = usize::try_from(scaled).unwrap_or(HEIGHT).max(usize::from(*count > 0));
        if height > 0 {
            let (x, y) = (at * bar, TOP + HEIGHT - height);
            let thick = thick(bar);
            page.raw(&format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{thick}\" height=\"{height}\" fill=\"#2f6db0\"/>"
            ));
        }
    }
    let (base, end) = (TOP + HEIGHT, days.len() * bar);
    page.raw(&format!("<path d=\"M0 {base}H{end}\" stroke=\"#4a515a\" stroke-width=\".5\"/>"));
    below(page, feed, [0, end, base + 9]);
    page.raw("</svg>");
    page.element("figcaption", &format!("Records delivered, by day: {what}.")).raw("</figure>");
}

/// Delays between which lines are drawn, in seconds, with what stands beside them.
const SCALE: [(f64, &str); 8] = [
    (60.0, "1 min"),
    (300.0, "5 min"),
    (900.0, "15 min"),
    (3_600.0, "1 h"),
    (14_400.0, "4 h"),
    (43_200.0, "12 h"),
    (172_800.0, "2 d"),
    (604_800.0, "7 d"),
];

/// How long records took from their events to delivery, on each day: as a bar from where half of
/// them had come to where 99 % had, with a notch at 95 %.
pub(super) fn delays(page: &mut Page, feed: &FeedReport, id: &str) {
    const LEFT: usize = 32;
    const TOP: usize = 8;
    const LINE: usize = 12;
    let Some(words) = sentence::delay(&feed.totals.delays) else { return };
    let days = &feed.delays;
    let seconds = |day: &DelayCounts, percent| {
        day.percentile(percent).map_or(0.0, |delay| delay.as_secs_f64().max(SCALE[0].0))
    };
    let most = days.iter().map(|day| seconds(day, 99)).fold(0.0, f64::max);
    let lines = 1 + SCALE.iter().position(|(at, _)| most <= *at).unwrap_or(SCALE.len() - 1).max(2);
    let base = TOP + (lines - 1) * LINE;
    let place = |seconds: f64| {
        let above = SCALE[1..lines].iter().position(|(at, _)| seconds <= *at).unwrap_or(lines - 2);
        let (below, above_at) = (SCALE[above].0, SCALE[above + 1].0);
        let part = (seconds / below).ln() / (above_at / below).ln();
        base as f64 - (above as f64 + part.clamp(0.0, 1.0)) * LINE as f64
    };
    let step = step(days.len());
    let end = LEFT + days.len() * step;
    let width = end.max(320) + 2;
    let title = format!("{}: delay from event to delivery, by day of content created", feed.feed);
    page.raw("<figure>");
    open_picture(page, [width, base + 12], id, &title, &words);
    for (at, (_, name)) in SCALE[..lines].iter().enumerate() {
        let y = base - at * LINE;
        page.raw(&format!(
            "<path d=\"M{LEFT} {y}H{end}\" stroke=\"#c8ccd1\" stroke-width=\".5\"/>\
             <text x=\"{}\" y=\"{}\" font-size=\"7\" text-anchor=\"end\">{name}</text>",
            LEFT - 3,
            y + 2
        ));
    }
    for (at, day) in days.iter().enumerate().filter(|(_, day)| day.records() > 0) {
        let [half, most, nearly] = PERCENTILES.map(|percent| place(seconds(day, percent)));
        let (x, thick) = (LEFT + at * step, thick(step));
        let height = (half - nearly).max(1.0);
        page.raw(&format!(
            "<rect x=\"{x}\" y=\"{nearly:.1}\" width=\"{thick}\" height=\"{height:.1}\" \
             fill=\"#a8c5e3\"/><path d=\"M{x} {most:.1}h{thick}\" stroke=\"#12395f\" \
             stroke-width=\".6\"/><path d=\"M{x} {half:.1}h{thick}\" stroke=\"#12395f\" \
             stroke-width=\"1.6\"/>"
        ));
    }
    below(page, feed, [LEFT, end, base + 9]);
    page.raw("</svg>");
    let caption = format!(
        "Delay from event to delivery, by day, as far as events say when they happened: {words}. \
         Thick line: half of the records; thin line: 95 %; top of the bar: 99 %."
    );
    page.element("figcaption", &caption).raw("</figure>");
}

/// How wide a day is, so that a year is no wider than a page.
const fn step(days: usize) -> usize {
    match days {
        0..=40 => 10,
        41..=160 => 3,
        _ => 1,
    }
}

/// How wide what stands for it is: with room between if there is any.
const fn thick(step: usize) -> usize {
    if step == 1 { 1 } else { step - 1 }
}

/// The first and the last day, below a picture of days.
fn below(page: &mut Page, feed: &FeedReport, [start, end, y]: [usize; 3]) {
    let first = feed.first_hour.div_euclid(24);
    let day = |at: usize| date((first + i64::try_from(at).unwrap_or_default()) * 24);
    page.raw(&format!("<text x=\"{start}\" y=\"{y}\" font-size=\"8\">"));
    page.text(&day(0)).raw("</text>");
    // Both have room.
    if start + 120 <= end {
        page.raw(&format!("<text x=\"{end}\" y=\"{y}\" font-size=\"8\" text-anchor=\"end\">"));
        page.text(&day(feed.volumes.len() - 1)).raw("</text>");
    }
}
