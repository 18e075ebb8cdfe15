//! Decides what the answers of the Activities API mean: records to hand over, the next page,
//! another attempt. Sends nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::access::token::Rejection;
use crate::activities::ActivitiesSource;
use crate::activities::envelope::EnvelopeError;
use crate::activities::exchange::{Body, Exchange, Part, Purpose};
use crate::activities::judge::judge;
use crate::activities::lane::{Failed, PAGE_FAILURES_MAX};
use crate::activities::plan::RETENTION;
use crate::activities::reader::{PageReader, Ready};
use crate::activities::walk::{Turn, Turned, WalkId};
use crate::base::flat_map::FlatMap;
use crate::base::key::Key;
use crate::base::time::{Now, Utc};
use crate::contract::batch::{ContentRef, Record};
use crate::contract::error_codes::{NO_CODE_REMEDY, remedy};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::contract::request::Operation;
use crate::source::Ended;
use crate::source::account::Taken;
use crate::source::desk::{Desk, Emission};
use crate::source::exchange::Sent;
use crate::source::ledger::Entry;
use crate::source::revision::Revision;
use crate::source::trouble;
use crate::source::urgency::Urgency;
use crate::source::verdict::Verdict;
use crate::source::words::{message_of, opening_of};

const FEED: Feed = Feed::CloudAppActivities;

/// What of each hour is new and what was left out, of activities that `came` at these moments.
fn by_hour(came: &[Utc], new: &[(Revision, Utc)], records: &[Record]) -> Vec<(Utc, Taken)> {
    let mut hours = FlatMap::<i64, (Utc, Taken, Vec<i64>)>::default();
    for created in came {
        let first = || (*created, Taken::default(), Vec::new());
        hours.get_or_insert_with(created.hour(), first).1.deduplicated += 1;
    }
    for ((_, created), record) in new.iter().zip(records) {
        if let Some((_, taken, seconds)) = hours.get_mut(&created.hour()) {
            taken.deduplicated -= 1;
            taken.records += 1;
            taken.bytes += record.raw.len() as u64;
            seconds.extend(record.second());
        }
    }
    let timed = hours.into_entries().into_iter().map(|(_, (created, taken, seconds))| {
        (created, Taken { happened: Entry::by_second(&seconds), ..taken })
    });
    timed.collect()
}

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

impl ActivitiesSource {
    /// Reads the activities that have arrived. Answers whether the rest is not wanted.
    pub(super) fn read_activities(
        &mut self,
        desk: &mut Desk,
        now: Now,
        purpose: Purpose,
        reader: &mut PageReader,
    ) -> bool {
        loop {
            match reader.step() {
                Ok(Some(ready)) => self.emit(desk, now, purpose, ready, false, 0),
                Ok(None) => return false,
                // The error stays in the reader, and the end finds it there.
                Err(_) => return true,
            }
        }
    }

    /// Hands activities to the host, but for those that it was given before. `dropped` says how
    /// many were too large for it.
    fn emit(
        &mut self,
        desk: &mut Desk,
        now: Now,
        purpose: Purpose,
        ready: Ready,
        last: bool,
        dropped: u64,
    ) {
        let Purpose { walk, page } = purpose;
        let server_now = desk.server_time(now);
        let Some(window) = self.lane.window(walk) else { return };
        let mut records = ready.records;
        let came: Vec<Utc> = ready.known.iter().map(|(_, created)| *created).collect();
        let (activities, revised) = self.lane.leave_out_known(&mut records, ready.known);
        for (_, created) in &activities {
            desk.history().note_news(FEED, *created, server_now);
        }
        let hours = by_hour(&came, &activities, &records);
        for record in &records {
            for mismatch in self.config.filters.mismatches(&record.raw, server_now) {
                if let Some(count) = self.lane.note_mismatch(mismatch.clause, now.monotonic) {
                    let filter = self.config.filters.clauses()[mismatch.clause].to_string();
                    desk.tell(Event::Feed(
                        FEED,
                        FeedEvent::FilterIgnored { filter, records: count },
                    ));
                }
            }
        }
        let content_id: Box<str> = format!("{}/{}/{}", window.start, window.end, page.0).into();
        if 0 < revised {
            let (feed, content_id, count) = (FEED, content_id.clone(), revised);
            desk.tell(Event::Feed(feed, FeedEvent::RecordsRevised { content_id, count }));
        }
        let content = Arc::new(ContentRef {
            feed: FEED,
            id: content_id,
            uri: format!("{}/api/v1/activities/", self.config.url.as_str()).into(),
            created: server_now,
            expiration: server_now + RETENTION.kept,
        });
        // The filters are of the other API's records.
        let emission = Emission { content, records, last, dropped, filterable: false };
        let batch = desk.emit(self.id, emission);
        self.parts.push_back(Part { batch, walk, page, activities, hours });
    }

