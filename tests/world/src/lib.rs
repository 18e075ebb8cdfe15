//! The one virtual world of the tests: an agenda of what happens when, a network with latency and
//! cuts, a host that takes, holds, loses or refuses what it is given, and the core's own loop on
//! top. No thread, no clock, and no randomness but a seed.
//!
//! Whoever answers requests is a [`Service`]: the simulated Microsoft, or what a test scripts.
//! Whoever checks what passes is a [`Watch`]. Must not know what is right: that is the tests'.

#![forbid(unsafe_code)]

mod agenda;
mod database;
mod draw;
mod life;
mod network;
mod taker;
mod world;

pub use agenda::Agenda;
pub use database::{Claimant, Database};
pub use draw::Draw;
pub use life::{End, Passing, Watch};
pub use m365_sim::Piece;
pub use network::{Answer, Chunks, Said, Service};
pub use taker::{Habits, Taken, Taker};
pub use world::{Setting, World};

/// 2026-03-01T00:00:00Z: when worlds begin.
pub const START_MS: i64 = 1_772_323_200_000;
