//! What events are called, and how much they matter.

use crate::contract::event::{Event, FeedEvent};
use crate::contract::level::Level;

impl Event {
    /// What kind of event it is: its name here. Stable, for filters and alerts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Feed(_, event) => event.code(),
            Self::CollectorStarted { .. } => "CollectorStarted",
            Self::TokenAcquired { .. } => "TokenAcquired",
            Self::TokenRefusedError { .. } => "TokenRefusedError",
            Self::ForeignAnswerError { .. } => "ForeignAnswerError",
            Self::TokensRejectedError { .. } => "TokensRejectedError",
            Self::SigningIn { .. } => "SigningIn",
            Self::CredentialChanged { .. } => "CredentialChanged",
            Self::CredentialUnreadable { .. } => "CredentialUnreadable",
            Self::CertificateExpiring { .. } => "CertificateExpiring",
            Self::CertificateExpiredError { .. } => "CertificateExpiredError",
            Self::CertificateEarlyError { .. } => "CertificateEarlyError",
            Self::Throttled { .. } => "Throttled",
            Self::RequestRetried { .. } => "RequestRetried",
            Self::SignInUnreachable { .. } => "SignInUnreachable",
            Self::ApiUnreachable { .. } => "ApiUnreachable",
            Self::RequestPostponed { .. } => "RequestPostponed",
            Self::RetriesMounting { .. } => "RetriesMounting",
            Self::ClockCorrected { .. } => "ClockCorrected",
            Self::FilterDoubtful { .. } => "FilterDoubtful",
            Self::LookbackIgnored { .. } => "LookbackIgnored",
            Self::LossesUnacknowledged { .. } => "LossesUnacknowledged",
            Self::LossesAcknowledged { .. } => "LossesAcknowledged",
            Self::OutputShortError { .. } => "OutputShortError",
            Self::RecordsRejectedError { .. } => "RecordsRejectedError",
            Self::BatchesReturned { .. } => "BatchesReturned",
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Feed(_, event) => event.level(),
            Self::TokenRefusedError { .. }
            | Self::ForeignAnswerError { .. }
            | Self::TokensRejectedError { .. }
            | Self::CertificateExpiredError { .. }
            | Self::CertificateEarlyError { .. }
            | Self::OutputShortError { .. }
            | Self::RecordsRejectedError { .. } => Level::Error,
            Self::CredentialUnreadable { .. }
            | Self::CertificateExpiring { .. }
            | Self::Throttled { .. }
            | Self::SignInUnreachable { .. }
            | Self::ApiUnreachable { .. }
            | Self::RequestPostponed { .. }
            | Self::RetriesMounting { .. }
            | Self::ClockCorrected { .. }
            | Self::FilterDoubtful { .. }
            | Self::LookbackIgnored { .. }
            | Self::LossesUnacknowledged { .. }
            | Self::BatchesReturned { .. } => Level::Warn,
            Self::CollectorStarted { .. }
            | Self::TokenAcquired { first: true, .. }
            | Self::SigningIn { .. }
            | Self::CredentialChanged { .. }
            | Self::LossesAcknowledged { .. } => Level::Info,
            Self::TokenAcquired { first: false, .. } | Self::RequestRetried { .. } => Level::Debug,
        }
    }
}

impl FeedEvent {
    /// What kind of event it is: its name here. Stable, for filters and alerts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SubscriptionStarted => "SubscriptionStarted",
            Self::SubscriptionGapError { .. } => "SubscriptionGapError",
            Self::SubscriptionMissing { .. } => "SubscriptionMissing",
            Self::FeedDeniedError { .. } => "FeedDeniedError",
            Self::FeedRestored => "FeedRestored",
            Self::WindowListed { .. } => "WindowListed",
            Self::BacklogDelivered { .. } => "BacklogDelivered",
            Self::BlobQuarantined { .. } => "BlobQuarantined",
            Self::FeedFailingError { .. } => "FeedFailingError",
            Self::BlobsUnreadableError { .. } => "BlobsUnreadableError",
            Self::BlobRecovered { .. } => "BlobRecovered",
            Self::BlobEmpty { .. } => "BlobEmpty",
            Self::ContentLostError { .. } => "ContentLostError",
            Self::ListingGapError { .. } => "ListingGapError",
            Self::HoursReopened { .. } => "HoursReopened",
            Self::ReplayRefused { .. } => "ReplayRefused",
            Self::RecordsDroppedError { .. } => "RecordsDroppedError",
            Self::RecordsRevised { .. } => "RecordsRevised",
            Self::RecordsWithheldError { .. } => "RecordsWithheldError",
            Self::ListingEntriesDroppedError { .. } => "ListingEntriesDroppedError",
            Self::AddressDerived { .. } => "AddressDerived",
            Self::AddressRefusedError { .. } => "AddressRefusedError",
            Self::WebhookSet { .. } => "WebhookSet",
            Self::WebhookRefused { .. } => "WebhookRefused",
            Self::WebhookKept { .. } => "WebhookKept",
            Self::WebhookLost { .. } => "WebhookLost",
            Self::HintForgotten { .. } => "HintForgotten",
            Self::ActivitiesListed { .. } => "ActivitiesListed",
            Self::FiltersChanged => "FiltersChanged",
            Self::FilterIgnored { .. } => "FilterIgnored",
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::FeedDeniedError { .. }
            | Self::SubscriptionGapError { .. }
            | Self::FeedFailingError { .. }
            | Self::BlobsUnreadableError { .. }
            | Self::ContentLostError { .. }
            | Self::ListingGapError { .. }
            | Self::RecordsDroppedError { .. }
            | Self::RecordsWithheldError { .. }
            | Self::ListingEntriesDroppedError { .. }
            | Self::AddressRefusedError { .. } => Level::Error,
            Self::SubscriptionMissing { .. }
            | Self::BlobEmpty { .. }
            | Self::AddressDerived { .. }
            | Self::BlobQuarantined { .. }
            | Self::WebhookRefused { .. }
            | Self::WebhookLost { .. }
            | Self::FiltersChanged
            | Self::ReplayRefused { .. }
            | Self::FilterIgnored { .. } => Level::Warn,
            Self::SubscriptionStarted
            | Self::FeedRestored
            | Self::WebhookSet { .. }
            | Self::WebhookKept { .. }
            | Self::BacklogDelivered { .. }
            | Self::HoursReopened { .. }
            | Self::BlobRecovered { .. } => Level::Info,
            Self::WindowListed { .. }
            | Self::HintForgotten { .. }
            | Self::ActivitiesListed { .. }
            | Self::RecordsRevised { .. } => Level::Debug,
        }
    }
}
