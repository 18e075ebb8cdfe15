//! One request under way: what it is for, and where its answer goes. Decides nothing.

use std::time::Duration;

use bytes::Bytes;

use crate::access::foreign::Seen;
use crate::access::token::Generation;
use crate::activities::{PageId, PageReader, WalkId};
use crate::audit::expand::{Expander, Progress};
use crate::audit::lane::RunId;
use crate::audit::plan::Urgency;
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::config::Config;
use crate::contract::request::{Headers, Operation};
use crate::json::digest::DigestKey;
use crate::json::{Item, SplitError, Splitter};

/// The longest body of a token, of the list of subscriptions, or of an error that is kept.
const SMALL_BODY_BYTES_MAX: usize = 1 << 20;

/// New blobs that are taken from a page at once. Pages of several thousand entries have been seen;
/// one that has more is asked for again when these are read, so that no page decides how much
/// memory it takes.
const PAGE_BLOBS_MAX: usize = 20_000;

/// The longest entry of a listing. Real ones have about half a kilobyte.
const DESCRIPTOR_BYTES_MAX: usize = 64 << 10;

/// A `Retry-After` beyond this is not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What is kept of a header that is shown to people.
const HEADER_CHARS_MAX: usize = 300;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Token,
    ListSubscriptions,
    StartSubscription {
        lane: usize,
    },
    /// A start of an enabled subscription, for the sake of its webhook.
    SetWebhook {
        lane: usize,
    },
    Page {
        lane: usize,
        run: RunId,
    },
    Blob {
        lane: usize,
        key: Key,
    },
    PortalToken,
    ActivityPage {
        walk: WalkId,
        page: PageId,
    },
}

/// Where the bytes of an answer go.
#[derive(Debug)]
pub(crate) enum Body {
    /// Kept whole.
    Small(SmallBody),
    /// Entries of a listing.
    Page(PageBody),
    /// Records of a blob.
    Blob(Box<Expander>),
    /// A page of activities.
    Activities(Box<PageReader>),
}

impl Body {
    /// What is kept of a body that is kept whole; nothing of any other.
    pub(crate) fn small_bytes(&self) -> &[u8] {
        match self {
            Self::Small(small) => small.bytes(),
            Self::Page(_) | Self::Blob(_) | Self::Activities(_) => b"",
        }
    }

    pub(crate) const fn small() -> Self {
        Self::Small(SmallBody { bytes: Vec::new() })
    }

    /// The page at `address`.
    pub(crate) fn page(address: &str) -> Self {
        Self::Page(PageBody {
            splitter: Splitter::new(DESCRIPTOR_BYTES_MAX),
            base: address.into(),
            entries: 0,
            news: 0,
            bad_entries: 0,
        })
    }

    pub(crate) fn activities(config: &Config, now: Utc, digest_key: DigestKey) -> Self {
        let (batch_bytes, record_bytes_max) = (config.batch_bytes, config.record_bytes_max);
        let reader = PageReader::new(batch_bytes, record_bytes_max, now, digest_key);
        Self::Activities(Box::new(reader))
    }

    pub(crate) fn blob(resume: Progress, config: &Config, digest_key: DigestKey) -> Self {
        let (batch_bytes, record_bytes_max) = (config.batch_bytes, config.record_bytes_max);
        let expander =
            Expander::new(resume, batch_bytes, record_bytes_max, config.enrich, digest_key);
        Self::Blob(Box::new(expander))
    }
}

/// A body that is kept whole.
#[derive(Debug)]
pub(crate) struct SmallBody {
    bytes: Vec<u8>,
}

impl SmallBody {
    /// Keeps what fits. Answers whether nothing more is wanted.
    pub(crate) fn extend(&mut self, chunk: &[u8]) -> bool {
        let room = SMALL_BODY_BYTES_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        chunk.len() >= room
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A page of a listing.
#[derive(Debug)]
pub(crate) struct PageBody {
    splitter: Splitter,
    /// Where it was asked for.
    base: Box<str>,
    /// Entries that were read, and how many of them were news.
    pub(crate) entries: u64,
    pub(crate) news: usize,
    /// Entries that cannot be read.
    pub(crate) bad_entries: u64,
}

impl PageBody {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.splitter.push(chunk);
    }

    pub(crate) fn poll(&mut self) -> Result<Option<Item>, SplitError> {
        self.splitter.poll()
    }

    /// What addresses in it are relative to.
    pub(crate) const fn base(&self) -> &str {
        &self.base
    }

    /// Whether it has named so many new blobs that they are read before the rest of it is.
    pub(crate) const fn is_full(&self) -> bool {
        self.news >= PAGE_BLOBS_MAX
    }

    /// The body has ended. Answers whether it was `null`.
    pub(crate) fn finish(&mut self) -> Result<bool, SplitError> {
        self.splitter.finish().map(|finish| finish.null)
    }
}

/// What matters of the head of an answer. All empty until it arrives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) next_page: Option<String>,
    /// Of an answer that may be somebody else's: its type, and where it leads to.
    content_type: Box<str>,
    location: Box<str>,
}

impl Head {
    pub(crate) fn read(status: u16, headers: &Headers) -> Self {
        let next_page = headers.value("nextpageuri").map(str::trim);
        let short = |name: &str| -> Box<str> {
            let text = headers.value(name).unwrap_or_default();
            text.chars().take(HEADER_CHARS_MAX).collect::<String>().into()
        };
        Self {
            status,
            retry_after: retry_after(headers).map(|wait| wait.min(RETRY_AFTER_MAX)),
            next_page: next_page.filter(|address| !address.is_empty()).map(str::to_owned),
            content_type: short("content-type"),
            location: short("location"),
        }
    }

    /// The answer with this body, or the beginning of one.
    pub(crate) fn with<'a>(&'a self, body: &'a [u8]) -> Seen<'a> {
        let (content_type, location) = (&self.content_type, &self.location);
        Seen { status: self.status, content_type, location, body }
    }
}

/// The wait that `Retry-After` names, in seconds or as a moment. The latter by the answer's own
/// clock.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let text = headers.value("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = Utc::parse_http_date(headers.value("date")?)?;
    Some(Utc::parse_http_date(text)?.since(date))
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) operation: Operation,
    pub(crate) purpose: Purpose,
    /// Where a page was asked for; of other requests nothing is kept.
    pub(crate) address: Box<str>,
    /// The token it was sent with.
    pub(crate) generation: Generation,
    /// On the monotonic clock.
    pub(crate) sent_at: Duration,
    pub(crate) urgency: Urgency,
    pub(crate) head: Head,
    pub(crate) body: Body,
    /// Whether we have made it wait since its last bytes arrived.
    pub(crate) stalled: bool,
}

impl Exchange {
    pub(crate) fn new(
        operation: Operation,
        purpose: Purpose,
        address: &str,
        generation: Generation,
        sent_at: Duration,
        urgency: Urgency,
    ) -> Self {
        let is_page = matches!(purpose, Purpose::Page { .. });
        Self {
            operation,
            purpose,
            address: if is_page { address.into() } else { "".into() },
            generation,
            sent_at,
            urgency,
            head: Head::default(),
            body: Body::small(),
            stalled: false,
        }
    }

    /// Whether it is a page of a listing of which the rest is read later.
    pub(crate) const fn is_full_page(&self) -> bool {
        match &self.body {
            Body::Page(page) => page.is_full(),
            Body::Small(_) | Body::Blob(_) | Body::Activities(_) => false,
        }
    }
}
