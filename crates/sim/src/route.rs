//! Where requests go: the addresses of the two services. Pure.

use crate::http::Request;
use crate::machine::Service;

/// Where a request goes.
pub(crate) enum Route<'a> {
    Token { tenant: &'a str, v2: bool },
    Machine { service: Service },
    Api { tenant: &'a str, operation: Operation },
    Portal { operation: PortalOperation },
    Unknown,
}

/// An operation of the audit API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Start,
    Stop,
    List,
    Content,
    Notifications,
    DlpTypes,
    Blob(String),
}

impl Operation {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::List => "list",
            Self::Content => "content",
            Self::Notifications => "notifications",
            Self::DlpTypes => "dlp_types",
            Self::Blob(_) => "blob",
        }
    }

    /// The name in throttling errors; `GetBlob` and `GetContents` were seen.
    pub(crate) const fn method(&self) -> &'static str {
        match self {
            Self::Start => "StartSubscription",
            Self::Stop => "StopSubscription",
            Self::List => "ListSubscriptions",
            Self::Content => "GetContents",
            Self::Notifications => "GetNotifications",
            Self::DlpTypes => "GetResources",
            Self::Blob(_) => "GetBlob",
        }
    }
}

/// An operation of the Activities API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PortalOperation {
    Search,
    Fetch(String),
    Feedback(String),
}

impl PortalOperation {
    /// Reads what follows `/api/v1/activities/`.
    fn route(rest: &[&str], post: bool) -> Option<Self> {
        match (rest, post) {
            ([], _) => Some(Self::Search),
            ([id], false) => Some(Self::Fetch((*id).to_owned())),
            ([id, "feedback"], true) => Some(Self::Feedback((*id).to_owned())),
            _ => None,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Search => "activities",
            Self::Fetch(_) => "activity",
            Self::Feedback(_) => "activity_feedback",
        }
    }
}

/// Reads the address. Doubled slashes are tolerated: Microsoft's own sample has one.
pub(crate) fn route(request: &Request) -> Route<'_> {
    let parts: Vec<&str> = request.path().split('/').filter(|part| !part.is_empty()).collect();
    let post = match request.method.as_str() {
        "POST" => true,
        "GET" => false,
        _ => return Route::Unknown,
    };
    match parts.as_slice() {
        [tenant, "oauth2", "token"] if post => Route::Token { tenant, v2: false },
        [tenant, "oauth2", "v2.0", "token"] if post => Route::Token { tenant, v2: true },
        ["metadata", "identity", "oauth2", "token"] if !post => {
            Route::Machine { service: Service::Metadata }
        }
        ["msi", "token"] if !post => Route::Machine { service: Service::AppService },
        ["api", "v1.0" | "v1", tenant, "activity", "feed", rest @ ..] => {
            let operation = match (rest, post) {
                (["subscriptions", "start"], true) => Operation::Start,
                (["subscriptions", "stop"], true) => Operation::Stop,
                (["subscriptions", "list"], false) => Operation::List,
                (["subscriptions", "content"], false) => Operation::Content,
                (["subscriptions", "notifications"], false) => Operation::Notifications,
                (["resources", "dlpSensitiveTypes"], false) => Operation::DlpTypes,
                (["audit", id], false) => Operation::Blob((*id).to_owned()),
                _ => return Route::Unknown,
            };
            Route::Api { tenant, operation }
        }
        ["api", "v1", "activities", rest @ ..] => match PortalOperation::route(rest, post) {
            Some(operation) => Route::Portal { operation },
            None => Route::Unknown,
        },
        _ => Route::Unknown,
    }
}
