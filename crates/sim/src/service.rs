//! The service as a whole: routes a request, applies quota, faults and the checks that all
//! operations share, and keeps the books. What an operation does is in `operations`, how tokens are
//! given in `sign_in`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::answer::Answer;
use crate::config::{Credential, SimConfig, TenantConfig};
use crate::content_type::ContentType;
use crate::draw;
use crate::entra::Tokens;
use crate::faults::{Fault, Faults};
use crate::guid::Guid;
use crate::http::{Query, Reply, Request, Transport};
use crate::owed::{Owed, Walk};
use crate::publish::Press;
use crate::report::{Report, Rule};
use crate::route::{Operation, Route, route};
use crate::tenant::Tenant;
use crate::time;
use crate::webhooks::{HISTORY_MAX, Ticket, WebhookAnswer, WebhookCall};

/// Microsoft: the token endpoints and the audit API of some tenants.
#[derive(Debug)]
pub struct Microsoft {
    pub(crate) config: SimConfig,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) tenant_configs: Vec<TenantConfig>,
    pub(crate) tokens: Tokens,
    pub(crate) faults: Faults,
    pub(crate) report: Report,
    /// Names of the assertions that were taken.
    pub(crate) assertions: HashSet<u128>,
    /// Hashes of the next-page addresses that were given.
    pub(crate) pages: HashSet<u64>,
    /// How often each poisoned blob has failed.
    pub(crate) poison: HashMap<u64, u32>,
    pub(crate) now_ms: i64,
    pub(crate) counter: u64,
    plain_webhooks: bool,
}

/// A blob that was published on demand.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its id.
    pub content_id: String,
    /// Its creation, ms since the epoch.
    pub created_ms: i64,
    /// The ids of its records, where they have one.
    pub record_ids: Vec<Option<Guid>>,
}

/// A request of the audit API on its way through the service.
pub(crate) struct Call<'a> {
    pub(crate) now_ms: i64,
    pub(crate) request: &'a Request,
    pub(crate) query: Query,
    pub(crate) operation: Operation,
    pub(crate) publisher: Guid,
    pub(crate) webhook: WebhookAnswer,
    /// Index of the tenant, and the application, once the token is checked.
    pub(crate) tenant: usize,
    pub(crate) app: Guid,
    pub(crate) roles: Vec<String>,
}

impl Microsoft {
    /// A world with its history before `now_ms` (ms since the epoch).
    ///
    /// # Panics
    /// When two tenants have the same id: the configuration is a constant of the test.
    pub fn new(config: SimConfig, now_ms: i64) -> Self {
        let tenant_configs = if config.tenants.is_empty() {
            vec![TenantConfig::seeded(config.seed, 0)]
        } else {
            config.tenants.clone()
        };
        let ids: HashSet<Guid> = tenant_configs.iter().map(|tenant| tenant.id).collect();
        assert_eq!(ids.len(), tenant_configs.len(), "tenant ids are unique");
        let mut faults = Faults::new(config.faults.clone(), config.seed, now_ms);
        let mut press = Press { config: &config, faults: &mut faults };
        let tenants =
            tenant_configs.iter().map(|tenant| Tenant::new(tenant, now_ms, &mut press)).collect();
        Self {
            tenants,
            tenant_configs,
            tokens: Tokens::default(),
            faults,
            report: Report::default(),
            assertions: HashSet::new(),
            pages: HashSet::new(),
            poison: HashMap::new(),
            now_ms,
            counter: 0,
            plain_webhooks: false,
            config,
        }
    }

    /// The tenants with their applications, as configured or as drawn from the seed.
    pub fn tenants(&self) -> &[TenantConfig] {
        &self.tenant_configs
    }

    /// An administrator gives the first application of a tenant other credentials. Tokens that it
    /// has are withdrawn, so that it has to sign in again.
    pub fn replace_credentials(&mut self, tenant: Guid, credentials: Vec<Credential>) {
        let mut known = self.tenant_configs.iter_mut().filter(|known| known.id == tenant);
        if let Some(app) = known.next().and_then(|known| known.apps.first_mut()) {
            app.credentials = credentials;
            self.tokens.withdraw(app.client_id);
        }
    }

