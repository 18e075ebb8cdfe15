//! Decides what an ended exchange means for whoever asked: progress, another attempt, or the end of
//! trying. Sends nothing.

use std::borrow::Cow;
use std::time::Duration;

use crate::access::token::{Rejection, TokenFailure};
use crate::audit::address::{self, Address};
use crate::audit::ending::Ending;
use crate::audit::exchange::{Body, Exchange, Head, PageBody, Purpose};
use crate::audit::expand::{ExpandError, Progress, Whole};
use crate::audit::forbidden::Suspicion;
use crate::audit::judge::{self, Answer, Verdict, judge};
use crate::audit::lane::{Blob, Listing, QUARANTINE_FAILURES, RunId, Stage, Subscription};
use crate::audit::plan::Urgency;
use crate::audit::schedule::{MISSING_RECHECK, START_COOL_DOWN};
use crate::audit::wire;
use crate::base::interval::Interval;
use crate::base::key::Key;
use crate::base::origin;
use crate::base::time::Now;
use crate::collector::Collector;
use crate::collector::trouble::MOUNTING;
use crate::contract::event::Event;
use crate::contract::remedy::remedy;
use crate::contract::request::{Operation, TransportError};
use crate::json::{Item, SplitError};
use crate::records::redact;
use crate::source::losses::{Loss, LossKind};

/// A listing with more pages than this goes in circles.
pub(crate) const PAGES_PER_WINDOW_MAX: u32 = 10_000;

/// After this many failures of one page its window is planned anew.
const PAGE_FAILURES_MAX: u32 = 5;
const PAGE_RETRY_BASE: Duration = Duration::from_millis(500);
const PAGE_RETRY_MAX: Duration = Duration::from_secs(15);

/// Waits between windows of a lane that fails as a whole.
pub(crate) const LIST_RETRY_BASE: Duration = Duration::from_secs(2);
const LIST_RETRY_MAX: Duration = Duration::from_secs(120);

/// Waits between attempts to list a window that is set aside.
const ASIDE_RETRY_BASE: Duration = Duration::from_secs(60);
const ASIDE_RETRY_MAX: Duration = Duration::from_secs(30 * 60);

/// Waits between attempts to read one blob.
const BLOB_RETRY_BASE: Duration = Duration::from_secs(1);
const BLOB_GONE_BASE: Duration = Duration::from_secs(30);
pub(crate) const BLOB_RETRY_MAX: Duration = Duration::from_secs(30 * 60);

/// The same for one that is there and has nothing in it.
const BLOB_HOLLOW_BASE: Duration = Duration::from_secs(8);

/// A blob that is an empty list is believed to be one when it was that at each reading for so long.
/// Microsoft publishes no blob without a reason, and an outage of its stores is over by then.
const EMPTY_BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// A blob that has read differently than before so often is not handed over in part any more.
const BLOB_CHANGES_MAX: u32 = 3;

/// What is said of a body that is no list.
const NULL: &str = "the body is null";

/// After so many failures in a row, content that only a hint names is left to polling. If Microsoft
/// says that there is none, after the first.
const HINT_FAILURES_MAX: u32 = 3;

impl Collector {
    /// Reads the entries of a page that have arrived. Answers whether the rest is not wanted.
    pub(crate) fn read_page(
        &mut self,
        now: Now,
        lane: usize,
        run: RunId,
        page: &mut PageBody,
    ) -> bool {
        loop {
            match page.poll() {
                Ok(Some(Item::Record(entry))) => {
                    self.read_entry(now, lane, run, page, &entry.raw);
                    if page.is_full() {
                        return true;
                    }
                }
                Ok(Some(Item::Oversized { .. })) => page.bad_entries += 1,
                Ok(None) => return false,
                // The error stays in the page, and `handle_end` finds it there.
                Err(_) => return true,
            }
        }
    }

    fn read_entry(
        &mut self,
        now: Now,
        lane: usize,
        run_id: RunId,
        page: &mut PageBody,
        json: &[u8],
    ) {
        let content_type = self.lanes[lane].content_type;
        let Some(run) = self.lanes[lane].runs.get_mut(&run_id) else { return };
        let Ok(mut content) = wire::descriptor(json, content_type, run.window) else {
            page.bad_entries += 1;
            return;
        };
        content.uri = origin::resolve(page.base(), &content.uri).into();
        run.blobs += 1;
        page.entries += 1;
        let urgency = run.urgency;
        match address::of_entry(&self.config, &content) {
            Some(Address::Named(_)) => {
                let news = self.lanes[lane].list_blob(content, Some(run_id), urgency);
                page.news += usize::from(news);
            }
            Some(Address::Derived(derived)) => {
                let named = std::mem::replace(&mut content.uri, derived.into());
                if self.lanes[lane].list_blob(content, Some(run_id), urgency) {
                    page.news += 1;
                    self.note_derived(lane, &named);
                }
            }
            None => self.set_blob_aside(now, lane, run_id, page, content),
        }
    }

