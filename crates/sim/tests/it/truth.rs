//! The truth: what is owed is what a full walk returns, byte for byte, and every run of a seed
//! tells the same.

use std::collections::HashSet;

use m365_sim::{ContentType, Fault, FaultPlan, ListingOrder, Owed, Rules, SimConfig, Span};

use crate::world::{HOUR_MS, NOW_MS, World, config};

fn owed_bytes(world: &World) -> HashSet<Vec<u8>> {
    world.microsoft.owed().map(|owed| owed.bytes).collect()
}

#[test]
fn a_full_walk_returns_what_is_owed() {
    for listing_order in [ListingOrder::Created, ListingOrder::Available] {
        let rules = Rules { listing_order, ..Rules::default() };
        let mut world = World::new(SimConfig { rules, live: false, ..config(11) });
        let collected: HashSet<Vec<u8>> = world.collect(&ContentType::ALL, 2).into_iter().collect();
        let owed = owed_bytes(&world);
        assert!(owed.len() > 1_000, "{}", owed.len());
        assert_eq!(collected, owed);
        assert!(world.microsoft.report().is_legal(), "{:?}", world.microsoft.report().illegal);
    }
}

#[test]
fn a_seed_always_tells_the_same() {
    let tell = |seed| {
        let faults = FaultPlan::hostile();
        let mut world = World::new(SimConfig { faults, ..config(seed) });
        for hour in 0..30 {
            world.microsoft.advance(NOW_MS + hour * HOUR_MS);
        }
        world.microsoft.owed().map(|owed| (owed.content_id, owed.bytes)).collect::<Vec<_>>()
    };
    assert!(tell(1) == tell(1));
    assert!(tell(1) != tell(2));
}

#[test]
fn answers_under_faults_are_the_same_in_each_run() {
    let tell = || {
        let mut world = World::new(SimConfig { faults: FaultPlan::hostile(), ..config(4) });
        let list = world.url("subscriptions/list");
        let answers = (0..300).map(|_| world.once("GET", &list));
        answers.map(|answer| (answer.status, answer.bytes, answer.headers)).collect::<Vec<_>>()
    };
    assert!(tell() == tell());
}

#[test]
fn records_are_json_unless_marked() {
    let faults = FaultPlan { malformed_records: 0.05, ..FaultPlan::none() };
    let world = World::new(SimConfig { faults, oddness: 0.5, non_objects: 0.01, ..config(6) });
    let (mut good, mut bad) = (0, 0);
    for owed in world.microsoft.owed() {
        // A lone surrogate is JSON by its grammar, but no text: serde_json refuses it.
        let text =
            String::from_utf8_lossy(&owed.bytes).replace(r"\ud83d", "").replace(r"\ude00", "");
        let value = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
        let utf8 = std::str::from_utf8(&owed.bytes).is_ok();
        assert_eq!(value.is_ok() && utf8, !owed.malformed, "{text}");
        if let (Ok(value), Some(id)) = (&value, owed.id) {
            assert_eq!(value["Id"], id.to_string());
            assert_eq!(owed.key, id.0);
        }
        if owed.malformed { bad += 1 } else { good += 1 }
    }
    assert!(good > 500 && bad > 20, "{good} {bad}");
}

#[test]
fn records_show_all_oddities() {
    let world = World::new(SimConfig { oddness: 1.0, ..config(6) });
    let all: Vec<u8> = world.microsoft.owed().flat_map(|owed| owed.bytes).collect();
    let all = String::from_utf8(all).unwrap();
    for odd in [
        "9007199254740993",
        r"\ud83d and",
        r"https:\/\/",
        r#"\",\r\n\"Value"#,
        r#""Scope":1"#,
        r#""RecordType":117"#,
        r#""RecordType":-1"#,
        r#""ModifiedProperties":["Name""#,
        r#""ExtraProperties":{}"#,
        "::ffff:",
        "localhost:12345",
        "0000Z",
        " : ",
        "1E+2",
        r"\u0000",
        "検査",
        r#""creationTime":null"#,
        r#""SharedBy":[null]"#,
        r"(15.20.225.32)\n",
    ] {
        assert!(all.contains(odd), "{odd}");
    }
    assert!(world.microsoft.owed().any(|owed| owed.id.is_none()));
    let timeless = |owed: &Owed| !String::from_utf8_lossy(&owed.bytes).contains("\"CreationTime\"");
    assert!(world.microsoft.owed().any(|owed| timeless(&owed)));
}

#[test]
fn record_types_and_sizes_vary() {
    let world = World::new(SimConfig { record_bytes: Span::new(500, 20_000), ..config(6) });
    let mut types = HashSet::new();
    let mut sizes = Vec::new();
    for owed in world.microsoft.owed() {
        let text = String::from_utf8_lossy(&owed.bytes).into_owned();
        if let Some(at) = text.find("\"RecordType\":") {
            types.insert(text[at + 13..].split([',', '}']).next().unwrap().to_owned());
        }
        sizes.push(owed.bytes.len());
    }
    assert!(types.len() > 20, "{types:?}");
    sizes.sort_unstable();
    assert!(sizes[0] < 700 && *sizes.last().unwrap() > 15_000, "{sizes:?}");
    assert!(*sizes.last().unwrap() < 22_000);
}

