//! What to do about an answer. Each source has a table of its own that leads here.

use std::time::Duration;

/// What to do about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is what was asked for.
    Accept,
    /// The token is no good: get another, then ask again.
    Reauthenticate,
    /// The subscription is gone: look at the list, start it again.
    Resubscribe,
    /// The window or its page is no longer legal: plan anew.
    Replan,
    /// Fewer requests, please.
    Throttle(Option<Duration>),
    /// A start came too soon after another.
    CoolDown(Option<Duration>),
    /// The content is said not to exist (any more). Asked again until it expires.
    Gone,
    /// This app may not do this. Somebody has to act; asked again now and then.
    Deny,
    /// Refused without a code that says why: it may pass. After a few it counts as denied.
    Forbid,
    /// Ask again.
    Retry(Option<Duration>),
}
