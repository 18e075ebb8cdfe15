//! Admission: host, publisher, quota, token and tenant, which all operations check alike.

use crate::answer::{self, Answer};
use crate::config::ThrottleStatus;
use crate::faults::Fault;
use crate::guid::Guid;
use crate::http::{Query, Request};
use crate::report::Rule;
use crate::route::Operation;
use crate::service::{Call, Microsoft};

impl Microsoft {
    /// Whether the request is at the right host. A bearer token elsewhere is a leak.
    pub(crate) fn check_host(&mut self, now_ms: i64, request: &Request, api: bool) -> bool {
        let hosts = if api { &self.config.api_hosts } else { &self.config.login_hosts };
        let known = |hosts: &[String]| {
            hosts.is_empty() || hosts.iter().any(|h| h.eq_ignore_ascii_case(&request.authority))
        };
        let at_home = known(hosts);
        let bearer = bearer(request).is_some();
        if bearer && !known(&self.config.api_hosts) {
            self.illegal(now_ms, request, Rule::TokenLeak, "a token at a host not of the API");
        }
        at_home
    }

    /// Counts a request for the tenant's peak.
    pub(crate) fn count(&mut self, tenant: usize, now_ms: i64) {
        let tenant = &mut self.tenants[tenant];
        tenant.requests.add(now_ms);
        let count = tenant.requests.count(now_ms);
        self.report.peak(tenant.id, count);
    }

    pub(crate) fn publisher(
        &mut self,
        now_ms: i64,
        request: &Request,
        query: &Query,
    ) -> Result<Guid, Answer> {
        match query.get("PublisherIdentifier") {
            None => {
                self.illegal(now_ms, request, Rule::NoPublisher, "no PublisherIdentifier");
                Ok(Guid::ZERO)
            }
            Some(text) => Guid::parse(text).ok_or_else(|| {
                let why = format!("PublisherIdentifier is {text:?}");
                self.illegal(now_ms, request, Rule::BadPublisher, &why);
                answer::bad_parameter("PublisherIdentifier", "guid")
            }),
        }
    }

    pub(crate) fn over_quota(
        &mut self,
        tenant: usize,
        now_ms: i64,
        request: &Request,
        publisher: Guid,
        operation: &Operation,
    ) -> Option<Answer> {
        let used = self.tenants[tenant].quota.entry(publisher).or_default();
        let quota = u64::from(self.config.quota_per_minute);
        if used.count(now_ms) < quota {
            used.add(now_ms);
            return None;
        }
        let why = format!("more than {quota} requests in a minute");
        self.illegal(now_ms, request, Rule::Quota, &why);
        Some(answer::throttled(self.throttle_status(), operation.method(), publisher))
    }

    /// Checks the token against the tenant of the address.
    pub(crate) fn authorize(&mut self, call: &mut Call<'_>, tenant: &str) -> Result<(), Answer> {
        let revoke = self.fault(Fault::Unauthorized);
        let Some(text) = bearer(call.request) else {
            let why = "no bearer token";
            self.illegal(call.now_ms, call.request, Rule::NoToken, why);
            return Err(answer::denied());
        };
        let Some(token) = self.tokens.find(text) else {
            if self.tokens.remembers_all() {
                let why = "a token that was never issued";
                self.illegal(call.now_ms, call.request, Rule::ForgedToken, why);
            }
            return Err(answer::denied());
        };
        token.revoked |= revoke;
        if token.revoked || token.expires_ms <= call.now_ms || !token.for_audit {
            return Err(answer::denied());
        }
        call.tenant = token.tenant;
        call.app = token.app;
        call.roles.clone_from(&token.roles);
        self.check_tenant(call, tenant)?;
        if !self.tenants[call.tenant].licensed {
            let id = self.tenants[call.tenant].id;
            let message =
                format!("Specified tenant ID ({id}) is incorrectly configured in the system.");
            return Err(answer::af(400, "AF20012", &message));
        }
        if !call.roles.iter().any(|role| role == "ActivityFeed.Read") {
            return Err(answer::missing_permission(self.config.rules.texts, &call.roles));
        }
        Ok(())
    }

    fn throttle_status(&self) -> u16 {
        match self.config.rules.throttle_status {
            ThrottleStatus::Forbidden => 403,
            ThrottleStatus::TooManyRequests => 429,
            ThrottleStatus::Both => [403, 429][self.pick(2)],
        }
    }

    fn check_tenant(&mut self, call: &Call<'_>, tenant: &str) -> Result<(), Answer> {
        // `common` stands for the tenant of the token.
        if tenant.eq_ignore_ascii_case("common") {
            return Ok(());
        }
        let own = self.tenants[call.tenant].id;
        let Some(named) = Guid::parse(tenant) else {
            let message =
                format!("The tenant ID passed in the URL ({tenant}) is not a valid GUID.");
            self.illegal(call.now_ms, call.request, Rule::ForeignTenant, &message);
            return Err(answer::af(400, "AF20013", &message));
        };
        if named == own {
            return Ok(());
        }
        self.illegal(call.now_ms, call.request, Rule::ForeignTenant, "another tenant's address");
        if !self.tenants.iter().any(|known| known.id == named) {
            let message = format!(
                "Specified tenant ID ({named}) does not exist in the system or has been deleted."
            );
            return Err(answer::af(400, "AF20011", &message));
        }
        // The observed answer for a blob under a wrong tenant.
        if let Operation::Blob(id) = &call.operation {
            return Err(answer::invalid_blob(self.config.rules.texts, id));
        }
        let message = format!(
            "The tenant ID passed in the URL ({named}) does not match the tenant ID passed in the \
             access token ({own})."
        );
        Err(answer::af(400, "AF20010", &message))
    }
}

/// The bearer token of a request.
fn bearer(request: &Request) -> Option<&str> {
    let value = request.find("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
