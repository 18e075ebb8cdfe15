//! The history that is stored at the end, hour by hour, held against the simulator's truth: what it
//! calls settled is there, its sums add up, and what is lost stands in its hour.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use m365_audit_core::{
    Commit, Feed, FeedHistory, HISTORY, HourRow, HourStanding, LossKind, Stored, Utc, losses,
};
use m365_audit_world::Taker;
use xxhash_rust::xxh3::xxh3_128;

use super::beliefs::Beliefs;
use super::check::SKEW_MS;
use super::published::{Published, Record};

const HOUR_MS: i64 = 3_600_000;

/// What commits have said of records delivered so far, as a sum over all rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Bytes of keys and values of all commits, and those of them that are history.
    pub(super) bytes: u64,
    pub(super) history_bytes: u64,
    rows: HashMap<String, u64>,
    sum: u64,
    /// What earlier runs have counted.
    before: u64,
}

impl Tally {
    /// Goes on from what an earlier run left.
    pub(super) fn new(stored: &Stored) -> Self {
        let rows = stored.iter().filter(|(key, _)| is_row(key));
        let rows: HashMap<_, _> = rows
            .map(|(key, value)| (key.clone(), member(value, 'r').unwrap_or_default()))
            .collect();
        let sum = rows.values().sum();
        Self { rows, sum, before: sum, ..Self::default() }
    }

    /// Notes a commit that was made when the host had so many records. Answers what does not hold:
    /// it counts what the host does not have.
    pub(super) fn note(&mut self, commit: &Commit, had: u64) -> Result<(), String> {
        for (key, value) in &commit.changes {
            let value = value.as_deref().unwrap_or_default();
            let bytes = (key.len() + value.len()) as u64;
            self.bytes += bytes;
            if !key.starts_with(HISTORY) {
                continue;
            }
            self.history_bytes += bytes;
            if !is_row(key) {
                continue;
            }
            let records = member(value, 'r').ok_or_else(|| format!("{key}: {value}"))?;
            self.sum += records;
            self.sum -= self.rows.insert(key.clone(), records).unwrap_or_default();
        }
        let had = self.before + had;
        if had < self.sum {
            return Err(format!("the history counts {} records, the host has {had}", self.sum));
        }
        Ok(())
    }
}

/// Whether a key is that of an hour.
fn is_row(key: &str) -> bool {
    key.starts_with(HISTORY) && 1 < key.matches('/').count()
}

/// A member of a row as it is stored; `None` if it cannot be read.
fn member(value: &str, letter: char) -> Option<u64> {
    let Some((_, rest)) = value.split_once(letter) else { return Some(0) };
    rest.split(|next: char| next.is_ascii_alphabetic()).next()?.parse().ok()
}

/// What there is to compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account<'a> {
    pub(super) published: &'a Published,
    pub(super) taker: &'a Taker,
    pub(super) stored: &'a Stored,
    /// Contents that commits have called done, or lost.
    pub(super) done: &'a HashMap<u128, u64>,
    /// Whether nothing went wrong, so that all can be counted to the last record.
    pub(super) exact: bool,
    /// In which hours the collector took contents to be created, and how many entries of listings
    /// were odd: no more contents than that can be of another hour for it.
    pub(super) beliefs: &'a Beliefs,
    pub(super) odd: u64,
    pub(super) now_ms: i64,
}

/// What an hour counts.
#[derive(Debug, Default)]
struct Counted {
    delivered: u64,
    deduplicated: u64,
    filtered: u64,
    blobs: u64,
    lost: bool,
    young: bool,
}

/// What was published in one hour of a feed.
#[derive(Default)]
struct HourTruth {
    /// Of contents that are done: how many, and the records in them.
    contents: HashSet<u128>,
    records: u64,
    wanted: u64,
    /// How often the host took any of the records of this hour.
    taken: u64,
    hashes: HashSet<u128>,
}

