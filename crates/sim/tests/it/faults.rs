//! Faults: each can be reached, is counted, and ends when the world heals.

use std::collections::HashSet;

use m365_sim::{ContentType, Fault, FaultPlan, Rate, Request, Rule, Schedule, SimConfig, Span};

use crate::world::{HOUR_MS, NOW_MS, World, config, stamp};

/// Everything a client may do, once, whatever the answers.
fn touch_everything(world: &mut World) {
    let request = world.token_request();
    world.send(&request);
    for content_type in ContentType::ALL {
        world.post(&format!("subscriptions/stop?contentType={content_type}"));
        world.post(&format!("subscriptions/start?contentType={content_type}"));
    }
    for _ in 0..2 {
        world.get("subscriptions/list");
    }
    let day = format!("startTime={}&endTime={}", stamp(NOW_MS - 24 * HOUR_MS), stamp(NOW_MS));
    for content_type in ContentType::ALL {
        let listed = world.get(&format!("subscriptions/content?contentType={content_type}&{day}"));
        if let Some(next) = listed.next {
            let next = crate::world::with_publisher(&next, world.tenant.id);
            world.once("GET", &next);
        }
        let half = stamp(NOW_MS - 12 * HOUR_MS);
        let half = format!("startTime={half}&endTime={}", stamp(NOW_MS));
        world.get(&format!("subscriptions/content?contentType={content_type}&{half}"));
    }
    let ids: HashSet<_> = world.microsoft.owed().map(|owed| owed.content_id).collect();
    for id in ids.into_iter().take(5) {
        world.get(&format!("audit/{id}"));
    }
    let portal = world.microsoft.portal_url(world.tenant.id).unwrap();
    let token = format!("Token {}", world.microsoft.portal_token(world.tenant.id).unwrap());
    for body in ["{}", r#"{"isScan":true}"#].repeat(4) {
        let request = Request::new("POST", &format!("{portal}/api/v1/activities/"));
        world.send(&request.header("Authorization", &token).body(body));
    }
}

#[test]
fn every_fault_can_be_reached() {
    for fault in Fault::ALL {
        // Twice at most, so that one fault does not hide what comes after it; those of publishing
        // as often as they like.
        let schedule = Schedule { every: 2, times: Some(6), ..Schedule::default() };
        let faults = FaultPlan::none().with_schedule(*fault, schedule);
        let (activities_per_hour, scan_page_size) = (Span::new(20, 30), 50);
        let config = SimConfig { activities_per_hour, scan_page_size, ..config(2) };
        let mut world = World::new(SimConfig { faults, subscribed: true, ..config });
        touch_everything(&mut world);
        let given = world.microsoft.report().faults.get(fault.name()).copied();
        assert!(given.unwrap_or_default() > 0, "{}", fault.name());
    }
}

/// Runs the client, heals the world, runs it again; what is owed must have arrived, nothing else,
/// and no request may have been illegal.
fn overcome(faults: FaultPlan, seed: u64) {
    let mut world =
        World::new(SimConfig { faults, live: false, page_size: 20, days: 0.5, ..config(seed) });
    let types = [ContentType::Exchange, ContentType::Dlp];
    let mut collected: HashSet<Vec<u8>> = world.collect(&types, 2).into_iter().collect();
    world.microsoft.heal();
    world.wait(HOUR_MS);
    world.token_refresh();
    collected.extend(world.collect(&types, 2));
    let owed: Vec<_> = world
        .microsoft
        .owed()
        .filter(|owed| types.contains(&owed.content_type) && owed.available_ms < world.now_ms)
        .collect();
    let known: HashSet<&Vec<u8>> = owed.iter().map(|owed| &owed.bytes).collect();
    assert!(collected.iter().all(|bytes| known.contains(bytes)), "nothing is invented");
    let arrived: HashSet<u128> =
        owed.iter().filter(|owed| collected.contains(&owed.bytes)).map(|owed| owed.key).collect();
    let keys: HashSet<u128> = owed.iter().map(|owed| owed.key).collect();
    assert_eq!(arrived.len(), keys.len());
    let report = world.microsoft.report();
    assert!(report.is_legal(), "{:#?}", report.illegal);
    assert!(!report.faults.is_empty());
}

#[test]
fn faults_of_the_field_can_be_overcome_without_an_illegal_request() {
    for seed in 0..4 {
        overcome(FaultPlan::field(), seed);
    }
}

#[test]
fn hostile_faults_can_be_overcome_without_an_illegal_request() {
    let mut faults = FaultPlan::hostile();
    // The small client has no patience for what only healing cures, believes what is hollow, and
    // goes to the address that it is given.
    for fault in [
        Fault::PoisonBlobForever,
        Fault::CutBlob,
        Fault::HollowBlob,
        Fault::ForeignUri,
        Fault::WrongPath,
        Fault::ForeignPage,
    ] {
        faults.rates.remove(&fault);
    }
    for seed in 0..4 {
        overcome(faults.clone(), seed);
    }
}

