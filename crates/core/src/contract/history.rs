//! What became of each hour of content created, as the state keeps it: the row of an hour, its
//! form, and a reader that goes over the hours of a feed. Plain data; who counts is
//! `source/history`.
//!
//! | key | value |
//! |---|---|
//! | `history/TYPE` | since when the feed is collected, and what its collector needs no more |
//! | `history/TYPE/HOUR` | what became of the content created in that hour since the epoch |
//! | `history/TYPE/HOUR/N` | more of the same hour, counted when its row was not at hand |
//!
//! A value is a list of members, each a letter and a number (`l3d3r120`); what is zero is left out.
//! A row is written with each commit that counts something of its hour, and there are thousands of
//! them: so it is short. Letters that only a newer version knows are kept as they are.

use std::time::Duration;

use crate::base::interval::Interval;
use crate::base::time::Utc;
use crate::contract::delay::DelayCounts;
use crate::contract::feed::Feed;
use crate::contract::loss::{Causes, LossKind};
use crate::contract::state::{StateError, Stored};

/// Where the history is stored.
pub const HISTORY: &str = "history/";

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// An hour that ended so long ago and is not listed whole is incomplete, and not merely fresh.
const BEHIND: Duration = Duration::from_secs(3_600);

/// The greatest hour that can be written so that the order of keys is that of time: in 2084.
const HOUR_MAX: i64 = 999_999;

/// What became of the content that was created in one hour of one feed.
///
/// Of the Management Activity API the content is its blobs, by their `contentCreated`. Activities
/// have no blobs; theirs are by the `created` of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HourRow {
    /// The hour, counted since the epoch.
    pub hour: i64,
    /// Blobs that a listing or a notification has named. Those that wait are the difference to the
    /// sum of the three that follow.
    pub blobs_listed: u64,
    /// Blobs that were delivered to their end.
    pub blobs_delivered: u64,
    /// Blobs that cannot be read for the time being. They are tried until they expire.
    pub blobs_quarantined: u64,
    /// Blobs that have expired unread.
    pub blobs_lost: u64,
    /// Records that the host has taken.
    pub records_delivered: u64,
    /// Records that a filter left out.
    pub records_filtered: u64,
    /// Records left out because the host had been given them before.
    pub records_deduplicated: u64,
    /// Records left out because they are too large.
    pub records_dropped: u64,
    /// Records of which length and hash were delivered, because redaction could not read them. They
    /// are among those delivered.
    pub records_withheld: u64,
    /// Entries of listings that could not be read. Which hour they were of nobody knows: counted in
    /// the first hour of their window, and named as a cause in each.
    pub entries_dropped: u64,
    /// Bytes of the records that the host has taken.
    pub bytes: u64,
    /// How long those records took from their events until the host had them, of those that say
    /// when they happened. What is delivered once more by a replay is not among them.
    pub delays: DelayCounts,
    /// How much of the hour fell out of Microsoft's listings before it was listed, or had no
    /// subscription. At most the hour.
    pub gap: Duration,
    /// When any of it was first listed, by Microsoft's clock, as all times here.
    pub first_listed: Option<Utc>,
    /// When any of it was last listed. Up to ten minutes behind while nothing else is counted, and
    /// up to a day once it is checked.
    pub last_listed: Option<Utc>,
    /// When a listing last named something of it that was not known.
    pub last_news: Option<Utc>,
    /// When the host last took something of it.
    pub last_delivered: Option<Utc>,
    /// How something of it was lost.
    pub causes: Causes,
    /// How often it was opened again, to be delivered once more. What is delivered then is counted
    /// once more as well.
    pub replays: u64,
    /// Whether all of the hour, as far as it lies behind the beginning, was listed, and what was
    /// named then is delivered, set aside or told as lost.
    pub covered: bool,
    /// Whether all of it was listed again after it had ended and was covered, and nothing new was
    /// named.
    pub checked: bool,
    /// Whether nothing can change any more.
    pub closed: bool,
    /// What a newer version has written.
    unknown: Vec<(u8, i64)>,
}