impl Account<'_> {
    /// The first thing that the history says and that is not so.
    pub(super) fn contradiction(&self) -> Option<String> {
        let hours = match self.hours() {
            Ok(hours) => hours,
            Err(error) => return Some(format!("the history cannot be read: {error}")),
        };
        let added = hours.iter().find_map(|(hour, found)| self.adds_up(hour, found));
        added
            .or_else(|| self.mistaken())
            .or_else(|| self.untrue(&hours))
            .or_else(|| self.misplaced(&hours))
    }

    /// Every hour of every feed, as it will stand when Microsoft has forgotten it.
    fn hours(&self) -> Result<Hours, String> {
        let forgotten = |feed: &FeedHistory, row: &HourRow| row.end() + feed.kept;
        let mut hours = Hours::new();
        let until = Utc::from_millis(self.now_ms + HOUR_MS);
        for feed in Feed::ALL {
            let found = FeedHistory::find(self.stored, feed).map_err(|error| error.to_string())?;
            let Some(found) = found else { continue };
            let since = Utc::from_millis(found.begin.as_millis() - 48 * HOUR_MS);
            for hour in found.hours(self.stored, since, until, until) {
                let (row, _) = hour.map_err(|error| error.to_string())?;
                let standing = row.standing(&found, forgotten(&found, &row));
                hours.insert((feed, row.hour), (row, standing, found.begin.as_millis()));
            }
        }
        Ok(hours)
    }

    /// Whether something of an hour may have been on its way when the collector stopped.
    fn is_young(&self, row: &HourRow) -> bool {
        self.now_ms - 3 * HOUR_MS < row.end().as_millis()
    }

    /// Whether the sums of an hour do not add up.
    fn adds_up(&self, (feed, _): &(Feed, i64), found: &Found) -> Option<String> {
        let row = &found.0;
        let settled = row.blobs_delivered + row.blobs_quarantined + row.blobs_lost;
        let all = self.is_young(row) || settled == row.blobs_listed;
        let timed = row.delays.records() <= row.records_delivered;
        let sound = settled <= row.blobs_listed && all && timed;
        (!sound).then(|| format!("{feed}, {}: the sums do not add up: {row:?}", row.start()))
    }

    /// Contents of which the collector has the hour wrong although listings said it.
    fn mistaken(&self) -> Option<String> {
        let mut wrong = BTreeMap::new();
        for owed in &self.published.records {
            let hour = owed.created_ms.div_euclid(HOUR_MS);
            let other = self.beliefs.hours_of(&owed.content_id).find(|known| *known != hour);
            wrong.extend(other.map(|other| (&*owed.content_id, other - hour)));
        }
        (self.odd < wrong.len() as u64).then(|| format!("taken for others' hours: {wrong:?}"))
    }

    /// An hour that counts more than there was, or less, or is called settled and lacks something.
    fn untrue(&self, hours: &Hours) -> Option<String> {
        let mut truth: HashMap<Place, HourTruth> = HashMap::new();
        let blurred = self.blurred();
        let taken = self.taker.taken();
        let arrived: HashSet<u128> = self
            .published
            .records
            .iter()
            .filter(|owed| taken.contains_key(&owed.hash))
            .map(|owed| owed.key)
            .collect();
        for owed in &self.published.records {
            let Some(feed) = Feed::parse(owed.content_type.name()) else { continue };
            let hour = owed.created_ms.div_euclid(HOUR_MS);
            let Some(found) = hours.get(&(feed, hour)) else { continue };
            let place = match self.beliefs.hours_of(&owed.content_id).next() {
                // What is of several hours is of blurred ones.
                Some(known) if hours.contains_key(&(feed, known)) => blurred.place(feed, known),
                Some(_) | None => blurred.place(feed, hour),
            };
            let truth = truth.entry(place).or_default();
            let done = self.done.contains_key(&xxh3_128(owed.content_id.as_bytes()));
            truth.note(owed, done, self.taker);
            let missing = owed.is_wanted() && !arrived.contains(&owed.key);
            if missing && vouches(found, owed.created_ms, owed.available_ms) {
                let (id, at) = (&owed.content_id, owed.created_ms);
                return Some(format!("settled, and lacks {id}, {at}: {found:?}"));
            }
        }
        for owed in &self.published.activities {
            let feed = Feed::CloudAppActivities;
            let hour = owed.created_ms.div_euclid(HOUR_MS);
            let Some(found) = hours.get(&(feed, hour)) else { continue };
            let truth = truth.entry((feed, Some(hour))).or_default();
            let times = taken.get(&owed.hash).map_or(0, |taken| u64::from(taken.times));
            truth.taken += times;
            truth.wanted += u64::from(times > 0);
            if times == 0 && vouches(found, owed.created_ms, owed.available_ms) {
                return Some(format!("settled, and lacks activity {}: {found:?}", owed.id));
            }
        }
        self.miscounted(hours, &blurred, &truth)
    }

    /// Hours between which contents may have moved: those that were listed twice, by processes that
    /// did not know of each other, once with a time and once without.
    fn blurred(&self) -> Blurred {
        let mut blurred = Blurred::default();
        for owed in &self.published.records {
            let hours = self.beliefs.hours_of(&owed.content_id);
            if let (Some(feed), true) =
                (Feed::parse(owed.content_type.name()), 1 < hours.clone().count())
            {
                blurred.hours.extend(hours.map(|hour| (feed, hour)));
            }
        }
        blurred
    }

    fn miscounted(
        &self,
        hours: &Hours,
        blurred: &Blurred,
        truth: &HashMap<Place, HourTruth>,
    ) -> Option<String> {
        let mut counted: BTreeMap<Place, Counted> = BTreeMap::new();
        for ((feed, hour), (row, ..)) in hours {
            let counted = counted.entry(blurred.place(*feed, *hour)).or_default();
            counted.delivered += row.records_delivered;
            counted.deduplicated += row.records_deduplicated;
            counted.filtered += row.records_filtered;
            counted.blobs += row.blobs_delivered + row.blobs_lost;
            counted.lost |= !row.causes.is_empty();
            counted.young |= self.is_young(row);
        }
        truth.iter().find_map(|(key, truth)| {
            let counted = counted.get(key)?;
            let came = counted.delivered + counted.deduplicated;
            // What is searched again is left out again, as often as it is.
            let all = match key.0 {
                Feed::Audit(_) => came + counted.filtered == truth.records,
                Feed::CloudAppActivities => counted.delivered == truth.wanted,
            };
            let what = if counted.delivered > truth.taken {
                "counts more records than the host has taken"
            } else if !counted.lost && came < truth.wanted {
                "counts fewer records than there were in what it calls delivered"
            } else if counted.blobs < truth.contents.len() as u64 {
                "counts fewer blobs than are done"
            } else if self.exact && !counted.young && !all {
                "counts other records than there were"
            } else {
                return None;
            };
            let at = key.1.map(|hour| Utc::from_millis(hour * HOUR_MS));
            Some(format!("{}, {at:?}: {what}: {counted:?}, {truth:?}", key.0))
        })
    }

    /// A loss that is remembered and that its hours do not tell of, or the reverse.
    fn misplaced(&self, hours: &Hours) -> Option<String> {
        let known = match losses(self.stored) {
            Ok(known) => known,
            Err(error) => return Some(error.to_string()),
        };
        let mut told: BTreeSet<(Feed, i64, LossKind)> = BTreeSet::new();
        for known in &known {
            let (Some(feed), Some((start, end))) = (known.loss.feed, known.loss.created) else {
                continue;
            };
            for hour in start.hour()..=Utc::from_millis(end.as_millis() - 1).hour() {
                told.insert((feed, hour, known.loss.kind));
            }
            // Losses that touch are remembered as one; the hours at their ends tell of them.
            let first = hours.get(&(feed, start.hour()));
            if first.is_some_and(|(row, ..)| !row.causes.iter().any(|it| it == known.loss.kind)) {
                return Some(format!("an hour does not tell of {known:?}: {first:?}"));
            }
        }
        hours.iter().find_map(|((feed, hour), (row, standing, _))| {
            let untold = row.causes.iter().find(|kind| !told.contains(&(*feed, *hour, *kind)));
            let wrong = untold.is_some() || row.causes.is_empty() && !row.gap.is_zero();
            (wrong && known.len() < 400)
                .then(|| format!("{feed}: {standing:?} of which no loss tells: {row:?}"))
        })
    }
}

