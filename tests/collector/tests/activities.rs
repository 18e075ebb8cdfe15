//! Activities of Defender for Cloud Apps: filters as the core writes them and the simulator reads
//! them, and the source as a whole, one behaviour at a time.

#![allow(clippy::unwrap_used)] // A helper of tests may panic.

use std::collections::BTreeSet;

use m365_audit_core::activities::filter::{FILTERS, Filters, Finding, Operator};
use m365_audit_core::{Event, Level, Utc};
use m365_audit_tests::simulation::{Observed, Scenario, observe};
use m365_sim::{Fault, FaultPlan, Microsoft, Request, SimConfig, Span};
use serde_json::{Value, json};

/// Where a scripted world begins.
const START_MS: i64 = 1_772_323_200_000;

fn sim() -> SimConfig {
    SimConfig {
        seed: 5,
        activities_per_hour: Span::new(300, 300),
        activity_days: 0.1,
        live: false,
        subscribed: true,
        blobs_per_hour: Span::new(0, 0),
        ..SimConfig::default()
    }
}

/// Every activity that a search with these filters finds.
fn search(microsoft: &mut Microsoft, now_ms: &mut i64, filters: &Filters) -> Vec<Value> {
    *now_ms += 2_100;
    let tenant = microsoft.tenants()[0].id;
    let url = format!("{}/api/v1/activities/", microsoft.portal_url(tenant).unwrap());
    let token = format!("Token {}", microsoft.portal_token(tenant).unwrap());
    let body = json!({ "isScan": true, "limit": 5_000, "filters": filters.to_json() });
    let request = Request::new("POST", &url).header("Authorization", &token).body(body.to_string());
    let reply = microsoft.handle(*now_ms, &request);
    assert_eq!(reply.status, 200);
    let mut bytes = Vec::new();
    for piece in reply.deliver() {
        let m365_sim::Piece::Bytes(piece) = piece else { panic!("{piece:?}") };
        bytes.extend(piece);
    }
    let page: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(page["hasNext"], false);
    page["data"].as_array().unwrap().clone()
}

fn ids(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| record["_id"].as_str().unwrap().to_owned()).collect()
}

/// A value that some of the simulator's activities have, and others have not.
fn value(filter: &str, operator: Operator, first: &Value) -> String {
    let (now, middle) = ("2026-03-01", "2026-02-28T22:50:00Z");
    let text = |pointer: &str| first.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    match (filter, operator) {
        (_, Operator::IsSet | Operator::IsNotSet) => String::new(),
        (_, Operator::Range) => format!("{middle}..{now}"),
        (_, Operator::GteNDays | Operator::LteNDays) => "1".into(),
        ("date", _) => middle.into(),
        ("created", Operator::Eq) => first["created"].to_string(),
        ("created", _) => middle.into(),
        ("service", _) => "20893".into(),
        ("instance", _) => "1".into(),
        ("user.orgUnit", _) => "Finance".into(),
        ("actionType", Operator::Contains) => "file".into(),
        ("actionType", _) => "FileDeleted".into(),
        ("activity.eventActionType", _) => "EVENT_AAD_LOGIN".into(),
        ("activity.id", _) => text("/_id"),
        ("activity.impersonated" | "activity.type", _) => "true".into(),
        ("activity.takenAction", _) => "(block, null)".into(),
        ("device.type", _) => "(MOBILE, null)".into(),
        ("device.tags", _) => "device-03".into(),
        ("userAgent.userAgent", _) => "onedrivempc".into(),
        ("userAgent.tags", _) => "agent-03".into(),
        ("location.country", _) => "DE".into(),
        ("location.organizations", Operator::Contains) => "fabrikam".into(),
        ("location.organizations", _) => "\"Fabrikam Net\"".into(),
        ("ip.address", Operator::StartsWith | Operator::DoesNotStartWith) => "192.0.1.".into(),
        ("ip.address", _) => text("/device/clientIP"),
        ("fileSelector" | "fileId" | "activityObject", _) => "file-03".into(),
        ("office365url", Operator::EndsWith) => "file-03".into(),
        ("office365url", _) => "https://contoso.sharepoint.com/sites/file-03".into(),
        ("ip.category", _) => "3".into(),
        ("ip.tags", _) => "ip-03".into(),
        ("text", Operator::StartsWithSingle) => "filed".into(),
        ("text", Operator::Text) => "\"filedeleted microsoft\"".into(),
        ("text", _) => "FileDeleted".into(),
        ("policy", _) => "policy-03".into(),
        ("source", _) => "(t:2, s:stream-03)".into(),
        ("activity.alertId", _) => "alert-03".into(),
        ("fileLabels", _) => "label-03".into(),
        ("entity", Operator::StartsWith) => "entity-alex".into(),
        ("entity", _) => "entity-svc-sync".into(),
        ("user.username", Operator::StartsWith) => "alex".into(),
        ("user.username", _) => text("/user/userName"),
        ("user.tags", Operator::StartsWith) => "group-0".into(),
        ("user.tags", _) => "group-03".into(),
        ("user.domain", _) => "fabrikam.example".into(),
        other => panic!("no value for {other:?}"),
    }
}

