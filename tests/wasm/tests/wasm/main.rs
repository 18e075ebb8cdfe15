//! The WASM component from outside: what it imports and exports, and the hosts of `examples/`
//! against the simulated Microsoft. What is missing on a machine is said, and the test passes.

mod command;
mod examples;
mod interface;
mod scene;
mod tools;
