//! Decides when subscriptions are looked at and started, and what the answers mean.
//!
//! When a start is sent is stored before it is: a crash in between costs a wait, the other order
//! could start twice within Microsoft's cool-down.

use std::time::Duration;

use crate::audit::AuditSource;
use crate::audit::answers;
use crate::audit::ending::Ending;
use crate::audit::exchange::{Body, Exchange, Purpose};
use crate::audit::forbidden::Suspicion;
use crate::audit::subscription::{MISSING_RECHECK, START_COOL_DOWN};
use crate::audit::webhook::{Outcome, REFUSED_RETRY};
use crate::audit::wire;
use crate::base::interval::Interval;
use crate::base::secret::Secret;
use crate::base::time::{Now, Utc};
use crate::contract::error_codes::remedy;
use crate::contract::event::{Event, FeedEvent};
use crate::contract::loss::LossKind;
use crate::source::Ended;
use crate::source::desk::Desk;
use crate::source::losses::Loss;
use crate::source::trouble::MOUNTING;
use crate::source::urgency::{Urgency, Wake};
use crate::source::verdict::Verdict;
use crate::source::words::opening_of;

/// Waits between attempts to read the list of subscriptions.
pub(super) const LIST_RETRY_BASE: Duration = Duration::from_secs(2);
pub(super) const LIST_RETRY_MAX: Duration = Duration::from_secs(120);

/// How often the list of subscriptions is looked at for webhooks: Microsoft disables those that
/// fail.
const WEBHOOK_RECHECK: Duration = Duration::from_secs(30 * 60);

impl AuditSource {
    // Sending.

