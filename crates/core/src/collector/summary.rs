//! What a stored state says of each feed, for people: what is delivered, and what is not. Reads
//! values and changes none.

use crate::activities;
use crate::audit;
use crate::audit::state::BlobRecord;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;
use crate::contract::feed::{ContentType, Feed, SourceName};
use crate::contract::state::{self, Changes, StateError, Stored, check_version};
use crate::source::coverage::LaneRecord;
use crate::source::keys::{Found, LaneKeys};
use crate::source::losses::{KnownLoss, losses};

/// What a stored state says about one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneSummary {
    /// The feed.
    pub feed: Feed,
    /// Where the look-back began, or what has been settled since.
    pub begin: Utc,
    /// What is delivered: start and end, exclusive, oldest first. Holes are left out of it.
    pub delivered: Vec<(Utc, Utc)>,
    /// What is not delivered since `begin`, up to the end of what is settled; and what was lost
    /// before, until nobody remembers it. Oldest first.
    pub holes: Vec<Hole>,
    /// Contents that are known to be delivered.
    pub contents: usize,
    /// Records that are remembered for telling duplicates.
    pub records: usize,
    /// Blobs that are delivered in part.
    pub blobs_in_progress: usize,
    /// Blobs that could not be read yet: their ids, and until when they can be.
    pub quarantine: Vec<(Box<str>, Utc)>,
}

/// Content that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// When it was created: from here on.
    pub start: Utc,
    /// End, exclusive.
    pub end: Utc,
    /// Why it is missing.
    pub why: Why,
}

/// Why content is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its time is not listed to the end, or not all that was listed is delivered.
    Pending,
    /// A blob is delivered in part.
    InProgress(Box<str>),
    /// A blob cannot be read yet.
    Quarantined {
        /// The blob.
        content_id: Box<str>,
        /// Until when it is tried.
        expiration: Utc,
    },
    /// It is lost.
    Lost(KnownLoss),
}

/// Reads a stored state for showing it.
///
/// # Errors
/// If it is damaged or newer, like [`Collector::new`](crate::Collector::new).
pub fn summarize(stored: &Stored) -> Result<Vec<LaneSummary>, StateError> {
    check_version(stored, &mut Changes::default())?;
    let lost = losses(stored)?;
    let mut lanes = Vec::new();
    for feed in Feed::ALL {
        let keys = LaneKeys::new(feed);
        let name = keys.lane();
        let Some(value) = stored.get(&name) else { continue };
        let record: LaneRecord = state::decode(&name, value)?;
        let count = |found: Found<'_>| crate::base::key::count(found.2);
        let remembered = match feed.source() {
            SourceName::ManagementActivity => audit::seen::remembered,
            SourceName::CloudAppActivities => activities::seen::remembered,
        };
        let pieces = keys.records_in(stored).chain(keys.recent_in(stored));
        let mut lane = LaneSummary {
            feed,
            begin: record.begin(),
            delivered: Vec::new(),
            holes: Vec::new(),
            contents: keys.seen_in(stored).map(count).sum(),
            records: pieces.map(|piece| remembered(piece.2)).sum(),
            blobs_in_progress: 0,
            quarantine: Vec::new(),
        };
        if let Feed::Audit(content_type) = feed {
            lane.add_blobs(content_type, stored, &keys)?;
        }
        lane.add_losses(&lost);
        lane.add_coverage(&record);
        lanes.push(lane);
    }
    Ok(lanes)
}

impl LaneSummary {
    fn add_blobs(
        &mut self,
        content_type: ContentType,
        stored: &Stored,
        keys: &LaneKeys,
    ) -> Result<(), StateError> {
        for (key, _, value) in keys.blobs_in(stored) {
            let blob: BlobRecord = state::decode(key, value)?;
            let content = blob.content(content_type);
            let (start, end) = (content.created, content.created + MOMENT);
            let why = if blob.quarantined() {
                self.quarantine.push((content.id.clone(), content.expiration));
                Why::Quarantined { content_id: content.id, expiration: content.expiration }
            } else {
                self.blobs_in_progress += 1;
                Why::InProgress(content.id)
            };
            self.holes.push(Hole { start, end, why });
        }
        Ok(())
    }

    fn add_losses(&mut self, losses: &[KnownLoss]) {
        for known in losses.iter().filter(|known| known.loss.feed == Some(self.feed)) {
            if let Some((start, end)) = known.loss.created {
                self.holes.push(Hole { start, end, why: Why::Lost(known.clone()) });
            }
        }
    }

    /// What is covered and no hole is delivered; what is not covered is a hole.
    fn add_coverage(&mut self, record: &LaneRecord) {
        let covered = record.covered();
        let holes = self.holes.iter().filter_map(|hole| Interval::new(hole.start, hole.end));
        let holes: IntervalSet = holes.collect();
        for whole in covered.iter().flat_map(|interval| holes.gaps(interval)) {
            self.delivered.push((whole.start, whole.end));
        }
        let until = covered.last_end().unwrap_or(self.begin);
        let open = Interval::new(self.begin, until).map(|range| covered.gaps(range));
        for Interval { start, end } in open.unwrap_or_default() {
            self.holes.push(Hole { start, end, why: Why::Pending });
        }
        self.holes.sort_by_key(|hole| (hole.start, hole.end));
    }
}

/// How exactly creation is told.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(1);