/// How an hour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HourStanding {
    /// All that was named so far is delivered, or will be soon; Microsoft may still add to it.
    Open,
    /// Older than what Microsoft keeps, listed again after it had ended without news, all
    /// delivered.
    Settled,
    /// Something of it is not listed or not delivered, and the time for it has come or is over.
    Incomplete,
    /// Something of it is lost; [`HourRow::causes`] says how.
    Lost,
    /// From before the first start, or before this feed was collected.
    NotCollected,
}

impl HourStanding {
    /// Its name, as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
            Self::Incomplete => "incomplete",
            Self::Lost => "lost",
            Self::NotCollected => "not-collected",
        }
    }
}

impl HourRow {
    /// The row of an hour of which nothing is known.
    #[must_use]
    pub fn new(hour: i64) -> Self {
        Self { hour, ..Self::default() }
    }

    /// So many were lost, for this cause; what fell out of listings, in this time.
    pub(crate) fn lose(&mut self, kind: LossKind, count: u64, time: Interval) {
        self.causes.insert(kind);
        match kind {
            LossKind::Gap | LossKind::Unsubscribed => {
                let (start, end) = (time.start.max(self.start()), time.end.min(self.end()));
                self.gap = (self.gap + end.since(start)).min(self.end().since(self.start()));
            }
            LossKind::Blob => self.blobs_lost += count,
            LossKind::RecordsDropped => self.records_dropped += count,
            LossKind::RecordsWithheld => self.records_withheld += count,
            LossKind::EntriesDropped => self.entries_dropped += count,
            LossKind::Output | LossKind::RecordsRejected | LossKind::Unknown => {}
        }
    }

    /// When the hour begins.
    #[must_use]
    pub const fn start(&self) -> Utc {
        hour_start(self.hour)
    }

    /// When it ends, exclusive.
    #[must_use]
    pub const fn end(&self) -> Utc {
        hour_start(self.hour.saturating_add(1))
    }

    /// Blobs that were named and are neither delivered, nor set aside, nor lost.
    #[must_use]
    pub const fn blobs_waiting(&self) -> u64 {
        let known = self.blobs_delivered + self.blobs_quarantined + self.blobs_lost;
        self.blobs_listed.saturating_sub(known)
    }

    /// Whether no blob and no record is counted in it.
    pub(crate) const fn is_uncounted(&self) -> bool {
        self.blobs_listed == 0 && self.records_delivered + self.records_filtered == 0
    }

    /// How it stands at `now`, in the history of its feed.
    #[must_use]
    pub fn standing(&self, feed: &FeedHistory, now: Utc) -> HourStanding {
        let expired = self.end() + feed.kept <= now;
        if !self.causes.is_empty() || self.blobs_lost > 0 {
            HourStanding::Lost
        } else if self.end() <= feed.begin {
            HourStanding::NotCollected
        } else if self.blobs_quarantined > 0 {
            HourStanding::Incomplete
        } else if now < self.end() + BEHIND {
            HourStanding::Open
        } else if !self.covered || self.blobs_waiting() > 0 || (expired && !self.checked) {
            HourStanding::Incomplete
        } else if expired {
            HourStanding::Settled
        } else {
            HourStanding::Open
        }
    }

    /// Adds what was counted of the same hour elsewhere. Flags stay as they are.
    fn join(&mut self, other: &Self) {
        for letter in MEMBERS.iter().copied().filter(|letter| *letter != FLAGS) {
            let (mine, its) = (self.member(letter), other.member(letter));
            let both = match letter {
                FIRST_LISTED => match (self.first_listed, other.first_listed) {
                    (Some(a), Some(b)) => self.seconds(a.min(b)),
                    (a, b) => a.or(b).map_or(0, |at| self.seconds(at)),
                },
                LAST_LISTED | LAST_NEWS | LAST_DELIVERED => mine.max(its),
                CAUSES => mine | its,
                GAP => (mine + its).min(HOUR_MS),
                _ => mine.saturating_add(its),
            };
            self.set_member(letter, both);
        }
    }

