//! Feeds that are refused: without a code, at the start, at the list, or blob after blob.

use m365_audit_core::{Event, FeedEvent, Level, Operation, Outcome, Request, Stored};

use crate::bench::{Answer, Bench, DAY, HOUR, MIN, T0, healthy, record};

const PAGE: &str = "<!DOCTYPE html><html><head><title>Blocked</title></head><body>by policy</body>";
const NO_CODE: [&str; 3] = ["", PAGE, r#"{"Message":"Authorization has been denied."}"#];

fn both_feeds(now: i64, request: &Request) -> Option<Answer> {
    let url = &request.url;
    match request.operation {
        Operation::ListSubscriptions => Answer::ok(
            r#"[{"contentType":"Audit.General","status":"enabled"},
                {"contentType":"DLP.All","status":"enabled"}]"#,
        ),
        Operation::ListContent if url.contains("DLP.All") => Answer::ok("[]"),
        _ => {
            let (blobs, n) = (hourly(), usize::try_from((now - T0) / 1_000).unwrap());
            let blobs: Vec<_> = blobs.iter().map(|(name, at)| (&**name, *at, *at)).collect();
            healthy(now, request, &blobs, || Answer::ok(format!("[{}]", record(n))))
        }
    }
}

/// A blob each half minute.
fn hourly() -> Vec<(String, i64)> {
    (0..120).map(|n| (format!("N{n}x"), T0 + n * MIN / 2)).collect()
}

#[test]
fn one_feed_that_is_refused_without_a_code_is_denied_and_costs_the_others_nothing() {
    for status in [401, 403] {
        for body in NO_CODE {
            let mut service = |now, request: &Request| match request.operation {
                Operation::ListContent if request.url.contains("DLP.All") => {
                    Answer::new(status, body)
                }
                _ => both_feeds(now, request),
            };
            let options = [("lookback", "2h"), ("content_types", "Audit.General, DLP.All")];
            let mut bench = Bench::new(&options, Stored::new(), T0);
            bench.run(T0 + HOUR, &mut service);
            let what = format!("{status} {body}: {:?}", bench.loud());
            let errors = bench.told(Level::Error);
            assert_eq!(errors.len(), 1, "{what}");
            let code = format!("DLP.All: not collected: http-{status}: ");
            assert!(errors[0].starts_with(&code) && errors[0].contains("; remedy: "), "{what}");
            let words = ["the answer says no more", "Blocked by policy", "has been denied"];
            assert!(words.iter().any(|words| errors[0].contains(words)), "{what}");
            assert_eq!(bench.loud().len(), 1, "{what}");
            // The token is tested once, and not again with each page.
            let tokens = bench.count(Operation::Token, "");
            assert!(tokens <= 4, "{tokens} tokens, {what}");
            let pages = bench.count(Operation::ListContent, "DLP.All");
            assert!((5..40).contains(&pages), "{pages} pages, {what}");
            // The other feed has lost no time.
            let made = hourly();
            let late = made.iter().filter(|(name, at)| {
                let sent = bench.sent.iter().find(|sent| sent.url.contains(&**name));
                *at < T0 + 55 * MIN && sent.is_none_or(|sent| sent.at - at > 90_000)
            });
            assert_eq!(late.count(), 0, "{what}");
        }
    }
}

#[test]
fn a_few_refusals_without_a_code_are_no_denial() {
    for status in [401, 403] {
        let mut service = |now, request: &Request| match request.operation {
            Operation::ListContent if now < T0 + 10_000 => Answer::new(status, ""),
            _ => both_feeds(now, request),
        };
        let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
        bench.run(T0 + HOUR, &mut service);
        assert_eq!(bench.loud(), [""; 0], "{status}");
        assert!(bench.records.len() > 50, "{status}: {}", bench.records.len());
    }
}