    /// A blob expired unread: that is remembered as a loss.
    pub(crate) fn lose_blob(&mut self, now: Now, index: usize, key: Key, reason: &str) {
        let lane = &mut self.lanes[index];
        let Some((content, records_delivered)) = lane.lose_blob(key, &mut self.changes) else {
            return;
        };
        self.losses.add(Loss::of_blob(LossKind::Blob, &content, 1, self.clock.at(now)));
        self.event(Event::ContentLostError {
            content_type: content.content_type,
            content_id: content.id.clone(),
            records_delivered,
            reason: reason.to_owned(),
        });
    }

    /// An exchange has ended, well or badly.
    pub(crate) fn handle_end(
        &mut self,
        now: Now,
        mut exchange: Exchange,
        result: Result<(), TransportError>,
    ) {
        match exchange.purpose {
            Purpose::Token | Purpose::PortalToken => self.end_token(now, &exchange, result),
            Purpose::ActivityPage { walk, page } => {
                self.end_activities(now, walk, page, &mut exchange, result);
            }
            Purpose::ListSubscriptions => {
                let ending = self.ending(now, &mut exchange, result);
                self.end_list(now, &exchange, &ending);
            }
            Purpose::StartSubscription { lane } => {
                let ending = self.ending(now, &mut exchange, result);
                self.end_start(now, lane, &exchange, &ending);
            }
            Purpose::SetWebhook { lane } => {
                let ending = self.ending(now, &mut exchange, result);
                let code = ending.code.as_deref();
                self.end_webhook(now, lane, &exchange, &ending.verdict, code, &ending.reason);
            }
            Purpose::Page { lane, run } if exchange.is_full_page() => {
                self.interrupt_page(lane, run, &exchange);
            }
            Purpose::Page { lane, run } => {
                let ending = self.ending(now, &mut exchange, result);
                self.end_page(now, lane, run, &exchange, &ending);
            }
            Purpose::Blob { lane, key } => {
                let ending = self.ending(now, &mut exchange, result);
                self.end_blob(now, lane, key, &exchange, &ending);
            }
        }
        self.settle(now);
    }

    /// Judges how an exchange ended, and tells if it was not Microsoft who answered. What was read
    /// whole of a blob has been emitted.
    fn ending(
        &mut self,
        now: Now,
        exchange: &mut Exchange,
        result: Result<(), TransportError>,
    ) -> Ending {
        if let Err(error) = result {
            self.salvage(exchange);
            self.note_silence(exchange.operation, &error.to_string());
            return Ending::retry(error.to_string());
        }
        let ending = self.ending_of(now, exchange);
        match (&ending.foreign, &ending.verdict) {
            (Some(answer), _) => self.note_foreign(exchange.operation, None, answer),
            (None, Verdict::Accept) => self.contact.note_proof(),
            (None, _) => {}
        }
        ending
    }

    /// What an answer is, if nobody of Microsoft's gives it.
    fn foreign(&self, head: &Head, body: &[u8]) -> Option<String> {
        let seen = head.with(body);
        seen.is_foreign().then(|| match self.config.redaction {
            Some(_) => seen.describe_head(),
            None => seen.describe(),
        })
    }

