//! The token endpoints of Entra, v1 and v2, for the client-credentials grant: who may have a
//! token, for which resource, and what a token says. Knows nothing of the audit API.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::aadsts::Refusal;
use crate::answer::{Answer, quoted};
use crate::config::{AppConfig, Credential, SimConfig, TenantConfig};
use crate::draw;
use crate::guid::Guid;
use crate::http::{Query, Request};
use crate::machine;
use crate::resources::{PORTAL_RESOURCE, is_audit, is_known_resource, is_of_portal};
use crate::time::SECOND_MS;

pub(crate) mod assertion;

use assertion::{Assertion, Taken};

/// Tokens remembered; beyond, those that have expired are forgotten.
const TOKENS_MAX: usize = 50_000;
/// The authorities of Microsoft's clouds; one that is not ours answers for another cloud.
const CLOUD_AUTHORITIES: [&str; 4] = [
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
];

/// A token that was issued.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) tenant: usize,
    pub(crate) app: Guid,
    pub(crate) roles: Vec<String>,
    pub(crate) for_audit: bool,
    pub(crate) for_portal: bool,
    pub(crate) expires_ms: i64,
    pub(crate) revoked: bool,
}

/// All tokens, by hash.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    by_hash: HashMap<u128, Token>,
    forgot: bool,
}

impl Tokens {
    pub(crate) fn find(&mut self, text: &str) -> Option<&mut Token> {
        self.by_hash.get_mut(&hash(text))
    }

    /// Whether a token that is not found was certainly never issued.
    pub(crate) fn remembers_all(&self) -> bool {
        !self.forgot
    }

    /// Those of an application are taken no more.
    pub(crate) fn withdraw(&mut self, app: Guid) {
        self.by_hash.values_mut().filter(|token| token.app == app).for_each(|t| t.revoked = true);
    }

    fn insert(&mut self, text: &str, token: Token, now_ms: i64) {
        if self.by_hash.len() >= TOKENS_MAX {
            self.by_hash.retain(|_, known| known.expires_ms > now_ms);
            self.forgot = true;
        }
        self.by_hash.insert(hash(text), token);
    }
}

fn hash(text: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(text.as_bytes())
}

/// A request for a token.
pub(crate) struct Grant<'a> {
    pub(crate) now_ms: i64,
    pub(crate) counter: u64,
    pub(crate) request: &'a Request,
    /// The tenant of the path: id or domain.
    pub(crate) tenant: &'a str,
    pub(crate) v2: bool,
    pub(crate) lifetime_s: u32,
    pub(crate) odd_types: bool,
    /// Refuse with this AADSTS code, whatever the credentials.
    pub(crate) refuse: Option<u32>,
}

/// The client's name and what it proves it with.
struct Presented {
    client_id: String,
    secret: Option<String>,
    assertion: Option<String>,
}

/// How a token request ended, and what else there is to say of its assertion.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) taken: Option<Taken>,
}

/// Who is given a token, for what.
struct Issue<'t> {
    tenant_at: usize,
    tenant: &'t TenantConfig,
    app: Guid,
    roles: &'t [String],
    resource: &'t str,
    /// How the application proved itself: 1 by a secret, 2 by a key.
    proof: u8,
}

impl Issue<'_> {
    /// The roles of the resource, of those that the app has.
    fn granted(&self) -> Vec<String> {
        let for_portal = self.resource == PORTAL_RESOURCE;
        let own = |role: &&String| is_of_portal(role) == for_portal;
        self.roles.iter().filter(own).cloned().collect()
    }
}

