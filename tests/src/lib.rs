//! Rings of tests that need more than one crate. Each module drives the real thing: the core and
//! the simulator in virtual time, real Fluent Bit, real sockets.

#![forbid(unsafe_code)]

pub mod faults;
pub mod simulation;