#[test]
fn a_run_that_ends_does_not_wait_for_a_feed_that_is_refused_without_a_code() {
    for status in [401, 403] {
        let mut service = |now, request: &Request| match request.operation {
            Operation::ListContent => Answer::new(status, PAGE),
            _ => both_feeds(now, request),
        };
        let mut bench = Bench::once(&[("lookback", "2h")]);
        bench.run(T0 + HOUR, &mut service);
        assert!(bench.is_over(), "{status}: {:?}", bench.loud());
        assert_eq!(bench.collector.outcome(), Outcome::Incomplete);
        assert_eq!(bench.told(Level::Error).len(), 1, "{status}: {:?}", bench.loud());
    }
}

/// A service in which nothing is subscribed until a start is accepted.
struct Unsubscribed<'a> {
    list: &'a str,
    start: Option<(u16, &'a str)>,
    started: Option<i64>,
}

impl Unsubscribed<'_> {
    fn answer(&mut self, now: i64, request: &Request) -> Option<Answer> {
        match request.operation {
            Operation::ListSubscriptions if self.list == "500" => Answer::new(500, "busy"),
            Operation::ListSubscriptions => Answer::ok(self.list),
            Operation::StartSubscription => match self.start {
                Some((status, body)) => Answer::new(status, body),
                None => {
                    self.started.get_or_insert(now);
                    healthy(now, request, &[], || None)
                }
            },
            Operation::ListContent if self.started.is_none() => Answer::new(
                400,
                r#"{"error":{"code":"AF20022","message":"No subscription found for the specified content type."}}"#,
            ),
            _ => healthy(now, request, &[("A", T0 - HOUR, 0)], || {
                Answer::ok(format!("[{}]", record(1)))
            }),
        }
    }
}

#[test]
fn without_a_list_of_subscriptions_what_listings_say_is_believed() {
    for list in ["500", "null", "", r#"{"error":"x"}"#, "<html>"] {
        let mut microsoft = Unsubscribed { list, start: None, started: None };
        let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
        bench.run(T0 + HOUR, &mut |now, request| microsoft.answer(now, request));
        assert_eq!(bench.count(Operation::StartSubscription, ""), 1, "{list}");
        assert_eq!(bench.records.len(), 1, "{list}: {:?}", bench.loud());
        assert!(bench.loud().iter().any(|told| told.contains("subscriptions")), "{list}");
    }
    // Starts are as far apart as ever.
    let broken = Some((500, "broken"));
    let mut microsoft = Unsubscribed { list: "null", start: broken, started: None };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + 4 * HOUR, &mut |now, request| microsoft.answer(now, request));
    let sent = bench.sent.iter().filter(|sent| sent.operation == Operation::StartSubscription);
    let starts: Vec<_> = sent.map(|sent| sent.at).collect();
    assert!(starts.len() > 8, "{}", starts.len());
    assert!(starts.windows(2).all(|two| two[1] - two[0] >= 15 * MIN), "{starts:?}");
    let mut microsoft = Unsubscribed { list: "null", start: None, started: None };
    let options = [("lookback", "2h"), ("start_subscriptions", "off")];
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.run(T0 + HOUR, &mut |now, request| microsoft.answer(now, request));
    assert_eq!(bench.count(Operation::StartSubscription, ""), 0);
}

