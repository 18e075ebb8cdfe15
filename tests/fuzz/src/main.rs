//! All fuzz targets in one program for libFuzzer, which brings `main`. The variable `FUZZ_TARGET`
//! says which of them runs.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| m365_audit_fuzz::check(data));

/// Without `--cfg fuzzing` there is nothing to run; `cargo xtask fuzz` sets it.
#[cfg(not(fuzzing))]
fn main() {}
