//! The activities of a tenant, as Defender for Cloud Apps keeps them, and who asked for them. Knows
//! nothing of content types and blobs.

mod activity;
mod feed;

use crate::config::{SimConfig, TenantConfig};
use crate::draw;
use crate::faults::Faults;
use crate::guid::Guid;
use crate::report::SlidingMinute;

pub(crate) use self::activity::{Activity, Facts, Identity};
pub(crate) use self::feed::Feed;

/// A remark that somebody made about an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The activity.
    pub activity: String,
    /// The remark, as it was sent.
    pub body: String,
}

/// An activity that was stored and can be found.
#[derive(Clone, Debug)]
pub struct OwedActivity {
    /// Its tenant.
    pub tenant: Guid,
    /// Its `_id`.
    pub id: String,
    /// When it was stored, ms since the epoch.
    pub created_ms: i64,
    /// Since when a search finds it.
    pub available_ms: i64,
    /// When it happened.
    pub timestamp_ms: i64,
    /// What makes it the same activity: XXH3, 128 bits, of its `_id`.
    pub key: u128,
    /// XXH3, 128 bits, of its bytes.
    pub hash: u128,
    /// Its bytes, exactly as in an answer.
    pub bytes: Vec<u8>,
}

/// The API's side of one tenant.
#[derive(Debug)]
pub(crate) struct Portal {
    token: String,
    feed: Feed,
    minute: SlidingMinute,
    feedback: Vec<Feedback>,
}

impl Portal {
    pub(crate) fn new(
        tenant: &TenantConfig,
        now_ms: i64,
        config: &SimConfig,
        faults: &mut Faults,
    ) -> Self {
        let seed = draw::mix(config.seed, u64::try_from(tenant.id.0 & 0xFFFF_FFFF).unwrap_or(0));
        let identity = Identity {
            seed,
            tenant: tenant.id,
            number: 97_000_000 + u32::try_from(seed % 999_983).unwrap_or_default(),
            domain: tenant.domain.clone(),
        };
        let half = |key| format!("{:032x}", draw::wide(seed, key));
        Self {
            token: format!("{}{}", half(11), half(12)),
            feed: Feed::new(identity, now_ms, config, faults),
            minute: SlidingMinute::default(),
            feedback: Vec::new(),
        }
    }

    pub(crate) fn advance(&mut self, now_ms: i64, config: &SimConfig, faults: &mut Faults) {
        self.feed.advance(now_ms, config, faults);
    }

    /// The API token that the portal made for the tenant.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// How its host begins: the name in the tenant's domain.
    pub(crate) fn host_name(&self) -> &str {
        self.feed.identity.domain.split('.').next().unwrap_or_default()
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Counts a request, unless there were `quota` within the minute: how many there were then.
    pub(crate) fn admit(&mut self, now_ms: i64, quota: u64) -> Option<u64> {
        if quota <= self.minute.count(now_ms) {
            return None;
        }
        self.minute.add(now_ms);
        Some(self.minute.count(now_ms))
    }

    pub(crate) fn remark(&mut self, feedback: Feedback) {
        self.feedback.push(feedback);
    }

    pub(crate) fn feedback(&self) -> &[Feedback] {
        &self.feedback
    }
}