#[test]
fn a_poisoned_blob_recovers_after_its_failures_or_when_the_world_heals() {
    let check = |fault, healing: bool| {
        let faults = FaultPlan { poison_times: 3, ..FaultPlan::none().with(fault, 1.0) };
        let mut world = World::new(SimConfig { faults, subscribed: true, ..config(2) });
        let owed = world.microsoft.owed().next().unwrap();
        let operation = format!("audit/{}", owed.content_id);
        let whole = |answer: crate::world::Answer| {
            answer.status == 200 && answer.bytes.windows(owed.bytes.len()).any(|w| w == owed.bytes)
        };
        for _ in 0..3 {
            assert!(!whole(world.get(&operation)));
        }
        if healing {
            assert!(!whole(world.get(&operation)));
            world.microsoft.heal();
        }
        assert!(whole(world.get(&operation)));
    };
    check(Fault::PoisonBlob, false);
    check(Fault::PoisonBlobForever, true);
}

#[test]
fn a_hollow_blob_fills_after_its_time() {
    let faults = FaultPlan { hollow_seconds: 60, ..FaultPlan::none().with(Fault::HollowBlob, 1.0) };
    let mut world = World::new(SimConfig { faults, subscribed: true, ..config(2) });
    let ids: std::collections::BTreeSet<_> =
        world.microsoft.owed().map(|owed| owed.content_id.to_string()).collect();
    let ids: Vec<_> = ids.into_iter().take(60).collect();
    let mut bodies: Vec<_> = ids.iter().map(|id| world.get(&format!("audit/{id}")).bytes).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies, [&b"[]"[..], b"null"]);
    world.now_ms += 60_000;
    assert!(world.get(&format!("audit/{}", ids[0])).bytes.starts_with(b"[{"));
}

#[test]
fn a_damaged_blob_is_whole_up_to_its_damage_until_the_world_heals() {
    for fault in [Fault::CutBlob, Fault::UnescapedBlob] {
        let faults = FaultPlan::none().with(fault, 1.0);
        let mut world = World::new(SimConfig { faults, subscribed: true, ..config(2) });
        let id = world.microsoft.owed().next().unwrap().content_id;
        let broken = world.get(&format!("audit/{id}")).bytes;
        assert!(serde_json::from_slice::<serde_json::Value>(&broken).is_err(), "{fault:?}");
        world.microsoft.heal();
        let whole = world.get(&format!("audit/{id}")).bytes;
        assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok(), "{fault:?}");
        let same = broken.iter().zip(&whole).take_while(|(a, b)| a == b).count();
        assert!(whole[..same].starts_with(b"[{") && same < whole.len(), "{fault:?}");
    }
}

#[test]
fn a_revoked_token_stays_revoked_and_is_no_offence() {
    let schedule = Schedule { times: Some(1), ..Schedule::default() };
    let faults = FaultPlan::none().with_schedule(Fault::Unauthorized, schedule);
    let mut world = World::new(SimConfig { faults, ..config(2) });
    assert_eq!(world.get("subscriptions/list").status, 401);
    assert_eq!(world.get("subscriptions/list").status, 401);
    world.token_refresh();
    assert_eq!(world.get("subscriptions/list").status, 200);
    assert!(world.microsoft.report().is_legal());
}

#[test]
fn a_token_sent_to_a_foreign_address_is_recorded() {
    let faults = FaultPlan::none().with(Fault::ForeignUri, 1.0);
    let mut world = World::new(SimConfig { faults, subscribed: true, ..config(2) });
    let listed = world.get("subscriptions/content?contentType=Audit.Exchange");
    let entries: serde_json::Value = serde_json::from_str(&listed.text).unwrap();
    let uri = entries[0]["contentUri"].as_str().unwrap().to_owned();
    assert!(uri.starts_with("https://manage.office.com.attacker.example/"), "{uri}");
    assert_ne!(world.once("GET", &uri).status, 200);
    assert_eq!(world.microsoft.report().illegal[0].rule, Rule::TokenLeak);
}

#[test]
fn schedules_bound_faults_in_time_and_number() {
    let schedule = Schedule { from_s: 60, until_s: Some(120), every: 2, ..Schedule::default() };
    let faults = FaultPlan::none().with_schedule(Fault::Unavailable, schedule);
    let mut world = World::new(SimConfig { faults, ..config(2) });
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(world.get("subscriptions/list").status);
        world.wait(10_000);
    }
    let failed: Vec<usize> = (0..20).filter(|at| statuses[*at] == 503).collect();
    assert_eq!(failed, [7, 9, 11], "every second one, from 60 s to 120 s");
}

#[test]
fn presets_survive_serialisation_and_unknown_names_are_refused() {
    for plan in [FaultPlan::none(), FaultPlan::field(), FaultPlan::hostile()] {
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<FaultPlan>(&json).unwrap(), plan);
    }
    let unknown =
        [r#"{"rates":{"resett":0.1}}"#, r#"{"burst":1}"#, r#"{"rates":{"reset":{"p":1}}}"#];
    for json in unknown {
        assert!(serde_json::from_str::<FaultPlan>(json).is_err(), "{json}");
    }
    let plan: FaultPlan = serde_json::from_str(r#"{"rates":{"reset":{"every":3}}}"#).unwrap();
    let expected = Schedule { every: 3, ..Schedule::default() };
    assert_eq!(plan.rates[&Fault::Reset], Rate::Schedule(expected));
}
