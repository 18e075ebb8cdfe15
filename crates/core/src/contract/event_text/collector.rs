//! What is said of the collector as a whole.

use std::fmt;

use crate::base::time::Utc;
use crate::contract::event_text::words::counted;
use crate::contract::feed::Feed;

pub(super) fn started(f: &mut fmt::Formatter<'_>, feeds: &[Feed], resumed: bool) -> fmt::Result {
    let names: Vec<_> = feeds.iter().map(|ct| ct.as_str()).collect();
    let how = if resumed { "continuing" } else { "starting" };
    write!(f, "{how} to collect {}", names.join(", "))
}

pub(super) fn clock(f: &mut fmt::Formatter<'_>, seconds: i64) -> fmt::Result {
    write!(f, "the local clock differs from Microsoft's by {seconds} s; using Microsoft's")
}

pub(super) fn lookback(f: &mut fmt::Formatter<'_>, option: &str, begin: Utc) -> fmt::Result {
    write!(
        f,
        "{option} has no effect before {begin}, where the stored state begins; remedy: to have what \
         is before it, collect it once with another db, while Microsoft keeps it"
    )
}

pub(super) fn losses(f: &mut fmt::Formatter<'_>, losses: u64, since: Utc) -> fmt::Result {
    let are = if losses == 1 { "loss of this state is" } else { "losses of this state are" };
    write!(
        f,
        "{losses} {are} not acknowledged, the oldest reported at {since}; remedy: see what was \
         lost with `m365-audit state show`, then run `m365-audit state acknowledge`"
    )
}

pub(super) fn acknowledged(f: &mut fmt::Formatter<'_>, losses: u64, left: u64) -> fmt::Result {
    write!(f, "{} acknowledged, {left} left", counted(losses, "loss", "losses"))
}

pub(super) fn output_short(
    f: &mut fmt::Formatter<'_>,
    output: &str,
    missing_bytes: u64,
) -> fmt::Result {
    write!(
        f,
        "{output} is {} shorter than what counts as delivered: it was \
         truncated or replaced; remedy: put back what is missing, or collect it again \
         with a new db while Microsoft keeps it (7 days)",
        counted(missing_bytes, "byte", "bytes")
    )
}

pub(super) fn records_rejected(
    f: &mut fmt::Formatter<'_>,
    output: &str,
    count: u64,
    said: &str,
) -> fmt::Result {
    let (records, are) = match count {
        1 => ("record was", "is"),
        _ => ("records were", "are"),
    };
    write!(f, "{output}: {count} {records} refused for good, and {are} dropped")?;
    if !said.is_empty() {
        write!(f, ": {said:?}")?;
    }
    f.write_str(
        "; remedy: look at the receiver's limits and its log, then have the time collected again: \
         `m365-audit replay`",
    )
}

pub(super) fn batches_returned(f: &mut fmt::Formatter<'_>, batches: u64) -> fmt::Result {
    write!(f, "the host lost {}; collecting again", counted(batches, "batch", "batches"))
}
