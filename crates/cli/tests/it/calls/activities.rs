//! The commands over activities of Defender for Cloud Apps, and what the doctor says of the source.

use std::collections::BTreeMap;
use std::fs;

use m365_audit_core::activities::filter::FILTERS;
use m365_sim::{Fault, FaultPlan, Rate, Schedule, SimConfig, Span, TenantConfig};
use serde_json::Value;

use super::{Said, illegal, requests, say, searched, with_tenant};
use crate::support::World;

/// Two hours of activities and nothing else, and as many requests as one likes.
fn quick() -> SimConfig {
    SimConfig {
        seed: 5,
        activities_per_hour: Span::new(300, 300),
        activity_days: 0.1,
        live: false,
        blobs_per_hour: Span::new(0, 0),
        portal_quota_per_minute: 1_000,
        ..SimConfig::default()
    }
}

fn with(fault: Fault, rate: Rate) -> SimConfig {
    let faults = FaultPlan { rates: [(fault, rate)].into(), ..FaultPlan::none() };
    SimConfig { faults, ..quick() }
}

fn always(fault: Fault) -> SimConfig {
    with(fault, Rate::Probability(1.0))
}

/// Runs `activities` with these words.
#[track_caller]
fn activities(world: &World, words: &[&str]) -> Said {
    let fast = ["--activities-requests-per-minute", "1000"];
    say(world, &[&["activities"], words, &fast].concat())
}

/// Every activity that can be found, by its id: as it is sent.
fn owed(world: &World) -> BTreeMap<String, Vec<u8>> {
    world.microsoft().owed_activities().map(|owed| (owed.id, owed.bytes)).collect()
}

/// The activities of an output, each as it was sent, and none twice.
#[track_caller]
fn printed(world: &World, said: &Said) -> BTreeMap<String, Value> {
    let owed = owed(world);
    let mut found = BTreeMap::new();
    for line in said.stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let id = record["_id"].as_str().unwrap().to_owned();
        assert_eq!(owed[&id], line.as_bytes(), "every byte is as it was sent");
        assert!(found.insert(id, record).is_none(), "{line} is printed twice");
    }
    found
}

