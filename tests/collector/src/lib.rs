//! Rings of tests of the collector as a whole. They drive the real thing: the core and the
//! simulator, in virtual time.

#![forbid(unsafe_code)]

pub mod simulation;
