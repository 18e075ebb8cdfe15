//! The webhook of subscriptions: when Microsoft is asked for it, and what the answer means.
//!
//! Only with the option `webhook_address`; without it no webhook is ever touched. Since a start
//! without a webhook removes the one there is, a disabled subscription is started again with the
//! webhook that the list showed. A webhook that cannot be had costs nothing but time: content is
//! polled in any case.

use std::time::Duration;

use crate::audit::exchange::{Body, Exchange, Purpose};
use crate::audit::judge::Verdict;
use crate::audit::lane::Subscription;
use crate::audit::plan::Urgency;
use crate::audit::schedule::{START_COOL_DOWN, Wake};
use crate::audit::wire;
use crate::base::origin::Origin;
use crate::base::secret::Secret;
use crate::base::time::{Now, Utc};
use crate::call::WebhookRequest;
use crate::collector::Collector;
use crate::config::{ConfigError, Reader};
use crate::contract::batch::ContentType;
use crate::contract::event::Event;
use crate::contract::remedy::remedy;

/// How often the list of subscriptions is looked at: Microsoft disables webhooks that fail.
const RECHECK: Duration = Duration::from_secs(30 * 60);

/// How long a webhook is left alone that Microsoft has refused.
const REFUSED_RETRY: Duration = Duration::from_secs(60 * 60);

/// The code with which Microsoft says that a webhook did not answer its validation.
const NOT_VALIDATED: &str = "AF20021";

/// The codes with which Microsoft refuses a start for the sake of its webhook: beside that one, a
/// parameter that it cannot read, and an expiration that has passed.
const WEBHOOK_REFUSED: [&str; 3] = [NOT_VALIDATED, "AF20002", "AF20003"];

/// Lengths of an authentication id: what is shorter can be guessed.
const AUTH_ID_CHARS: std::ops::RangeInclusive<usize> = 16..=256;

/// The webhook of a lane's subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Webhook {
    /// It is as it should be, or none is wanted.
    Settled,
    /// It is to be asked for, not before then.
    Wanted(Duration),
    /// A start asks for it.
    Asked,
}

/// The webhook that a subscription has, whoever set it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// None, as far as the list shows; or one that has expired, which could only be lost or
    /// revived.
    #[default]
    Nothing,
    /// The list shows it.
    Shown(WebhookRequest),
    /// A start asks for it again.
    Asked(WebhookRequest),
}

impl Kept {
    /// Takes out what a start asked for; what the list shows stays.
    fn take_asked(&mut self) -> Option<WebhookRequest> {
        match std::mem::take(self) {
            Self::Asked(kept) => Some(kept),
            shown @ (Self::Nothing | Self::Shown(_)) => {
                *self = shown;
                None
            }
        }
    }
}

