//! One blob of a feed, and what is happening to it. Plain data.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::expand::Progress;
use crate::audit::run::RunId;
use crate::audit::state::BlobRecord;
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::request::RequestId;
use crate::source::urgency::Urgency;

/// Where a blob stands among those that can be read: by urgency, then by rank.
pub(super) type Place = (Urgency, i64, Key);

/// One blob that is known and not settled.
#[derive(Debug)]
pub(super) struct Blob {
    pub content: Arc<ContentRef>,
    pub urgency: Urgency,
    pub stage: Stage,
    pub failures: u32,
    pub quarantined: bool,
    /// Whether only a hint names it: until a listing does too, or it has yielded records.
    pub hinted: bool,
    /// What was handed to the host. A new attempt continues here.
    pub emitted: Progress,
    /// What the host has taken.
    pub delivered: Progress,
    /// How often it has read differently than before.
    pub changes: u32,
    /// Since when it has been an empty list, each time that it could be read.
    pub empty_since: Option<Utc>,
    /// The windows that wait for it.
    pub waiters: Vec<RunId>,
    pub stored: bool,
    /// Whether the history counts it.
    pub counted: bool,
    /// Whether it is delivered once more, whatever the host has of it.
    pub again: bool,
    /// Whether that begins when it is read to its end: it is being delivered for the first time.
    pub from_start: bool,
}

/// What came of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is no blob of this feed any more.
    Unknown,
    /// Only a hint named it, and it is forgotten.
    Forgotten,
    /// It has expired, and cannot be had any more; how many failures in a row that makes.
    Expired(u32),
    /// It is tried again; how many failures in a row that makes.
    Again(u32),
}

impl Blob {
    pub(super) fn new(content: Arc<ContentRef>, urgency: Urgency) -> Self {
        Self {
            content,
            urgency,
            stage: Stage::Ready,
            failures: 0,
            quarantined: false,
            hinted: false,
            emitted: Progress::default(),
            delivered: Progress::default(),
            changes: 0,
            empty_since: None,
            waiters: Vec::new(),
            stored: false,
            counted: false,
            again: false,
            from_start: false,
        }
    }

    /// As it is stored.
    pub(super) fn record(&self) -> BlobRecord {
        let delivered = if self.from_start { Progress::default() } else { self.delivered };
        BlobRecord::new(&self.content, delivered, self.quarantined, self.empty_since)
    }

    /// Where it stands among those that can be read: of what will soon be gone the first to be gone
    /// comes first, of all else the newest.
    pub(super) fn place(&self, key: Key) -> Place {
        let rank = match self.urgency {
            Urgency::Soon => self.content.expiration.as_millis(),
            Urgency::Fresh | Urgency::Backlog => self.content.created.as_millis().saturating_neg(),
        };
        (self.urgency, rank, key)
    }

    /// Since when it has been an empty list at each reading; `None` if it is one for the first
    /// time, or records were in it once.
    pub(super) fn empty_since(&self) -> Option<Utc> {
        self.empty_since.filter(|_| self.delivered.records == 0)
    }
}

/// What is happening to a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It can be read.
    Ready,
    /// It failed and is read again then.
    Waiting(Duration),
    /// It is being read.
    Reading(RequestId),
    /// It was read to its end; the host has not taken all of it.
    Emitted,
}
