//! How much something matters that is told.

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Data is lost, or an operator must act.
    Error,
    /// Out of the ordinary; no data is lost.
    Warn,
    /// A start, a stop, a change.
    Info,
    /// For whoever looks into a problem.
    Debug,
}
