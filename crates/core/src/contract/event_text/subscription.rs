//! What is said of subscriptions and their webhooks.

use std::fmt;
use std::time::Duration;

use crate::base::text::spoken;
use crate::base::time::Utc;
use crate::contract::feed::Feed;

pub(super) fn started(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "subscription started")
}

pub(super) fn gap(f: &mut fmt::Formatter<'_>, start: Utc, end: Utc) -> fmt::Result {
    write!(
        f,
        "the subscription had been stopped; content published from {start} \
         to {end} may be lost, since Microsoft gives no access to it"
    )
}

pub(super) fn missing(
    f: &mut fmt::Formatter<'_>,
    feed: Feed,
    retry_in: Duration,
    starts: bool,
    answer: Option<&str>,
) -> fmt::Result {
    if starts {
        f.write_str("not collected: no active subscription")?;
        match answer {
            Some(answer) => write!(f, ", and starting one failed: {answer}")?,
            None => f.write_str("; Microsoft allows one start per 15 min")?,
        }
        write!(f, "; checking again in {}", spoken(retry_in))
    } else {
        write!(
            f,
            "not collected: no active subscription; remedy: start it: \
             `m365-audit subscriptions start {feed}`, or set start_subscriptions on"
        )
    }
}

pub(super) fn feed_denied(
    f: &mut fmt::Formatter<'_>,
    code: &str,
    message: &str,
    remedy: &str,
) -> fmt::Result {
    write!(f, "not collected: {code}")?;
    if !message.is_empty() {
        write!(f, ": {message}")?;
    }
    write!(f, "; remedy: {remedy}")
}

pub(super) fn feed_restored(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "collected again")
}

pub(super) fn webhook_set(f: &mut fmt::Formatter<'_>, address: &str) -> fmt::Result {
    write!(f, "Microsoft now notifies {address}")
}

pub(super) fn webhook_refused(
    f: &mut fmt::Formatter<'_>,
    address: &str,
    code: &str,
    remedy: &str,
    retry_in: Duration,
) -> fmt::Result {
    write!(
        f,
        "Microsoft does not accept the webhook {address}: {code}; content \
         is polled, trying again in {}; remedy: {remedy}",
        spoken(retry_in)
    )
}

pub(super) fn webhook_kept(f: &mut fmt::Formatter<'_>, address: &str) -> fmt::Result {
    write!(f, "the subscription keeps its webhook: Microsoft still notifies {address}")
}

pub(super) fn webhook_lost(
    f: &mut fmt::Formatter<'_>,
    feed: Feed,
    address: &str,
    code: &str,
) -> fmt::Result {
    write!(
        f,
        "the subscription was disabled, and Microsoft no longer accepts its webhook \
         {address}: {code}; it is started without one; remedy: if notifications are needed, \
         set it again with `m365-audit subscriptions start {feed} \
         --webhook-address {address}` and the auth id that it had"
    )
}

pub(super) fn hint_forgotten(f: &mut fmt::Formatter<'_>, reason: &str) -> fmt::Result {
    write!(f, "content named by a notification cannot be read: {reason}; leaving it to polling")
}
