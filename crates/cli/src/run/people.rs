//! Where lines for people go.

use crate::log::Log;
use crate::run::board::Board;

/// The log, and a place on the board.
#[derive(Clone, Debug)]
pub(super) struct People {
    pub(super) log: Log,
    pub(super) board: Board,
}

impl People {
    /// The same for one tenant of many.
    pub(super) fn of(&self, tenant: &str) -> Self {
        Self { log: self.log.of(tenant), board: self.board.of(tenant) }
    }
}