    /// A moment, as seconds since the hour began, counted from one.
    fn seconds(&self, at: Utc) -> i64 {
        at.as_millis().saturating_sub(self.start().as_millis()).max(0) / 1_000 + 1
    }

    fn moment(&self, seconds: i64) -> Option<Utc> {
        let since = u64::try_from(seconds).ok()?.checked_sub(1)?;
        Some(self.start() + Duration::from_secs(since))
    }

    fn flags(&self) -> i64 {
        i64::from(self.covered) | i64::from(self.checked) << 1 | i64::from(self.closed) << 2
    }

    fn member(&self, letter: u8) -> i64 {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let time = |at: Option<Utc>| at.map_or(0, |at| self.seconds(at));
        match letter {
            b'l' => count(self.blobs_listed),
            b'd' => count(self.blobs_delivered),
            b'q' => count(self.blobs_quarantined),
            b'x' => count(self.blobs_lost),
            b'r' => count(self.records_delivered),
            b'f' => count(self.records_filtered),
            b'u' => count(self.records_deduplicated),
            b'o' => count(self.records_dropped),
            b'w' => count(self.records_withheld),
            b'e' => count(self.entries_dropped),
            b'b' => count(self.bytes),
            b'n' => count(self.replays),
            DELAY..=LAST_DELAY => count(self.delays.0[usize::from(letter - DELAY)]),
            GAP => i64::try_from(self.gap.as_millis()).unwrap_or(HOUR_MS),
            CAUSES => i64::from(self.causes.bits()),
            FIRST_LISTED => time(self.first_listed),
            LAST_LISTED => time(self.last_listed),
            LAST_NEWS => time(self.last_news),
            LAST_DELIVERED => time(self.last_delivered),
            FLAGS => self.flags(),
            _ => 0,
        }
    }

    /// Whether there is a member of this letter.
    fn set_member(&mut self, letter: u8, value: i64) -> bool {
        let count = u64::try_from(value).unwrap_or_default();
        match letter {
            b'l' => self.blobs_listed = count,
            b'd' => self.blobs_delivered = count,
            b'q' => self.blobs_quarantined = count,
            b'x' => self.blobs_lost = count,
            b'r' => self.records_delivered = count,
            b'f' => self.records_filtered = count,
            b'u' => self.records_deduplicated = count,
            b'o' => self.records_dropped = count,
            b'w' => self.records_withheld = count,
            b'e' => self.entries_dropped = count,
            b'b' => self.bytes = count,
            b'n' => self.replays = count,
            DELAY..=LAST_DELAY => self.delays.0[usize::from(letter - DELAY)] = count,
            GAP => self.gap = Duration::from_millis(count),
            CAUSES => self.causes = Causes::from_bits(u8::try_from(value).unwrap_or(64)),
            FIRST_LISTED => self.first_listed = self.moment(value),
            LAST_LISTED => self.last_listed = self.moment(value),
            LAST_NEWS => self.last_news = self.moment(value),
            LAST_DELIVERED => self.last_delivered = self.moment(value),
            FLAGS => {
                (self.covered, self.checked) = (value & 1 != 0, value & 2 != 0);
                self.closed = value & 4 != 0;
            }
            _ => return false,
        }
        true
    }