#[test]
fn every_activity_is_printed_once_and_unchanged_however_small_the_pages() {
    for (search_page_size, scan_page_size) in [(100, 5_000), (70, 150)] {
        let world = World::new(SimConfig { search_page_size, scan_page_size, ..quick() });
        let all = owed(&world);
        let said = activities(&world, &["list"]).must(0);
        assert_eq!(printed(&world, &said).len(), all.len());
        assert!(said.stdout.contains(r#""Level":2,"level":"Informational""#));
        // Of few, few are asked for, without scanning.
        let said = activities(&world, &["list", "--limit", "250"]).must(0);
        let some = printed(&world, &said);
        assert_eq!(some.len(), 250);
        let latest = some.values().filter_map(|record| record["created"].as_i64()).max().unwrap();
        let older = world.microsoft().owed_activities().filter(|a| a.created_ms < latest).count();
        assert!(older <= 250, "the oldest come first");
        assert_eq!(illegal(&world), Vec::<String>::new());
    }
}

#[test]
fn a_search_that_does_not_say_how_to_go_on_prints_everything_once() {
    let world = World::new(SimConfig { scan_page_size: 600, ..always(Fault::PortalNoNext) });
    let since = ["list", "--since", "3h"];
    let said = activities(&world, &since).must(0);
    assert_eq!(printed(&world, &said).len(), owed(&world).len());
}

#[test]
fn filters_in_either_notation_must_all_be_met() {
    let world = World::new(quick());
    let guests = "user.domain eq fabrikam.example";
    let some = printed(&world, &activities(&world, &["list", "--filter", guests]).must(0));
    let json = r#"{"user.domain": {"eq": ["fabrikam.example"]}}"#;
    let same = printed(&world, &activities(&world, &["list", "--filter", json]).must(0));
    assert!(!some.is_empty() && some.len() < owed(&world).len() / 2);
    assert_eq!(some, same);
    let configured = ["list", "--activities-filter", guests];
    assert_eq!(printed(&world, &activities(&world, &configured).must(0)), some);
    let words = ["list", "--filter", guests, "--filter", "service eq 20893"];
    let both = printed(&world, &activities(&world, &words).must(0));
    assert!(!both.is_empty() && both.len() < some.len());
    for record in both.values() {
        assert!(record["user"]["userName"].as_str().unwrap().ends_with("@fabrikam.example"));
        assert_eq!(record["appId"], 20893);
    }
    assert_eq!(illegal(&world), Vec::<String>::new());
}

#[test]
fn ranges_are_of_storing_and_a_filter_that_says_when_reaches_back() {
    let world = World::new(SimConfig { activity_days: 2.0, ..quick() });
    let day = printed(&world, &activities(&world, &["list"]).must(0));
    let all = owed(&world);
    assert!(day.len() < all.len() * 6 / 10, "{} of {}", day.len(), all.len());
    let words = ["list", "--filter", "date gte_ndays 100"];
    assert_eq!(printed(&world, &activities(&world, &words).must(0)).len(), all.len());
    let one = all.keys().next().unwrap();
    let words = ["list", "--filter", &format!("activity.id eq {one}")];
    assert_eq!(printed(&world, &activities(&world, &words).must(0)).len(), 1);
    // What a filter says of storing holds beside the range.
    let world_now = world.microsoft().owed_activities().map(|a| a.created_ms).max().unwrap();
    let hour_ago = world_now - 3_600_000;
    let words = ["list", "--filter", &format!("created gte {hour_ago}")];
    let hour = printed(&world, &activities(&world, &words).must(0));
    let expected = world.microsoft().owed_activities().filter(|a| a.created_ms >= hour_ago).count();
    assert_eq!(hour.len(), expected);
    let said = activities(&world, &["list", "--since", "181d"]).must(2);
    assert!(said.stderr.contains("keeps activities for 180 days"), "{}", said.stderr);
    assert_eq!(illegal(&world), Vec::<String>::new());
}

#[test]
fn wrong_filters_are_told_with_what_is_allowed_and_nothing_is_sent() {
    let world = World::new(quick());
    for (filter, expected) in [
        ("user.domian eq x", "did you mean user.domain?"),
        ("service contains x", "eq, neq"),
        ("ip.category eq 7", "1 (Corporate), 2 (Administrative)"),
        ("activity.type eq yes", "true or false"),
        (r#"{"date": {"gte": "monday"}}"#, "milliseconds since 1970"),
    ] {
        let said = activities(&world, &["list", "--filter", filter]).must(2);
        assert!(said.stderr.contains(expected), "{}", said.stderr);
    }
    let two = ["list", "--filter", "service eq x", "--filter", "weather eq fine"];
    let said = activities(&world, &two).must(2);
    assert_eq!(said.stderr.matches("--filter: ").count(), 2, "{}", said.stderr);
    let said = activities(&world, &["get", "../alerts"]).must(2);
    assert!(said.stderr.contains("no id of an activity"), "{}", said.stderr);
    assert_eq!(world.microsoft().report().requests, 0);
    let mut command = world.call(&["activities", "list"]);
    let said = searched(&world, &command.env_remove("M365_AUDIT_PORTAL_URL").output().unwrap());
    assert!(said.must(2).stderr.contains("portal_url"));
}

#[test]
fn help_teaches_every_filter_and_operator() {
    let world = World::new(quick());
    let help = say(&world, &["activities", "list", "--help"]).must(0).stdout;
    let (_, list) = help.split_once("\nFilters:\n").unwrap();
    for spec in FILTERS {
        let name = format!("  {} ", spec.name);
        let line = list.lines().find(|line| line.starts_with(&name)).unwrap();
        for operator in spec.operators {
            assert!(line.contains(operator.as_str()), "{line}");
        }
    }
    assert!(help.contains("FILTER OPERATOR VALUE"));
}

#[test]
fn an_activity_is_printed_as_it_is_and_a_remark_arrives() {
    let world = World::new(quick());
    let all = owed(&world);
    let ids: Vec<&str> = all.keys().take(2).map(String::as_str).collect();
    let said = activities(&world, &["get", ids[0], ids[1]]).must(0);
    assert_eq!(printed(&world, &said).len(), 2);
    let said = activities(&world, &["get", "1_2_3", ids[0]]).must(1);
    assert!(said.stderr.contains("1_2_3: portal-not-found: Not found."), "{}", said.stderr);
    assert_eq!(printed(&world, &said).len(), 1, "the others are printed all the same");
    let words = ["feedback", ids[0], "--text", "Irrelevant", "--contact-email", "me@contoso.com"];
    activities(&world, &words).must(0);
    activities(&world, &["feedback", ids[1], "--text", "to the point", "--value", "1"]).must(0);
    activities(&world, &["feedback", "1_2_3", "--text", "none"]).must(1);
    let microsoft = world.microsoft();
    let remarks = microsoft.feedback(microsoft.tenants()[0].id);
    let bodies: Vec<Value> =
        remarks.iter().map(|remark| serde_json::from_str(&remark.body).unwrap()).collect();
    assert_eq!(remarks.iter().map(|remark| &*remark.activity).collect::<Vec<_>>(), ids);
    assert_eq!(bodies[0]["feedbackValue"], "0");
    assert_eq!(
        (&bodies[0]["allowContact"], &bodies[1]["allowContact"]),
        (&true.into(), &false.into())
    );
    assert_eq!(bodies[1]["feedbackText"], "to the point");
    drop(microsoft);
    assert_eq!(illegal(&world), Vec::<String>::new());
}

#[test]
fn the_portals_own_token_needs_no_app_and_a_wrong_one_is_told() {
    let world = World::new(quick());
    let token = {
        let microsoft = world.microsoft();
        microsoft.portal_token(microsoft.tenants()[0].id).unwrap().to_owned()
    };
    let run = |token: &str| {
        let mut command = world.call(&["activities", "list", "--limit", "5"]);
        command.env("M365_AUDIT_PORTAL_TOKEN", token);
        command.env_remove("M365_AUDIT_CLIENT_ID").env_remove("M365_AUDIT_CLIENT_SECRET");
        searched(&world, &command.output().unwrap())
    };
    let said = run(&token).must(0);
    assert_eq!(printed(&world, &said).len(), 5);
    assert_eq!(requests(&world, "token"), 0);
    let said = run("0123456789abcdef0123456789abcdef").must(1);
    assert!(said.stderr.contains("portal-token: Invalid token."), "{}", said.stderr);
    assert!(said.stderr.contains("make a new API token"), "{}", said.stderr);
    for said in [&said.stderr, &said.stdout] {
        assert!(!said.contains(&token) && !said.contains("0123456789abcdef"), "{said}");
    }
}

#[test]
fn refusals_come_with_their_remedy() {
    let roles = |tenant: &mut TenantConfig| {
        tenant.apps[0].roles.retain(|role| role != "Investigation.read");
    };
    let world = World::new(with_tenant(quick(), roles));
    for words in [&["list"][..], &["get", "1_2_3"], &["feedback", "1_2_3", "--text", "x"]] {
        let said = activities(&world, words).must(1);
        assert!(said.stderr.contains("portal-denied: You do not have"), "{}", said.stderr);
        assert!(said.stderr.contains("Investigation.read"), "{}", said.stderr);
    }
    let world = World::new(always(Fault::EmptyUnauthorized));
    let said = activities(&world, &["list"]).must(1);
    assert!(said.stderr.contains("the API does not take the token"), "{}", said.stderr);
    assert!(said.stderr.contains("portal_resource"), "{}", said.stderr);
    let world = World::new(always(Fault::NotJson));
    let said = activities(&world, &["list"]).must(1);
    assert!(said.stderr.contains("it begins with"), "{}", said.stderr);
}

#[test]
fn throttling_in_either_form_is_waited_for() {
    for fault in [Fault::PortalThrottled, Fault::PortalThrottledText] {
        let once = Schedule { times: Some(1), ..Schedule::default() };
        let world = World::new(with(fault, Rate::Schedule(once)));
        let said = activities(&world, &["list", "--limit", "5"]).must(0);
        assert_eq!(printed(&world, &said).len(), 5);
        assert!(said.stderr.contains("throttle"), "{}", said.stderr);
        assert_eq!(requests(&world, "activities"), 2, "{fault:?}");
    }
}

#[test]
fn a_filter_that_the_service_ignores_is_told_beside_what_it_delivers() {
    let world = World::new(always(Fault::PortalFilterIgnored));
    let words = ["list", "--filter", "user.domain eq fabrikam.example"];
    let said = activities(&world, &words).must(0);
    let printed = printed(&world, &said);
    assert_eq!(printed.len(), owed(&world).len());
    let named = |record: &&Value| {
        !record["user"]["userName"].as_str().unwrap().ends_with("@fabrikam.example")
    };
    let foreign = printed.values().filter(named).count();
    let told =
        format!("did not apply the filter user.domain eq fabrikam.example: {foreign} activities");
    assert!(said.stderr.contains(&told), "{told}: {}", said.stderr);
}

/// The doctor's lines on a tenant, each as `check status`.
#[track_caller]
fn doctor(world: &World, flags: &[&str], code: i32) -> (Vec<String>, String) {
    let words = [&["doctor", "--json"][..], flags].concat();
    let value = say(world, &words).must(code).json();
    let checks = value["tenants"][0]["checks"].as_array().unwrap();
    let mute = |line: &&Value| line["status"] != "ok" && line["remedy"].is_null();
    assert!(!checks.iter().any(|line| mute(&line)), "{value:#}");
    let word = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines =
        checks.iter().map(|line| format!("{} {}", word(line, "check"), word(line, "status")));
    (lines.collect(), value.to_string())
}

const ONLY: [&str; 2] = ["--source", "cloud_app_activities"];

#[test]
fn the_doctor_looks_at_the_source_where_it_is_collected() {
    let world = World::new(SimConfig { subscribed: true, ..quick() });
    let (lines, text) = doctor(&world, &ONLY, 0);
    for line in ["activities ok", "permission ok", "search ok", "budget ok", "clock ok"] {
        assert!(lines.iter().any(|known| known == line), "{line}: {text}");
    }
    // A server on loopback is not Microsoft's.
    assert!(lines.iter().any(|line| line == "portal_url warn"), "{text}");
    assert!(!lines.iter().any(|line| line.starts_with("subscription")), "{text}");
    assert!(text.contains("there are some in the last 22 h"), "{text}");
    let both = ["--source", "management_activity, cloud_app_activities"];
    // Without any content nobody can tell whether auditing is on.
    let (lines, text) = doctor(&world, &both, 1);
    for line in ["subscription ok", "sign-in ok", "activities ok", "search ok"] {
        assert!(lines.iter().any(|known| known == line), "{line}: {text}");
    }
    let (lines, _) = doctor(&world, &[], 1);
    assert!(!lines.iter().any(|line| line.starts_with("search")));
    let readable = say(&world, &[&["doctor"], &ONLY[..]].concat()).must(0).stdout;
    assert!(readable.contains("search") && readable.contains("activities can be searched"));
    assert_eq!(illegal(&world), Vec::<String>::new());
}

#[test]
fn the_doctor_names_what_keeps_activities_from_being_collected() {
    let roles = |tenant: &mut TenantConfig| tenant.apps[0].roles = vec!["Discovery.read".into()];
    let (lines, text) = doctor(&World::new(with_tenant(quick(), roles)), &ONLY, 1);
    assert!(lines.contains(&"permission fail".into()) && lines.contains(&"search fail".into()));
    assert!(text.contains("the token has Discovery.read"), "{text}");
    assert!(text.contains("grant Investigation.read"), "{text}");
    let world = World::new(quick());
    let flags = [&ONLY[..], &["--activities-requests-per-minute", "60"]].concat();
    let (lines, text) = doctor(&world, &flags, 0);
    assert!(lines.contains(&"budget warn".into()) && text.contains("allows 30"), "{text}");
    let flags = [&ONLY[..], &["--portal-token", "0123456789abcdef"]].concat();
    let (lines, text) = doctor(&world, &flags, 1);
    assert!(lines.contains(&"search fail".into()) && text.contains("portal-token"), "{text}");
    let ignored = World::new(always(Fault::PortalFilterIgnored));
    let flags = [&ONLY[..], &["--activities-filter", "user.domain eq fabrikam.example"]].concat();
    let (lines, text) = doctor(&ignored, &flags, 0);
    assert!(lines.contains(&"search warn".into()), "{text}");
    assert!(text.contains("did not apply the filter"), "{text}");
}

#[test]
fn the_doctor_looks_at_every_tenant_of_a_file() {
    let tenants: Vec<_> = (0..2).map(|n| TenantConfig::seeded(5, n)).collect();
    let world = World::new(SimConfig { tenants: tenants.clone(), ..quick() });
    let token = world.microsoft().portal_token(tenants[1].id).unwrap().to_owned();
    let text = format!(
        "[contoso]\nsource = \"cloud_app_activities\"\ntenant_id = \"{}\"\nclient_id = \"{}\"\n\
         client_secret = \"{}\"\n\n[fabrikam]\nsource = \"cloud_app_activities\"\n\
         tenant_id = \"{}\"\nportal_token = \"{token}\"\n",
        tenants[0].id,
        tenants[0].apps[0].client_id,
        tenants[0].apps[0].secret().unwrap(),
        tenants[1].id,
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tenants.toml");
    fs::write(&file, text).unwrap();
    let mut command = world.call(&["doctor", "--json", "--tenants-file"]);
    command.arg(&file);
    for name in ["TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"] {
        command.env_remove(format!("M365_AUDIT_{name}"));
    }
    let value = searched(&world, &command.output().unwrap()).must(0).json();
    for (n, way) in [(0, "gives a token for"), (1, "the portal's own API token")] {
        let report = value["tenants"][n].to_string();
        assert!(report.contains(way) && report.contains("activities can be searched"), "{report}");
        assert!(!report.contains(&token));
    }
}