/// The operator that selects what this one leaves out.
fn opposite(operator: Operator) -> Option<Operator> {
    match operator {
        Operator::Neq => Some(Operator::Eq),
        Operator::NContains => Some(Operator::Contains),
        Operator::DoesNotStartWith => Some(Operator::StartsWith),
        Operator::IsNotSet => Some(Operator::IsSet),
        Operator::Lt => Some(Operator::Gte),
        Operator::Lte => Some(Operator::Gt),
        _ => None,
    }
}

#[test]
fn every_filter_with_every_operator_selects_what_it_says() {
    let mut now_ms = START_MS;
    let mut microsoft = Microsoft::new(sim(), now_ms);
    now_ms += 60_000;
    let all = search(&mut microsoft, &mut now_ms, &Filters::default());
    assert!(all.len() > 500, "{}", all.len());
    let mut pairs = 0;
    for spec in FILTERS {
        for operator in spec.operators {
            let written = |operator: Operator| {
                let value = value(spec.name, operator, &all[0]);
                format!("{} {} {value}", spec.name, operator.as_str())
            };
            let text = written(*operator);
            let filters = Filters::parse(&text).unwrap_or_else(|errors| panic!("{errors:?}"));
            let found = search(&mut microsoft, &mut now_ms, &filters);
            for record in &found {
                let finding = filters.clauses()[0].find(record, Utc::from_millis(now_ms));
                assert_ne!(finding, Finding::Differs, "{text}: {record}");
            }
            // All of these activities are of today, and have a user.
            let whole = matches!(operator, Operator::GteNDays | Operator::IsSet);
            let none = matches!(operator, Operator::LteNDays | Operator::IsNotSet);
            assert!(none || !found.is_empty(), "{text} finds nothing");
            assert!(whole || found.len() < all.len(), "{text} finds everything");
            let other = opposite(*operator).filter(|other| spec.operators.contains(other));
            if let Some(other) = other {
                let filters = Filters::parse(&written(other)).unwrap();
                let rest = ids(&search(&mut microsoft, &mut now_ms, &filters));
                let found = ids(&found);
                assert!(found.is_disjoint(&rest), "{text}");
                assert_eq!(found.len() + rest.len(), all.len(), "{text}");
            }
            pairs += 1;
        }
    }
    assert_eq!(pairs, 97);
    let report = microsoft.report();
    assert!(report.is_legal(), "{:?}", report.illegal);
}

/// What a collector of activities makes of a world in so many hours.
fn collect(sim: SimConfig, options: &[(&str, &str)], hours: u64) -> (Observed, usize) {
    let mut truth = Microsoft::new(sim.clone(), START_MS);
    truth.advance(START_MS + i64::try_from(hours).unwrap() * 3_600_000);
    let mut scenario = Scenario::scripted(sim).with("source", "cloud_app_activities");
    for (option, value) in options {
        scenario = scenario.with(option, value);
    }
    let observed = observe(scenario, hours).unwrap_or_else(|problem| panic!("{problem}"));
    (observed, truth.owed_activities().count())
}

fn codes(observed: &Observed) -> Vec<&'static str> {
    observed.events.iter().map(Event::code).collect()
}

