//! What is stored of this source beside what all sources store.

use serde::{Deserialize, Serialize};

use crate::audit::expand::Progress;
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::feed::{ContentType, Feed};

/// The stored part of a blob that is not delivered whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlobRecord {
    id: Box<str>,
    uri: Box<str>,
    created: i64,
    expiration: i64,
    records: u64,
    digest: String,
    quarantined: bool,
    /// Since when it has been an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty_since: Option<i64>,
}

impl BlobRecord {
    pub(crate) fn new(
        content: &ContentRef,
        progress: Progress,
        quarantined: bool,
        empty_since: Option<Utc>,
    ) -> Self {
        Self {
            id: content.id.clone(),
            uri: content.uri.clone(),
            created: content.created.as_millis(),
            expiration: content.expiration.as_millis(),
            records: progress.records,
            digest: format!("{:032x}", progress.digest.0),
            quarantined,
            empty_since: empty_since.map(Utc::as_millis),
        }
    }

    pub(crate) fn empty_since(&self) -> Option<Utc> {
        self.empty_since.map(Utc::from_millis)
    }

    pub(crate) const fn quarantined(&self) -> bool {
        self.quarantined
    }

    pub(crate) fn content(&self, content_type: ContentType) -> ContentRef {
        ContentRef {
            feed: Feed::Audit(content_type),
            id: self.id.clone(),
            uri: self.uri.clone(),
            created: Utc::from_millis(self.created),
            expiration: Utc::from_millis(self.expiration),
        }
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        let digest = Key(u128::from_str_radix(&self.digest, 16).ok()?);
        Some(Progress { records: self.records, digest })
    }
}
