//! The error an author returns: a text for the operator. Nothing decides on it.

use std::any::Any;
use std::fmt;

use crate::outbox::Stopped;

/// Why an input could not start, or stopped. Any error converts into it with `?`.
///
/// Several lines are printed as several log lines: report all mistakes of a configuration at once.
///
/// [`Stopped`] converts too, so that a worker may send with `?`; it is not logged.
#[derive(Debug)]
pub struct Failure {
    text: String,
    is_stop: bool,
}

impl Failure {
    /// A failure with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_stop: false }
    }

    /// Whether nothing failed, but the input was told to stop.
    pub(crate) fn is_stop(&self) -> bool {
        self.is_stop
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// `Failure` itself is no `Error`, or this would overlap with `From<T> for T`.
impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { text, is_stop: (&error as &dyn Any).is::<Stopped>() }
    }
}
