//! The simulator from outside: its rules, its errors, its faults, and that it holds the truth.

mod entra;
mod faults;
mod rules;
#[cfg(feature = "server")]
mod server;
mod truth;
mod webhooks;
mod world;
