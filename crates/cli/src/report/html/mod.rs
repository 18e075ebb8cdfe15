//! A statement as one page of HTML that needs nothing else: no script, no font, no request. It can
//! be read in print and without colour.

mod picture;
mod volume;
mod write;

use m365_audit_core::HourStanding;

use self::write::Page;
use super::sentence::{self, Sentence, minute};
use super::statement::{FeedReport, STANDINGS, Statement, Tenant, Totals, gravity};
use crate::words::grouped;

const STYLE: &str = include_str!("style.css");

/// So many tenants are shown with all their feeds; of more, those that are not in order.
const TENANTS_WHOLE: usize = 12;

/// Tenants that are shown at the most with all their feeds.
const TENANTS_SHOWN: usize = 100;

/// Exceptions of a feed that are written out. More are counted, and CSV has them.
const EXCEPTIONS_SHOWN: usize = 200;

pub(super) fn write(statement: &Statement) -> String {
    let mut page = Page::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ");
    page.raw("style-src 'unsafe-inline'\">");
    let title = format!(
        "Microsoft 365 audit: completeness {} to {}",
        minute(statement.since),
        minute(statement.until)
    );
    page.element("title", &title);
    page.raw("<style>").raw(STYLE).raw("</style></head><body>").raw(picture::PATTERNS);
    page.raw("<main>");
    head(&mut page, statement);
    let many = statement.tenants.len() > 1;
    if many {
        tenants(&mut page, statement);
    }
    let mut shown: Vec<_> = statement.tenants.iter().collect();
    if TENANTS_WHOLE < shown.len() {
        shown.retain(|tenant| !tenant.is_whole());
        shown.sort_by_key(|tenant| std::cmp::Reverse(tenant.worst().map_or(5, gravity)));
        shown.truncate(TENANTS_SHOWN);
    }
    for (number, tenant) in shown.into_iter().enumerate() {
        of_tenant(&mut page, tenant, number);
    }
    page.raw("<h2>What this does not say</h2><ul>");
    for sentence in sentence::not_covered(statement) {
        page.element("li", &sentence);
    }
    page.raw("</ul></main></body></html>\n");
    page.finish()
}

/// How good it is, for the eye.
fn class(worst: Option<HourStanding>) -> &'static str {
    match worst {
        Some(HourStanding::Settled | HourStanding::Open) => "good",
        Some(HourStanding::NotCollected | HourStanding::Incomplete) | None => "fair",
        Some(HourStanding::Lost) => "bad",
    }
}

fn head(page: &mut Page, statement: &Statement) {
    page.raw("<h1>Completeness of Microsoft 365 audit data</h1>");
    let all = statement.tenants.iter();
    let worst = all.filter_map(Tenant::worst).max_by_key(|one| gravity(*one));
    let verdict = match (&*statement.tenants, worst) {
        ([], _) => "Nothing is stored of any tenant that is meant.".to_owned(),
        ([tenant], _) => capital(sentence::verdict(tenant)),
        (_, Some(HourStanding::Settled | HourStanding::Open)) if statement.is_whole() => {
            "Everything of every tenant is settled or open.".to_owned()
        }
        (tenants, _) => {
            let broken = tenants.iter().filter(|tenant| !tenant.is_whole()).count();
            format!("{broken} of {} tenants are not in order.", tenants.len())
        }
    };
    let class = if statement.is_whole() { "good" } else { class(worst) };
    page.element(&format!("p class=\"verdict {class}\""), &verdict);
    page.raw("<dl class=\"facts\">");
    let configuration = statement.configuration.as_ref();
    let configuration =
        configuration.map_or_else(|| "not given".to_owned(), |known| known.hash.clone());
    let interval = format!(
        "{} to {} (UTC), by when Microsoft made content available",
        minute(statement.since),
        minute(statement.until)
    );
    let version = format!("m365-audit {}", env!("CARGO_PKG_VERSION"));
    for (name, text) in [
        ("Interval", interval),
        ("Made", minute(statement.made)),
        ("By", version),
        ("From", statement.db.display().to_string()),
        ("Configuration, SHA-256", configuration),
    ] {
        page.element("dt", name).element("dd", &text);
    }
    page.raw("</dl>");
    picture::legend(page);
}

