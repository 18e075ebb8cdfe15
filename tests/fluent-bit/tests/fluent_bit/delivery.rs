//! Everything that is owed arrives, once, as it is.

use std::collections::BTreeSet;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use m365_sim::{ContentType, Fault, FaultPlan, Schedule, SimConfig};

use crate::pipeline::{Section, config, history, serve, tenant, tenant_id};
use crate::proxy::Proxy;
use crate::receiver::{Received, Receiver};
use crate::truth::{complete, tally};

#[test]
fn everything_owed_arrives_once_and_as_it_is_over_tls() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(1));
    let receiver = Receiver::start();
    let url = server.https_url();
    let section = Section::new(&server, &tenant(&server, 0))
        .set("api_url", &url)
        .set("login_url", &url)
        .set("resource", &url)
        .set("ca_file", server.ca_file().to_str().expect("a path of ASCII"));
    let mut fluent_bit =
        FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    complete(&server, tenant_id(&server), &ContentType::ALL, &receiver);
    let (status, _) = fluent_bit.stop();
    assert!(status.success(), "{status}: {}", fluent_bit.log());
    let tally = tally(&server, tenant_id(&server), &ContentType::ALL, &receiver.events());
    tally.assert_complete();
    assert_eq!(tally.duplicates, 0, "{tally}");
    assert!(server.microsoft().report().is_legal());
}

#[test]
fn tags_name_the_content_type() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(2));
    let receiver = Receiver::start();
    let section = Section::new(&server, &tenant(&server, 0))
        .set("tag_per_content_type", "on")
        .set("tag_prefix", "m365");
    let output = receiver.output("m365.*");
    let _fluent_bit = FluentBit::start(&executable, &config(&[section], &output));
    complete(&server, tenant_id(&server), &ContentType::ALL, &receiver).assert_complete();
    let events = receiver.events();
    let tags: BTreeSet<_> = events
        .iter()
        .map(|event| (event.tag.clone(), event.metadata["content_type"].to_string()))
        .collect();
    let expected = ContentType::ALL.map(|ct| (format!("m365.{ct}"), format!("\"{ct}\"")));
    assert_eq!(tags, BTreeSet::from(expected));
}

#[test]
fn a_proxy_in_between_sees_connections_and_no_secret() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(3));
    let receiver = Receiver::start();
    let proxy = Proxy::start();
    let url = server.https_url();
    let section = Section::new(&server, &tenant(&server, 0))
        .set("api_url", &url)
        .set("login_url", &url)
        .set("resource", &url)
        .set("ca_file", server.ca_file().to_str().expect("a path of ASCII"))
        .set("proxy_url", &proxy.url());
    let _fluent_bit = FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    complete(&server, tenant_id(&server), &ContentType::ALL, &receiver).assert_complete();
    let authority = url.trim_start_matches("https://");
    let requests = proxy.requests();
    assert!(!requests.is_empty());
    for request in &requests {
        assert_eq!(*request, format!("CONNECT {authority} HTTP/1.1"));
    }
    // Connections that the simulator saw all came by the proxy.
    assert_eq!(server.connections(), requests.len() as u64);
}

#[test]
fn what_is_no_record_arrives_raw_and_marked_and_broken_answers_are_read_again() {
    let Some(executable) = fluent_bit::find() else { return };
    let now_and_then = |every| Schedule { every, times: Some(8), ..Schedule::default() };
    let faults = FaultPlan { malformed_records: 0.05, ..FaultPlan::none() }
        .with_schedule(Fault::NotJson, now_and_then(7))
        .with_schedule(Fault::Truncated, now_and_then(11))
        .with_schedule(Fault::ErrorInOk, now_and_then(13))
        .with(Fault::Gzip, 0.5)
        .with(Fault::Bom, 0.2);
    // Subscribed from the start: a start whose answer is broken costs a cool-down of 15 minutes.
    let config_of_sim = SimConfig {
        faults,
        subscribed: true,
        non_objects: 0.02,
        megabyte_records: 0.01,
        oddness: 0.5,
        ..history(4)
    };
    let server = serve(config_of_sim);
    let receiver = Receiver::start();
    let section = Section::new(&server, &tenant(&server, 0)).set("log_level", "debug");
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    let tally = complete(&server, tenant_id(&server), &ContentType::ALL, &receiver);
    assert!(tally.missing.is_empty(), "{tally}: {}", fluent_bit.log());
    tally.assert_complete();
    let events = receiver.events();
    let raw = |event: &&Received| event.metadata["malformed"].as_bool() == Some(true);
    let raw: Vec<_> = events.iter().filter(raw).map(|event| &event.body["raw"]).collect();
    let no_object = |text: &str| !text.starts_with('{');
    assert!(raw.iter().any(|text| text.as_str().is_some_and(no_object)), "no other element");
    let broken = |text: &str| text.starts_with('{') && !crate::json::is_deep(text);
    assert!(raw.iter().any(|text| text.as_str().is_some_and(broken)), "no broken record");
}
