//! What a report states: plain data, folded from the hours of the history. Reads no file and writes
//! no text.

use std::path::PathBuf;

use m365_audit_core::{
    DelayCounts, Feed, FeedHistory, HourRow, HourStanding, KnownLoss, LossKind, Stored, Utc, losses,
};

/// Milliseconds of an hour.
pub(super) const HOUR_MS: i64 = 3_600_000;

/// All of it.
#[derive(Debug)]
pub(super) struct Statement {
    /// When it was made.
    pub(super) made: Utc,
    pub(super) since: Utc,
    pub(super) until: Utc,
    pub(super) db: PathBuf,
    /// What is known of the configuration; `None`: nothing was given but the db.
    pub(super) configuration: Option<Configuration>,
    pub(super) tenants: Vec<Tenant>,
}

/// What the configuration says, without secrets.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    /// SHA-256 of its options.
    pub(super) hash: String,
    /// The options that leave records out, or change them.
    pub(super) treating: Vec<String>,
}

/// Which time it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) since: Utc,
    pub(super) until: Utc,
    pub(super) now: Utc,
    /// Whether it begins with the first start of each feed, if that was later.
    pub(super) from_begin: bool,
}

/// One tenant.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) id: String,
    /// What its table of the tenants file is called.
    pub(super) name: Option<String>,
    pub(super) feeds: Vec<FeedReport>,
    /// What was lost and is of no hour, by when it was told.
    pub(super) losses: Vec<KnownLoss>,
    /// Why its state cannot be read.
    pub(super) error: Option<String>,
}

/// One feed of it.
#[derive(Debug)]
pub(super) struct FeedReport {
    pub(super) feed: Feed,
    /// Since when it is collected.
    pub(super) begin: Utc,
    /// The first hour, counted since 1970; the others follow.
    pub(super) first_hour: i64,
    pub(super) standings: Vec<HourStanding>,
    /// Records that were delivered, by day since 1970, the first being that of the first hour.
    pub(super) volumes: Vec<u64>,
    /// How long they took from their events, by the same days.
    pub(super) delays: Vec<DelayCounts>,
    pub(super) totals: Totals,
    pub(super) exceptions: Vec<Exception>,
}

/// Sums over hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) listed: u64,
    pub(super) delivered: u64,
    pub(super) quarantined: u64,
    pub(super) lost: u64,
    /// Listed, and none of these yet.
    pub(super) waiting: u64,
    pub(super) records: u64,
    pub(super) filtered: u64,
    pub(super) duplicates: u64,
    pub(super) dropped: u64,
    pub(super) withheld: u64,
    pub(super) bytes: u64,
    pub(super) gap_seconds: u64,
    pub(super) replays: u64,
    pub(super) delays: DelayCounts,
    /// Hours by how they stand: see [`STANDINGS`].
    pub(super) hours: [u64; 5],
}

/// In the order in which they are told, the best first.
pub(super) const STANDINGS: [HourStanding; 5] = [
    HourStanding::Settled,
    HourStanding::Open,
    HourStanding::NotCollected,
    HourStanding::Incomplete,
    HourStanding::Lost,
];

/// How grave it is: its place among [`STANDINGS`].
pub(super) const fn gravity(standing: HourStanding) -> usize {
    match standing {
        HourStanding::Settled => 0,
        HourStanding::Open => 1,
        HourStanding::NotCollected => 2,
        HourStanding::Incomplete => 3,
        HourStanding::Lost => 4,
    }
}

/// The letter of a standing: small for what is in order.
pub(super) const fn letter(standing: HourStanding) -> char {
    match standing {
        HourStanding::Settled => 's',
        HourStanding::Open => 'o',
        HourStanding::NotCollected => '-',
        HourStanding::Incomplete => 'I',
        HourStanding::Lost => 'L',
    }
}

impl Totals {
    fn count(&mut self, row: &HourRow, standing: HourStanding) {
        self.listed += row.blobs_listed;
        self.delivered += row.blobs_delivered;
        self.quarantined += row.blobs_quarantined;
        self.lost += row.blobs_lost;
        self.waiting += row.blobs_waiting();
        self.records += row.records_delivered;
        self.filtered += row.records_filtered;
        self.duplicates += row.records_deduplicated;
        self.dropped += row.records_dropped;
        self.withheld += row.records_withheld;
        self.bytes += row.bytes;
        self.gap_seconds += row.gap.as_secs();
        self.replays += row.replays;
        self.delays += row.delays;
        self.hours[gravity(standing)] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.listed += other.listed;
        self.delivered += other.delivered;
        self.quarantined += other.quarantined;
        self.lost += other.lost;
        self.waiting += other.waiting;
        self.records += other.records;
        self.filtered += other.filtered;
        self.duplicates += other.duplicates;
        self.dropped += other.dropped;
        self.withheld += other.withheld;
        self.bytes += other.bytes;
        self.gap_seconds += other.gap_seconds;
        self.replays += other.replays;
        self.delays += other.delays;
        for (mine, its) in self.hours.iter_mut().zip(other.hours) {
            *mine += its;
        }
    }
}

