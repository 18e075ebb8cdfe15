//! What is said of blobs.

use std::fmt;

use crate::base::time::Utc;

pub(super) fn quarantined(
    f: &mut fmt::Formatter<'_>,
    blobs: u64,
    content_id: &str,
    reason: &str,
    expiration: Utc,
) -> fmt::Result {
    if blobs == 1 {
        write!(
            f,
            "blob {content_id} cannot be read: {reason}; retrying until \
             it expires at {expiration}"
        )
    } else {
        write!(
            f,
            "{blobs} blobs cannot be read, for instance {content_id}: \
             {reason}; retrying each until it expires"
        )
    }
}

pub(super) fn feed_failing(
    f: &mut fmt::Formatter<'_>,
    unread: &str,
    code: &str,
    message: &str,
    remedy: &str,
) -> fmt::Result {
    write!(f, "no {unread} can be read, one after the other fails: {code}")?;
    if !message.is_empty() {
        write!(f, ": {message}")?;
    }
    write!(f, "; what can be read later is collected then; remedy: {remedy}")
}

pub(super) fn unreadable(f: &mut fmt::Formatter<'_>, blobs: u64, stopped: bool) -> fmt::Result {
    let effect = if stopped {
        "nothing more is listed until some can be read or have expired"
    } else {
        "further ones keep their windows open"
    };
    write!(
        f,
        "{blobs} blobs cannot be read, and no more can be set aside: \
         {effect}; remedy: find out why they cannot be read, see the warnings before"
    )
}

pub(super) fn recovered(f: &mut fmt::Formatter<'_>, content_id: &str) -> fmt::Result {
    write!(f, "blob {content_id} was read after all")
}

pub(super) fn lost(
    f: &mut fmt::Formatter<'_>,
    content_id: &str,
    records_delivered: u64,
    reason: &str,
) -> fmt::Result {
    if records_delivered == 0 {
        write!(f, "blob {content_id} is lost, it expired unread")?;
    } else {
        write!(
            f,
            "the rest of blob {content_id} is lost, behind its first \
             {records_delivered} records, which are delivered: it expired unread"
        )?;
    }
    write!(f, ": {reason}")
}

pub(super) fn empty(f: &mut fmt::Formatter<'_>, content_id: &str, since: Utc) -> fmt::Result {
    write!(
        f,
        "blob {content_id} has been an empty list at each reading since \
         {since}; it is taken for empty"
    )
}