fn capital(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

/// All tenants, the worst first.
fn tenants(page: &mut Page, statement: &Statement) {
    page.raw("<h2>Tenants</h2><div class=\"scroll\" tabindex=\"0\" role=\"region\" ");
    page.raw("aria-label=\"Tenants\"><table><caption>The worst first; days of the last month, ");
    page.raw("each as its worst hour</caption><thead><tr>");
    for name in ["Tenant", "Standing", "Days"] {
        page.element("th scope=\"col\" class=\"text\"", name);
    }
    for name in ["Records", "Blobs lost", "Hours lost", "Hours incomplete"] {
        page.element("th scope=\"col\"", name);
    }
    page.raw("</tr></thead><tbody>");
    let mut all: Vec<_> = statement.tenants.iter().collect();
    all.sort_by_key(|tenant| std::cmp::Reverse(tenant.worst().map_or(5, gravity)));
    for tenant in all {
        let name = tenant.name.as_deref().unwrap_or(&tenant.id);
        page.raw("<tr>").element("th scope=\"row\" class=\"id\"", name);
        let worst = tenant.worst();
        let word = worst.map_or("nothing known", HourStanding::as_str);
        page.element(&format!("td class=\"text {}\"", class(worst)), word);
        page.raw("<td class=\"text\">");
        picture::ribbon(page, &tenant.feeds);
        page.raw("</td>");
        let totals = tenant.totals();
        let lost = totals.hours[gravity(HourStanding::Lost)];
        let incomplete = totals.hours[gravity(HourStanding::Incomplete)];
        for number in [totals.records, totals.lost, lost, incomplete] {
            page.element("td", &grouped(number));
        }
        page.raw("</tr>");
    }
    page.raw("</tbody></table></div>");
}

fn of_tenant(page: &mut Page, tenant: &Tenant, number: usize) {
    page.raw("<section><h2>Tenant ");
    if let Some(name) = &tenant.name {
        page.text(name).raw(" (");
    }
    page.element("span class=\"id\"", &tenant.id);
    page.raw(if tenant.name.is_some() { ")</h2>" } else { "</h2>" });
    let class = class(tenant.worst());
    page.element(&format!("p class=\"{class}\""), &capital(sentence::verdict(tenant)));
    if let Some(error) = &tenant.error {
        page.element("p class=\"bad\"", error);
    }
    if !tenant.feeds.is_empty() {
        totals(page, tenant);
        exceptions(page, tenant);
    }
    for (at, feed) in tenant.feeds.iter().enumerate() {
        page.element("h3", feed.feed.as_str());
        let since = format!("Collected since {}.", minute(feed.begin));
        page.element("p", &since);
        picture::calendar(page, feed, &format!("c{number}-{at}"));
        volume::volume(page, feed, &format!("v{number}-{at}"));
        volume::delays(page, feed, &format!("d{number}-{at}"));
    }
    page.raw("</section>");
}

type Column = (&'static str, fn(&Totals) -> u64);

const COLUMNS: [Column; 11] = [
    ("Listed", |totals| totals.listed),
    ("Delivered", |totals| totals.delivered),
    ("Quarantined", |totals| totals.quarantined),
    ("Lost", |totals| totals.lost),
    ("Waiting", |totals| totals.waiting),
    ("Records", |totals| totals.records),
    ("Filtered", |totals| totals.filtered),
    ("Duplicates", |totals| totals.duplicates),
    ("Too large", |totals| totals.dropped),
    ("Withheld", |totals| totals.withheld),
    ("MB", |totals| totals.bytes.div_ceil(1_000_000)),
];

fn totals(page: &mut Page, tenant: &Tenant) {
    page.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Totals of ");
    page.text(&tenant.id).raw("\"><table><caption>Blobs that Microsoft listed: delivered + ");
    page.raw("quarantined + lost + waiting; and the records in them</caption><thead><tr>");
    page.element("th scope=\"col\"", "Feed");
    for (name, _) in COLUMNS {
        page.element("th scope=\"col\"", name);
    }
    page.raw("</tr></thead><tbody>");
    let row = |page: &mut Page, name: &str, totals: &Totals| {
        page.raw("<tr>").element("th scope=\"row\"", name);
        for (_, number) in COLUMNS {
            page.element("td", &grouped(number(totals)));
        }
        page.raw("</tr>");
    };
    for FeedReport { feed, totals, .. } in &tenant.feeds {
        row(page, feed.as_str(), totals);
    }
    page.raw("</tbody><tfoot>");
    let all = tenant.totals();
    row(page, "All", &all);
    page.raw("</tfoot></table></div>");
    let hours = STANDINGS
        .map(|standing| format!("{} {}", grouped(all.hours[gravity(standing)]), standing.as_str()));
    page.element("p", &format!("Hours: {}.", hours.join(", ")));
    if all.replays > 0 {
        let told = format!(
            "{} hours were opened again by m365-audit replay; what was delivered then is counted \
             twice.",
            grouped(all.replays)
        );
        page.element("p", &told);
    }
}

fn exceptions(page: &mut Page, tenant: &Tenant) {
    page.raw("<h3>Exceptions</h3>");
    let count: usize = tenant.feeds.iter().map(|feed| feed.exceptions.len()).sum();
    if count + tenant.losses.len() == 0 {
        page.raw("<p>None.</p>");
        return;
    }
    page.raw("<ul class=\"exceptions\">");
    let item = |page: &mut Page, about: &str, standing: HourStanding, sentence: Sentence| {
        page.raw("<li>").element("strong", about).raw(" ").text(&sentence.time).raw(": ");
        page.element(&format!("strong class=\"{}\"", class(Some(standing))), standing.as_str());
        page.raw(": ").text(&sentence.cause).raw(".");
        if !sentence.remedy.is_empty() {
            let remedy = format!(" Remedy: {}.", sentence.remedy);
            page.element("span class=\"remedy\"", &remedy);
        }
        page.raw("</li>");
    };
    for feed in &tenant.feeds {
        for exception in feed.exceptions.iter().take(EXCEPTIONS_SHOWN) {
            item(page, feed.feed.as_str(), exception.standing, sentence::of(exception));
        }
        if EXCEPTIONS_SHOWN < feed.exceptions.len() {
            let more = feed.exceptions.len() - EXCEPTIONS_SHOWN;
            page.element("li", &format!("{} more of {}: see --format csv", more, feed.feed));
        }
    }
    for known in &tenant.losses {
        item(page, "output", HourStanding::Lost, sentence::of_loss(known));
    }
    page.raw("</ul>");
}