#[test]
fn a_start_that_fails_is_told_with_its_answer_and_ends_a_run_that_ends() {
    let internal = r#"{"error":{"code":"AF50000","message":"An internal error occurred."}}"#;
    for (start, words) in [
        ((500, internal), "HTTP status 500, AF50000: An internal error occurred."),
        ((502, PAGE), "HTTP status 502: Blocked by policy"),
        ((200, "{}"), "the answer is not an enabled subscription"),
        ((401, ""), "HTTP status 401"),
        ((403, PAGE), "HTTP status 403: Blocked by policy"),
    ] {
        let mut microsoft = Unsubscribed { list: "[]", start: Some(start), started: None };
        let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
        bench.run(T0 + 80 * MIN, &mut |now, request| microsoft.answer(now, request));
        let told = bench.loud();
        assert!(told[0].contains("starting one failed: ") && told[0].contains(words), "{told:?}");
        let denials = bench.told(Level::Error);
        assert_eq!(denials.len(), usize::from(matches!(start.0, 401 | 403)), "{told:?}");
        // Each refusal is told, and there is a quarter of an hour between them.
        assert!((2..=8).contains(&told.len()), "{told:?}");

        let mut microsoft = Unsubscribed { list: "[]", start: Some(start), started: None };
        let mut bench = Bench::once(&[("lookback", "2h")]);
        bench.run(T0 + HOUR, &mut |now, request| microsoft.answer(now, request));
        assert!(bench.is_over(), "{start:?}: {:?}", bench.loud());
        assert_eq!(bench.collector.outcome(), Outcome::Incomplete);
        assert!(bench.loud().iter().any(|told| told.contains(words)), "{:?}", bench.loud());
    }
}

/// Blobs, one a minute, each of them answered `answer`.
fn refused(options: &[(&str, &str)], count: i64, until: i64, answer: (u16, &str)) -> Bench {
    let names: Vec<_> = (0..count).map(|n| (format!("N{n}x"), T0 - n % 110 * MIN)).collect();
    let blobs: Vec<_> = names.iter().map(|(name, at)| (&**name, *at, 0)).collect();
    let mut service =
        |now, request: &Request| healthy(now, request, &blobs, || Answer::new(answer.0, answer.1));
    let mut bench = Bench::new(options, Stored::new(), T0);
    bench.run(until, &mut service);
    bench
}

const INVALID: (u16, &str) = (
    400,
    r#"{"error":{"code":"AF20052","message":"Blob key 2026$audit_general in the url is invalid"}}"#,
);
const BUSY: (u16, &str) = (503, "<html><h2>Our services aren't available right now</h2>");

#[test]
fn a_feed_of_which_every_blob_is_refused_is_an_error_at_once_and_few_words() {
    let bench = refused(&[("lookback", "2h")], 300, T0 + HOUR, INVALID);
    let errors: Vec<_> =
        bench.events.iter().filter(|(_, event)| event.level() == Level::Error).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].0 - T0 < MIN / 2, "after {} ms", errors[0].0 - T0);
    let text = errors[0].1.to_string();
    for part in ["AF20052: Blob key 2026", "; remedy: check the id, tenant_id"] {
        assert!(text.contains(part), "{text}");
    }
    let summaries = bench.loud().len() - 1;
    assert!((1..15).contains(&summaries), "{:?}", bench.loud());
    let blobs = bench.events.iter().map(|(_, event)| match event {
        Event::Feed(_, FeedEvent::BlobQuarantined { blobs, .. }) => *blobs,
        _ => 0,
    });
    assert_eq!(blobs.sum::<u64>(), 300);
}

#[test]
fn a_service_that_is_down_for_a_thousand_blobs_is_told_by_the_minute() {
    let bench = refused(&[("lookback", "2h")], 1_000, T0 + 20 * MIN, BUSY);
    let told = bench.loud();
    assert!((3..25).contains(&told.len()), "{} lines: {told:?}", told.len());
    let errors = bench.told(Level::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("HTTP status 503: Our services aren't available"), "{errors:?}");
    // A short outage is no error.
    let bench = refused(&[("lookback", "2h")], 1_000, T0 + 3 * MIN, BUSY);
    assert_eq!(bench.told(Level::Error), [""; 0]);
}

