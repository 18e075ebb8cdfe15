//! The table of errors and the shapes of answers, against the facts of Microsoft's description.

use std::collections::BTreeSet;

use m365_audit_core::KNOWN_ERRORS;
use m365_sim::{Fault, FaultPlan, Rate, SimConfig};
use serde_json::Value;

use super::{AUTH_ID, patient, receiver, say, subscribed, with_tenant};
use crate::support::{World, program};

const SPEC: &str = include_str!("../../../../../tests/spec/management-activity-api.json");

fn spec() -> Value {
    serde_json::from_str(SPEC).unwrap()
}

#[test]
fn every_documented_code_is_known_and_explained() {
    for code in spec()["x-error-codes"].as_array().unwrap() {
        let known = KNOWN_ERRORS.iter().find(|known| code == known.code);
        let known = known.unwrap_or_else(|| panic!("{code} is not in the table"));
        assert!(!known.meaning.is_empty() && !known.remedy.is_empty());
        let output = program("errors").arg(known.code).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(known.meaning) && said.contains(known.remedy), "{said}");
    }
    let output = program("errors").arg("AF1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// A world whose service or sign-in has one fault, always.
fn faulty(fault: Fault, refusal: u32) -> SimConfig {
    let rates = [(fault, Rate::Probability(1.0))].into();
    let faults = FaultPlan { rates, token_refusal: refusal, ..FaultPlan::none() };
    SimConfig { faults, ..subscribed() }
}

#[test]
fn every_refusal_of_a_sign_in_comes_with_its_remedy() {
    let mut tried = 0;
    for known in KNOWN_ERRORS {
        let Some(number) = known.code.strip_prefix("AADSTS") else { continue };
        let number: u32 = number.parse().unwrap();
        // Passing trouble is tried again instead.
        if [50_033, 90_006, 90_012, 90_024, 90_033, 90_055].contains(&number) {
            continue;
        }
        let world = World::new(faulty(Fault::TokenRefused, number));
        let said = say(&world, &["subscriptions", "list"]).must(1);
        assert!(said.stderr.contains(known.code), "{}", said.stderr);
        assert!(said.stderr.contains(known.remedy), "{}", said.stderr);
        tried += 1;
    }
    assert!(20 < tried);
}

/// The fields of all objects in a command's JSON.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| fields(element, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_of_every_answer_has_its_place_in_the_output() {
    let world = World::new(SimConfig { oddness: 0.0, ..patient() });
    let address = receiver::listen();
    let hook = ["--webhook-address", &address, "--webhook-auth-id", AUTH_ID];
    say(&world, &[&["subscriptions", "start", "Audit.Exchange"][..], &hook].concat()).must(0);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for words in [
        &["subscriptions", "list", "--json"][..],
        &["content", "list", "Audit.Exchange", "--json"],
        &["dlp-types", "--json"],
    ] {
        fields(&say(&world, words).must(0).json(), &mut seen);
    }
    let nobody = ["--webhook-address", "http://127.0.0.1:1/nobody", "--json"];
    let failed = say(&world, &[&["subscriptions", "start", "DLP.All"][..], &nobody].concat());
    let failed = failed.must(2);
    fields(&failed.json(), &mut seen);
    // Shown with a notification in `what_a_webhook_was_told_is_listed`.
    seen.extend(["notificationSent", "notificationStatus"].map(str::to_owned));
    for (name, schema) in spec()["components"]["schemas"].as_object().unwrap() {
        // Records are passed on byte for byte; the envelope of an error is opened.
        if ["ActivityRecord", "Error"].contains(&name.as_str()) {
            continue;
        }
        for field in schema["properties"].as_object().unwrap().keys() {
            assert!(seen.contains(field), "{name}.{field}");
        }
    }
    assert!(seen.contains("code") && seen.contains("message"));
}

#[test]
fn trouble_of_the_service_is_told_and_passes() {
    for (fault, expected) in [
        (Fault::InternalErrorHour, "AF50000"),
        (Fault::Unavailable, "HTTP status 503"),
        (Fault::GatewayTimeout, "HTTP status 504"),
        (Fault::NotJson, "api-address: HTTP status 200, text/html"),
        (Fault::Truncated, "connection lost"),
    ] {
        let world = World::new(faulty(fault, 0));
        let said = say(&world, &["subscriptions", "list"]).must(1);
        assert!(said.stderr.contains(expected), "{fault:?}: {}", said.stderr);
    }
    let world = World::new(with_tenant(subscribed(), |tenant| tenant.apps[0].roles.clear()));
    let said = say(&world, &["subscriptions", "list"]).must(1);
    assert!(said.stderr.contains("AF10001") && said.stderr.contains("ActivityFeed.Read"));
    let world = World::new(with_tenant(patient(), |tenant| tenant.auditing = false));
    let said = say(&world, &["subscriptions", "start", "Audit.General"]).must(1);
    assert!(said.stderr.contains("auditing-off"), "{}", said.stderr);
    assert!(said.stderr.contains("Purview"), "{}", said.stderr);
}
