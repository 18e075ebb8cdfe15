//! Where records go. A sink answers only when they are safe: the answer is what lets the state
//! advance.

use std::future::Future;

use crate::bindings::Metric;

/// Records on their way: one JSON object a line.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// The lines, each ended by a line feed.
    pub ndjson: &'a str,
    /// How many they are.
    pub count: u32,
}

/// Takes records.
pub trait Sink {
    /// Makes records safe, and answers when they are. Called for one batch after the other.
    ///
    /// May be dropped half-way, at the end of the host; what was not answered for is collected
    /// again.
    ///
    /// # Errors
    /// They are not safe, and some of them may be there all the same.
    fn deliver(&mut self, lines: Lines<'_>) -> impl Future<Output = Result<(), SinkError>>;

    /// Shows where the component says that it stands. Default: nothing.
    fn metrics(&mut self, _metrics: &[Metric]) {}
}

/// Why records were not made safe.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What went wrong, in words.
    pub message: String,
    /// Whether another attempt may fare better without anybody's help.
    pub passing: bool,
}
