//! What an operator can do about a code: one table for Entra ID's and the activity API's errors,
//! documented and observed. The table in `crates/cli/README.md` is made from it.

use crate::event::Level;

/// One known code.
#[derive(Clone, Copy, Debug)]
pub struct KnownError {
    /// `AADSTS` number, AF code, or a name of ours.
    pub code: &'static str,
    /// How much it matters when a collector meets it. DEBUG: it is overcome without anybody's help.
    pub severity: Level,
    /// What it means, in a few words.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Every code of Microsoft's reference, and those that were only ever observed: Entra ID's first.
pub const KNOWN_ERRORS: &[KnownError] = &[
    known(
        "AADSTS7000215",
        Level::Error,
        "the client secret is wrong",
        "set client_secret to the secret's value (not its id)",
    ),
    known(
        "AADSTS7000222",
        Level::Error,
        "the client secret has expired",
        "create a new secret for the app registration and set it",
    ),
    known(
        "AADSTS7000218",
        Level::Error,
        "the request held no credential",
        "set client_secret or client_secret_file, or another credential",
    ),
    known(
        "unknown_source",
        Level::Error,
        "the request for a managed identity's token came through another machine",
        "let requests to managed_identity_endpoint leave this machine directly",
    ),
    known(
        "AADSTS7000112",
        Level::Error,
        "the app is disabled",
        "enable the app registration's service principal",
    ),
    known(
        "AADSTS700016",
        Level::Error,
        "the app is not known in this tenant",
        "check client_id and tenant_id, and that an administrator has consented to the app",
    ),
    known(
        "AADSTS700027",
        Level::Error,
        "the certificate is not registered with the app, or its key is another one",
        "upload the certificate to the app registration, or name the one that is there",
    ),
    known(
        "AADSTS700024",
        Level::Error,
        "the assertion is not valid at this time",
        "set the machine's clock",
    ),
    known(
        "AADSTS50027",
        Level::Error,
        "the assertion cannot be read, or is for another address",
        "check login_url and tenant_id; a federated token must be the file's whole content",
    ),
    known(
        "AADSTS700213",
        Level::Error,
        "no federated credential of the app fits the token's subject",
        "check subject, issuer and audience of the app registration's federated credential",
    ),
    known(
        "AADSTS70021",
        Level::Error,
        "no federated credential of the app fits the token",
        "check subject, issuer and audience of the app registration's federated credential",
    ),
    known(
        "AADSTS700211",
        Level::Error,
        "no federated credential of the app fits the token's issuer",
        "check the issuer of the app registration's federated credential",
    ),
    known(
        "AADSTS700212",
        Level::Error,
        "no federated credential of the app fits the token's audience",
        "check the audience of the federated credential: it differs between clouds",
    ),
    known(
        "AADSTS90002",
        Level::Error,
        "the tenant is not known in this cloud",
        "check tenant_id, and cloud",
    ),
    known("AADSTS900382", Level::Error, "the tenant is in another cloud", "check cloud"),
    known(
        "AADSTS500011",
        Level::Error,
        "the API is not known in this tenant",
        "check cloud and resource; the tenant needs the Office 365 Management APIs",
    ),
    known("AADSTS70011", Level::Error, "the scope is not valid", "check resource"),
    known(
        "AADSTS1002012",
        Level::Error,
        "the scope is not valid for an app that signs in by itself",
        "check resource",
    ),
    known(
        "AADSTS650057",
        Level::Error,
        "the API is not among the app's permissions",
        "add ActivityFeed.Read of the Office 365 Management APIs to the app and grant consent",
    ),
    known(
        "AADSTS650051",
        Level::Error,
        "a permission that is asked for does not exist any more",
        "remove retired permissions such as ActivityReports.Read from the app registration",
    ),
    known(
        "AADSTS53003",
        Level::Error,
        "Conditional Access blocks the sign-in",
        "exclude the app from the Conditional Access policy for workload identities",
    ),
    known(
        "AADSTS900144",
        Level::Error,
        "the request for a token lacks a parameter",
        "a proxy may have changed the request; check login_url and proxy_url",
    ),
    known(
        "AADSTS901002",
        Level::Error,
        "the authority does not take a resource, but a scope",
        "check login_url",
    ),
    known(
        "AADSTS70003",
        Level::Error,
        "the authority does not take this kind of sign-in",
        "check login_url",
    ),
    known(
        "AADSTS90033",
        Level::Debug,
        "Entra ID is in passing trouble",
        "nothing: it is tried again",
    ),
    known(
        "AADSTS90024",
        Level::Debug,
        "Entra ID is in passing trouble",
        "nothing: it is tried again",
    ),
    known(
        "AADSTS90055",
        Level::Debug,
        "Entra ID has too many requests",
        "nothing: it is tried again",
    ),
    known(
        "invalid_client",
        Level::Error,
        "the credential was refused",
        "check client_id and client_secret",
    ),
    known(
        "unauthorized_client",
        Level::Error,
        "the app may not sign in here",
        "check client_id and tenant_id",
    ),
    known(
        "invalid_request",
        Level::Error,
        "the request for a token was refused",
        "check tenant_id, login_url and resource",
    ),
    known(
        "invalid_resource",
        Level::Error,
        "the resource is not known, or not permitted",
        "check resource and cloud",
    ),
    known("invalid_scope", Level::Error, "the scope is not valid", "check resource"),
    known(
        "AF10001",
        Level::Error,
        "a permission is missing",
        "grant the app the application permission ActivityFeed.Read (for DLP.All also ActivityFeed.ReadDlp) of the Office 365 Management APIs, with administrator consent",
    ),
    known(
        "AF20001",
        Level::Error,
        "a parameter is missing",
        "a proxy may have changed the request; check api_url and proxy_url",
    ),
    known(
        "AF20002",
        Level::Error,
        "a parameter is not of its type",
        "check publisher_id; of a webhook, the expiration",
    ),
    known(
        "AF20003",
        Level::Error,
        "the webhook's expiration is in the past",
        "name a later --webhook-expiration, or '' for never",
    ),
    known("AF20010", Level::Error, "the token is for another tenant", "check tenant_id"),
    known("AF20011", Level::Error, "the tenant does not exist here", "check tenant_id and cloud"),
    known(
        "AF20012",
        Level::Error,
        "the tenant is not set up for this API",
        "the tenant needs a Microsoft 365 licence that includes auditing",
    ),
    known("AF20013", Level::Error, "the tenant id is no GUID", "check tenant_id"),
    known(
        "AF20020",
        Level::Error,
        "the content type is not valid in this cloud",
        "check content_types and cloud",
    ),
    known(
        "AF20021",
        Level::Error,
        "the webhook did not answer Microsoft's call with status 200 in time, or its address is not https",
        "check that Microsoft can reach --webhook-address, and that its receiver is running",
    ),
    known(
        "AF20022",
        Level::Warn,
        "there is no subscription to this content type",
        "start it: `m365-audit subscriptions start TYPE`; a collector does so by itself unless start_subscriptions is off",
    ),
    known(
        "AF20023",
        Level::Warn,
        "the subscription is stopped, or an administrator has disabled it",
        "start it: `m365-audit subscriptions start TYPE`; a collector does so by itself unless start_subscriptions is off",
    ),
    known(
        "AF20024",
        Level::Debug,
        "the subscription is enabled already",
        "nothing: that is success",
    ),
    known(
        "AF20030",
        Level::Debug,
        "the window is longer than 24 hours, half given, or older than 7 days",
        "name a later range; a collector plans anew. If it comes back, set the machine's clock",
    ),
    known(
        "AF20031",
        Level::Debug,
        "Microsoft does not know its own next page any more",
        "ask again; a collector plans anew",
    ),
    known(
        "AF20050",
        Level::Warn,
        "the content does not exist",
        "check the id; a collector tries again until the content expires",
    ),
    known(
        "AF20051",
        Level::Warn,
        "the content has expired",
        "nothing: it cannot be read any more. A collector reports it at ERROR if it never had it",
    ),
    known(
        "AF20052",
        Level::Warn,
        "the content id is not valid, or belongs to another tenant",
        "check the id, tenant_id and cloud; a collector tries again until the content expires",
    ),
    known(
        "AF20053",
        Level::Error,
        "more than one language was asked for",
        "name one --language, such as es",
    ),
    known(
        "AF20054",
        Level::Error,
        "the language is not written as Microsoft reads it",
        "name a --language such as en-US",
    ),
    known(
        "AF20055",
        Level::Debug,
        "the window is longer than 24 hours, reversed, half given, or older than 7 days",
        "name a later range; a collector plans anew. If it comes back, set the machine's clock",
    ),
    known(
        "AF429",
        Level::Warn,
        "Microsoft asks for fewer requests",
        "nothing: the rate is halved for a while. If it stays, lower requests_per_minute, or ask Microsoft for more",
    ),
    known(
        "AF50000",
        Level::Debug,
        "an error inside of Microsoft's service",
        "nothing: it is tried again",
    ),
    known(
        "AF50005",
        Level::Debug,
        "an error inside of Microsoft's service",
        "nothing: it is tried again",
    ),
    known(
        "AF50006",
        Level::Debug,
        "an error inside of Microsoft's service",
        "nothing: it is tried again",
    ),
    known(
        UNAUTHORIZED,
        Level::Error,
        "401 without a code, although the token is good for other requests",
        "check that the app has ActivityFeed.Read of the Office 365 Management APIs, and what stands \
         between: proxy_url, a gateway, api_url",
    ),
    known(
        FORBIDDEN,
        Level::Error,
        "403 without a code: as a rule not Microsoft's answer, but a proxy's or a firewall's",
        "let requests to api_url pass the proxy and the firewall; check proxy_url, api_url and the \
         app's permissions",
    ),
    known(
        "portal-token",
        Level::Error,
        "the API token of the Defender portal is refused",
        "make a new API token in the Defender portal and set portal_token, or leave it out and grant \
         the app Investigation.read of Microsoft Cloud App Security",
    ),
    known(
        "portal-denied",
        Level::Error,
        "the Defender for Cloud Apps API is denied",
        "grant the app the application permission Investigation.read of Microsoft Cloud App \
         Security, with administrator consent, and check portal_url",
    ),
    known(
        "portal-not-found",
        Level::Error,
        "there is nothing at this address of the Defender for Cloud Apps API",
        "check the activity's id (_id in its record) and portal_url; activities are kept for 180 \
         days",
    ),
    known(
        "portal-refused",
        Level::Error,
        "the Defender for Cloud Apps API does not accept the request",
        "check the filters, and portal_url; the message may say more",
    ),
    known(
        "auditing-off",
        Level::Error,
        "unified audit logging is off",
        "turn auditing on in the Purview portal; it takes up to 60 minutes to apply",
    ),
];

/// Our name for 401 without a code of Microsoft's.
pub(crate) const UNAUTHORIZED: &str = "http-401";

/// Our name for 403 without a code of Microsoft's.
pub(crate) const FORBIDDEN: &str = "http-403";

const fn known(
    code: &'static str,
    severity: Level,
    meaning: &'static str,
    remedy: &'static str,
) -> KnownError {
    KnownError { code, severity, meaning, remedy }
}

/// What is known about `code`.
#[must_use]
pub fn known_error(code: &str) -> Option<&'static KnownError> {
    KNOWN_ERRORS.iter().find(|known| known.code == code)
}

