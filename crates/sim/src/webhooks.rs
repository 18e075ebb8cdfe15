//! Webhooks: what a start asks for, the validation call, notifications and their retries. Calls
//! are effects: whoever drives the service performs them and says how they were answered.

use std::collections::VecDeque;

use serde_json::Value;

use crate::answer::{Answer, af, bad_parameter, missing_parameter};
use crate::blob::Blob;
use crate::config::SimConfig;
use crate::content_type::ContentType;
use crate::guid::Guid;
use crate::http::Request;
use crate::time::{self, MINUTE_MS};

/// Attempts kept for the list of notifications.
pub(crate) const HISTORY_MAX: usize = 5_000;
/// Notifications that wait for one webhook; beyond, new ones are dropped (content stays listed).
pub(crate) const QUEUE_MAX: usize = 10_000;
/// Failures in a row after which a webhook is disabled. Microsoft publishes no number.
const FAILURES_MAX: u32 = 6;
/// First pause after a failure; it doubles with each further one.
const RETRY_MS: i64 = MINUTE_MS;

/// How a webhook answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// With this status; only 200 is success.
    Status(u16),
    /// Not at all.
    Nothing,
}

impl WebhookAnswer {
    pub(crate) fn is_success(self) -> bool {
        self == Self::Status(200)
    }
}

/// A POST to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookCall {
    /// Where to.
    pub address: String,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// Names a notification that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) tenant: usize,
    pub(crate) app: Guid,
    pub(crate) content_type: ContentType,
    pub(crate) number: u64,
}

/// The webhook of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Webhook {
    pub(crate) address: String,
    pub(crate) auth_id: Option<String>,
    pub(crate) expires_ms: Option<i64>,
    /// Where its subscription was started: content addresses begin with it.
    origin: String,
    disabled: bool,
    failures: u32,
    pause_until_ms: i64,
    queue: VecDeque<Pending>,
    next_number: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Pending {
    number: u64,
    descriptor: Descriptor,
    under_way: bool,
}

/// A blob as notifications name it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Descriptor {
    pub(crate) content_id: String,
    pub(crate) content_uri: String,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: i64,
}

/// An attempt to notify.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) descriptor: Descriptor,
    pub(crate) sent_ms: i64,
    pub(crate) success: bool,
}

