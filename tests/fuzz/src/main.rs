//! All fuzz targets in one program for libFuzzer, which brings `main`. The variable `FUZZ_TARGET`
//! says which of them runs.

#![cfg_attr(all(fuzzing, not(clippy)), no_main)]

#[cfg(all(fuzzing, not(clippy)))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| m365_audit_fuzz::check(data));

/// There is nothing to run where libFuzzer is not: for whoever lints this, or compiles it without
/// `cargo xtask fuzz`.
#[cfg(not(all(fuzzing, not(clippy))))]
fn main() {}
