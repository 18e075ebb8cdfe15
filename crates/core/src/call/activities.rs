//! The operations of the Activities API: a search over its pages, one activity, a remark. Follows a
//! search as the collector does, with the same walk; what differs is that nothing is stored.

use crate::activities::filter::Filters;
use crate::activities::{self, Cursor, EnvelopeError, PageId, PageReader, Point, Ready};
use crate::activities::{Credential, NORMAL_RECORDS_MAX, Turn, Turned, Walk};
use crate::audit::exchange::Body;
use crate::audit::judge::Verdict;
use crate::audit::plan::Urgency;
use crate::base::key::KeySet;
use crate::base::time::{Now, Utc};
use crate::call::caller::{Caller, Flight, Task};
use crate::call::ending::Ending;
use crate::call::failure::{CallError, CallErrorKind};
use crate::call::{Call, Range, RangeError, Reply};
use crate::contract::batch::{ContentRef, ContentType, Record};
use crate::contract::event::Event;
use crate::contract::io::Output;
use crate::contract::request::{Operation, Request};
use crate::json::{Item, Splitter};

/// Activities that one search hands over: 16 bytes are kept of each, to know those that come again.
const ACTIVITIES_MAX: usize = 5_000_000;

/// Ids have about 60 characters.
const ID_CHARS_MAX: usize = 512;

/// The id of an activity: `_id` in its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityId(Box<str>);

impl ActivityId {
    /// Reads an id.
    ///
    /// # Errors
    /// If it cannot be one: it would not stay one part of an address.
    pub fn parse(text: &str) -> Result<Self, CallError> {
        let text = text.trim();
        let legal =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | ':' | '$');
        let dots = text.chars().all(|c| c == '.');
        if !dots && text.len() <= ID_CHARS_MAX && text.chars().all(legal) {
            return Ok(Self(text.into()));
        }
        let shown: String = text.chars().take(200).collect();
        let (kind, remedy) = (CallErrorKind::Argument, "write the _id of an activity's record");
        let message = format!("{shown:?} is no id of an activity");
        Err(CallError::new(Operation::GetActivity, kind, message, remedy))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A remark about an activity, for Microsoft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// Microsoft's own example has `0`, and no document says what others mean.
    pub value: String,
    /// In words.
    pub text: String,
    /// Where Microsoft may ask back; `None`: nowhere.
    pub contact_email: Option<String>,
}

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    walk: Walk,
    pages: u64,
    seen: KeySet,
    limit: u64,
    /// For each condition: how many activities came that do not meet it.
    ignored: Vec<u64>,
    turn: Option<Turn>,
}

impl Search {
    /// `None` if there is nothing to search.
    pub(super) fn plan(
        filters: &Filters,
        range: Range,
        limit: Option<u64>,
        now: Utc,
    ) -> Result<Option<Self>, RangeError> {
        let limit = limit.unwrap_or(u64::MAX);
        let few = limit <= NORMAL_RECORDS_MAX;
        let cursor = if few { Cursor::Skip(0) } else { Cursor::Scan(None) };
        let window = range.of_activities(now)?.filter(|_| limit > 0);
        Ok(window.map(|window| Self {
            walk: Walk::new(window, Urgency::Fresh, Point::new(window, cursor)),
            pages: 0,
            seen: KeySet::default(),
            limit,
            ignored: vec![0; filters.clauses().len()],
            turn: None,
        }))
    }

    fn missing(&self) -> u64 {
        self.limit.saturating_sub(self.seen.len() as u64)
    }
}