impl Webhook {
    /// Reads the body of a start. `None` when it asks for no webhook.
    pub(crate) fn parse(
        request: &Request,
        now_ms: i64,
        plain: bool,
    ) -> Result<Option<Self>, Answer> {
        let body = &request.body;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let body: Value =
            serde_json::from_slice(body).map_err(|_| bad_parameter("body", "json"))?;
        let webhook = match body.get("webhook") {
            None | Some(Value::Null) => return Ok(None),
            Some(webhook) => webhook,
        };
        let text = |name: &str| webhook.get(name).and_then(Value::as_str);
        let address = text("address").filter(|address| !address.is_empty());
        let address = address.ok_or_else(|| missing_parameter("webhook.address"))?;
        let https = address.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
        let allowed = https || (plain && address.starts_with("http://"));
        if !allowed {
            return Err(invalid(address, "The address must begin with HTTPS."));
        }
        let expires_ms = match text("expiration").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let at = time::parse(text);
                Some(at.ok_or_else(|| bad_parameter("expiration", "datetime"))?)
            }
        };
        if let Some(at) = expires_ms
            && at <= now_ms
        {
            let at = time::millis_z(at);
            let message = format!("Expiration {at} provided is set to past date and time.");
            return Err(af(400, "AF20003", &message));
        }
        Ok(Some(Self {
            address: address.to_owned(),
            auth_id: text("authId").map(str::to_owned),
            expires_ms,
            origin: request.origin(),
            disabled: false,
            failures: 0,
            pause_until_ms: 0,
            queue: VecDeque::new(),
            next_number: 0,
        }))
    }

    /// One that is there from the start.
    pub(crate) fn configured(config: &SimConfig, now_ms: i64) -> Option<Self> {
        let webhook = config.webhook.as_ref()?;
        let host = config.api_hosts.first().map_or("manage.office.com", String::as_str);
        Some(Self {
            address: webhook.address.clone(),
            auth_id: webhook.auth_id.clone(),
            expires_ms: webhook.expires_in_ms.map(|life_ms| now_ms + life_ms),
            origin: format!("https://{host}"),
            disabled: false,
            failures: 0,
            pause_until_ms: 0,
            queue: VecDeque::new(),
            next_number: 0,
        })
    }

    /// Whether a start with `other` changes nothing.
    pub(crate) fn same_as(&self, other: &Self, now_ms: i64) -> bool {
        self.status(now_ms) == "enabled"
            && self.address == other.address
            && self.auth_id == other.auth_id
            && self.expires_ms == other.expires_ms
    }

    pub(crate) fn status(&self, now_ms: i64) -> &'static str {
        if self.expires_ms.is_some_and(|at| at <= now_ms) {
            "expired"
        } else if self.disabled {
            "disabled"
        } else {
            "enabled"
        }
    }

    /// The test message that must be answered with 200 before a webhook is accepted.
    pub(crate) fn validation(&self, code: Guid) -> WebhookCall {
        let mut call = self.call(format!(r#"{{"validationCode":"{code}"}}"#), "charset=utf-8");
        call.headers.push(("Webhook-ValidationCode", code.to_string()));
        call
    }

    fn call(&self, body: String, charset: &str) -> WebhookCall {
        let mut headers = vec![("Content-Type", format!("application/json; {charset}"))];
        if let Some(auth_id) = &self.auth_id {
            headers.push(("Webhook-AuthID", auth_id.clone()));
        }
        WebhookCall { address: self.address.clone(), headers, body }
    }

    /// Queues a notification of a blob.
    pub(crate) fn enqueue(&mut self, blob: &Blob, tenant: Guid, now_ms: i64) {
        let descriptor = Descriptor::notified(blob, &self.origin, tenant);
        if self.status(now_ms) == "enabled" && self.queue.len() < QUEUE_MAX {
            self.next_number += 1;
            let number = self.next_number;
            self.queue.push_back(Pending { number, descriptor, under_way: false });
        }
    }

    /// The next notification to send.
    pub(crate) fn next_call(
        &mut self,
        now_ms: i64,
        tenant: Guid,
        app: Guid,
        content_type: ContentType,
    ) -> Option<(u64, WebhookCall)> {
        if self.status(now_ms) != "enabled" || self.pause_until_ms > now_ms {
            return None;
        }
        let pending = self.queue.iter_mut().find(|pending| !pending.under_way)?;
        pending.under_way = true;
        let number = pending.number;
        let Descriptor { content_id, content_uri, created_ms, expires_ms } = &pending.descriptor;
        let body = format!(
            "[{{\"clientId\":\"{app}\",\"contentCreated\":\"{}\",\"contentExpiration\":\"{}\",\
             \"contentId\":\"{content_id}\",\"contentType\":\"{content_type}\",\
             \"contentUri\":\"{content_uri}\",\"tenantId\":\"{tenant}\"}}]",
            time::millis_z(*created_ms),
            time::millis_z(*expires_ms),
        );
        Some((number, self.call(body, "utf-8")))
    }

    /// Notes how a notification was answered.
    pub(crate) fn answered(
        &mut self,
        number: u64,
        answer: WebhookAnswer,
        now_ms: i64,
    ) -> Option<Attempt> {
        let at = self.queue.iter().position(|pending| pending.number == number)?;
        let success = answer.is_success();
        let descriptor = self.queue[at].descriptor.clone();
        if success {
            self.queue.remove(at);
            self.failures = 0;
        } else {
            self.queue[at].under_way = false;
            self.pause_until_ms = now_ms + (RETRY_MS << self.failures.min(FAILURES_MAX));
            self.failures += 1;
            self.disabled = self.failures >= FAILURES_MAX;
        }
        Some(Attempt { descriptor, sent_ms: now_ms, success })
    }
}

/// AF20021.
pub(crate) fn invalid(address: &str, why: &str) -> Answer {
    let message = format!("The webhook endpoint {address} could not be validated. {why}");
    af(400, "AF20021", &message)
}

impl Descriptor {
    /// A blob under the id that notifications give it: with its region once more.
    pub(crate) fn notified(blob: &Blob, origin: &str, tenant: Guid) -> Self {
        let content_id = format!("{}${}", blob.content_id(), blob.region());
        Self {
            content_uri: crate::blob::blob_uri(origin, tenant, &content_id),
            content_id,
            created_ms: blob.created.ms,
            expires_ms: blob.expires_ms,
        }
    }

    /// Appends the properties that all lists have, without braces. Ids and addresses are plain:
    /// nothing in them needs an escape.
    pub(crate) fn push_json(&self, content_type: ContentType, out: &mut String) {
        let names = ["\"contentUri\":\"", "\",\"contentId\":\"", "\",\"contentType\":\""];
        for (name, value) in
            names.into_iter().zip([&*self.content_uri, &self.content_id, content_type.name()])
        {
            out.push_str(name);
            out.push_str(value);
        }
        out.push_str("\",\"contentCreated\":\"");
        time::push_millis_z(self.created_ms, out);
        out.push_str("\",\"contentExpiration\":\"");
        time::push_millis_z(self.expires_ms, out);
        out.push('"');
    }
}
