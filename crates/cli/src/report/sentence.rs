//! Exceptions as sentences: when, why, and what to do.

use m365_audit_core::{DelayCounts, HourStanding, KnownLoss, LossKind, Utc, one_line};

use super::statement::{Configuration, Exception, FeedReport, Statement, Tenant, Why};
use crate::words::{counted, grouped};

/// A moment to the minute, as it stands in reports.
pub(super) fn minute(at: Utc) -> String {
    let text = at.to_string();
    text.get(..16).map_or_else(|| text.clone(), |short| format!("{short}Z"))
}

pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The percentiles of delays that are told.
pub(super) const PERCENTILES: [u8; 3] = [50, 95, 99];

/// How long records took, in words; `None` if nobody knows of any.
pub(super) fn delay(delays: &DelayCounts) -> Option<String> {
    let [half, most, nearly] = PERCENTILES.map(|percent| delays.percentile(percent));
    let words = |delay: std::time::Duration| duration(delay.as_secs().max(1));
    let (half, most, nearly) = (words(half?), words(most?), words(nearly?));
    Some(format!("half of the records within {half}, 95 % within {most}, 99 % within {nearly}"))
}

/// What is said of an exception.
pub(super) struct Sentence {
    pub(super) time: String,
    pub(super) cause: String,
    pub(super) remedy: String,
}

/// What an exception is, in words.
pub(super) fn of(exception: &Exception) -> Sentence {
    let time = format!("{} to {}", minute(exception.start), minute(exception.end));
    let why = &exception.why;
    let (mut causes, mut remedies) = match exception.standing {
        HourStanding::Lost => lost(why),
        HourStanding::Incomplete => incomplete(why),
        HourStanding::NotCollected => (
            vec!["not collected: before the first start of this feed".to_owned()],
            vec!["nothing of it can be had from this API; Purview's audit log may have it"],
        ),
        HourStanding::Open | HourStanding::Settled => (Vec::new(), Vec::new()),
    };
    if exception.standing == HourStanding::Lost {
        acknowledged(&exception.losses, &mut causes, &mut remedies);
    }
    Sentence { time, cause: one_line(&causes.join("; ")), remedy: remedies.join("; ") }
}

