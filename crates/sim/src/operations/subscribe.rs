//! Start, stop and list of subscriptions.

use crate::answer::{self, Answer, af};
use crate::config::RepeatedStart;
use crate::content_type::ContentType;
use crate::faults::Fault;
use crate::report::Rule;
use crate::service::{Call, Microsoft};
use crate::subscriptions::{State, Subscription};
use crate::webhooks::{self, Webhook};

impl Microsoft {
    pub(super) fn start(&mut self, call: &Call<'_>) -> Answer {
        match self.try_start(call) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn try_start(&mut self, call: &Call<'_>) -> Result<Answer, Answer> {
        let content_type = self.content_type(call)?;
        if !self.tenants[call.tenant].auditing || self.fault(Fault::AuditOff) {
            let tenant = self.tenants[call.tenant].id;
            let name = content_type.name();
            return Err(answer::audit_off(tenant, call.app, call.publisher, name));
        }
        if self.fault(Fault::StartFails) {
            return Err(af(500, "AF50000", "An internal error occurred.  Retry the request."));
        }
        let webhook = self.read_webhook(call.request, call.now_ms)?;
        self.check_cooldown(call, content_type, webhook.as_ref())?;
        if self.fault(Fault::StartThrottled) {
            return Err(too_soon(14 * 60_000 + 56_000));
        }
        if let Some(webhook) = &webhook
            && !call.webhook.is_success()
        {
            return Err(webhooks::invalid(
                &webhook.address,
                "The endpoint did not return HTTP 200.",
            ));
        }
        let subscriptions = &mut self.tenants[call.tenant].subscriptions;
        let key = (call.app, content_type);
        let subscription =
            subscriptions.entry(key).or_insert_with(|| Subscription::started(call.now_ms));
        subscription.restart(call.now_ms);
        subscription.webhook = webhook;
        let json = subscription.json(content_type, call.now_ms);
        let mut json = json.expect("a subscription that was started is shown");
        if !self.config.rules.start_names_webhook {
            json = json.replace(r#","webhook":null"#, "");
        }
        Ok(Answer::json(200, json))
    }

    /// The 15 minutes between starts, and the refusal of a start that changes nothing.
    fn check_cooldown(
        &mut self,
        call: &Call<'_>,
        content_type: ContentType,
        webhook: Option<&Webhook>,
    ) -> Result<(), Answer> {
        let cooldown_ms = self.config.rules.start_cooldown_ms;
        let Some(known) = self.subscription(call, content_type) else {
            return Ok(());
        };
        let left_ms = known.cooldown_left(call.now_ms, cooldown_ms);
        let same = known.state == State::Enabled
            && match (&known.webhook, webhook) {
                (None, None) => true,
                (Some(old), Some(new)) => old.same_as(new, call.now_ms),
                _ => false,
            };
        let excused = known.excused;
        if same {
            let why = "the subscription is enabled and nothing changes";
            self.illegal(call.now_ms, call.request, Rule::StartNeedless, why);
        }
        if left_ms > 0 {
            if !excused {
                let why = format!("{left_ms} ms of the cool-down are left");
                self.illegal(call.now_ms, call.request, Rule::StartTooSoon, &why);
            }
            return Err(too_soon(left_ms));
        }
        if same && self.config.rules.repeated_start == RepeatedStart::Af20024 {
            let message = "The subscription is already enabled. No property change.";
            return Err(af(400, "AF20024", message));
        }
        Ok(())
    }

    pub(super) fn stop(&mut self, call: &Call<'_>) -> Answer {
        let content_type = match self.content_type(call) {
            Ok(content_type) => content_type,
            Err(answer) => return answer,
        };
        match self.subscription(call, content_type) {
            None => af(400, "AF20022", "No subscription found for the specified content type."),
            Some(subscription) => {
                subscription.stop(call.now_ms);
                Answer::empty(200)
            }
        }
    }

    pub(super) fn list(&mut self, call: &Call<'_>) -> Answer {
        if self.fault(Fault::ListBroken) {
            return match self.pick(4) {
                0 => af(500, "AF50000", "An internal error occurred.  Retry the request."),
                1 => Answer::json(200, "null".to_owned()),
                2 => Answer::empty(200),
                _ => Answer::json(200, r#"{"value":[]}"#.to_owned()),
            };
        }
        let entries: Vec<String> = ContentType::ALL
            .into_iter()
            .filter_map(|ct| self.subscription(call, ct)?.json(ct, call.now_ms))
            .collect();
        Answer::json(200, format!("[{}]", entries.join(",")))
    }
}

/// `14m 56s`, as captured.
fn too_soon(left_ms: i64) -> Answer {
    let seconds = (left_ms + 999) / 1_000;
    let message = format!(
        "Too many frequent subscription start requests. Please retry again after {}m {}s",
        seconds / 60,
        seconds % 60
    );
    af(429, "AF429", &message)
}
