//! What all collectors of one run write to.

use crate::log::Log;
use crate::output::SharedOutput;
use crate::run::board::Board;

/// Where records and lines for people go.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) output: SharedOutput,
    pub(super) once: bool,
    /// Whether a closed stdin is the end.
    pub(super) stdin: bool,
    pub(super) log: Log,
    pub(super) board: Board,
}