    /// A page has ended, well or badly.
    pub(super) fn end_page(
        &mut self,
        desk: &mut Desk,
        now: Now,
        mut exchange: Exchange,
        ended: Ended,
    ) {
        let Purpose { walk, .. } = exchange.purpose;
        if let Err(error) = &ended.result {
            let operation = exchange.sent.operation;
            trouble::silence(&mut self.access, desk, operation, &error.to_string());
        }
        let stalled = ended.stalled;
        let ending = self.judge_page(desk, now, &mut exchange, ended);
        if let Some(answer) = &ending.foreign {
            return self.fail_foreign(desk, now, walk, answer);
        }
        self.note_failing(desk, now, &exchange, &ending, stalled);
        if !self.lane.note_ended(walk) {
            return;
        }
        match ending.verdict {
            Verdict::Accept => {
                if let Some(turn) = ending.turn {
                    self.turn(desk, now, &exchange, turn);
                }
            }
            Verdict::Throttle(wait) => {
                let operation = exchange.sent.operation;
                trouble::throttle(&mut self.access, desk, now, operation, Some(FEED), wait);
            }
            Verdict::Reauthenticate => {
                self.reject_token(desk, now, walk, exchange.sent, &ending.reason);
            }
            Verdict::Deny | Verdict::Forbid => self.deny(desk, now, "HTTP status 403"),
            // What the cursor stands for is not known any more, or the filters are not liked.
            Verdict::Replan => self.fail_search(desk, now, walk, &ending.reason),
            // Our own back-pressure may have cost the connection: that is nobody's failure.
            Verdict::Retry(None) if stalled => {}
            Verdict::Retry(wait) | Verdict::CoolDown(wait) => {
                self.fail_page(desk, now, walk, wait, &ending.reason);
            }
            Verdict::Gone | Verdict::Resubscribe => {
                self.fail_page(desk, now, walk, None, &ending.reason);
            }
        }
    }

    /// Says so, once, when page after page of fresh searches fails alike. What cannot be read of
    /// the past holds up nothing, and is told by itself.
    fn note_failing(
        &mut self,
        desk: &mut Desk,
        now: Now,
        exchange: &Exchange,
        ending: &Ending,
        stalled: bool,
    ) {
        let Purpose { walk, page } = exchange.purpose;
        if self.lane.urgency(walk) != Some(Urgency::Fresh) {
            return;
        }
        let feed = FEED;
        let passes = match &ending.verdict {
            Verdict::Accept => {
                if self.lane.failing().succeed() {
                    desk.tell(Event::Feed(feed, FeedEvent::FeedRestored));
                }
                return;
            }
            // Told by themselves.
            Verdict::Throttle(_)
            | Verdict::Reauthenticate
            | Verdict::Deny
            | Verdict::Forbid
            | Verdict::CoolDown(_) => return,
            Verdict::Retry(None) if stalled => return,
            Verdict::Retry(_) => true,
            Verdict::Replan | Verdict::Gone | Verdict::Resubscribe => false,
        };
        let key = Key(page.0.into());
        if self.lane.failing().fail(key, &ending.reason, passes, now.monotonic) {
            let message = match &exchange.body {
                Body::Small(small) if desk.treatment().may_show() => {
                    opening_of(small.bytes()).unwrap_or_default()
                }
                Body::Small(_) | Body::Page(_) => String::new(),
            };
            desk.tell(Event::Feed(
                feed,
                FeedEvent::FeedFailingError {
                    unread: "page of a search",
                    code: ending.reason.clone(),
                    message,
                    remedy: if passes { NO_CODE_REMEDY } else { remedy("portal-refused") },
                },
            ));
        }
    }

    /// Judges how a page ended. What was read of it is emitted, however it ended.
    fn judge_page(
        &mut self,
        desk: &mut Desk,
        now: Now,
        exchange: &mut Exchange,
        ended: Ended,
    ) -> Ending {
        let head = exchange.head.clone();
        let may_show = desk.treatment().may_show();
        let judged = |opening: &[u8]| {
            let seen = head.with(opening);
            // Each tenant's own address has a search. Where it is not found, there is no tenant.
            let verdict = judge(head.status, opening, head.retry_after);
            let foreign = !matches!(verdict, Verdict::Throttle(_))
                && (seen.is_foreign() || matches!(head.status, 404 | 405 | 410));
            let said = match message_of(opening).filter(|_| !(200..300).contains(&head.status)) {
                Some(words) => format!("HTTP status {}, {words}", head.status),
                None if may_show => seen.describe(),
                None => seen.describe_head(),
            };
            Ending { verdict, reason: said.clone(), foreign: foreign.then_some(said), turn: None }
        };
        match (&mut exchange.body, ended.result) {
            (Body::Page(reader), result) => {
                let finished = reader.finish();
                let last = result.is_ok() && finished.is_ok();
                let (ready, oversized) = (reader.take_ready(), reader.oversized());
                let whole = match (result, finished) {
                    (Err(error), _) => Err(Ending::retry(error)),
                    (Ok(()), Ok(found)) => Ok(found),
                    (Ok(()), Err(EnvelopeError::NoPage { opening })) => Err(judged(&opening)),
                    (Ok(()), Err(error)) => Err(Ending::retry(error)),
                };
                let dropped = if whole.is_ok() { oversized } else { 0 };
                self.emit(desk, now, exchange.purpose, ready, last, dropped);
                match whole {
                    Err(ending) => ending,
                    Ok((ends, records)) => {
                        self.report_oversized(desk, oversized);
                        let (has_next, next_filters) = (ends.has_next, ends.next_filters);
                        let turn = Turn { records, has_next, next_filters };
                        Ending {
                            verdict: Verdict::Accept,
                            reason: String::new(),
                            foreign: None,
                            turn: Some(turn),
                        }
                    }
                }
            }
            (Body::Small(_), Err(error)) => Ending::retry(error),
            (Body::Small(small), Ok(())) => judged(small.bytes()),
        }
    }

