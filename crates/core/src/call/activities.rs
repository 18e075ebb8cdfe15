//! The operations of the Activities API: a search over its pages, one activity, a remark. Follows a
//! search as the collector does, with the same walk; what differs is that nothing is stored.

use crate::access::Authorization;
use crate::activities::envelope::{EnvelopeError, PageEnd};
use crate::activities::plan::RETENTION;
use crate::activities::reader::{PageReader, Ready};
use crate::activities::walk::{Turn, Turned};
use crate::activities::{judge, record, wire};
use crate::base::time::Now;
use crate::call::Caller;
use crate::call::calls::Call;
use crate::call::ending::Ending;
use crate::call::failure::{CallError, CallErrorKind};
use crate::call::reply::Reply;
use crate::call::search::ACTIVITIES_MAX;
use crate::call::task::{Body, Flight, Task};
use crate::contract::batch::{ContentRef, Record};
use crate::contract::feed::Feed;
use crate::contract::io::Output;
use crate::contract::request::{Operation, Request};
use crate::json::{Item, Splitter};
use crate::source::exchange::Head;
use crate::source::verdict::Verdict;

impl Caller {
    /// The next request of a call of this API.
    pub(super) fn activities_request(&self, task: &Task, who: &Authorization) -> Option<Request> {
        let activities = self.config.activities()?;
        Some(match &task.call {
            Call::GetActivity(id) => wire::get(activities, id, who),
            Call::SendFeedback { activity, feedback } => {
                wire::send_feedback(activities, activity, feedback, who)
            }
            Call::ListActivities { filters, .. } => {
                let search = task.search.as_ref()?;
                let limit = search.missing().clamp(1, wire::LIMIT);
                wire::search(activities, filters, limit, search.at()?, who)
            }
            Call::SignIn
            | Call::SignInToActivities
            | Call::ListSubscriptions
            | Call::StartSubscription { .. }
            | Call::StopSubscription { .. }
            | Call::ListContent { .. }
            | Call::GetBlob(_)
            | Call::ListNotifications { .. }
            | Call::ListDlpTypes { .. } => return None,
        })
    }

    /// Reads the activities that have arrived. Answers whether the rest is not wanted.
    pub(super) fn read_activities(&mut self, reader: &mut PageReader) -> bool {
        loop {
            match reader.step() {
                Ok(Some(ready)) => self.emit_activities(ready),
                Ok(None) => return self.is_full(),
                // The error stays in the reader, and the end finds it there.
                Err(_) => return true,
            }
        }
    }

    fn is_full(&self) -> bool {
        let search = self.task.as_ref().and_then(|task| task.search.as_ref());
        search.is_some_and(|search| search.is_full())
    }

    /// Hands activities over, but for those that came before and those beyond the limit.
    fn emit_activities(&mut self, ready: Ready) {
        let Some(task) = &mut self.task else { return };
        let (Call::ListActivities { filters, .. }, Some(search)) = (&task.call, &mut task.search)
        else {
            return;
        };
        let known = ready.known.into_iter();
        let mut records: Vec<Record> = Vec::new();
        for (record, (activity, _)) in ready.records.into_iter().zip(known) {
            if search.takes(activity.key()) {
                for mismatch in filters.mismatches(&record.raw, self.server_now) {
                    search.note_mismatch(mismatch.clause);
                }
                records.push(record);
            }
        }
        if !records.is_empty() {
            let window = search.window();
            let name = format!("{}/{}", window.start, window.end);
            self.hand_over_activities(records, &name);
        }
    }

    fn hand_over_activities(&mut self, records: Vec<Record>, name: &str) {
        let (Some(task), Some(activities)) = (&mut self.task, self.config.activities()) else {
            return;
        };
        // It gets ahead: what failed before does not count any more.
        task.failures = 0;
        if let Reply::Activities { records: count, .. } = &mut task.reply {
            *count += records.len() as u64;
        }
        let bytes = records.iter().map(|record| record.raw.len() as u64).sum();
        let content = ContentRef {
            feed: Feed::CloudAppActivities,
            id: name.into(),
            uri: format!("{}/api/v1/activities/", activities.url.as_str()).into(),
            created: self.server_now,
            expiration: self.server_now + RETENTION.kept,
        };
        self.hand_over(records, bytes, content);
    }

    /// How a request of this API has ended.
    pub(super) fn end_of_activities(&mut self, flight: &mut Flight) -> Ending {
        let status = flight.head.status;
        let ok = (200..300).contains(&status);
        match &mut flight.body {
            Body::Small(small) if ok && flight.sent.operation == Operation::GetActivity => {
                match read_activity(small.bytes(), self.config.limits().record_bytes_max) {
                    Some(record) => {
                        self.hand_over_activities(vec![record], "activity");
                        Ending::accept(status)
                    }
                    None => self.judged(&flight.head, small.bytes()),
                }
            }
            // What it answers is not documented, but for its being JSON.
            Body::Small(small) if ok => match small.bytes().trim_ascii_start().first() {
                None | Some(b'{' | b'[') if detail_of(small.bytes()).is_none() => {
                    Ending::accept(status)
                }
                _ => self.judged(&flight.head, small.bytes()),
            },
            Body::Small(small) => self.judged(&flight.head, small.bytes()),
            Body::Activities(reader) => {
                let finished = reader.finish();
                let failed = match &finished {
                    Err(EnvelopeError::NoPage { opening }) => Some(
                        self.foreign(flight.sent.operation, &flight.head, opening)
                            .unwrap_or_else(|| self.judged(&flight.head, opening)),
                    ),
                    Err(error) => Some(Ending::retry(error.to_string())),
                    Ok(_) => None,
                };
                let oversized = reader.oversized();
                self.emit_activities(reader.take_ready());
                if self.is_full() {
                    return Ending::accept(status);
                }
                if let Ok((end, records)) = finished {
                    self.note_page(end, records, oversized);
                }
                failed.unwrap_or_else(|| Ending::accept(status))
            }
            Body::Entries(_) | Body::Blob(_) => self.judged(&flight.head, b""),
        }
    }

