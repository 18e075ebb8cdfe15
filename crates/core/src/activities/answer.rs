//! Decides what the answers of the Activities API mean: records to hand over, the next page,
//! another attempt. Sends nothing.

use std::sync::Arc;
use std::time::Duration;

use super::envelope::EnvelopeError;
use super::judge::judge;
use super::plan::{RETENTION, Urgency, oldest};
use super::reader::{PageReader, Ready};
use super::walk::{PageId, Turn, Turned, WalkId};
use crate::access::token::Rejection;
use crate::audit::ending::NO_CODE_REMEDY;
use crate::audit::exchange::{Body, Exchange};
use crate::audit::judge::{Verdict, message_of, opening_of};
use crate::base::key::Key;
use crate::base::time::{Now, Utc};
use crate::collector::Collector;
use crate::contract::batch::{Batch, ContentRef, ContentType};
use crate::contract::event::Event;
use crate::contract::remedy::remedy;
use crate::contract::request::{Operation, TransportError};
use crate::source::ledger::{Entry, Part, Treated};
use crate::source::losses::Loss;
use crate::source::revision::{Novelty, Revision};

/// Waits between attempts at a page.
const PAGE_RETRY_BASE: Duration = Duration::from_secs(2);
const PAGE_RETRY_MAX: Duration = Duration::from_secs(300);

/// Attempts at a page of a fresh search before a newer one takes its place; refusals of the
/// portal's token before it is believed to be of no use.
const PAGE_FAILURES_MAX: u32 = 6;

/// Waits between searches that fail.
const WALK_RETRY_BASE: Duration = Duration::from_secs(5);
const WALK_RETRY_MAX: Duration = Duration::from_secs(300);

/// How often a source that is denied is tried again.
const DENIED_RETRY: Duration = Duration::from_secs(10 * 60);

const FEED: Option<ContentType> = Some(ContentType::CloudAppActivities);

/// How a page ended.
struct Ending {
    verdict: Verdict,
    reason: String,
    /// What it is, if it is no answer of this API.
    foreign: Option<String>,
    /// What a page says that was read.
    turn: Option<Turn>,
}

impl Ending {
    fn retry(reason: impl ToString) -> Self {
        Self {
            verdict: Verdict::Retry(None),
            reason: reason.to_string(),
            foreign: None,
            turn: None,
        }
    }
}

impl Collector {
    /// Reads the activities that have arrived. Answers whether the rest is not wanted.
    pub(crate) fn read_activities(
        &mut self,
        now: Now,
        walk: WalkId,
        page: PageId,
        reader: &mut PageReader,
    ) -> bool {
        loop {
            match reader.step() {
                Ok(Some(ready)) => self.emit_activities(now, walk, page, ready, false, 0),
                Ok(None) => return false,
                // The error stays in the reader, and the end finds it there.
                Err(_) => return true,
            }
        }
    }

