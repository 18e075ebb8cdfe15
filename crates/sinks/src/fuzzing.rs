//! What the fuzz targets reach of the inside. It is there under `--cfg fuzzing` alone, which `cargo
//! xtask fuzz` sets.

pub use crate::forward::fuzzing::{acknowledged, encode, read_message, shake_hands};
