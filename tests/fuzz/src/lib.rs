//! Fuzz targets: each module has one `check`, which is given bytes, makes an input of them, and
//! compares what the product makes of it with somebody who cannot be wrong in the same way: another
//! reader, a model of the host, or the input that it was made from.
//!
//! What is found becomes a test in the crate concerned, and an entry of the corpus here.

#![cfg(fuzzing)]
#![forbid(unsafe_code)]

use std::sync::LazyLock;

mod certificates;
mod envelope;
mod filters;
mod forward;
mod json;
mod ledger;
mod listings;
mod msgpack;
mod redaction;
mod splitter;
mod state;
mod webhook;
mod wit;

/// Says which target runs.
const VARIABLE: &str = "FUZZ_TARGET";

/// One target: it panics where the product and the second opinion differ.
type Check = fn(&[u8]);

/// All of them, by name.
const TARGETS: [(&str, Check); 12] = [
    ("certificates", certificates::check),
    ("envelope", envelope::check),
    ("filters", filters::check),
    ("forward", forward::check),
    ("ledger", ledger::check),
    ("listings", listings::check),
    ("msgpack", msgpack::check),
    ("redaction", redaction::check),
    ("splitter", splitter::check),
    ("state", state::check),
    ("webhook", webhook::check),
    ("wit", wit::check),
];

static CHOSEN: LazyLock<Check> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    let chosen = TARGETS.iter().find(|(of, _)| *of == name);
    chosen.unwrap_or_else(|| panic!("{VARIABLE} names no target: {name:?}")).1
});

/// Gives an input to the target that was chosen.
///
/// # Panics
/// The target has found something, or none was chosen.
pub fn check(data: &[u8]) {
    CHOSEN(data);
}
