//! Where one event is.

use std::collections::HashSet;
use std::time::Duration;

use clap::ArgMatches;
use m365_audit_client::{Settings, Sink};
use m365_audit_core::call::{ActivityId, Call, CallError, Range};
use m365_audit_core::{
    Batch, BatchId, Feed, FeedHistory, KnownContents, Level, Stored, Utc, Whereabouts,
};
use serde_json::json;

use super::ask::{self, Blob};
use super::known::{contents, stored, tell_of_quota};
use super::progress::Progress;
use super::text;
use crate::calls::{self, Session, code_of, print};
use crate::exit::{COMPLETE, INCOMPLETE};
use crate::log::{Log, now};

/// A blob is published after its events: this much before the moment that was named ...
const BEFORE: Duration = Duration::from_secs(3_600);

/// ... until this much after it.
const AFTER: Duration = Duration::from_secs(24 * 3_600);

/// What was found.
#[derive(Debug, Default)]
struct Found {
    feed: Option<Feed>,
    blob: Option<Blob>,
    happened: Option<String>,
    operation: Option<String>,
    /// When the service stored it: of an activity, which is in no blob.
    stored: Option<Utc>,
    /// Whether the filters leave it out.
    filtered: bool,
    whereabouts: Option<Whereabouts>,
    /// What the history says of its hour.
    hour: Vec<(&'static str, String)>,
}

/// Looks for an event, and answers the exit code.
pub(super) fn find(
    matches: &ArgMatches,
    settings: &Settings,
    log: Log,
    id: &str,
    mut progress: Progress,
) -> Result<u8, u8> {
    let around = *matches.get_one::<Utc>("around").expect("clap requires it");
    let range = Range { since: around - BEFORE, until: (around + AFTER).min(now()) };
    let stored = stored(settings, &log).unwrap_or_default();
    let known = contents(&stored, &log);
    let mut session = Session::of(settings, log.clone())?;
    tell_of_quota(settings, &log);
    let (mut found, mut code, mut searched) = (None, COMPLETE, Vec::new());
    for feed in settings.config.feeds() {
        match search(&mut session, feed, range, id, &mut progress) {
            Ok(Some(event)) => {
                found = Some(event);
                break;
            }
            Ok(None) => searched.push(feed.as_str()),
            Err(error) => {
                session.fail(feed.as_str(), &error);
                code = code.max(code_of(&error));
            }
        }
    }
    progress.finish();
    let Some(mut event) = found else {
        let (since, until) = (range.since, range.until);
        let words = not_found(id, since, until, &searched, &settings.config.feeds());
        let value = json!({"id": id, "found": false, "since": since.to_string(),
            "until": until.to_string(), "searched": searched});
        print(&if calls::json(matches) { format!("{value:#}\n") } else { words });
        return Ok(code.max(INCOMPLETE));
    };
    complete(&mut event, id, known.as_ref(), &stored);
    let explained = event.filtered || event.whereabouts == Some(Whereabouts::Delivered);
    print(&if calls::json(matches) { event.as_json(id) } else { event.as_text(id) });
    Ok(if explained { COMPLETE } else { INCOMPLETE })
}

/// What the state says of it.
fn complete(event: &mut Found, id: &str, known: Option<&KnownContents>, stored: &Stored) {
    let Some(feed) = event.feed else { return };
    let (content, created) = match (&event.blob, event.stored) {
        (Some(blob), _) => (&*blob.id, blob.created),
        (None, Some(stored)) => (id.trim(), stored),
        (None, None) => return,
    };
    event.whereabouts = known.and_then(|known| known.of(feed, content, created));
    let Ok(Some(history)) = FeedHistory::find(stored, feed) else { return };
    let end = created + Duration::from_millis(1);
    let Some(Ok((row, standing))) = history.hours(stored, created, end, now()).next() else {
        return;
    };
    let moments = [
        ("hour listed", row.first_listed),
        ("listed again", row.last_listed),
        ("hour delivered", row.last_delivered),
    ];
    let moments = moments.into_iter().filter_map(|(name, at)| Some((name, at?.to_string())));
    event.hour.extend(moments);
    event.hour.push(("hour", format!("{} is {}", row.start(), standing.as_str())));
}

fn not_found(id: &str, since: Utc, until: Utc, searched: &[&str], feeds: &[Feed]) -> String {
    let looked = if searched.is_empty() { "nothing".to_owned() } else { searched.join(", ") };
    let others = Feed::ALL.into_iter().filter(|feed| !feeds.contains(feed));
    let others = others.map(Feed::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "{id}: Microsoft has no such event in what it published {since} to {until}\n  searched: \
         {looked}\n  not collected, and not searched: {others}\n  It may be published later (up \
         to 24 hours, now and then more), earlier (name another --around), or not at all: not \
         every event of the portal is in this API\n"
    )
}

fn search(
    session: &mut Session,
    feed: Feed,
    range: Range,
    id: &str,
    progress: &mut Progress,
) -> Result<Option<Found>, CallError> {
    // An activity's id is none of a record.
    let Feed::Audit(content_type) = feed else { return activity(session, id) };
    let mut known = HashSet::new();
    for slice in ask::slices(range) {
        for blob in ask::list(session, content_type, slice, &mut known)? {
            progress.say(|| format!("{feed}: looking in the blob of {}", blob.created));
            let mut finder = Finder::new(id, session.log.clone());
            session.calls.leave_out_filtered(false);
            match ask::read(session, &blob, &mut finder) {
                Ok(_) => {}
                Err(error) if ask::ends_all(&error) => return Err(error),
                Err(error) => drop(session.fail(&blob.id, &error)),
            }
            let Some(Seen { happened, operation, .. }) = finder.found else { continue };
            let mut again = Finder::new(id, session.log.clone());
            session.calls.leave_out_filtered(true);
            ask::read(session, &blob, &mut again)?;
            return Ok(Some(Found {
                feed: Some(feed),
                blob: Some(blob),
                happened,
                operation,
                filtered: again.found.is_none(),
                ..Found::default()
            }));
        }
    }
    Ok(None)
}

fn activity(session: &mut Session, id: &str) -> Result<Option<Found>, CallError> {
    let Ok(activity) = ActivityId::parse(id) else { return Ok(None) };
    let mut finder = Finder::new(id, session.log.clone());
    match session.calls.call(Call::GetActivity(activity), &mut finder) {
        Ok(_) => {}
        Err(error) if error.code.as_deref() == Some("portal-not-found") => return Ok(None),
        Err(error) => return Err(error),
    }
    let Some(Seen { happened, operation, stored }) = finder.found else { return Ok(None) };
    let mut filtered = false;
    if let Some(since) = stored.filter(|_| session.calls.config().activities_filter().is_some()) {
        let mut again = Finder::new(id, session.log.clone());
        let until = since + Duration::from_millis(1);
        ask::search(session, Range { since, until }, &mut again)?;
        filtered = again.found.is_none();
    }
    let feed = Some(Feed::CloudAppActivities);
    Ok(Some(Found { feed, happened, operation, stored, filtered, ..Found::default() }))
}

impl Found {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let mut add = |name, text: Option<String>| lines.extend(text.map(|text| (name, text)));
        add("happened", self.happened.clone());
        add("operation", self.operation.clone());
        add("feed", self.feed.map(|feed| feed.to_string()));
        let blob = self.blob.as_ref();
        add("blob", blob.map(|blob| blob.id.to_string()));
        add("published", blob.map(|blob| blob.created.to_string()));
        add("readable until", blob.and_then(|blob| blob.expiration.clone()));
        add("stored", self.stored.map(|at| at.to_string()));
        lines.extend(self.hour.iter().cloned());
        let filtered = "yes: the filters of the configuration (include_..., exclude_..., \
                        activities_filter) leave it out, so that it is not delivered";
        lines.push(("filtered", if self.filtered { filtered } else { "no" }.to_owned()));
        if blob.is_some() || self.stored.is_some() {
            lines.push(("state", text::explain(self.whereabouts.as_ref())));
        }
        lines
    }

