//! Entra's errors: code, status, OAuth error and text. A table, and the body made from it.

use crate::answer::{Answer, quoted};
use crate::guid::Guid;
use crate::time;

/// AADSTS code, HTTP status, OAuth error, text. `{app}`, `{tenant}` and `{what}` are filled in.
/// Statuses of codes that no capture shows are choices.
const ERRORS: &[(u32, u16, &str, &str)] = &[
    (
        7_000_215,
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the \
         client secret value, not the client secret ID, for a secret added to app '{app}'.",
    ),
    (
        7_000_222,
        401,
        "invalid_client",
        "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to \
         create new keys for your app: https://aka.ms/NewClientSecret, or consider using \
         certificate credentials for added security: https://aka.ms/certCreds.",
    ),
    (
        7_000_218,
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or \
         'client_secret'.",
    ),
    (
        700_016,
        400,
        "unauthorized_client",
        "Application with identifier '{app}' was not found in the directory '{tenant}'. This can \
         happen if the application has not been installed by the administrator of the tenant or \
         consented to by any user in the tenant. You may have sent your authentication request \
         to the wrong tenant.",
    ),
    (7_000_112, 400, "unauthorized_client", "Application '{app}' is disabled."),
    (
        90_002,
        400,
        "invalid_request",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are \
         signing into the correct cloud. Check with your subscription administrator, this may \
         happen if there are no active subscriptions for the tenant.",
    ),
    (
        500_011,
        400,
        "invalid_resource",
        "The resource principal named {what} was not found in the tenant named {tenant}. This \
         can happen if the application has not been installed by the administrator of the tenant \
         or consented to by any user in the tenant. You might have sent your authentication \
         request to the wrong tenant.",
    ),
    (
        70_011,
        400,
        "invalid_scope",
        "The provided request must include a 'scope' input parameter. The provided value for the \
         input parameter 'scope' is not valid. The scope {what} is not valid.",
    ),
    (
        900_144,
        400,
        "invalid_request",
        "The request body must contain the following parameter: '{what}'.",
    ),
    (901_002, 400, "invalid_request", "The 'resource' request parameter is not supported."),
    (700_027, 401, "invalid_client", "{what}"),
    (700_024, 401, "invalid_client", "Client assertion is not within its valid time range. {what}"),
    (
        700_021,
        401,
        "invalid_client",
        "Client assertion application identifier doesn't match 'client_id' parameter.",
    ),
    (50_027, 400, "invalid_request", "JWT token is invalid or malformed. {what}"),
    (
        700_211,
        401,
        "invalid_client",
        "No matching federated identity record found for presented assertion issuer '{what}'.",
    ),
    (
        700_212,
        401,
        "invalid_client",
        "No matching federated identity record found for presented assertion audience '{what}'.",
    ),
    (
        700_213,
        401,
        "invalid_client",
        "No matching federated identity record found for presented assertion subject '{what}'.",
    ),
    (
        900_382,
        400,
        "invalid_request",
        "Confidential Client is not supported in Cross Cloud request.",
    ),
    (
        70_003,
        400,
        "unsupported_grant_type",
        "The app requested an unsupported grant type '{what}'.",
    ),
    (
        53_003,
        400,
        "access_denied",
        "Access has been blocked by Conditional Access policies. The access policy does not \
         allow token issuance.",
    ),
    (
        650_057,
        400,
        "invalid_resource",
        "Invalid resource. The client has requested access to a resource which is not listed in \
         the requested permissions in the client's application registration.",
    ),
    (90_033, 503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
];

/// An error with what is filled into its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) code: u32,
    pub(crate) app: String,
    pub(crate) tenant: String,
    pub(crate) what: String,
}

impl Refusal {
    /// The answer. A code that the table does not know is an invalid request.
    pub(crate) fn answer(&self, now_ms: i64, trace: Guid) -> Answer {
        let unknown = (self.code, 400, "invalid_request", "The request is not valid.");
        let known = ERRORS.iter().find(|(code, ..)| *code == self.code);
        let (code, status, error, text) = *known.unwrap_or(&unknown);
        let text = text
            .replace("{app}", &self.app)
            .replace("{tenant}", &self.tenant)
            .replace("{what}", &self.what);
        let correlation = Guid(trace.0.rotate_left(64));
        let timestamp = time::entra(now_ms);
        let description = format!(
            "AADSTS{code}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n\
             Timestamp: {timestamp}"
        );
        let body = format!(
            "{{\"error\":\"{error}\",\"error_description\":{},\"error_codes\":[{code}],\
             \"timestamp\":\"{timestamp}\",\"trace_id\":\"{trace}\",\
             \"correlation_id\":\"{correlation}\",\
             \"error_uri\":\"https://login.microsoftonline.com/error?code={code}\"}}",
            quoted(&description),
        );
        let mut answer = Answer::json(status, body);
        answer.code = Some(format!("AADSTS{code}"));
        answer
    }
}
