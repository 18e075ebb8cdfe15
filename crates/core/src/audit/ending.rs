//! How an exchange ended: the verdict, and what is told of it.

use std::borrow::Cow;
use std::time::Duration;

use crate::audit::AuditSource;
use crate::audit::exchange::{Body, Exchange, Purpose};
use crate::audit::expand::ExpandError;
use crate::audit::judge::{self, Answer, judge};
use crate::base::time::Now;
use crate::contract::error_codes::{FORBIDDEN, NO_CODE_REMEDY, UNAUTHORIZED, remedy};
use crate::contract::feed::Feed;
use crate::contract::request::{CANNOT_CONNECT, Operation, REACH_REMEDY};
use crate::json::SplitError;
use crate::source::Ended;
use crate::source::desk::Desk;
use crate::source::exchange::Head;
use crate::source::trouble;
use crate::source::verdict::Verdict;
use crate::source::words::{message_of, opening_of};

/// What is said of a body that is no list.
pub(super) const NULL: &str = "the body is null";

/// What to do about blobs that are there and have nothing in them.
const HOLLOW_REMEDY: &str = "nothing at once: they are read again until they expire; if it goes \
                             on, open a case with Microsoft that names the content ids";

/// How an exchange ended.
pub(super) struct Ending {
    pub verdict: Verdict,
    pub code: Option<Cow<'static, str>>,
    /// What happened, in full.
    pub reason: String,
    /// The part of it that Microsoft, or whoever answered, has written; perhaps nothing.
    pub words: String,
    /// Whether a blob was there and had nothing in it.
    pub hollow: bool,
    /// Whether we had made the answer wait since its last bytes arrived.
    pub stalled: bool,
    /// What it is, if it is not Microsoft's answer.
    pub foreign: Option<String>,
}

impl Ending {
    pub(super) const fn retry(reason: String) -> Self {
        let verdict = Verdict::Retry(None);
        let words = String::new();
        Self { verdict, code: None, reason, words, hollow: false, stalled: false, foreign: None }
    }

    pub(super) fn hollow(reason: &str) -> Self {
        Self { hollow: true, ..Self::retry(reason.into()) }
    }

    pub(super) fn accept() -> Self {
        Self { verdict: Verdict::Accept, ..Self::retry(String::new()) }
    }
}

impl Ending {
    /// The code, or what happened without anybody's words: two that are alike have the same.
    pub(super) fn kind(&self) -> &str {
        let bare = self.reason.strip_suffix(&self.words).unwrap_or(&self.reason);
        self.code.as_deref().unwrap_or_else(|| bare.trim_end_matches(": "))
    }

    /// Whether it passes by itself as a rule.
    pub(super) fn passes(&self) -> bool {
        let asked_wrong = self.code.as_ref().is_some_and(|code| code.starts_with("AF2"));
        match &self.verdict {
            Verdict::Retry(_) | Verdict::CoolDown(_) => !asked_wrong,
            Verdict::Accept
            | Verdict::Reauthenticate
            | Verdict::Resubscribe
            | Verdict::Replan
            | Verdict::Throttle(_)
            | Verdict::Gone
            | Verdict::Deny
            | Verdict::Forbid => false,
        }
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match (&self.code, &self.verdict) {
            (Some(code), _) => remedy(code),
            (None, Verdict::Reauthenticate) => remedy(UNAUTHORIZED),
            (None, Verdict::Forbid) => remedy(FORBIDDEN),
            (None, _) if self.hollow => HOLLOW_REMEDY,
            (None, _) if self.reason.starts_with(CANNOT_CONNECT) => REACH_REMEDY,
            (None, _) => NO_CODE_REMEDY,
        }
    }
}

impl AuditSource {
    /// Judges how an exchange ended, and tells if it was not Microsoft who answered. What was read
    /// whole of a blob has been emitted.
    pub(super) fn ending(
        &mut self,
        desk: &mut Desk,
        now: Now,
        exchange: &mut Exchange,
        ended: Ended,
    ) -> Ending {
        let operation = exchange.sent.operation;
        if let Err(error) = ended.result {
            self.salvage(desk, exchange);
            trouble::silence(&mut self.access, desk, operation, &error.to_string());
            return Ending { stalled: ended.stalled, ..Ending::retry(error.to_string()) };
        }
        let ending = self.ending_of(desk, now, exchange);
        match (&ending.foreign, &ending.verdict) {
            (Some(answer), _) => {
                trouble::foreign(&mut self.access, desk, operation, None, answer);
            }
            (None, Verdict::Accept) => self.access.contact().note_proof(),
            (None, _) => {}
        }
        Ending { stalled: ended.stalled, ..ending }
    }

