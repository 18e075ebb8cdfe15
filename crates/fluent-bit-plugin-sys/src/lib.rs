//! The C side of an out-of-tree Fluent Bit input: the proxy ("Go") ABI, exactly, and the few host
//! functions that are worth looking up by name.
//!
//! Declarations only. Nothing here calls anything, allocates or checks; the safe wrapper is
//! `fluent-bit-plugin`. Host quirks that a caller has to know are in `SAFETY.md`.
//!
//! Source of every layout: Fluent Bit 5.1.1 (`include/fluent-bit/flb_plugin_proxy.h`, `flb_api.h`,
//! `flb_config_map.h`, `src/proxy/go/go.h`), compared with 2.0.0 to 5.1.1. Offsets are asserted
//! below for LP64; 32-bit hosts are not supported.
#![no_std]

mod api;
mod config_map;
mod host;
mod proxy;

pub use api::*;
pub use config_map::*;
pub use host::*;
pub use proxy::*;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the layouts of Fluent Bit's proxy ABI are known for 64-bit targets only");
