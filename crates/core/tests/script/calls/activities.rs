//! Calls of the Activities API against a scripted service.

use std::time::Duration;

use m365_audit_core::activities::filter::Filters;
use m365_audit_core::call::{
    ATTEMPTS_MAX, ActivityId, Call, CallErrorKind, Feedback, Range, Reply,
};
use m365_audit_core::{Config, Method, RawOptions};

use super::{Answer, NOW, Run, TENANT, run_with, status};

const DETAIL: &str = r#"{"detail":"Request was throttled. Expected available in 17 seconds."}"#;

fn config(more: &[(&str, &str)]) -> Config {
    let own = [
        ("tenant_id", TENANT),
        ("client_id", TENANT),
        ("client_secret", "s"),
        ("source", "cloud_app_activities"),
        ("portal_url", "https://contoso.us.portal.cloudappsecurity.com"),
    ];
    let all = own.iter().chain(more);
    let raw: RawOptions = all.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::parse(&raw).unwrap()
}

fn run(call: Call, answers: &[Answer]) -> Run {
    run_with(config(&[]), call, answers)
}

fn list(filters: &str, limit: Option<u64>) -> Call {
    let range = Range { since: NOW - Duration::from_secs(3_600), until: NOW };
    Call::ListActivities { filters: Filters::parse(filters).unwrap(), range, limit }
}

