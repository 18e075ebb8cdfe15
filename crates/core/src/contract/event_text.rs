//! Events as log lines. They never hold a secret.

use std::fmt;
use std::time::Duration;

use crate::contract::batch::ContentType;
use crate::contract::event::Event;
use crate::contract::request::{CANNOT_CONNECT, Operation, REACH_REMEDY};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CollectorStarted { content_types, resumed } => {
                let names: Vec<_> = content_types.iter().map(|ct| ct.as_str()).collect();
                let how = if *resumed { "continuing" } else { "starting" };
                write!(f, "{how} to collect {}", names.join(", "))
            }
            Self::TokenAcquired { lifetime } => {
                write!(f, "signed in; the token is valid for {} s", lifetime.as_secs())
            }
            Self::TokenRefusedError { code, message, remedy } => {
                write!(f, "sign-in refused: {code}: {message}; remedy: {remedy}")
            }
            Self::ForeignAnswerError { operation, content_type, answer, code, remedy } => {
                name(f, *operation, *content_type)?;
                write!(
                    f,
                    ": {code}: this is no answer of {}: {answer}; remedy: {remedy}",
                    operation.service()
                )
            }
            Self::TokensRejectedError { operation, content_type, tokens, answer, remedy } => {
                name(f, *operation, *content_type)?;
                write!(
                    f,
                    ": {} takes no token: {tokens} fresh ones in a row were refused, last: \
                     {answer}; remedy: {remedy}",
                    operation.service()
                )
            }
            Self::SigningIn { credential, auto } => {
                let how = if *auto { " (auth auto)" } else { "" };
                write!(f, "signing in with {credential}{how}")
            }
            Self::CredentialChanged { credential } => {
                write!(f, "the credential has changed: signing in with {credential} from now on")
            }
            Self::CredentialUnreadable { problem } => {
                write!(f, "{problem}; the credential from before is used further")
            }
            Self::CertificateExpiring { thumbprint, until, days } => {
                let unit = if *days == 1 { "day" } else { "days" };
                write!(
                    f,
                    "certificate {thumbprint} ends in {days} {unit}, at {until}; remedy: register \
                     a new one with the app and replace it"
                )
            }
            Self::CertificateExpiredError { thumbprint, until } => write!(
                f,
                "certificate {thumbprint} has ended at {until}; remedy: register a new one with \
                 the app and replace it"
            ),
            Self::CertificateEarlyError { thumbprint, from } => write!(
                f,
                "certificate {thumbprint} begins at {from} only; remedy: wait until then, or \
                 register another one with the app"
            ),
            Self::SubscriptionStarted { content_type } => {
                write!(f, "{content_type}: subscription started")
            }
            Self::SubscriptionGapError { content_type, start, end } => write!(
                f,
                "{content_type}: the subscription had been stopped; content published from {start} \
                 to {end} may be lost, for Microsoft gives no access to it"
            ),
            Self::SubscriptionMissing { content_type, retry_in, starts: true, answer } => {
                write!(f, "{content_type}: not collected: no enabled subscription, ")?;
                match answer {
                    Some(answer) => write!(f, "and the start of one failed: {answer}")?,
                    None => f.write_str("and none may be started yet")?,
                }
                write!(f, "; looking again in {} s", retry_in.as_secs().max(1))
            }
            Self::SubscriptionMissing { content_type, .. } => write!(
                f,
                "{content_type}: not collected: no enabled subscription; remedy: start it: \
                 `m365-audit subscriptions start {content_type}`, or set start_subscriptions on"
            ),
            Self::FeedDeniedError { content_type, code, message, remedy } => {
                write!(f, "{content_type}: not collected: {code}")?;
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                write!(f, "; remedy: {remedy}")
            }
            Self::FeedRestored { content_type } => write!(f, "{content_type}: collected again"),
            Self::WindowListed { content_type, start, end, blobs, new } => {
                write!(f, "{content_type}: listed {start} to {end}: {blobs} blobs, {new} new")
            }
            Self::BacklogDelivered { content_type, quarantined: 0 } => {
                write!(f, "{content_type}: the backlog is delivered")
            }
            Self::BacklogDelivered { content_type, quarantined } => write!(
                f,
                "{content_type}: the backlog is delivered, but for {quarantined} blobs that cannot \
                 be read yet"
            ),
            Self::Throttled { operation, requests_per_minute, pause, until } => {
                write!(
                    f,
                    "Microsoft throttles {}: {requests_per_minute} requests a minute from now on, \
                     none for {} s",
                    operation.as_str(),
                    pause.as_secs()
                )?;
                if Duration::from_secs(60) < *pause {
                    write!(f, ", until {until}")?;
                }
                Ok(())
            }
            Self::RequestRetried { operation, content_type, reason, retry_in } => {
                name(f, *operation, *content_type)?;
                write!(f, ": {reason}; again in {} ms", retry_in.as_millis())
            }
            Self::SignInUnreachable { reason, retry_in } => write!(
                f,
                "no answer to the first sign-in, again in {} s; {REACH_REMEDY}: {reason}",
                retry_in.as_secs().max(1)
            ),
            Self::ApiUnreachable { operation, reason } => write!(
                f,
                "no answer from {} so far, trying on; {REACH_REMEDY}: {reason}",
                operation.service()
            ),
            Self::RequestPostponed { operation, content_type, reason, until } => {
                name(f, *operation, *content_type)?;
                write!(f, ": {reason}; the answer names a long wait: again at {until}")
            }
            Self::RetriesMounting { operation, content_type, failures, reason } => {
                name(f, *operation, *content_type)?;
                write!(f, " failed {failures} times in a row, last: {reason}")?;
                if reason.starts_with(CANNOT_CONNECT) {
                    write!(f, "; {REACH_REMEDY}")?;
                }
                Ok(())
            }
            Self::BlobQuarantined { content_type, blobs: 1, content_id, reason, expiration } => {
                write!(
                    f,
                    "{content_type}: blob {content_id} cannot be read: {reason}; retrying until \
                     it expires at {expiration}"
                )
            }
            Self::BlobQuarantined { content_type, blobs, content_id, reason, .. } => write!(
                f,
                "{content_type}: {blobs} blobs cannot be read, for instance {content_id}: \
                 {reason}; retrying each until it expires"
            ),
            Self::FeedFailingError { content_type, code, message, remedy } => {
                let searched = *content_type == ContentType::CloudAppActivities;
                let what = if searched { "page of a search" } else { "blob" };
                write!(
                    f,
                    "{content_type}: no {what} can be read, one after the other fails: {code}"
                )?;
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                write!(f, "; what can be read later is collected then; remedy: {remedy}")
            }
            Self::BlobsUnreadableError { content_type, blobs, stopped } => {
                let effect = if *stopped {
                    "nothing more is listed until some can be read or have expired"
                } else {
                    "further ones keep their windows open"
                };
                write!(
                    f,
                    "{content_type}: {blobs} blobs cannot be read, and no more can be set aside: \
                     {effect}; remedy: find out why they cannot be read, see the warnings before"
                )
            }
            Self::BlobRecovered { content_type, content_id } => {
                write!(f, "{content_type}: blob {content_id} was read after all")
            }
            Self::ContentLostError { content_type, content_id, records_delivered, reason } => {
                if *records_delivered == 0 {
                    write!(f, "{content_type}: blob {content_id} is lost, it expired unread")?;
                } else {
                    write!(
                        f,
                        "{content_type}: the rest of blob {content_id} is lost, behind its first \
                         {records_delivered} records, which are delivered: it expired unread"
                    )?;
                }
                write!(f, ": {reason}")
            }
            Self::BlobEmpty { content_type, content_id, since } => write!(
                f,
                "{content_type}: blob {content_id} has been an empty list at each reading since \
                 {since}; it is taken for empty"
            ),
            Self::ListingGapError { content_type, start, end } => write!(
                f,
                "{content_type}: content from {start} to {end} ({} min) is lost: it was not \
                 listed while Microsoft kept it ({})",
                end.since(*start).as_secs().div_ceil(60),
                if *content_type == ContentType::CloudAppActivities {
                    "180 days"
                } else {
                    "7 days"
                }
            ),
            Self::RecordsDroppedError { content_type, content_id, count, reason } => {
                write!(f, "{content_type}: {count} records of blob {content_id} dropped: {reason}")
            }
            Self::RecordsRevised { content_type, content_id, count } => write!(
                f,
                "{content_type}: {count} records of blob {content_id} were delivered before and say \
                 something else now; delivered again"
            ),
            Self::RecordsWithheldError { content_type, content_id, count } => write!(
                f,
                "{content_type}: {count} records of blob {content_id} withheld: they are no valid \
                 JSON, so that redact cannot find what to replace; only length and hash went out"
            ),
            Self::ListingEntriesDroppedError { content_type, count } => {
                write!(f, "{content_type}: {count} entries of a listing cannot be read")
            }
            Self::AddressDerived { content_type, address } => {
                let address = if address.is_empty() { "no address" } else { address };
                write!(
                    f,
                    "{content_type}: Microsoft names {address} for content that lies elsewhere; \
                     reading it on the configured api_url, by its id. Further ones are counted \
                     in addresses_derived_total"
                )
            }
            Self::AddressRefusedError { content_type, address } => write!(
                f,
                "{content_type}: not following {address}, nor any other address there: it is not on the \
                 configured api_url; remedy: check cloud and api_url"
            ),
            Self::WebhookSet { content_type, address } => {
                write!(f, "{content_type}: Microsoft notifies {address} from now on")
            }
            Self::WebhookRefused { content_type, address, code, remedy, retry_in } => write!(
                f,
                "{content_type}: Microsoft does not accept the webhook {address}: {code}; content \
                 is polled, asking again in {} min; remedy: {remedy}",
                retry_in.as_secs().div_ceil(60)
            ),
            Self::WebhookKept { content_type, address } => write!(
                f,
                "{content_type}: the subscription keeps its webhook: Microsoft goes on notifying \
                 {address}"
            ),
            Self::WebhookLost { content_type, address, code } => write!(
                f,
                "{content_type}: the subscription was disabled, and Microsoft does not take its \
                 webhook {address} again: {code}; it is started without; remedy: if somebody needs \
                 notifications, set it again: `m365-audit subscriptions start {content_type} \
                 --webhook-address {address}`, with the auth id that it had"
            ),
            Self::HintForgotten { content_type, reason } => write!(
                f,
                "{content_type}: content that a notification names cannot be read: {reason}; \
                 leaving it to polling"
            ),
            Self::ClockCorrected { seconds } => write!(
                f,
                "the local clock differs from Microsoft's by {seconds} s; using Microsoft's"
            ),
            Self::ActivitiesListed { start, end, pages, records } => write!(
                f,
                "{}: searched {start} to {end}: {pages} pages, {records} activities",
                ContentType::CloudAppActivities
            ),
            Self::FiltersChanged => write!(
                f,
                "{}: activities_filter has changed; what was searched by the old one is not \
                 searched again",
                ContentType::CloudAppActivities
            ),
            Self::FilterIgnored { filter, records } => write!(
                f,
                "{}: the service does not apply the filter {filter}: {records} activities that \
                 do not meet it were delivered",
                ContentType::CloudAppActivities
            ),
            Self::LossesUnacknowledged { losses, since } => {
                let are =
                    if *losses == 1 { "loss of this state is" } else { "losses of this state are" };
                write!(
                    f,
                    "{losses} {are} not acknowledged, the oldest told at {since}; remedy: look at \
                     what was lost: `m365-audit state show`, then `m365-audit state acknowledge`"
                )
            }
            Self::LossesAcknowledged { losses, left } => {
                write!(f, "{losses} losses were acknowledged, {left} are left")
            }
            Self::OutputShortError { output, missing_bytes } => write!(
                f,
                "{output} is {missing_bytes} bytes shorter than what counts as delivered: somebody \
                 has cut or replaced it; remedy: put back what is missing, or collect it again \
                 with a new db while Microsoft keeps it (7 days)"
            ),
            Self::BatchesReturned { batches } => {
                write!(f, "the host lost {batches} batches; collecting them again")
            }
        }
    }
}

fn name(
    f: &mut fmt::Formatter<'_>,
    operation: Operation,
    content_type: Option<ContentType>,
) -> fmt::Result {
    if let Some(content_type) = content_type {
        write!(f, "{content_type}: ")?;
    }
    f.write_str(operation.as_str())
}