impl Caller {
    /// The next request of a call of this API.
    pub(super) fn portal_request(&self, task: &Task, who: &Credential) -> Option<Request> {
        let portal = self.config.portal.as_ref()?;
        Some(match &task.call {
            Call::GetActivity(id) => activities::get(portal, id, who),
            Call::SendFeedback { activity, feedback } => {
                activities::send_feedback(portal, activity, feedback, who)
            }
            Call::ListActivities { filters, .. } => {
                let search = task.search.as_ref()?;
                let limit = search.missing().clamp(1, activities::LIMIT);
                activities::search(portal, filters, limit, search.walk.at()?, who)
            }
            Call::SignIn
            | Call::SignInToPortal
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
        search.is_some_and(|search| search.missing() == 0 || search.seen.len() >= ACTIVITIES_MAX)
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
            if search.missing() > 0 && search.seen.insert(activity.key()) {
                for mismatch in filters.mismatches(&record.raw, self.server_now) {
                    search.ignored[mismatch.clause] += 1;
                }
                records.push(record);
            }
        }
        if !records.is_empty() {
            let window = search.walk.window();
            let name = format!("{}/{}", window.start, window.end);
            self.hand_over_activities(records, &name);
        }
    }

    fn hand_over_activities(&mut self, records: Vec<Record>, name: &str) {
        let (Some(task), Some(portal)) = (&mut self.task, &self.config.portal) else { return };
        // It gets ahead: what failed before does not count any more.
        task.failures = 0;
        if let Reply::Activities { records: count, .. } = &mut task.reply {
            *count += records.len() as u64;
        }
        let bytes = records.iter().map(|record| record.raw.len() as u64).sum();
        let content = ContentRef {
            content_type: ContentType::CloudAppActivities,
            id: name.into(),
            uri: format!("{}/api/v1/activities/", portal.url.as_str()).into(),
            created: self.server_now,
            expiration: self.server_now + activities::RETENTION,
        };
        self.hand_over(records, bytes, content);
    }

    /// How a request of this API has ended.
    pub(super) fn end_at_portal(&mut self, flight: &mut Flight) -> Ending {
        let (status, retry_after) = (flight.head.status, flight.head.retry_after);
        let judged = |opening: &[u8]| {
            let verdict = activities::judge(status, opening, retry_after);
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
        };
        let ok = (200..300).contains(&status);
        match &mut flight.body {
            Body::Small(small) if ok && flight.operation == Operation::GetActivity => {
                match read_activity(small.bytes(), self.config.record_bytes_max) {
                    Some(record) => {
                        self.hand_over_activities(vec![record], "activity");
                        Ending::accept(status)
                    }
                    None => judged(small.bytes()),
                }
            }
            // What it answers is not documented, but for its being JSON.
            Body::Small(small) if ok => match small.bytes().trim_ascii_start().first() {
                None | Some(b'{' | b'[') if detail_of(small.bytes()).is_none() => {
                    Ending::accept(status)
                }
                _ => judged(small.bytes()),
            },
            Body::Small(small) => judged(small.bytes()),
            Body::Activities(reader) => {
                let finished = reader.finish();
                let failed = match &finished {
                    Err(EnvelopeError::NoPage { opening }) => Some(
                        self.foreign(flight.operation, &flight.head, opening)
                            .unwrap_or_else(|| judged(opening)),
                    ),
                    Err(error) => Some(Ending::retry(error.to_string())),
                    Ok(_) => None,
                };
                let oversized = reader.oversized;
                self.emit_activities(reader.take_ready());
                if self.is_full() {
                    return Ending::accept(status);
                }
                if let (Some(task), Ok((verso, records))) = (&mut self.task, finished) {
                    if let Reply::Activities { dropped, .. } = &mut task.reply {
                        *dropped += oversized;
                    }
                    if let Some(search) = &mut task.search {
                        let (has_next, next_filters) = (verso.has_next, verso.next_filters);
                        search.turn = Some(Turn { records, has_next, next_filters });
                    }
                }
                failed.unwrap_or_else(|| Ending::accept(status))
            }
            Body::Page(_) | Body::Blob(_) => judged(b""),
        }
    }

    /// A page was read: on to the next one, or done.
    pub(super) fn turn_page(&mut self, now: Now, flight: &Flight) {
        let full = self.is_full();
        let Some(task) = &mut self.task else { return };
        let Some(search) = &mut task.search else { return };
        let turned = match search.turn.take().filter(|_| !full) {
            None => Turned::On,
            Some(turn) => {
                search.pages += 1;
                let page = PageId(search.pages);
                let turned = search.walk.turn(page, turn);
                // Whoever asks stores nothing, and begins anew if it is interrupted.
                let _ = search.walk.deliver(page);
                turned
            }
        };
        let limited = search.missing() == 0;
        match turned {
            Turned::On if full && !limited => {
                let trouble = format!("there are more than {ACTIVITIES_MAX} activities");
                self.fail_address(flight.operation, trouble);
            }
            Turned::On if full || search.walk.is_read() => {
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
                self.fail_address(flight.operation, trouble.into());
            }
        }
    }

    /// Says what came instead of an answer.
    fn unlike(&self, opening: &[u8]) -> String {
        if self.config.redaction.is_some() {
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
        let ignored = filters.clauses().iter().zip(&search.ignored).filter(|(_, n)| **n > 0);
        let events = ignored.map(|(clause, activities)| Event::FilterIgnored {
            filter: clause.to_string(),
            activities: *activities,
        });
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
        happened: activities::know(&split.raw).happened,
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
