//! The only module with `unsafe`: the host's pointers come in here and go no further. Everything
//! it offers to the rest of the crate is safe. Host quirks are in `fluent-bit-plugin-sys`'
//! SAFETY.md; what is done about each, in this crate's.
#![allow(unsafe_code)]

pub mod alloc;
mod config_map;
pub mod exports;
mod host;
mod pause;
mod symbols;

use std::panic::{self, AssertUnwindSafe};

pub(crate) use exports::is_paused;
pub(crate) use host::{Host, HostMetric, LabelValues};

/// Runs `f`; a panic becomes its message. An unwind into C would abort the whole agent.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    // What a panicking callback leaves behind is only ever reached through the same checks again.
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        text.unwrap_or_else(|| "no message".to_owned())
    })
}