    /// Hands activities to the host, but for those that it was given before.
    /// `dropped` says how many were too large for it.
    fn emit_activities(
        &mut self,
        now: Now,
        walk: WalkId,
        page: PageId,
        ready: Ready,
        last: bool,
        dropped: u64,
    ) {
        let server_now = self.clock.at(now);
        let (Some(lane), Some(portal)) = (&mut self.activities, &self.config.portal) else {
            return;
        };
        let Some(window) = lane.walks.get(&walk).map(|walk| walk.window) else { return };
        let before = ready.records.len();
        let mut known = ready.known.into_iter();
        let mut activities = Vec::new();
        let mut records = ready.records;
        let mut revised = 0;
        records.retain(|_| {
            let Some((activity, created)) = known.next() else { return false };
            let novelty = lane.seen.emit(activity);
            revised += u64::from(novelty == Novelty::Revised);
            let new = novelty != Novelty::Known;
            if new {
                activities.push((activity, created));
            }
            new
        });
        lane.metrics.records_deduplicated += (before - records.len()) as u64;
        lane.metrics.records_revised += revised;
        for record in &records {
            for mismatch in portal.filters.mismatches(&record.raw, server_now) {
                if let Some(count) = lane.note_mismatch(mismatch.clause, now.monotonic) {
                    let filter = portal.filters.clauses()[mismatch.clause].to_string();
                    let event = Event::FilterIgnored { filter, activities: count };
                    self.outputs.push_back(crate::Output::Event(event));
                }
            }
        }
        let url = format!("{}/api/v1/activities/", portal.url.as_str());
        let treated = Treated { dropped, ..self.redact(&mut records) };
        let content_id = format!("{}/{}/{}", window.start, window.end, page.0);
        self.report_revised(ContentType::CloudAppActivities, &content_id, revised);
        if 0 < treated.withheld {
            self.event(Event::RecordsWithheldError {
                content_type: ContentType::CloudAppActivities,
                content_id: content_id.as_str().into(),
                count: treated.withheld,
            });
        }
        let bytes = records.iter().map(|record| record.raw.len() as u64).sum();
        let id = self.ledger.next_id();
        // Entered even if nothing is left: what was left out must be delivered before this counts.
        self.ledger.push(Entry {
            id,
            part: Part::Page { walk, page, activities },
            last,
            records: records.len() as u64,
            treated,
            bytes,
            delivered: records.is_empty(),
        });
        if !records.is_empty() {
            let content = Arc::new(ContentRef {
                content_type: ContentType::CloudAppActivities,
                id: content_id.into(),
                uri: url.into(),
                created: server_now,
                expiration: server_now + RETENTION,
            });
            let tenant_id = self.config.tenant_id.clone();
            self.outputs.push_back(crate::Output::Batch(Batch { id, tenant_id, content, records }));
        }
    }

    /// The host has taken part of a page.
    pub(crate) fn settle_page(
        &mut self,
        walk: WalkId,
        page: PageId,
        activities: &[(Revision, Utc)],
        entry: &Entry,
        now: Utc,
    ) {
        let Some(lane) = &mut self.activities else { return };
        if let Some(window) = lane.walks.get(&walk).map(|walk| walk.window) {
            let feed = ContentType::CloudAppActivities;
            for (kind, count) in entry.treated.lost() {
                let loss = Loss::of_time(kind, feed, window, now);
                self.losses.add(Loss { count, ..loss });
            }
        }
        lane.metrics.records_delivered += entry.records;
        lane.metrics.records_redacted += entry.treated.redacted;
        lane.metrics.records_withheld += entry.treated.withheld;
        lane.metrics.records_malformed += entry.treated.malformed;
        lane.metrics.bytes_delivered += entry.bytes;
        lane.deliver(walk, page, entry.last, activities, &mut self.changes);
    }

    /// A page has ended, well or badly.
    pub(crate) fn end_activities(
        &mut self,
        now: Now,
        id: WalkId,
        page: PageId,
        exchange: &mut Exchange,
        result: Result<(), TransportError>,
    ) {
        if let Err(error) = &result {
            self.note_silence(exchange.operation, &error.to_string());
        }
        let ending = self.end_page_body(now, id, page, exchange, result);
        if let Some(answer) = &ending.foreign {
            return self.fail_foreign(now, id, exchange, answer);
        }
        self.note_failing_page(now, id, page, exchange, &ending);
        let Some(lane) = &mut self.activities else { return };
        let Some(walk) = lane.walks.get_mut(&id) else { return };
        walk.request = None;
        match ending.verdict {
            Verdict::Accept => {
                if let Some(turn) = ending.turn {
                    self.turn_activities(now, id, page, turn, exchange);
                }
            }
            Verdict::Throttle(wait) => self.throttle(now, exchange.operation, FEED, wait),
            Verdict::Reauthenticate => self.reject_portal_token(now, id, exchange, &ending.reason),
            Verdict::Deny | Verdict::Forbid => self.deny_activities(now, "HTTP status 403"),
            // What the cursor stands for is not known any more, or the filters are not liked.
            Verdict::Replan => self.fail_walk(now, id, &ending.reason),
            // Our own back-pressure may have cost the connection: that is nobody's failure.
            Verdict::Retry(None) if exchange.stalled => {}
            Verdict::Retry(wait) | Verdict::CoolDown(wait) => {
                self.fail_activities(now, id, wait, &ending.reason);
            }
            Verdict::Gone | Verdict::Resubscribe => {
                self.fail_activities(now, id, None, &ending.reason);
            }
        }
    }