    /// As it is stored.
    pub(crate) fn encode(&self) -> String {
        let known = MEMBERS.iter().map(|letter| (*letter, self.member(*letter)));
        write_members(known.chain(self.unknown.iter().copied()))
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(key: &str, hour: i64, value: &str) -> Result<Self, StateError> {
        let mut row = Self::new(hour);
        for (letter, number) in read_members(key, value)? {
            if !row.set_member(letter, number) {
                row.unknown.push((letter, number));
            }
        }
        Ok(row)
    }
}

const GAP: u8 = b'g';
const CAUSES: u8 = b'c';
const FIRST_LISTED: u8 = b'i';
const LAST_LISTED: u8 = b'j';
const LAST_NEWS: u8 = b'k';
const LAST_DELIVERED: u8 = b't';
/// Covered: 1; checked: 2; closed: 4.
const FLAGS: u8 = b'a';
/// A letter for each step of delays.
const DELAY: u8 = b'A';
const LAST_DELAY: u8 = b'L';

/// Every member of a row, in the order in which they are written.
const MEMBERS: &[u8] = b"ldqxrfuowebngcijktaABCDEFGHIJKL";

fn write_members(members: impl Iterator<Item = (u8, i64)>) -> String {
    let mut text = String::new();
    for (letter, number) in members.filter(|(_, number)| *number != 0) {
        text.push(char::from(letter));
        text.push_str(&number.to_string());
    }
    text
}

fn read_members(key: &str, text: &str) -> Result<Vec<(u8, i64)>, StateError> {
    let damaged = || StateError::damaged(key, "not a list of letters and numbers");
    let mut members = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.bytes().next() {
        if !letter.is_ascii_alphabetic() {
            return Err(damaged());
        }
        let tail = &rest[1..];
        let end = tail.find(|next: char| next.is_ascii_alphabetic()).unwrap_or(tail.len());
        members.push((letter, tail[..end].parse().map_err(|_| damaged())?));
        rest = &tail[end..];
    }
    Ok(members)
}

const fn hour_start(hour: i64) -> Utc {
    Utc::from_millis(hour.saturating_mul(HOUR_MS))
}

/// The hour of a moment, as far as it can be written.
pub(crate) fn hour_of(moment: Utc) -> i64 {
    moment.hour().clamp(0, HOUR_MAX)
}

/// The hours that reach into an interval.
pub(crate) fn hours_of(interval: Interval) -> std::ops::RangeInclusive<i64> {
    let last = Utc::from_millis(interval.end.as_millis().saturating_sub(1));
    hour_of(interval.start)..=hour_of(last)
}

/// The same, the last `keep` of them: no more are held, whatever a clock says.
pub(crate) fn last_hours_of(interval: Interval, keep: i64) -> std::ops::RangeInclusive<i64> {
    let hours = hours_of(interval);
    (*hours.start()).max(hours.end().saturating_sub(keep))..=*hours.end()
}

/// The key of a feed's head.
pub(crate) fn head_key(feed: Feed) -> String {
    format!("{HISTORY}{feed}")
}

/// The key of a row; `part`: 0 for the row, another number for more of the same hour.
pub(crate) fn row_key(feed: Feed, hour: i64, part: u64) -> String {
    match part {
        0 => format!("{HISTORY}{feed}/{hour:06}"),
        part => format!("{HISTORY}{feed}/{hour:06}/{part:x}"),
    }
}

/// Hour and part, of what follows the feed in the key of a row.
pub(crate) fn parse_row(key: &str, tail: &str) -> Result<(i64, u64), StateError> {
    let damaged = || StateError::damaged(key, "not an hour");
    let (hour, part) = match tail.split_once('/') {
        Some((hour, part)) => (hour, u64::from_str_radix(part, 16).map_err(|_| damaged())?),
        None => (tail, 0),
    };
    Ok((hour.parse().map_err(|_| damaged())?, part))
}

/// Whether a collector goes on without this entry of the state: a row of its history to which
/// nothing can be added any more. A store need not load it.
#[must_use]
pub fn is_past(key: &str, value: &str) -> bool {
    let Some(tail) = key.strip_prefix(HISTORY) else { return false };
    tail.bytes().filter(|byte| *byte == b'/').count() == 1
        && read_members(key, value)
            .is_ok_and(|members| members.iter().any(|(at, n)| *at == FLAGS && n & 4 != 0))
}

/// What the state says of one feed's history as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedHistory {
    /// The feed.
    pub feed: Feed,
    /// Since when it is collected: nothing before is counted.
    pub begin: Utc,
    /// For how long Microsoft keeps what it has.
    pub kept: Duration,
    /// Whether it was collected before, without a history.
    pub resumed: bool,
    /// No hour from this one on is closed.
    pub floor: i64,
    /// Hours before this one were deleted.
    pub pruned: i64,
}

