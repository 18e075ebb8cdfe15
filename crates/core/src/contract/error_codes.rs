//! What an operator can do about a code: one table for Entra ID's and the activity API's errors,
//! documented and observed. The table in `crates/cli/README.md` is made from it.

use crate::contract::level::Level;

/// What to do about failures of which no code says why.
pub(crate) const NO_CODE_REMEDY: &str =
    "check the network, the proxy and Microsoft's service health";

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
        "AADSTS70002",
        Level::Error,
        "the client secret is wrong",
        "set client_secret to the secret's value (not its id)",
    ),
    known(
        "AADSTS50012",
        Level::Error,
        "the credential was not accepted: a certificate that is not registered, say",
        "upload the certificate to the app registration, or name the one that is there",
    ),
    known(
        "AADSTS50006",
        Level::Error,
        "the signature of the assertion is wrong",
        "upload the certificate to the app registration, or name the one that is there",
    ),
    known(
        "AADSTS900384",
        Level::Error,
        "the signature of the assertion is wrong",
        "upload the certificate to the app registration, or name the one that is there",
    ),
    known(
        "AADSTS700030",
        Level::Error,
        "the certificate's subject is not authorised for the app",
        "name a certificate whose subject the app registration knows",
    ),
    known(
        "AADSTS700025",
        Level::Error,
        "the app is a public client, which signs in without a credential",
        "turn off \"Allow public client flows\" in the app registration, or name another app",
    ),
    known(
        "AADSTS700021",
        Level::Error,
        "the assertion is for another app",
        "check client_id; a federated token must be meant for this app",
    ),
    known(
        "AADSTS50048",
        Level::Error,
        "the assertion names one app as its subject and another as its issuer",
        "check client_id",
    ),
    known(
        "AADSTS50013",
        Level::Error,
        "the assertion is not valid",
        "set the machine's clock; a federated token must be fresh and unchanged",
    ),
    known(
        "AADSTS500133",
        Level::Error,
        "the assertion is not valid at this time",
        "set the machine's clock; a federated token must be fresh",
    ),
    known(
        "AADSTS700229",
        Level::Error,
        "the federated token is one of a user",
        "give a token that was made for an app",
    ),
    known(
        "AADSTS70001",
        Level::Error,
        "the app is disabled, or not known in this tenant",
        "check client_id and tenant_id, and that the app's service principal is enabled",
    ),
    known(
        "AADSTS700011",
        Level::Error,
        "the app is not known in this tenant",
        "check client_id and tenant_id, and that an administrator has consented to the app",
    ),
    known(
        "AADSTS1000031",
        Level::Error,
        "the app cannot be used at present",
        "ask the tenant's administrator; Microsoft may have blocked the app",
    ),
    known(
        "AADSTS50001",
        Level::Error,
        "the API does not exist in this tenant, or is disabled",
        "check cloud and resource; the tenant needs the Office 365 Management APIs",
    ),
    known("AADSTS28002", Level::Error, "the scope is not valid", "check resource"),
    known("AADSTS28003", Level::Error, "the scope is empty", "check resource"),
    known("AADSTS700022", Level::Error, "the scope names more than one API", "check resource"),
    known("AADSTS700023", Level::Error, "the scope names no API", "check resource"),
    known(
        "AADSTS90009",
        Level::Error,
        "the app asks for a token for itself",
        "check resource: it names the app",
    ),
    known(
        "AADSTS65001",
        Level::Error,
        "nobody has consented to the app's permissions",
        "grant administrator consent to the app",
    ),
    known(
        "AADSTS90094",
        Level::Error,
        "an administrator has to consent",
        "grant administrator consent to the app",
    ),
    known(
        "AADSTS90099",
        Level::Error,
        "the app is not authorised in this tenant",
        "grant administrator consent to the app in this tenant, which a partner does through the Partner Center",
    ),
    known(
        "AADSTS65005",
        Level::Error,
        "the app's list of permissions does not fit the API",
        "add ActivityFeed.Read of the Office 365 Management APIs to the app and grant consent",
    ),
    known(
        "AADSTS650052",
        Level::Error,
        "the tenant does not have the API, or it is switched off",
        "the tenant needs the Office 365 Management APIs, and a licence that includes auditing",
    ),
    known(
        "AADSTS650054",
        Level::Error,
        "the API is not there any more",
        "check cloud and resource",
    ),
    known(
        "AADSTS650056",
        Level::Error,
        "the app lists no permission of the API, or nobody has consented",
        "add ActivityFeed.Read of the Office 365 Management APIs to the app and grant consent",
    ),
    known(
        "AADSTS50105",
        Level::Error,
        "the app is not assigned to the API, which demands that",
        "assign the app to the API's enterprise application, or turn \"Assignment required\" off there",
    ),
    known(
        "AADSTS501051",
        Level::Error,
        "the app is not assigned to the API, which demands that",
        "assign the app to the API's enterprise application, or turn \"Assignment required\" off there",
    ),
    known(
        "AADSTS50131",
        Level::Error,
        "Conditional Access blocks the sign-in",
        "exclude the app from the Conditional Access policy for workload identities",
    ),
    known(
        "AADSTS530032",
        Level::Error,
        "a security policy of the tenant blocks the sign-in",
        "exclude the app from that policy; the sign-in log of service principals names it",
    ),
    known(
        "AADSTS530035",
        Level::Error,
        "the tenant's security defaults block the sign-in",
        "see the sign-in log of service principals for what they found",
    ),
    known(
        "AADSTS50002",
        Level::Error,
        "the tenant is not among those that the network's proxy allows",
        "let whoever runs the proxy add tenant_id to its tenant restrictions",
    ),
    known(
        "AADSTS500021",
        Level::Error,
        "the tenant is not among those that the network's proxy allows",
        "let whoever runs the proxy add tenant_id to its tenant restrictions",
    ),
    known(
        "AADSTS500022",
        Level::Error,
        "the tenant is not among those that the network's proxy allows",
        "let whoever runs the proxy add tenant_id to its tenant restrictions",
    ),
    known(
        "AADSTS50196",
        Level::Error,
        "the app has asked for tokens too often in a short time",
        "find out who else signs in with this app; collectors of one app share its limit",
    ),
    known(
        "AADSTS50059",
        Level::Error,
        "the request names no tenant",
        "check tenant_id and login_url",
    ),
    known(
        "AADSTS50128",
        Level::Error,
        "the request names no tenant that exists",
        "check tenant_id and login_url",
    ),
    known(
        "AADSTS90019",
        Level::Error,
        "the request names no tenant",
        "check tenant_id and login_url",
    ),
    known("AADSTS90038", Level::Error, "the tenant is in another cloud", "check cloud"),
    known("AADSTS90051", Level::Error, "the cloud is not known", "check cloud"),
    known("AADSTS900432", Level::Error, "the tenant is in another cloud", "check cloud"),
    known(
        "AADSTS1000104",
        Level::Error,
        "the API's cloud is not allowed for this tenant",
        "check cloud",
    ),
    known(
        "AADSTS100007",
        Level::Error,
        "the regional sign-in takes no such app",
        "check login_url: leave it to the cloud's own",
    ),
    known(
        "AADSTS90004",
        Level::Error,
        "the request for a token is malformed",
        "a proxy may have changed the request; check login_url and proxy_url",
    ),
    known(
        "AADSTS90013",
        Level::Error,
        "the request for a token is malformed",
        "check client_id, tenant_id and resource",
    ),
    known(
        "AADSTS90014",
        Level::Error,
        "the request for a token lacks a field",
        "a proxy may have changed the request; check login_url and proxy_url",
    ),
    known(
        "AADSTS90023",
        Level::Error,
        "the request for a token is not valid",
        "check client_id, tenant_id and resource",
    ),
    known(
        "AADSTS90100",
        Level::Error,
        "a parameter of the request is empty or not valid",
        "check client_id, tenant_id and resource",
    ),
    known(
        "AADSTS90121",
        Level::Error,
        "the request for a token was empty",
        "a proxy may have changed the request; check login_url and proxy_url",
    ),
    known(
        "AADSTS9002313",
        Level::Error,
        "the request for a token is malformed",
        "a proxy may have changed the request; check login_url and proxy_url",
    ),
    known(
        "AADSTS900561",
        Level::Error,
        "the request arrived with another method than POST",
        "a proxy may have changed the request; check login_url and proxy_url",
    ),
    known(
        "AADSTS50000",
        Level::Error,
        "Entra ID could not issue the token",
        "try again later; if it stays, open a support ticket with Microsoft",
    ),
    known(
        "AADSTS90036",
        Level::Error,
        "an error inside of Entra ID",
        "try again later; if it stays, open a support ticket with Microsoft",
    ),
    known(
        "AADSTS90006",
        Level::Debug,
        "Entra ID is in passing trouble",
        "nothing: it is tried again",
    ),
    known("AADSTS90012", Level::Debug, "Entra ID took too long", "nothing: it is tried again"),
    known(
        "AADSTS50033",
        Level::Debug,
        "Entra ID is in passing trouble",
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
        "unsupported_grant_type",
        Level::Error,
        "what answers does not take this kind of sign-in",
        "check login_url",
    ),
    known(
        "access_denied",
        Level::Error,
        "the sign-in was denied",
        "see the sign-in log of service principals in the Entra admin center",
    ),
    known(
        "interaction_required",
        Level::Error,
        "a policy asks for what only a person can do",
        "exclude the app from the Conditional Access policy for workload identities",
    ),
    known(
        "invalid_grant",
        Level::Error,
        "the credential is not accepted (any more)",
        "renew the credential; a federated token must be fresh",
    ),
    known(
        "bad_request_102",
        Level::Error,
        "the request for a managed identity's token arrived without its header",
        "let requests to managed_identity_endpoint leave this machine directly",
    ),
    known(
        "login-address",
        Level::Error,
        "what answers at login_url is not Entra ID",
        "check login_url and proxy_url: a proxy, a firewall or the sign-in page of a network may \
         answer in its place",
    ),
    known(
        "identity-address",
        Level::Error,
        "what answers is not the service of a managed identity",
        "check managed_identity_endpoint",
    ),
    known(
        "token-rejected",
        Level::Error,
        "the API rejects new tokens from Entra ID",
        "check tenant_id, cloud and resource, and whether a Conditional Access policy for \
         workload identities covers the app",
    ),
    known(
        "api-address",
        Level::Error,
        "what answers at api_url is not the Management Activity API",
        "check cloud, api_url and proxy_url: a proxy, a firewall or the sign-in page of a network \
         may answer in its place",
    ),
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
        "portal-address",
        Level::Error,
        "what answers at portal_url is not the Defender for Cloud Apps API",
        "write https://TENANT.REGION.portal.cloudappsecurity.com as portal_url; the Defender \
         portal shows it under Settings, Cloud apps, About, API URL. If it is right, check \
         proxy_url",
    ),
    known(
        "portal-rejected",
        Level::Error,
        "the Defender for Cloud Apps API rejects new tokens from Entra ID",
        "check tenant_id, portal_url and portal_resource, and whether a Conditional Access policy \
         for workload identities covers the app",
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

/// A row.
pub(crate) const fn known(
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
    use crate::audit::judge::{Answer, judge};
    use crate::contract::request::Operation;
    use crate::source::verdict::Verdict;

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

    /// Microsoft's pages: "Microsoft Entra authentication and authorization error codes", of which
    /// these can come of a sign-in without a user; and the reference of the Management Activity
    /// API, "Errors".
    #[test]
    fn every_published_code_has_a_remedy() {
        let entra = [
            28_002, 28_003, 50_000, 50_001, 50_002, 500_011, 500_021, 500_022, 50_006, 50_012,
            50_013, 500_133, 50_027, 50_033, 50_048, 50_059, 50_105, 50_128, 50_131, 50_196,
            53_003, 530_032, 530_035, 65_001, 65_005, 650_052, 650_054, 650_056, 650_057, 70_001,
            700_011, 700_016, 70_002, 700_022, 700_023, 700_025, 700_027, 700_030, 7_000_215,
            7_000_218, 7_000_222, 700_229, 7_000_112, 70_003, 70_011, 90_002, 90_004, 90_006,
            90_009, 90_012, 90_013, 90_014, 900_144, 90_019, 90_023, 90_024, 90_033, 90_036,
            90_038, 900_382, 900_384, 900_432, 90_051, 90_055, 900_561, 90_094, 90_099, 90_100,
            901_002, 90_121, 9_002_313, 1_000_104, 100_007, 1_000_031,
        ];
        let api = [
            10_001, 20_001, 20_002, 20_003, 20_010, 20_011, 20_012, 20_013, 20_020, 20_021, 20_022,
            20_023, 20_030, 20_031, 20_050, 20_051, 20_052, 20_053, 20_054, 20_055, 429, 50_000,
        ];
        let entra = entra.map(|code: u32| format!("AADSTS{code}"));
        let api = api.map(|code: u32| format!("AF{code}"));
        let missing: Vec<_> =
            entra.iter().chain(&api).filter(|code| known_error(code).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
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
