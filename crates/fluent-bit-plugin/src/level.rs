//! How important a line of the log is.

use fluent_bit_plugin_sys as sys;

/// Severity. By convention: WARN lost no data; ERROR lost data or needs an operator; INFO is a
/// start, a stop or a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Data is lost or an operator has to act.
    Error,
    /// Something is wrong, nothing is lost.
    Warn,
    /// A start, a stop, a change. The host's default.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// More of it. Most builds of the host never print it.
    Trace,
}

impl Level {
    pub(crate) const ALL: [Self; 5] =
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The host's number.
    pub(crate) fn code(self) -> std::ffi::c_int {
        match self {
            Self::Error => sys::FLB_LOG_ERROR,
            Self::Warn => sys::FLB_LOG_WARN,
            Self::Info => sys::FLB_LOG_INFO,
            Self::Debug => sys::FLB_LOG_DEBUG,
            Self::Trace => sys::FLB_LOG_TRACE,
        }
    }
}
