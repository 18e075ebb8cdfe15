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
    write!(f, "reading {unread} keeps failing: {code}")?;
    if !message.is_empty() {
        write!(f, ": {message}")?;
    }
    write!(f, "; retrying; remedy: {remedy}")
}

pub(super) fn unreadable(f: &mut fmt::Formatter<'_>, blobs: u64, stopped: bool) -> fmt::Result {
    let effect = if stopped {
        "no more are listed until some can be read or have expired"
    } else {
        "windows with further ones stay open"
    };
    write!(
        f,
        "{blobs} blobs cannot be read, the most that are set aside: {effect}; remedy: the \
         warnings before this say why they cannot be read"
    )
}

pub(super) fn recovered(f: &mut fmt::Formatter<'_>, content_id: &str) -> fmt::Result {
    write!(f, "blob {content_id} has been read at a later try")
}

pub(super) fn lost(
    f: &mut fmt::Formatter<'_>,
    content_id: &str,
    records_delivered: u64,
    reason: &str,
) -> fmt::Result {
    if records_delivered == 0 {
        write!(f, "blob {content_id} is lost: it expired before it could be read")?;
    } else {
        write!(
            f,
            "the rest of blob {content_id} is lost: it expired before it could be read; its \
             first {records_delivered} records were delivered"
        )?;
    }
    write!(f, "; last failure: {reason}")
}

pub(super) fn empty(f: &mut fmt::Formatter<'_>, content_id: &str, since: Utc) -> fmt::Result {
    write!(
        f,
        "blob {content_id} has been an empty list at every reading since {since}; treating \
         it as empty"
    )
}
