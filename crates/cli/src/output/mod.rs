//! Where lines go, and when they are safe there: a file that others may rotate, a pipe, a device.
//! What both kinds of run write with.

mod last_line;
mod memory;
mod open;
mod oversized;
mod place;
mod rotate;
mod spool;
mod stamp;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use crate::output::memory::{Memory, Missing};
pub(crate) use crate::output::open::{Output, SharedOutput, is_full, lock, no_file};
pub(crate) use crate::output::stamp::{KEY as STAMP_KEY, OVERSIZED_KEY, Standing, look as look_at};