#[test]
fn blobs_in_quarantine_count_as_not_delivered() {
    let bench = refused(&[("lookback", "2h")], 110, T0 + HOUR, INVALID);
    let lane = bench.lane();
    assert_eq!((lane.blobs_quarantined, lane.blobs_delivered), (110, 0));
    assert!(lane.lag.as_secs() > 2 * 3_600, "{:?}", lane.lag);
    assert!(lane.backlog.as_secs() > 2 * 3_600, "{:?}", lane.backlog);
    let delivered =
        |event: &Event| matches!(event, Event::Feed(_, FeedEvent::BacklogDelivered { .. }));
    assert!(!bench.events.iter().any(|(_, event)| delivered(event)), "it is not");
    // One among others costs its minute.
    let blobs = [("Bad", T0 - HOUR, 0), ("Good", T0 - HOUR / 2, 0)];
    let mut service = |now, request: &Request| {
        healthy(now, request, &blobs, || match request.url.contains("Bad") {
            true => Answer::new(500, ""),
            false => Answer::ok(format!("[{}]", record(1))),
        })
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + HOUR, &mut service);
    // And after a restart.
    let mut again = Bench::new(&[("lookback", "2h")], bench.stored.clone(), T0 + HOUR);
    again.run(T0 + 2 * HOUR, &mut service);
    for bench in [&bench, &again] {
        assert_eq!(bench.lane().blobs_quarantined, 1);
        assert!(bench.lane().lag.as_secs() < 120, "{:?}", bench.lane().lag);
        assert!((60..200).contains(&bench.lane().backlog.as_secs()), "{:?}", bench.lane().backlog);
    }
}

#[test]
fn what_is_read_after_all_is_told_and_counts() {
    let blobs: Vec<_> = (0..20).map(|n| (format!("N{n}x"), T0 - n * MIN)).collect();
    let blobs: Vec<_> = blobs.iter().map(|(name, at)| (&**name, *at, 0)).collect();
    let mut read = 0;
    let mut service = |now, request: &Request| {
        healthy(now, request, &blobs, || match now < T0 + HOUR {
            true => Answer::new(INVALID.0, INVALID.1),
            false => {
                read += 1;
                Answer::ok(format!("[{}]", record(read)))
            }
        })
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + DAY / 2, &mut service);
    assert_eq!((bench.records.len(), bench.lane().blobs_quarantined), (20, 0));
    let restored =
        |(_, event): &&(i64, Event)| matches!(event, Event::Feed(_, FeedEvent::FeedRestored));
    assert_eq!(bench.events.iter().filter(restored).count(), 1);
    assert!(bench.lane().lag.as_secs() < 120 && bench.lane().backlog.as_secs() < 120);
}

#[test]
fn searches_that_fail_one_after_the_other_are_an_error_once() {
    let options = [
        ("source", "cloud_app_activities"),
        ("portal_url", "https://contoso.portal.cloudappsecurity.com"),
        ("activities_lookback", "2h"),
    ];
    for (answer, words) in [
        ((400, r#"{"error":"unknown field"}"#), "remedy: check the filters"),
        ((503, PAGE), "Blocked by policy"),
    ] {
        let mut bench = Bench::new(&options, Stored::new(), T0);
        let mut service = |now, request: &Request| match request.operation {
            Operation::ListActivities if now < T0 + 2 * HOUR => Answer::new(answer.0, answer.1),
            Operation::ListActivities => Answer::ok(r#"{"data":[],"hasNext":false,"total":0}"#),
            _ => healthy(now, request, &[], || None),
        };
        bench.run(T0 + 2 * HOUR, &mut service);
        let errors = bench.told(Level::Error);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(words) && errors[0].contains("HTTP status"), "{errors:?}");
        // What is not searched is not delivered.
        assert!(bench.lane().lag.as_secs() > 7_000, "{:?}", bench.lane().lag);
        assert!(bench.lane().backlog.as_secs() > 7_000, "{:?}", bench.lane().backlog);
        bench.run(T0 + 4 * HOUR, &mut service);
        let restored =
            |(_, event): &&(i64, Event)| matches!(event, Event::Feed(_, FeedEvent::FeedRestored));
        assert_eq!(bench.events.iter().filter(restored).count(), 1);
        assert!(bench.lane().lag.as_secs() < 600, "{:?}", bench.lane().lag);
    }
}
