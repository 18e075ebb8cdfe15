//! What to do about an answer. Each source has a table of its own that leads here.
//!
//! | Verdict | a page | a blob | a subscription |
//! |---|---|---|---|
//! | `Accept` | its entries are read; the next page, or done | handed over | known, or started |
//! | `Reauthenticate` | another token, then again | same | same |
//! | `Resubscribe` | the list of subscriptions is read again | same | |
//! | `Replan` | the window is planned anew; near the edge of retention the edge moves | again | |
//! | `Throttle` | the rate is halved and paused; again | same | same |
//! | `CoolDown` | again | again | started when the named wait is over |
//! | `Gone` | again | again, until it expires | |
//! | `Deny` | the feed rests, ERROR once | again: its listing tells | the feed rests |
//! | `Forbid` | again, ever later; at last as `Deny` | again | again; at last as `Deny` |
//! | `Retry` | again; at last planned anew | again; at last set aside | listed, then started |
//!
//! A refusal is told once a code, not once an attempt. What our own back-pressure may have caused
//! (an answer that we made wait) counts as nobody's failure.

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