#[test]
fn a_redelivered_record_is_the_same_in_another_order() {
    let faults = FaultPlan::none().with(Fault::RedeliveredBlob, 0.3);
    let world = World::new(SimConfig { faults, ..config(6) });
    let mut first = std::collections::HashMap::new();
    let mut copies = 0;
    for owed in world.microsoft.owed().filter(|owed| owed.id.is_some() && !owed.malformed) {
        if let Some((content_id, bytes)) = first.get(&owed.key) {
            assert_ne!(*content_id, owed.content_id);
            assert_ne!(*bytes, owed.bytes, "the order differs");
            let sorted = |bytes: &Vec<u8>| {
                let mut bytes = bytes.clone();
                bytes.sort_unstable();
                bytes
            };
            assert_eq!(sorted(bytes), sorted(&owed.bytes), "the fields do not");
            copies += 1;
        } else {
            first.insert(owed.key, (owed.content_id, owed.bytes));
        }
    }
    assert!(copies > 50, "{copies}");
}

#[test]
fn late_content_appears_in_windows_already_listed() {
    let faults = FaultPlan::none().with(Fault::LateBlob, 1.0);
    let mut world = World::new(SimConfig { faults, live: false, ..config(6) });
    let early = world.collect(&[ContentType::General], 1).len();
    world.wait(4 * HOUR_MS);
    world.token_refresh();
    let late = world.collect(&[ContentType::General], 2).len();
    assert!(early < late, "{early} {late}");
    let owed = world.microsoft.owed().filter(|owed| owed.content_type == ContentType::General);
    assert_eq!(late, owed.count());
}

#[test]
fn expirations_are_7_14_and_21_days() {
    let world = World::new(config(6));
    let days: HashSet<i64> = world
        .microsoft
        .owed()
        .map(|owed| (owed.expires_ms - owed.created_ms + HOUR_MS) / (24 * HOUR_MS))
        .collect();
    assert_eq!(days, HashSet::from([7, 14, 21]));
}

#[test]
fn a_big_blob_is_made_as_it_is_read() {
    let blob_bytes = Some(64 << 20);
    let mut world = World::new(SimConfig { blob_bytes, subscribed: true, days: 0.1, ..config(6) });
    let id = {
        let mut counts = std::collections::HashMap::<_, usize>::new();
        for owed in world.microsoft.owed() {
            *counts.entry(owed.content_id).or_default() += owed.bytes.len();
        }
        counts.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap().0
    };
    let token = format!("Bearer {}", world.token());
    let url = world.url(&format!("audit/{id}"));
    let request = m365_sim::Request::new("GET", &url).header("Authorization", &token);
    let mut reply = world.microsoft.handle(world.now_ms, &request);
    assert_eq!(reply.header("content-length"), None);
    let (mut total, mut largest, mut last) = (0, 0, 0);
    while let Some(chunk) = reply.body.next_chunk() {
        total += chunk.len();
        largest = largest.max(chunk.len());
        last = *chunk.last().unwrap();
    }
    assert!((64 << 20..65 << 20).contains(&total), "{total}");
    assert!(largest < 80 * 1024, "{largest}");
    assert_eq!(last, b']');
}

#[test]
fn a_published_blob_is_listed_at_once() {
    let mut world = World::new(SimConfig { subscribed: true, ..config(6) });
    let tenant = world.tenant.id;
    let published = world.microsoft.publish(NOW_MS, tenant, ContentType::General).unwrap();
    world.wait(1);
    let window = "startTime=2026-09-21T14:13:20&endTime=2026-09-21T14:14:00";
    let content = "subscriptions/content?contentType=Audit.General";
    let listed = world.get(&format!("{content}&{window}"));
    assert!(listed.text.contains(&published.content_id), "{}", listed.text);
    assert!(world.microsoft.owed().any(|owed| *owed.content_id == *published.content_id));
}

#[test]
fn the_rate_of_live_publishing_holds_from_the_start() {
    let live_blobs_per_hour = Some(Span::new(60, 60));
    let mut world = World::new(SimConfig { live_blobs_per_hour, ..config(6) });
    world.microsoft.advance(NOW_MS + HOUR_MS);
    let blobs = |from_ms: i64| {
        let owed = world.microsoft.owed().filter(|owed| {
            owed.content_type == ContentType::General
                && (from_ms..from_ms + HOUR_MS / 2).contains(&owed.created_ms)
        });
        owed.map(|owed| owed.content_id).collect::<HashSet<_>>().len()
    };
    assert!((15..=45).contains(&blobs(NOW_MS)), "{}", blobs(NOW_MS));
    assert!(blobs(NOW_MS - HOUR_MS / 2) <= 4);
}

#[test]
fn publishing_goes_on_only_when_live() {
    let count = |live| {
        let mut world = World::new(SimConfig { live, ..config(6) });
        world.microsoft.advance(NOW_MS + 10 * HOUR_MS);
        world.microsoft.owed().filter(|owed| owed.created_ms > NOW_MS).count()
    };
    assert_eq!(count(false), 0);
    assert!(count(true) > 100);
}