impl Grant<'_> {
    /// Answers the request; a token that is issued is entered in `tokens`.
    pub(crate) fn answer(
        &self,
        config: &SimConfig,
        tenants: &[TenantConfig],
        tokens: &mut Tokens,
    ) -> Outcome {
        let issued = match self.refuse {
            Some(code) => Err(self.refusal(code, "", "")),
            None => self.check(config, tenants),
        };
        match issued {
            Ok((tenant_at, app, resource, taken)) => {
                let issue = Issue {
                    tenant_at,
                    tenant: &tenants[tenant_at],
                    app: app.client_id,
                    roles: &app.roles,
                    resource: &resource,
                    proof: if taken.is_some() { 2 } else { 1 },
                };
                let text = self.issue(&issue, is_audit(&resource, &config.resources), tokens);
                Outcome { answer: self.form(&text, &resource), taken }
            }
            Err(refusal) => {
                let trace = Guid::drawn(config.seed, self.counter ^ 0x7ACE);
                Outcome { answer: refusal.answer(self.now_ms, trace), taken: None }
            }
        }
    }

    /// Answers a managed identity's request.
    pub(crate) fn answer_machine(
        &self,
        service: machine::Service,
        config: &SimConfig,
        tenants: &[TenantConfig],
        tokens: &mut Tokens,
    ) -> Answer {
        let granted = match machine::check(service, self.request, config, tenants) {
            Ok(granted) => granted,
            Err(answer) => return answer,
        };
        let issue = Issue {
            tenant_at: granted.tenant,
            tenant: &tenants[granted.tenant],
            app: granted.identity.client_id,
            roles: &granted.identity.roles,
            resource: &granted.resource,
            proof: 2,
        };
        let text = self.issue(&issue, is_audit(&granted.resource, &config.resources), tokens);
        let now_s = self.now_ms.div_euclid(SECOND_MS);
        machine::answer(service, &text, &granted, now_s, self.lifetime_s)
    }

    fn check<'t>(
        &self,
        config: &SimConfig,
        tenants: &'t [TenantConfig],
    ) -> Result<(usize, &'t AppConfig, String, Option<Taken>), Refusal> {
        let form = Query::parse(&self.request.body);
        let foreign = CLOUD_AUTHORITIES.contains(&self.request.authority.as_str())
            && !config.login_hosts.is_empty()
            && !config.login_hosts.contains(&self.request.authority);
        if foreign {
            return Err(self.refusal(900_382, "", ""));
        }
        let named = |tenant: &TenantConfig| {
            Guid::parse(self.tenant) == Some(tenant.id)
                || tenant.domain.eq_ignore_ascii_case(self.tenant)
        };
        let tenant = tenants.iter().position(named);
        let tenant = tenant.ok_or_else(|| self.refusal(90_002, "", ""))?;
        match form.get("grant_type") {
            None => return Err(self.refusal(900_144, "", "grant_type")),
            Some("client_credentials") => {}
            Some(other) => return Err(self.refusal(70_003, "", other)),
        }
        let presented = self.presented(&form)?;
        let resource = self.resource(&form)?;
        let app = Guid::parse(&presented.client_id)
            .and_then(|id| tenants[tenant].apps.iter().find(|app| app.client_id == id));
        let app = app.ok_or_else(|| self.refusal(700_016, &presented.client_id, ""))?;
        if app.disabled {
            return Err(self.refusal(7_000_112, &presented.client_id, ""));
        }
        let taken = self.prove(app, &presented)?;
        if !is_known_resource(&resource, &config.resources) {
            return Err(self.refusal(500_011, "", &resource));
        }
        Ok((tenant, app, resource, taken))
    }

    fn presented(&self, form: &Query) -> Result<Presented, Refusal> {
        let basic = self.request.find("authorization").and_then(|value| {
            let encoded = value.strip_prefix("Basic ")?;
            let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
            let (id, secret) = decoded.split_once(':')?;
            // RFC 6749, 2.3.1: both parts are form-encoded first.
            let pair = format!("i={id}&s={secret}");
            let pair = Query::parse(pair.as_bytes());
            Some((pair.get("i")?.to_owned(), pair.get("s")?.to_owned()))
        });
        let (client_id, secret) = match (form.get("client_id"), basic) {
            (Some(id), None) => (id.to_owned(), form.get("client_secret").map(str::to_owned)),
            (_, Some((id, secret))) => (id, Some(secret)),
            (None, None) => return Err(self.refusal(900_144, "", "client_id")),
        };
        const JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let assertion = form.get("client_assertion").map(str::to_owned);
        if assertion.is_some() && form.get("client_assertion_type") != Some(JWT) {
            return Err(self.refusal(900_144, "", "client_assertion_type"));
        }
        Ok(Presented { client_id, secret, assertion })
    }

    /// What the token is for: `resource` (v1) or a `scope` that ends in `/.default` (v2).
    fn resource(&self, form: &Query) -> Result<String, Refusal> {
        if !self.v2 {
            let resource = form.get("resource").filter(|resource| !resource.is_empty());
            let resource = resource.ok_or_else(|| self.refusal(900_144, "", "resource"))?;
            return Ok(resource.trim_end_matches('/').to_owned());
        }
        let Some(scope) = form.get("scope").filter(|scope| !scope.is_empty()) else {
            let code = if form.get("resource").is_some() { 901_002 } else { 900_144 };
            return Err(self.refusal(code, "", "scope"));
        };
        let resource = scope.strip_suffix("/.default").filter(|resource| !resource.contains(' '));
        let resource = resource.ok_or_else(|| self.refusal(70_011, "", scope))?;
        Ok(resource.trim_end_matches('/').to_owned())
    }

    /// Compares what was presented with the application's credentials.
    fn prove(&self, app: &AppConfig, presented: &Presented) -> Result<Option<Taken>, Refusal> {
        if let Some(text) = &presented.assertion {
            let refuse = |code, what: &str| self.refusal(code, &presented.client_id, what);
            let assertion = Assertion::parse(text).ok_or_else(|| refuse(50_027, ""))?;
            let audience = format!("{}{}", self.request.origin(), self.request.path());
            let taken = assertion.check(app, &audience, self.now_ms);
            return taken.map(Some).map_err(|(code, what)| refuse(code, &what));
        }
        let Some(given) = &presented.secret else {
            return Err(self.refusal(7_000_218, &presented.client_id, ""));
        };
        for credential in &app.credentials {
            match credential {
                Credential::Secret { value, expires_ms } if value == given => {
                    if expires_ms.is_some_and(|end| end <= self.now_ms) {
                        return Err(self.refusal(7_000_222, &presented.client_id, ""));
                    }
                    return Ok(None);
                }
                Credential::Secret { .. }
                | Credential::Certificate { .. }
                | Credential::Federated { .. } => {}
            }
        }
        Err(self.refusal(7_000_215, &presented.client_id, ""))
    }

    fn refusal(&self, code: u32, app: &str, what: &str) -> Refusal {
        let tenant = self.tenant.to_owned();
        Refusal { code, app: app.to_owned(), tenant, what: what.to_owned() }
    }

    /// Makes a token and remembers it.
    fn issue(&self, issue: &Issue<'_>, for_audit: bool, tokens: &mut Tokens) -> String {
        let text = self.sign(issue);
        let token = Token {
            tenant: issue.tenant_at,
            app: issue.app,
            roles: issue.granted(),
            for_audit,
            for_portal: issue.resource == PORTAL_RESOURCE,
            expires_ms: self.now_ms + i64::from(self.lifetime_s) * SECOND_MS,
            revoked: false,
        };
        tokens.insert(&text, token, self.now_ms);
        text
    }

    fn form(&self, text: &str, resource: &str) -> Answer {
        let now_s = self.now_ms.div_euclid(SECOND_MS);
        let life = self.lifetime_s;
        // v1 answers strings, v2 integers; the fault gives each the other's.
        let body = if self.v2 != self.odd_types {
            format!(
                "{{\"token_type\":\"Bearer\",\"expires_in\":{life},\"ext_expires_in\":{life},\
                 \"access_token\":\"{text}\"}}"
            )
        } else {
            format!(
                "{{\"token_type\":\"Bearer\",\"expires_in\":\"{life}\",\
                 \"ext_expires_in\":\"{life}\",\"expires_on\":\"{}\",\"not_before\":\"{}\",\
                 \"resource\":{},\"access_token\":\"{text}\"}}",
                now_s + i64::from(life),
                now_s - 300,
                quoted(resource),
            )
        };
        Answer::json(200, body)
            .header("Strict-Transport-Security", "max-age=31536000; includeSubDomains".to_owned())
            .header("x-ms-request-id", Guid::drawn(self.counter, 0x1D).to_string())
    }

    /// A token of the shape and with the claims of a real one. The signature is no signature: the
    /// service knows its tokens by heart.
    fn sign(&self, issue: &Issue<'_>) -> String {
        let now_s = self.now_ms.div_euclid(SECOND_MS);
        let object = Guid(issue.app.0 ^ issue.tenant.id.0);
        let roles: Vec<_> = issue.granted().iter().map(|role| quoted(role)).collect();
        let roles = roles.join(",");
        let claims = format!(
            "{{\"aud\":{},\"iss\":\"https://sts.windows.net/{tid}/\",\"iat\":{now_s},\
             \"nbf\":{now_s},\"exp\":{exp},\"appid\":\"{app}\",\"appidacr\":\"{proof}\",\
             \"idp\":\"https://sts.windows.net/{tid}/\",\"oid\":\"{object}\",\
             \"roles\":[{roles}],\"sub\":\"{object}\",\"tid\":\"{tid}\",\
             \"uti\":\"{uti:x}\",\"ver\":\"1.0\"}}",
            quoted(issue.resource),
            proof = issue.proof,
            tid = issue.tenant.id,
            exp = now_s + i64::from(self.lifetime_s),
            app = issue.app,
            uti = draw::mix(self.counter, 0x0741),
        );
        let header = r#"{"typ":"JWT","alg":"RS256","kid":"c2ltdWxhdGVk"}"#;
        let (header, claims) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = hash(&claims).to_be_bytes().repeat(8);
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