    /// The settings.
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    /// Accepts webhooks at `http://`, for a server on loopback.
    pub fn allow_plain_webhooks(&mut self) {
        self.plain_webhooks = true;
    }

    /// Answers a request; a webhook that is to be validated is taken to answer 200.
    pub fn handle(&mut self, now_ms: i64, request: &Request) -> Reply {
        self.handle_answered(now_ms, request, WebhookAnswer::Status(200))
    }

    /// Answers a request of which [`Microsoft::validation_call`] was answered by `webhook`.
    /// Time never runs backwards: an earlier `now_ms` counts as the latest.
    pub fn handle_answered(
        &mut self,
        now_ms: i64,
        request: &Request,
        webhook: WebhookAnswer,
    ) -> Reply {
        self.advance(now_ms);
        let now_ms = self.now_ms;
        self.counter += 1;
        self.report.requests += 1;
        let (name, (answer, transport)) = match route(request) {
            Route::Token { tenant, v2 } => ("token", self.token(now_ms, request, tenant, v2)),
            Route::Machine { service } => ("token", self.machine(now_ms, request, service)),
            Route::Api { tenant, operation } => {
                let name = operation.name();
                (name, self.api(now_ms, request, tenant, operation, webhook))
            }
            Route::Portal { operation } => {
                (operation.name(), self.portal(now_ms, request, &operation))
            }
            Route::Unknown => {
                self.check_host(now_ms, request, false);
                self.illegal(now_ms, request, Rule::UnknownAddress, "no such address");
                ("unknown", (Answer::empty(404), Transport::Whole))
            }
        };
        *self.report.operations.entry(name).or_default() += 1;
        let outcome = match &answer.code {
            Some(code) => format!("{name} {} {code}", answer.status),
            None => format!("{name} {}", answer.status),
        };
        *self.report.outcomes.entry(outcome).or_default() += 1;
        self.send(now_ms, answer, transport)
    }

    /// Publishes what is due up to `now_ms`, and queues notifications of it.
    pub fn advance(&mut self, now_ms: i64) {
        self.now_ms = now_ms.max(self.now_ms);
        let mut press = Press { config: &self.config, faults: &mut self.faults };
        for tenant in &mut self.tenants {
            tenant.advance(self.now_ms, &mut press);
        }
    }

    /// Publishes a blob now. `None` when there is no such tenant.
    pub fn publish(
        &mut self,
        now_ms: i64,
        tenant: Guid,
        content_type: ContentType,
    ) -> Option<Published> {
        self.publish_now(now_ms, tenant, content_type, None)
    }

    /// The same with these records in it, byte for byte. Each should be one JSON value; no record
    /// at all makes an empty blob.
    pub fn publish_records(
        &mut self,
        now_ms: i64,
        tenant: Guid,
        content_type: ContentType,
        records: Vec<Vec<u8>>,
    ) -> Option<Published> {
        self.publish_now(now_ms, tenant, content_type, Some(records))
    }

    fn publish_now(
        &mut self,
        now_ms: i64,
        tenant: Guid,
        content_type: ContentType,
        records: Option<Vec<Vec<u8>>>,
    ) -> Option<Published> {
        self.advance(now_ms);
        let now_ms = self.now_ms;
        let mut press = Press { config: &self.config, faults: &mut self.faults };
        let tenant = self.tenants.iter_mut().find(|known| known.id == tenant)?;
        let blob = tenant.feeds[content_type.index()].publish_now(now_ms, records, &mut press);
        tenant.notify(std::slice::from_ref(&blob), now_ms);
        let (content_id, created_ms) = (blob.content_id(), blob.created.ms);
        let walk = Walk::new(vec![(Arc::clone(&tenant.recipe), blob)]);
        Some(Published { content_id, created_ms, record_ids: walk.map(|owed| owed.id).collect() })
    }