/// Hours in a row that are not as they should be, for the same reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) start: Utc,
    pub(super) end: Utc,
    pub(super) standing: HourStanding,
    pub(super) why: Why,
    /// The losses of the state that are about it.
    pub(super) losses: Vec<KnownLoss>,
}

/// The reasons, with the sums of the hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) causes: Vec<LossKind>,
    pub(super) blobs_lost: u64,
    pub(super) blobs_quarantined: u64,
    pub(super) blobs_waiting: u64,
    pub(super) records_dropped: u64,
    pub(super) records_withheld: u64,
    pub(super) entries_dropped: u64,
    pub(super) gap_seconds: u64,
    pub(super) not_covered: bool,
    pub(super) not_checked: bool,
}

impl Why {
    fn of(row: &HourRow) -> Self {
        Self {
            causes: row.causes.iter().collect(),
            blobs_lost: row.blobs_lost,
            blobs_quarantined: row.blobs_quarantined,
            blobs_waiting: row.blobs_waiting(),
            records_dropped: row.records_dropped,
            records_withheld: row.records_withheld,
            entries_dropped: row.entries_dropped,
            gap_seconds: row.gap.as_secs(),
            not_covered: !row.covered,
            not_checked: !row.checked,
        }
    }

    /// Whether the same is to be said of both.
    fn is_like(&self, other: &Self) -> bool {
        let kind = |why: &Self| {
            let waits = (why.blobs_quarantined > 0, why.blobs_waiting > 0, why.not_covered);
            (why.causes.clone(), why.blobs_lost > 0, waits)
        };
        kind(self) == kind(other)
    }

    fn add(&mut self, other: &Self) {
        self.blobs_lost += other.blobs_lost;
        self.blobs_quarantined += other.blobs_quarantined;
        self.blobs_waiting += other.blobs_waiting;
        self.records_dropped += other.records_dropped;
        self.records_withheld += other.records_withheld;
        self.entries_dropped += other.entries_dropped;
        self.gap_seconds += other.gap_seconds;
        self.not_checked |= other.not_checked;
    }
}

impl Tenant {
    /// What the state of a tenant says of a time. `each` sees every hour.
    pub(super) fn read(
        id: &str,
        stored: &Stored,
        span: Span,
        each: &mut dyn FnMut(&FeedHistory, &HourRow, HourStanding),
    ) -> Self {
        let mut tenant =
            Self { id: id.into(), name: None, feeds: Vec::new(), losses: Vec::new(), error: None };
        if let Err(error) = tenant.fill(stored, span, each) {
            tenant.error = Some(error.to_string());
        }
        tenant
    }

    fn fill(
        &mut self,
        stored: &Stored,
        span: Span,
        each: &mut dyn FnMut(&FeedHistory, &HourRow, HourStanding),
    ) -> Result<(), m365_audit_core::StateError> {
        let lost = losses(stored)?;
        let Span { until, now, .. } = span;
        for feed in Feed::ALL {
            let Some(history) = FeedHistory::find(stored, feed)? else { continue };
            let begin = if span.from_begin { history.begin } else { span.since };
            let since = span.since.max(begin);
            let mut read = FeedReport::new(&history, since);
            for hour in history.hours(stored, since, until, now) {
                let (row, standing) = hour?;
                each(&history, &row, standing);
                read.count(&row, standing);
            }
            for exception in &mut read.exceptions {
                let of_feed = lost.iter().filter(|known| known.loss.feed == Some(feed));
                exception.losses = of_feed.filter(|known| exception.has(known)).cloned().collect();
            }
            self.feeds.push(read);
        }
        let told = |known: &&KnownLoss| {
            known.loss.created.is_none() && (span.since..until).contains(&known.loss.told)
        };
        self.losses = lost.iter().filter(told).cloned().collect();
        Ok(())
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.feeds.iter().for_each(|feed| totals.add(&feed.totals));
        totals
    }

    /// How the worst of it stands; `None` if nothing is known.
    pub(super) fn worst(&self) -> Option<HourStanding> {
        if self.error.is_some() || !self.losses.is_empty() {
            return Some(HourStanding::Lost);
        }
        let all = self.feeds.iter().flat_map(|feed| feed.standings.iter().copied());
        all.max_by_key(|standing| gravity(*standing))
    }

    /// Whether everything is settled or open.
    pub(super) fn is_whole(&self) -> bool {
        self.worst().is_some_and(|worst| gravity(worst) <= gravity(HourStanding::Open))
    }
}

