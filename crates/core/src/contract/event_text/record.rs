//! What is said of records.

use std::fmt;

use crate::contract::event_text::words::counted;

pub(super) fn dropped(
    f: &mut fmt::Formatter<'_>,
    content_id: &str,
    count: u64,
    reason: &str,
) -> fmt::Result {
    let records = counted(count, "record", "records");
    write!(f, "{records} of blob {content_id} dropped: {reason}")
}

pub(super) fn revised(f: &mut fmt::Formatter<'_>, content_id: &str, count: u64) -> fmt::Result {
    let (records, differ) = if count == 1 { ("record", "differs") } else { ("records", "differ") };
    write!(
        f,
        "{count} {records} of blob {content_id} {differ} from those delivered before with the same \
         ids; delivered again"
    )
}

pub(super) fn withheld(f: &mut fmt::Formatter<'_>, content_id: &str, count: u64) -> fmt::Result {
    write!(
        f,
        "{} of blob {content_id} withheld: not valid JSON, so that redact cannot find what to \
         replace; only length and hash were delivered",
        counted(count, "record", "records")
    )
}
