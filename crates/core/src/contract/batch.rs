//! Records on their way to the host, and the content they came in.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::time::Utc;
use crate::json::{Lifted, RecordKind};

/// One of the feeds: a content type of the Management Activity API, or activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentType {
    /// Sign-ins and directory changes.
    AuditAzureActiveDirectory,
    /// Mailbox and Exchange administration.
    AuditExchange,
    /// SharePoint and OneDrive.
    AuditSharePoint,
    /// Everything else, Teams and Endpoint DLP included.
    AuditGeneral,
    /// DLP matches; needs `ActivityFeed.ReadDlp`.
    DlpAll,
    /// No content type of that API, but activities of Defender for Cloud Apps.
    CloudAppActivities,
}

impl ContentType {
    /// Every content type of the Management Activity API, in the order of Microsoft's reference.
    pub const ALL: [Self; 5] = [
        Self::AuditAzureActiveDirectory,
        Self::AuditExchange,
        Self::AuditSharePoint,
        Self::AuditGeneral,
        Self::DlpAll,
    ];

    /// Every feed, of all sources.
    pub const FEEDS: [Self; 6] = [
        Self::AuditAzureActiveDirectory,
        Self::AuditExchange,
        Self::AuditSharePoint,
        Self::AuditGeneral,
        Self::DlpAll,
        Self::CloudAppActivities,
    ];

    /// Microsoft's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuditAzureActiveDirectory => "Audit.AzureActiveDirectory",
            Self::AuditExchange => "Audit.Exchange",
            Self::AuditSharePoint => "Audit.SharePoint",
            Self::AuditGeneral => "Audit.General",
            Self::DlpAll => "DLP.All",
            Self::CloudAppActivities => "CloudAppActivities",
        }
    }

    /// The feed of that very name, be it of the one source or the other.
    pub(crate) fn parse_feed(name: &str) -> Option<Self> {
        Self::FEEDS.into_iter().find(|feed| feed.as_str() == name)
    }

    /// The content type of the Management Activity API called `name`, in any case, as Microsoft
    /// accepts it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ct| ct.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One blob as a listing (or a notification) describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRef {
    /// The feed.
    pub content_type: ContentType,
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