    /// Says so, once, when page after page of fresh searches fails alike. What cannot be read of
    /// the past holds up nothing, and is told by itself.
    fn note_failing_page(
        &mut self,
        now: Now,
        id: WalkId,
        page: PageId,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        let Some(lane) = &mut self.activities else { return };
        if lane.walks.get(&id).is_none_or(|walk| walk.urgency != Urgency::Fresh) {
            return;
        }
        let content_type = ContentType::CloudAppActivities;
        let passes = match &ending.verdict {
            Verdict::Accept => {
                if lane.failing.succeed() {
                    self.event(Event::FeedRestored { content_type });
                }
                return;
            }
            // Told by themselves.
            Verdict::Throttle(_)
            | Verdict::Reauthenticate
            | Verdict::Deny
            | Verdict::Forbid
            | Verdict::CoolDown(_) => return,
            Verdict::Retry(None) if exchange.stalled => return,
            Verdict::Retry(_) => true,
            Verdict::Replan | Verdict::Gone | Verdict::Resubscribe => false,
        };
        let key = Key(page.0.into());
        if lane.failing.fail(key, &ending.reason, passes, now.monotonic) {
            let words = match &exchange.body {
                Body::Small(small) if self.config.redaction.is_none() => {
                    opening_of(small.bytes()).unwrap_or_default()
                }
                Body::Small(_) | Body::Page(_) | Body::Blob(_) | Body::Activities(_) => {
                    String::new()
                }
            };
            self.event(Event::FeedFailingError {
                content_type,
                code: ending.reason.clone(),
                message: words,
                remedy: if passes { NO_CODE_REMEDY } else { remedy("portal-refused") },
            });
        }
    }

    /// Judges how a page ended. What was read of it is emitted, however it ended.
    fn end_page_body(
        &mut self,
        now: Now,
        id: WalkId,
        page: PageId,
        exchange: &mut Exchange,
        result: Result<(), TransportError>,
    ) -> Ending {
        let head = exchange.head.clone();
        let redacted = self.config.redaction.is_some();
        let judged = |opening: &[u8]| {
            let seen = head.with(opening);
            // Each tenant's own address has a search. Where it is not found, there is no tenant.
            let verdict = judge(head.status, opening, head.retry_after);
            let foreign = !matches!(verdict, Verdict::Throttle(_))
                && (seen.is_foreign() || matches!(head.status, 404 | 405 | 410));
            let said = match message_of(opening).filter(|_| !(200..300).contains(&head.status)) {
                Some(words) => format!("HTTP status {}, {words}", head.status),
                None if redacted => seen.describe_head(),
                None => seen.describe(),
            };
            Ending { verdict, reason: said.clone(), foreign: foreign.then_some(said), turn: None }
        };
        match (&mut exchange.body, result) {
            (Body::Activities(reader), result) => {
                let finished = reader.finish();
                let last = result.is_ok() && finished.is_ok();
                let (ready, oversized) = (reader.take_ready(), reader.oversized);
                let whole = match (result, finished) {
                    (Err(error), _) => Err(Ending::retry(error)),
                    (Ok(()), Ok(found)) => Ok(found),
                    (Ok(()), Err(EnvelopeError::NoPage { opening })) => Err(judged(&opening)),
                    (Ok(()), Err(error)) => Err(Ending::retry(error)),
                };
                let dropped = if whole.is_ok() { oversized } else { 0 };
                self.emit_activities(now, id, page, ready, last, dropped);
                match whole {
                    Err(ending) => ending,
                    Ok((verso, records)) => {
                        self.report_oversized_activities(oversized);
                        Ending {
                            verdict: Verdict::Accept,
                            reason: String::new(),
                            foreign: None,
                            turn: Some(Turn {
                                records,
                                has_next: verso.has_next,
                                next_filters: verso.next_filters,
                            }),
                        }
                    }
                }
            }
            (_, Err(error)) => Ending::retry(error),
            (Body::Small(small), Ok(())) => judged(small.bytes()),
            (Body::Page(_) | Body::Blob(_), Ok(())) => judged(b""),
        }
    }

