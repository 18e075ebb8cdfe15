//! What is asked of the Activities API of Defender for Cloud Apps, and its answers: tokens of its
//! own, a quota of its own, searches with filters, single activities, feedback.

mod detail;
mod filter;
mod search;

use serde_json::Value;

use self::detail::detail;
use crate::answer::Answer;
use crate::body::Body;
use crate::faults::Fault;
use crate::guid::Guid;
use crate::http::{Request, Transport};
use crate::portal::{Facts, Feedback, OwedActivity};
use crate::report::Rule;
use crate::resources::INVESTIGATION_READ;
use crate::route::PortalOperation;
use crate::service::Microsoft;

/// What the hosts of tenants end with.
const HOST_SUFFIX: &str = ".portal.cloudappsecurity.com";

/// Who asks: a tenant, by its index.
struct Caller {
    tenant: usize,
}

impl Microsoft {
    /// The API token that the portal made for a tenant: `Authorization: Token …`. `None` when
    /// there is no such tenant.
    pub fn portal_token(&self, tenant: Guid) -> Option<&str> {
        let found = self.tenants.iter().find(|known| known.id == tenant)?;
        Some(found.portal.token())
    }

    /// The portal's address of a tenant, by the name in its domain.
    pub fn portal_url(&self, tenant: Guid) -> Option<String> {
        let found = self.tenants.iter().find(|known| known.id == tenant)?;
        Some(format!("https://{}.us{HOST_SUFFIX}", found.portal.host_name()))
    }

