//! Answers as data: Microsoft's objects, every field of them, in Microsoft's words.

use serde::Deserialize;

use crate::audit::answers::{Content, DlpType, Notification, Subscription};

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
        /// How many it has, but for those that were dropped.
        records: u64,
        /// How many were dropped because they are larger than `record_bytes_max`.
        dropped: u64,
        /// How many of `records` were left out by the filters: see
        /// [`Caller::leave_out_filtered`](super::Caller::leave_out_filtered).
        filtered: u64,
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
