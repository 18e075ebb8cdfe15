//! What is said of what is listed and searched.

use std::fmt;
use std::time::Duration;

use crate::base::time::Utc;
use crate::contract::event_text::words::counted;

pub(super) fn window(
    f: &mut fmt::Formatter<'_>,
    start: Utc,
    end: Utc,
    blobs: u64,
    new: u64,
) -> fmt::Result {
    write!(f, "listed {start} to {end}: {}, {new} new", counted(blobs, "blob", "blobs"))
}

pub(super) fn backlog_delivered(f: &mut fmt::Formatter<'_>, quarantined: u64) -> fmt::Result {
    if quarantined == 0 {
        write!(f, "caught up")
    } else {
        let blobs = counted(quarantined, "blob", "blobs");
        write!(f, "caught up, except for {blobs} that cannot be read yet")
    }
}

pub(super) fn gap(f: &mut fmt::Formatter<'_>, start: Utc, end: Utc, kept: Duration) -> fmt::Result {
    write!(
        f,
        "content from {start} to {end} ({} min) is lost: it was not listed while \
         Microsoft kept it ({} days)",
        end.since(start).as_secs().div_ceil(60),
        kept.as_secs() / (24 * 3_600)
    )
}

pub(super) fn reopened(f: &mut fmt::Formatter<'_>, start: Utc, end: Utc) -> fmt::Result {
    write!(f, "delivering content created from {start} to {end} again, as requested")
}

pub(super) fn replay_refused(f: &mut fmt::Formatter<'_>, start: Utc, end: Utc) -> fmt::Result {
    write!(
        f,
        "content created from {start} to {end} cannot be delivered again: Microsoft no longer \
         keeps it for long enough, or it was never collected"
    )
}

pub(super) fn entries_dropped(f: &mut fmt::Formatter<'_>, count: u64) -> fmt::Result {
    write!(f, "{} of a listing cannot be read", counted(count, "entry", "entries"))
}

pub(super) fn address_derived(f: &mut fmt::Formatter<'_>, address: &str) -> fmt::Result {
    let address = if address.is_empty() { "no address" } else { address };
    write!(
        f,
        "Microsoft gave {address} for content, which is not on the configured api_url; \
         reading the content there by its id. Further ones are counted in \
         addresses_derived_total"
    )
}

pub(super) fn address_refused(f: &mut fmt::Formatter<'_>, address: &str) -> fmt::Result {
    write!(
        f,
        "not following {address}, or any other address there: it is not on the configured \
         api_url; remedy: check cloud and api_url"
    )
}

pub(super) fn activities_listed(
    f: &mut fmt::Formatter<'_>,
    start: Utc,
    end: Utc,
    pages: u64,
    records: u64,
) -> fmt::Result {
    let pages = counted(pages, "page", "pages");
    let records = counted(records, "activity", "activities");
    write!(f, "searched {start} to {end}: {pages}, {records}")
}

pub(super) fn filters_changed(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "activities_filter has changed; intervals that were searched with the old one are not \
         searched again"
    )
}

pub(super) fn filter_ignored(
    f: &mut fmt::Formatter<'_>,
    filter: &str,
    records: u64,
) -> fmt::Result {
    write!(
        f,
        "the service did not apply the filter {filter}: {records} activities that do not match \
         it were delivered"
    )
}
