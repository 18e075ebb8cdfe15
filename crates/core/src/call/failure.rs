//! How a call ends badly: what happened, in Microsoft's words, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::activities::id::NoActivityId;
use crate::contract::request::Operation;

/// What kind of trouble a call is in. A bounded set, for whoever has to react.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallErrorKind {
    /// What was asked for is not possible; nothing was sent, or Microsoft said so.
    Argument,
    /// Entra ID refuses the app or its credential, or the API does not take its token.
    Credentials,
    /// The app lacks a permission, or the tenant is not set up.
    Denied,
    /// There is no active subscription to this content.
    NotSubscribed,
    /// The content does not exist, or does not exist any more.
    Gone,
    /// A start came too soon after another. Again after this time, if Microsoft named one.
    CoolDown(Option<Duration>),
    /// Microsoft asked for fewer requests until the attempts were used up.
    Throttled,
    /// Microsoft named an address elsewhere, or one that leads in circles.
    Address,
    /// The service could not be reached, or kept failing.
    Unavailable,
    /// It was interrupted.
    Stopped,
}

/// A call that failed. Its text names the operation, the code and the remedy, and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// What was asked for, or the sign-in before it.
    pub operation: Operation,
    /// What kind of trouble it is.
    pub kind: CallErrorKind,
    /// Microsoft's code (`AF…`, `AADSTS…`), if it gave one, or ours.
    pub code: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do.
    pub remedy: Cow<'static, str>,
}

impl CallError {
    /// The API of activities is not configured.
    pub(super) fn no_activities(operation: Operation) -> Self {
        let problem = "the Defender for Cloud Apps API is not configured";
        let remedy = "set source to cloud_app_activities, and portal_url";
        Self::new(operation, CallErrorKind::Argument, problem, remedy)
    }

    /// Somebody has stopped the call.
    pub(super) fn stopped(operation: Operation) -> Self {
        Self::new(operation, CallErrorKind::Stopped, "interrupted before it was done", "")
    }

    /// An error without a code.
    pub fn new(
        operation: Operation,
        kind: CallErrorKind,
        message: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { operation, kind, code: None, message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; remedy: {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}

impl From<NoActivityId> for CallError {
    fn from(error: NoActivityId) -> Self {
        let (kind, remedy) = (CallErrorKind::Argument, "write the _id of an activity's record");
        Self::new(Operation::GetActivity, kind, error.to_string(), remedy)
    }
}
