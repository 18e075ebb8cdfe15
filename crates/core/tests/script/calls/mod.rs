//! Calls against a scripted service: what is sent, how often, and how they end.

mod activities;

use std::time::Duration;

use m365_audit_core::call::{
    ATTEMPTS_MAX, BlobAddress, Call, CallError, CallErrorKind, Caller, Pages, Range, Reply,
    WebhookRequest,
};
use m365_audit_core::{
    Config, ContentType, Operation, RawOptions, Request, Secret, TransportErrorKind, Utc,
};
use m365_audit_world::{End, Passing, Piece, Said, Service, Setting, World};

use crate::bench::text;

const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
const NOW: Utc = Utc::from_millis(1_790_000_000_000);

fn config() -> Config {
    let raw: RawOptions = [("tenant_id", TENANT), ("client_id", TENANT), ("client_secret", "s")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    Config::parse(&raw).unwrap()
}

/// An answer: status, headers, body; or none.
type Answer = Result<(u16, Vec<(&'static str, String)>, String), TransportErrorKind>;

fn ok(body: &str) -> Answer {
    Ok((200, Vec::new(), body.into()))
}

fn status(status: u16, body: &str) -> Answer {
    Ok((status, Vec::new(), body.into()))
}

fn next(page: &str, body: &str) -> Answer {
    Ok((200, vec![("NextPageUri", page.into())], body.into()))
}

/// What a call did.
struct Run {
    outcome: Result<Reply, CallError>,
    requests: Vec<Request>,
    records: Vec<String>,
    time: Duration,
}

impl Run {
    fn error(&self) -> &CallError {
        self.outcome.as_ref().unwrap_err()
    }

    fn urls(&self) -> Vec<&str> {
        self.requests.iter().map(|request| request.url.as_str()).collect()
    }
}

/// Makes a call; answers to the API come from `answers`, the last one for ever.
fn run(call: Call, answers: &[Answer]) -> Run {
    run_with(config(), call, answers)
}

fn run_with(config: Config, call: Call, answers: &[Answer]) -> Run {
    const OUTPUTS_MAX: u64 = 10_000;
    const DAY_MS: i64 = 86_400_000;
    let begin_ms = NOW.as_millis();
    let mut world = World::new(Setting::calm(begin_ms, 1));
    world.outputs_max = OUTPUTS_MAX;
    let mut caller = Caller::new(config, 1, world.now());
    caller.begin(call);
    let mut service = Answers { answers, asked: Vec::new() };
    let mut records = Vec::new();
    let mut watch = |_: &World, passing: Passing<'_>| {
        match passing {
            Passing::Batch(batch) => records.extend(batch.records.iter().map(text)),
            Passing::Commit(_) => return Err("a call stores nothing".into()),
            Passing::Request(_) | Passing::Event(_) | Passing::Wait(_) => {}
        }
        Ok(())
    };
    let end = world.live(&mut caller, &mut service, &mut watch, begin_ms + DAY_MS);
    assert_eq!(end, Ok(End::Finished));
    Run {
        outcome: caller.take_outcome(),
        requests: service.asked,
        records,
        time: Duration::from_millis((world.now_ms() - begin_ms).unsigned_abs()),
    }
}

/// Gives a token to whoever asks, and answers to the API one after the other.
struct Answers<'a> {
    answers: &'a [Answer],
    asked: Vec<Request>,
}

impl Service for Answers<'_> {
    fn answer(&mut self, _: i64, request: &Request) -> m365_audit_world::Answer {
        let answer = if request.operation == Operation::Token {
            ok(r#"{"access_token":"t0ken","expires_in":3599}"#)
        } else {
            let at = self.asked.len();
            self.asked.push(request.clone());
            let answer = self.answers.get(at).or_else(|| self.answers.last()).cloned();
            answer.unwrap_or_else(|| ok("[]"))
        };
        let said = match answer {
            Ok((status, headers, body)) => {
                let body = Box::new(std::iter::once(Piece::Bytes(body.into())));
                Said::Head { status, headers: headers.into_iter().collect(), body }
            }
            Err(kind) => Said::Lost(kind),
        };
        m365_audit_world::Answer { after_ms: 0, said }
    }
}

fn hours(since: i64, until: i64) -> Range {
    let at = |hours: i64| Utc::from_millis(NOW.as_millis() - hours * 3_600_000);
    Range { since: at(since), until: at(until) }
}

fn list(range: Range) -> Call {
    Call::ListContent { content_type: ContentType::AuditExchange, range, pages: Pages::All }
}

fn entry(id: &str) -> String {
    format!(r#"{{"contentId":"{id}","contentUri":"https://manage.office.com/{id}"}}"#)
}

fn ids(run: &Run) -> Vec<&str> {
    match &run.outcome {
        Ok(Reply::Contents(entries)) => entries.iter().map(|e| e.content_id.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_range_is_listed_over_its_windows_and_pages() {
    let page =
        "https://manage.office.com/api/v1.0/t/activity/feed/subscriptions/content?nextpage=1$2";
    let run = run(
        list(hours(30, 1)),
        &[next(page, &format!("[{}]", entry("a"))), ok(&format!("[{}]", entry("b"))), ok("[]")],
    );
    assert_eq!(ids(&run), ["a", "b"]);
    assert_eq!(run.requests.len(), 3);
    assert!(run.urls()[1].starts_with(page) && run.urls()[1].contains("PublisherIdentifier"));
    assert!(run.urls().iter().all(|url| url.contains(&format!("PublisherIdentifier={TENANT}"))));
}

#[test]
fn the_first_page_of_the_newest_window_is_enough_for_a_look() {
    let page = "https://manage.office.com/next";
    let call = Call::ListContent {
        content_type: ContentType::DlpAll,
        range: hours(100, 0),
        pages: Pages::First,
    };
    let run = run(call, &[next(page, &format!("[{}]", entry("a")))]);
    assert_eq!(ids(&run), ["a"]);
    assert_eq!(run.requests.len(), 1);
}

#[test]
fn a_page_that_breaks_off_leaves_no_entries_twice() {
    let half = format!("[{},", entry("a"));
    let whole = format!("[{},{}]", entry("a"), entry("b"));
    let run = run(list(hours(2, 1)), &[ok(&half), Err(TransportErrorKind::Lost), ok(&whole)]);
    assert_eq!(ids(&run), ["a", "b"]);
}

#[test]
fn pages_elsewhere_or_in_circles_end_the_call() {
    let here = "https://manage.office.com/next";
    for (page, expected) in [("https://manage.office.com.evil.example/", 1), (here, 2)] {
        let run = run(list(hours(2, 1)), &[next(page, "[]")]);
        assert_eq!(run.error().kind, CallErrorKind::Address);
        assert_eq!(run.requests.len(), expected);
    }
}

#[test]
fn trouble_is_retried_so_often_and_no_longer() {
    for answer in [status(503, "<html>"), Err(TransportErrorKind::Lost), ok("<html>")] {
        let run = run(Call::ListSubscriptions, &[answer]);
        assert_eq!(run.error().kind, CallErrorKind::Unavailable);
        assert_eq!(run.requests.len(), ATTEMPTS_MAX as usize);
        assert!(run.time < Duration::from_secs(60), "{:?}", run.time);
    }
    let busy = r#"{"error":{"code":"AF429","message":"Too many requests. Method=GetContents"}}"#;
    let run = run(Call::ListSubscriptions, &[status(403, busy), ok("[]")]);
    assert!(run.outcome.is_ok());
}

#[test]
fn a_token_that_was_withdrawn_is_replaced_and_one_that_is_never_taken_is_not_asked_for_again() {
    let denied = || status(401, r#"{"Message":"Authorization has been denied."}"#);
    let withdrawn = run(Call::ListSubscriptions, &[denied(), ok("[]")]);
    assert_eq!(withdrawn.outcome, Ok(Reply::Subscriptions(Vec::new())));
    let never = run(Call::ListSubscriptions, &[denied()]);
    assert_eq!(never.error().kind, CallErrorKind::Credentials);
    assert!(never.requests.len() < 5);
}

#[test]
fn a_mistake_in_a_range_costs_no_request() {
    for range in [hours(200, 0), hours(1, 2), hours(-1, -2)] {
        let run = run(list(range), &[]);
        assert_eq!(run.error().kind, CallErrorKind::Argument, "{range:?}");
        assert!(run.requests.is_empty());
    }
}

#[test]
fn a_start_says_what_it_wants_and_is_never_sent_twice_blindly() {
    let start =
        |webhook| Call::StartSubscription { content_type: ContentType::AuditGeneral, webhook };
    let webhook = WebhookRequest {
        address: "https://hook.example/".into(),
        auth_id: Some(Secret::new("id".into())),
        expiration: None,
    };
    let answer = ok(r#"{"contentType":"Audit.General","status":"enabled","webhook":
        {"status":"enabled","address":"https://hook.example/","authId":"id","expiration":null}}"#);
    let run_with = run(start(Some(webhook)), &[answer]);
    let body = run_with.requests[0].body.as_ref().unwrap().expose();
    assert_eq!(
        body,
        r#"{"webhook":{"address":"https://hook.example/","authId":"id","expiration":""}}"#
    );
    assert!(matches!(&run_with.outcome, Ok(Reply::Started(subscription))
        if subscription.webhook.as_ref().unwrap().auth_id.is_some()));
    let known = status(400, r#"{"error":{"code":"AF20024","message":"already enabled"}}"#);
    assert_eq!(run(start(None), &[known]).outcome, Ok(Reply::Unchanged));
    let soon = status(
        429,
        r#"{"error":{"code":"AF429","message":"Too many frequent subscription
        start requests. Please retry again after 14m 56s"}}"#,
    );
    let kind = run(start(None), &[soon]).error().kind;
    assert_eq!(kind, CallErrorKind::CoolDown(Some(Duration::from_secs(896))));
    for answer in [Err(TransportErrorKind::Lost), status(500, ""), ok("<html>")] {
        let run = run(start(None), &[answer]);
        assert_eq!((run.requests.len(), run.error().kind), (1, CallErrorKind::Unavailable));
        assert!(run.error().message.contains("not known"), "{}", run.error());
    }
    let refused = run(start(None), &[Err(TransportErrorKind::Connect)]);
    assert_eq!(refused.requests.len(), ATTEMPTS_MAX as usize);
}

#[test]
fn a_blob_that_breaks_off_is_continued_where_it_stopped() {
    let address = BlobAddress::parse(&config(), "1$2$audit_general$Audit_General$na0001").unwrap();
    let big = "x".repeat(600_000);
    let (a, b) = (format!(r#"{{"Id":"a","v":"{big}"}}"#), r#"{"Id":"b"}"#);
    let run = run(
        Call::GetBlob(address),
        &[ok(&format!("[{a},")), Err(TransportErrorKind::Timeout), ok(&format!("[{a},{b}]"))],
    );
    assert_eq!(run.outcome, Ok(Reply::Expanded { records: 2, dropped: 0, filtered: 0 }));
    assert_eq!(run.records, [a.as_str(), b]);
}

#[test]
fn what_is_wrong_with_the_request_is_told_and_not_repeated() {
    let call = || Call::ListDlpTypes { language: Some("en, es".into()) };
    let body = r#"{"error":{"code":"AF20053","message":"Only one language may be present."}}"#;
    let run = run(call(), &[status(400, body)]);
    assert_eq!(run.error().kind, CallErrorKind::Argument);
    assert_eq!(run.error().code.as_deref(), Some("AF20053"));
    assert!(run.error().to_string().contains("Only one language"), "{}", run.error());
    assert_eq!(run.requests.len(), 1);
    assert_eq!(run.requests[0].headers[0].1.expose(), "en, es");
}