    /// A page was read to its end.
    fn turn(&mut self, desk: &mut Desk, now: Now, exchange: &Exchange, turn: Turn) {
        let Purpose { walk, page } = exchange.purpose;
        self.access.prove(exchange.sent.generation, now.monotonic);
        self.access.note_success();
        self.access.contact().note_proof();
        let restored = self.lane.restore();
        let (turned, read) = self.lane.turn(walk, page, turn);
        if restored {
            desk.tell(Event::Feed(FEED, FeedEvent::FeedRestored));
        }
        match turned {
            Turned::On => read.into_iter().for_each(|event| desk.tell(event)),
            Turned::Again => {
                let reason = "the answer says that there is more, and not how to go on";
                self.fail_page(desk, now, walk, None, reason);
            }
            Turned::Stuck => {
                self.fail_search(desk, now, walk, "the pages of the search go in circles");
            }
        }
        self.turned = true;
    }

    fn report_oversized(&mut self, desk: &mut Desk, count: u64) {
        if count == 0 {
            return;
        }
        self.lane.note_dropped(count);
        desk.tell(Event::Feed(
            FEED,
            FeedEvent::RecordsDroppedError {
                content_id: "activities".into(),
                count,
                reason: "larger than record_bytes_max",
            },
        ));
    }

    /// Somebody else answers at `portal_url`. After a while it is left alone.
    fn fail_foreign(&mut self, desk: &mut Desk, now: Now, walk: WalkId, answer: &str) {
        let operation = Operation::ListActivities;
        trouble::foreign(&mut self.access, desk, operation, Some(FEED), answer);
        self.lane.note_ended(walk);
        if self.access.is_lost() {
            // Told as what it is.
            self.lane.deny(now.monotonic, self.access.troubles().address);
        } else {
            self.fail_page(desk, now, walk, None, answer);
        }
    }

    fn reject_token(&mut self, desk: &mut Desk, now: Now, walk: WalkId, sent: Sent, reason: &str) {
        if self.access.is_given() {
            // There is no other.
            return self.fail_given_token(desk, now, walk, reason);
        }
        match trouble::reject(&mut self.access, desk, now, sent, Some(FEED), reason) {
            Rejection::Discarded(wait) => self.lane.wait_until(walk, now.monotonic + wait),
            Rejection::NotTheToken => self.fail_page(desk, now, walk, None, reason),
        }
    }

    /// One refusal may be a hiccup; several are not.
    fn fail_given_token(&mut self, desk: &mut Desk, now: Now, walk: WalkId, reason: &str) {
        let Some(refusals) = self.lane.note_refusal(walk) else { return };
        if refusals < PAGE_FAILURES_MAX {
            self.fail_page(desk, now, walk, None, reason);
        } else {
            self.deny(desk, now, "portal-token");
        }
    }

    /// The source is denied: it is left alone for a while, and the others go on.
    fn deny(&mut self, desk: &mut Desk, now: Now, code: &str) {
        if self.lane.deny(now.monotonic, code) {
            desk.tell(Event::Feed(
                FEED,
                FeedEvent::FeedDeniedError {
                    code: code.to_owned(),
                    message: String::new(),
                    remedy: remedy(if code == "portal-token" { code } else { "portal-denied" }),
                },
            ));
        }
    }

    fn fail_page(
        &mut self,
        desk: &mut Desk,
        now: Now,
        walk: WalkId,
        named: Option<Duration>,
        reason: &str,
    ) {
        match self.lane.fail_page(desk, now, walk, named) {
            Failed::Gone => {}
            Failed::Search => self.fail_search(desk, now, walk, reason),
            Failed::Page { in_a_row, wait } => {
                desk.tell_wait(now, Operation::ListActivities, Some(FEED), reason, named);
                tell_retry(desk, in_a_row, reason, wait);
            }
        }
    }

    /// Gives a search up; after a while the planner asks again for what it did not cover.
    fn fail_search(&mut self, desk: &mut Desk, now: Now, walk: WalkId, reason: &str) {
        if let Some((in_a_row, wait)) = self.lane.fail_search(desk, now.monotonic, walk) {
            tell_retry(desk, in_a_row, reason, wait);
        }
    }
}

fn tell_retry(desk: &mut Desk, failures: u32, reason: &str, retry_in: Duration) {
    desk.tell_retry(Operation::ListActivities, Some(FEED), failures, reason, retry_in);
}
