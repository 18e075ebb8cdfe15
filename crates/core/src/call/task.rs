//! One call under way: what is left to ask, and what was answered so far. Plain data; sends
//! nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::activities::reader::PageReader;
use crate::audit::exchange::PageBody;
use crate::audit::expand::{Expander, Progress};
use crate::base::interval::Interval;
use crate::base::key::KeySet;
use crate::base::time::Utc;
use crate::call::calls::{Call, Pages};
use crate::call::range::{Range, RangeError};
use crate::call::reply::Reply;
use crate::call::search::Search;
use crate::contract::feed::Feed;
use crate::contract::request::RequestId;
use crate::source::exchange::{Head, Sent, SmallBody};

/// A request that fails this often in a row ends its call. With the pauses between them, which
/// double from half a second, that is about eight seconds of trouble.
pub const ATTEMPTS_MAX: u32 = 5;

/// A reply with more entries than this is not gathered: half a gigabyte of descriptors.
pub const ENTRIES_MAX: usize = 1_000_000;

/// A call under way.
#[derive(Debug)]
pub(super) struct Task {
    pub call: Call,
    /// What is left to ask, the first next. `None`: not planned yet.
    pub asks: Option<VecDeque<Ask>>,
    pub reply: Reply,
    /// How many entries the reply had before the page under way.
    pub kept: usize,
    /// Next pages that were followed.
    pub visited: KeySet,
    /// Failures in a row, and tokens that were refused.
    pub failures: u32,
    pub rejections: u32,
    pub not_before: Duration,
    /// How far into its blob the batches reach that were handed over.
    pub progress: Progress,
    /// The search of [`Call::ListActivities`], once it is planned.
    pub search: Option<Box<Search>>,
}

/// One request that a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The operation's only one.
    Whole,
    /// The first page of a window.
    Window(Interval),
    /// A page that another one named.
    Page(String),
}

/// The request under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub id: RequestId,
    pub sent: Sent,
    /// Where it was sent.
    pub address: Box<str>,
    pub head: Head,
    pub body: Body,
    /// Whether nothing more is read until there is room.
    pub stalled: bool,
}

impl Task {
    pub(super) fn new(call: Call) -> Self {
        let reply = match &call {
            Call::SignIn | Call::SignInToActivities => Reply::SignedIn,
            Call::ListSubscriptions => Reply::Subscriptions(Vec::new()),
            Call::StartSubscription { .. } => Reply::Unchanged,
            Call::StopSubscription { .. } => Reply::Stopped,
            Call::ListContent { .. } => Reply::Contents(Vec::new()),
            Call::GetBlob(_) => Reply::Expanded { records: 0, dropped: 0, filtered: 0 },
            Call::ListNotifications { .. } => Reply::Notifications(Vec::new()),
            Call::ListDlpTypes { .. } => Reply::DlpTypes(Vec::new()),
            Call::ListActivities { .. } | Call::GetActivity(_) => {
                Reply::Activities { records: 0, dropped: 0, more: false }
            }
            Call::SendFeedback { .. } => Reply::FeedbackSent,
        };
        Self {
            call,
            asks: None,
            reply,
            kept: 0,
            visited: KeySet::default(),
            failures: 0,
            rejections: 0,
            not_before: Duration::ZERO,
            progress: Progress::default(),
            search: None,
        }
    }

    const fn range(&self) -> Option<Range> {
        match self.call {
            Call::ListContent { range, .. } | Call::ListNotifications { range, .. } => Some(range),
            Call::SignIn
            | Call::ListSubscriptions
            | Call::StartSubscription { .. }
            | Call::StopSubscription { .. }
            | Call::GetBlob(_)
            | Call::ListDlpTypes { .. }
            | Call::SignInToActivities
            | Call::ListActivities { .. }
            | Call::GetActivity(_)
            | Call::SendFeedback { .. } => None,
        }
    }

    /// The feed that the call is about, for events.
    pub(super) const fn feed(&self) -> Option<Feed> {
        match self.call {
            Call::StartSubscription { content_type, .. }
            | Call::StopSubscription { content_type }
            | Call::ListContent { content_type, .. }
            | Call::ListNotifications { content_type, .. } => Some(Feed::Audit(content_type)),
            Call::ListActivities { .. } | Call::GetActivity(_) | Call::SendFeedback { .. } => {
                Some(Feed::CloudAppActivities)
            }
            Call::SignIn
            | Call::SignInToActivities
            | Call::ListSubscriptions
            | Call::GetBlob(_)
            | Call::ListDlpTypes { .. } => None,
        }
    }

    /// What to ask, as of `now`.
    pub(super) fn plan(&mut self, now: Utc) -> Result<VecDeque<Ask>, RangeError> {
        let Some(range) = self.range() else {
            let mut nothing = matches!(self.call, Call::SignIn | Call::SignInToActivities);
            if let Call::ListActivities { filters, range, limit } = &self.call {
                self.search = Search::plan(filters, *range, *limit, now)?.map(Box::new);
                nothing = self.search.is_none();
            }
            return Ok(if nothing { VecDeque::new() } else { VecDeque::from([Ask::Whole]) });
        };
        let windows = range.windows(now)?;
        let newest_only = matches!(self.call, Call::ListContent { pages: Pages::First, .. });
        let skipped = if newest_only { windows.len().saturating_sub(1) } else { 0 };
        Ok(windows.into_iter().skip(skipped).map(Ask::Window).collect())
    }
}

/// Where the bytes of an answer go.
#[derive(Debug)]
pub(super) enum Body {
    /// Kept whole.
    Small(SmallBody),
    /// Entries of a list.
    Entries(PageBody),
    /// Records of a blob.
    Blob(Box<Expander>),
    /// A page of activities.
    Activities(Box<PageReader>),
}

impl Body {
    /// What is kept of a body that is kept whole; nothing of any other.
    pub(super) fn small_bytes(&self) -> &[u8] {
        match self {
            Self::Small(small) => small.bytes(),
            Self::Entries(_) | Self::Blob(_) | Self::Activities(_) => b"",
        }
    }
}
