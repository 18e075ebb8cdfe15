//! The calls that there are.

use crate::activities::filter::Filters;
use crate::activities::id::{ActivityId, Feedback};
use crate::audit::answers::WebhookRequest;
use crate::call::address::BlobAddress;
use crate::call::range::Range;
use crate::contract::feed::ContentType;
use crate::contract::request::Operation;

/// One operation.
#[derive(Clone, Debug)]
pub enum Call {
    /// Get a token, unless there is a good one. Nothing is asked of the API.
    SignIn,
    /// `GET /subscriptions/list`: those of this application.
    ListSubscriptions,
    /// `POST /subscriptions/start`.
    StartSubscription {
        /// The feed.
        content_type: ContentType,
        /// The webhook it shall have afterwards. `None` **removes** the one that it has.
        webhook: Option<WebhookRequest>,
    },
    /// `POST /subscriptions/stop`. What is published until the next start can never be read.
    StopSubscription {
        /// The feed.
        content_type: ContentType,
    },
    /// `GET /subscriptions/content`, over as many windows and pages as it takes.
    ListContent {
        /// The feed.
        content_type: ContentType,
        /// Which content, by the time when Microsoft made it available.
        range: Range,
        /// How much of it.
        pages: Pages,
    },
    /// `GET {contentUri}`: the records come as batches, the reply counts them.
    GetBlob(BlobAddress),
    /// `GET /subscriptions/notifications`, over as many windows and pages as it takes.
    ListNotifications {
        /// The feed.
        content_type: ContentType,
        /// Which content they are about.
        range: Range,
    },
    /// `GET /resources/dlpSensitiveTypes`.
    ListDlpTypes {
        /// One language tag for `Accept-Language`. `None`: Microsoft's default, en-US.
        language: Option<String>,
    },
    /// Get a token for the Activities API, unless there is a good one or the portal's own is
    /// configured. Nothing is asked of the API.
    SignInToActivities,
    /// `POST /api/v1/activities/`, over as many pages as it takes: the activities come as batches,
    /// the reply counts them.
    ListActivities {
        /// Which activities.
        filters: Filters,
        /// When they were stored.
        range: Range,
        /// So many at most, the oldest first; `None`: all.
        limit: Option<u64>,
    },
    /// `GET /api/v1/activities/ID/`: the activity comes as a batch.
    GetActivity(ActivityId),
    /// `POST /api/v1/activities/ID/feedback`.
    SendFeedback {
        /// The activity.
        activity: ActivityId,
        /// What to say about it.
        feedback: Feedback,
    },
}

/// How much of a listing is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// All of it.
    All,
    /// The first page of the newest window: whether it can be listed, and whether there is
    /// anything.
    First,
}

impl Call {
    /// What is asked for, as a name.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::SignIn => Operation::Token,
            Self::ListSubscriptions => Operation::ListSubscriptions,
            Self::StartSubscription { .. } => Operation::StartSubscription,
            Self::StopSubscription { .. } => Operation::StopSubscription,
            Self::ListContent { .. } => Operation::ListContent,
            Self::GetBlob(_) => Operation::GetBlob,
            Self::ListNotifications { .. } => Operation::ListNotifications,
            Self::ListDlpTypes { .. } => Operation::ListDlpTypes,
            Self::SignInToActivities => Operation::Token,
            Self::ListActivities { .. } => Operation::ListActivities,
            Self::GetActivity(_) => Operation::GetActivity,
            Self::SendFeedback { .. } => Operation::SendFeedback,
        }
    }

    /// Whether it is one of the Activities API, which has a token and a budget of its own.
    pub(crate) const fn is_of_activities(&self) -> bool {
        match self {
            Self::SignInToActivities
            | Self::ListActivities { .. }
            | Self::GetActivity(_)
            | Self::SendFeedback { .. } => true,
            Self::SignIn
            | Self::ListSubscriptions
            | Self::StartSubscription { .. }
            | Self::StopSubscription { .. }
            | Self::ListContent { .. }
            | Self::GetBlob(_)
            | Self::ListNotifications { .. }
            | Self::ListDlpTypes { .. } => false,
        }
    }
}
