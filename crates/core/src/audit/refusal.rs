//! What follows when an address, a token, a start or a whole feed is refused, and what is told of
//! it. What is neither denied nor lost is asked again.

use std::time::Duration;

use crate::access::token::Rejection;
use crate::audit::answer::{BLOB_RETRY_MAX, LIST_RETRY_BASE};
use crate::audit::ending::Ending;
use crate::audit::exchange::{Exchange, PageBody};
use crate::audit::forbidden::{Refused, Suspicion};
use crate::audit::judge::Verdict;
use crate::audit::lane::{RunId, Stage, Subscription};
use crate::audit::schedule::{MISSING_RECHECK, START_COOL_DOWN};
use crate::base::key::Key;
use crate::base::origin;
use crate::base::time::{Now, Utc};
use crate::collector::Collector;
use crate::collector::trouble::MOUNTING;
use crate::contract::batch::ContentRef;
use crate::contract::event::Event;
use crate::contract::remedy::{FORBIDDEN, UNAUTHORIZED, remedy};
use crate::contract::request::Operation;

/// How often a feed that is denied is tried again.
const DENIED_RETRY: Duration = Duration::from_secs(10 * 60);

/// An address as it is told: without its query, which may hold anything, and of bearable length.
fn shown_address(address: &str) -> String {
    address.split('?').next().unwrap_or_default().chars().take(ADDRESS_CHARS_MAX).collect()
}

/// Addresses are cut to this many characters.
const ADDRESS_CHARS_MAX: usize = 400;

impl Collector {
    /// An entry whose blob can be asked for nowhere.
    pub(crate) fn set_blob_aside(
        &mut self,
        now: Now,
        lane: usize,
        run: RunId,
        page: &mut PageBody,
        content: ContentRef,
    ) {
        self.refuse_address(lane, &content.uri);
        if let Some(known) = self.lanes[lane].blobs.get(&Key::of_content(&content.id)) {
            // By a better address, which stays: this window waits for it as others do.
            let (known, urgency) = (ContentRef::clone(&known.content), known.urgency);
            self.lanes[lane].list_blob(known, Some(run), urgency);
        } else {
            let until = now.monotonic + BLOB_RETRY_MAX;
            let kept = self.lanes[lane].set_aside(content, until, &mut self.changes);
            page.bad_entries += u64::from(!kept);
        }
    }

    /// Microsoft named a wrong address, and another is asked instead.
    pub(crate) fn note_derived(&mut self, lane: usize, named: &str) {
        let lane = &mut self.lanes[lane];
        lane.metrics.addresses_derived += 1;
        if !std::mem::replace(&mut lane.derived_told, true) {
            let address = shown_address(named);
            let content_type = lane.content_type;
            self.event(Event::AddressDerived { content_type, address });
        }
    }

    /// Says that an address cannot be followed, once for each origin.
    pub(crate) fn refuse_address(&mut self, lane: usize, address: &str) {
        const REFUSED_MAX: usize = 1_000;
        let lane = &mut self.lanes[lane];
        let key = Key::of_content(&origin::start_of(address).to_ascii_lowercase());
        if lane.refused.len() < REFUSED_MAX && lane.refused.insert(key) {
            let address = shown_address(address);
            let content_type = lane.content_type;
            self.event(Event::AddressRefusedError { content_type, address });
        }
    }

    /// A blob's address is still elsewhere: it waits for a better one until it expires.
    pub(crate) fn refuse_blob(&mut self, now: Now, index: usize, key: Key, expiration: Utc) {
        if self.clock.at(now) < expiration {
            let until = now.monotonic + BLOB_RETRY_MAX;
            self.lanes[index].set_stage(key, Stage::Waiting(until));
        } else {
            let reason = "its address is not on the configured api_url";
            self.lose_blob(now, index, key, reason);
        }
    }

    /// A start was refused without a code that says why.
    pub(crate) fn refuse_start(
        &mut self,
        now: Now,
        index: usize,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        if self.lanes[index].forbidden.refuse_start() {
            self.want_webhook(now, index);
            self.deny(now, index, ending);
        } else {
            self.fail_start(now, index, exchange, ending);
        }
    }

