//! Subscriptions: one per (application, content type) of a tenant. Their states, the cool-down
//! between starts, and which blobs a subscription can see. Pure bookkeeping.

use std::collections::VecDeque;

use crate::answer::quoted;
use crate::blob::Blob;
use crate::config::SimConfig;
use crate::content_type::ContentType;
use crate::time::{self, HOUR_MS};
use crate::webhooks::{Attempt, Webhook};

/// Periods without subscription that are remembered; the oldest are forgotten first.
const GAPS_MAX: usize = 100;

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    /// Stopped by its application.
    Stopped,
    /// Disabled by an administrator (a fault).
    Disabled,
    /// As if it had never been (a fault).
    Vanished,
}

/// A subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) state: State,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) history: VecDeque<Attempt>,
    last_start_ms: Option<i64>,
    first_start_ms: i64,
    /// Stopped from, until.
    gaps: VecDeque<(i64, i64)>,
    stopped_ms: i64,
    /// The service itself took the subscription away since the last start, so that a client
    /// cannot know that the cool-down runs.
    pub(crate) excused: bool,
}

impl Subscription {
    /// A subscription that is started now.
    pub(crate) fn started(now_ms: i64) -> Self {
        Self {
            state: State::Enabled,
            webhook: None,
            history: VecDeque::new(),
            last_start_ms: Some(now_ms),
            first_start_ms: now_ms,
            gaps: VecDeque::new(),
            stopped_ms: 0,
            excused: false,
        }
    }

    /// A subscription that existed before the world began.
    pub(crate) fn ancient() -> Self {
        Self { last_start_ms: None, first_start_ms: i64::MIN / 2, ..Self::started(0) }
    }

    /// What is left of the cool-down.
    pub(crate) fn cooldown_left(&self, now_ms: i64, cooldown_ms: i64) -> i64 {
        let since = self.last_start_ms.map_or(i64::MAX, |start| now_ms - start);
        cooldown_ms.saturating_sub(since).max(0)
    }

    /// Starts it again. Content of the time in which its application had stopped it stays lost.
    pub(crate) fn restart(&mut self, now_ms: i64) {
        if self.state == State::Stopped {
            if self.gaps.len() == GAPS_MAX {
                self.gaps.pop_front();
            }
            self.gaps.push_back((self.stopped_ms, now_ms));
        }
        self.state = State::Enabled;
        self.last_start_ms = Some(now_ms);
        self.excused = false;
    }

    /// Its application stops it.
    pub(crate) fn stop(&mut self, now_ms: i64) {
        if self.state != State::Stopped {
            self.stopped_ms = now_ms;
        }
        self.state = State::Stopped;
        self.webhook = None;
    }

    /// Whether it can see a blob.
    pub(crate) fn sees(&self, blob: &Blob, now_ms: i64, config: &SimConfig) -> bool {
        let since_ms = config.backfill_hours.map_or(i64::MIN, |hours| {
            self.first_start_ms.saturating_sub(i64::from(hours) * HOUR_MS)
        });
        let within = |(from, until): &(i64, i64)| (*from..*until).contains(&blob.available_ms);
        blob.available_ms <= now_ms && blob.created.ms >= since_ms && !self.gaps.iter().any(within)
    }

    /// The JSON of lists and starts; none for one that vanished.
    pub(crate) fn json(&self, content_type: ContentType, now_ms: i64) -> Option<String> {
        let status = match self.state {
            State::Enabled => "enabled",
            State::Stopped | State::Disabled => "disabled",
            State::Vanished => return None,
        };
        let webhook = self.webhook.as_ref().map_or_else(
            || "null".to_owned(),
            |webhook| {
                let expiration = webhook
                    .expires_ms
                    .map_or_else(|| "null".to_owned(), |ms| quoted(&time::millis_z(ms)));
                format!(
                    r#"{{"authId":{},"address":{},"expiration":{expiration},"status":"{}"}}"#,
                    webhook.auth_id.as_deref().map_or_else(|| "null".to_owned(), quoted),
                    quoted(&webhook.address),
                    webhook.status(now_ms),
                )
            },
        );
        Some(format!(
            r#"{{"contentType":"{content_type}","status":"{status}","webhook":{webhook}}}"#
        ))
    }
}
