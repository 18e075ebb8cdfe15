//! Panics end here.

use std::panic::{self, AssertUnwindSafe};

/// Runs `f`; a panic becomes its message. An unwind into C would abort the whole agent.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    // What a panicking callback leaves behind is only ever reached through the same checks again.
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "no message".to_owned())
    })
}
