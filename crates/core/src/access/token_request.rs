//! The request for a token, for each kind of credential.

use crate::base::secret::Secret;
use crate::base::time::Utc;
use crate::contract::request::{Method, Operation, Request};
use crate::identity::assertion::assertion;
use crate::identity::credential::{Credential, Identity, ManagedIdentity};
use crate::identity::sign_in::{SignIn, TokenEndpoint};
use crate::identity::signing::Entropy;

/// The request for a token: the client credentials grant, or what a managed identity's service
/// wants. `now` is the present time as Entra ID sees it.
pub(crate) fn request(
    sign_in: &SignIn,
    resource: &str,
    credential: &Credential,
    entropy: &Entropy,
    now: Utc,
) -> Request {
    const JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let path = match sign_in.endpoint {
        TokenEndpoint::V1 => "oauth2/token",
        TokenEndpoint::V2 => "oauth2/v2.0/token",
    };
    let url = format!("{}/{}/{path}", sign_in.login.as_str(), sign_in.tenant_id);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("client_id", &sign_in.client_id)
        .append_pair("grant_type", "client_credentials");
    match sign_in.endpoint {
        TokenEndpoint::V1 => form.append_pair("resource", resource),
        TokenEndpoint::V2 => form.append_pair("scope", &format!("{resource}/.default")),
    };
    match credential {
        Credential::ClientSecret(secret) => form.append_pair("client_secret", secret.expose()),
        Credential::Certificate(certificate) => {
            let algorithm = sign_in.algorithm;
            let jwt = assertion(certificate, algorithm, &sign_in.client_id, &url, now, entropy);
            form.append_pair("client_assertion_type", JWT)
                .append_pair("client_assertion", jwt.expose())
        }
        Credential::FederatedToken(token) => form
            .append_pair("client_assertion_type", JWT)
            .append_pair("client_assertion", token.expose()),
        Credential::ManagedIdentity(identity) => return ask_machine(identity, resource),
    };
    Request {
        operation: Operation::Token,
        method: Method::Post,
        url,
        bearer: None,
        direct: false,
        body: Some(Secret::new(form.finish())),
        content_type: Some("application/x-www-form-urlencoded"),
        headers: Vec::new(),
    }
}

/// The request to a managed identity's service. The two kinds differ in the header, the version,
/// and the names of what chooses between identities.
pub(crate) fn ask_machine(managed: &ManagedIdentity, resource: &str) -> Request {
    let (version, header, object, azure) = match managed.header() {
        None => {
            let header = ("Metadata", Secret::new("true".to_owned()));
            ("2018-02-01", header, "object_id", "msi_res_id")
        }
        Some(value) => {
            ("2019-08-01", ("X-IDENTITY-HEADER", value.clone()), "principal_id", "mi_res_id")
        }
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("api-version", version).append_pair("resource", resource);
    match managed.which() {
        Identity::System => &mut query,
        Identity::Client(id) => query.append_pair("client_id", id),
        Identity::Object(id) => query.append_pair(object, id),
        Identity::Resource(id) => query.append_pair(azure, id),
    };
    Request {
        operation: Operation::Token,
        method: Method::Get,
        url: format!("{}?{}", managed.endpoint().as_str(), query.finish()),
        bearer: None,
        headers: vec![header],
        direct: true,
        body: None,
        content_type: None,
    }
}
