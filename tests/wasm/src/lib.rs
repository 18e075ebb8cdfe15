//! Components to test hosts with. For tests only.

#![forbid(unsafe_code)]

pub mod guest;
