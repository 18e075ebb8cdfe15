//! What becomes of activities.

use std::time::Duration;

use m365_audit_core::{Level, Operation, Request, Stored};

use crate::bench::{Answer, Bench, DAY, HOUR, MIN, T0};

const LANE: &str = "lane/CloudAppActivities";
const WALK: &str = "walk/CloudAppActivities";
const SEARCH: &str = "search/CloudAppActivities";

/// Activities alone, with the portal's own token.
const PORTAL: [(&str, &str); 3] = [
    ("source", "cloud_app_activities"),
    ("portal_token", "p"),
    ("portal_url", "https://t.us.portal.cloudappsecurity.com"),
];

fn with<'a>(options: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    PORTAL.iter().chain(options).copied().collect()
}

fn is_scan(request: &Request) -> bool {
    request.body.as_ref().is_some_and(|body| body.expose().contains("isScan"))
}

fn activity(id: &str, created: i64) -> String {
    format!(r#"{{"_id":"{id}","created":{created}}}"#)
}

fn page(activities: &[String]) -> Option<Answer> {
    Answer::ok(format!(r#"{{"data":[{}],"hasNext":false}}"#, activities.join(",")))
}

/// A page of a scan, and where it goes on.
fn page_before(activities: &[String], next: &str) -> Option<Answer> {
    let data = activities.join(",");
    Answer::ok(format!(r#"{{"data":[{data}],"hasNext":true,"nextQueryFilters":{next}}}"#))
}

#[test]
fn a_search_is_not_gone_on_with_by_the_filters_of_another_run() {
    let started = |filter| {
        let mut service = |_: i64, request: &Request| {
            if is_scan(request) {
                let next = r#"{"user.domain":{"eq":["a.example"]},"cursor":1}"#;
                return page_before(&[activity("1", T0 - 2 * DAY)], next);
            }
            page(&[])
        };
        let mut bench = Bench::new(&with(&[("activities_filter", filter)]), Stored::new(), T0);
        bench.run(T0 + 10_000, &mut service);
        assert!(bench.stored.contains_key(WALK));
        bench.stored
    };
    let went_on = |stored: Stored, filter| {
        let options = with(&[("activities_filter", filter)]);
        let mut bench = Bench::new(&options, stored, T0 + HOUR);
        bench.run(T0 + 2 * HOUR, &mut |_: i64, _: &Request| page(&[]));
        assert!(!bench.stored.contains_key(WALK));
        let went_on = bench.sent.iter().any(|sent| sent.body.contains("\"cursor\":1"));
        (went_on, bench.loud().iter().filter(|told| told.contains("activities_filter")).count())
    };
    let (old, new) = ("user.domain eq a.example", "user.domain eq b.example");
    assert_eq!(went_on(started(old), old), (true, 0));
    assert_eq!(went_on(started(old), new), (false, 1));
    let mut stored = started(old);
    stored.remove(SEARCH);
    assert_eq!(went_on(stored, old), (false, 0), "whose filters they were is not known");
}

/// The whole number behind `name` in what a request asks for.
fn number(request: &Request, name: &str) -> i64 {
    let body = request.body.as_ref().unwrap().expose();
    let digits = body.split(&format!("\"{name}\":")).nth(1).unwrap();
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Those of `activities` (id, when they were stored, when they can be found) that a search finds.
fn find(now: i64, request: &Request, activities: &[(&str, i64, i64)]) -> Option<Answer> {
    let asked = number(request, "gte")..number(request, "lt");
    let found =
        activities.iter().filter(|(_, created, found)| asked.contains(created) && *found <= now);
    page(&found.map(|(id, created, _)| activity(id, *created)).collect::<Vec<_>>())
}

#[test]
fn what_was_found_during_a_long_silence_arrives_and_nothing_twice() {
    let (down, up) = (T0 + 30 * HOUR, T0 + 4 * DAY);
    let all = [
        ("long before", down - 22 * HOUR, 0),
        ("just before", down - 3 * MIN, 0),
        ("late", down - 4 * MIN, down + 3 * MIN),
        ("very late", down - 5 * HOUR, down + 10 * HOUR),
        ("meanwhile", down + HOUR, 0),
    ];
    let ids = |bench: &Bench| {
        let id = |record: &String| record.split('"').nth(3).unwrap().to_owned();
        bench.records.iter().map(id).collect::<Vec<_>>()
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort_unstable();
        ids
    };
    let options = with(&[("activities_lookback", "1h"), ("dedupe_records", "0")]);
    let mut service = |now, request: &Request| find(now, request, &all);
    let mut before = Bench::new(&options, Stored::new(), T0);
    before.run(down, &mut service);
    assert_eq!(ids(&before), ["long before", "just before"]);
    let mut after = Bench::new(&options, before.stored.clone(), up);
    after.run(up + DAY, &mut service);
    assert_eq!(sorted(ids(&after)), ["late", "meanwhile", "very late"]);
    // A restart at once knows what was searched again.
    let mut after = Bench::new(&options, after.stored, up + DAY);
    after.run(up + 2 * DAY, &mut service);
    assert_eq!(ids(&after), [""; 0]);

    // The same of a process that lives on, and is refused.
    let mut service = |now, request: &Request| {
        if (down..up).contains(&now) {
            return Answer::new(403, "");
        }
        find(now, request, &all)
    };
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.run(up + DAY, &mut service);
    let each = ["just before", "late", "long before", "meanwhile", "very late"];
    assert_eq!(sorted(ids(&bench)), each);
}

#[test]
fn processes_of_half_a_minute_search_the_last_day_again() {
    let late = [("late", T0 + 2 * HOUR, T0 + 5 * HOUR)];
    let mut service = |now, request: &Request| find(now, request, &late);
    let options = with(&[("activities_lookback", "1h"), ("dedupe_records", "0")]);
    let (mut stored, mut now) = (Stored::new(), T0);
    let (mut records, mut scans) = (0, 0);
    while now < T0 + 30 * HOUR {
        let mut bench = Bench::new(&options, stored, now);
        bench.run(now + MIN / 2, &mut service);
        records += bench.records.len();
        scans += bench.sent.iter().filter(|sent| sent.body.contains("isScan")).count();
        // What versions that stored no times left behind goes on.
        if now == T0 + 20 * HOUR {
            bench.stored.remove(SEARCH);
        }
        (stored, now) = (bench.stored, now + 5 * MIN);
    }
    assert_eq!(records, 1);
    // Each half hour once, and once more where the times were lost.
    assert_eq!(scans, 59 + 1);
}

/// Ten activities on each of sixty pages of a scan that reaches over one moment; else none.
fn scan_of_sixty(request: &Request) -> Option<Answer> {
    let created = T0 - 10 * DAY;
    let goes_on = request.body.as_ref().unwrap().expose().contains("cursor");
    if !goes_on && !(number(request, "gte")..number(request, "lt")).contains(&created) {
        return page(&[]);
    }
    let at = if goes_on { number(request, "cursor") } else { 0 };
    let ten: Vec<_> = (0..10).map(|n| activity(&format!("{at}_{n}"), created)).collect();
    if at < 59 { page_before(&ten, &format!("{{\"cursor\":{}}}", at + 1)) } else { page(&ten) }
}

#[test]
fn a_backlog_goes_on_behind_an_outage() {
    let options = with(&[("activities_lookback", "20d"), ("dedupe_records", "0")]);
    for outage in [2 * MIN, 5 * HOUR] {
        let mut service = |now, request: &Request| {
            if (T0 + MIN..T0 + MIN + outage).contains(&now) {
                return Answer::new(502, "");
            }
            scan_of_sixty(request)
        };
        let mut bench = Bench::new(&options, Stored::new(), T0);
        bench.run(T0 + MIN + outage + 15 * MIN, &mut service);
        assert_eq!(bench.records.len(), 600, "after {outage} ms");
        assert!(!bench.stored.contains_key(WALK));
    }
}

#[test]
fn a_page_that_stays_broken_is_gone_around() {
    // Whatever reaches over one moment fails.
    let broken = T0 - 5 * DAY;
    let few = [("1", broken - 3 * DAY, 0), ("2", broken - HOUR, 0), ("3", broken + HOUR, 0)];
    let mut service = |now, request: &Request| {
        if (number(request, "gte")..number(request, "lt")).contains(&broken) {
            return Answer::new(500, "");
        }
        find(now, request, &few)
    };
    let options = with(&[("activities_lookback", "20d"), ("dedupe_records", "0")]);
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.run(T0 + 3 * DAY, &mut service);
    assert_eq!(bench.records.len(), 3);
    let but_one_millisecond = format!(",{broken}],[{},", broken + 1);
    assert!(bench.stored[LANE].contains(&but_one_millisecond), "{}", bench.stored[LANE]);
    // What comes to be missed later is not held up by it, and it is told when it is lost.
    let up = T0 + 5 * DAY;
    let later = [("4", T0 + 4 * DAY, 0)];
    let mut service = |now, request: &Request| {
        if (number(request, "gte")..number(request, "lt")).contains(&broken) {
            return Answer::new(500, "");
        }
        find(now, request, &later)
    };
    let mut bench = Bench::new(&options, bench.stored, up);
    bench.run(up + 3 * HOUR, &mut service);
    assert_eq!(bench.records.len(), 1);
    assert!(bench.stored[LANE].contains(&but_one_millisecond), "{}", bench.stored[LANE]);
    let rarely = with(&[("interval_sec", "3600")]);
    let mut bench = Bench::new(&rarely, bench.stored, up + 3 * HOUR);
    bench.run(broken + 181 * DAY, &mut service);
    assert_eq!(bench.told(Level::Error).len(), 1, "{:?}", bench.told(Level::Error));
}

#[test]
fn a_search_tells_the_time_that_a_strange_sign_in_did_not() {
    let options = [PORTAL[0], PORTAL[2], ("activities_lookback", "1h")];
    let mut service = |_: i64, request: &Request| match request.operation {
        Operation::Token => Answer::ok(r#"{"access_token":"x","expires_in":86399}"#),
        _ => page(&[]),
    };
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.skew = 2 * HOUR;
    bench.run(T0 + 5 * MIN, &mut service);
    assert_eq!(bench.loud().len(), 1, "the clock: {:?}", bench.loud());
    let searched = bench.sent.iter().find(|sent| sent.operation == Operation::ListActivities);
    assert!(searched.unwrap().at < T0 + MIN);
    let lag = bench.lane().lag;
    assert!(lag < Duration::from_secs(120), "{lag:?}");
}
