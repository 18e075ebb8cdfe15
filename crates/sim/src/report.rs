//! What the service saw: requests by operation, requests that break Microsoft's rules, peaks,
//! faults given. Records only; decides nothing.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::guid::Guid;
use crate::time::MINUTE_MS;

/// Illegal requests kept with their line; further ones are only counted.
pub const ILLEGAL_KEPT_MAX: usize = 1_000;
/// Moments kept of one sliding minute; beyond, the oldest go and the peak is a lower bound.
const MOMENTS_MAX: usize = 200_000;

/// A rule of Microsoft's that a request broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// No `Authorization`, or not a bearer token.
    NoToken,
    /// A token that was never issued.
    ForgedToken,
    /// A token for another tenant, or of a tenant other than that of the address.
    ForeignTenant,
    /// A bearer token sent to a host that is not the API's.
    TokenLeak,
    /// No `PublisherIdentifier`.
    NoPublisher,
    /// A `PublisherIdentifier` that is no GUID.
    BadPublisher,
    /// More requests in a minute than the quota.
    Quota,
    /// A window of more than 24 hours.
    WindowTooLong,
    /// A start time more than 7 days in the past.
    WindowTooOld,
    /// A start time at or after the end time.
    WindowReversed,
    /// An end time well after now.
    WindowInFuture,
    /// Only one of start and end, or a time that cannot be read.
    WindowMalformed,
    /// A next page that was not followed as given.
    PageTampered,
    /// A start for a subscription that is enabled, changing nothing.
    StartNeedless,
    /// A start within the cool-down.
    StartTooSoon,
    /// An address or method that does not exist.
    UnknownAddress,
    /// A content type that does not exist, or none.
    BadContentType,
    /// An assertion that lives too long or is used twice.
    BadAssertion,
    /// Credentials in an address, where logs show them.
    SecretInAddress,
    /// A token that was issued for another service.
    WrongResource,
    /// A body that cannot be read.
    BadBody,
    /// A filter that does not exist, or an operator or value that it does not take.
    BadFilter,
    /// More activities than a page can hold, or further than a search reaches.
    BadLimit,
}

/// A request that breaks a rule.
#[derive(Clone, Debug, Serialize)]
pub struct Illegal {
    /// When, in ms since the epoch.
    pub at_ms: i64,
    /// Method, authority, path and query.
    pub request: String,
    /// The rule.
    pub rule: Rule,
    /// What exactly is wrong.
    pub why: String,
}

/// What the service saw.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Requests received.
    pub requests: u64,
    /// Requests by operation: `token`, `start`, `stop`, `list`, `content`, `blob`,
    /// `notifications`, `dlp_types`, `activities`, `activity`, `activity_feedback`, `unknown`.
    pub operations: BTreeMap<&'static str, u64>,
    /// Answers by operation and outcome, such as `content 200` or `blob 403 AF429`.
    pub outcomes: BTreeMap<String, u64>,
    /// Illegal requests; the first [`ILLEGAL_KEPT_MAX`].
    pub illegal: Vec<Illegal>,
    /// Illegal requests by rule, all of them.
    pub illegal_by_rule: BTreeMap<Rule, u64>,
    /// Most API requests of a tenant in any 60 seconds.
    pub peak_per_minute: BTreeMap<Guid, u64>,
    /// Most requests of a tenant to the Activities API in any 60 seconds.
    pub portal_peak_per_minute: BTreeMap<Guid, u64>,
    /// Faults given, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Access tokens issued.
    pub tokens_issued: u64,
}

impl Report {
    /// Whether no request was illegal.
    pub fn is_legal(&self) -> bool {
        self.illegal_by_rule.is_empty()
    }

    pub(crate) fn illegal(&mut self, at_ms: i64, request: String, rule: Rule, why: String) {
        *self.illegal_by_rule.entry(rule).or_default() += 1;
        if self.illegal.len() < ILLEGAL_KEPT_MAX {
            self.illegal.push(Illegal { at_ms, request, rule, why });
        }
    }

    pub(crate) fn peak(&mut self, tenant: Guid, count: u64) {
        let peak = self.peak_per_minute.entry(tenant).or_default();
        *peak = count.max(*peak);
    }
}

/// The moments of the last minute.
#[derive(Debug, Default)]
pub(crate) struct SlidingMinute(VecDeque<i64>);

impl SlidingMinute {
    /// How many moments lie within the minute that ends at `now_ms`.
    pub(crate) fn count(&mut self, now_ms: i64) -> u64 {
        while self.0.front().is_some_and(|at| *at <= now_ms - MINUTE_MS) {
            self.0.pop_front();
        }
        self.0.len() as u64
    }

    pub(crate) fn add(&mut self, now_ms: i64) {
        if self.0.len() == MOMENTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(now_ms);
    }
}
