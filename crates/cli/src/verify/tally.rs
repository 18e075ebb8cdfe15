//! What a comparison has found, counted by feed, hour and blob. Plain data.

use std::collections::BTreeMap;

use m365_audit_core::{Feed, Utc, Whereabouts};

/// Ids that are kept of each blob from which records are missing.
pub(super) const IDS_SHOWN: usize = 20;

/// Blobs of a feed that are named, of those from which records are missing and of those that could
/// not be read; and activities that are missing. More are counted.
pub(super) const BLOBS_SHOWN: usize = 10_000;

/// Numbers of a feed, or of an hour of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Blobs that Microsoft lists.
    pub(super) blobs: u64,
    /// Those that could not be read, so that nobody knows what is in them.
    pub(super) unread: u64,
    /// Records that were compared.
    pub(super) records: u64,
    /// Records that the filters of the configuration leave out.
    pub(super) filtered: u64,
    /// Records that are larger than `record_bytes_max`.
    pub(super) dropped: u64,
    /// Records without an id, which cannot be compared.
    pub(super) without_id: u64,
    /// Records that did not arrive.
    pub(super) missing: u64,
    /// Those of them of whose id another record arrived.
    pub(super) other: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.blobs += other.blobs;
        self.unread += other.unread;
        self.records += other.records;
        self.filtered += other.filtered;
        self.dropped += other.dropped;
        self.without_id += other.without_id;
        self.missing += other.missing;
        self.other += other.other;
    }

    /// Whether every record that was to arrive did.
    pub(super) const fn is_whole(&self) -> bool {
        self.missing + self.unread + self.dropped + self.without_id == 0
    }
}

/// A blob from which records are missing.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) id: Box<str>,
    pub(super) created: Utc,
    pub(super) records: u64,
    pub(super) missing: u64,
    /// Ids of the first of them.
    pub(super) ids: Vec<String>,
    /// What the state says of the blob; `None` without a state.
    pub(super) whereabouts: Option<Whereabouts>,
}

/// An activity that is missing. There is no blob around it.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    pub(super) id: String,
    pub(super) created: Utc,
    /// What the state says of it; `None` without a state.
    pub(super) whereabouts: Option<Whereabouts>,
}

/// A blob that could not be read.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) id: Box<str>,
    pub(super) created: Utc,
    pub(super) why: String,
}

/// What was found of one feed.
#[derive(Debug, Default)]
pub(super) struct FeedTally {
    /// By hour of creation since 1970.
    pub(super) hours: BTreeMap<i64, Counts>,
    pub(super) gaps: Vec<Gap>,
    pub(super) strays: Vec<Stray>,
    pub(super) unread: Vec<Unread>,
    /// Why it was not compared to its end.
    pub(super) failed: Option<String>,
}

impl FeedTally {
    pub(super) fn hour(&mut self, moment: Utc) -> &mut Counts {
        self.hours.entry(moment.hour()).or_default()
    }

    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.hours.values().for_each(|hour| total.add(hour));
        total
    }
}

/// What was found of all.
pub(super) type Tally = BTreeMap<Feed, FeedTally>;

/// Where an hour begins.
pub(super) const fn hour_start(hour: i64) -> Utc {
    Utc::from_millis(hour * 3_600_000)
}
