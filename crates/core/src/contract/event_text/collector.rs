//! What is said of the collector as a whole.

use std::fmt;

use crate::base::time::Utc;
use crate::contract::feed::Feed;

pub(super) fn started(f: &mut fmt::Formatter<'_>, feeds: &[Feed], resumed: bool) -> fmt::Result {
    let names: Vec<_> = feeds.iter().map(|ct| ct.as_str()).collect();
    let how = if resumed { "continuing" } else { "starting" };
    write!(f, "{how} to collect {}", names.join(", "))
}

pub(super) fn clock(f: &mut fmt::Formatter<'_>, seconds: i64) -> fmt::Result {
    write!(f, "the local clock differs from Microsoft's by {seconds} s; using Microsoft's")
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
    write!(f, "{losses} losses acknowledged, {left} left")
}

pub(super) fn output_short(
    f: &mut fmt::Formatter<'_>,
    output: &str,
    missing_bytes: u64,
) -> fmt::Result {
    write!(
        f,
        "{output} is {missing_bytes} bytes shorter than what counts as delivered: it was \
         truncated or replaced; remedy: put back what is missing, or collect it again \
         with a new db while Microsoft keeps it (7 days)"
    )
}

pub(super) fn records_rejected(
    f: &mut fmt::Formatter<'_>,
    output: &str,
    count: u64,
    said: &str,
) -> fmt::Result {
    write!(f, "{output}: {count} records were refused for good, and are dropped")?;
    if !said.is_empty() {
        write!(f, ": {said:?}")?;
    }
    f.write_str(
        "; remedy: look at the receiver's limits and its log, then have the time collected again: \
         `m365-audit replay`",
    )
}

pub(super) fn batches_returned(f: &mut fmt::Formatter<'_>, batches: u64) -> fmt::Result {
    write!(f, "the host lost {batches} batches; collecting them again")
}
