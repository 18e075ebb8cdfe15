//! What all collectors of one run write to.

use m365_audit_client::Handle;
use m365_audit_core::Envelope;

use crate::log::Log;
use crate::output::SharedOutput;
use crate::run::board::Board;
use crate::run::sink::NdjsonSink;

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

impl Place {
    pub(super) fn sink(&self, envelope: Envelope, handle: Handle) -> NdjsonSink {
        NdjsonSink::new(self.clone(), envelope, handle)
    }
}