impl FeedReport {
    fn new(history: &FeedHistory, since: Utc) -> Self {
        Self {
            feed: history.feed,
            begin: history.begin,
            first_hour: since.hour(),
            standings: Vec::new(),
            volumes: Vec::new(),
            delays: Vec::new(),
            totals: Totals::default(),
            exceptions: Vec::new(),
        }
    }

    fn count(&mut self, row: &HourRow, standing: HourStanding) {
        self.standings.push(standing);
        self.totals.count(row, standing);
        let day = row.hour.div_euclid(24) - self.first_hour.div_euclid(24);
        let day = usize::try_from(day).unwrap_or_default();
        if self.volumes.len() <= day {
            self.volumes.resize(day + 1, 0);
            self.delays.resize(day + 1, DelayCounts::default());
        }
        self.volumes[day] += row.records_delivered;
        self.delays[day] += row.delays;
        if gravity(standing) <= gravity(HourStanding::Open) {
            return;
        }
        let (start, end, why) = (row.start(), row.end(), Why::of(row));
        match self.exceptions.last_mut() {
            Some(last) if last.end == start && last.standing == standing && last.is_like(&why) => {
                last.end = end;
                last.why.add(&why);
            }
            _ => self.exceptions.push(Exception { start, end, standing, why, losses: Vec::new() }),
        }
    }

    /// How each day stands: its first hour since 1970, and those of its hours that are meant.
    pub(super) fn days(&self) -> impl Iterator<Item = (i64, &[HourStanding])> {
        let mut hour = self.first_hour;
        let mut rest = self.standings.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let left = usize::try_from(24 - hour.rem_euclid(24)).unwrap_or(24);
            let (day, others) = rest.split_at(left.min(rest.len()));
            let at = hour;
            hour += i64::try_from(day.len()).unwrap_or_default();
            rest = others;
            Some((at, day))
        })
    }
}

impl Exception {
    fn is_like(&self, why: &Why) -> bool {
        self.standing == HourStanding::NotCollected || self.why.is_like(why)
    }

    fn has(&self, known: &KnownLoss) -> bool {
        let created = known.loss.created;
        self.standing == HourStanding::Lost
            && created.is_some_and(|(start, end)| start < self.end && self.start < end)
    }
}

impl Statement {
    /// Whether everything of every tenant is settled or open.
    pub(super) fn is_whole(&self) -> bool {
        !self.tenants.is_empty() && self.tenants.iter().all(Tenant::is_whole)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A feed of which each letter is an hour, from 2026-11-20 on.
    pub(in crate::report) fn feed(letters: &str) -> FeedReport {
        let first_hour = Utc::parse("2026-11-20T00:00:00Z").unwrap().hour();
        let standing = |found: char| {
            STANDINGS.into_iter().find(|standing| letter(*standing) == found).unwrap()
        };
        let standings: Vec<_> = letters.chars().map(standing).collect();
        let days = standings.len().div_ceil(24);
        FeedReport {
            feed: Feed::ALL[1],
            begin: Utc::from_millis(first_hour * HOUR_MS),
            first_hour,
            volumes: (0..days as u64).map(|day| day * 1_000).collect(),
            delays: vec![DelayCounts::default(); days],
            standings,
            totals: Totals::default(),
            exceptions: Vec::new(),
        }
    }

    #[test]
    fn what_lies_side_by_side_for_one_reason_is_one_exception() {
        let mut feed = feed("");
        let row = |hour: i64, quarantined: u64, covered: bool| {
            let mut row = HourRow::new(feed.first_hour + hour);
            (row.blobs_quarantined, row.covered) = (quarantined, covered);
            row
        };
        let rows = [
            (row(0, 1, true), HourStanding::Incomplete),
            (row(1, 2, true), HourStanding::Incomplete),
            (row(2, 0, false), HourStanding::Incomplete),
            (row(3, 0, true), HourStanding::Settled),
            (row(4, 0, true), HourStanding::Lost),
        ];
        for (row, standing) in &rows {
            feed.count(row, *standing);
        }
        let told: Vec<_> = feed
            .exceptions
            .iter()
            .map(|known| (known.start.hour() - feed.first_hour, known.end.hour() - feed.first_hour))
            .collect();
        assert_eq!(told, [(0, 2), (2, 3), (4, 5)]);
        assert_eq!(feed.exceptions[0].why.blobs_quarantined, 3);
        assert_eq!(feed.totals.hours, [1, 0, 0, 3, 1]);
    }

    #[test]
    fn only_what_is_settled_or_open_is_whole() {
        let tenant = |letters: &str| Tenant {
            id: "t".into(),
            name: None,
            feeds: vec![feed(letters)],
            losses: Vec::new(),
            error: None,
        };
        for (letters, whole) in
            [("so", true), ("s", true), ("s-", false), ("sI", false), ("L", false), ("", false)]
        {
            assert_eq!(tenant(letters).is_whole(), whole, "{letters}");
        }
    }
}