/// An hour, how it will stand, and where the history of its feed begins.
type Found = (HourRow, HourStanding, i64);

/// Where something is counted: an hour of a feed, or all of its hours that are blurred together.
type Place = (Feed, Option<i64>);

/// Hours that can only be compared together.
#[derive(Default)]
struct Blurred {
    hours: HashSet<(Feed, i64)>,
}

impl Blurred {
    fn place(&self, feed: Feed, hour: i64) -> Place {
        (feed, Some(hour).filter(|_| !self.hours.contains(&(feed, hour))))
    }
}

/// Hours by feed and number.
type Hours = BTreeMap<(Feed, i64), Found>;

/// Whether an hour says that what was created and could be listed at these times is delivered.
fn vouches(found: &Found, created_ms: i64, available_ms: i64) -> bool {
    let (row, standing, begin_ms) = found;
    let listed_ms = row.last_listed.map_or(i64::MIN, Utc::as_millis);
    *standing == HourStanding::Settled
        && begin_ms + SKEW_MS <= created_ms
        && available_ms < listed_ms - SKEW_MS
}

impl fmt::Debug for HourTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contents, records, wanted, taken, .. } = self;
        let contents = contents.len();
        write!(f, "{contents} contents, {records} records, {wanted} wanted, {taken} taken")
    }
}

impl HourTruth {
    fn note(&mut self, owed: &Record, done: bool, taker: &Taker) {
        if done {
            self.contents.insert(xxh3_128(owed.content_id.as_bytes()));
            self.records += 1;
            self.wanted += u64::from(owed.is_wanted());
        }
        if self.hashes.insert(owed.hash) {
            self.taken += taker.taken().get(&owed.hash).map_or(0, |taken| u64::from(taken.times));
        }
    }
}
