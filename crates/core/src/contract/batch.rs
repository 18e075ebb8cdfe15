//! Records on their way to the host, and the content they came in.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::time::Utc;
use crate::contract::feed::Feed;
use crate::json::{Field, Lifted, RecordKind, parse_timestamp};

/// One blob as a listing (or a notification) describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRef {
    /// The feed.
    pub feed: Feed,
    /// Microsoft's opaque id: up to about 120 characters, `$` among them.
    pub id: Box<str>,
    /// Where the blob is read. Followed only to the configured origin.
    pub uri: Box<str>,
    /// When Microsoft made the blob available, by its own account.
    pub created: Utc,
    /// Until when it can be read. Seven to twenty-one days after `created` on the wire.
    pub expiration: Utc,
}

/// Names one batch of one [`Collector`](crate::Collector), counting up in the order of emission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// Records of one blob, in the blob's order, to be delivered together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The name under which delivery is reported.
    pub id: BatchId,
    /// The tenant's GUID.
    pub tenant_id: Arc<str>,
    /// The blob.
    pub content: Arc<ContentRef>,
    /// At least one record.
    pub records: Vec<Record>,
}

/// One audit record: the bytes as Microsoft sent them, and what the scan saw in passing.
#[derive(Clone, Debug)]
pub struct Record {
    /// The record's JSON text; unchanged, unless it is redacted.
    pub raw: Bytes,
    /// The few top-level fields that are lifted during the one scan.
    pub fields: Lifted,
    /// Whether it is an object at all.
    pub kind: RecordKind,
    /// Whether values in it were replaced, as the option `redact` asks for, or all of it withheld.
    pub redacted: bool,
    /// Whether it is known to be valid JSON, at most [`DEPTH_MAX`](crate::json::DEPTH_MAX) deep, so
    /// that nobody has to look again.
    pub is_json: bool,
    /// When it happened, where the record says so in milliseconds: of activities alone.
    pub happened: Option<Utc>,
}

impl Record {
    /// The second since the epoch in which its event happened, if it says so.
    pub(crate) fn second(&self) -> Option<i64> {
        if let Some(happened) = self.happened {
            return Some(happened.as_millis().div_euclid(1_000));
        }
        let text = self.fields.text(&self.raw, Field::CreationTime)?;
        parse_timestamp(text.as_bytes()).map(|time| time.seconds)
    }
}