    fn as_text(&self, id: &str) -> String {
        let mut text = format!("{id}\n");
        for (name, words) in self.lines() {
            text.push_str(&format!("  {name:15} {}\n", m365_audit_core::one_line(&words)));
        }
        text
    }

    fn as_json(&self, id: &str) -> String {
        let mut value = json!({
            "id": id,
            "found": true,
            "filtered": self.filtered,
            "state": self.whereabouts.as_ref().map(text::word),
        });
        for (name, words) in self.lines() {
            if !matches!(name, "filtered" | "state") {
                value[name.replace(' ', "_")] = words.into();
            }
        }
        format!("{value:#}\n")
    }
}

/// What the record says.
#[derive(Debug)]
struct Seen {
    happened: Option<String>,
    /// What was done.
    operation: Option<String>,
    /// When the service stored it, of an activity.
    stored: Option<Utc>,
}

/// Looks for one id among the records that come.
struct Finder<'a> {
    id: &'a str,
    found: Option<Seen>,
    log: Log,
    taken: Vec<BatchId>,
}

impl<'a> Finder<'a> {
    const fn new(id: &'a str, log: Log) -> Self {
        Self { id, found: None, log, taken: Vec::new() }
    }
}

impl Sink for Finder<'_> {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.taken.push(batch.id);
        for record in &batch.records {
            let of_activities = batch.content.feed == Feed::CloudAppActivities;
            let (named, stored) = match of_activities {
                true => ask::activity(record),
                false => (ask::named(record), None),
            };
            let meant = |id: &str| id.eq_ignore_ascii_case(self.id.trim());
            if let Some(named) = named.filter(|named| meant(&named.id)) {
                let (created, operation) = named.details.unzip();
                let happened = record.happened.map(|at| at.to_string()).or(created);
                self.found.get_or_insert(Seen { happened, operation, stored });
            }
        }
        Ok(())
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.taken);
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }
}