    /// A start has failed. Whether it took effect is not known: the list tells before it is tried
    /// again.
    pub(crate) fn fail_start(
        &mut self,
        now: Now,
        index: usize,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        self.want_webhook(now, index);
        let lane = &mut self.lanes[index];
        lane.subscription = Subscription::Unknown;
        lane.start_answer = Some(if ending.verdict == Verdict::Accept {
            "the answer is no enabled subscription".into()
        } else {
            ending.reason.clone()
        });
        lane.starts_failed = lane.starts_failed.saturating_add(1);
        // What this one was answered is to be told, if the subscription is missing indeed.
        lane.missing_told = None;
        let (failures, content_type) = (lane.starts_failed, Some(lane.content_type));
        self.subscription_list_not_before =
            now.monotonic + self.random.backoff(LIST_RETRY_BASE, MISSING_RECHECK, 1);
        let retry_in = START_COOL_DOWN;
        self.report_retry(exchange.operation, content_type, failures, &ending.reason, retry_in);
    }

    /// A page was refused, and the token may be why. It is tested once; a feed that is refused with
    /// a token that is good costs the others nothing.
    pub(crate) fn suspect_token(
        &mut self,
        now: Now,
        index: usize,
        id: RunId,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        let (current, proven_at) = self.tokens.standing(exchange.generation);
        let testable = self.subscription_list_failures < MOUNTING;
        let lane = &mut self.lanes[index];
        let rejection = match lane.forbidden.suspect(now.monotonic, current, proven_at, testable) {
            Suspicion::Replace => self.reject(now, index, exchange, ending),
            Suspicion::Test => {
                lane.subscription = Subscription::Unknown;
                return;
            }
            Suspicion::Feed => Rejection::NotTheToken,
        };
        match rejection {
            Rejection::Discarded(wait) => {
                if let Some(run) = self.lanes[index].runs.get_mut(&id) {
                    run.not_before = now.monotonic + wait;
                }
            }
            Rejection::NotTheToken => self.forbid(now, index, ending),
        }
    }

    /// A feed's pages are refused without a code that says why.
    pub(crate) fn forbid(&mut self, now: Now, index: usize, ending: &Ending) {
        let lane = &mut self.lanes[index];
        let content_type = Some(lane.content_type);
        match lane.forbidden.refuse_page(now.monotonic, &mut self.random) {
            Refused::Known => {}
            Refused::Again(wait, failures) => {
                let operation = Operation::ListContent;
                self.report_retry(operation, content_type, failures, &ending.reason, wait);
            }
            Refused::Denied => self.deny(now, index, ending),
        }
    }

    /// Says which blobs were set aside, once a minute at the most, but for the last time.
    pub(crate) fn tell_unread(&mut self, now: Now, last: bool) {
        for lane in &mut self.lanes {
            let due = lane.unread.tells_at().is_some_and(|at| last || at <= now.monotonic);
            let event = if due { lane.unread.tell(now.monotonic) } else { None };
            self.outputs.extend(event.map(crate::Output::Event));
        }
    }

    /// Microsoft denies a feed: it is left alone for a while, and the others go on.
    pub(crate) fn deny(&mut self, now: Now, index: usize, ending: &Ending) {
        let code = match (ending.code.as_deref(), &ending.verdict) {
            (_, Verdict::Reauthenticate) => UNAUTHORIZED,
            (_, Verdict::Forbid) => FORBIDDEN,
            (Some(code), _) => code,
            (None, _) => &ending.reason,
        };
        let lane = &mut self.lanes[index];
        lane.subscription = Subscription::Denied { until: now.monotonic + DENIED_RETRY };
        if lane.denied.as_deref() != Some(code) {
            lane.denied = Some(code.to_owned());
            let message = match ending.words.is_empty() {
                true if ending.code.is_none() => "the answer says no more".into(),
                _ => ending.words.clone(),
            };
            let event = Event::FeedDeniedError {
                content_type: lane.content_type,
                code: code.to_owned(),
                message,
                remedy: remedy(code),
            };
            self.event(event);
        }
    }
}
