//! What is said of records.

use std::fmt;

pub(super) fn dropped(
    f: &mut fmt::Formatter<'_>,
    content_id: &str,
    count: u64,
    reason: &str,
) -> fmt::Result {
    write!(f, "{count} records of blob {content_id} dropped: {reason}")
}

pub(super) fn revised(f: &mut fmt::Formatter<'_>, content_id: &str, count: u64) -> fmt::Result {
    write!(
        f,
        "{count} records of blob {content_id} were delivered before and say \
         something else now; delivered again"
    )
}

pub(super) fn withheld(f: &mut fmt::Formatter<'_>, content_id: &str, count: u64) -> fmt::Result {
    write!(
        f,
        "{count} records of blob {content_id} withheld: they are no valid \
         JSON, so that redact cannot find what to replace; only length and hash went out"
    )
}
