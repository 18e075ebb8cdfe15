//! What is shown: what all tenants have done together, and each of them.

use std::time::Duration;

use m365_audit_core::{LaneMetrics, Metrics};

/// What is not older than this is what Microsoft is only just publishing.
const RECENT: Duration = Duration::from_secs(15 * 60);

/// Where things stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// All tenants together.
    pub(crate) all: &'a Metrics,
    /// Each of them, if there are several.
    pub(crate) tenants: &'a [(&'a str, &'a Metrics)],
}

/// What a feed is doing, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// There is nothing to be had that it does not have.
    CaughtUp,
    /// Blobs are known and being read.
    Reading,
    /// Listings are being read.
    Listing,
    /// No listing has been read yet.
    Starting,
    /// Microsoft denies it.
    Denied,
    /// Data was lost.
    Lost,
}

impl Doing {
    pub(super) fn of(lane: &LaneMetrics) -> Self {
        if lane.has_lost_data() {
            Self::Lost
        } else if lane.denied {
            Self::Denied
        } else if 0 < lane.blobs_pending {
            Self::Reading
        } else if lane.windows_listed == 0 {
            Self::Starting
        } else if RECENT < lane.backlog {
            Self::Listing
        } else {
            Self::CaughtUp
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::CaughtUp => "caught up",
            Self::Reading => "reading",
            Self::Listing => "listing",
            Self::Starting => "starting",
            Self::Denied => "DENIED",
            Self::Lost => "DATA LOST",
        }
    }
}

/// How far tenants are, where there are several: of each the worst of its feeds.
pub(super) fn worst(metrics: &Metrics) -> (Doing, Duration) {
    let doing = metrics.lanes.iter().map(Doing::of).max().unwrap_or(Doing::Starting);
    let lag = metrics.lanes.iter().filter(|lane| !lane.denied).map(|lane| lane.lag).max();
    (doing, lag.unwrap_or_default())
}

/// Percent of the blobs that are known. There may always be more until it has caught up.
pub(super) fn percent(lane: &LaneMetrics) -> Option<u64> {
    let known = lane.blobs_delivered + lane.blobs_pending;
    let percent = (lane.blobs_delivered * 100).checked_div(known)?;
    Some(if Doing::of(lane) == Doing::CaughtUp { percent } else { percent.min(99) })
}
