//! Requests of this source under way: what each is for, and where its answer goes.

use crate::activities::reader::PageReader;
use crate::activities::walk::{PageId, WalkId};
use crate::base::time::Utc;
use crate::contract::batch::BatchId;
use crate::source::account::Taken;
use crate::source::exchange::SmallBody;
use crate::source::revision::Revision;

/// What a request is for: a page of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    pub walk: WalkId,
    pub page: PageId,
}

/// Where the bytes of an answer go.
#[derive(Debug)]
pub(crate) enum Body {
    /// Kept whole.
    Small(SmallBody),
    /// A page of activities.
    Page(Box<PageReader>),
}

/// One request under way.
pub(crate) type Exchange = crate::source::exchange::Exchange<Purpose, Body>;

/// All requests under way.
pub(crate) type Exchanges = crate::source::exchange::Exchanges<Purpose, Body>;

/// A part of a page that the host was given.
#[derive(Debug)]
pub(super) struct Part {
    pub batch: BatchId,
    pub walk: WalkId,
    pub page: PageId,
    /// Its activities, and when they were stored.
    pub activities: Vec<(Revision, Utc)>,
    /// What it brings of each hour.
    pub hours: Vec<(Utc, Taken)>,
}