/// What to do about `code`.
pub(crate) fn remedy(code: &str) -> &'static str {
    known_error(code).map_or(
        "look the code up in Microsoft's reference; collection goes on by itself once it is solved",
        |known| known.remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Answer, Verdict, judge};
    use crate::request::Operation;

    #[test]
    fn the_severity_is_that_of_what_a_collector_does() {
        for known in KNOWN_ERRORS.iter().filter(|known| known.code.starts_with("AF")) {
            let verdict = judge(&Answer {
                operation: Operation::ListContent,
                status: 400,
                code: Some(known.code.into()),
                retry_after: None,
                named_wait: None,
            });
            let expected = match verdict {
                Verdict::Deny => Level::Error,
                Verdict::Throttle(_) | Verdict::Resubscribe | Verdict::Gone => Level::Warn,
                Verdict::Replan => Level::Debug,
                // Of operations that a collector does not use, or tried again.
                Verdict::Retry(_)
                | Verdict::Accept
                | Verdict::CoolDown(_)
                | Verdict::Forbid
                | Verdict::Reauthenticate => continue,
            };
            assert_eq!(known.severity, expected, "{}", known.code);
        }
    }

    #[test]
    fn codes_are_unique() {
        for (i, known) in KNOWN_ERRORS.iter().enumerate() {
            assert!(
                KNOWN_ERRORS[..i].iter().all(|other| other.code != known.code),
                "{}",
                known.code
            );
        }
    }
}