impl FeedHistory {
    pub(crate) fn encode(&self) -> String {
        let kept = i64::try_from(self.kept.as_secs()).unwrap_or(i64::MAX);
        let members = [
            (b'b', self.begin.as_millis()),
            (b'k', kept),
            (b'u', i64::from(self.resumed)),
            (b'f', self.floor),
            (b'p', self.pruned),
        ];
        write_members(members.into_iter())
    }

    pub(crate) fn decode(feed: Feed, key: &str, value: &str) -> Result<Self, StateError> {
        let members = read_members(key, value)?;
        // Of one that stands there twice, the last counts.
        let found = |letter| members.iter().rev().find(|(known, _)| *known == letter);
        let number = |letter| found(letter).map_or(0, |(_, number)| *number);
        Ok(Self {
            feed,
            begin: Utc::from_millis(number(b'b')),
            kept: Duration::from_secs(u64::try_from(number(b'k')).unwrap_or_default()),
            resumed: number(b'u') != 0,
            floor: number(b'f'),
            pruned: number(b'p'),
        })
    }

    /// The history of a feed in a stored state; `None`: it was never collected, or not since there
    /// is a history.
    ///
    /// # Errors
    /// If what is stored cannot be read.
    pub fn find(stored: &Stored, feed: Feed) -> Result<Option<Self>, StateError> {
        let key = head_key(feed);
        stored.get(&key).map(|value| Self::decode(feed, &key, value)).transpose()
    }

