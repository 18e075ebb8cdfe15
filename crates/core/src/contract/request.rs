//! What the core asks of a transport, and what a transport reports back. No URL is parsed and no
//! header is interpreted here.

use crate::base::secret::Secret;

/// Names one request of one [`Collector`](crate::Collector). Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The HTTP methods that Microsoft's services use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read something.
    Get,
    /// Token requests and subscription changes.
    Post,
}

impl Method {
    /// The method as it stands in a request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What a request is for. A bounded set, fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// An access token from Entra ID.
    Token,
    /// `GET /subscriptions/list`.
    ListSubscriptions,
    /// `POST /subscriptions/start`.
    StartSubscription,
    /// `GET /subscriptions/content`, each page.
    ListContent,
    /// `GET {contentUri}`.
    GetBlob,
    /// `POST /api/v1/activities/`, each page of a search.
    ListActivities,
    /// `POST /subscriptions/stop`.
    StopSubscription,
    /// `GET /subscriptions/notifications`, each page.
    ListNotifications,
    /// `GET /resources/dlpSensitiveTypes`.
    ListDlpTypes,
    /// `GET /api/v1/activities/ID/`.
    GetActivity,
    /// `POST /api/v1/activities/ID/feedback`.
    SendFeedback,
}

impl Operation {
    /// Those that a collector sends, for registering metrics ahead of use: the first of
    /// [`Self::ALL`].
    pub const COLLECTING: [Self; 6] = [
        Self::Token,
        Self::ListSubscriptions,
        Self::StartSubscription,
        Self::ListContent,
        Self::GetBlob,
        Self::ListActivities,
    ];

    /// Every operation.
    pub const ALL: [Self; 11] = [
        Self::Token,
        Self::ListSubscriptions,
        Self::StartSubscription,
        Self::ListContent,
        Self::GetBlob,
        Self::ListActivities,
        Self::StopSubscription,
        Self::ListNotifications,
        Self::ListDlpTypes,
        Self::GetActivity,
        Self::SendFeedback,
    ];

    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ListSubscriptions => "list_subscriptions",
            Self::StartSubscription => "start_subscription",
            Self::ListContent => "list_content",
            Self::GetBlob => "get_blob",
            Self::StopSubscription => "stop_subscription",
            Self::ListNotifications => "list_notifications",
            Self::ListDlpTypes => "list_dlp_types",
            Self::ListActivities => "list_activities",
            Self::GetActivity => "get_activity",
            Self::SendFeedback => "send_feedback",
        }
    }

    /// Who answers it, for people.
    pub(crate) const fn service(self) -> &'static str {
        match self {
            Self::Token => "Entra ID",
            Self::ListSubscriptions
            | Self::StartSubscription
            | Self::ListContent
            | Self::GetBlob
            | Self::StopSubscription
            | Self::ListNotifications
            | Self::ListDlpTypes => "the Management Activity API",
            Self::ListActivities | Self::GetActivity | Self::SendFeedback => {
                "the Defender for Cloud Apps API"
            }
        }
    }

    /// Whether it must not be sent before all commits that came before it are durable. A driver
    /// that stores commits as they come need not ask.
    #[must_use]
    pub const fn follows_commits(self) -> bool {
        match self {
            Self::StartSubscription | Self::StopSubscription => true,
            Self::Token
            | Self::ListSubscriptions
            | Self::ListContent
            | Self::GetBlob
            | Self::ListNotifications
            | Self::ListDlpTypes
            | Self::ListActivities
            | Self::GetActivity
            | Self::SendFeedback => false,
        }
    }
}

/// One HTTP request. The transport sends it once, as it is: no retry, no redirect, no change.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it is for.
    pub operation: Operation,
    /// The method.
    pub method: Method,
    /// The absolute URL, to be used verbatim.
    pub url: String,
    /// The access token for `Authorization: Bearer`, if the request carries one.
    pub bearer: Option<Secret<String>>,
    /// Must go to the host itself and never through a proxy: the address means this machine.
    pub direct: bool,
    /// The body of a form or an empty POST; `None` for GET. Secret, as it may hold a credential.
    pub body: Option<Secret<String>>,
    /// The `Content-Type` of `body`.
    pub content_type: Option<&'static str>,
    /// Further headers. Secret, as one may hold a credential.
    pub headers: Vec<(&'static str, Secret<String>)>,
}

/// The response headers, as the transport received them.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(Box<str>, Box<str>)>);

impl Headers {
    /// The value of the first header called `name`, in any case: Microsoft's `NextPageUri` has
    /// been seen in several.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Why a request ended without a whole response. Transports report; they never decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct TransportError {
    /// The kind of failure: a bounded set, fit for a metric's label.
    pub kind: TransportErrorKind,
    /// The transport's own words. Must not contain a secret.
    pub message: String,
}

/// How the text of a failure to connect begins.
pub(crate) const CANNOT_CONNECT: &str = "cannot connect";

/// What to do if nothing answers.
pub(crate) const REACH_REMEDY: &str =
    "check the network, proxy_url, and login_url, api_url or portal_url";

/// Kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportErrorKind {
    /// No connection: name resolution, refused, unreachable, proxy.
    #[error("cannot connect")]
    Connect,
    /// The TLS handshake failed, most often over a certificate.
    #[error("TLS failed")]
    Tls,
    /// Nothing arrived for the request's timeout.
    #[error("timed out")]
    Timeout,
    /// The connection broke, or the body was cut short.
    #[error("connection lost")]
    Lost,
}
