//! What an event is about, as fields for logs that programs read. Says nothing that the text does
//! not say.

use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::contract::request::Operation;

/// What an event names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSubject<'a> {
    /// The feed.
    pub feed: Option<Feed>,
    /// The blob.
    pub content_id: Option<&'a str>,
    /// The request that it is about.
    pub operation: Option<Operation>,
    /// The code in an answer: Microsoft's, or ours for an answer without.
    pub error: Option<&'a str>,
}

impl Event {
    /// What it names.
    #[must_use]
    pub fn subject(&self) -> EventSubject<'_> {
        let nothing = EventSubject::default();
        match self {
            Self::Feed(feed, event) => EventSubject { feed: Some(*feed), ..event.subject() },
            Self::TokenRefusedError { code, .. } => {
                EventSubject { operation: Some(Operation::Token), error: Some(code), ..nothing }
            }
            Self::ForeignAnswerError { operation, feed, code, .. } => EventSubject {
                feed: *feed,
                operation: Some(*operation),
                error: Some(code),
                ..nothing
            },
            Self::RequestRetried { operation, feed, content_id, .. } => EventSubject {
                feed: *feed,
                content_id: content_id.as_deref(),
                operation: Some(*operation),
                ..nothing
            },
            Self::TokensRejectedError { operation, feed, .. }
            | Self::RequestPostponed { operation, feed, .. }
            | Self::RetriesMounting { operation, feed, .. } => {
                EventSubject { feed: *feed, operation: Some(*operation), ..nothing }
            }
            Self::Throttled { operation, .. } | Self::ApiUnreachable { operation, .. } => {
                EventSubject { operation: Some(*operation), ..nothing }
            }
            Self::TokenAcquired { .. } | Self::SignInUnreachable { .. } => {
                EventSubject { operation: Some(Operation::Token), ..nothing }
            }
            Self::CollectorStarted { .. }
            | Self::SigningIn { .. }
            | Self::CredentialChanged { .. }
            | Self::CredentialUnreadable { .. }
            | Self::CertificateExpiring { .. }
            | Self::CertificateExpiredError { .. }
            | Self::CertificateEarlyError { .. }
            | Self::ClockCorrected { .. }
            | Self::FilterDoubtful { .. }
            | Self::LookbackIgnored { .. }
            | Self::LossesUnacknowledged { .. }
            | Self::LossesAcknowledged { .. }
            | Self::OutputShortError { .. }
            | Self::RecordsRejectedError { .. }
            | Self::BatchesReturned { .. } => nothing,
        }
    }
}

impl FeedEvent {
    fn subject(&self) -> EventSubject<'_> {
        let nothing = EventSubject::default();
        match self {
            Self::BlobQuarantined { content_id, .. }
            | Self::BlobRecovered { content_id }
            | Self::ContentLostError { content_id, .. }
            | Self::BlobEmpty { content_id, .. }
            | Self::RecordsDroppedError { content_id, .. }
            | Self::RecordsRevised { content_id, .. }
            | Self::RecordsWithheldError { content_id, .. } => {
                EventSubject { content_id: Some(content_id), ..nothing }
            }
            Self::FeedDeniedError { code, .. }
            | Self::FeedFailingError { code, .. }
            | Self::WebhookRefused { code, .. }
            | Self::WebhookLost { code, .. } => EventSubject { error: Some(code), ..nothing },
            Self::SubscriptionStarted
            | Self::SubscriptionGapError { .. }
            | Self::SubscriptionMissing { .. }
            | Self::FeedRestored
            | Self::WindowListed { .. }
            | Self::BacklogDelivered { .. }
            | Self::BlobsUnreadableError { .. }
            | Self::HoursReopened { .. }
            | Self::ReplayRefused { .. }
            | Self::ListingGapError { .. }
            | Self::ListingEntriesDroppedError { .. }
            | Self::AddressDerived { .. }
            | Self::AddressRefusedError { .. }
            | Self::WebhookSet { .. }
            | Self::WebhookKept { .. }
            | Self::HintForgotten { .. }
            | Self::ActivitiesListed { .. }
            | Self::FiltersChanged
            | Self::FilterIgnored { .. } => nothing,
        }
    }
}
