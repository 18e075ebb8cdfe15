//! Answers as data: Microsoft's objects, every field of them, in Microsoft's words.

use serde::Deserialize;

use crate::base::secret::Secret;

/// What a call answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Call::SignIn`](super::Call::SignIn).
    SignedIn,
    /// The subscriptions of this application, enabled or not.
    Subscriptions(Vec<Subscription>),
    /// The subscription as it is after the start.
    Started(Subscription),
    /// The subscription was enabled before, and nothing was changed (`AF20024`).
    Unchanged,
    /// The subscription is stopped.
    Stopped,
    /// What was listed, in Microsoft's order, windows oldest first.
    Contents(Vec<Content>),
    /// The blob's records were handed over.
    Expanded {
        /// How many.
        records: u64,
        /// How many were dropped because they are larger than `record_bytes_max`.
        dropped: u64,
    },
    /// Attempts to notify, in Microsoft's order.
    Notifications(Vec<Notification>),
    /// Sensitive information types.
    DlpTypes(Vec<DlpType>),
    /// The activities were handed over.
    Activities {
        /// How many.
        records: u64,
        /// How many were dropped because they are larger than `record_bytes_max`.
        dropped: u64,
        /// Whether the limit was reached before the end.
        more: bool,
    },
    /// The remark was taken.
    FeedbackSent,
}

impl Reply {
    /// Adds an entry. Answers whether it could be read.
    pub(crate) fn push(&mut self, json: &[u8]) -> bool {
        fn read<'a, T: Deserialize<'a>>(entries: &mut Vec<T>, json: &'a [u8]) -> bool {
            serde_json::from_slice(json).map(|entry| entries.push(entry)).is_ok()
        }
        match self {
            Self::Subscriptions(entries) => read(entries, json),
            Self::Contents(entries) => read(entries, json),
            Self::Notifications(entries) => read(entries, json),
            Self::DlpTypes(entries) => read(entries, json),
            Self::SignedIn
            | Self::Started(_)
            | Self::Unchanged
            | Self::Stopped
            | Self::Activities { .. }
            | Self::FeedbackSent
            | Self::Expanded { .. } => false,
        }
    }

    /// How many entries it has.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Subscriptions(entries) => entries.len(),
            Self::Contents(entries) => entries.len(),
            Self::Notifications(entries) => entries.len(),
            Self::DlpTypes(entries) => entries.len(),
            Self::SignedIn
            | Self::Started(_)
            | Self::Unchanged
            | Self::Stopped
            | Self::Activities { .. }
            | Self::FeedbackSent
            | Self::Expanded { .. } => 0,
        }
    }

    /// Takes back the entries of an answer that did not end well.
    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            Self::Subscriptions(entries) => entries.truncate(len),
            Self::Contents(entries) => entries.truncate(len),
            Self::Notifications(entries) => entries.truncate(len),
            Self::DlpTypes(entries) => entries.truncate(len),
            Self::SignedIn
            | Self::Started(_)
            | Self::Unchanged
            | Self::Stopped
            | Self::Activities { .. }
            | Self::FeedbackSent
            | Self::Expanded { .. } => {}
        }
    }
}

/// A subscription of this application to a feed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The feed, in Microsoft's spelling.
    pub content_type: String,
    /// `enabled` or `disabled`. Microsoft's own sample leaves it out.
    #[serde(default)]
    pub status: Option<String>,
    /// The webhook, if it has one that was validated.
    #[serde(default)]
    pub webhook: Option<Webhook>,
}

impl Subscription {
    /// Whether content can be listed.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status.eq_ignore_ascii_case("enabled"))
    }
}

/// The webhook of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// `enabled`; `disabled` after failures; `expired`.
    #[serde(default)]
    pub status: Option<String>,
    /// Where notifications go.
    #[serde(default)]
    pub address: Option<String>,
    /// What they bring along as `Webhook-AuthID`. Secret: whoever knows it can forge them.
    #[serde(default, deserialize_with = "secret")]
    pub auth_id: Option<Secret<String>>,
    /// When they end; never, if absent.
    #[serde(default)]
    pub expiration: Option<String>,
}

fn secret<'de, D>(deserializer: D) -> Result<Option<Secret<String>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}

/// One entry of a listing: a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The feed.
    #[serde(default, deserialize_with = "any_text")]
    pub content_type: Option<String>,
    /// Its opaque id.
    #[serde(deserialize_with = "id")]
    pub content_id: String,
    /// Where it is read; empty if the entry does not say.
    #[serde(default, deserialize_with = "any_address")]
    pub content_uri: String,
    /// When it was made available.
    #[serde(default, deserialize_with = "any_text")]
    pub content_created: Option<String>,
    /// Until when it can be read.
    #[serde(default, deserialize_with = "any_text")]
    pub content_expiration: Option<String>,
}

/// Text or a number. What is neither is no reason to hide the rest of an entry.
fn any_text<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    })
}

fn any_address<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: serde::Deserializer<'de>,
{
    any_text(deserializer).map(Option::unwrap_or_default)
}

fn id<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = any_text(deserializer)?.filter(|id| !id.is_empty());
    text.ok_or_else(|| serde::de::Error::custom("no contentId"))
}

/// One attempt to tell a webhook of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The blob.
    #[serde(flatten)]
    pub content: Content,
    /// When it was tried.
    #[serde(default)]
    pub notification_sent: Option<String>,
    /// How it went: `success` in the documentation, `Succeeded` and others on the wire.
    #[serde(default)]
    pub notification_status: Option<String>,
}

/// A kind of sensitive information, as DLP records name it by id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DlpType {
    /// The GUID in records.
    pub id: String,
    /// Its name, in the language that was asked for.
    #[serde(default)]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_an_id_is_shown_whatever_else_is_odd() {
        let mut reply = Reply::Contents(Vec::new());
        for entry in [
            r#"{"contentId":"x"}"#,
            r#"{"contentId":"x","contentUri":{},"contentCreated":5,"contentExpiration":[]}"#,
            r#"{"contentId":7,"contentUri":"y","contentType":false}"#,
        ] {
            assert!(reply.push(entry.as_bytes()), "{entry}");
        }
        for entry in [r#"{"contentUri":"y"}"#, r#"{"contentId":null}"#, "7"] {
            assert!(!reply.push(entry.as_bytes()), "{entry}");
        }
        assert_eq!(reply.len(), 3);
    }
}