    /// Every hour that reaches into the time from `since` to `until`, oldest first, and how it
    /// stands at `now`: those of which nothing is stored as well. Holds one row at a time.
    pub fn hours<'a>(
        &'a self,
        stored: &'a Stored,
        since: Utc,
        until: Utc,
        now: Utc,
    ) -> impl Iterator<Item = Result<(HourRow, HourStanding), StateError>> + 'a {
        let end = hour_of(Utc::from_millis(until.as_millis().saturating_sub(1)));
        (hour_of(since)..=end).filter(move |_| since < until).map(move |hour| {
            let row = self.row(stored, hour)?;
            let standing = row.standing(self, now);
            Ok((row, standing))
        })
    }

    /// The row of an hour; one with nothing in it if nothing is stored.
    fn row(&self, stored: &Stored, hour: i64) -> Result<HourRow, StateError> {
        let key = row_key(self.feed, hour, 0);
        let mut row = match stored.get(&key) {
            Some(value) => HourRow::decode(&key, hour, value)?,
            None => HourRow::new(hour),
        };
        let parts = format!("{key}/");
        for (key, value) in stored.range(parts.clone()..) {
            if !key.starts_with(&parts) {
                break;
            }
            row.join(&HourRow::decode(key, hour, value)?);
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::loss::LossKind;

    const FEED: Feed = Feed::ALL[3];
    const HOUR: Duration = Duration::from_secs(3_600);
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn feed(begin: i64) -> FeedHistory {
        FeedHistory {
            feed: FEED,
            begin: hour_start(begin),
            kept: WEEK,
            resumed: false,
            floor: 0,
            pruned: 0,
        }
    }

    #[test]
    fn a_row_is_short_and_reads_as_it_was_written() {
        let mut row = HourRow::new(490_000);
        assert_eq!(row.encode(), "");
        row.blobs_listed = 3;
        row.blobs_delivered = 3;
        row.records_delivered = 120;
        row.bytes = 98_765;
        row.first_listed = Some(row.start());
        row.last_listed = Some(row.start() + HOUR);
        row.delays.0[1] = 120;
        row.gap = Duration::from_millis(1_500);
        row.causes.insert(LossKind::Gap);
        (row.covered, row.closed) = (true, true);
        let text = row.encode();
        assert_eq!(text, "l3d3r120b98765g1500c1i1j3601a5B120");
        assert_eq!(HourRow::decode("x", 490_000, &text), Ok(row.clone()));
        for letter in MEMBERS.iter().copied() {
            let mut row = HourRow::new(7);
            assert!(row.set_member(letter, 3), "{}", char::from(letter));
            assert_eq!(HourRow::decode("x", 7, &row.encode()), Ok(row));
        }
    }

    #[test]
    fn what_a_newer_version_has_written_is_kept() {
        let row = HourRow::decode("x", 1, "l2Z77y-5r4").unwrap();
        assert_eq!((row.blobs_listed, row.records_delivered), (2, 4));
        assert_eq!(row.encode(), "l2r4Z77y-5");
        for damaged in ["7", "l", "l3-", "l3 d4", "\u{e4}1", "l99999999999999999999"] {
            assert!(HourRow::decode("x", 1, damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn hours_are_told_in_order_and_those_of_which_nothing_is_stored_too() {
        let feed = feed(490_001);
        let stored: Stored = [
            (head_key(FEED), feed.encode()),
            (row_key(FEED, 490_002, 0), "l1d1r5i9j9a1".to_owned()),
            (row_key(FEED, 490_002, 0xab), "l1d1r7i4".to_owned()),
            (row_key(Feed::ALL[1], 490_002, 0), "l9".to_owned()),
        ]
        .into();
        let found = FeedHistory::find(&stored, FEED).unwrap().unwrap();
        assert_eq!(found, feed);
        let now = hour_start(490_010);
        let hours = found.hours(&stored, hour_start(490_000), hour_start(490_004), now);
        let hours: Vec<_> = hours
            .map(|hour| {
                let (row, standing) = hour.unwrap();
                (row.hour - 490_000, row.records_delivered, standing)
            })
            .collect();
        let expected = [
            (0, 0, HourStanding::NotCollected),
            (1, 0, HourStanding::Incomplete),
            (2, 12, HourStanding::Open),
            (3, 0, HourStanding::Incomplete),
        ];
        assert_eq!(hours, expected);
        let row = found.row(&stored, 490_002).unwrap();
        assert_eq!(row.first_listed, Some(row.start() + Duration::from_secs(3)));
        assert_eq!(FeedHistory::find(&stored, Feed::ALL[4]), Ok(None));
    }

    #[test]
    fn an_hour_stands_as_what_is_known_of_it_allows() {
        let feed = feed(490_000);
        let standing = |text: &str, after: Duration| {
            let row = HourRow::decode("x", 490_100, text).unwrap();
            row.standing(&feed, row.end() + after)
        };
        let (open, incomplete) = (HourStanding::Open, HourStanding::Incomplete);
        let (settled, lost) = (HourStanding::Settled, HourStanding::Lost);
        assert_eq!(standing("", Duration::ZERO), open, "it is fresh");
        assert_eq!(standing("", HOUR), incomplete, "nobody has listed it");
        assert_eq!(standing("l2d1a1", HOUR), incomplete, "a blob waits");
        assert_eq!(standing("l2d1q1a1", Duration::ZERO), incomplete, "one is set aside");
        assert_eq!(standing("l2d2a1", HOUR), open);
        assert_eq!(standing("l2d2a1", WEEK), incomplete, "nobody has looked again");
        assert_eq!(standing("l2d2a3", WEEK - HOUR / 60), open, "Microsoft may still add to it");
        assert_eq!(standing("l2d2a3", WEEK), settled);
        assert_eq!(standing("a3", WEEK), settled, "there was nothing");
        assert_eq!(standing("l2d2a3c1", WEEK), lost);
        assert_eq!(standing("l2d1x1a3", Duration::ZERO), lost);
        let before = HourRow::new(489_999);
        assert_eq!(before.standing(&feed, hour_start(490_500)), HourStanding::NotCollected);
    }

    #[test]
    fn only_rows_to_which_nothing_can_be_added_need_not_be_loaded() {
        for (key, value, past) in [
            ("history/DLP.All/490000", "l1d1a5", true),
            ("history/DLP.All/490000", "l1d1a3", false),
            ("history/DLP.All/490000/7", "l1d1a5", false),
            ("history/DLP.All", "b1f4", false),
            ("lane/DLP.All", "a5", false),
            ("history/DLP.All/490000", "?", false),
        ] {
            assert_eq!(is_past(key, value), past, "{key} {value}");
        }
    }
}
