//! A statement for people in a terminal.

use m365_audit_core::HourStanding;

use super::sentence::{self, Sentence, minute};
use super::statement::{STANDINGS, Statement, Tenant, Totals, gravity, letter};
use super::strip::Look;
use crate::calls::table::{paragraph_beside, table};
use crate::names::heading;
use crate::words::{counted, grouped};

pub(super) fn write(statement: &Statement, look: Look) -> String {
    let mut text = head(statement);
    if statement.tenants.is_empty() {
        text.push_str("\nnothing is stored of any tenant that is meant\n");
    }
    for tenant in &statement.tenants {
        text.push('\n');
        text.push_str(&of_tenant(tenant, look));
    }
    text.push_str("\nWhat this does not say\n");
    for sentence in sentence::not_covered(statement) {
        let words = paragraph_beside(4, &sentence);
        text.push_str(&format!("  - {}\n", words.trim_end().replace('\n', "\n    ")));
    }
    let last = if statement.is_whole() {
        "everything is settled or open"
    } else {
        "not everything is settled or open"
    };
    text.push_str(&format!("\n{last}\n"));
    text
}

fn head(statement: &Statement) -> String {
    let Statement { made, since, until, db, configuration, .. } = statement;
    let configuration = match configuration {
        Some(known) => format!("SHA-256 {}", known.hash),
        None => "not given".to_owned(),
    };
    format!(
        "Completeness of what was collected, by when Microsoft made it available\n  from {} to \
         {} (UTC)\n  made {} by m365-audit {} from {}\n  configuration: {configuration}\n",
        minute(*since),
        minute(*until),
        minute(*made),
        env!("CARGO_PKG_VERSION"),
        db.display(),
    )
}

fn of_tenant(tenant: &Tenant, look: Look) -> String {
    let heading = heading(tenant.name.as_deref(), &tenant.id);
    let mut text = format!("tenant {heading}: {}\n", sentence::verdict(tenant));
    if let Some(error) = &tenant.error {
        text.push_str(&format!("  {error}\n"));
    }
    if tenant.feeds.is_empty() {
        return text;
    }
    text.push('\n');
    text.push_str(&legend(look));
    for feed in &tenant.feeds {
        text.push_str(&format!("\n{} since {}\n", feed.feed, minute(feed.begin)));
        text.push_str(&look.strip(feed));
    }
    text.push('\n');
    text.push_str(&totals(tenant));
    text.push_str(&exceptions(tenant, look));
    text
}

fn legend(look: Look) -> String {
    let words = STANDINGS.map(|standing| {
        let word = match standing {
            HourStanding::Settled => "settled",
            HourStanding::Open => "open: Microsoft may still add to it",
            HourStanding::NotCollected => "not collected",
            HourStanding::Incomplete => "Incomplete",
            HourStanding::Lost => "Lost",
        };
        format!("{} {word}", look.paint(standing, &letter(standing).to_string()))
    });
    format!("  each letter an hour (UTC): {}\n", words.join(", "))
}

/// Blobs, and what was in them.
fn totals(tenant: &Tenant) -> String {
    let row = |name: &str, totals: &Totals| -> Vec<String> {
        let blobs = [totals.listed, totals.delivered, totals.quarantined, totals.lost];
        let records = [totals.waiting, totals.records, totals.filtered, totals.duplicates];
        let rest = [totals.dropped, totals.bytes];
        let numbers = blobs.into_iter().chain(records).chain(rest).map(grouped);
        [name.to_owned()].into_iter().chain(numbers).collect()
    };
    let mut rows: Vec<_> =
        tenant.feeds.iter().map(|feed| row(feed.feed.as_str(), &feed.totals)).collect();
    let all = tenant.totals();
    rows.push(row("all", &all));
    let head = [
        "BLOBS OF",
        "LISTED",
        "DELIVERED",
        "QUARANTINED",
        "LOST",
        "WAITING",
        "RECORDS",
        "FILTERED",
        "DUPLICATES",
        "TOO LARGE",
        "BYTES",
    ];
    let mut text = table(&head, &rows);
    let sums = all.delivered + all.quarantined + all.lost + all.waiting;
    let sign = if sums == all.listed { "=" } else { "is NOT" };
    text.push_str(&format!(
        "listed {} {sign} delivered {} + quarantined {} + lost {} + waiting {}\n",
        grouped(all.listed),
        grouped(all.delivered),
        grouped(all.quarantined),
        grouped(all.lost),
        grouped(all.waiting)
    ));
    let hours = STANDINGS
        .map(|standing| format!("{} {}", grouped(all.hours[gravity(standing)]), standing.as_str()));
    text.push_str(&format!("hours: {}\n", hours.join(", ")));
    if let Some(words) = sentence::delay(&all.delays) {
        text.push_str(&format!("from event to delivery: {words}\n"));
    }
    if all.replays > 0 {
        let hours = counted(all.replays, "hour", "hours");
        text.push_str(&format!("{hours} opened again by `m365-audit replay`: counted twice\n"));
    }
    text
}

/// Words that flow, below what they are about.
fn indented(words: &str) -> String {
    format!("      {}\n", paragraph_beside(6, words).trim_end().replace('\n', "\n      "))
}

fn exceptions(tenant: &Tenant, look: Look) -> String {
    let mut text = String::from("\nExceptions\n");
    let mut line = |about: &str, standing: HourStanding, sentence: Sentence| {
        let Sentence { time, cause, remedy } = sentence;
        let word = look.paint(standing, standing.as_str());
        text.push_str(&format!("  {about} {time}: {word}\n"));
        text.push_str(&indented(&cause));
        if !remedy.is_empty() {
            text.push_str(&indented(&format!("remedy: {remedy}")));
        }
    };
    for feed in &tenant.feeds {
        for exception in &feed.exceptions {
            line(feed.feed.as_str(), exception.standing, sentence::of(exception));
        }
    }
    for known in &tenant.losses {
        line("output", HourStanding::Lost, sentence::of_loss(known));
    }
    if tenant.losses.is_empty() && tenant.feeds.iter().all(|feed| feed.exceptions.is_empty()) {
        text.push_str("  none\n");
    }
    text
}
