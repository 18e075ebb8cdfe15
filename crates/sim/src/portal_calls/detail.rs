//! How the Activities API says that something is wrong.

use crate::answer::{Answer, quoted};

/// An error, in the only form that is known of this API.
pub(super) fn detail(status: u16, text: &str) -> Answer {
    Answer::json(status, format!(r#"{{"detail":{}}}"#, quoted(text)))
}
