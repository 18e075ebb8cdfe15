//! The subscription of one feed: whether content can be listed, when it may be started, and what
//! keeps it from being. Sends nothing.

use std::time::Duration;

use crate::audit::forbidden::Forbidden;
use crate::audit::webhook::Webhook;
use crate::base::time::Utc;
use crate::contract::state::{self, Changes, StateError, Stored};
use crate::source::keys::LaneKeys;
use crate::source::urgency::Wake;

/// Microsoft wants 15 minutes between two starts of one subscription (reference, "Start a
/// subscription", since 2025-08); a little more for the clocks.
pub(super) const START_COOL_DOWN: Duration = Duration::from_secs(15 * 60 + 10);

/// How often the list is looked at for a subscription that must not, or cannot yet, be started: a
/// start whose answer was lost may have taken effect.
pub(super) const MISSING_RECHECK: Duration = Duration::from_secs(30);

/// A start that took effect although its answer was a failure shows in the list within this time.
const START_SEEN_WITHIN: Duration = Duration::from_secs(60);

/// How often it is told that a subscription is missing.
const MISSING_TOLD_EVERY: Duration = Duration::from_secs(60 * 60);

/// How often a feed that is denied is tried again.
const DENIED_RETRY: Duration = Duration::from_secs(10 * 60);

/// In place of Microsoft's code, for a feed that a run with an end cannot wait for.
const NO_SUBSCRIPTION: &str = "no subscription";

/// What is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The list has to be looked at.
    Unknown,
    /// It is not in the list, or disabled.
    Missing,
    /// A start is under way.
    Starting,
    /// It is missing, and must not be started now; the list is looked at then.
    Waiting {
        /// On the monotonic clock.
        until: Duration,
    },
    /// Content can be listed.
    Enabled,
    /// Microsoft denies this feed to this app; it is tried again then.
    Denied {
        /// On the monotonic clock.
        until: Duration,
    },
}

/// What is to be told of a subscription that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub retry_in: Duration,
    /// What the last start was answered, if it has failed.
    pub answer: Option<String>,
}

/// The subscription of one feed.
#[derive(Debug)]
pub(super) struct Subscription {
    keys: LaneKeys,
    known: Known,
    /// When it was last started: another start must wait.
    started_at: Option<Utc>,
    /// Listings in a row that knew of none.
    failures: u32,
    /// What the last start was answered, if it has failed, and how many have.
    start_answer: Option<String>,
    starts_failed: u32,
    forbidden: Forbidden,
    webhook: Webhook,
    /// The code with which Microsoft denies this feed, until it works again.
    denied: Option<String>,
    /// When it was told last that there is none.
    missing_told: Option<Duration>,
}

impl Subscription {
    pub(super) fn load(keys: LaneKeys, stored: &Stored) -> Result<Self, StateError> {
        let start = keys.start();
        let started_at = stored.get(&start).map(|v| state::decode_time(&start, v)).transpose()?;
        Ok(Self {
            keys,
            known: Known::Unknown,
            started_at,
            failures: 0,
            start_answer: None,
            starts_failed: 0,
            forbidden: Forbidden::default(),
            webhook: Webhook::default(),
            denied: None,
            missing_told: None,
        })
    }

    // What is known.

    /// Whether content can be listed.
    pub(super) fn is_enabled(&self) -> bool {
        self.known == Known::Enabled
    }

    /// Whether the list has to be looked at.
    pub(super) fn is_unknown(&self) -> bool {
        self.known == Known::Unknown
    }

    /// Whether it is to be started.
    pub(super) fn is_missing(&self) -> bool {
        self.known == Known::Missing
    }

    /// Whether nothing is asked for now, for it is denied.
    pub(super) const fn is_denied_now(&self) -> bool {
        matches!(self.known, Known::Denied { .. })
    }

    /// Whether Microsoft denies the feed, or a run that ends could not wait for a subscription.
    pub(super) const fn is_denied(&self) -> bool {
        self.denied.is_some()
    }

    /// Whether Microsoft denies the feed.
    pub(super) fn is_denied_by_microsoft(&self) -> bool {
        self.denied.as_ref().is_some_and(|code| code != NO_SUBSCRIPTION)
    }

    /// The account of refusals without a code.
    pub(super) const fn forbidden(&mut self) -> &mut Forbidden {
        &mut self.forbidden
    }

    /// No page may be asked for before.
    pub(super) const fn not_before(&self) -> Duration {
        self.forbidden.not_before()
    }

    pub(super) const fn webhook(&mut self) -> &mut Webhook {
        &mut self.webhook
    }

    /// The time has come to look at the list again. `once`: what is denied stays so.
    pub(super) fn wake(&mut self, once: bool, now: Duration, wake: &mut Wake) {
        let until = match self.known {
            Known::Waiting { until } => until,
            Known::Denied { until } if !once => until,
            Known::Unknown
            | Known::Missing
            | Known::Starting
            | Known::Enabled
            | Known::Denied { .. } => return,
        };
        if wake.is_due(until, now) {
            self.known = Known::Unknown;
        }
    }

    // The list.