    /// Every activity that can be found by now.
    pub fn owed_activities(&self) -> impl Iterator<Item = OwedActivity> + '_ {
        let now_ms = self.now_ms;
        self.tenants.iter().flat_map(move |tenant| {
            let feed = tenant.portal.feed();
            feed.found(now_ms).map(move |activity| {
                let facts = Facts::of(&feed.identity, activity);
                let bytes = facts.record(&feed.identity).into_bytes();
                OwedActivity {
                    tenant: tenant.id,
                    created_ms: activity.created_ms,
                    available_ms: activity.visible_ms,
                    timestamp_ms: facts.timestamp_ms,
                    key: xxhash_rust::xxh3::xxh3_128(facts.id.as_bytes()),
                    hash: xxhash_rust::xxh3::xxh3_128(&bytes),
                    id: facts.id,
                    bytes,
                }
            })
        })
    }

    /// How many activities can be found by now.
    pub fn activities(&self) -> usize {
        self.tenants.iter().map(|tenant| tenant.portal.feed().found(self.now_ms).count()).sum()
    }

    /// The remarks that were made about a tenant's activities.
    pub fn feedback(&self, tenant: Guid) -> &[Feedback] {
        let found = self.tenants.iter().find(|known| known.id == tenant);
        found.map(|tenant| tenant.portal.feedback()).unwrap_or_default()
    }

    pub(crate) fn portal(
        &mut self,
        now_ms: i64,
        request: &Request,
        operation: &PortalOperation,
    ) -> (Answer, Transport) {
        let whole = |answer| (answer, Transport::Whole);
        if !self.check_portal_host(now_ms, request) {
            return whole(Answer::empty(421));
        }
        if let Some(transport) = self.lost_request() {
            return (Answer::empty(200), transport);
        }
        let caller = match self.portal_caller(now_ms, request) {
            Ok(caller) => caller,
            Err(answer) => return whole(answer),
        };
        if let Some(answer) = self.portal_quota(now_ms, request, &caller) {
            return whole(answer);
        }
        if let Some(answer) = self.portal_fault() {
            return whole(answer);
        }
        let answer = match operation {
            PortalOperation::Search => self.search(now_ms, request, caller.tenant),
            PortalOperation::Fetch(id) => self.fetch(now_ms, caller.tenant, id),
            PortalOperation::Feedback(id) => self.remark(now_ms, request, caller.tenant, id),
        };
        let transport = self.lossy_answer(&answer);
        (answer, transport)
    }

    /// Whether the request is at a portal's host. A token elsewhere is a leak.
    fn check_portal_host(&mut self, now_ms: i64, request: &Request) -> bool {
        let hosts = &self.config.portal_hosts;
        let lower = request.authority.to_ascii_lowercase();
        let at_home = lower.ends_with(HOST_SUFFIX) || hosts.contains(&lower);
        if !at_home && request.find("authorization").is_some() {
            self.illegal(now_ms, request, Rule::TokenLeak, "a token at a host not of the portal");
        }
        at_home
    }

    fn portal_caller(&mut self, now_ms: i64, request: &Request) -> Result<Caller, Answer> {
        let header = request.find("authorization").unwrap_or_default();
        let (scheme, text) = header.split_once(' ').unwrap_or_default();
        let text = text.trim();
        let tenant = if scheme.eq_ignore_ascii_case("token") {
            let found = self.tenants.iter().position(|tenant| tenant.portal.token() == text);
            // It may have been revoked: no client can know.
            found.ok_or_else(|| detail(401, "Invalid token."))?
        } else if scheme.eq_ignore_ascii_case("bearer") {
            self.portal_bearer(now_ms, request, text)?
        } else {
            self.illegal(now_ms, request, Rule::NoToken, "no token");
            return Err(detail(401, "Authentication credentials were not provided."));
        };
        let own = self.tenants[tenant].portal.host_name();
        let named = request.authority.split('.').next();
        if request.authority.ends_with(HOST_SUFFIX) && Some(own) != named {
            self.illegal(now_ms, request, Rule::ForeignTenant, "another tenant's portal");
            return Err(detail(403, "You do not have permission to perform this action."));
        }
        Ok(Caller { tenant })
    }

    fn portal_bearer(
        &mut self,
        now_ms: i64,
        request: &Request,
        text: &str,
    ) -> Result<usize, Answer> {
        let denied = || detail(401, "Invalid token.");
        let revoke = self.fault(Fault::Unauthorized);
        let Some(token) = self.tokens.find(text) else {
            if self.tokens.remembers_all() {
                let why = "a token that was never issued";
                self.illegal(now_ms, request, Rule::ForgedToken, why);
            }
            return Err(denied());
        };
        token.revoked |= revoke;
        if token.revoked || token.expires_ms <= now_ms {
            return Err(denied());
        }
        let (tenant, for_portal) = (token.tenant, token.for_portal);
        let reads = token.roles.iter().any(|role| role == INVESTIGATION_READ);
        if !for_portal {
            let why = "a token for another resource";
            self.illegal(now_ms, request, Rule::WrongResource, why);
            return Err(denied());
        }
        if !reads {
            return Err(detail(403, "You do not have permission to perform this action."));
        }
        Ok(tenant)
    }

    fn portal_quota(&mut self, now_ms: i64, request: &Request, caller: &Caller) -> Option<Answer> {
        let quota = u64::from(self.config.portal_quota_per_minute);
        let tenant = &mut self.tenants[caller.tenant];
        let id = tenant.id;
        if let Some(count) = tenant.portal.admit(now_ms, quota) {
            let peak = self.report.portal_peak_per_minute.entry(id).or_default();
            *peak = count.max(*peak);
            return None;
        }
        let why = format!("more than {quota} requests in a minute");
        self.illegal(now_ms, request, Rule::Quota, &why);
        Some(self.portal_throttled())
    }

    /// Both forms were seen: the bare status, and a text that says so.
    fn portal_throttled(&mut self) -> Answer {
        if self.pick(2) == 0 {
            Answer::text(429, "text/plain", "TOO MANY REQUESTS")
        } else {
            detail(429, "Request was throttled. Expected available in 17 seconds.")
        }
    }

    fn portal_fault(&mut self) -> Option<Answer> {
        const HTML: &str = "<html><body><h1>Server Error</h1></body></html>";
        if self.fault(Fault::PortalForeign) {
            let page = "<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>";
            return Some(Answer::text(404, "text/html", page));
        }
        if self.fault(Fault::PortalThrottled) {
            return Some(Answer::text(429, "text/plain", "TOO MANY REQUESTS"));
        }
        if self.fault(Fault::PortalThrottledText) {
            let seconds = 1 + self.pick(20);
            let text = format!("Request was throttled. Expected available in {seconds} seconds.");
            return Some(detail([429, 403, 503][self.pick(3)], &text));
        }
        if self.fault(Fault::InternalError) {
            return Some(Answer::text(500, "text/html", HTML));
        }
        if self.fault(Fault::BadGateway) {
            return Some(Answer::text(502, "text/html", HTML));
        }
        if self.fault(Fault::Unavailable) {
            return Some(Answer::text(503, "text/html", HTML));
        }
        if self.fault(Fault::GatewayTimeout) {
            return Some(Answer::empty(504));
        }
        if self.fault(Fault::EmptyUnauthorized) {
            return Some(Answer::empty(401));
        }
        if self.fault(Fault::NotJson) {
            return Some(Answer::text(200, "text/html; charset=utf-8", HTML));
        }
        if self.fault(Fault::ErrorInOk) {
            return Some(detail(200, "Request was throttled. Expected available in 3 seconds."));
        }
        None
    }

    fn fetch(&self, now_ms: i64, tenant: usize, id: &str) -> Answer {
        let feed = self.tenants[tenant].portal.feed();
        match feed.find(id, now_ms) {
            Some(facts) => Answer::blob(Body::bytes(facts.record(&feed.identity).into_bytes())),
            None => detail(404, "Not found."),
        }
    }

    fn remark(&mut self, now_ms: i64, request: &Request, tenant: usize, id: &str) -> Answer {
        let value: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if let Some(member) = bad_member(&value) {
            self.illegal(now_ms, request, Rule::BadBody, &format!("feedback with a bad {member}"));
            return detail(400, &format!("{member}: This field is required."));
        }
        let portal = &mut self.tenants[tenant].portal;
        let feed = portal.feed();
        let Some(facts) = feed.find(id, now_ms) else { return detail(404, "Not found.") };
        let record = facts.record(&feed.identity);
        let body = String::from_utf8_lossy(&request.body).into_owned();
        portal.remark(Feedback { activity: id.to_owned(), body });
        // The documentation says that a list of activities comes back.
        Answer::json(200, format!(r#"{{"total":1,"hasNext":false,"data":[{record}]}}"#))
    }
}

/// What is missing in a remark, or of another type than in Microsoft's example. An address is
/// needed only where one may be asked.
fn bad_member(value: &Value) -> Option<&'static str> {
    let address = value.get("contactEmail");
    let address_is_good =
        address.map_or(value["allowContact"] != true, |address| address.is_string());
    [
        ("feedbackValue", value["feedbackValue"].is_string()),
        ("feedbackText", value["feedbackText"].is_string()),
        ("allowContact", value["allowContact"].is_boolean()),
        ("contactEmail", address_is_good),
    ]
    .into_iter()
    .find_map(|(name, good)| (!good).then_some(name))
}
