//! Sessions against the simulated Microsoft, in virtual time: what a call returns and when it ends.

use m365_audit_core::{Collector, Operation, Stored};
use m365_sim::{Microsoft, SimConfig};

use super::*;
use crate::bindings::exports::m365_audit::source::source::Cause;
use crate::simulated::{Simulated, config, world};

/// More than any answer here has.
const AMPLE: Limits =
    Limits { max_records: 1_000_000, max_bytes: 16_000_000, deadline_ms: 3_600_000 };

/// A session that comes to an end, on a wire.
fn session(mut wire: Simulated, stored: &Stored) -> Session<Simulated> {
    let config = config(&wire, &[]).once(true);
    let collector = Collector::new(config, stored, 1, wire.now()).unwrap();
    Session::new(collector, wire, Envelope::bare())
}

/// A session that does not, with these options changed.
fn session_for_ever(mut wire: Simulated, changes: &[(&str, &str)]) -> Session<Simulated> {
    let collector = Collector::new(config(&wire, changes), &Stored::new(), 1, wire.now()).unwrap();
    Session::new(collector, wire, Envelope::bare())
}

/// Polls to the end as a host does. Answers the lines and what is stored.
fn collect(
    session: &mut Session<Simulated>,
    stored: &mut Stored,
    limits: &Limits,
    mut look: impl FnMut(&Batch),
) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..100_000 {
        let batch = session.poll(limits).unwrap();
        look(&batch);
        assert_eq!(batch.ndjson.lines().count(), batch.count as usize);
        lines.extend(batch.ndjson.lines().map(ToOwned::to_owned));
        store(stored, &batch);
        if let Some(outcome) = batch.finished {
            assert_eq!(outcome, FinalOutcome::Complete);
            return lines;
        }
        if !batch.more {
            session.wire.world.sleep(batch.wait_ms.into());
        }
    }
    panic!("it does not end");
}

fn store(stored: &mut Stored, batch: &Batch) {
    for Change { key, value } in &batch.changes {
        match value {
            Some(value) => stored.insert(key.clone(), value.clone()),
            None => stored.remove(key),
        };
    }
}

/// Every record of the default content types, sorted.
fn owed(microsoft: &Microsoft) -> Vec<u128> {
    let all = microsoft.owed().filter(|owed| owed.content_type != m365_sim::ContentType::Dlp);
    let mut keys: Vec<_> = all.map(|owed| owed.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[test]
fn limits_are_kept_to_the_record_and_nothing_is_lost_by_them() {
    for (max_records, max_bytes) in [(1, 1_000_000), (7, 1_000_000), (1_000, 10_000), (1_000, 1)] {
        let mut session = session(Simulated::new(world()), &Stored::new());
        let limits = Limits { max_records, max_bytes, ..AMPLE };
        let lines = collect(&mut session, &mut Stored::new(), &limits, |batch| {
            assert!(batch.count <= max_records);
            assert!(batch.ndjson.len() <= max_bytes as usize || batch.count == 1);
        });
        assert_eq!(lines.len(), owed(&session.wire.microsoft).len());
    }
}

#[test]
fn a_start_is_sent_only_after_the_call_that_says_when_it_was() {
    let mut session = session(Simulated::new(world()), &Stored::new());
    let mut announced = 0;
    for _ in 0..100 {
        let batch = session.poll(&AMPLE).unwrap();
        let sent = session.wire.sent.iter().filter(|of| **of == Operation::StartSubscription);
        assert!(sent.count() <= announced, "sent before its time was handed over");
        announced += batch.changes.iter().filter(|c| c.key.starts_with("start/")).count();
        if announced == 4 && batch.count > 0 {
            return;
        }
        if !batch.more {
            session.wire.world.sleep(batch.wait_ms.into());
        }
    }
    panic!("{announced} starts were announced");
}

#[test]
fn any_answer_may_be_lost_and_comes_again() {
    let expected = owed(&Simulated::new(world()).microsoft).len();
    let limits = Limits { max_records: 40, ..AMPLE };
    for lost in [1, 2, 5, 8, 13, 21] {
        let (mut stored, mut lines) = (Stored::new(), Vec::new());
        let mut first = session(Simulated::new(world()), &stored);
        for _ in 1..lost {
            let batch = first.poll(&limits).unwrap();
            lines.extend(batch.ndjson.lines().map(ToOwned::to_owned));
            store(&mut stored, &batch);
        }
        // Neither its records nor its changes arrive.
        first.poll(&limits).unwrap();
        let mut second = session(first.wire, &stored);
        lines.extend(collect(&mut second, &mut stored, &limits, |_| {}));
        let all = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), expected, "answer {lost}");
        // What was stored in part of a blob that one answer could not hold comes again.
        assert!(all <= expected + 40, "{} came again", all - expected);
    }
}

#[test]
fn a_call_ends_in_time_and_the_next_goes_on() {
    let config = SimConfig { latency_ms: 900, subscribed: true, ..world() };
    let mut session = session(Simulated::new(config), &Stored::new());
    let limits = Limits { deadline_ms: 500, ..AMPLE };
    let mut before_ms = session.wire.world.now_ms();
    let mut calls = 0;
    let mut ends = Vec::new();
    while session.finished.is_none() {
        let batch = session.poll(&limits).unwrap();
        ends.push(session.wire.world.now_ms() - before_ms);
        session.wire.world.sleep(if batch.more { 0 } else { batch.wait_ms.into() });
        before_ms = session.wire.world.now_ms();
        calls += 1;
        assert!(calls < 10_000, "it does not end");
    }
    assert!(ends.iter().all(|took| *took <= 500), "{ends:?}");
    let listed = session.wire.sent.iter().filter(|of| **of == Operation::Token).count();
    assert_eq!(listed, 1, "what was under way went on");
}