    fn ending_of(&mut self, desk: &mut Desk, now: Now, exchange: &mut Exchange) -> Ending {
        let asked = (exchange.sent.operation, exchange.head.status, exchange.head.retry_after);
        let fault = match (&mut exchange.body, &exchange.purpose) {
            (Body::Small(small), _) => {
                let ok = (200..300).contains(&exchange.head.status);
                let code = if ok { None } else { judge::code_of(small.bytes()) };
                let missing = is_missing(exchange.sent.operation, exchange.head.status);
                let foreign = foreign(desk, &exchange.head, small.bytes(), missing);
                let foreign = foreign.filter(|_| code.is_none());
                return Ending { foreign, ..judged(desk, asked, code, small.bytes()) };
            }
            (Body::Page(page), _) => match page.finish() {
                // No list, an empty one neither: what there is in that time nobody has said.
                Ok(null) if null => return Ending::retry(NULL.into()),
                Ok(_) => Ok(()),
                Err(error) => Err(ExpandError::Body(error)),
            },
            (Body::Blob(expander), Purpose::Blob { lane, key }) => match expander.finish() {
                Ok((expanded, whole)) => {
                    if let Some(doubt) = self.doubt(desk, now, *lane, *key, whole) {
                        return Ending::hollow(doubt);
                    }
                    self.emit(desk, *lane, *key, expanded, true);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            (Body::Blob(_), _) => Ok(()),
        };
        if fault.is_err() {
            self.salvage(desk, exchange);
        }
        match fault {
            Ok(()) => Ending::accept(),
            Err(ExpandError::Body(SplitError::NotArray { first })) => {
                match judge::code_of(&first) {
                    Some(code) => judged(desk, asked, Some(code), &first),
                    None => Ending {
                        foreign: foreign(desk, &exchange.head, &first, false),
                        ..Ending::retry(desk.treatment().shown(&first))
                    },
                }
            }
            Err(ExpandError::Body(error)) => Ending::retry(error.to_string()),
            Err(ExpandError::Changed) => {
                if let Purpose::Blob { lane, key } = exchange.purpose {
                    self.lanes[lane].blobs().start_over(key);
                }
                Ending::retry("the blob reads differently than before".into())
            }
        }
    }

    /// The feed that an exchange is about.
    pub(super) fn feed(&self, lane: usize) -> Option<Feed> {
        self.lanes.get(lane).map(|lane| lane.feed())
    }

    /// Does what a verdict asks for beyond the exchange it belongs to.
    pub(super) fn take_measures(
        &mut self,
        desk: &mut Desk,
        now: Now,
        exchange: &Exchange,
        ending: &Ending,
    ) {
        match &ending.verdict {
            Verdict::Reauthenticate => {
                trouble::reject(&mut self.access, desk, now, exchange.sent, None, &ending.reason);
            }
            Verdict::Throttle(retry_after) => {
                self.hint_budget.throttle(now.monotonic, *retry_after);
                let operation = exchange.sent.operation;
                trouble::throttle(&mut self.access, desk, now, operation, None, *retry_after);
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
}

/// Whether an answer says that there is no such operation. Every host of this API has the lists; of
/// what was listed, a blob may be missing.
const fn is_missing(operation: Operation, status: u16) -> bool {
    let of_all = matches!(operation, Operation::ListSubscriptions | Operation::ListContent);
    of_all && matches!(status, 404 | 405 | 410 | 421)
}

/// What an answer is, if nobody of Microsoft's gives it. `missing`: it says that there is no such
/// operation.
fn foreign(desk: &Desk, head: &Head, body: &[u8], missing: bool) -> Option<String> {
    let seen = head.with(body);
    (seen.is_foreign() || missing).then(|| match desk.treatment().may_show() {
        true => seen.describe(),
        false => seen.describe_head(),
    })
}

fn judged(
    desk: &Desk,
    (operation, status, retry_after): (Operation, u16, Option<Duration>),
    code: Option<Cow<'static, str>>,
    body: &[u8],
) -> Ending {
    let answer =
        Answer { operation, status, code, retry_after, named_wait: judge::named_wait(body) };
    let verdict = judge(&answer);
    let words = match message_of(body) {
        Some(message) => message,
        // With redaction, what nobody knows is not shown.
        None if verdict == Verdict::Accept || !desk.treatment().may_show() => String::new(),
        None => opening_of(body).unwrap_or_default(),
    };
    let mut reason = format!("HTTP status {status}");
    for part in [
        answer.code.as_deref().map(|code| format!(", {code}")),
        (!words.is_empty()).then(|| format!(": {words}")),
    ] {
        reason.extend(part);
    }
    Ending { verdict, code: answer.code, reason, words, ..Ending::retry(String::new()) }
}
