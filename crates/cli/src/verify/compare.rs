//! Holds what Microsoft has against what arrived.

use std::collections::HashSet;

use m365_audit_client::Sink;
use m365_audit_core::call::{CallError, Range};
use m365_audit_core::{Batch, BatchId, ContentType, Feed, KnownContents, Level, Record, Utc};

use super::arrived::{Arrived, Match, Named, whole_key};
use super::ask::{self, Blob};
use super::missing::Missing;
use super::progress::Progress;
use super::row::NAMELESS;
use super::tally::{BLOBS_SHOWN, FeedTally, Gap, IDS_SHOWN, Stray, Tally, Unread};
use crate::calls::Session;
use crate::log::Log;

/// Blobs in a row that cannot be read, after which a feed is given up.
const FAILURES_MAX: u32 = 20;

/// A comparison under way.
pub(super) struct Comparison {
    pub(super) arrived: Arrived,
    pub(super) missing: Missing,
    pub(super) tally: Tally,
    /// What the collector's state says.
    pub(super) known: Option<KnownContents>,
    /// What is missing, so that what Microsoft has twice is missing once.
    told: HashSet<u128>,
}

impl Comparison {
    pub(super) fn new(arrived: Arrived, missing: Missing, known: Option<KnownContents>) -> Self {
        Self { arrived, missing, tally: Tally::new(), known, told: HashSet::new() }
    }

    /// Compares one feed. What fails is noted.
    pub(super) fn feed(
        &mut self,
        session: &mut Session,
        feed: Feed,
        range: Range,
        progress: &mut Progress,
    ) -> Result<(), CallError> {
        self.tally.entry(feed).or_default();
        let result = match feed {
            Feed::CloudAppActivities => self.activities(session, range, progress),
            Feed::Audit(content_type) => self.blobs(session, content_type, range, progress),
        };
        if let Err(error) = &result {
            self.of(feed).failed = Some(error.to_string());
        }
        result
    }

    fn of(&mut self, feed: Feed) -> &mut FeedTally {
        self.tally.entry(feed).or_default()
    }

    fn blobs(
        &mut self,
        session: &mut Session,
        content_type: ContentType,
        range: Range,
        progress: &mut Progress,
    ) -> Result<(), CallError> {
        let feed = Feed::Audit(content_type);
        let mut known = HashSet::new();
        let mut failures = 0;
        for slice in ask::slices(range) {
            for blob in ask::list(session, content_type, slice, &mut known)? {
                progress.say(|| {
                    let total = self.tally.get(&feed).map(FeedTally::total).unwrap_or_default();
                    let at = blob.created;
                    let (blobs, records, missing) = (total.blobs, total.records, total.missing);
                    format!("{feed} at {at}: {blobs} blobs, {records} records, {missing} missing")
                });
                match self.blob(session, feed, &blob) {
                    Ok(()) => failures = 0,
                    Err(error) => {
                        failures += 1;
                        if ask::ends_all(&error) || FAILURES_MAX <= failures {
                            return Err(error);
                        }
                    }
                }
            }
            progress.step();
        }
        Ok(())
    }

    fn blob(&mut self, session: &mut Session, feed: Feed, blob: &Blob) -> Result<(), CallError> {
        let log = session.log.clone();
        let mut reader = Reader::new(self, feed, Some(blob.created), &log);
        let result = ask::read(session, blob, &mut reader);
        let Reader { records, missing, ids, .. } = reader;
        let hour = self.of(feed).hour(blob.created);
        hour.blobs += 1;
        match &result {
            Ok((filtered, dropped)) => {
                hour.filtered += filtered;
                hour.dropped += dropped;
            }
            Err(error) => {
                hour.unread += 1;
                let why = error.to_string();
                let unread = Unread { id: blob.id.clone(), created: blob.created, why };
                let kept = &mut self.of(feed).unread;
                if kept.len() < BLOBS_SHOWN {
                    kept.push(unread);
                }
            }
        }
        if missing > 0 {
            let known = self.known.as_ref();
            let whereabouts = known.and_then(|known| known.of(feed, &blob.id, blob.created));
            let (id, created) = (blob.id.clone(), blob.created);
            let gap = Gap { id, created, records, missing, ids, whereabouts };
            let kept = &mut self.of(feed).gaps;
            if kept.len() < BLOBS_SHOWN {
                kept.push(gap);
            }
        }
        result.map(drop)
    }

