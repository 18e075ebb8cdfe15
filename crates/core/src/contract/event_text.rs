//! Events as log lines. They never hold a secret.

use std::fmt;
use std::time::Duration;

use crate::contract::event::Event;
use crate::contract::feed::Feed;
use crate::contract::request::{CANNOT_CONNECT, Operation, REACH_REMEDY};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CollectorStarted { feeds, resumed } => {
                let names: Vec<_> = feeds.iter().map(|ct| ct.as_str()).collect();
                let how = if *resumed { "continuing" } else { "starting" };
                write!(f, "{how} to collect {}", names.join(", "))
            }
            Self::TokenAcquired { lifetime } => {
                write!(f, "signed in; the token is valid for {} s", lifetime.as_secs())
            }
            Self::TokenRefusedError { code, message, remedy } => {
                write!(f, "sign-in refused: {code}: {message}; remedy: {remedy}")
            }
            Self::ForeignAnswerError { operation, feed, answer, code, remedy } => {
                name(f, *operation, *feed)?;
                write!(
                    f,
                    ": {code}: this is no answer of {}: {answer}; remedy: {remedy}",
                    operation.service()
                )
            }
            Self::TokensRejectedError { operation, feed, tokens, answer, remedy } => {
                name(f, *operation, *feed)?;
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
            Self::SubscriptionStarted { feed } => {
                write!(f, "{feed}: subscription started")
            }
            Self::SubscriptionGapError { feed, start, end } => write!(
                f,
                "{feed}: the subscription had been stopped; content published from {start} \
                 to {end} may be lost, for Microsoft gives no access to it"
            ),
            Self::SubscriptionMissing { feed, retry_in, starts: true, answer } => {
                write!(f, "{feed}: not collected: no enabled subscription, ")?;
                match answer {
                    Some(answer) => write!(f, "and the start of one failed: {answer}")?,
                    None => f.write_str("and none may be started yet")?,
                }
                write!(f, "; looking again in {} s", retry_in.as_secs().max(1))
            }
            Self::SubscriptionMissing { feed, .. } => write!(
                f,
                "{feed}: not collected: no enabled subscription; remedy: start it: \
                 `m365-audit subscriptions start {feed}`, or set start_subscriptions on"
            ),
            Self::FeedDeniedError { feed, code, message, remedy } => {
                write!(f, "{feed}: not collected: {code}")?;
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                write!(f, "; remedy: {remedy}")
            }
            Self::FeedRestored { feed } => write!(f, "{feed}: collected again"),
            Self::WindowListed { feed, start, end, blobs, new } => {
                write!(f, "{feed}: listed {start} to {end}: {blobs} blobs, {new} new")
            }
            Self::BacklogDelivered { feed, quarantined: 0 } => {
                write!(f, "{feed}: the backlog is delivered")
            }
            Self::BacklogDelivered { feed, quarantined } => write!(
                f,
                "{feed}: the backlog is delivered, but for {quarantined} blobs that cannot \
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
            Self::RequestRetried { operation, feed, reason, retry_in } => {
                name(f, *operation, *feed)?;
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
            Self::RequestPostponed { operation, feed, reason, until } => {
                name(f, *operation, *feed)?;
                write!(f, ": {reason}; the answer names a long wait: again at {until}")
            }
            Self::RetriesMounting { operation, feed, failures, reason } => {
                name(f, *operation, *feed)?;
                write!(f, " failed {failures} times in a row, last: {reason}")?;
                if reason.starts_with(CANNOT_CONNECT) {
                    write!(f, "; {REACH_REMEDY}")?;
                }
                Ok(())
            }
            Self::BlobQuarantined { feed, blobs: 1, content_id, reason, expiration } => {
                write!(
                    f,
                    "{feed}: blob {content_id} cannot be read: {reason}; retrying until \
                     it expires at {expiration}"
                )
            }
            Self::BlobQuarantined { feed, blobs, content_id, reason, .. } => write!(
                f,
                "{feed}: {blobs} blobs cannot be read, for instance {content_id}: \
                 {reason}; retrying each until it expires"
            ),
            Self::FeedFailingError { feed, unread, code, message, remedy } => {
                write!(f, "{feed}: no {unread} can be read, one after the other fails: {code}")?;
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                write!(f, "; what can be read later is collected then; remedy: {remedy}")
            }
            Self::BlobsUnreadableError { feed, blobs, stopped } => {
                let effect = if *stopped {
                    "nothing more is listed until some can be read or have expired"
                } else {
                    "further ones keep their windows open"
                };
                write!(
                    f,
                    "{feed}: {blobs} blobs cannot be read, and no more can be set aside: \
                     {effect}; remedy: find out why they cannot be read, see the warnings before"
                )
            }
            Self::BlobRecovered { feed, content_id } => {
                write!(f, "{feed}: blob {content_id} was read after all")
            }
            Self::ContentLostError { feed, content_id, records_delivered, reason } => {
                if *records_delivered == 0 {
                    write!(f, "{feed}: blob {content_id} is lost, it expired unread")?;
                } else {
                    write!(
                        f,
                        "{feed}: the rest of blob {content_id} is lost, behind its first \
                         {records_delivered} records, which are delivered: it expired unread"
                    )?;
                }
                write!(f, ": {reason}")
            }
            Self::BlobEmpty { feed, content_id, since } => write!(
                f,
                "{feed}: blob {content_id} has been an empty list at each reading since \
                 {since}; it is taken for empty"
            ),
            Self::ListingGapError { feed, start, end, kept } => write!(
                f,
                "{feed}: content from {start} to {end} ({} min) is lost: it was not listed while \
                 Microsoft kept it ({} days)",
                end.since(*start).as_secs().div_ceil(60),
                kept.as_secs() / (24 * 3_600)
            ),
            Self::RecordsDroppedError { feed, content_id, count, reason } => {
                write!(f, "{feed}: {count} records of blob {content_id} dropped: {reason}")
            }
            Self::RecordsRevised { feed, content_id, count } => write!(
                f,
                "{feed}: {count} records of blob {content_id} were delivered before and say \
                 something else now; delivered again"
            ),
            Self::RecordsWithheldError { feed, content_id, count } => write!(
                f,
                "{feed}: {count} records of blob {content_id} withheld: they are no valid \
                 JSON, so that redact cannot find what to replace; only length and hash went out"
            ),
            Self::ListingEntriesDroppedError { feed, count } => {
                write!(f, "{feed}: {count} entries of a listing cannot be read")
            }
            Self::AddressDerived { feed, address } => {
                let address = if address.is_empty() { "no address" } else { address };
                write!(
                    f,
                    "{feed}: Microsoft names {address} for content that lies elsewhere; \
                     reading it on the configured api_url, by its id. Further ones are counted \
                     in addresses_derived_total"
                )
            }
            Self::AddressRefusedError { feed, address } => write!(
                f,
                "{feed}: not following {address}, nor any other address there: it is not on the \
                 configured api_url; remedy: check cloud and api_url"
            ),
            Self::WebhookSet { feed, address } => {
                write!(f, "{feed}: Microsoft notifies {address} from now on")
            }
            Self::WebhookRefused { feed, address, code, remedy, retry_in } => write!(
                f,
                "{feed}: Microsoft does not accept the webhook {address}: {code}; content \
                 is polled, asking again in {} min; remedy: {remedy}",
                retry_in.as_secs().div_ceil(60)
            ),
            Self::WebhookKept { feed, address } => write!(
                f,
                "{feed}: the subscription keeps its webhook: Microsoft goes on notifying \
                 {address}"
            ),
            Self::WebhookLost { feed, address, code } => write!(
                f,
                "{feed}: the subscription was disabled, and Microsoft does not take its \
                 webhook {address} again: {code}; it is started without; remedy: if somebody needs \
                 notifications, set it again: `m365-audit subscriptions start {feed} \
                 --webhook-address {address}`, with the auth id that it had"
            ),
            Self::HintForgotten { feed, reason } => write!(
                f,
                "{feed}: content that a notification names cannot be read: {reason}; \
                 leaving it to polling"
            ),
            Self::ClockCorrected { seconds } => write!(
                f,
                "the local clock differs from Microsoft's by {seconds} s; using Microsoft's"
            ),
            Self::ActivitiesListed { feed, start, end, pages, records } => {
                write!(f, "{feed}: searched {start} to {end}: {pages} pages, {records} activities")
            }
            Self::FiltersChanged { feed } => write!(
                f,
                "{feed}: activities_filter has changed; what was searched by the old one is not \
                 searched again"
            ),
            Self::FilterIgnored { feed, filter, records } => write!(
                f,
                "{feed}: the service does not apply the filter {filter}: {records} activities \
                 that do not meet it were delivered"
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

fn name(f: &mut fmt::Formatter<'_>, operation: Operation, feed: Option<Feed>) -> fmt::Result {
    if let Some(feed) = feed {
        write!(f, "{feed}: ")?;
    }
    f.write_str(operation.as_str())
}