type Words = (Vec<String>, Vec<&'static str>);

/// Where what this API does not give any more may be found.
const ELSEWHERE: &str =
    "Microsoft does not give it any more here; Purview's audit log may still have it";

fn lost(why: &Why) -> Words {
    let (mut causes, mut remedies) = (Vec::new(), Vec::new());
    // Nothing but blobs is lost without a cause.
    let named = if why.causes.is_empty() { &[LossKind::Blob][..] } else { &why.causes };
    for (cause, remedy) in named.iter().map(|kind| cause(*kind, why)) {
        causes.push(cause);
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    (causes, remedies)
}

/// A cause, and what to do.
fn cause(kind: LossKind, why: &Why) -> (String, &'static str) {
    let gap = duration(why.gap_seconds);
    match kind {
        LossKind::Gap => (
            format!(
                "{gap} were not listed while Microsoft kept them: no collector ran, or it could \
                 not list"
            ),
            ELSEWHERE,
        ),
        LossKind::Unsubscribed => (
            format!("{gap} without a subscription, as far as is known: something may be lost"),
            ELSEWHERE,
        ),
        LossKind::Blob => (
            format!(
                "{} expired before they could be read",
                counted(why.blobs_lost, "blob", "blobs")
            ),
            ELSEWHERE,
        ),
        LossKind::RecordsDropped => (
            format!("{} too large to be taken", counted(why.records_dropped, "record", "records")),
            "raise record_bytes_max; `m365-audit replay` collects them while Microsoft keeps them",
        ),
        LossKind::RecordsWithheld => (
            format!(
                "{} could not be read by redaction; length and hash were delivered",
                counted(why.records_withheld, "record", "records")
            ),
            "without redact they are delivered as they are",
        ),
        LossKind::EntriesDropped => (
            format!(
                "of Microsoft's listings {} could not be read, so that their blobs are not known",
                match why.entries_dropped {
                    1 => "1 entry".to_owned(),
                    count => format!("{} entries", grouped(count)),
                }
            ),
            "tell Microsoft; `m365-audit verify` asks again",
        ),
        LossKind::Output | LossKind::RecordsRejected | LossKind::Unknown => (
            "something, in a way that only a newer version knows".to_owned(),
            "run the version that has written the state",
        ),
    }
}

fn incomplete(why: &Why) -> Words {
    let (mut causes, mut remedies) = (Vec::new(), Vec::new());
    if why.blobs_quarantined > 0 {
        let blobs = counted(why.blobs_quarantined, "blob", "blobs");
        causes.push(format!("{blobs} cannot be read for the time being"));
        remedies.push(
            "a running collector tries until they expire; `m365-audit state show` names \
                       them",
        );
    }
    if why.blobs_waiting > 0 {
        causes.push(format!(
            "{} listed and not delivered",
            counted(why.blobs_waiting, "blob", "blobs")
        ));
        remedies.push("look whether the collector runs, and whether its output is taken");
    }
    if why.not_covered {
        causes.push("not listed to its end".to_owned());
        remedies.push("let a collector run: what Microsoft still keeps (7 days) is collected");
    } else if causes.is_empty() && why.not_checked {
        causes.push(
            "not listed again before it left Microsoft's listings, so that nobody knows \
                     whether something was added late"
                .to_owned(),
        );
        remedies.push("nothing any more; let a collector run without long breaks");
    }
    (causes, remedies)
}

/// What the state says of the losses: which of them nobody has acknowledged, and who has others.
fn acknowledged(losses: &[KnownLoss], causes: &mut Vec<String>, remedies: &mut Vec<&'static str>) {
    let open: Vec<_> = losses.iter().filter(|known| known.acknowledged.is_none()).collect();
    if !open.is_empty() {
        let numbers: Vec<_> = open.iter().take(5).map(|known| known.number.to_string()).collect();
        let more = if open.len() > numbers.len() { ", ..." } else { "" };
        causes.push(format!("not acknowledged (loss {}{more})", numbers.join(", ")));
        remedies.push("look at it, then `m365-audit state acknowledge`");
    } else if let Some(by) = losses.iter().find_map(|known| known.acknowledged.as_ref()) {
        let note = if by.note.is_empty() { String::new() } else { format!(": {}", by.note) };
        causes.push(format!("acknowledged by {}{note}", by.by));
    }
}

/// A loss that is of no hour.
pub(super) fn of_loss(known: &KnownLoss) -> Sentence {
    let loss = &known.loss;
    let (mut causes, mut remedies) = (Vec::new(), Vec::new());
    let name = loss.name.as_deref().unwrap_or("the output");
    match loss.kind {
        LossKind::Output => {
            causes.push(format!(
                "{} of {name} are not there any more",
                counted(loss.count, "byte", "bytes")
            ));
            remedies.push("put them back, or have the time collected again: `m365-audit replay`");
        }
        LossKind::RecordsRejected => {
            let records = counted(loss.count, "record", "records");
            causes.push(format!("{records} refused for good by {name}"));
            remedies
                .push("look at its log, then have the time collected again: `m365-audit replay`");
        }
        kind => causes.push(format!("{} lost: {}", loss.count, kind.as_str())),
    }
    acknowledged(std::slice::from_ref(known), &mut causes, &mut remedies);
    let cause = one_line(&causes.join("; "));
    Sentence { time: format!("told {}", minute(loss.told)), cause, remedy: remedies.join("; ") }
}

/// What the statement does not say, a sentence each.
pub(super) fn not_covered(statement: &Statement) -> Vec<String> {
    let mut all = vec![
        "What Microsoft never published, or published in no listing: the statement is about the \
         content that Microsoft's API has named."
            .to_owned(),
        "What happened to records after the output had taken them: `m365-audit verify` compares \
         what arrived elsewhere."
            .to_owned(),
    ];
    match &statement.configuration {
        None => all.push(
            "Which records the configuration leaves out or changes: no configuration was given to \
             this report."
                .to_owned(),
        ),
        Some(Configuration { treating, .. }) if treating.is_empty() => {
            all.push("Nothing is left out or changed by the configuration of today.".to_owned());
        }
        Some(Configuration { treating, .. }) => all.push(format!(
            "What the configuration of today leaves out or changes: {}.",
            treating.join(", ")
        )),
    }
    if let Some(begin) = first_begin(statement) {
        all.push(format!("What was created before collection began: the first feed on {begin}."));
    }
    all
}

fn first_begin(statement: &Statement) -> Option<String> {
    let feeds = statement.tenants.iter().flat_map(|tenant| &tenant.feeds);
    feeds.map(|feed: &FeedReport| feed.begin).min().map(minute)
}

/// The last word on a tenant.
pub(super) fn verdict(tenant: &Tenant) -> &'static str {
    if tenant.error.is_some() {
        return "its state cannot be read";
    }
    match tenant.worst() {
        None => "nothing is known: there is no history of it",
        Some(HourStanding::Settled) => "everything is settled",
        Some(HourStanding::Open) => "everything is settled, or open: Microsoft may still add to it",
        Some(HourStanding::NotCollected) => {
            "what was collected is in order; some was not collected"
        }
        Some(HourStanding::Incomplete) => "incomplete: some is not delivered",
        Some(HourStanding::Lost) => "something is lost",
    }
}
