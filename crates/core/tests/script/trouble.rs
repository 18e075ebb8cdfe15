//! What an operator hears of trouble: at once if it was never otherwise, once, and with true
//! counts.

use m365_audit_core::{Event, Level, Operation, Outcome, Request, Stored, TransportErrorKind};

use crate::bench::{Answer, Bench, DAY, HOUR, MIN, T0, healthy, record, window};

const LOOKBACK: [(&str, &str); 1] = [("lookback", "2h")];

/// Activities alone, with a token of Entra ID.
const ACTIVITIES: [(&str, &str); 3] = [
    ("source", "cloud_app_activities"),
    ("portal_url", "https://t.us.portal.cloudappsecurity.com"),
    ("activities_lookback", "1h"),
];

const SECOND: i64 = 1_000;
const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sign in to your network</title></head></html>";
const EMPTY_PAGE: &str = r#"{"data":[],"hasNext":false}"#;
const UNAUTHORIZED: &str = r#"{"Message":"Authorization has been denied for this request."}"#;

fn token() -> Option<Answer> {
    Answer::ok(r#"{"access_token":"x","expires_in":3599}"#)
}

/// What was told of this kind, and when.
fn told(bench: &Bench, code: &str) -> Vec<(i64, String)> {
    let events = bench.events.iter().filter(|(_, event)| event.code() == code);
    events.map(|(at, event)| (*at, event.to_string())).collect()
}

#[test]
fn whoever_answers_in_the_place_of_entra_id_is_named_at_the_first_failure() {
    let cases = [
        (Answer::new(200, PAGE).unwrap().with("Content-Type", "text/html"), "Sign in to your"),
        (Answer::ok(r#"{"result":"ok","token":"s3cret"}"#), "an object of result, token"),
        (
            Answer::new(302, "").unwrap().with("Location", "https://portal.example/?x=s3cret"),
            "a redirect to https://portal.example/",
        ),
        (Answer::new(407, PAGE), "a proxy that wants a user name and password"),
        (Answer::new(404, PAGE), "HTTP status 404"),
    ];
    for (answer, words) in cases {
        let mut service = |now, request: &Request| match request.operation {
            Operation::Token => answer.clone(),
            _ => healthy(now, request, &[], || None),
        };
        let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
        bench.run(T0 + HOUR, &mut service);
        let told = told(&bench, "ForeignAnswerError");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 < T0 + SECOND, "{told:?}");
        for part in [words, "token: login-address", "check login_url and proxy_url"] {
            assert!(told[0].1.contains(part), "{part}: {told:?}");
        }
        assert!(!bench.loud().join(" ").contains("s3cret"), "{:?}", bench.loud());
        let asked = bench.count(Operation::Token, "");
        assert!((8..25).contains(&asked), "{asked}");
        // A run that ends does not wait for somebody to act.
        let mut bench = Bench::once(&LOOKBACK);
        bench.run(T0 + HOUR, &mut service);
        assert!(bench.is_over());
        assert_eq!(bench.collector.outcome(), Outcome::Incomplete);
    }
}

#[test]
fn tokens_that_the_api_never_takes_are_an_error_with_a_remedy() {
    for (source, operation) in [
        (&LOOKBACK[..], Operation::ListSubscriptions),
        (&ACTIVITIES[..], Operation::ListActivities),
    ] {
        let mut service = |_: i64, request: &Request| match request.operation {
            Operation::Token => token(),
            _ => Answer::new(401, UNAUTHORIZED),
        };
        let mut bench = Bench::new(source, Stored::new(), T0);
        bench.run(T0 + 2 * HOUR, &mut service);
        let told = told(&bench, "TokensRejectedError");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 < T0 + MIN, "{told:?}");
        for part in ["5 new ones", "Authorization has been denied", "check tenant_id"] {
            assert!(told[0].1.contains(part), "{part}: {told:?}");
        }
        // It stays to be heard, and the waits have grown.
        let later = |at: &i64| T0 + 10 * MIN < *at;
        assert!(bench.events.iter().any(|(at, event)| later(at) && event.level() == Level::Warn));
        let asked = bench.sent.iter().filter(|sent| later(&sent.at)).count();
        assert!((8..80).contains(&asked), "{asked} in 110 min");
        let mut bench = Bench::once(source);
        bench.run(T0 + HOUR, &mut service);
        assert!(bench.is_over(), "{operation:?}");
        assert_eq!(bench.collector.outcome(), Outcome::Incomplete);
    }
}

#[test]
fn tokens_that_are_refused_now_and_then_cost_nothing() {
    // For five minutes of each half hour.
    let mut service = |now: i64, request: &Request| match request.operation {
        Operation::Token => token(),
        _ if (now - T0) % (30 * MIN) < 5 * MIN => Answer::new(401, UNAUTHORIZED),
        _ => healthy(now, request, &[("A", T0 + 3 * HOUR, 0)], || {
            Answer::ok(format!("[{}]", record(1)))
        }),
    };
    let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
    bench.run(T0 + 6 * HOUR, &mut service);
    assert_eq!(bench.records, [record(1)]);
    assert!(bench.lane().lag.as_secs() < 15 * 60, "{:?}", bench.lane().lag);
}

#[test]
fn a_wrong_portal_url_is_told_at_once() {
    for (status, body) in [(404, PAGE), (404, ""), (302, ""), (200, PAGE), (400, PAGE)] {
        let mut service = |_: i64, request: &Request| match request.operation {
            Operation::Token => token(),
            _ => Answer::new(status, body),
        };
        let mut bench = Bench::new(&ACTIVITIES, Stored::new(), T0);
        bench.run(T0 + HOUR, &mut service);
        let loud: Vec<_> =
            bench.events.iter().filter(|(_, event)| event.level() <= Level::Warn).collect();
        let (at, event) = loud[0];
        assert!(*at < T0 + SECOND && event.level() == Level::Error, "{status}: {loud:?}");
        assert!(event.to_string().contains("TENANT.REGION.portal.cloudappsecurity.com"), "{event}");
        assert_eq!(bench.told(Level::Error).len(), 1, "{loud:?}");
        assert!(bench.collector.metrics().lanes[0].denied);
        let mut bench = Bench::once(&ACTIVITIES);
        bench.run(T0 + HOUR, &mut service);
        assert!(bench.is_over(), "{status} {body}");
        assert_eq!(bench.collector.outcome(), Outcome::Incomplete);
    }
}

#[test]
fn a_portal_that_has_worked_is_given_time() {
    let mut service = |now: i64, request: &Request| match request.operation {
        Operation::Token => token(),
        _ if (T0 + HOUR..T0 + HOUR + MIN / 4).contains(&now) => Answer::new(200, PAGE),
        _ => Answer::ok(EMPTY_PAGE),
    };
    let mut bench = Bench::new(&ACTIVITIES, Stored::new(), T0);
    bench.run(T0 + 2 * HOUR, &mut service);
    assert_eq!(bench.told(Level::Error), [""; 0]);
}

#[test]
fn a_wrong_api_url_is_told_at_once() {
    for (status, body) in [(404, PAGE), (302, ""), (200, PAGE)] {
        let mut service = |_: i64, request: &Request| match request.operation {
            Operation::Token => token(),
            _ => Answer::new(status, body),
        };
        let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
        bench.run(T0 + HOUR, &mut service);
        let told = told(&bench, "ForeignAnswerError");
        assert_eq!(told.len(), 1, "{status}: {told:?}");
        assert!(told[0].0 < T0 + SECOND && told[0].1.contains("api_url"), "{told:?}");
    }
}

#[test]
fn counts_are_those_of_requests_that_failed() {
    // The next page is refused, again and again.
    let mut service = |now, request: &Request| match request.operation {
        Operation::ListContent if request.url.contains("nextPage") => {
            Answer::new(400, r#"{"error":{"code":"AF20031","message":"Invalid nextPage Input."}}"#)
        }
        Operation::ListContent => {
            let next = format!("{}&nextPage=1", request.url);
            healthy(now, request, &[], || None).unwrap().with("NextPageUri", &next)
        }
        _ => healthy(now, request, &[], || None),
    };
    let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
    bench.run(T0 + HOUR, &mut service);
    let first = bench.events.iter().find(|(_, event)| event.code() == "RetriesMounting");
    assert!(first.is_some_and(|(at, _)| T0 + 10 * SECOND < *at), "{first:?}");
    assert_counts_are_true(&bench, Operation::ListContent);

    let mut service = |_: i64, request: &Request| match request.operation {
        Operation::Token => token(),
        _ => Answer::new(400, r#"{"detail":"The filters are not valid."}"#),
    };
    let mut bench = Bench::new(&ACTIVITIES, Stored::new(), T0);
    bench.run(T0 + HOUR, &mut service);
    assert_counts_are_true(&bench, Operation::ListActivities);
}

#[track_caller]
fn assert_counts_are_true(bench: &Bench, operation: Operation) {
    let mut told = 0;
    for (at, event) in &bench.events {
        if let Event::RetriesMounting { failures, .. } = event {
            let sent = bench.sent.iter().filter(|s| s.operation == operation && s.at <= *at);
            let sent = sent.count();
            assert!(*failures as usize <= sent, "{event} after {sent} requests");
            told += 1;
        }
    }
    assert!(told > 1, "{:?}", bench.loud());
}

#[test]
fn an_address_elsewhere_is_an_error_once_and_not_for_each_window() {
    let mut service = |now, request: &Request| match request.operation {
        Operation::ListContent => {
            let next = format!("https://elsewhere.example/{}", window(request).0);
            healthy(now, request, &[], || None).unwrap().with("NextPageUri", &next)
        }
        _ => healthy(now, request, &[], || None),
    };
    let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
    bench.run(T0 + DAY, &mut service);
    let errors = bench.told(Level::Error);
    assert!(errors.len() == 1 && errors[0].contains("check cloud and api_url"), "{errors:?}");
}

#[test]
fn a_relative_next_page_is_followed() {
    let mut service = |now, request: &Request| match request.operation {
        Operation::ListContent if request.url.contains("nextPage") => {
            let listed = healthy(now, request, &[("A", T0 - HOUR, 0)], || None)?;
            let body = String::from_utf8_lossy(&listed.chunks[0]).into_owned();
            Answer::ok(body.replace("https://manage.office.com/", "/"))
        }
        Operation::ListContent => {
            let path = request.url.strip_prefix("https://manage.office.com").unwrap();
            Answer::ok("[]").unwrap().with("NextPageUri", &format!("{path}&nextPage=1"))
        }
        _ => healthy(now, request, &[], || Answer::ok(format!("[{}]", record(1)))),
    };
    let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
    bench.run(T0 + HOUR, &mut service);
    assert_eq!(bench.records, [record(1)], "{:?}", bench.loud());
    assert_eq!(bench.loud(), [""; 0]);
}

#[test]
fn a_long_wait_that_an_answer_names_is_told_with_its_end() {
    let asks_for = |wait: &str| {
        let wait = wait.to_owned();
        let mut service = move |now: i64, request: &Request| match request.operation {
            Operation::ListContent if now < T0 + 30 * SECOND => {
                Answer::new(503, "").unwrap().with("Retry-After", &wait)
            }
            _ => healthy(now, request, &[], || None),
        };
        let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
        bench.run(T0 + 10 * MIN, &mut service);
        bench.loud()
    };
    for wait in ["86400", "Mon, 02 Mar 2026 00:00:00 GMT"] {
        let loud = asks_for(wait);
        assert_eq!(loud.len(), 1, "{loud:?}");
        assert!(loud[0].contains("retrying at 2026-03-01T01:00:0"), "{loud:?}");
    }
    assert_eq!(asks_for("60"), [""; 0]);
    // Of the other API, and of what throttles.
    for (source, operation) in [
        (&ACTIVITIES[..], Operation::ListActivities),
        (&LOOKBACK[..], Operation::ListContent),
        (&LOOKBACK[..], Operation::Token),
    ] {
        let status = if operation == Operation::ListContent { 429 } else { 503 };
        let mut service = |now: i64, request: &Request| match request.operation {
            this if this == operation => {
                Answer::new(status, "").unwrap().with("Retry-After", "300")
            }
            Operation::Token => token(),
            _ => healthy(now, request, &[], || None),
        };
        let mut bench = Bench::new(source, Stored::new(), T0);
        bench.run(T0 + 4 * MIN, &mut service);
        let loud = bench.loud();
        assert!(loud.len() == 1 && loud[0].contains(" 2026-03-01T00:05:0"), "{loud:?}");
    }
}

#[test]
fn an_api_that_nobody_reaches_is_told_at_once_and_once() {
    for kind in [
        TransportErrorKind::Connect,
        TransportErrorKind::Tls,
        TransportErrorKind::Lost,
        TransportErrorKind::Timeout,
    ] {
        for source in [&LOOKBACK[..], &ACTIVITIES[..]] {
            let mut service = |_: i64, request: &Request| match request.operation {
                Operation::Token => token(),
                _ => Answer::failed(kind),
            };
            let mut bench = Bench::new(source, Stored::new(), T0);
            bench.run(T0 + HOUR, &mut service);
            let told = told(&bench, "ApiUnreachable");
            assert!(told.len() == 1 && told[0].0 < T0 + SECOND, "{kind:?}: {told:?}");
            assert!(told[0].1.contains("check the network"), "{told:?}");
        }
        // The login is told as it was.
        let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
        bench.run(T0 + HOUR, &mut |_: i64, _: &Request| Answer::failed(kind));
        let told = told(&bench, "SignInUnreachable");
        assert!(told.len() == 1 && told[0].0 < T0 + SECOND, "{kind:?}: {told:?}");
    }
}

#[test]
fn throttling_at_the_lowest_rate_is_told_of_activities_too() {
    for limit in ["1", "30"] {
        let mut service = |_: i64, request: &Request| match request.operation {
            Operation::Token => token(),
            _ => Answer::new(429, ""),
        };
        let options = [&ACTIVITIES[..], &[("activities_requests_per_minute", limit)]].concat();
        let mut bench = Bench::new(&options, Stored::new(), T0);
        bench.run(T0 + DAY, &mut service);
        let late = bench
            .events
            .iter()
            .filter(|(at, event)| T0 + HOUR < *at && event.level() <= Level::Warn);
        let late: Vec<_> = late.map(|(_, event)| event.to_string()).collect();
        assert!((2..20).contains(&late.len()), "{limit}: {} {:?}", late.len(), late.first());
    }
}

#[test]
fn the_metric_shows_the_budgets_that_are_used() {
    let rate = |options: &[(&str, &str)]| {
        let mut service = |now: i64, request: &Request| match request.operation {
            Operation::ListActivities => Answer::ok(EMPTY_PAGE),
            _ => healthy(now, request, &[], || None),
        };
        let mut bench = Bench::new(options, Stored::new(), T0);
        bench.run(T0 + MIN, &mut service);
        bench.collector.metrics().requests_per_minute
    };
    let (own, others) = (("requests_per_minute", "700"), ("activities_requests_per_minute", "20"));
    let both = ("source", "management_activity, cloud_app_activities");
    assert_eq!(rate(&[&ACTIVITIES[..], &[others]].concat()), 20);
    assert_eq!(rate(&[&ACTIVITIES[1..], &[own, others, both]].concat()), 720);
    assert_eq!(rate(&[own]), 700);
}

#[test]
fn a_run_of_which_activities_were_withheld_is_not_complete() {
    let run = |activity: &str| {
        let body = format!(r#"{{"data":[{activity}],"hasNext":false}}"#);
        let mut service = |_: i64, request: &Request| match request.operation {
            Operation::Token => token(),
            _ => Answer::ok(body.clone()),
        };
        let options = [&ACTIVITIES[..], &[("redact", "on")]].concat();
        let mut bench = Bench::once(&options);
        bench.run(T0 + HOUR, &mut service);
        assert!(bench.is_over());
        (bench.lane().records_withheld, bench.collector.outcome())
    };
    let created = T0 - 10 * MIN;
    assert_eq!(run(&format!(r#"{{"_id":"1","created":{created}}}"#)), (0, Outcome::Complete));
    let broken = format!(r#"{{"_id":"1","created":{created},"x":tru}}"#);
    assert_eq!(run(&broken), (1, Outcome::Incomplete));
}

#[test]
fn an_api_that_has_none_of_the_operations_is_named_and_ends_a_run() {
    for answer in [
        Answer::new(404, ""),
        Answer::new(421, ""),
        Answer::new(404, r#"{"statusCode":404,"message":"Resource not found"}"#),
    ] {
        let mut service = |_: i64, request: &Request| match request.operation {
            Operation::Token => token(),
            _ => answer.clone(),
        };
        let mut bench = Bench::once(&LOOKBACK);
        bench.run(T0 + HOUR, &mut service);
        let told = told(&bench, "ForeignAnswerError");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 < T0 + SECOND && told[0].1.contains("api-address"), "{told:?}");
        assert!(bench.is_over());
        assert_eq!(bench.collector.outcome(), Outcome::Incomplete);
    }
    // What was listed may be missing: that is not the address.
    let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
    bench.run(T0 + HOUR, &mut |now, request: &Request| {
        healthy(now, request, &[("A", T0 - HOUR, 0)], || Answer::new(404, ""))
    });
    assert_eq!(told(&bench, "ForeignAnswerError"), []);
}