#[test]
fn everything_arrives_once_however_small_the_pages() {
    for (search_page_size, scan_page_size) in [(100, 5_000), (7, 20)] {
        let (observed, owed) =
            collect(SimConfig { search_page_size, scan_page_size, ..sim() }, &[], 8);
        assert_eq!((observed.records, observed.repeated), (owed as u64, 0));
        assert!(codes(&observed).contains(&"BacklogDelivered"));
    }
}

#[test]
fn activities_that_are_found_late_arrive() {
    let faults = FaultPlan::none().with(Fault::LateActivity, 0.5);
    let (observed, owed) = collect(SimConfig { faults, live: true, ..sim() }, &[], 4);
    // The last ones are on their way.
    assert!(observed.records > owed as u64 * 9 / 10, "{} of {owed}", observed.records);
    assert_eq!(observed.repeated, 0);
}

#[test]
fn a_scan_that_does_not_say_how_to_go_on_loses_nothing() {
    let faults = FaultPlan::none().with(Fault::PortalNoNext, 1.0);
    let world = SimConfig { faults, scan_page_size: 200, ..sim() };
    let (observed, owed) = collect(world, &[], 30);
    assert_eq!(observed.records, owed as u64);
}

#[test]
fn the_portals_own_token_needs_no_app() {
    let world = sim();
    let microsoft = Microsoft::new(world.clone(), START_MS);
    let token = microsoft.portal_token(microsoft.tenants()[0].id).unwrap().to_owned();
    let options = [("portal_token", &*token), ("client_secret", ""), ("client_id", "")];
    let (observed, owed) = collect(world.clone(), &options, 8);
    assert_eq!(observed.records, owed as u64);
    assert!(!codes(&observed).contains(&"TokenAcquired"));
    let (observed, _) = collect(world, &[("portal_token", "0000")], 1);
    assert_eq!(observed.records, 0);
    let denied = observed.events.iter().find(|event| event.code() == "FeedDeniedError").unwrap();
    assert!(denied.to_string().contains("make a new API token"), "{denied}");
}

#[test]
fn another_server_at_the_address_of_the_portal_is_an_error_at_once() {
    let faults = FaultPlan::none().with(Fault::PortalForeign, 1.0);
    let (observed, _) = collect(SimConfig { faults, ..sim() }, &[], 1);
    let errors: Vec<_> =
        observed.events.iter().filter(|event| event.level() == Level::Error).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let text = errors[0].to_string();
    assert!(text.contains("404 Not Found") && text.contains("TENANT.REGION"), "{text}");
}

#[test]
fn a_slow_clock_does_not_keep_a_continued_run_from_searching() {
    let world = SimConfig { live: true, ..sim() };
    let microsoft = Microsoft::new(world.clone(), START_MS);
    let token = microsoft.portal_token(microsoft.tenants()[0].id).unwrap().to_owned();
    let scenario = || {
        Scenario::scripted(world.clone())
            .with("source", "cloud_app_activities")
            .with("portal_token", &token)
    };
    let stored = observe(scenario(), 1).unwrap().stored;
    // By this clock all there is was covered a day and a half ago.
    let observed = observe(scenario().resume(stored).skewed(-36), 1).unwrap();
    let at = codes(&observed).iter().position(|code| *code == "ClockCorrected");
    let searched = codes(&observed).iter().rposition(|code| *code == "ActivitiesListed");
    assert!(at.is_some() && at < searched, "{:?}", codes(&observed));
}

#[test]
fn a_filter_that_the_service_ignores_is_told_once_and_counted() {
    let faults = FaultPlan::none().with(Fault::PortalFilterIgnored, 1.0);
    let options = [("activities_filter", "user.domain eq fabrikam.example")];
    let (observed, owed) = collect(SimConfig { faults, ..sim() }, &options, 1);
    assert_eq!(observed.records, owed as u64, "what is too much is delivered all the same");
    let told = codes(&observed).iter().filter(|code| **code == "FilterIgnored").count();
    assert_eq!(told, 1);
    let lane = observed.metrics.lanes.last().unwrap();
    assert!(lane.filter_mismatches > owed as u64 / 2);
    let (observed, owed) = collect(sim(), &options, 8);
    let lane = observed.metrics.lanes.last().unwrap();
    assert_eq!(lane.filter_mismatches, 0);
    assert!(0 < observed.records && observed.records < owed as u64 / 2);
}
