//! What a comparison has found, written for people and for programs.

use m365_audit_core::call::Range;
use m365_audit_core::{Feed, KnownLoss, LossKind, Utc, Whereabouts, one_line};
use serde_json::{Value, json};

use super::taker::Account;
use super::tally::{Counts, FeedTally, Gap, Stray, Tally, hour_start};
use crate::calls::table::table;

/// Blobs and hours of a feed that are printed. More are counted, and `--json` has them.
const LINES_MAX: usize = 50;

/// Everything that there is to say.
pub(super) struct Findings<'a> {
    pub(super) tenant: &'a str,
    /// Whom it is about, for people.
    pub(super) heading: String,
    pub(super) range: Range,
    pub(super) accounts: &'a [(String, Account)],
    /// How many different ids arrived.
    pub(super) ids: u64,
    pub(super) tally: &'a Tally,
    /// How many of them Microsoft does not have, and some of these.
    pub(super) unknown: u64,
    pub(super) unknown_ids: &'a [String],
    pub(super) missing_to: Option<String>,
}

impl Findings<'_> {
    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.tally.values().for_each(|feed| total.add(&feed.total()));
        total
    }

    /// Whether all that Microsoft has arrived, and all was looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.total().is_whole() && self.tally.values().all(|feed| feed.failed.is_none())
    }

    pub(super) fn as_text(&self) -> String {
        let Range { since, until } = self.range;
        let mut text = format!("tenant {}, content created {since} to {until}\n", self.heading);
        self.input(&mut text);
        text.push('\n');
        text.push_str(&totals(self.tally));
        for (feed, tally) in self.tally {
            hours(&mut text, *feed, tally);
            blobs(&mut text, *feed, tally);
        }
        text.push('\n');
        self.notes(&mut text);
        text
    }

    fn input(&self, text: &mut String) {
        let rows: u64 = self.accounts.iter().map(|(_, account)| account.rows).sum();
        text.push_str(&format!("arrived: {rows} rows, {} different ids\n", self.ids));
        for (name, account) in self.accounts {
            let places = account.places.iter().map(|(place, count)| format!("{count} as {place}"));
            let places = places.collect::<Vec<_>>().join(", ");
            let mut line = format!("  {name}: {} rows", account.rows);
            if !places.is_empty() {
                line.push_str(&format!("; ids: {places}"));
            }
            if account.without_id > 0 {
                line.push_str(&format!("; {} without an id", account.without_id));
            }
            if account.unreadable > 0 {
                line.push_str(&format!("; {} CANNOT BE READ", account.unreadable));
            }
            text.push_str(&format!("{}\n", one_line(&line)));
        }
    }

    /// What the numbers do not say, and the last word.
    fn notes(&self, text: &mut String) {
        let total = self.total();
        let mut note = |count: u64, words: &str| {
            if count > 0 {
                text.push_str(&format!("{count} {words}\n"));
            }
        };
        note(total.filtered, "records are left out by the filters of the configuration");
        note(
            total.dropped,
            "records are larger than record_bytes_max, and are never delivered; remedy: raise it",
        );
        note(total.without_id, "records have no id: whether they arrived cannot be known");
        note(
            total.unread,
            "blobs could not be read, so that nobody knows what of them arrived; remedy: ask again",
        );
        note(
            total.other,
            "of the missing records share their id with a record that arrived; their creation or \
             operation is another",
        );
        note(
            self.unknown,
            "ids arrived that Microsoft does not have in this interval: what lies outside of it, \
             has expired there, or is of another feed or tenant",
        );
        if !self.unknown_ids.is_empty() {
            text.push_str(&format!("  {}\n", one_line(&self.unknown_ids.join(", "))));
        }
        let last = match (total.missing, self.is_whole()) {
            (0, true) => "nothing is missing".to_owned(),
            (0, false) => {
                "nothing is known to be missing, but not all could be compared".to_owned()
            }
            (missing, _) => match &self.missing_to {
                Some(path) => format!("{missing} records are missing; they are in {path}"),
                None => format!("{missing} records are missing; --missing-to FILE writes them"),
            },
        };
        text.push_str(&format!("{last}\n"));
    }

    pub(super) fn as_json(&self) -> String {
        let files = self.accounts.iter().map(|(name, account)| {
            json!({
                "name": name,
                "rows": account.rows,
                "without_id": account.without_id,
                "unreadable": account.unreadable,
                "ids": account.places,
            })
        });
        let feeds = self.tally.iter().map(|(feed, tally)| feed_json(*feed, tally));
        let value = json!({
            "tenant_id": self.tenant,
            "since": self.range.since.to_string(),
            "until": self.range.until.to_string(),
            "complete": self.is_whole(),
            "missing": self.total().missing,
            "arrived": {
                "ids": self.ids,
                "not_at_microsoft": self.unknown,
                "not_at_microsoft_ids": self.unknown_ids,
                "files": files.collect::<Vec<_>>(),
            },
            "feeds": feeds.collect::<Vec<_>>(),
        });
        format!("{value:#}\n")
    }
}

