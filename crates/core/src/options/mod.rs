//! Options: what there is, and how they are read.

mod table;

pub use table::*;
