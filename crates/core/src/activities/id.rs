//! Activities by name, and what may be said about one.

/// Ids have about 60 characters.
const ID_CHARS_MAX: usize = 512;

/// The id of an activity: `_id` in its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityId(Box<str>);

impl ActivityId {
    /// Reads an id.
    ///
    /// # Errors
    /// What was written, shortened, if it cannot be one: it would not stay one part of an address.
    pub fn parse(text: &str) -> Result<Self, NoActivityId> {
        let text = text.trim();
        let legal =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | ':' | '$');
        let dots = text.chars().all(|c| c == '.');
        if !dots && text.len() <= ID_CHARS_MAX && text.chars().all(legal) {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(200).collect();
        Err(NoActivityId(shown))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is no id of an activity, shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of an activity")]
pub struct NoActivityId(String);

/// A remark about an activity, for Microsoft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// Microsoft's own example has `0`, and no document says what others mean.
    pub value: String,
    /// In words.
    pub text: String,
    /// Where Microsoft may ask back; `None`: nowhere.
    pub contact_email: Option<String>,
}
