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
        "{count} records of blob {content_id} differ from those delivered before with the same \
         ids; delivered again"
    )
}

pub(super) fn withheld(f: &mut fmt::Formatter<'_>, content_id: &str, count: u64) -> fmt::Result {
    write!(
        f,
        "{count} records of blob {content_id} withheld: they are not valid JSON, so redact \
         cannot find what to replace; only their length and hash were delivered"
    )
}
