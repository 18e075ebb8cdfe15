//! What becomes of activities.

use m365_audit_core::{Request, Stored};

use crate::bench::{Answer, Bench, DAY, HOUR, T0};

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