    fn turn_activities(
        &mut self,
        now: Now,
        id: WalkId,
        page: PageId,
        turn: Turn,
        exchange: &Exchange,
    ) {
        let Some(lane) = &mut self.activities else { return };
        lane.tokens.prove(exchange.generation, now.monotonic);
        lane.budget.note_success();
        lane.contact.note_proof();
        let restored = lane.denied.take().is_some();
        let Some(walk) = lane.walks.get_mut(&id) else { return };
        let urgency = walk.urgency;
        let turned = walk.turn(page, turn);
        let read = walk.is_read().then_some(Event::ActivitiesListed {
            start: walk.window.start,
            end: walk.window.end,
            pages: walk.pages,
            activities: walk.records,
        });
        lane.pages_read += u64::from(turned == Turned::On);
        if turned == Turned::On {
            lane.note_success(urgency);
        }
        if restored {
            let content_type = ContentType::CloudAppActivities;
            self.event(Event::FeedRestored { content_type });
        }
        match turned {
            Turned::On => {
                if let Some(event) = read {
                    self.event(event);
                    if let Some(lane) = &mut self.activities {
                        lane.note_read(id);
                    }
                }
            }
            Turned::Again => {
                let reason = "the answer says that there is more, and not how to go on";
                self.fail_activities(now, id, None, reason);
            }
            Turned::Stuck => self.fail_walk(now, id, "the pages of the search go in circles"),
        }
        // The entry of the page may have been delivered before its turn was known.
        self.settle(now);
        self.note_activities_caught_up(now);
    }

    fn report_oversized_activities(&mut self, count: u64) {
        let Some(lane) = self.activities.as_mut().filter(|_| count > 0) else { return };
        lane.metrics.records_dropped += count;
        self.event(Event::RecordsDroppedError {
            content_type: ContentType::CloudAppActivities,
            content_id: "activities".into(),
            count,
            reason: "larger than record_bytes_max",
        });
    }

    /// Somebody else answers at `portal_url`. After a while it is left alone.
    fn fail_foreign(&mut self, now: Now, id: WalkId, exchange: &Exchange, answer: &str) {
        self.note_foreign(exchange.operation, FEED, answer);
        let Some(lane) = &mut self.activities else { return };
        if let Some(walk) = lane.walks.get_mut(&id) {
            walk.request = None;
        }
        if lane.contact.is_lost() {
            lane.denied_until = now.monotonic + DENIED_RETRY;
            lane.denied = Some("portal-address".into());
        } else {
            self.fail_activities(now, id, None, answer);
        }
    }

    fn reject_portal_token(&mut self, now: Now, id: WalkId, exchange: &Exchange, reason: &str) {
        if self.config.portal.as_ref().is_some_and(|portal| portal.token.is_some()) {
            // There is no other.
            return self.fail_portal_token(now, id, reason);
        }
        match self.reject_token(now, exchange, FEED, reason) {
            Rejection::Discarded(wait) => {
                let lane = self.activities.as_mut();
                if let Some(walk) = lane.and_then(|lane| lane.walks.get_mut(&id)) {
                    walk.not_before = now.monotonic + wait;
                }
            }
            Rejection::NotTheToken => self.fail_activities(now, id, None, reason),
        }
    }

