//! The plugin in the real Fluent Bit, against the simulated Microsoft. Without Fluent Bit the
//! tests say so and pass.

mod abi;
mod activities;
mod delivery;
mod endings;
mod envelopes;
mod file;
mod json;
mod mistakes;
mod monitoring;
mod pipeline;
mod pressure;
mod proxy;
mod receiver;
mod replay;
mod routes;
mod samples;
mod tenants;
mod truth;
mod versions;
