//! Decides what the bytes and the end of a blob mean: records to hand over, another attempt, or the
//! end of trying. Sends nothing.
//!
//! What was read whole goes out, however the attempt ended: a blob that is damaged would otherwise
//! take the good records in front with it, and an unsteady connection would never get ahead. The
//! next attempt goes on behind them, if the blob still begins as it did.

use std::time::Duration;

use crate::access::token::Rejection;
use crate::audit::AuditSource;
use crate::audit::blob::{Failure, Stage};
use crate::audit::ending::{Ending, NULL};
use crate::audit::exchange::{Body, Exchange, Part, Purpose};
use crate::audit::expand::{Expanded, Expander, Whole};
use crate::base::key::Key;
use crate::base::time::{Now, Utc};
use crate::contract::batch::ContentRef;
use crate::contract::event::{Event, FeedEvent};
use crate::contract::request::Operation;
use crate::source::Ended;
use crate::source::desk::{Desk, Emission};
use crate::source::verdict::Verdict;

/// Waits between attempts to read one blob.
const BLOB_RETRY_BASE: Duration = Duration::from_secs(1);
const BLOB_GONE_BASE: Duration = Duration::from_secs(30);
pub(super) const BLOB_RETRY_MAX: Duration = Duration::from_secs(30 * 60);

/// The same for one that is there and has nothing in it.
const BLOB_HOLLOW_BASE: Duration = Duration::from_secs(8);

/// A blob that is an empty list is believed to be one when it was that at each reading for so long.
/// Microsoft publishes no blob without a reason, and an outage of its stores is over by then.
const EMPTY_BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3_600);

impl AuditSource {
    /// Hands over what has arrived of a blob. Answers whether the rest is not wanted.
    pub(super) fn read_blob(
        &mut self,
        desk: &mut Desk,
        lane: usize,
        key: Key,
        expander: &mut Expander,
    ) -> bool {
        loop {
            match expander.step() {
                Ok(Some(expanded)) => self.emit(desk, lane, key, expanded, false),
                Ok(None) => return false,
                // The error stays in the expander, and the end finds it there.
                Err(_) => return true,
            }
        }
    }

    /// Hands records to the host, but for those that it was given before. `last` says that they
    /// end their blob.
    pub(super) fn emit(
        &mut self,
        desk: &mut Desk,
        index: usize,
        key: Key,
        expanded: Expanded,
        last: bool,
    ) {
        let lane = &mut self.lanes[index];
        let progress = expanded.progress;
        let Some(content) = lane.blobs().note_progress(key, progress) else { return };
        let (feed, content_id) = (content.feed, content.id.clone());
        let mut records = expanded.records;
        let (before, again) = (records.len(), lane.blobs().is_again(key));
        let (known, revised) = lane.leave_out_known(&mut records, expanded.known, again);
        let deduplicated = (before - records.len()) as u64;
        if 0 < revised {
            let content_id = content_id.clone();
            desk.tell(Event::Feed(feed, FeedEvent::RecordsRevised { content_id, count: revised }));
        }
        let dropped = expanded.oversized;
        // With what is emitted: so that a later attempt, which begins behind it, need not know.
        if 0 < dropped {
            lane.note_dropped(dropped);
            desk.tell(Event::Feed(
                feed,
                FeedEvent::RecordsDroppedError {
                    content_id,
                    count: dropped,
                    reason: "larger than record_bytes_max",
                },
            ));
        }
        let emission = Emission { content, records, last, dropped, filterable: true };
        let batch = desk.emit(self.id, emission);
        self.parts.push_back(Part { batch, lane: index, key, progress, known, deduplicated });
    }

    /// A blob cannot be read to its end: hands over what was read whole of it. The next attempt
    /// begins behind that.
    pub(super) fn salvage(&mut self, desk: &mut Desk, exchange: &mut Exchange) {
        let (Body::Blob(expander), Purpose::Blob { lane, key }) =
            (&mut exchange.body, &exchange.purpose)
        else {
            return;
        };
        if self.lanes[*lane].blobs().is_steady(*key)
            && let Some(expanded) = expander.salvage()
        {
            self.emit(desk, *lane, *key, expanded, false);
        }
    }