#[test]
fn a_refused_app_is_a_failure_with_the_remedy_and_no_secret() {
    let wrong = ("client_secret", "hush-hush");
    let mut session = session_for_ever(Simulated::new(world()), &[wrong]);
    let failure = session.poll(&AMPLE).unwrap_err();
    assert_eq!(failure.cause, Cause::Auth);
    assert!(failure.message.contains("AADSTS7000215"), "{}", failure.message);
    assert!(failure.message.contains("remedy: "), "{}", failure.message);
    assert!(failure.notes.iter().any(|note| note.code == "TokenRefusedError"));
    assert!(!format!("{failure:?}").contains("hush-hush"));
    // It is not asked again before that makes sense, and then it is.
    let pause_ms = failure.retry_after_ms.unwrap();
    assert_eq!(session.wire.sent.len(), 1);
    session.poll(&AMPLE).unwrap_err();
    assert_eq!(session.wire.sent.len(), 1);
    session.wire.world.sleep(pause_ms.into());
    session.poll(&AMPLE).unwrap_err();
    assert_eq!(session.wire.sent.len(), 2);
}

/// The options of activities.
fn activities(wire: &Simulated) -> Vec<(&'static str, String)> {
    let tenant = wire.microsoft.tenants()[0].id;
    vec![
        ("source", "cloud_app_activities".into()),
        ("portal_url", wire.microsoft.portal_url(tenant).unwrap()),
        ("activities_lookback", "2d".into()),
    ]
}

#[test]
fn activities_are_collected_with_the_same_calls() {
    let sim = SimConfig {
        activities_per_hour: m365_sim::Span::new(90, 120),
        activity_days: 1.0,
        scan_page_size: 500,
        ..world()
    };
    let mut wire = Simulated::new(sim);
    let options = activities(&wire);
    let changes: Vec<_> = options.iter().map(|(name, value)| (*name, &**value)).collect();
    let config = config(&wire, &changes);
    let collector = Collector::new(config.once(true), &Stored::new(), 1, wire.now()).unwrap();
    let mut session = Session::new(collector, wire, Envelope::bare());
    let mut stored = Stored::new();
    let limits = Limits { max_records: 70, ..AMPLE };
    let mut lines = collect(&mut session, &mut stored, &limits, |_| {});
    lines.sort_unstable();
    let owed = session.wire.microsoft.owed_activities();
    let mut owed: Vec<_> = owed.map(|owed| String::from_utf8(owed.bytes).unwrap()).collect();
    owed.sort_unstable();
    assert!(lines.len() > 1_000 && lines == owed, "{} of {}", lines.len(), owed.len());
    assert!(stored.contains_key("lane/CloudAppActivities"));
    assert!(session.wire.microsoft.report().is_legal());
}

#[test]
fn an_address_that_the_host_denies_is_a_mistake_of_the_configuration() {
    let mut wire = Simulated::new(world());
    wire.denies = Some("https://elsewhere.example");
    let mut session = session_for_ever(wire, &[]);
    let failure = session.poll(&AMPLE).unwrap_err();
    assert_eq!(failure.cause, Cause::Config);
    assert!(failure.message.contains("https://elsewhere.example"), "{}", failure.message);
    assert!(failure.message.contains("remedy: "), "{}", failure.message);
}

#[test]
fn an_outage_is_told_once_a_minute_with_the_next_try_and_its_end() {
    let mut session = session_for_ever(Simulated::new(world()), &[]);
    let mut told = Vec::new();
    let mut poll_for = |session: &mut Session<Simulated>, seconds: u64| {
        let end = session.wire.now().monotonic + Duration::from_secs(seconds);
        told.clear();
        while session.wire.now().monotonic < end {
            let batch = session.poll(&AMPLE).unwrap();
            let at = session.wire.now().monotonic;
            let outages = batch.notes.iter().filter(|note| note.code == "Outage");
            told.extend(outages.map(|note| (at, note.message.clone())));
            if session.wire.cut {
                assert!(batch.wait_ms <= 60_000, "nobody is told for {} ms", batch.wait_ms);
            }
            if !batch.more {
                session.wire.world.sleep(batch.wait_ms.into());
            }
        }
        told.clone()
    };
    assert_eq!(poll_for(&mut session, 600), []);
    session.wire.cut = true;
    let lines = poll_for(&mut session, 900);
    assert!((8..=15).contains(&lines.len()), "{lines:?}");
    assert!(lines.windows(2).all(|pair| Duration::from_secs(60) <= pair[1].0 - pair[0].0));
    let (_, last) = lines.last().unwrap();
    let lasts = last.strip_prefix("no answer from the Management Activity API for ");
    let minutes: u32 = lasts.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((12..=15).contains(&minutes) && last.contains("network is unreachable"), "{last}");
    assert!(last.contains("next try in ") || last.contains("trying now"), "{last}");
    session.wire.cut = false;
    let lines = poll_for(&mut session, 1_200);
    let (_, last) = lines.last().unwrap();
    assert!(last.starts_with("connected again after "), "{lines:?}");
}
