//! What an operator can do about each event: one table, from which that of `crates/cli/README.md`
//! is made.

use crate::contract::error_codes::{KnownError, known};
use crate::contract::level::Level::{Debug, Error, Info, Warn};

/// Every event, by its code: those of a whole tenant first.
pub const KNOWN_EVENTS: &[KnownError] = &[
    known("CollectorStarted", Info, "a run begins, or goes on from a stored state", "nothing"),
    known("SigningIn", Info, "which credential is used", "nothing"),
    known("TokenAcquired", Info, "signed in; DEBUG for each further token", "nothing"),
    known(
        "TokenRefusedError",
        Error,
        "Entra ID refuses the credential; nothing is collected until that is mended",
        "see the code in the line among the error codes",
    ),
    known(
        "ForeignAnswerError",
        Error,
        "somebody else answers in the place of Microsoft: a proxy, a sign-in page",
        "check the address and proxy_url; the line quotes the answer",
    ),
    known(
        "TokensRejectedError",
        Error,
        "the API refuses each new token",
        "check tenant_id, cloud, resource, and Conditional Access for workload identities",
    ),
    known("CredentialChanged", Info, "a new credential was read from its file", "nothing"),
    known(
        "CredentialUnreadable",
        Warn,
        "the credential's file cannot be read; the previous one is used",
        "make the file readable, with a credential in it",
    ),
    known(
        "CertificateExpiring",
        Warn,
        "the certificate ends in 30, 7 or 1 days",
        "register a new one with the app and replace the file",
    ),
    known(
        "CertificateExpiredError",
        Error,
        "the certificate has ended",
        "register a new one with the app and replace the file",
    ),
    known(
        "CertificateEarlyError",
        Error,
        "the certificate is not valid yet",
        "wait, or register another one; check the clock",
    ),
    known(
        "Throttled",
        Warn,
        "Microsoft asks for fewer requests; the rate is halved for a while",
        "nothing; if it stays, lower requests_per_minute or what shares the quota",
    ),
    known("RequestRetried", Debug, "a request failed and is repeated", "nothing"),
    known(
        "SignInUnreachable",
        Warn,
        "the first sign-in does not get through",
        "check the network, login_url and proxy_url",
    ),
    known(
        "ApiUnreachable",
        Warn,
        "nothing has answered at the API's address so far",
        "check the network, api_url or portal_url, and proxy_url",
    ),
    known("RequestPostponed", Warn, "the service asks for a long pause", "nothing"),
    known(
        "RetriesMounting",
        Warn,
        "a service keeps failing; collecting goes on when it recovers",
        "look at Microsoft's service health, the network and the proxy",
    ),
    known("ClockCorrected", Warn, "the local clock is wrong; Microsoft's is used", "set the clock"),
    known(
        "LossesUnacknowledged",
        Warn,
        "there are losses that nobody has acknowledged",
        "`m365-audit state show`, then `m365-audit state acknowledge`",
    ),
    known("LossesAcknowledged", Info, "somebody has acknowledged losses", "nothing"),
    known(
        "FilterDoubtful",
        Warn,
        "a filter names a workload that is not known, and may match nothing",
        "check include_workloads and exclude_workloads against Workload in your records",
    ),
    known(
        "LookbackIgnored",
        Warn,
        "lookback reaches further back than what the stored state began with, and has no effect",
        "collect what is before with another db, if Microsoft still keeps it",
    ),
    known(
        "OutputShortError",
        Error,
        "the output has less than what counts as delivered",
        "put back what is missing, or collect it again while Microsoft keeps it",
    ),
    known(
        "RecordsRejectedError",
        Error,
        "a receiver refused records for good; they are dropped",
        "look at its limits and its log, then `m365-audit replay`",
    ),
    known("BatchesReturned", Warn, "the host lost batches; they are collected again", "nothing"),
    known("SubscriptionStarted", Info, "a subscription was started", "nothing"),
    known(
        "SubscriptionGapError",
        Error,
        "a subscription had been stopped; what was published meanwhile may be lost",
        "find out who stopped it; acknowledge the loss",
    ),
    known(
        "SubscriptionMissing",
        Warn,
        "there is no active subscription; starting one must wait, failed, or is off",
        "with start_subscriptions off: `m365-audit subscriptions start TYPE`",
    ),
    known(
        "FeedDeniedError",
        Error,
        "Microsoft denies this feed; the others go on, and it is tried again every 10 minutes",
        "grant the permission that the line names, with administrator consent",
    ),
    known("FeedRestored", Info, "a feed that was denied is collected again", "nothing"),
    known("WindowListed", Debug, "a window of time was listed to its end", "nothing"),
    known("BacklogDelivered", Info, "caught up", "nothing"),
    known(
        "BlobQuarantined",
        Warn,
        "blobs cannot be read; each is retried until it expires",
        "`m365-audit state show` names them; `m365-audit content get ID` asks by hand",
    ),
    known(
        "FeedFailingError",
        Error,
        "blob after blob of a feed fails alike",
        "see the code in the line among the error codes",
    ),
    known(
        "BlobsUnreadableError",
        Error,
        "so many blobs cannot be read that no more can be set aside",
        "the warnings before it say why they cannot be read",
    ),
    known("BlobRecovered", Info, "a blob was read at a later try", "nothing"),
    known("BlobEmpty", Warn, "a blob was an empty list for a day, and counts as empty", "nothing"),
    known(
        "ContentLostError",
        Error,
        "a blob expired before it could be read",
        "`m365-audit state show`, then `m365-audit state acknowledge`",
    ),
    known(
        "ListingGapError",
        Error,
        "content of some time was not listed while Microsoft kept it",
        "`m365-audit state show`, then `m365-audit state acknowledge`",
    ),
    known("HoursReopened", Info, "hours are delivered again, as requested", "nothing"),
    known(
        "ReplayRefused",
        Warn,
        "hours cannot be delivered again: too old, or never collected",
        "nothing",
    ),
    known(
        "RecordsDroppedError",
        Error,
        "records were dropped, for the reason in the line",
        "raise record_bytes_max if they were too large; acknowledge the loss",
    ),
    known("RecordsRevised", Debug, "records came again that say something else", "nothing"),
    known(
        "RecordsWithheldError",
        Error,
        "records could not be read for redaction: only their length and hash was delivered",
        "report them; `m365-audit content get ID` shows the blob",
    ),
    known(
        "ListingEntriesDroppedError",
        Error,
        "entries of a listing cannot be read: their blobs are not known",
        "report it; a proxy may have changed the answer",
    ),
    known(
        "AddressDerived",
        Warn,
        "Microsoft gave a wrong address for content; the right one is asked",
        "nothing",
    ),
    known(
        "AddressRefusedError",
        Error,
        "Microsoft gave an address that is not on api_url, and there is none to ask instead",
        "check cloud and api_url",
    ),
    known("WebhookSet", Info, "Microsoft notifies a webhook from now on", "nothing"),
    known(
        "WebhookRefused",
        Warn,
        "Microsoft does not accept the webhook; content is polled",
        "check that Microsoft can reach it; the line quotes the code",
    ),
    known("WebhookKept", Info, "a subscription was started again with its webhook", "nothing"),
    known(
        "WebhookLost",
        Warn,
        "a subscription was started without the webhook that it had",
        "set it again, if notifications are needed",
    ),
    known("HintForgotten", Debug, "content of a notification is left to polling", "nothing"),
    known("ActivitiesListed", Debug, "a search for activities was read to its end", "nothing"),
    known(
        "FiltersChanged",
        Warn,
        "activities_filter has changed; what was searched is not searched again",
        "nothing, or collect with another db",
    ),
    known(
        "FilterIgnored",
        Warn,
        "the service did not apply a filter of activities",
        "nothing is missing; see the filter in the line",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Levels and codes as `event_code.rs` gives them: every event has a row, and no other.
    #[test]
    fn every_event_has_a_row_with_its_level() {
        let source = include_str!("event_code.rs");
        let codes = source.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next());
        let mut levels = BTreeMap::new();
        for body in source.split("pub const fn level").skip(1) {
            let body = body.split("pub const fn code").next().unwrap_or_default();
            let mut names = Vec::new();
            for line in body.lines() {
                let named = line.split("Self::").skip(1);
                let named =
                    named.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
                names.extend(named);
                if let Some((_, word)) = line.split_once("=> Level::") {
                    let word = word.trim_end_matches(',').to_owned();
                    // Of one that has two, the graver comes first.
                    for name in names.drain(..) {
                        levels.entry(name).or_insert_with(|| word.clone());
                    }
                }
            }
        }
        let mut codes: Vec<_> = codes.collect();
        assert!(50 < codes.len());
        for known in KNOWN_EVENTS {
            let level = &levels[known.code];
            assert_eq!(format!("{:?}", known.severity), *level, "{}", known.code);
            codes.retain(|code| *code != known.code);
        }
        assert_eq!(codes, [""; 0], "without a row");
        let mut names: Vec<_> = KNOWN_EVENTS.iter().map(|known| known.code).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KNOWN_EVENTS.len());
    }
}