/// Reads the options; `None` without `webhook_address`. `starts` says whether subscriptions are
/// started. Mistakes stay in `reader`.
pub(crate) fn read(reader: &mut Reader<'_>, starts: bool) -> Option<WebhookRequest> {
    let auth_id = reader.optional("webhook_auth_id");
    let legal = |text: &String| {
        AUTH_ID_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if auth_id.as_ref().is_some_and(|auth_id| !legal(auth_id)) {
        reader.report(ConfigError::new(
            "webhook_auth_id",
            None,
            "not 16 to 256 letters, digits and signs without spaces",
            "write random ones, for example from: openssl rand -hex 32",
        ));
    }
    let address = reader.optional("webhook_address")?;
    let mut refuse = |problem: &str, remedy: &str| {
        reader.report(ConfigError::new("webhook_address", Some(&address), problem, remedy));
    };
    let path = address.find("://").and_then(|at| address[at + 3..].find(['/', '?', '#']));
    let origin_end = path.map_or(address.len(), |path| address.find("://").unwrap_or(0) + 3 + path);
    if let Err(problem) = Origin::parse(&address[..origin_end]) {
        refuse(&problem.to_string(), "write the https:// address at which Microsoft reaches you");
    }
    if auth_id.is_none() {
        refuse(
            "webhook_auth_id is missing",
            "set it to random characters, for example from: openssl rand -hex 32",
        );
    }
    if !starts {
        refuse(
            "without effect, because start_subscriptions is off",
            "set start_subscriptions on: a webhook is set by starting the subscription",
        );
    }
    Some(WebhookRequest { address, auth_id: auth_id.map(Secret::new), expiration: None })
}

impl Collector {
    /// The webhook that a start of this lane's subscription asks for.
    pub(crate) fn webhook_for(&self, index: usize, now: Now) -> Option<WebhookRequest> {
        let may_ask = match self.lanes[index].webhook {
            Webhook::Settled | Webhook::Asked => true,
            Webhook::Wanted(not_before) => not_before <= now.monotonic,
        };
        self.config.webhook.clone().filter(|_| may_ask && !self.config.once)
    }

    /// The webhook with which a subscription that is not enabled is started: the one that is
    /// configured, or else the one that it had.
    pub(crate) fn webhook_of_start(&mut self, index: usize, now: Now) -> Option<WebhookRequest> {
        if let Some(wanted) = self.webhook_for(index, now) {
            self.lanes[index].webhook = Webhook::Asked;
            return Some(wanted);
        }
        let lane = &mut self.lanes[index];
        let Kept::Shown(kept) = lane.kept.clone() else { return None };
        lane.kept = Kept::Asked(kept.clone());
        Some(kept)
    }

    /// The list of subscriptions has arrived: it shows what a start would have to keep.
    pub(crate) fn note_kept(&mut self, server_now: Utc, list: &[u8]) {
        for lane in &mut self.lanes {
            // A start that is under way ends as it was asked for.
            if !matches!(lane.kept, Kept::Asked(_)) {
                let shown = wire::live_webhook(list, lane.content_type, server_now);
                lane.kept = shown.map_or(Kept::Nothing, Kept::Shown);
            }
        }
    }

    /// Whether the list of subscriptions is to be looked at for the sake of webhooks.
    pub(crate) fn webhooks_are_due(&self, now: Now, wake: &mut Wake) -> bool {
        let wanted = self.config.webhook.is_some() && !self.config.once;
        wanted && wake.is_due(self.webhooks_due, now.monotonic)
    }

    /// The list of subscriptions is asked for.
    pub(crate) fn note_webhooks_asked(&mut self, now: Now) {
        self.webhooks_due = now.monotonic + RECHECK;
    }

    /// The list of subscriptions has arrived: it shows the webhooks.
    pub(crate) fn note_webhooks(&mut self, now: Now, list: &[u8]) {
        let Some(wanted) = &self.config.webhook else { return };
        for lane in &mut self.lanes {
            let there = wire::has_webhook(list, lane.content_type, wanted);
            match (there, lane.webhook) {
                (Some(true), Webhook::Wanted(_)) => lane.webhook = Webhook::Settled,
                (Some(false), Webhook::Settled) if lane.subscription == Subscription::Enabled => {
                    lane.webhook = Webhook::Wanted(now.monotonic);
                }
                (Some(_) | None, _) => {}
            }
        }
    }

    /// Asks for the webhooks of enabled subscriptions that lack them.
    pub(crate) fn schedule_webhooks(
        &mut self,
        now: Now,
        server_now: Utc,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        let Some(webhook) = self.config.webhook.clone() else { return };
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            let Webhook::Wanted(not_before) = lane.webhook else { continue };
            let enabled = lane.subscription == Subscription::Enabled && !self.config.once;
            if !enabled || !wake.is_due(not_before, now.monotonic) {
                continue;
            }
            let may_start_at = lane.started_at.map_or(server_now, |at| at + START_COOL_DOWN);
            if server_now < may_start_at {
                let until = now.monotonic + may_start_at.since(server_now);
                lane.webhook = Webhook::Wanted(until);
                wake.at(until);
                continue;
            }
            if let Err(at) = self.budget.take(now.monotonic) {
                wake.at(at);
                return;
            }
            let lane = &mut self.lanes[index];
            lane.webhook = Webhook::Asked;
            let content_type = lane.content_type;
            self.note_start(index, now, server_now);
            let request =
                wire::start_subscription(&self.config, content_type, Some(&webhook), bearer);
            self.send(now, request, Purpose::SetWebhook { lane: index }, Urgency::Fresh);
        }
    }

    /// A start that was to change only the webhook has ended.
    pub(crate) fn end_webhook(
        &mut self,
        now: Now,
        index: usize,
        exchange: &Exchange,
        verdict: &Verdict,
        code: Option<&str>,
        reason: &str,
    ) {
        let confirmed = match &exchange.body {
            // An enabled subscription in which nothing changes is an error (AF20024).
            Body::Small(small) => code.is_some() || wire::is_enabled(small.bytes()),
            Body::Page(_) | Body::Blob(_) | Body::Activities(_) => false,
        };
        match verdict {
            Verdict::Accept if confirmed => self.accept_webhook(index),
            Verdict::CoolDown(wait) => {
                let wait = wait.unwrap_or(START_COOL_DOWN).min(START_COOL_DOWN);
                self.lanes[index].webhook = Webhook::Wanted(now.monotonic + wait);
            }
            Verdict::Accept
            | Verdict::Reauthenticate
            | Verdict::Resubscribe
            | Verdict::Replan
            | Verdict::Throttle(_)
            | Verdict::Gone
            | Verdict::Deny
            | Verdict::Forbid
            | Verdict::Retry(_) => {
                self.take_measures(now, exchange, verdict, reason);
                self.refuse_webhook(now, index, code.unwrap_or(reason));
            }
        }
    }

    /// Whether a start failed because its webhook was refused. Then the subscription was not
    /// started either, and is to be started without.
    pub(crate) fn is_refused_webhook(
        &mut self,
        now: Now,
        index: usize,
        code: Option<&str>,
    ) -> bool {
        let Some(code) = code.filter(|code| WEBHOOK_REFUSED.contains(code)) else { return false };
        let lane = &mut self.lanes[index];
        if let Some(kept) = lane.kept.take_asked() {
            let content_type = lane.content_type;
            let (address, code) = (kept.address, code.to_owned());
            self.event(Event::WebhookLost { content_type, address, code });
            return true;
        }
        let refused = lane.webhook == Webhook::Asked && code == NOT_VALIDATED;
        if refused {
            self.refuse_webhook(now, index, NOT_VALIDATED);
        }
        refused
    }

    /// Microsoft has accepted a start that asked for a webhook.
    pub(crate) fn accept_webhook(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        let content_type: ContentType = lane.content_type;
        if let Some(kept) = lane.kept.take_asked() {
            let address = kept.address.clone();
            lane.kept = Kept::Shown(kept);
            self.event(Event::WebhookKept { content_type, address });
            return;
        }
        if lane.webhook != Webhook::Asked {
            return;
        }
        lane.webhook = Webhook::Settled;
        let address = self.config.webhook.as_ref().map(|webhook| webhook.address.clone());
        let address = address.unwrap_or_default();
        self.event(Event::WebhookSet { content_type, address });
    }

    /// A start that asked for a webhook has come to nothing.
    pub(crate) fn want_webhook(&mut self, now: Now, index: usize) {
        let lane = &mut self.lanes[index];
        if let Some(kept) = lane.kept.take_asked() {
            lane.kept = Kept::Shown(kept);
        }
        if lane.webhook == Webhook::Asked {
            lane.webhook = Webhook::Wanted(now.monotonic);
        }
    }

    fn refuse_webhook(&mut self, now: Now, index: usize, code: &str) {
        let lane = &mut self.lanes[index];
        lane.webhook = Webhook::Wanted(now.monotonic + REFUSED_RETRY);
        let content_type = lane.content_type;
        self.metrics.retries += 1;
        let address = self.config.webhook.as_ref().map(|webhook| webhook.address.clone());
        self.event(Event::WebhookRefused {
            content_type,
            address: address.unwrap_or_default(),
            code: code.to_owned(),
            remedy: remedy(code),
            retry_in: REFUSED_RETRY,
        });
    }
}
