//! What is said of requests.

use std::fmt;
use std::time::Duration;

use crate::base::text::spoken;
use crate::base::time::Utc;
use crate::contract::feed::Feed;
use crate::contract::request::{CANNOT_CONNECT, Operation, REACH_REMEDY};

pub(super) fn foreign(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    feed: Option<Feed>,
    answer: &str,
    code: &str,
    remedy: &str,
) -> fmt::Result {
    name(f, operation, feed)?;
    write!(
        f,
        ": {code}: this answer is not from {}: {answer}; remedy: {remedy}",
        operation.service()
    )
}

pub(super) fn rejected(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    feed: Option<Feed>,
    tokens: u32,
    answer: &str,
    remedy: &str,
) -> fmt::Result {
    name(f, operation, feed)?;
    write!(
        f,
        ": {} rejects its tokens: {tokens} new ones in a row were refused, last: {answer}; \
         remedy: {remedy}",
        operation.service()
    )
}

pub(super) fn throttled(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    requests_per_minute: u32,
    pause: Duration,
    until: Utc,
) -> fmt::Result {
    write!(f, "throttled on {}: pausing {}", operation.as_str(), spoken(pause))?;
    if Duration::from_secs(60) < pause {
        write!(f, ", until {until}")?;
    }
    write!(f, ", then at most {requests_per_minute} requests/min")
}

pub(super) fn retried(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    feed: Option<Feed>,
    reason: &str,
    retry_in: Duration,
) -> fmt::Result {
    name(f, operation, feed)?;
    write!(f, ": {reason}; retrying in {} ms", retry_in.as_millis())
}

pub(super) fn api_unreachable(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    reason: &str,
) -> fmt::Result {
    write!(f, "no answer from {} yet, still trying; {REACH_REMEDY}: {reason}", operation.service())
}

pub(super) fn postponed(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    feed: Option<Feed>,
    reason: &str,
    until: Utc,
) -> fmt::Result {
    name(f, operation, feed)?;
    write!(f, ": {reason}; the service asks for a long pause: retrying at {until}")
}

pub(super) fn mounting(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    feed: Option<Feed>,
    failures: u32,
    reason: &str,
) -> fmt::Result {
    name(f, operation, feed)?;
    write!(f, " failed {failures} times in a row, last: {reason}")?;
    if reason.starts_with(CANNOT_CONNECT) {
        write!(f, "; {REACH_REMEDY}")?;
    }
    Ok(())
}

fn name(f: &mut fmt::Formatter<'_>, operation: Operation, feed: Option<Feed>) -> fmt::Result {
    if let Some(feed) = feed {
        write!(f, "{feed}: ")?;
    }
    f.write_str(operation.as_str())
}
