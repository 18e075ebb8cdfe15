//! How numbers and times are said.

use std::time::Duration;

/// A number with its noun.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A time that somebody waits, as people say it: `32 s`, `15 min`, `3 h`.
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs().max(1);
    match seconds {
        ..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h", (seconds + 1_800) / 3_600),
    }
}