    fn activities(
        &mut self,
        session: &mut Session,
        range: Range,
        progress: &mut Progress,
    ) -> Result<(), CallError> {
        let feed = Feed::CloudAppActivities;
        progress.say(|| format!("{feed} from {} to {}", range.since, range.until));
        let log = session.log.clone();
        let mut reader = Reader::new(self, feed, None, &log);
        let dropped = ask::search(session, range, &mut reader)?;
        if dropped > 0 {
            self.of(feed).hour(range.since).dropped += dropped;
        }
        progress.step();
        Ok(())
    }

    /// Names an activity that is missing.
    fn stray(&mut self, feed: Feed, id: String, created: Utc) {
        let whereabouts = self.known.as_ref().and_then(|known| known.of(feed, &id, created));
        let kept = &mut self.of(feed).strays;
        if kept.len() < BLOBS_SHOWN {
            kept.push(Stray { id, created, whereabouts });
        }
    }

    /// Whether a record is missing, and was not told as missing before.
    fn judge(&mut self, feed: Feed, hour: Utc, named: Option<&Named>) -> bool {
        let found = named.map(|named| (named, self.arrived.look_up(named)));
        let has_id = |named: &Named| !named.id.starts_with(NAMELESS);
        let told = found.filter(|(named, found)| *found != Match::Arrived && has_id(named));
        // Whether it arrived with something added, nobody can say.
        let unknown = match found {
            Some((named, found)) => !has_id(named) && found != Match::Arrived,
            None => true,
        };
        // Without details the id alone is what tells it.
        let new = told.is_some_and(|(named, _)| {
            let bare = Named { id: named.id.clone(), details: Some(Default::default()) };
            let key = whole_key(named).or_else(|| whole_key(&bare)).unwrap_or_default();
            self.told.insert(key)
        });
        let counts = self.of(feed).hour(hour);
        counts.records += 1;
        counts.without_id += u64::from(unknown);
        counts.missing += u64::from(new);
        let other = told.is_some_and(|(_, found)| found == Match::Other);
        counts.other += u64::from(new && other);
        new
    }
}

/// Takes the records of one blob, or of a search.
struct Reader<'a> {
    comparison: &'a mut Comparison,
    feed: Feed,
    /// When the blob was created; of activities each says it.
    created: Option<Utc>,
    log: &'a Log,
    taken: Vec<BatchId>,
    records: u64,
    missing: u64,
    ids: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(comparison: &'a mut Comparison, feed: Feed, created: Option<Utc>, log: &'a Log) -> Self {
        let (taken, ids) = (Vec::new(), Vec::new());
        Self { comparison, feed, created, log, taken, records: 0, missing: 0, ids }
    }

    fn is_missing(&mut self, record: &Record, fallback: Utc) -> bool {
        let (named, created) = match self.created {
            Some(created) => (ask::named(record), Some(created)),
            None => ask::activity(record),
        };
        let hour = created.unwrap_or(fallback);
        self.records += 1;
        let missing = self.comparison.judge(self.feed, hour, named.as_ref());
        self.missing += u64::from(missing);
        let Some(id) = named.filter(|_| missing).map(|named| named.id) else { return missing };
        if self.created.is_none() {
            self.comparison.stray(self.feed, id, hour);
        } else if self.ids.len() < IDS_SHOWN {
            self.ids.push(id);
        }
        missing
    }
}

impl Sink for Reader<'_> {
    fn emit(&mut self, mut batch: Batch) -> anyhow::Result<()> {
        self.taken.push(batch.id);
        let fallback = batch.content.created;
        batch.records.retain(|record| self.is_missing(record, fallback));
        if batch.records.is_empty() { Ok(()) } else { self.comparison.missing.write(&batch) }
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.taken);
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }
}