    /// What an answer means that is no page.
    fn judged(&self, head: &Head, opening: &[u8]) -> Ending {
        let (status, retry_after) = (head.status, head.retry_after);
        let verdict = judge::judge(status, opening, retry_after);
        let code = match &verdict {
            Verdict::Deny => Some("portal-denied"),
            Verdict::Replan => Some("portal-refused"),
            Verdict::Retry(_) if status == 404 => Some("portal-not-found"),
            Verdict::Accept
            | Verdict::Reauthenticate
            | Verdict::Throttle(_)
            | Verdict::Retry(_)
            | Verdict::CoolDown(_)
            | Verdict::Gone
            | Verdict::Forbid
            | Verdict::Resubscribe => None,
        };
        let gone = code == Some("portal-not-found");
        let verdict = if gone { Verdict::Gone } else { verdict };
        let message = match detail_of(opening) {
            Some(detail) => format!("{detail} (HTTP status {status})"),
            None if status == 200 => self.unlike(opening),
            None => format!("HTTP status {status}"),
        };
        Ending { verdict, status, code: code.map(Into::into), message }
    }

    /// A page of a search was read to its end, and says where it goes on.
    fn note_page(&mut self, end: PageEnd, records: u64, oversized: u64) {
        let Some(task) = &mut self.task else { return };
        if let Reply::Activities { dropped, .. } = &mut task.reply {
            *dropped += oversized;
        }
        if let Some(search) = &mut task.search {
            let (has_next, next_filters) = (end.has_next, end.next_filters);
            search.note_turn(Turn { records, has_next, next_filters });
        }
    }

    /// A page was read: on to the next one, or done.
    pub(super) fn turn_page(&mut self, now: Now, flight: &Flight) {
        let full = self.is_full();
        let Some(task) = &mut self.task else { return };
        let Some(search) = &mut task.search else { return };
        let turned = search.turn(full);
        let limited = search.missing() == 0;
        match turned {
            Turned::On if full && !limited => {
                let trouble = format!("there are more than {ACTIVITIES_MAX} activities");
                self.fail_address(flight.sent.operation, trouble);
            }
            Turned::On if full || search.is_read() => {
                if let Reply::Activities { more, .. } = &mut task.reply {
                    *more = full;
                }
                task.asks = Some([].into());
                self.report_ignored();
            }
            Turned::On => {}
            Turned::Again => {
                let reason = "the answer says that there is more, and not how to go on";
                self.retry(now, flight, None, &Ending::retry(reason.into()));
            }
            Turned::Stuck => {
                let trouble = "the pages of the search go in circles";
                self.fail_address(flight.sent.operation, trouble.into());
            }
        }
    }

    /// Says what came instead of an answer.
    fn unlike(&self, opening: &[u8]) -> String {
        if !self.config.treatment().may_show() {
            return "not an answer of this API (redact is on: what it is is not shown)".into();
        }
        let opening = &opening[..opening.len().min(200)];
        format!("not an answer of this API, it begins with \"{}\"", opening.escape_ascii())
    }

    fn fail_address(&mut self, operation: Operation, trouble: String) {
        let kind = CallErrorKind::Address;
        self.fail(CallError::new(operation, kind, trouble, "name a shorter range"));
    }

    /// Tells of the conditions that the service did not apply.
    fn report_ignored(&mut self) {
        let Some(task) = &self.task else { return };
        let (Call::ListActivities { filters, .. }, Some(search)) = (&task.call, &task.search)
        else {
            return;
        };
        let events = search.ignored(filters);
        self.outputs.extend(events.map(Output::Event));
    }
}

/// A body that is one activity.
fn read_activity(body: &[u8], record_bytes_max: usize) -> Option<Record> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get("_id")?;
    let mut splitter = Splitter::new(record_bytes_max.max(body.len()));
    splitter.push([b"[", body, b"]"].concat().into());
    let Ok(Some(Item::Record(split))) = splitter.poll() else { return None };
    Some(Record {
        happened: record::know(&split.raw).happened,
        raw: split.raw,
        fields: split.fields,
        kind: split.kind,
        redacted: false,
        is_json: true,
    })
}

/// What an error says, in the only form that is known of this API.
fn detail_of(body: &[u8]) -> Option<String> {
    const CHARS_MAX: usize = 300;
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let detail = value.get("detail")?.as_str()?;
    Some(detail.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect())
}