    /// The list shows whether it is enabled.
    pub(super) fn note_listed(&mut self, enabled: bool) {
        match (self.known, enabled) {
            (Known::Unknown, true) => self.enable(),
            (Known::Unknown, false) => self.known = Known::Missing,
            (
                Known::Missing
                | Known::Starting
                | Known::Waiting { .. }
                | Known::Enabled
                | Known::Denied { .. },
                _,
            ) => {}
        }
    }

    /// The list cannot be had: if nothing else is known, listings tell.
    pub(super) fn assume_enabled(&mut self) {
        if self.known == Known::Unknown {
            self.known = Known::Enabled;
        }
    }

    /// Content can be listed: what starts were answered is over.
    pub(super) fn enable(&mut self) {
        self.known = Known::Enabled;
        self.forbidden.accept_start();
        (self.start_answer, self.starts_failed) = (None, 0);
    }

    /// The list has to be looked at.
    pub(super) const fn look_at_list(&mut self) {
        self.known = Known::Unknown;
    }

    /// A listing says that there is none. `listless`: the list cannot be had, so it is started, if
    /// it may be. Answers how many times in a row; `None` if that is known already.
    pub(super) fn note_gone(&mut self, listless: bool) -> Option<u32> {
        if self.known != Known::Enabled {
            return None;
        }
        self.known = if listless { Known::Missing } else { Known::Unknown };
        self.failures = self.failures.saturating_add(1);
        Some(self.failures)
    }

    /// A page was read. Whether the feed was denied before.
    pub(super) fn accept_page(&mut self) -> bool {
        self.failures = 0;
        self.forbidden.accept_page();
        self.denied.take().is_some()
    }

    /// Something can be listed: the next time that it is missing is told.
    pub(super) const fn note_active(&mut self) {
        self.missing_told = None;
    }

    // Starts.

    /// When it may be started again.
    pub(super) fn may_start_at(&self, server_now: Utc) -> Utc {
        self.started_at.map_or(server_now, |at| at + START_COOL_DOWN)
    }

    /// It is missing and must not be started: `starts` says whether it may ever be. The list is
    /// looked at again at the moment that is noted. `once`: a run that ends does not wait for what
    /// will not come. Answers what there is to tell.
    pub(super) fn wait_missing(
        &mut self,
        starts: bool,
        once: bool,
        now: Duration,
        server_now: Utc,
        wake: &mut Wake,
    ) -> Option<Missing> {
        // Somebody else may start it meanwhile: the list tells.
        let wait = self.may_start_at(server_now).since(server_now);
        let wait = wait.clamp(Duration::from_secs(1), MISSING_RECHECK);
        let wait = if starts { wait } else { MISSING_RECHECK };
        let until = now + wait;
        self.known = Known::Waiting { until };
        wake.at(until);
        // One that has failed may have taken effect all the same, which the list would show.
        let tried = self.starts_failed > 0
            && self.started_at.is_none_or(|at| at + START_SEEN_WITHIN <= server_now);
        if once && (!starts || tried) {
            self.known = Known::Denied { until: now };
            self.denied = Some(NO_SUBSCRIPTION.into());
        }
        // The list is looked at often; people are told less often.
        if self.missing_told.is_some_and(|told| now - told < MISSING_TOLD_EVERY) {
            return None;
        }
        self.missing_told = Some(now);
        Some(Missing { retry_in: wait, answer: self.start_answer.clone() })
    }

    /// A start is about to be sent; `for_webhook`: of an enabled one. Stored first: a crash must
    /// not start it again too soon.
    pub(super) fn note_start(&mut self, for_webhook: bool, now: Utc, changes: &mut Changes) {
        if !for_webhook {
            self.known = Known::Starting;
        }
        self.started_at = Some(now);
        changes.put(self.keys.start(), now.as_millis().to_string());
    }

    /// A start was refused for the sake of its webhook: it is started without.
    pub(super) const fn start_without_webhook(&mut self) {
        self.known = Known::Missing;
        self.started_at = None;
    }

    /// A start came too soon after another, which may have been somebody else's: as far as the
    /// cool-down goes, as if it had been ours.
    pub(super) fn cool_down(&mut self, wait: Option<Duration>, reason: &str, server_now: Utc) {
        let wait = wait.unwrap_or(START_COOL_DOWN).min(START_COOL_DOWN);
        self.started_at = Some(server_now - (START_COOL_DOWN - wait));
        self.known = Known::Missing;
        self.start_answer = Some(reason.to_owned());
    }

    /// A start has failed. Whether it took effect is not known: the list tells before it is tried
    /// again. Answers how many have.
    pub(super) fn fail_start(&mut self, answer: String) -> u32 {
        self.known = Known::Unknown;
        self.start_answer = Some(answer);
        self.starts_failed = self.starts_failed.saturating_add(1);
        // What this one was answered is to be told, if the subscription is missing indeed.
        self.missing_told = None;
        self.starts_failed
    }

    /// The feed is denied: it is left alone for a while. Whether that is news.
    pub(super) fn deny(&mut self, now: Duration, code: &str) -> bool {
        self.known = Known::Denied { until: now + DENIED_RETRY };
        let news = self.denied.as_deref() != Some(code);
        if news {
            self.denied = Some(code.to_owned());
        }
        news
    }

    /// What was noted by a wrong clock counts no more.
    pub(super) fn correct_time(&mut self, now: Utc) {
        self.started_at = self.started_at.filter(|at| *at <= now);
    }
}
