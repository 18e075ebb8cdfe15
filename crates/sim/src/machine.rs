//! Managed identities: the metadata service of a virtual machine, and that of App Service, which
//! hand out tokens to whatever runs on the machine and asks in the right form.

use crate::answer::{Answer, quoted};
use crate::config::{IdentityConfig, SimConfig, TenantConfig};
use crate::http::{Query, Request};
use crate::resources::is_known_resource;

/// Which of the two services was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// `GET /metadata/identity/oauth2/token`.
    Metadata,
    /// `GET /msi/token`.
    AppService,
}

impl Service {
    const fn version(self) -> &'static str {
        match self {
            Self::Metadata => "2018-02-01",
            Self::AppService => "2019-08-01",
        }
    }

    /// The parameters that name an identity: client id, object id, resource id.
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Metadata => ["client_id", "object_id", "msi_res_id"],
            Self::AppService => ["client_id", "principal_id", "mi_res_id"],
        }
    }

    /// An error, in the form of this service.
    fn refuse(self, status: u16, error: &str, text: &str) -> Answer {
        let body = match self {
            Self::Metadata => {
                format!("{{\"error\":\"{error}\",\"error_description\":{}}}", quoted(text))
            }
            Self::AppService => {
                format!("{{\"statusCode\":{status},\"message\":{}}}", quoted(text))
            }
        };
        let mut answer = Answer::json(status, body);
        answer.code = Some(error.to_owned());
        answer
    }
}

/// What an identity is given a token for.
pub(crate) struct Granted<'a> {
    pub(crate) tenant: usize,
    pub(crate) identity: &'a IdentityConfig,
    pub(crate) resource: String,
}

/// Checks a request.
pub(crate) fn check<'t>(
    service: Service,
    request: &Request,
    config: &SimConfig,
    tenants: &'t [TenantConfig],
) -> Result<Granted<'t>, Answer> {
    let refuse = |status, error, text: &str| Err(service.refuse(status, error, text));
    match service {
        Service::Metadata if request.find("metadata") != Some("true") => {
            return refuse(400, "bad_request_102", "Required metadata header not specified");
        }
        Service::Metadata if request.find("x-forwarded-for").is_some() => {
            return refuse(401, "unknown_source", "Unknown Source: the request was forwarded");
        }
        Service::AppService
            if request.find("x-identity-header") != Some(config.identity_header.as_str()) =>
        {
            return refuse(401, "unauthorized", "The X-IDENTITY-HEADER is missing or wrong.");
        }
        Service::Metadata | Service::AppService => {}
    }
    let query = Query::parse(request.query().as_bytes());
    if query.get("api-version") != Some(service.version()) {
        return refuse(400, "bad_request", "The api-version is missing or not supported.");
    }
    let Some(resource) = query.get("resource").filter(|resource| !resource.is_empty()) else {
        return refuse(400, "bad_request", "Required query variable 'resource' is missing.");
    };
    let named = |identity: &IdentityConfig| {
        let [client, object, azure] = service.names().map(|name| query.get(name));
        match (client, object, azure) {
            (Some(id), ..) => id.eq_ignore_ascii_case(&identity.client_id.to_string()),
            (None, Some(id), _) => id.eq_ignore_ascii_case(&identity.object_id.to_string()),
            (None, None, Some(id)) => id.eq_ignore_ascii_case(&identity.resource_id),
            (None, None, None) => identity.system,
        }
    };
    let all = tenants.iter().enumerate().flat_map(|(tenant, config)| {
        config.identities.iter().map(move |identity| (tenant, identity))
    });
    let Some((tenant, identity)) = all.into_iter().find(|(_, identity)| named(identity)) else {
        return refuse(400, "invalid_request", "Identity not found");
    };
    let resource = resource.trim_end_matches('/').to_owned();
    if !is_known_resource(&resource, &config.resources) {
        let text = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant \
             named {}.",
            tenants[tenant].id
        );
        return refuse(400, "invalid_resource", &text);
    }
    Ok(Granted { tenant, identity, resource })
}

/// The answer with a token. All its values are strings, and App Service names only the end.
pub(crate) fn answer(
    service: Service,
    token: &str,
    granted: &Granted<'_>,
    now_s: i64,
    life_s: u32,
) -> Answer {
    let resource = quoted(&granted.resource);
    let client_id = granted.identity.client_id;
    let (start, end) = (now_s - 300, now_s + i64::from(life_s));
    let body = match service {
        Service::Metadata => format!(
            "{{\"access_token\":\"{token}\",\"refresh_token\":\"\",\"expires_in\":\"{life_s}\",\
             \"expires_on\":\"{end}\",\"not_before\":\"{start}\",\"resource\":{resource},\
             \"token_type\":\"Bearer\"}}"
        ),
        Service::AppService => format!(
            "{{\"access_token\":\"{token}\",\"expires_on\":\"{end}\",\"resource\":{resource},\
             \"token_type\":\"Bearer\",\"client_id\":\"{client_id}\"}}"
        ),
    };
    Answer::json(200, body)
}