    /// One refusal may be a hiccup; several are not.
    fn fail_portal_token(&mut self, now: Now, id: WalkId, reason: &str) {
        let Some(walk) = self.activities.as_mut().and_then(|lane| lane.walks.get_mut(&id)) else {
            return;
        };
        walk.refusals += 1;
        if walk.refusals < PAGE_FAILURES_MAX {
            self.fail_activities(now, id, None, reason);
        } else {
            self.deny_activities(now, "portal-token");
        }
    }

    /// The source is denied: it is left alone for a while, and the others go on.
    fn deny_activities(&mut self, now: Now, code: &str) {
        let Some(lane) = &mut self.activities else { return };
        lane.denied_until = now.monotonic + DENIED_RETRY;
        if lane.denied.as_deref() != Some(code) {
            lane.denied = Some(code.to_owned());
            self.event(Event::FeedDeniedError {
                content_type: ContentType::CloudAppActivities,
                code: code.to_owned(),
                message: String::new(),
                remedy: remedy(if code == "portal-token" { code } else { "portal-denied" }),
            });
        }
    }

    fn fail_activities(&mut self, now: Now, id: WalkId, wait: Option<Duration>, reason: &str) {
        let Some(lane) = &mut self.activities else { return };
        let Some(walk) = lane.walks.get_mut(&id) else { return };
        if walk.is_stuck && walk.window.end <= oldest(self.clock.at(now)) {
            // It is lost, and told.
            lane.drop_walk(id, &mut self.changes);
            return;
        }
        let was_stuck = walk.is_stuck;
        let failures = walk.fail(lane.pages_read);
        let (in_a_row, walk_urgency) = (walk.failed, walk.urgency);
        // What is asked for is soon old. Any other search keeps what it has reached.
        if walk.urgency == Urgency::Fresh && failures >= PAGE_FAILURES_MAX {
            self.fail_walk(now, id, reason);
            return;
        }
        let in_a_row = in_a_row.max(lane.note_failure(walk_urgency));
        let Some(walk) = lane.walks.get_mut(&id) else { return };
        let backoff = self.random.backoff(PAGE_RETRY_BASE, PAGE_RETRY_MAX, failures);
        let named = wait;
        let wait = wait.unwrap_or_default().max(backoff);
        walk.not_before = now.monotonic + wait;
        if walk.is_stuck && !was_stuck {
            lane.set_aside(id, &mut self.changes);
        }
        self.report_wait(now, Operation::ListActivities, FEED, reason, named);
        self.report_activity_retry(in_a_row, reason, wait);
    }

    /// Gives a search up; after a while the planner asks again for what it did not cover.
    fn fail_walk(&mut self, now: Now, id: WalkId, reason: &str) {
        let Some(lane) = &mut self.activities else { return };
        let Some(urgency) = lane.walks.get(&id).map(|walk| walk.urgency) else { return };
        lane.drop_walk(id, &mut self.changes);
        lane.failures = lane.failures.saturating_add(1);
        let failures = lane.failures;
        let in_a_row = failures.max(lane.note_failure(urgency));
        let wait = self.random.backoff(WALK_RETRY_BASE, WALK_RETRY_MAX, failures);
        lane.not_before = now.monotonic + wait;
        lane.next_fresh = lane.not_before;
        lane.relist_not_before = now.monotonic + WALK_RETRY_MAX;
        self.report_activity_retry(in_a_row, reason, wait);
    }

    fn report_activity_retry(&mut self, failures: u32, reason: &str, wait: Duration) {
        self.report_retry(Operation::ListActivities, FEED, failures, reason, wait);
    }

    /// Says so, once, when the backlog is delivered.
    fn note_activities_caught_up(&mut self, now: Now) {
        let server_now = self.clock.at(now);
        let Some(lane) = &mut self.activities else { return };
        let recent = server_now - super::plan::FRESH_SPAN;
        if !lane.caught_up && lane.is_settled_until(recent, server_now) {
            lane.caught_up = true;
            let content_type = ContentType::CloudAppActivities;
            self.event(Event::BacklogDelivered { content_type, quarantined: 0 });
        }
    }
}