fn page(ids: std::ops::Range<u32>, has_next: bool, next: &str) -> Answer {
    let records: Vec<_> = ids.map(|id| format!(r#"{{"_id":"{id}"}}"#)).collect();
    status(200, &format!(r#"{{"data":[{}],"hasNext":{has_next}{next}}}"#, records.join(",")))
}

fn body(run: &Run, at: usize) -> String {
    run.requests[at].body.as_ref().unwrap().expose().clone()
}

#[test]
fn a_search_follows_the_filters_that_the_service_names_to_the_letter() {
    let next = r#","nextQueryFilters":{"x": {"y":[1e3]}}"#;
    let run = run(list("service eq 1", None), &[page(0..3, true, next), page(3..5, false, "")]);
    assert_eq!(run.outcome, Ok(Reply::Activities { records: 5, dropped: 0, more: false }));
    assert_eq!(run.records[4], r#"{"_id":"4"}"#);
    let (start, end) = (NOW.as_millis() - 3_600_000, NOW.as_millis());
    let own =
        format!(r#""filters":{{"created":{{"gte":{start},"lt":{end}}},"service":{{"eq":[1]}}}}"#);
    assert!(body(&run, 0).contains(&own), "{}", body(&run, 0));
    assert!(body(&run, 1).ends_with(r#""filters":{"x": {"y":[1e3]}}}"#), "{}", body(&run, 1));
    assert!(run.urls()[0].ends_with(".portal.cloudappsecurity.com/api/v1/activities/"));
}

#[test]
fn a_limit_ends_the_search_within_a_page() {
    let run = run(list("", Some(120)), &[page(0..100, true, ""), page(100..200, true, "")]);
    assert_eq!(run.outcome, Ok(Reply::Activities { records: 120, dropped: 0, more: true }));
    assert_eq!(run.records.len(), 120);
    assert!(body(&run, 0).contains(r#""skip":0,"limit":100"#));
    assert!(body(&run, 1).contains(r#""skip":100,"limit":20"#));
}

#[test]
fn what_comes_again_is_handed_over_once() {
    // A scan that does not say how to go on is cut; each half brings some of it again.
    let silent = || page(0..3, true, "");
    let answers = [silent(), silent(), silent(), page(2..4, false, ""), page(0..2, false, "")];
    let run = run(list("", None), &answers);
    assert_eq!(run.outcome, Ok(Reply::Activities { records: 4, dropped: 0, more: false }));
    assert_eq!(run.requests.len(), 5);
}

#[test]
fn throttling_in_both_forms_is_waited_for_and_in_the_end_told() {
    let bare = || status(429, "TOO MANY REQUESTS");
    for form in [bare(), status(403, DETAIL), status(503, DETAIL), status(200, DETAIL)] {
        let passing = run(list("", Some(5)), &[form.clone(), page(0..2, false, "")]);
        assert!(passing.outcome.is_ok(), "{:?}", passing.outcome);
        assert!(Duration::from_secs(5) <= passing.time, "{:?}", passing.time);
        let lasting = run(list("", Some(5)), &[form]);
        assert_eq!(lasting.error().kind, CallErrorKind::Throttled);
        assert_eq!(lasting.requests.len(), ATTEMPTS_MAX as usize);
    }
}

#[test]
fn refusals_say_what_to_do() {
    let outcome = |answer: Answer| run(list("", Some(5)), &[answer]).error().clone();
    for (answer, kind, code) in [
        (status(403, r#"{"detail":"No."}"#), CallErrorKind::Denied, "portal-denied"),
        (status(404, "<html>"), CallErrorKind::Unavailable, "portal-address"),
        (status(400, r#"{"detail":"Bad filters."}"#), CallErrorKind::Argument, "portal-refused"),
    ] {
        let error = outcome(answer);
        assert_eq!((error.kind, error.code.as_deref()), (kind, Some(code)));
        assert!(error.remedy.contains("portal_url"), "{error}");
    }
    let error = outcome(status(401, ""));
    assert_eq!(error.kind, CallErrorKind::Credentials);
    let token = [("portal_token", "0123456789abcdef0123456789abcdef")];
    let keyed = run_with(config(&token), list("", Some(5)), &[status(401, "")]);
    assert_eq!(keyed.error().code.as_deref(), Some("portal-token"));
    assert!(keyed.requests.iter().all(|request| request.bearer.is_none()));
    assert_eq!(keyed.requests[0].headers[0].1.expose(), "Token 0123456789abcdef0123456789abcdef");
    let error = outcome(status(200, "<html>"));
    assert_eq!(error.kind, CallErrorKind::Unavailable);
    assert!(error.message.contains("<html>"), "{error}");
}

#[test]
fn one_activity_is_what_the_service_sent() {
    let id = || Call::GetActivity(ActivityId::parse("97_15_a-b").unwrap());
    // It may well speak of throttling, and is an activity all the same.
    let activity = r#"{"_id":"97_15_a-b", "Level":1,"level":2, "description":"throttled"}"#;
    let run = run(id(), &[status(200, activity)]);
    assert_eq!(run.outcome, Ok(Reply::Activities { records: 1, dropped: 0, more: false }));
    assert_eq!(run.records, [activity]);
    assert!(run.urls()[0].ends_with("/api/v1/activities/97_15_a-b/"));
    let error = self::run(id(), &[status(404, r#"{"detail":"Not found."}"#)]);
    assert_eq!(error.error().kind, CallErrorKind::Gone);
    for text in ["", ".", "..", "a/b", "a?b", "a%2Fb", "a b"] {
        assert!(ActivityId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_remark_is_sent_as_microsofts_example_has_it() {
    let call = |contact: Option<&str>| Call::SendFeedback {
        activity: ActivityId::parse("97_15").unwrap(),
        feedback: Feedback {
            value: "0".into(),
            text: "Irrelevant".into(),
            contact_email: contact.map(str::to_owned),
        },
    };
    let sent = run(call(Some("user@contoso.com")), &[status(200, r#"{"data":[]}"#)]);
    assert_eq!(sent.outcome, Ok(Reply::FeedbackSent));
    assert_eq!(sent.requests[0].method, Method::Post);
    assert!(sent.urls()[0].ends_with("/api/v1/activities/97_15/feedback"));
    let said: serde_json::Value = serde_json::from_str(&body(&sent, 0)).unwrap();
    let expected = serde_json::json!({
        "feedbackValue": "0", "feedbackText": "Irrelevant", "allowContact": true,
        "contactEmail": "user@contoso.com",
    });
    assert_eq!(said, expected);
    let silent = run(call(None), &[status(204, "")]);
    assert_eq!(silent.outcome, Ok(Reply::FeedbackSent));
    assert!(body(&silent, 0).contains(r#""allowContact":false"#));
    let gateway = run(call(None), &[status(200, "<html>")]);
    assert_eq!(gateway.error().kind, CallErrorKind::Unavailable);
}

#[test]
fn a_configuration_without_the_source_sends_nothing() {
    let run = super::run(list("", None), &[]);
    assert_eq!(run.error().kind, CallErrorKind::Argument);
    assert!(run.requests.is_empty() && run.error().remedy.contains("portal_url"));
}
