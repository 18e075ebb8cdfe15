//! Decides what a page of a listing means: its entries, the next page, another attempt. Sends
//! nothing.

use crate::access::token::Rejection;
use crate::audit::AuditSource;
use crate::audit::address::{self, Address};
use crate::audit::answers;
use crate::audit::ending::Ending;
use crate::audit::exchange::{Body, Exchange, PageBody, Purpose};
use crate::audit::forbidden::{Refused, Suspicion};
use crate::audit::reading::BLOB_RETRY_MAX;
use crate::audit::run::RunId;
use crate::audit::starting::{LIST_RETRY_BASE, LIST_RETRY_MAX};
use crate::audit::subscription::MISSING_RECHECK;
use crate::base::origin;
use crate::base::time::Now;
use crate::contract::batch::ContentRef;
use crate::contract::error_codes::{FORBIDDEN, UNAUTHORIZED, remedy};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::request::Operation;
use crate::json::Item;
use crate::source::Ended;
use crate::source::desk::Desk;
use crate::source::trouble::{self, MOUNTING};
use crate::source::verdict::Verdict;

impl AuditSource {
    /// Reads the entries of a page that have arrived. Answers whether the rest is not wanted.
    pub(super) fn read_page(
        &mut self,
        desk: &mut Desk,
        now: Now,
        lane: usize,
        run: RunId,
        page: &mut PageBody,
    ) -> bool {
        loop {
            match page.poll() {
                Ok(Some(Item::Record(entry))) => {
                    self.read_entry(desk, now, lane, run, page, &entry.raw);
                    if page.is_full() {
                        return true;
                    }
                }
                Ok(Some(Item::Oversized { .. })) => page.note_bad(),
                Ok(None) => return false,
                // The error stays in the page, and the end finds it there.
                Err(_) => return true,
            }
        }
    }

    fn read_entry(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        run: RunId,
        page: &mut PageBody,
        json: &[u8],
    ) {
        let server_now = desk.server_time(now);
        let lane = &mut self.lanes[index];
        let content_type = lane.content_type();
        let Some((window, urgency)) = lane.windows().window(run) else { return };
        let Ok(mut content) = answers::descriptor(json, content_type, window) else {
            page.note_bad();
            return;
        };
        content.uri = origin::resolve(page.base(), &content.uri).into();
        lane.windows().note_entry(run);
        page.note_entry();
        match address::of_entry(&self.config, &content) {
            Some(Address::Named(_)) => {
                if lane.list(content, run, urgency, desk, server_now) {
                    page.note_news();
                }
            }
            Some(Address::Derived(derived)) => {
                let named = std::mem::replace(&mut content.uri, derived.into());
                if lane.list(content, run, urgency, desk, server_now) {
                    page.note_news();
                    lane.note_derived(address::shown(&named), desk);
                }
            }
            None => self.set_blob_aside(desk, now, index, run, page, content),
        }
    }

    /// An entry whose blob can be asked for nowhere.
    fn set_blob_aside(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        run: RunId,
        page: &mut PageBody,
        content: ContentRef,
    ) {
        self.refuse_address(desk, index, &content.uri);
        let until = now.monotonic + BLOB_RETRY_MAX;
        let server_now = desk.server_time(now);
        if !self.lanes[index].set_aside(content, run, until, desk, server_now) {
            page.note_bad();
        }
    }

    /// Says that an address cannot be followed, once for each origin.
    pub(super) fn refuse_address(&mut self, desk: &mut Desk, index: usize, named: &str) {
        let (start, shown) = (origin::start_of(named), address::shown(named));
        self.lanes[index].refuse_address(start, shown, desk);
    }

    /// A page has ended, well or badly.
    pub(super) fn end_page(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        run: RunId,
        mut exchange: Exchange,
        ended: Ended,
    ) {
        if exchange.body.is_full_page() {
            return self.interrupt_page(desk, index, run, &exchange);
        }
        let ending = self.ending(desk, now, &mut exchange, ended);
        if !self.lanes[index].windows().note_ended(run) {
            return;
        }
        let lane = &mut self.lanes[index];
        match &ending.verdict {
            Verdict::Accept => self.accept_page(desk, now, index, run, &exchange),
            Verdict::Replan => lane.fail_window(run, true, &ending.reason, desk, now),
            Verdict::Deny => self.deny(desk, now, index, &ending),
            Verdict::Reauthenticate => {
                self.suspect_token(desk, now, index, run, &exchange, &ending);
            }
            Verdict::Forbid => self.forbid(desk, now, index, &ending),
            Verdict::Resubscribe => self.resubscribe(desk, now, index),
            Verdict::Throttle(_) => self.take_measures(desk, now, &exchange, &ending),
            Verdict::CoolDown(wait) | Verdict::Retry(wait) => {
                lane.fail_page(run, *wait, &ending.reason, desk, now);
            }
            Verdict::Gone => lane.fail_page(run, None, &ending.reason, desk, now),
        }
    }

    /// A page has named as many blobs as are kept at once: it is read again when they are read, and
    /// those that are known by then are passed over.
    fn interrupt_page(&mut self, desk: &mut Desk, index: usize, run: RunId, exchange: &Exchange) {
        let lane = &mut self.lanes[index];
        let Body::Page(page) = &exchange.body else { return };
        if lane.windows().read_again(run, page.entries()) {
            let reason = format!("the page names more than {} new blobs", page.news());
            let (operation, feed) = (exchange.sent.operation, Some(lane.feed()));
            desk.tell_retry(operation, feed, 1, &reason, std::time::Duration::ZERO);
        }
    }

