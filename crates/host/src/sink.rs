//! Where records go. A sink answers only when they are safe: the answer is what lets the state
//! advance.

use std::future::Future;

use m365_audit_core::{Commit, OutputShort, Stored};
use m365_audit_sinks::{Lines, SinkError};

use crate::bindings::Metric;

/// Takes records.
pub trait Sink {
    /// An instance is about to begin from this state. What [`Sink::stamp`] has put into it can be
    /// compared with what the sink holds now; answers what is missing. Default: nothing.
    ///
    /// # Errors
    /// The sink cannot be looked at.
    fn resume(&mut self, _stored: &Stored) -> Result<Option<OutputShort>, SinkError> {
        Ok(None)
    }

    /// Makes records safe, and answers when they are. Called for one batch after the other.
    ///
    /// May be dropped half-way, at the end of the host; what was not answered for is collected
    /// again.
    ///
    /// # Errors
    /// They are not safe, and some of them may be there all the same.
    fn deliver(&mut self, lines: Lines<'_>) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// What has been found missing of all that was made safe, since it was asked last. Called after
    /// each call of the component. Default: nothing.
    fn missing(&mut self) -> Option<OutputShort> {
        None
    }

    /// A commit is about to be stored, all of it or nothing. The sink may add what it wants to find
    /// again, under keys that begin with `m365_audit_client::SINK_KEYS`. Default: nothing.
    fn stamp(&mut self, _commit: &mut Commit) {}

    /// Shows where the component says that it stands. Default: nothing.
    fn metrics(&mut self, _metrics: &[Metric]) {}
}