    fn ending_of(&mut self, now: Now, exchange: &mut Exchange) -> Ending {
        let asked = (exchange.operation, exchange.head.status, exchange.head.retry_after);
        let fault = match (&mut exchange.body, exchange.purpose) {
            (Body::Small(small), _) => {
                let ok = (200..300).contains(&exchange.head.status);
                let code = if ok { None } else { judge::code_of(small.bytes()) };
                let foreign = self.foreign(&exchange.head, small.bytes());
                let foreign = foreign.filter(|_| code.is_none());
                return Ending { foreign, ..self.judged(asked, code, small.bytes()) };
            }
            (Body::Page(page), Purpose::Page { .. }) => match page.finish() {
                // No list, an empty one neither: what there is in that time nobody has said.
                Ok(null) if null => return Ending::retry(NULL.into()),
                Ok(_) => Ok(()),
                Err(error) => Err(ExpandError::Body(error)),
            },
            (Body::Blob(expander), Purpose::Blob { lane, key }) => match expander.finish() {
                Ok((expanded, whole)) => {
                    if let Some(doubt) = self.doubt(now, lane, key, whole) {
                        return Ending::hollow(doubt);
                    }
                    self.emit(lane, key, expanded, true);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            (Body::Page(_), _) => Ok(()),
            (Body::Blob(_) | Body::Activities(_), _) => Ok(()),
        };
        if fault.is_err() {
            self.salvage(exchange);
        }
        match fault {
            Ok(()) => Ending { verdict: Verdict::Accept, ..Ending::retry(String::new()) },
            Err(ExpandError::Body(SplitError::NotArray { first })) => {
                let reason = redact::shown(&self.config, &first);
                match judge::code_of(&first) {
                    Some(code) => self.judged(asked, Some(code), &first),
                    None => Ending {
                        foreign: self.foreign(&exchange.head, &first),
                        ..Ending::retry(reason)
                    },
                }
            }
            Err(ExpandError::Body(error)) => Ending::retry(error.to_string()),
            Err(ExpandError::Changed) => {
                if let Purpose::Blob { lane, key } = exchange.purpose
                    && let Some(blob) = self.lanes[lane].blobs.get_mut(&key)
                {
                    blob.emitted = Progress::default();
                    blob.changes = blob.changes.saturating_add(1);
                }
                Ending::retry("the blob reads differently than before".into())
            }
        }
    }

    /// A blob cannot be read to its end: hands over what was read whole of it. The next attempt
    /// begins behind that.
    fn salvage(&mut self, exchange: &mut Exchange) {
        let (Body::Blob(expander), Purpose::Blob { lane, key }) =
            (&mut exchange.body, exchange.purpose)
        else {
            return;
        };
        // One that is another at each attempt would come again and again, what has no Id in it.
        let steady = |blob: &Blob| blob.changes < BLOB_CHANGES_MAX;
        if self.lanes[lane].blobs.get(&key).is_some_and(steady)
            && let Some(expanded) = expander.salvage()
        {
            self.emit(lane, key, expanded, false);
        }
    }

    /// Whether a blob that could be read to its end may all the same hold more than it shows: why.
    ///
    /// A blob is published for the records in it, and nobody reads it again once it is believed. So
    /// `null` is never believed; an empty list when it has been one long enough, and no record ever
    /// came out of it.
    fn doubt(&mut self, now: Now, lane: usize, key: Key, whole: Whole) -> Option<&'static str> {
        let server_now = self.clock.at(now);
        let lane = &mut self.lanes[lane];
        let blob = lane.blobs.get(&key)?;
        let since = blob.empty_since();
        match whole {
            Whole::Records => None,
            Whole::Null => {
                lane.note_empty(key, None, &mut self.changes);
                Some(NULL)
            }
            Whole::Empty => {
                if let Some(since) = since.filter(|at| *at + EMPTY_BELIEVED_AFTER <= server_now) {
                    let (content_type, content_id) = (lane.content_type, blob.content.id.clone());
                    self.event(Event::BlobEmpty { content_type, content_id, since });
                    return None;
                }
                lane.note_empty(key, since.or(Some(server_now)), &mut self.changes);
                Some("the blob is an empty list, which is not believed at once")
            }
        }
    }

    fn judged(
        &self,
        (operation, status, retry_after): (Operation, u16, Option<Duration>),
        code: Option<Cow<'static, str>>,
        body: &[u8],
    ) -> Ending {
        let answer =
            Answer { operation, status, code, retry_after, named_wait: judge::named_wait(body) };
        let verdict = judge(&answer);
        let words = match judge::message_of(body) {
            Some(message) => message,
            // With redaction, what nobody knows is not shown.
            None if verdict == Verdict::Accept || self.config.redaction.is_some() => String::new(),
            None => judge::opening_of(body).unwrap_or_default(),
        };
        let mut reason = format!("HTTP status {status}");
        for part in [
            answer.code.as_deref().map(|code| format!(", {code}")),
            (!words.is_empty()).then(|| format!(": {words}")),
        ] {
            reason.extend(part);
        }
        Ending { verdict, code: answer.code, reason, words, hollow: false, foreign: None }
    }

    /// With what is emitted: so that a later attempt, which begins behind it, need not know.
    pub(crate) fn report_oversized(&mut self, lane: usize, key: Key, count: u64) {
        if count == 0 {
            return;
        }
        let lane = &mut self.lanes[lane];
        lane.metrics.records_dropped += count;
        let content_id = lane.blobs.get(&key).map(|blob| blob.content.id.clone());
        let event = Event::RecordsDroppedError {
            content_type: lane.content_type,
            content_id: content_id.unwrap_or_default(),
            count,
            reason: "larger than record_bytes_max",
        };
        self.event(event);
    }

    // Tokens.

    fn end_token(&mut self, now: Now, exchange: &Exchange, result: Result<(), TransportError>) {
        let tokens = match (&mut self.activities, exchange.purpose) {
            (Some(lane), Purpose::PortalToken) => &mut lane.tokens,
            _ => &mut self.tokens,
        };
        let unreachable = result.is_err();
        let outcome = match (&exchange.body, result) {
            (_, Err(error)) => Err(TokenFailure::Transient { reason: error.to_string() }),
            (body, Ok(())) => {
                let seen = exchange.head.with(body.small_bytes());
                tokens.accept(&seen, now.monotonic, self.clock.at(now))
            }
        };
        let failure = match outcome {
            Ok(lifetime) => return self.event(Event::TokenAcquired { lifetime }),
            Err(failure) => tokens.soften(failure),
        };
        let (retry_in, news) =
            tokens.fail(&failure, exchange.head.retry_after, now.monotonic, &mut self.random);
        let failures = tokens.failures();
        let first = failures == 1 && tokens.is_untried();
        let code = tokens.address_code();
        match failure {
            TokenFailure::Transient { reason } if first && unreachable => {
                self.metrics.retries += 1;
                self.event(Event::SignInUnreachable { reason, retry_in });
            }
            TokenFailure::Refused { code, message } if news => {
                let remedy = remedy(&code);
                self.event(Event::TokenRefusedError { code, message, remedy });
            }
            TokenFailure::Foreign { answer } if news => {
                self.metrics.retries += 1;
                let (operation, remedy) = (exchange.operation, remedy(code));
                let content_type = None;
                let event =
                    Event::ForeignAnswerError { operation, content_type, answer, code, remedy };
                self.event(event);
            }
            TokenFailure::Refused { code: reason, .. }
            | TokenFailure::Foreign { answer: reason }
            | TokenFailure::Transient { reason } => {
                let named = exchange.head.retry_after.map(|_| retry_in);
                self.report_wait(now, exchange.operation, None, &reason, named);
                self.report_retry(exchange.operation, None, failures, &reason, retry_in);
            }
        }
    }

    // Subscriptions.

    fn end_list(&mut self, now: Now, exchange: &Exchange, ending: &Ending) {
        let accepted = match (&ending.verdict, &exchange.body) {
            (Verdict::Accept, Body::Small(small)) => wire::enabled_subscriptions(small.bytes())
                .map_err(|error| {
                    let opening = judge::opening_of(small.bytes());
                    let opening = opening.unwrap_or_else(|| "nothing".into());
                    format!(
                        "the answer is no list of subscriptions ({error}); it begins: {opening}"
                    )
                }),
            _ => Err(ending.reason.clone()),
        };
        let reason = match accepted {
            Ok(enabled) => {
                self.subscription_list_failures = 0;
                self.tokens.prove(exchange.generation, now.monotonic);
                for lane in &mut self.lanes {
                    if lane.subscription == Subscription::Unknown {
                        if enabled.contains(&lane.content_type) {
                            lane.enable();
                        } else {
                            lane.subscription = Subscription::Missing;
                        }
                    }
                }
                if let Body::Small(small) = &exchange.body {
                    self.note_webhooks(now, small.bytes());
                    self.note_kept(self.clock.at(now), small.bytes());
                }
                return;
            }
            Err(reason) => reason,
        };
        if ending.verdict == Verdict::Deny {
            for lane in 0..self.lanes.len() {
                if self.lanes[lane].subscription == Subscription::Unknown {
                    self.deny(now, lane, ending);
                }
            }
            return;
        }
        self.take_general_measures(now, exchange, ending);
        self.subscription_list_failures += 1;
        let failures = self.subscription_list_failures;
        let retry_in = self.random.backoff(LIST_RETRY_BASE, LIST_RETRY_MAX, failures);
        self.subscription_list_not_before = now.monotonic + retry_in;
        if failures >= MOUNTING {
            // Perhaps only the list fails. Whoever is not subscribed is told so by the listing.
            for lane in &mut self.lanes {
                if lane.subscription == Subscription::Unknown {
                    lane.subscription = Subscription::Enabled;
                }
            }
        }
        self.report_retry(exchange.operation, None, failures, &reason, retry_in);
    }

    fn end_start(&mut self, now: Now, index: usize, exchange: &Exchange, ending: &Ending) {
        let content_type = self.lanes[index].content_type;
        let confirmed = match &exchange.body {
            // Microsoft says so with an error, of all things (AF20024), or with the subscription.
            Body::Small(small) => ending.code.is_some() || wire::is_enabled(small.bytes()),
            Body::Page(_) | Body::Blob(_) | Body::Activities(_) => false,
        };
        if self.is_refused_webhook(now, index, ending.code.as_deref()) {
            let lane = &mut self.lanes[index];
            lane.subscription = Subscription::Missing;
            lane.started_at = None;
            return;
        }
        match &ending.verdict {
            Verdict::Accept if confirmed => {
                self.tokens.prove(exchange.generation, now.monotonic);
                self.lanes[index].enable();
                self.event(Event::SubscriptionStarted { content_type });
                let end = self.clock.at(now);
                let start = self.lanes[index].covered.last_end().filter(|start| *start < end);
                // With a code it had been running all the time.
                if let (Some(start), None) = (start, &ending.code) {
                    let time = Interval { start, end };
                    let kind = LossKind::Unsubscribed;
                    self.losses.add(Loss::of_time(kind, content_type, time, end));
                    self.event(Event::SubscriptionGapError { content_type, start, end });
                }
                self.accept_webhook(index);
            }
            Verdict::Deny => {
                self.want_webhook(now, index);
                self.deny(now, index, ending);
            }
            Verdict::CoolDown(wait) => {
                self.want_webhook(now, index);
                // Somebody started it: as far as the cool-down goes, as if it had been us.
                let wait = wait.unwrap_or(START_COOL_DOWN).min(START_COOL_DOWN);
                let server_now = self.clock.at(now);
                let lane = &mut self.lanes[index];
                lane.started_at = Some(server_now - (START_COOL_DOWN - wait));
                lane.subscription = Subscription::Missing;
                lane.start_answer = Some(ending.reason.clone());
            }
            Verdict::Forbid => self.refuse_start(now, index, exchange, ending),
            Verdict::Reauthenticate => {
                let lane = &mut self.lanes[index];
                let (current, proven_at) = self.tokens.standing(exchange.generation);
                // The list is looked at before the next start, whatever this was.
                match lane.forbidden.suspect(now.monotonic, current, proven_at, true) {
                    Suspicion::Feed => self.refuse_start(now, index, exchange, ending),
                    Suspicion::Test => self.fail_start(now, index, exchange, ending),
                    Suspicion::Replace => {
                        self.reject(now, index, exchange, ending);
                        self.fail_start(now, index, exchange, ending);
                    }
                }
            }
            Verdict::Accept
            | Verdict::Resubscribe
            | Verdict::Replan
            | Verdict::Throttle(_)
            | Verdict::Gone
            | Verdict::Retry(_) => {
                self.take_measures(now, exchange, &ending.verdict, &ending.reason);
                self.fail_start(now, index, exchange, ending);
            }
        }
    }

    // Listings.

    fn end_page(&mut self, now: Now, lane: usize, id: RunId, exchange: &Exchange, ending: &Ending) {
        let Some(run) = self.lanes[lane].runs.get_mut(&id) else { return };
        let Listing::Asked(_, page) = run.listing.clone() else { return };
        run.listing = Listing::Next(page);
        match &ending.verdict {
            Verdict::Accept => self.accept_page(now, lane, id, exchange),
            Verdict::Replan => self.fail_window(now, lane, id, true, &ending.reason),
            Verdict::Deny => self.deny(now, lane, ending),
            Verdict::Reauthenticate => self.suspect_token(now, lane, id, exchange, ending),
            Verdict::Forbid => self.forbid(now, lane, ending),
            Verdict::Resubscribe => self.resubscribe(now, lane),
            Verdict::Throttle(_) => self.take_general_measures(now, exchange, ending),
            Verdict::CoolDown(wait) | Verdict::Retry(wait) => {
                self.fail_page(now, lane, id, *wait, &ending.reason);
            }
            Verdict::Gone => self.fail_page(now, lane, id, None, &ending.reason),
        }
    }

    /// A page has named as many blobs as are kept at once: it is read again when they are read, and
    /// those that are known by then are passed over.
    fn interrupt_page(&mut self, lane: usize, id: RunId, exchange: &Exchange) {
        let content_type = Some(self.lanes[lane].content_type);
        if let Some(run) = self.lanes[lane].runs.get_mut(&id)
            && let Listing::Asked(_, page) = run.listing.clone()
            && let Body::Page(body) = &exchange.body
        {
            run.listing = Listing::Next(page);
            run.blobs -= body.entries;
            let reason = format!("the page names more than {} new blobs", body.news);
            let wait = Duration::ZERO;
            self.report_retry(exchange.operation, content_type, 1, &reason, wait);
        }
    }

    fn accept_page(&mut self, now: Now, index: usize, id: RunId, exchange: &Exchange) {
        let bad_entries = match &exchange.body {
            Body::Page(page) => page.bad_entries,
            Body::Small(_) | Body::Blob(_) | Body::Activities(_) => 0,
        };
        let lane = &mut self.lanes[index];
        let content_type = lane.content_type;
        lane.subscription_failures = 0;
        lane.forbidden.accept_page();
        let restored = lane.denied.take().is_some();
        self.tokens.prove(exchange.generation, now.monotonic);
        self.budget.note_success();
        let Some(run) = lane.runs.get_mut(&id) else { return };
        if bad_entries > 0 && run.failures + 1 < PAGE_FAILURES_MAX {
            let reason = format!("{bad_entries} entries of the listing cannot be read");
            self.fail_page(now, index, id, None, &reason);
            return;
        }
        run.failures = 0;
        run.pages += 1;
        let (window, urgency) = (run.window, run.urgency);
        if restored {
            self.event(Event::FeedRestored { content_type });
        }
        if bad_entries > 0 {
            let kind = LossKind::EntriesDropped;
            let loss = Loss::of_time(kind, content_type, window, self.clock.at(now));
            self.losses.add(Loss { count: bad_entries, ..loss });
            self.lanes[index].metrics.listing_entries_dropped += bad_entries;
            self.event(Event::ListingEntriesDroppedError { content_type, count: bad_entries });
        }
        match &exchange.head.next_page {
            None => {
                let lane = &mut self.lanes[index];
                lane.note_success(urgency);
                let event = lane.complete_listing(id);
                self.outputs.extend(event.map(crate::Output::Event));
                self.note_caught_up(now, index);
            }
            Some(address) => {
                let address = origin::resolve(&exchange.address, address);
                self.turn_page(now, index, id, &address);
            }
        }
    }

    fn turn_page(&mut self, now: Now, lane: usize, id: RunId, address: &str) {
        let content_type = self.lanes[lane].content_type;
        let address = match address::of_page(&self.config, content_type, address) {
            Some(Address::Named(named)) => named,
            Some(Address::Derived(derived)) => {
                self.note_derived(lane, address);
                derived
            }
            None => {
                self.refuse_address(lane, address);
                self.fail_window(now, lane, id, false, "the next page is on another host");
                return;
            }
        };
        let Some(run) = self.lanes[lane].runs.get_mut(&id) else { return };
        let new = run.visited.insert(Key::of_content(&address));
        if new && run.pages < PAGES_PER_WINDOW_MAX {
            run.listing = Listing::Next(Some(address));
            let urgency = run.urgency;
            self.lanes[lane].note_success(urgency);
        } else {
            self.fail_window(now, lane, id, false, "the pages of the listing go in circles");
        }
    }

    fn fail_page(
        &mut self,
        now: Now,
        lane: usize,
        id: RunId,
        retry_after: Option<Duration>,
        reason: &str,
    ) {
        let Some(run) = self.lanes[lane].runs.get_mut(&id) else { return };
        run.failures += 1;
        let (failures, urgency) = (run.failures, run.urgency);
        if failures >= PAGE_FAILURES_MAX {
            self.fail_window(now, lane, id, false, reason);
            return;
        }
        let wait = self.random.backoff(PAGE_RETRY_BASE, PAGE_RETRY_MAX, failures);
        let wait = wait.max(retry_after.unwrap_or_default());
        run.not_before = now.monotonic + wait;
        let in_a_row = self.lanes[lane].note_failure(urgency, failures);
        let content_type = Some(self.lanes[lane].content_type);
        self.report_wait(now, Operation::ListContent, content_type, reason, retry_after);
        self.report_retry(Operation::ListContent, content_type, in_a_row, reason, wait);
    }

    /// Gives a window up; after a while the planner asks again for what it did not cover. One that
    /// is older holds up nothing that is fresh. `refused`: for the time that it is of.
    fn fail_window(&mut self, now: Now, index: usize, id: RunId, refused: bool, reason: &str) {
        let server_now = self.clock.at(now);
        let lane = &mut self.lanes[index];
        let Some(run) = lane.drop_run(id) else { return };
        let (failures, wait) = if run.urgency == Urgency::Fresh {
            lane.list_failures = lane.list_failures.saturating_add(1);
            let wait = self.random.backoff(LIST_RETRY_BASE, LIST_RETRY_MAX, lane.list_failures);
            lane.list_not_before = now.monotonic + wait;
            lane.next_fresh = lane.list_not_before;
            (lane.list_failures, wait)
        } else {
            let again = self.random.backoff(ASIDE_RETRY_BASE, ASIDE_RETRY_MAX, run.tries + 1);
            let again_at = now.monotonic + again;
            let failures = lane.fail_older(&run, refused, again_at, server_now);
            let in_a_row = lane.older.failures;
            let wait = self.random.backoff(LIST_RETRY_BASE, LIST_RETRY_MAX, in_a_row);
            lane.older.not_before = now.monotonic + wait;
            (failures, wait)
        };
        // Of requests, or of windows: those whose first page can be read count for one each.
        let failures = lane.note_failure(run.urgency, failures);
        let content_type = Some(lane.content_type);
        self.report_retry(Operation::ListContent, content_type, failures, reason, wait);
    }

    // Blobs.

    fn end_blob(&mut self, now: Now, index: usize, key: Key, exchange: &Exchange, ending: &Ending) {
        let lane = &mut self.lanes[index];
        match &ending.verdict {
            Verdict::Accept => {
                lane.set_stage(key, Stage::Emitted);
                lane.forbidden.accept_blob();
                if lane.failing.succeed() {
                    let content_type = lane.content_type;
                    self.outputs
                        .push_back(crate::Output::Event(Event::FeedRestored { content_type }));
                }
                self.tokens.prove(exchange.generation, now.monotonic);
                self.budget.note_success();
                self.note_caught_up(now, index);
            }
            // Our own back-pressure may have cost the connection: that is nobody's failure.
            Verdict::Retry(None) if exchange.stalled => lane.set_stage(key, Stage::Ready),
            Verdict::Throttle(_) => {
                lane.set_stage(key, Stage::Ready);
                self.take_general_measures(now, exchange, ending);
            }
            Verdict::Resubscribe => {
                self.resubscribe(now, index);
                self.fail_blob(now, index, key, BLOB_RETRY_BASE, None, ending);
            }
            Verdict::Reauthenticate => {
                let (current, _) = self.tokens.standing(exchange.generation);
                let rejection = match lane.forbidden.suspects_by_blob(current) {
                    true => self.reject(now, index, exchange, ending),
                    false => Rejection::NotTheToken,
                };
                match rejection {
                    Rejection::Discarded(wait) => {
                        self.lanes[index].set_stage(key, Stage::Waiting(now.monotonic + wait));
                    }
                    Rejection::NotTheToken => {
                        self.fail_blob(now, index, key, BLOB_RETRY_BASE, None, ending);
                    }
                }
            }
            // Whether a feed may be read, its listing tells; one blob does not.
            Verdict::Deny => self.fail_blob(now, index, key, BLOB_GONE_BASE, None, ending),
            Verdict::Gone => self.fail_blob(now, index, key, BLOB_GONE_BASE, None, ending),
            Verdict::Replan | Verdict::Forbid => {
                self.fail_blob(now, index, key, BLOB_RETRY_BASE, None, ending);
            }
            Verdict::CoolDown(wait) | Verdict::Retry(wait) => {
                let base = if ending.hollow { BLOB_HOLLOW_BASE } else { BLOB_RETRY_BASE };
                self.fail_blob(now, index, key, base, *wait, ending);
            }
        }
    }

    fn fail_blob(
        &mut self,
        now: Now,
        index: usize,
        key: Key,
        base: Duration,
        retry_after: Option<Duration>,
        ending: &Ending,
    ) {
        let server_now = self.clock.at(now);
        let lane = &mut self.lanes[index];
        let Some(blob) = lane.blobs.get_mut(&key) else { return };
        blob.failures = blob.failures.saturating_add(1);
        let failures = blob.failures;
        let expired = server_now >= blob.content.expiration;
        let gone = ending.verdict == Verdict::Gone;
        if blob.hinted && (expired || gone || failures >= HINT_FAILURES_MAX) {
            lane.forget_hint(key, &mut self.changes);
            let (content_type, reason) = (lane.content_type, ending.reason.clone());
            self.event(Event::HintForgotten { content_type, reason });
            return;
        }
        let final_answer = gone || failures >= QUARANTINE_FAILURES;
        let wait = self.random.backoff(base, BLOB_RETRY_MAX, failures);
        let wait = wait.max(retry_after.unwrap_or_default());
        if expired && final_answer {
            self.lose_blob(now, index, key, &ending.reason);
            self.tell_unread(now, false);
            return;
        }
        lane.fail_blob(key, &ending.reason, now.monotonic + wait, &mut self.changes);
        let alike = lane.failing.fail(key, ending.kind(), ending.passes(), now.monotonic);
        let content_type = lane.content_type;
        let unreadable = lane.note_unreadable();
        self.outputs.extend(unreadable.map(crate::Output::Event));
        self.report_wait(now, Operation::GetBlob, Some(content_type), &ending.reason, retry_after);
        self.event(Event::RequestRetried {
            operation: Operation::GetBlob,
            content_type: Some(content_type),
            reason: ending.reason.clone(),
            retry_in: wait,
        });
        if alike {
            self.event(Event::FeedFailingError {
                content_type,
                code: ending.kind().to_owned(),
                message: ending.words.clone(),
                remedy: ending.remedy(),
            });
        }
        self.tell_unread(now, false);
    }

    // What several have in common.

    pub(crate) fn reject(
        &mut self,
        now: Now,
        lane: usize,
        exchange: &Exchange,
        ending: &Ending,
    ) -> Rejection {
        let content_type = Some(self.lanes[lane].content_type);
        self.reject_token(now, exchange, content_type, &ending.reason)
    }

    fn take_general_measures(&mut self, now: Now, exchange: &Exchange, ending: &Ending) {
        self.take_measures(now, exchange, &ending.verdict, &ending.reason);
    }

    /// Does what a verdict asks for beyond the exchange it belongs to.
    pub(crate) fn take_measures(
        &mut self,
        now: Now,
        exchange: &Exchange,
        verdict: &Verdict,
        reason: &str,
    ) {
        match verdict {
            Verdict::Reauthenticate => {
                self.reject_token(now, exchange, None, reason);
            }
            Verdict::Throttle(retry_after) => {
                self.hint_budget.throttle(now.monotonic, *retry_after);
                self.throttle(now, exchange.operation, None, *retry_after);
            }
            Verdict::Accept
            | Verdict::Resubscribe
            | Verdict::Replan
            | Verdict::CoolDown(_)
            | Verdict::Gone
            | Verdict::Deny
            | Verdict::Forbid
            | Verdict::Retry(_) => {}
        }
    }

    fn resubscribe(&mut self, now: Now, index: usize) {
        let lane = &mut self.lanes[index];
        if lane.subscription != Subscription::Enabled {
            return;
        }
        // Without a list, what the listing says is all that is known: it is started, if it may be.
        let listless = self.subscription_list_failures >= MOUNTING;
        lane.subscription = if listless { Subscription::Missing } else { Subscription::Unknown };
        lane.subscription_failures = lane.subscription_failures.saturating_add(1);
        let (failures, lane_type) = (lane.subscription_failures, lane.content_type);
        if failures > 1 && !listless {
            let wait = self.random.backoff(LIST_RETRY_BASE, MISSING_RECHECK, failures);
            self.subscription_list_not_before =
                self.subscription_list_not_before.max(now.monotonic + wait);
            let content_type = Some(lane_type);
            let reason = "no subscription, although the list of subscriptions has one";
            self.report_retry(Operation::ListContent, content_type, failures, reason, wait);
        }
    }

    /// Says so, once, when the backlog of a feed is delivered.
    fn note_caught_up(&mut self, now: Now, index: usize) {
        let server_now = self.clock.at(now);
        let lane = &mut self.lanes[index];
        let recent = server_now - crate::audit::plan::FRESH_SPAN;
        if !lane.caught_up && lane.unread.is_empty() && lane.is_settled_until(recent, server_now) {
            lane.caught_up = true;
            let (content_type, quarantined) = (lane.content_type, lane.metrics.blobs_quarantined);
            self.event(Event::BacklogDelivered { content_type, quarantined });
        }
    }
}
