//! Options: what there is, and how they are read.

mod cloud;
mod reader;
mod schema;
mod table;

pub use cloud::{CLOUDS, Cloud};
pub use reader::{ConfigError, RawOptions, Reader, nearest, no_entries};
pub use schema::{of_type, property};
pub use table::*;
