//! One window of a feed under way: from its first page until its last blob is settled. Plain data.

use std::time::Duration;

use crate::audit::plan::Round;
use crate::base::interval::Interval;
use crate::base::key::KeySet;
use crate::base::time::Utc;
use crate::contract::request::RequestId;
use crate::source::urgency::Urgency;

/// Names one window under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RunId(pub u64);

/// One window under way.
#[derive(Debug)]
pub(super) struct Run {
    pub window: Interval,
    pub urgency: Urgency,
    /// When its first page was asked for last.
    pub begun: Utc,
    pub listing: Listing,
    pub pages: u32,
    /// Pages that were asked for: a page that leads back to one of them would never end.
    pub visited: KeySet,
    pub blobs: u64,
    pub new: u64,
    /// Blobs of this window that are neither delivered nor set aside.
    pub waiting: u32,
    /// What it lists again.
    pub round: Option<Round>,
    /// How often it has failed since it was set aside; 0 if it was not.
    pub tries: u32,
    /// Failures of the present page in a row.
    pub failures: u32,
    pub not_before: Duration,
}

impl Run {
    pub(super) fn new(window: Interval, urgency: Urgency) -> Self {
        Self {
            window,
            urgency,
            begun: Utc::MIN,
            listing: Listing::Next(None),
            pages: 0,
            visited: KeySet::default(),
            blobs: 0,
            new: 0,
            waiting: 0,
            round: None,
            tries: 0,
            failures: 0,
            not_before: Duration::ZERO,
        }
    }

    /// Whether nothing of it is missing.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting == 0 && self.listing == Listing::Complete
    }
}

/// How far the listing of a window has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// This page is next; `None` is the first.
    Next(Option<String>),
    /// This page is being read.
    Asked(RequestId, Option<String>),
    /// There are no more pages.
    Complete,
}

/// A window whose listing is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Completed {
    pub window: Interval,
    /// When its first page was asked for.
    pub begun: Utc,
    pub blobs: u64,
    pub new: u64,
}

/// Failures in a row, and the wait until it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub in_a_row: u32,
    pub wait: Duration,
}

/// What came of a page that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageFailure {
    /// It is not wanted any more.
    Unknown,
    /// It is asked for again.
    Again(Failed),
    /// It has failed too often: its window is to be given up.
    GiveUp,
}
