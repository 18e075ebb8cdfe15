//! What `/status` answers, as far as the screen shows it. What a newer version adds is left aside.

use serde::Deserialize;

/// An answer of `/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) version: String,
    pub(super) packaging: String,
    pub(super) now: String,
    pub(super) tenants: Vec<Tenant>,
    /// Everything about one of them.
    #[serde(skip)]
    pub(super) detail: Option<Tenant>,
}

/// One tenant.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Tenant {
    pub(super) name: String,
    pub(super) tenant_id: String,
    pub(super) state: String,
    pub(super) ready: bool,
    pub(super) reasons: Vec<String>,
    pub(super) lag_seconds: f64,
    pub(super) backlog_seconds: f64,
    pub(super) blobs_quarantined: u64,
    pub(super) records_per_second: f64,
    pub(super) requests_per_second: f64,
    pub(super) throttled: u64,
    pub(super) losses_unacknowledged: u64,
    pub(super) lost: bool,
    /// An hour a letter, the newest last; empty if nobody knows.
    pub(super) week: String,
    pub(super) feeds: Vec<Feed>,
    pub(super) troubles: Vec<Line>,
}

/// One feed of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Feed {
    pub(super) content_type: String,
    pub(super) denied: bool,
    pub(super) lag_seconds: f64,
    pub(super) backlog_seconds: f64,
    pub(super) blobs_pending: f64,
    pub(super) blobs_quarantined: f64,
    pub(super) week: String,
}

/// A line at ERROR or WARN.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub(super) level: String,
    pub(super) text: String,
    pub(super) time: String,
    pub(super) count: u64,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Badness {
    Fine,
    Odd,
    NotReady,
    Lost,
}

impl Tenant {
    pub(super) fn badness(&self) -> Badness {
        if self.lost || 0 < self.losses_unacknowledged {
            Badness::Lost
        } else if !self.ready {
            Badness::NotReady
        } else if 0 < self.blobs_quarantined {
            Badness::Odd
        } else {
            Badness::Fine
        }
    }

    /// How it stands, in words.
    pub(super) fn words(&self) -> String {
        match self.badness() {
            Badness::Lost => "data lost".into(),
            Badness::NotReady => self.reasons.join("; "),
            Badness::Odd => format!("{} blobs in quarantine", self.blobs_quarantined),
            Badness::Fine => if self.state == "ended" { "ended" } else { "ready" }.into(),
        }
    }
}
