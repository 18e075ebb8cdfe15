//! Activities of Defender for Cloud Apps in the real Fluent Bit: as they are, at the time when they
//! happened, told apart from content types.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use m365_sim::{ContentType, OwedActivity, Server, SimConfig, Span};
use rmpv::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::json;
use crate::pipeline::{PATIENCE, Section, config, history, serve, tenant, tenant_id};
use crate::receiver::{Received, Receiver};
use crate::truth::tally;

const SOURCE: &str = "CloudAppActivities";

/// Some hours of activities, beside a history of records.
fn world(seed: u64) -> SimConfig {
    SimConfig {
        activities_per_hour: Span::new(100, 200),
        activity_days: 0.1,
        portal_quota_per_minute: 1_000,
        ..history(seed)
    }
}

fn section(server: &Server, source: &str) -> Section {
    let section = Section::new(server, &tenant(server, 0));
    let alone = source == "cloud_app_activities";
    let section = if alone { section.unset("content_types") } else { section };
    section
        .set("source", source)
        .set("portal_url", &server.http_url())
        .set("activities_requests_per_minute", "1000")
}

fn is_activity(event: &Received) -> bool {
    event.metadata["content_type"].as_str() == Some(SOURCE)
}

fn hash(body: &Value) -> u128 {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, body).expect("memory takes everything");
    xxh3_128(&bytes)
}

/// Waits until every activity is there, and answers them beside their events.
fn complete(server: &Server, receiver: &Receiver) -> Vec<(OwedActivity, Received)> {
    let mut owed: HashMap<u128, OwedActivity> = HashMap::new();
    for activity in server.microsoft().owed_activities() {
        let (body, malformed) = json::body(&activity.bytes);
        assert!(!malformed);
        owed.insert(hash(&body), activity);
    }
    let start = Instant::now();
    loop {
        let events: Vec<_> = receiver.events().into_iter().filter(is_activity).collect();
        if owed.len() <= events.len() || 2 * PATIENCE < start.elapsed() {
            assert_eq!(events.len(), owed.len(), "each once");
            let pair = |event: Received| {
                let found = owed.remove(&hash(&event.body));
                (found.unwrap_or_else(|| panic!("never stored, or twice: {event:?}")), event)
            };
            return events.into_iter().map(pair).collect();
        }
        receiver.wait_for(receiver.count() + 1, Duration::from_secs(1));
    }
}

/// The members of a map called `name`, in order.
fn members<'a>(map: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
    let all = map.as_map().expect("a map").iter();
    all.filter(move |(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn member<'a>(map: &'a Value, name: &'a str) -> &'a Value {
    members(map, name).next().unwrap_or_else(|| panic!("no {name} in {map}"))
}

#[test]
fn activities_arrive_as_they_are_at_the_time_when_they_happened() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(world(11));
    let receiver = Receiver::start();
    let section = section(&server, "cloud_app_activities")
        .set("tag_per_content_type", "on")
        .set("tag_prefix", "m365");
    let _fluent_bit =
        FluentBit::start(&executable, &config(&[section], &receiver.output("m365.*")));
    let arrived = complete(&server, &receiver);
    let (mut numbers, mut texts) = (0, 0);
    for (owed, event) in &arrived {
        assert_eq!(event.tag, format!("m365.{SOURCE}"));
        assert_eq!(event.metadata["tenant_id"].as_str(), Some(&*owed.tenant.to_string()));
        let (seconds, nanoseconds) = event.time;
        let millis = i64::from(seconds) * 1_000 + i64::from(nanoseconds / 1_000_000);
        assert_eq!((millis, nanoseconds % 1_000_000), (owed.timestamp_ms, 0));
        // Keys that differ by case alone are both there.
        let raw = member(&event.body, "rawDataJson");
        assert_eq!(member(raw, "Level").as_i64(), Some(2));
        assert_eq!(member(raw, "level").as_str(), Some("Informational"));
        // The same number comes as a number here and as text there, and stays what it is.
        let saas = member(&event.body, "saasId");
        numbers += usize::from(saas.is_i64());
        texts += usize::from(saas.is_str());
    }
    assert!(numbers > 0 && texts > 0 && numbers + texts == arrived.len(), "{numbers} {texts}");
    assert!(server.microsoft().report().is_legal());
}

#[test]
fn both_sources_run_in_one_input_and_the_metadata_tells_them_apart() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(world(12));
    let receiver = Receiver::start();
    let section = section(&server, "management_activity, cloud_app_activities");
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    complete(&server, &receiver);
    let start = Instant::now();
    loop {
        let events = receiver.events().into_iter().filter(|event| !is_activity(event));
        let tally =
            tally(&server, tenant_id(&server), &ContentType::ALL, &events.collect::<Vec<_>>());
        if tally.missing.is_empty() || 2 * PATIENCE < start.elapsed() {
            tally.assert_complete();
            break;
        }
        receiver.wait_for(receiver.count() + 1, Duration::from_secs(1));
    }
    let shown = fluent_bit.get("/api/v2/metrics/prometheus").unwrap();
    for feed in [SOURCE, "Audit.Exchange"] {
        assert!(shown.contains(&format!("content_type=\"{feed}\"")), "{shown}");
    }
    assert!(server.microsoft().report().is_legal());
}
