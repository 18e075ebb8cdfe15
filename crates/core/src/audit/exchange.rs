//! Requests of this source under way: what each is for, and where its answer goes. Decides nothing.

use std::sync::Arc;

use bytes::Bytes;

use crate::audit::expand::{Expander, Progress};
use crate::audit::run::RunId;
use crate::base::key::Key;
use crate::contract::batch::BatchId;
use crate::json::{Item, SplitError, Splitter};
use crate::source::exchange::SmallBody;
use crate::source::revision::Revision;

/// New blobs that are taken from a page at once. Pages of several thousand entries have been seen;
/// one that has more is asked for again when these are read, so that no page decides how much
/// memory it takes.
const PAGE_BLOBS_MAX: usize = 20_000;

/// The longest entry of a listing. Real ones have about half a kilobyte.
const DESCRIPTOR_BYTES_MAX: usize = 64 << 10;

/// One request for content.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Page(RunId),
    Blob(Key),
}

/// What a request is for. `lane` is the place of a feed among those that are collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
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
        /// Where it was asked for.
        address: Arc<str>,
    },
    Blob {
        lane: usize,
        key: Key,
    },
}

/// Where the bytes of an answer go.
#[derive(Debug)]
pub(super) enum Body {
    /// Kept whole.
    Small(SmallBody),
    /// Entries of a listing.
    Page(PageBody),
    /// Records of a blob.
    Blob(Box<Expander>),
}

impl Body {
    /// What is kept of a body that is kept whole; nothing of any other.
    pub(super) fn small_bytes(&self) -> &[u8] {
        match self {
            Self::Small(small) => small.bytes(),
            Self::Page(_) | Self::Blob(_) => b"",
        }
    }

    /// Whether it is a page of a listing of which the rest is read later.
    pub(super) const fn is_full_page(&self) -> bool {
        match self {
            Self::Page(page) => page.is_full(),
            Self::Small(_) | Self::Blob(_) => false,
        }
    }
}

/// One request under way.
pub(super) type Exchange = crate::source::exchange::Exchange<Purpose, Body>;

/// All requests under way.
pub(super) type Exchanges = crate::source::exchange::Exchanges<Purpose, Body>;

/// A page of a listing.
#[derive(Debug)]
pub(crate) struct PageBody {
    splitter: Splitter,
    /// Where it was asked for.
    base: Box<str>,
    /// Entries that were read, and how many of them were news.
    entries: u64,
    news: usize,
    /// Entries that cannot be read.
    bad_entries: u64,
}

impl PageBody {
    /// The page at `address`.
    pub(crate) fn new(address: &str) -> Self {
        let splitter = Splitter::new(DESCRIPTOR_BYTES_MAX);
        Self { splitter, base: address.into(), entries: 0, news: 0, bad_entries: 0 }
    }

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

    /// An entry was read.
    pub(crate) const fn note_entry(&mut self) {
        self.entries += 1;
    }

    /// It named a blob that was not known.
    pub(crate) const fn note_news(&mut self) {
        self.news += 1;
    }

    /// An entry cannot be read.
    pub(crate) const fn note_bad(&mut self) {
        self.bad_entries += 1;
    }

    /// Entries that were read.
    pub(crate) const fn entries(&self) -> u64 {
        self.entries
    }

    /// Blobs that it named and that were not known.
    pub(crate) const fn news(&self) -> usize {
        self.news
    }

    /// Entries that cannot be read.
    pub(crate) const fn bad_entries(&self) -> u64 {
        self.bad_entries
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

/// A part of a blob that the host was given.
#[derive(Debug)]
pub(super) struct Part {
    pub batch: BatchId,
    /// The place of its feed.
    pub lane: usize,
    pub key: Key,
    /// How far into the blob it reaches.
    pub progress: Progress,
    /// Its records, where they have a name.
    pub known: Vec<Revision>,
    /// Records left out of it because the host had them before.
    pub deduplicated: u64,
}
