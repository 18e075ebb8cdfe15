//! Requests for tokens: of apps, by whatever credential, and of managed identities. Counts what was
//! given and holds assertions against the rules; what a grant yields is in `entra`.

use crate::answer::Answer;
use crate::config::AppConfig;
use crate::entra::assertion::{self, LIFE_MAX_S, Taken};
use crate::entra::{Grant, Outcome};
use crate::faults::Fault;
use crate::guid::Guid;
use crate::http::{Request, Transport};
use crate::machine::Service;
use crate::report::Rule;
use crate::service::Microsoft;

impl Microsoft {
    /// An app asks for a token.
    pub(crate) fn token(
        &mut self,
        now_ms: i64,
        request: &Request,
        tenant: &str,
        v2: bool,
    ) -> (Answer, Transport) {
        self.check_host(now_ms, request, false);
        if request.query().to_ascii_lowercase().contains("client_secret=") {
            self.illegal(now_ms, request, Rule::SecretInAddress, "client_secret in the address");
        }
        if let Some(early) = self.token_mishap() {
            return early;
        }
        let grant = self.grant(now_ms, request, tenant, v2);
        let Outcome { answer, taken } =
            grant.answer(&self.config, &self.tenant_configs, &mut self.tokens);
        if let Some(taken) = taken {
            self.judge_assertion(now_ms, request, taken);
        }
        self.given(answer)
    }

    /// A managed identity asks for a token.
    pub(crate) fn machine(
        &mut self,
        now_ms: i64,
        request: &Request,
        service: Service,
    ) -> (Answer, Transport) {
        if let Some(early) = self.token_mishap() {
            return early;
        }
        let grant = self.grant(now_ms, request, "", true);
        let answer =
            grant.answer_machine(service, &self.config, &self.tenant_configs, &mut self.tokens);
        self.given(answer)
    }

    fn token_mishap(&mut self) -> Option<(Answer, Transport)> {
        if let Some(transport) = self.lost_request() {
            return Some((Answer::empty(200), transport));
        }
        self.token_fault().map(|answer| (answer, Transport::Whole))
    }

    fn grant<'r>(
        &mut self,
        now_ms: i64,
        request: &'r Request,
        tenant: &'r str,
        v2: bool,
    ) -> Grant<'r> {
        let short = self.fault(Fault::TokenShort);
        Grant {
            now_ms,
            counter: self.counter,
            request,
            tenant,
            v2,
            lifetime_s: if short {
                self.faults.plan.short_token_seconds
            } else {
                self.config.token_seconds
            },
            odd_types: self.fault(Fault::TokenOddTypes),
            refuse: self.fault(Fault::TokenRefused).then_some(self.faults.plan.token_refusal),
        }
    }

    fn given(&mut self, answer: Answer) -> (Answer, Transport) {
        if answer.status == 200 {
            self.report.tokens_issued += 1;
        }
        let transport = self.lossy_answer(&answer);
        (answer, transport)
    }

    /// Entra takes an assertion that lives long or comes again. Who makes one should not.
    fn judge_assertion(&mut self, now_ms: i64, request: &Request, taken: Taken) {
        if LIFE_MAX_S < taken.life_s {
            self.illegal(now_ms, request, Rule::BadAssertion, "it lives for more than 10 minutes");
        }
        if let Some(name) = taken.name {
            let number = Guid::parse(&name).map(|guid| guid.0);
            if number.is_none_or(|number| !self.assertions.insert(number)) {
                self.illegal(now_ms, request, Rule::BadAssertion, "jti is no GUID, or used twice");
            }
        }
    }

    /// A token of the federated issuer that an application trusts, for `life_s` seconds; `None` if
    /// it trusts none.
    pub fn federated_token(&self, app: &AppConfig, life_s: u32) -> Option<String> {
        app.credentials.iter().find_map(|known| assertion::mint(known, self.now_ms, life_s))
    }
}