    /// Whether a blob that could be read to its end may all the same hold more than it shows: why.
    ///
    /// A blob is published for the records in it, and nobody reads it again once it is believed. So
    /// `null` is never believed; an empty list when it has been one long enough, and no record ever
    /// came out of it.
    pub(super) fn doubt(
        &mut self,
        desk: &mut Desk,
        now: Now,
        lane: usize,
        key: Key,
        whole: Whole,
    ) -> Option<&'static str> {
        let server_now = desk.server_time(now);
        let blobs = self.lanes[lane].blobs();
        let since = blobs.empty_since(key);
        let content = blobs.content(key)?;
        match whole {
            Whole::Records => None,
            Whole::Null => {
                blobs.note_empty(key, None, desk.changes());
                Some(NULL)
            }
            Whole::Empty => {
                if let Some(since) = since.filter(|at| *at + EMPTY_BELIEVED_AFTER <= server_now) {
                    let (feed, content_id) = (content.feed, content.id.clone());
                    desk.tell(Event::Feed(feed, FeedEvent::BlobEmpty { content_id, since }));
                    return None;
                }
                blobs.note_empty(key, since.or(Some(server_now)), desk.changes());
                Some("the blob is an empty list, which is not believed at once")
            }
        }
    }

    /// A blob has ended, well or badly.
    pub(super) fn end_blob(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        key: Key,
        mut exchange: Exchange,
        ended: Ended,
    ) {
        let ending = self.ending(desk, now, &mut exchange, ended);
        let lane = &mut self.lanes[index];
        match &ending.verdict {
            Verdict::Accept => {
                lane.blobs().set_stage(key, Stage::Emitted);
                lane.subscription().forbidden().accept_blob();
                if lane.blobs().failing().succeed() {
                    desk.tell(Event::Feed(lane.feed(), FeedEvent::FeedRestored));
                }
                self.access.prove(exchange.sent.generation, now.monotonic);
                self.access.note_success();
                lane.note_caught_up(desk, now);
            }
            // Our own back-pressure may have cost the connection: that is nobody's failure.
            Verdict::Retry(None) if ending.stalled => lane.blobs().set_stage(key, Stage::Ready),
            Verdict::Throttle(_) => {
                lane.blobs().set_stage(key, Stage::Ready);
                self.take_measures(desk, now, &exchange, &ending);
            }
            Verdict::Resubscribe => {
                self.resubscribe(desk, now, index);
                self.fail_blob(desk, now, index, key, BLOB_RETRY_BASE, None, &ending);
            }
            Verdict::Reauthenticate => {
                self.end_refused_blob(desk, now, index, key, &exchange, &ending);
            }
            // Whether a feed may be read, its listing tells; one blob does not.
            Verdict::Deny | Verdict::Gone => {
                self.fail_blob(desk, now, index, key, BLOB_GONE_BASE, None, &ending);
            }
            Verdict::Replan | Verdict::Forbid => {
                self.fail_blob(desk, now, index, key, BLOB_RETRY_BASE, None, &ending);
            }
            Verdict::CoolDown(wait) | Verdict::Retry(wait) => {
                let base = if ending.hollow { BLOB_HOLLOW_BASE } else { BLOB_RETRY_BASE };
                self.fail_blob(desk, now, index, key, base, *wait, &ending);
            }
        }
    }

    /// A blob was refused to the token, or for a reason of its own.
    fn end_refused_blob(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        key: Key,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        let (current, _) = self.access.standing(exchange.sent.generation);
        let lane = &mut self.lanes[index];
        let rejection = match lane.subscription().forbidden().suspects_by_blob(current) {
            true => self.reject(desk, now, index, exchange, ending),
            false => Rejection::NotTheToken,
        };
        match rejection {
            Rejection::Discarded(wait) => {
                let until = Stage::Waiting(now.monotonic + wait);
                self.lanes[index].blobs().set_stage(key, until);
            }
            Rejection::NotTheToken => {
                self.fail_blob(desk, now, index, key, BLOB_RETRY_BASE, None, ending);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what failed, how, and how long it waits")]
    fn fail_blob(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        key: Key,
        base: Duration,
        named: Option<Duration>,
        ending: &Ending,
    ) {
        let server_now = desk.server_time(now);
        let gone = ending.verdict == Verdict::Gone;
        let lane = &mut self.lanes[index];
        let feed = lane.feed();
        let (expired, failures) =
            match lane.blobs().note_failure(key, gone, server_now, desk.changes()) {
                Failure::Unknown => return,
                Failure::Forgotten => {
                    let reason = ending.reason.clone();
                    return desk.tell(Event::Feed(feed, FeedEvent::HintForgotten { reason }));
                }
                Failure::Expired(failures) => (true, failures),
                Failure::Again(failures) => (false, failures),
            };
        let wait = desk.backoff(base, BLOB_RETRY_MAX, failures);
        let wait = wait.max(named.unwrap_or_default());
        if expired {
            lane.lose_blob(key, &ending.reason, desk, now);
            return self.tell_unread(desk, now);
        }
        let content_id = lane.blobs().id(key);
        lane.retry_blob(key, &ending.reason, now.monotonic + wait, desk, server_now);
        let failing = lane.blobs().failing();
        let alike = failing.fail(key, ending.kind(), ending.passes(), now.monotonic);
        let unreadable = lane.blobs().note_unreadable();
        unreadable.into_iter().for_each(|event| desk.tell(event));
        desk.tell_wait(now, Operation::GetBlob, Some(feed), &ending.reason, named);
        desk.tell(Event::RequestRetried {
            operation: Operation::GetBlob,
            feed: Some(feed),
            content_id,
            reason: ending.reason.clone(),
            retry_in: wait,
        });
        if alike {
            desk.tell(Event::Feed(
                feed,
                FeedEvent::FeedFailingError {
                    unread: "blobs",
                    code: ending.kind().to_owned(),
                    message: ending.words.clone(),
                    remedy: ending.remedy(),
                },
            ));
        }
        self.tell_unread(desk, now);
    }

    /// A blob's address is still elsewhere: it waits for a better one until it expires.
    pub(super) fn refuse_blob(
        &mut self,
        desk: &mut Desk,
        now: Now,
        index: usize,
        key: Key,
        content: &ContentRef,
    ) {
        self.refuse_address(desk, index, &content.uri);
        let server_now: Utc = desk.server_time(now);
        if server_now < content.expiration {
            let until = now.monotonic + BLOB_RETRY_MAX;
            self.lanes[index].blobs().set_stage(key, Stage::Waiting(until));
        } else {
            let reason = "its address is not on the configured api_url";
            self.lanes[index].lose_blob(key, reason, desk, now);
        }
    }

    fn tell_unread(&mut self, desk: &mut Desk, now: Now) {
        for lane in &mut self.lanes {
            lane.tell_unread(desk, now.monotonic, false);
        }
    }
}