fn totals(tally: &Tally) -> String {
    let rows: Vec<Vec<String>> = tally
        .iter()
        .map(|(feed, tally)| {
            let total = tally.total();
            let numbers = [total.blobs, total.records, total.filtered, total.missing];
            let numbers = numbers.iter().map(u64::to_string);
            let failed = tally.failed.as_ref().map(|error| format!("NOT COMPARED: {error}"));
            let row = [feed.as_str().to_owned()].into_iter().chain(numbers);
            row.chain([failed.unwrap_or_default()]).collect()
        })
        .collect();
    table(&["FEED", "BLOBS", "RECORDS", "FILTERED", "MISSING", ""], &rows)
}

/// The hours from which something is missing.
fn hours(text: &mut String, feed: Feed, tally: &FeedTally) {
    let broken = tally.hours.iter().filter(|(_, counts)| !counts.is_whole());
    let rows: Vec<Vec<String>> = broken
        .map(|(hour, counts)| {
            let Counts { blobs, records, missing, unread, dropped, without_id, .. } = *counts;
            let numbers = [blobs, records, missing, unread, dropped, without_id];
            let numbers = numbers.iter().map(u64::to_string);
            [hour_start(*hour).to_string()].into_iter().chain(numbers).collect()
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let head = ["HOUR", "BLOBS", "RECORDS", "MISSING", "BLOBS NOT READ", "TOO LARGE", "WITHOUT ID"];
    text.push_str(&format!("\n{feed}\n"));
    text.push_str(&table(&head, &rows[..rows.len().min(LINES_MAX)]));
    more(text, rows.len(), "hours");
}

fn more(text: &mut String, count: usize, what: &str) {
    if LINES_MAX < count {
        text.push_str(&format!("... and {} more {what}: see --json\n", count - LINES_MAX));
    }
}

fn blobs(text: &mut String, feed: Feed, tally: &FeedTally) {
    for gap in tally.gaps.iter().take(LINES_MAX) {
        let Gap { id, created, records, missing, ids, whereabouts } = gap;
        let dots = if (ids.len() as u64) < *missing { ", ..." } else { "" };
        let line = format!(
            "{feed}: blob {id} of {created}: {missing} of {records} records are missing: {}{dots}",
            ids.join(", ")
        );
        text.push_str(&format!("{}\n    {}\n", one_line(&line), explain(whereabouts.as_ref())));
    }
    more(text, tally.gaps.len(), "blobs");
    for Stray { id, created, whereabouts } in tally.strays.iter().take(LINES_MAX) {
        let line = format!("{feed}: activity {id} of {created} is missing");
        text.push_str(&format!("{}\n    {}\n", one_line(&line), explain(whereabouts.as_ref())));
    }
    more(text, tally.strays.len(), "activities");
    for unread in tally.unread.iter().take(LINES_MAX) {
        let line =
            format!("{feed}: blob {} of {}: not read: {}", unread.id, unread.created, unread.why);
        text.push_str(&format!("{}\n", one_line(&line)));
    }
    more(text, tally.unread.len(), "blobs that were not read");
}

/// What the state says of a blob, and what to do.
pub(super) fn explain(whereabouts: Option<&Whereabouts>) -> String {
    match whereabouts {
        None => "nothing is known of how it was collected: no db was named, or it has nothing of \
                 this feed"
            .to_owned(),
        Some(Whereabouts::Delivered) => {
            "the collector delivered it, and its host took it: look in what comes behind (buffers, \
             filters, outputs, the SIEM); `m365-audit replay` delivers it once more"
                .to_owned()
        }
        Some(Whereabouts::InProgress) => "the collector is at work on it".to_owned(),
        Some(Whereabouts::Quarantined { expiration }) => {
            format!("the collector cannot read it for the time being, and tries until {expiration}")
        }
        Some(Whereabouts::Lost(known)) => lost(known),
        Some(Whereabouts::BeforeBegin { begin }) => {
            format!("created before collection began, at {begin}")
        }
        Some(Whereabouts::Pending) => {
            "not delivered yet: the collector has not come to it, or does not run".to_owned()
        }
        Some(Whereabouts::Unknown) => {
            "the collector does not know it although its hour is settled; `m365-audit replay` \
             collects it"
                .to_owned()
        }
        Some(Whereabouts::Settled) => {
            "the collector delivered what could be found of its time; whether this was among it is \
             not remembered for so long; `m365-audit replay` delivers it once more"
                .to_owned()
        }
    }
}

fn lost(known: &KnownLoss) -> String {
    let (number, kind) = (known.number, known.loss.kind.as_str());
    let lost = format!("lost ({kind}): loss {number} of `m365-audit state show`");
    match (known.loss.kind, &known.loss.name) {
        // Of a blob that was delivered otherwise.
        (LossKind::RecordsDropped | LossKind::RecordsWithheld, Some(_)) => {
            let count = known.loss.count;
            format!("the collector delivered it, but for {count} of its records, which are {lost}")
        }
        _ => lost,
    }
}

/// Its name, for programs.
pub(super) fn word(whereabouts: &Whereabouts) -> &'static str {
    match whereabouts {
        Whereabouts::Delivered => "delivered",
        Whereabouts::InProgress => "in-progress",
        Whereabouts::Quarantined { .. } => "quarantined",
        Whereabouts::Lost(_) => "lost",
        Whereabouts::BeforeBegin { .. } => "before-begin",
        Whereabouts::Pending => "pending",
        Whereabouts::Unknown => "unknown",
        Whereabouts::Settled => "settled",
    }
}

fn counts_json(counts: &Counts) -> Value {
    json!({
        "blobs": counts.blobs,
        "blobs_unread": counts.unread,
        "records": counts.records,
        "records_filtered": counts.filtered,
        "records_dropped": counts.dropped,
        "records_without_id": counts.without_id,
        "missing": counts.missing,
        "missing_with_a_known_id": counts.other,
    })
}

fn feed_json(feed: Feed, tally: &FeedTally) -> Value {
    let moment = |at: Utc| at.to_string();
    let hours = tally.hours.iter().map(|(hour, counts)| {
        let mut value = counts_json(counts);
        value["hour"] = moment(hour_start(*hour)).into();
        value
    });
    let gaps = tally.gaps.iter().map(|gap| {
        json!({
            "content_id": gap.id,
            "created": moment(gap.created),
            "records": gap.records,
            "missing": gap.missing,
            "ids": gap.ids,
            "state": gap.whereabouts.as_ref().map(word),
        })
    });
    let strays = tally.strays.iter().map(|stray| {
        let state = stray.whereabouts.as_ref().map(word);
        json!({"id": stray.id, "created": moment(stray.created), "state": state})
    });
    let unread = tally.unread.iter().map(|unread| {
        let created = moment(unread.created);
        json!({"content_id": unread.id, "created": created, "why": unread.why})
    });
    json!({
        "content_type": feed.as_str(),
        "failed": tally.failed,
        "total": counts_json(&tally.total()),
        "hours": hours.collect::<Vec<_>>(),
        "blobs_with_missing": gaps.collect::<Vec<_>>(),
        "activities_missing": strays.collect::<Vec<_>>(),
        "blobs_unread": unread.collect::<Vec<_>>(),
    })
}