    /// Every record that was published and is available by now.
    pub fn owed(&self) -> impl Iterator<Item = Owed> + Send + use<> {
        let mut blobs = Vec::new();
        for tenant in &self.tenants {
            for feed in &tenant.feeds {
                let due = feed.blobs().iter().filter(|blob| blob.available_ms <= self.now_ms);
                blobs.extend(due.map(|blob| (Arc::clone(&tenant.recipe), blob.clone())));
            }
        }
        Walk::new(blobs)
    }

    /// What the service saw so far.
    pub fn report(&mut self) -> &Report {
        self.report.faults = self.faults.given();
        &self.report
    }

    /// The subscriptions of the first tenant's first application, as a list shows them.
    pub fn subscriptions(&self) -> Vec<String> {
        let app = self.tenants()[0].apps[0].client_id;
        let known = &self.tenants[0].subscriptions;
        ContentType::ALL
            .into_iter()
            .filter_map(|ct| known.get(&(app, ct))?.json(ct, self.now_ms))
            .collect()
    }

    /// Faults off from now on; poisoned blobs recover, subscriptions that a fault took away stay
    /// away until they are started.
    pub fn heal(&mut self) {
        self.faults.heal();
    }

    /// The next notification to send, if any is due.
    pub fn poll_notification(&mut self) -> Option<(Ticket, WebhookCall)> {
        let now_ms = self.now_ms;
        for (at, tenant) in self.tenants.iter_mut().enumerate() {
            // A HashMap has no order; the choice must follow from the seed alone.
            let mut keys: Vec<_> = tenant.subscriptions.keys().copied().collect();
            keys.sort_unstable();
            for (app, content_type) in keys {
                let subscription = tenant.subscriptions.get_mut(&(app, content_type));
                let webhook = subscription.and_then(|known| known.webhook.as_mut());
                let call =
                    webhook.and_then(|hook| hook.next_call(now_ms, tenant.id, app, content_type));
                if let Some((number, call)) = call {
                    return Some((Ticket { tenant: at, app, content_type, number }, call));
                }
            }
        }
        None
    }

    /// Says how a notification was answered. Only 200 is success; failures are repeated with
    /// growing pauses until the webhook is disabled.
    pub fn notified(&mut self, now_ms: i64, ticket: Ticket, answer: WebhookAnswer) {
        self.advance(now_ms);
        let tenant = &mut self.tenants[ticket.tenant];
        let Some(known) = tenant.subscriptions.get_mut(&(ticket.app, ticket.content_type)) else {
            return;
        };
        let webhook = known.webhook.as_mut();
        let attempt = webhook.and_then(|hook| hook.answered(ticket.number, answer, self.now_ms));
        if let Some(attempt) = attempt {
            if known.history.len() == HISTORY_MAX {
                known.history.pop_front();
            }
            known.history.push_back(attempt);
        }
    }

    /// The call that validates the webhook a request asks for; none when it asks for none. A
    /// driver performs it before [`Microsoft::handle_answered`].
    pub fn validation_call(&self, request: &Request) -> Option<WebhookCall> {
        let Route::Api { operation: Operation::Start, .. } = route(request) else {
            return None;
        };
        let webhook = self.read_webhook(request, self.now_ms).ok()??;
        Some(webhook.validation(Guid::drawn(self.config.seed, self.counter ^ 0x3A11)))
    }

    pub(crate) fn read_webhook(
        &self,
        request: &Request,
        now_ms: i64,
    ) -> Result<Option<crate::webhooks::Webhook>, Answer> {
        crate::webhooks::Webhook::parse(request, now_ms, self.plain_webhooks)
    }

    /// Draws a fault for the request in hand.
    pub(crate) fn fault(&mut self, fault: Fault) -> bool {
        self.faults.hit(fault, self.counter, self.now_ms)
    }

    pub(crate) fn illegal(&mut self, now_ms: i64, request: &Request, rule: Rule, why: &str) {
        let Request { method, authority, path_and_query, .. } = request;
        let line = format!("{method} {authority}{path_and_query}");
        self.report.illegal(now_ms, line, rule, why.to_owned());
    }