    pub(super) fn schedule_subscriptions(
        &mut self,
        desk: &mut Desk,
        now: Now,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        let under_way =
            self.exchanges.iter().any(|exchange| exchange.purpose == Purpose::ListSubscriptions);
        let unknown = self.lanes.iter_mut().any(|lane| lane.subscription().is_unknown());
        let for_webhooks = self.config.webhook.is_some()
            && !desk.is_once()
            && wake.is_due(self.webhooks_due, now.monotonic);
        if (for_webhooks || unknown)
            && !under_way
            && wake.is_due(self.list_not_before, now.monotonic)
        {
            match self.access.take(now.monotonic) {
                Ok(()) => {
                    let request = wire::list_subscriptions(&self.config, bearer);
                    self.send(desk, now, request, Purpose::ListSubscriptions, Urgency::Fresh);
                    self.webhooks_due = now.monotonic + WEBHOOK_RECHECK;
                }
                Err(at) => wake.at(at),
            }
        }
        let server_now = desk.server_time(now);
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].subscription().is_missing() {
                self.schedule_start(desk, lane, now, server_now, bearer, wake);
            }
        }
        self.schedule_webhooks(desk, now, server_now, bearer, wake);
    }

    fn schedule_start(
        &mut self,
        desk: &mut Desk,
        index: usize,
        now: Now,
        server_now: Utc,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        let lane = &mut self.lanes[index];
        let (starts, feed) = (self.config.start_subscriptions, lane.feed());
        let content_type = lane.content_type();
        let subscription = lane.subscription();
        if !starts || server_now < subscription.may_start_at(server_now) {
            let once = desk.is_once();
            let told = subscription.wait_missing(starts, once, now.monotonic, server_now, wake);
            if let Some(missing) = told {
                let (retry_in, answer) = (missing.retry_in, missing.answer);
                desk.tell(Event::Feed(
                    feed,
                    FeedEvent::SubscriptionMissing { retry_in, starts, answer },
                ));
            }
            return;
        }
        if let Err(at) = self.access.take(now.monotonic) {
            return wake.at(at);
        }
        subscription.note_start(false, server_now, desk.changes());
        desk.commit_now();
        let own = self.config.webhook.clone().filter(|_| !desk.is_once());
        let webhook = subscription.webhook().of_start(own, now.monotonic);
        let request =
            wire::start_subscription(&self.config, content_type, webhook.as_ref(), bearer);
        let purpose = Purpose::StartSubscription { lane: index };
        self.send(desk, now, request, purpose, Urgency::Fresh);
    }

    /// Asks for the webhooks of enabled subscriptions that lack them.
    fn schedule_webhooks(
        &mut self,
        desk: &mut Desk,
        now: Now,
        server_now: Utc,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        let Some(webhook) = self.config.webhook.clone().filter(|_| !desk.is_once()) else { return };
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            let content_type = lane.content_type();
            let subscription = lane.subscription();
            let Some(due) = subscription.webhook().due() else { continue };
            if !subscription.is_enabled() || !wake.is_due(due, now.monotonic) {
                continue;
            }
            let may_start_at = subscription.may_start_at(server_now);
            if server_now < may_start_at {
                let until = now.monotonic + may_start_at.since(server_now);
                subscription.webhook().wait_until(until);
                wake.at(until);
                continue;
            }
            if let Err(at) = self.access.take(now.monotonic) {
                return wake.at(at);
            }
            subscription.webhook().note_asked();
            subscription.note_start(true, server_now, desk.changes());
            desk.commit_now();
            let request =
                wire::start_subscription(&self.config, content_type, Some(&webhook), bearer);
            self.send(desk, now, request, Purpose::SetWebhook { lane: index }, Urgency::Fresh);
        }
    }

    // The list.

    /// The list of subscriptions has ended, well or badly.
    pub(super) fn end_list(
        &mut self,
        desk: &mut Desk,
        now: Now,
        mut exchange: Exchange,
        ended: Ended,
    ) {
        let ending = self.ending(desk, now, &mut exchange, ended);
        let accepted = match (&ending.verdict, &exchange.body) {
            (Verdict::Accept, Body::Small(small)) => answers::enabled_subscriptions(small.bytes())
                .map_err(|error| {
                    let opening = opening_of(small.bytes());
                    let opening = opening.unwrap_or_else(|| "nothing".into());
                    format!(
                        "the answer is no list of subscriptions ({error}); it begins: {opening}"
                    )
                }),
            _ => Err(ending.reason.clone()),
        };
        let reason = match accepted {
            Ok(enabled) => {
                self.list_failures = 0;
                self.access.prove(exchange.sent.generation, now.monotonic);
                for lane in &mut self.lanes {
                    let listed = enabled.contains(&lane.content_type());
                    lane.subscription().note_listed(listed);
                }
                return self.note_webhooks(desk, now, exchange.body.small_bytes());
            }
            Err(reason) => reason,
        };
        if ending.verdict == Verdict::Deny {
            for lane in 0..self.lanes.len() {
                if self.lanes[lane].subscription().is_unknown() {
                    self.deny(desk, now, lane, &ending);
                }
            }
            return;
        }
        self.take_measures(desk, now, &exchange, &ending);
        self.list_failures = self.list_failures.saturating_add(1);
        let failures = self.list_failures;
        let retry_in = desk.backoff(LIST_RETRY_BASE, LIST_RETRY_MAX, failures);
        self.list_not_before = now.monotonic + retry_in;
        if failures >= MOUNTING {
            // Perhaps only the list fails. Whoever is not subscribed is told so by the listing.
            for lane in &mut self.lanes {
                lane.subscription().assume_enabled();
            }
        }
        desk.tell_retry(exchange.sent.operation, None, failures, &reason, retry_in);
    }

    /// The list of subscriptions has arrived: it shows the webhooks.
    fn note_webhooks(&mut self, desk: &Desk, now: Now, list: &[u8]) {
        let server_now = desk.server_time(now);
        for lane in &mut self.lanes {
            let content_type = lane.content_type();
            let subscription = lane.subscription();
            let enabled = subscription.is_enabled();
            if let Some(wanted) = &self.config.webhook {
                let there = answers::has_webhook(list, content_type, wanted);
                subscription.webhook().note_there(there, enabled, now.monotonic);
            }
            let shown = answers::live_webhook(list, content_type, server_now);
            subscription.webhook().note_kept(shown);
        }
    }

    // Starts.

    /// A start has ended, well or badly.
    pub(super) fn end_start(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        mut exchange: Exchange,
        ended: Ended,
    ) {
        let ending = self.ending(desk, now, &mut exchange, ended);
        if self.is_refused_webhook(desk, now, index, ending.code.as_deref()) {
            self.lanes[index].subscription().start_without_webhook();
            return;
        }
        match &ending.verdict {
            Verdict::Accept if is_confirmed(&ending, &exchange) => {
                self.access.prove(exchange.sent.generation, now.monotonic);
                self.accept_start(desk, now, index, &ending);
            }
            Verdict::Deny => {
                self.lanes[index].subscription().webhook().want_again(now.monotonic);
                self.deny(desk, now, index, &ending);
            }
            Verdict::CoolDown(wait) => {
                let server_now = desk.server_time(now);
                let subscription = self.lanes[index].subscription();
                subscription.webhook().want_again(now.monotonic);
                subscription.cool_down(*wait, &ending.reason, server_now);
            }
            Verdict::Forbid => self.refuse_start(desk, now, index, &exchange, &ending),
            Verdict::Reauthenticate => {
                let (current, proven_at) = self.access.standing(exchange.sent.generation);
                let forbidden = self.lanes[index].subscription().forbidden();
                // The list is looked at before the next start, whatever this was.
                match forbidden.suspect(now.monotonic, current, proven_at, true) {
                    Suspicion::Feed => self.refuse_start(desk, now, index, &exchange, &ending),
                    Suspicion::Test => self.fail_start(desk, now, index, &exchange, &ending),
                    Suspicion::Replace => {
                        self.reject(desk, now, index, &exchange, &ending);
                        self.fail_start(desk, now, index, &exchange, &ending);
                    }
                }
            }
            Verdict::Accept
            | Verdict::Resubscribe
            | Verdict::Replan
            | Verdict::Throttle(_)
            | Verdict::Gone
            | Verdict::Retry(_) => {
                self.take_measures(desk, now, &exchange, &ending);
                self.fail_start(desk, now, index, &exchange, &ending);
            }
        }
    }

    fn accept_start(&mut self, desk: &mut Desk, now: Now, index: usize, ending: &Ending) {
        let lane = &mut self.lanes[index];
        let feed = lane.feed();
        lane.subscription().enable();
        desk.tell(Event::Feed(feed, FeedEvent::SubscriptionStarted));
        let end = desk.server_time(now);
        let start = lane.covered_until().filter(|start| *start < end);
        // With a code it had been running all the time.
        if let (Some(start), None) = (start, &ending.code) {
            let time = Interval { start, end };
            desk.lose(Loss::of_time(LossKind::Unsubscribed, feed, time, end));
            desk.tell(Event::Feed(feed, FeedEvent::SubscriptionGapError { start, end }));
        }
        self.accept_webhook(desk, index);
    }

    /// A start was refused without a code that says why.
    fn refuse_start(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        let subscription = self.lanes[index].subscription();
        if subscription.forbidden().refuse_start() {
            subscription.webhook().want_again(now.monotonic);
            self.deny(desk, now, index, ending);
        } else {
            self.fail_start(desk, now, index, exchange, ending);
        }
    }

    /// A start has failed. Whether it took effect is not known: the list tells before it is tried
    /// again.
    fn fail_start(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        let lane = &mut self.lanes[index];
        lane.subscription().webhook().want_again(now.monotonic);
        let failures = lane.subscription().fail_start(if ending.verdict == Verdict::Accept {
            "the answer is not an enabled subscription".into()
        } else {
            ending.reason.clone()
        });
        self.list_not_before = now.monotonic + desk.backoff(LIST_RETRY_BASE, MISSING_RECHECK, 1);
        let (operation, feed) = (exchange.sent.operation, Some(lane.feed()));
        desk.tell_retry(operation, feed, failures, &ending.reason, START_COOL_DOWN);
    }

    // Webhooks.

    /// A start that was to change only the webhook has ended.
    pub(super) fn end_webhook(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        mut exchange: Exchange,
        ended: Ended,
    ) {
        let ending = self.ending(desk, now, &mut exchange, ended);
        match &ending.verdict {
            Verdict::Accept if is_confirmed(&ending, &exchange) => self.accept_webhook(desk, index),
            Verdict::CoolDown(wait) => {
                let wait = wait.unwrap_or(START_COOL_DOWN).min(START_COOL_DOWN);
                let webhook = self.lanes[index].subscription().webhook();
                webhook.wait_until(now.monotonic + wait);
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
                self.take_measures(desk, now, &exchange, &ending);
                let code = ending.code.as_deref().unwrap_or(&ending.reason);
                self.refuse_webhook(desk, now, index, code);
            }
        }
    }

    /// Whether a start failed because its webhook was refused.
    fn is_refused_webhook(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        code: Option<&str>,
    ) -> bool {
        let lane = &mut self.lanes[index];
        let feed = lane.feed();
        match (lane.subscription().webhook().refused(code), code) {
            (Outcome::Kept(address), Some(code)) => {
                let code = code.to_owned();
                desk.tell(Event::Feed(feed, FeedEvent::WebhookLost { address, code }));
                true
            }
            (Outcome::Own, Some(code)) => {
                self.refuse_webhook(desk, now, index, code);
                true
            }
            (Outcome::Nothing | Outcome::Kept(_) | Outcome::Own, _) => false,
        }
    }

    /// Microsoft has accepted a start that asked for a webhook.
    fn accept_webhook(&mut self, desk: &mut Desk, index: usize) {
        let lane = &mut self.lanes[index];
        let feed = lane.feed();
        match lane.subscription().webhook().accept() {
            Outcome::Nothing => {}
            Outcome::Kept(address) => {
                desk.tell(Event::Feed(feed, FeedEvent::WebhookKept { address }))
            }
            Outcome::Own => {
                let address = self.webhook_address();
                desk.tell(Event::Feed(feed, FeedEvent::WebhookSet { address }));
            }
        }
    }

    fn refuse_webhook(&mut self, desk: &mut Desk, now: Now, index: usize, code: &str) {
        let lane = &mut self.lanes[index];
        lane.subscription().webhook().wait_until(now.monotonic + REFUSED_RETRY);
        let feed = lane.feed();
        desk.counts().retries += 1;
        desk.tell(Event::Feed(
            feed,
            FeedEvent::WebhookRefused {
                address: self.webhook_address(),
                code: code.to_owned(),
                remedy: remedy(code),
                retry_in: REFUSED_RETRY,
            },
        ));
    }

    fn webhook_address(&self) -> String {
        self.config.webhook.as_ref().map(|webhook| webhook.address.clone()).unwrap_or_default()
    }
}

/// Whether the answer to a start says that the subscription is enabled: with the subscription, or,
/// if it was and nothing changes, with an error (AF20024).
fn is_confirmed(ending: &Ending, exchange: &Exchange) -> bool {
    ending.code.is_some() || answers::is_enabled(exchange.body.small_bytes())
}