    fn accept_page(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        run: RunId,
        exchange: &Exchange,
    ) {
        let bad_entries = match &exchange.body {
            Body::Page(page) => page.bad_entries(),
            Body::Small(_) | Body::Blob(_) => 0,
        };
        let lane = &mut self.lanes[index];
        let restored = lane.subscription().accept_page();
        self.access.prove(exchange.sent.generation, now.monotonic);
        self.access.note_success();
        if bad_entries > 0 && lane.windows().asks_again(run) {
            let reason = format!("{bad_entries} entries of the listing cannot be read");
            lane.fail_page(run, None, &reason, desk, now);
            return;
        }
        lane.windows().note_read(run);
        if restored {
            desk.tell(Event::Feed(lane.feed(), FeedEvent::FeedRestored));
        }
        if bad_entries > 0 {
            let told = desk.server_time(now);
            lane.drop_entries(bad_entries, run, desk, told);
        }
        match (&exchange.head.next_page, &exchange.purpose) {
            (Some(next), Purpose::Page { address, .. }) => {
                let next = origin::resolve(address, next);
                self.turn_page(desk, now, index, run, &next);
            }
            (None | Some(_), _) => {
                lane.complete(run, desk, now);
                lane.note_caught_up(desk, now);
            }
        }
    }

    fn turn_page(&mut self, desk: &mut Desk, now: Now, index: usize, run: RunId, named: &str) {
        let lane = &mut self.lanes[index];
        let next = match address::of_page(&self.config, lane.content_type(), named) {
            Some(Address::Named(named)) => named,
            Some(Address::Derived(derived)) => {
                lane.note_derived(address::shown(named), desk);
                derived
            }
            None => {
                self.refuse_address(desk, index, named);
                let reason = "the next page is on another host";
                return self.lanes[index].fail_window(run, false, reason, desk, now);
            }
        };
        if !lane.windows().turn(run, next) {
            let reason = "the pages of the listing go in circles";
            lane.fail_window(run, false, reason, desk, now);
        }
    }

    // What is refused.

    /// A page was refused, and the token may be why. It is tested once; a feed that is refused with
    /// a token that is good costs the others nothing.
    fn suspect_token(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        run: RunId,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        let (current, proven_at) = self.access.standing(exchange.sent.generation);
        let testable = self.list_failures < MOUNTING;
        let lane = &mut self.lanes[index];
        let forbidden = lane.subscription().forbidden();
        let rejection = match forbidden.suspect(now.monotonic, current, proven_at, testable) {
            Suspicion::Replace => self.reject(desk, now, index, exchange, ending),
            Suspicion::Test => {
                lane.subscription().look_at_list();
                return;
            }
            Suspicion::Feed => Rejection::NotTheToken,
        };
        match rejection {
            Rejection::Discarded(wait) => {
                self.lanes[index].windows().wait_until(run, now.monotonic + wait);
            }
            Rejection::NotTheToken => self.forbid(desk, now, index, ending),
        }
    }

    /// A token was refused for a request of one feed.
    pub(super) fn reject(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        exchange: &Exchange,
        ending: &Ending,
    ) -> Rejection {
        let feed = self.feed(index);
        trouble::reject(&mut self.access, desk, now, exchange.sent, feed, &ending.reason)
    }

    /// A feed's pages are refused without a code that says why.
    fn forbid(&mut self, desk: &mut Desk, now: Now, index: usize, ending: &Ending) {
        let lane = &mut self.lanes[index];
        let feed = Some(lane.feed());
        match lane.subscription().forbidden().refuse_page(now.monotonic, desk.random()) {
            Refused::Known => {}
            Refused::Again(wait, failures) => {
                let operation = Operation::ListContent;
                desk.tell_retry(operation, feed, failures, &ending.reason, wait);
            }
            Refused::Denied => self.deny(desk, now, index, ending),
        }
    }

    /// Microsoft denies a feed: it is left alone for a while, and the others go on.
    pub(super) fn deny(&mut self, desk: &mut Desk, now: Now, index: usize, ending: &Ending) {
        let code = match (ending.code.as_deref(), &ending.verdict) {
            (_, Verdict::Reauthenticate) => UNAUTHORIZED,
            (_, Verdict::Forbid) => FORBIDDEN,
            (Some(code), _) => code,
            (None, _) => &ending.reason,
        };
        let lane = &mut self.lanes[index];
        if lane.subscription().deny(now.monotonic, code) {
            let message = match ending.words.is_empty() {
                true if ending.code.is_none() => "the answer says no more".into(),
                _ => ending.words.clone(),
            };
            desk.tell(Event::Feed(
                lane.feed(),
                FeedEvent::FeedDeniedError { code: code.to_owned(), message, remedy: remedy(code) },
            ));
        }
    }

    /// A listing or a blob says that there is no subscription.
    pub(super) fn resubscribe(&mut self, desk: &mut Desk, now: Now, index: usize) {
        // Without a list, what the listing says is all that is known: it is started, if it may be.
        let listless = self.list_failures >= MOUNTING;
        let lane = &mut self.lanes[index];
        let Some(failures) = lane.subscription().note_gone(listless) else { return };
        if failures > 1 && !listless {
            let wait = desk.backoff(LIST_RETRY_BASE, MISSING_RECHECK.min(LIST_RETRY_MAX), failures);
            self.list_not_before = self.list_not_before.max(now.monotonic + wait);
            let (operation, feed) = (Operation::ListContent, Some(lane.feed()));
            let reason = "no subscription, although the list of subscriptions has one";
            desk.tell_retry(operation, feed, failures, reason, wait);
        }
    }
}