    fn api(
        &mut self,
        now_ms: i64,
        request: &Request,
        tenant: &str,
        operation: Operation,
        webhook: WebhookAnswer,
    ) -> (Answer, Transport) {
        let whole = |answer| (answer, Transport::Whole);
        if !self.check_host(now_ms, request, true) {
            return whole(Answer::empty(421));
        }
        let query = Query::parse(request.query().as_bytes());
        let named = Guid::parse(tenant);
        let tenant_at = self.tenants.iter().position(|known| Some(known.id) == named);
        if let Some(at) = tenant_at {
            self.count(at, now_ms);
        }
        let publisher = match self.publisher(now_ms, request, &query) {
            Ok(publisher) => publisher,
            Err(answer) => return whole(answer),
        };
        if let Some(at) = tenant_at
            && let Some(answer) = self.over_quota(at, now_ms, request, publisher, &operation)
        {
            return whole(answer);
        }
        if tenant_at.is_some_and(|at| self.tenant_configs[at].noisy) {
            return whole(self.noise(&operation, publisher));
        }
        if let Some(transport) = self.lost_request() {
            return (Answer::empty(200), transport);
        }
        if let Some(answer) = self.front_fault(&operation, publisher) {
            return whole(answer);
        }
        let mut call = Call {
            now_ms,
            request,
            query,
            operation,
            publisher,
            webhook,
            tenant: usize::MAX,
            app: Guid::ZERO,
            roles: Vec::new(),
        };
        let answer = match self.authorize(&mut call, tenant) {
            Ok(()) => self.operate(&call),
            Err(answer) => answer,
        };
        let transport = self.lossy_answer(&answer);
        (answer, transport)
    }

    /// A choice that follows from the seed and the request counter.
    pub(crate) fn pick(&self, count: usize) -> usize {
        let drawn = draw::mix(self.config.seed, draw::mix(self.counter, 0x91C4));
        usize::try_from(drawn % count as u64).expect("below a usize")
    }

    /// Gives an answer its headers.
    fn send(&mut self, now_ms: i64, answer: Answer, transport: Transport) -> Reply {
        let Answer { status, content_type, headers: extra, mut body, .. } = answer;
        let skewed = self.fault(Fault::ClockSkew);
        let skew_ms = if skewed { self.faults.plan.clock_skew_ms } else { 0 };
        let mut headers = vec![
            ("Cache-Control".into(), "no-cache".into()),
            ("Pragma".into(), "no-cache".into()),
            ("Expires".into(), "-1".into()),
            ("Server".into(), "Microsoft-IIS/10.0".into()),
            ("X-AspNet-Version".into(), "4.0.30319".into()),
            ("X-Powered-By".into(), "ASP.NET".into()),
            ("Date".into(), time::http_date(now_ms + skew_ms).into()),
        ];
        if status == 200 && content_type.is_some() {
            if self.fault(Fault::Bom) {
                body.prepend(b"\xEF\xBB\xBF");
            }
            if self.fault(Fault::OctetStream) {
                if self.pick(2) == 0 {
                    headers.push(("Content-Type".into(), "application/octet-stream".into()));
                }
            } else if let Some(content_type) = content_type {
                headers.push(("Content-Type".into(), content_type.into()));
            }
        } else if let Some(content_type) = content_type {
            headers.push(("Content-Type".into(), content_type.into()));
        }
        if let Some(length) = body.known_len() {
            headers.push(("Content-Length".into(), length.to_string().into()));
        }
        headers.extend(extra);
        if self.fault(Fault::HeaderCase) {
            let upper = self.pick(2) == 0;
            for (name, _) in &mut headers {
                let text: &str = name;
                let text = if upper { text.to_uppercase() } else { text.to_lowercase() };
                *name = text.into();
            }
        }
        let gzip = self.fault(Fault::Gzip);
        Reply { status, headers, body, latency_ms: self.config.latency_ms, transport, gzip }
    }
}
