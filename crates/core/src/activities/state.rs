//! What is stored of this source beside what all sources store.

use serde::{Deserialize, Serialize};

use crate::activities::plan;
use crate::activities::walk::Point;
use crate::base::time::Utc;
use crate::contract::state::{self, StateError};

/// A search that is continued after a restart.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WalkRecord {
    pub start: i64,
    pub end: i64,
    pub at: Point,
}

/// What is stored of how activities are searched for.
#[derive(Debug)]
pub(super) struct Notes {
    /// The key of the filters.
    pub filters: String,
    /// The end of what was covered before the last long silence. Of the day before it, which is
    /// searched again, every `_id` is remembered until that is done.
    pub seam: Utc,
    /// When each span of [`plan::RELISTS`] was last searched again, all of it delivered.
    pub relisted: [Utc; plan::RELISTS.len()],
}

impl Notes {
    pub(super) fn encode(&self) -> String {
        let [seam, short, long] =
            [self.seam, self.relisted[0], self.relisted[1]].map(Utc::as_millis);
        format!("{} {seam} {short} {long}", self.filters)
    }

    pub(super) fn decode(key: &str, text: &str) -> Result<Self, StateError> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().unwrap_or_default();
        let filters = part().to_owned();
        let mut time = || state::decode_time(key, part());
        Ok(Self { filters, seam: time()?, relisted: [time()?, time()?] })
    }
}
