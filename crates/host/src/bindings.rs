//! The WIT package as Rust, made by wasmtime's `bindgen!`. Nothing else may stand here: what the
//! macro makes is documented in `wit/source.wit`.

#![allow(missing_docs, unreachable_pub, unnameable_types)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "m365-audit:source/log-source",
    exports: { default: async },
    additional_derives: [Clone],
});

pub use exports::m365_audit::source::source::{
    Batch, Cause, Change, Entry, Failure, Label, Level, Limits, Metric, MetricKind, Note, Outcome,
    Resume,
};
