//! Events as log lines, by what they are about. They never hold a secret.

mod blob;
mod collector;
mod listing;
mod record;
mod request;
mod sign_in;
mod subscription;
mod words;

use std::fmt;

use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed(feed, event) => {
                write!(f, "{feed}: ")?;
                event.say(*feed, f)
            }
            Self::CollectorStarted { feeds, resumed } => collector::started(f, feeds, *resumed),
            Self::TokenAcquired { lifetime, .. } => sign_in::token_acquired(f, *lifetime),
            Self::TokenRefusedError { code, message, remedy } => {
                sign_in::token_refused(f, code, message, remedy)
            }
            Self::ForeignAnswerError { operation, feed, answer, code, remedy } => {
                request::foreign(f, *operation, *feed, answer, code, remedy)
            }
            Self::TokensRejectedError { operation, feed, tokens, answer, remedy } => {
                request::rejected(f, *operation, *feed, *tokens, answer, remedy)
            }
            Self::SigningIn { credential, auto } => sign_in::signing_in(f, credential, *auto),
            Self::CredentialChanged { credential } => sign_in::credential_changed(f, credential),
            Self::CredentialUnreadable { problem } => sign_in::credential_unreadable(f, problem),
            Self::CertificateExpiring { thumbprint, until, days } => {
                sign_in::certificate_expiring(f, thumbprint, *until, *days)
            }
            Self::CertificateExpiredError { thumbprint, until } => {
                sign_in::certificate_expired(f, thumbprint, *until)
            }
            Self::CertificateEarlyError { thumbprint, from } => {
                sign_in::certificate_early(f, thumbprint, *from)
            }
            Self::Throttled { operation, requests_per_minute, pause, until } => {
                request::throttled(f, *operation, *requests_per_minute, *pause, *until)
            }
            Self::RequestRetried { operation, feed, reason, retry_in, .. } => {
                request::retried(f, *operation, *feed, reason, *retry_in)
            }
            Self::SignInUnreachable { reason, retry_in } => sign_in::silent(f, reason, *retry_in),
            Self::ApiUnreachable { operation, reason } => {
                request::api_unreachable(f, *operation, reason)
            }
            Self::RequestPostponed { operation, feed, reason, until } => {
                request::postponed(f, *operation, *feed, reason, *until)
            }
            Self::RetriesMounting { operation, feed, failures, reason } => {
                request::mounting(f, *operation, *feed, *failures, reason)
            }
            Self::ClockCorrected { seconds } => collector::clock(f, *seconds),
            Self::FilterDoubtful { option, problem } => write!(f, "{option}: {problem}"),
            Self::LookbackIgnored { option, begin } => collector::lookback(f, option, *begin),
            Self::LossesUnacknowledged { losses, since } => collector::losses(f, *losses, *since),
            Self::LossesAcknowledged { losses, left } => collector::acknowledged(f, *losses, *left),
            Self::OutputShortError { output, missing_bytes } => {
                collector::output_short(f, output, *missing_bytes)
            }
            Self::RecordsRejectedError { output, count, said } => {
                collector::records_rejected(f, output, *count, said)
            }
            Self::BatchesReturned { batches } => collector::batches_returned(f, *batches),
        }
    }
}

impl FeedEvent {
    /// What is said of `feed`, whose name has been said.
    fn say(&self, feed: Feed, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubscriptionStarted => subscription::started(f),
            Self::SubscriptionGapError { start, end } => subscription::gap(f, *start, *end),
            Self::SubscriptionMissing { retry_in, starts, answer } => {
                subscription::missing(f, feed, *retry_in, *starts, answer.as_deref())
            }
            Self::FeedDeniedError { code, message, remedy } => {
                subscription::feed_denied(f, code, message, remedy)
            }
            Self::FeedRestored => subscription::feed_restored(f),
            Self::WindowListed { start, end, blobs, new } => {
                listing::window(f, *start, *end, *blobs, *new)
            }
            Self::BacklogDelivered { quarantined } => listing::backlog_delivered(f, *quarantined),
            Self::BlobQuarantined { blobs, content_id, reason, expiration } => {
                blob::quarantined(f, *blobs, content_id, reason, *expiration)
            }
            Self::FeedFailingError { unread, code, message, remedy } => {
                blob::feed_failing(f, unread, code, message, remedy)
            }
            Self::BlobsUnreadableError { blobs, stopped } => blob::unreadable(f, *blobs, *stopped),
            Self::BlobRecovered { content_id } => blob::recovered(f, content_id),
            Self::ContentLostError { content_id, records_delivered, reason } => {
                blob::lost(f, content_id, *records_delivered, reason)
            }
            Self::BlobEmpty { content_id, since } => blob::empty(f, content_id, *since),
            Self::HoursReopened { start, end } => listing::reopened(f, *start, *end),
            Self::ReplayRefused { start, end } => listing::replay_refused(f, *start, *end),
            Self::ListingGapError { start, end, kept } => listing::gap(f, *start, *end, *kept),
            Self::RecordsDroppedError { content_id, count, reason } => {
                record::dropped(f, content_id, *count, reason)
            }
            Self::RecordsRevised { content_id, count } => record::revised(f, content_id, *count),
            Self::RecordsWithheldError { content_id, count } => {
                record::withheld(f, content_id, *count)
            }
            Self::ListingEntriesDroppedError { count } => listing::entries_dropped(f, *count),
            Self::AddressDerived { address } => listing::address_derived(f, address),
            Self::AddressRefusedError { address } => listing::address_refused(f, address),
            Self::WebhookSet { address } => subscription::webhook_set(f, address),
            Self::WebhookRefused { address, code, remedy, retry_in } => {
                subscription::webhook_refused(f, address, code, remedy, *retry_in)
            }
            Self::WebhookKept { address } => subscription::webhook_kept(f, address),
            Self::WebhookLost { address, code } => {
                subscription::webhook_lost(f, feed, address, code)
            }
            Self::HintForgotten { reason } => subscription::hint_forgotten(f, reason),
            Self::ActivitiesListed { start, end, pages, records } => {
                listing::activities_listed(f, *start, *end, *pages, *records)
            }
            Self::FiltersChanged => listing::filters_changed(f),
            Self::FilterIgnored { filter, records } => listing::filter_ignored(f, filter, *records),
        }
    }
}
