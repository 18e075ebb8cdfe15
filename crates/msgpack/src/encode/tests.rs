//! Events as a msgpack reader sees them.

use super::*;
use proptest::prelude::*;
use rmpv::Value;

const METADATA: Metadata<'_> = Metadata {
    content_type: "Audit.General",
    content_id: "a$b",
    content_created: "2026-07-29T21:35:19.875Z",
    tenant_id: "b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd",
};
const TIME: Timestamp = Timestamp { seconds: 1_785_360_919, nanoseconds: 123_456_789 };
const DEPTH_MAX: usize = 31;

/// The events that come out for records, read back.
fn events(records: &[&[u8]]) -> Vec<Value> {
    let mut encoder = Encoder::new(DEPTH_MAX);
    encoder.set_metadata(&METADATA);
    for record in records {
        encoder.push(record, TIME);
    }
    let mut rest = encoder.events();
    let mut events = Vec::new();
    while !rest.is_empty() {
        events.push(rmpv::decode::read_value(&mut rest).unwrap());
    }
    events
}

/// The one event of a record: metadata and body.
fn event(record: &[u8]) -> (Value, Value) {
    let events = events(&[record]);
    let [Value::Array(event)] = events.as_slice() else { panic!("one event: {events:?}") };
    let [Value::Array(head), body] = event.as_slice() else { panic!("two parts: {event:?}") };
    let [time, metadata] = head.as_slice() else { panic!("two parts: {head:?}") };
    let seconds = [0x6a, 0x6a, 0x72, 0x17];
    let nanoseconds = [0x07, 0x5b, 0xcd, 0x15];
    assert_eq!(*time, Value::Ext(0, [seconds, nanoseconds].concat()));
    (metadata.clone(), body.clone())
}

fn metadata(malformed: bool) -> Value {
    let mut members: Vec<(Value, Value)> = vec![
        ("content_type".into(), "Audit.General".into()),
        ("content_id".into(), "a$b".into()),
        ("content_created".into(), "2026-07-29T21:35:19.875Z".into()),
        ("tenant_id".into(), "b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd".into()),
    ];
    if malformed {
        members.push(("malformed".into(), true.into()));
    }
    Value::Map(members)
}

/// The body's one member is what `json` becomes.
#[track_caller]
fn check(json: &str, expected: impl Into<Value>) {
    let (found, body) = event(format!("{{\"k\":{json}}}").as_bytes());
    assert_eq!(found, metadata(false));
    assert_eq!(body, Value::Map(vec![("k".into(), expected.into())]), "{json}");
}

#[track_caller]
fn check_malformed(record: &[u8], raw: impl Into<Value>) {
    let (found, body) = event(record);
    assert_eq!(found, metadata(true));
    assert_eq!(body, Value::Map(vec![("raw".into(), raw.into())]));
}

#[test]
fn values_become_their_counterparts() {
    check("null", Value::Nil);
    check("true", true);
    check("false", false);
    check("1.5", 1.5);
    check("-0", -0.0);
    check(r#""a\"\u00e4\ud83d\ude00""#, "a\"ä😀");
    check(
        r#"[{},[],{"a":[1]}]"#,
        Value::Array(vec![
            Value::Map(vec![]),
            Value::Array(vec![]),
            Value::Map(vec![("a".into(), Value::Array(vec![1.into()]))]),
        ]),
    );
}

#[test]
fn what_msgpack_cannot_hold_exactly_travels_as_text() {
    check("18446744073709551615", u64::MAX);
    check("18446744073709551616", "18446744073709551616");
    check("-9223372036854775808", i64::MIN);
    check("-9223372036854775809", "-9223372036854775809");
    check("9007199254740993", 9_007_199_254_740_993_u64);
    check("1e400", "1e400");
    check(r#""\ud83d""#, r"\ud83d");
}

#[test]
fn what_is_known_of_a_record_stands_behind_what_is_known_of_its_batch() {
    let enrichment = Enrichment {
        record_type_name: Some("SharePointFileOperation"),
        user_type_name: Some("Regular"),
        client_address: Some([10, 0, 0, 1].into()),
        client_port: Some(5_678),
    };
    let mut encoder = Encoder::new(DEPTH_MAX);
    encoder.set_metadata(&METADATA);
    let beside = Beside { enrichment: Some(enrichment), redacted: true };
    let nothing = Beside { enrichment: Some(Enrichment::default()), redacted: false };
    let said: [(&[u8], _); 4] =
        [(b"{}", beside), (b"tru", beside), (b"{\"a\":1}", nothing), (b"{}", Beside::default())];
    for (record, beside) in said {
        encoder.push_with(record, TIME, &beside);
    }
    let mut rest = encoder.events();
    for (_, said) in said {
        let event = rmpv::decode::read_value(&mut rest).unwrap();
        let Value::Map(found) = event[0][1].clone() else { panic!("{event}") };
        let Value::Map(mut expected) = metadata(event[1]["raw"] != Value::Nil) else { panic!() };
        if said.redacted {
            expected.extend([
                ("record_type_name".into(), "SharePointFileOperation".into()),
                ("user_type_name".into(), "Regular".into()),
                ("client_address".into(), "10.0.0.1".into()),
                ("client_port".into(), 5_678.into()),
                ("redacted".into(), true.into()),
            ]);
        }
        assert_eq!(found, expected);
    }
    assert!(rest.is_empty());
    // Without metadata there is no place for it.
    let mut plain = Encoder::new(DEPTH_MAX);
    plain.push_with(b"{}", TIME, &beside);
    let mut alone = Encoder::new(DEPTH_MAX);
    alone.push(b"{}", TIME);
    assert_eq!(plain.events(), alone.events());
}

#[test]
fn duplicate_keys_stay() {
    let (_, body) = event(br#"{"a":1,"A":2,"a":3}"#);
    let members = [("a", 1), ("A", 2), ("a", 3)].map(|(key, value)| (key.into(), value.into()));
    assert_eq!(body, Value::Map(members.into()));
}

#[test]
fn integers_take_the_shortest_form() {
    for value in [0, 127, 128, 255, 256, 65_535, 65_536, u32::MAX.into(), u64::MAX >> 20] {
        check_bytes(&value.to_string(), &Value::from(value));
    }
    for value in [-1, -32, -33, -128, -129, -32_768, -32_769, i32::MIN.into(), i64::MIN >> 9] {
        check_bytes(&value.to_string(), &Value::from(value));
    }
}

/// `json` takes as many bytes as the reference writer needs for `value`.
#[track_caller]
fn check_bytes(json: &str, value: &Value) {
    let mut encoder = Encoder::new(DEPTH_MAX);
    encoder.set_metadata(&METADATA);
    encoder.push(format!("{{\"k\":{json}}}").as_bytes(), TIME);
    let mut expected = Vec::new();
    rmpv::encode::write_value(&mut expected, value).unwrap();
    assert!(encoder.events().ends_with(&expected), "{value}");
    check(json, value.clone());
}

#[test]
fn strings_of_every_length_take_the_shortest_header() {
    for length in (0..300).chain([65_535, 65_536, 70_000]) {
        for tail in ["".into(), " ".repeat(80)] {
            let text = "x".repeat(length);
            check_bytes(&format!("\"{text}\"{tail}"), &text.as_str().into());
            let text = text.replacen('x', "\n", 1);
            let json = text.replace('\n', "\\n");
            check_bytes(&format!("\"{json}\"{tail}"), &text.as_str().into());
        }
    }
}

#[test]
fn containers_of_every_size_count_right() {
    for count in [0, 1, 15, 16, 17, 300, 65_535, 65_536] {
        let list = vec!["1"; count].join(",");
        check(&format!("[{list}]"), Value::Array(vec![1.into(); count]));
        let members = vec!["\"a\":1"; count].join(",");
        let expected = Value::Map(vec![("a".into(), 1.into()); count]);
        check(&format!("{{{members}}}"), expected.clone());
        let (_, body) = event(format!("{{{members}}}").as_bytes());
        assert_eq!(body, expected);
    }
}

#[test]
fn headers_that_grow_inside_each_other_stay_in_place() {
    let wide = |inner: &str| format!("[{inner}{}]", ",2".repeat(20));
    let json = wide(&wide(&wide("1")));
    let expect = |inner: Value| {
        let mut elements = vec![inner];
        elements.resize(21, 2.into());
        Value::Array(elements)
    };
    check(&json, expect(expect(expect(1.into()))));
}

#[test]
fn a_record_that_is_no_object_travels_as_text_and_says_so() {
    for record in ["", "1", "null", "[1]", "\"x\"", "{", "{\"a\":01}", "{\"a\":\"\n\"}", "{}x"] {
        check_malformed(record.as_bytes(), record);
    }
    check_malformed(b"{\"a\":\"\xff\"}", Value::Binary(b"{\"a\":\"\xff\"}".to_vec()));
}

#[test]
fn a_record_that_nests_too_deep_travels_as_text() {
    let deep = |depth: usize| ["{\"a\":".repeat(depth), "1".into(), "}".repeat(depth)].concat();
    let (found, _) = event(deep(DEPTH_MAX).as_bytes());
    assert_eq!(found, metadata(false));
    let too_deep = deep(DEPTH_MAX + 1);
    check_malformed(too_deep.as_bytes(), too_deep.as_str());
}

#[test]
fn a_malformed_record_leaves_its_neighbours_alone() {
    let good = br#"{"a":1}"#.as_slice();
    let bad = br#"{"a":[1,{"b":tru"#.as_slice();
    let alone = events(&[good]);
    let together = events(&[good, bad, good]);
    assert_eq!([&together[0], &together[2]], [&alone[0], &alone[0]]);
}

#[test]
fn the_event_time_stays_within_what_fluent_bit_can_say() {
    let at = |seconds| event_time(Timestamp { seconds, nanoseconds: 1 });
    assert_eq!(at(-62_135_510_400), [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(at(1), [0, 0, 0, 1, 0, 0, 0, 1]);
    // The year 9999. Two seconds more would make it a group's mark, and no record.
    assert_eq!(at(253_402_300_799), [255, 255, 255, 253, 0, 0, 0, 1]);
}

/// The events of the records of `body`, which comes in pieces of `step` bytes, in one look.
fn one_look(body: &[u8], step: usize, mut encoder: Encoder) -> Vec<u8> {
    encoder.set_metadata(&METADATA);
    let mut splitter = Splitter::new(100_000);
    for piece in body.chunks(step) {
        splitter.push(piece.to_vec().into());
        while let Some((item, encoded)) = encoder.push_next(&mut splitter, |_| TIME).unwrap() {
            let Item::Record(split) = item else { continue };
            let object = split.raw.starts_with(b"{") && !split.raw.contains(&0xff);
            assert_eq!(encoded == Encoded::Members, object, "{}", split.raw.escape_ascii());
        }
    }
    splitter.finish().unwrap();
    encoder.events().to_vec()
}

#[test]
fn events_are_the_same_in_one_look_and_in_two() {
    let long = format!(r#"{{"a":"{}","b":["\n\u00e4ä"],"Id":"x"}}"#, "y".repeat(300));
    let huge = format!(r#"{{"a":"{}"}}"#, "y".repeat(100_000));
    let records: [&[u8]; 7] = [
        b"{}",
        long.as_bytes(),
        b"[1]",
        b"{\"a\":\"\xff\"}",
        b"null",
        b"{\"a\":{}}",
        long.as_bytes(),
    ];
    let body = [b"[", &records.join(&b","[..])[..], b",", huge.as_bytes(), b"]"].concat();
    let envelope = || Envelope { record_key: Some("r".into()), ..Envelope::bare() };
    let encoders: [&dyn Fn() -> Encoder; 2] =
        [&|| Encoder::new(DEPTH_MAX), &|| Encoder::with_envelope(DEPTH_MAX, envelope())];
    for encoder in encoders {
        let mut expected = encoder();
        expected.set_metadata(&METADATA);
        for record in records {
            expected.push(record, TIME);
        }
        for step in [1, 7, 64, 500, body.len()] {
            assert!(one_look(&body, step, encoder()) == expected.events(), "by {step}");
        }
    }
}

#[test]
fn clearing_the_events_begins_anew() {
    let mut encoder = Encoder::new(DEPTH_MAX);
    encoder.set_metadata(&METADATA);
    assert_eq!(encoder.push(b"{}", TIME), Encoded::Members);
    let first = encoder.events().to_vec();
    encoder.clear();
    assert!(encoder.events().is_empty());
    assert_eq!(encoder.push(b"{}", TIME), Encoded::Members);
    assert_eq!(encoder.events(), first);
    encoder.clear();
    assert_eq!(encoder.push(b"[]", TIME), Encoded::Malformed);
    assert_ne!(encoder.events(), first);
}

/// Values whose text serde_json writes.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1000..1000_i16).prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[a-zA-Z0-9 @.:/-]{0,90}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 100, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Into::into),
            prop::collection::btree_map("[a-zA-Z]{0,40}", inner, 0..20)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// What a JSON value is in msgpack.
fn counterpart(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::Number(number) => number
            .as_u64()
            .map(Value::from)
            .or_else(|| number.as_i64().map(Value::from))
            .unwrap_or_else(|| number.as_f64().unwrap().into()),
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(elements) => elements.iter().map(counterpart).collect(),
        serde_json::Value::Object(members) => {
            let members = members.iter();
            Value::Map(members.map(|(k, v)| (k.as_str().into(), counterpart(v))).collect())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn bodies_are_what_the_records_say(value in json(), pretty: bool) {
        let record = serde_json::json!({ "k": value });
        let text = if pretty {
            serde_json::to_string_pretty(&record).unwrap()
        } else {
            record.to_string()
        };
        let (found, body) = event(text.as_bytes());
        prop_assert_eq!(found, metadata(false));
        prop_assert_eq!(body, counterpart(&record));
    }

    #[test]
    fn any_bytes_become_one_event(record: Vec<u8>) {
        let (_, body) = event(&record);
        prop_assert!(body.is_map());
    }
}

#[test]
fn events_without_metadata_are_a_time_and_a_body() {
    let mut encoder = Encoder::new(DEPTH_MAX);
    assert_eq!(encoder.push(br#"{"a":1}"#, TIME), Encoded::Members);
    assert_eq!(encoder.push(b"[1]", TIME), Encoded::Malformed);
    let mut rest = encoder.events();
    let time = || Value::Ext(0, vec![0x6a, 0x6a, 0x72, 0x17, 0x07, 0x5b, 0xcd, 0x15]);
    let body = Value::Map(vec![("a".into(), 1.into())]);
    let event = rmpv::decode::read_value(&mut rest).unwrap();
    assert_eq!(event, Value::Array(vec![time(), body]));
    let body = Value::Map(vec![("malformed".into(), true.into()), ("raw".into(), "[1]".into())]);
    let event = rmpv::decode::read_value(&mut rest).unwrap();
    assert_eq!(event, Value::Array(vec![time(), body]));
    assert!(rest.is_empty());
}

/// The head and the body of a record's event in an envelope.
#[track_caller]
fn in_envelope(envelope: Envelope, record: &[u8], beside: &Beside) -> (Value, Value) {
    let mut encoder = Encoder::with_envelope(DEPTH_MAX, envelope);
    encoder.set_metadata(&METADATA);
    // Two of them, so that what is left over would show.
    encoder.push_with(record, TIME, beside);
    encoder.push_with(record, TIME, beside);
    let mut rest = encoder.events();
    let first = rmpv::decode::read_value(&mut rest).unwrap();
    assert_eq!(rmpv::decode::read_value(&mut rest).unwrap(), first);
    assert!(rest.is_empty());
    assert!(matches!(first[0][0], Value::Ext(0, _)), "{first}");
    (first[0][1].clone(), first[1].clone())
}

/// A map from pairs.
fn map(members: &[(&str, Value)]) -> Value {
    Value::Map(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn place(place: MetadataPlace) -> Envelope {
    Envelope { metadata: Some(place), ..Envelope::bare() }
}

#[test]
fn metadata_stand_in_the_record_or_nowhere_if_it_is_asked_for() {
    let record = br#"{"a":{"b":1.5}}"#;
    let own = ("a", map(&[("b", 1.5.into())]));
    let none = Value::Map(Vec::new());
    let nothing = Beside::default();
    let inside = || place(MetadataPlace::Record);
    assert_eq!(
        in_envelope(inside(), record, &nothing),
        (none.clone(), map(&[own.clone(), ("m365_audit", metadata(false))]))
    );
    let raw = ("raw", "{1}".into());
    assert_eq!(
        in_envelope(inside(), b"{1}", &nothing),
        (none.clone(), map(&[raw.clone(), ("m365_audit", metadata(true))]))
    );
    let off = || place(MetadataPlace::Off);
    assert_eq!(
        in_envelope(off(), record, &nothing),
        (none.clone(), map(std::slice::from_ref(&own)))
    );
    assert_eq!(
        in_envelope(off(), b"{1}", &nothing),
        (none.clone(), map(&[("malformed", true.into()), raw]))
    );
    // With what is known of the record itself.
    let (_, body) = in_envelope(inside(), record, &Beside { enrichment: None, redacted: true });
    assert_eq!(body["m365_audit"]["redacted"], true.into());
    // Nothing of it is in the way of what was.
    let event = || Envelope { metadata: None, ..Envelope::bare() };
    assert_eq!(in_envelope(event(), record, &nothing), (metadata(false), map(&[own])));
}

#[test]
fn a_tenant_that_has_a_name_is_called_by_it_wherever_metadata_stand() {
    let nothing = Beside { enrichment: None, redacted: true };
    let named = |place| Envelope { tenant_name: Some("contoso".into()), ..self::place(place) };
    for record in [&br#"{"a":1}"#[..], b"tru"] {
        let (head, _) = in_envelope(named(MetadataPlace::Event), record, &nothing);
        let (_, body) = in_envelope(named(MetadataPlace::Record), record, &nothing);
        for metadata in [&head, &body["m365_audit"]] {
            assert_eq!(metadata["tenant_name"], "contoso".into());
            assert_eq!(metadata["redacted"], true.into());
        }
    }
}

#[test]
fn records_are_nested_and_get_members_as_it_is_asked_for() {
    let nothing = Beside::default();
    let wazuh = |metadata| Envelope {
        metadata: Some(metadata),
        metadata_key: "meta".into(),
        record_key: Some("office365".into()),
        add_fields: vec![("integration".into(), "office365".into())],
        content_type_field: Some("Subscription".into()),
        tenant_name: None,
    };
    let feed = ("Subscription", "Audit.General".into());
    let nested = ("office365", map(&[("a", 1.into()), feed.clone()]));
    let added = ("integration", "office365".into());
    let record = br#"{"a":1}"#;
    let (head, body) = in_envelope(wazuh(MetadataPlace::Event), record, &nothing);
    assert_eq!((head, body), (metadata(false), map(&[nested.clone(), added.clone()])));
    let (_, body) = in_envelope(wazuh(MetadataPlace::Record), record, &nothing);
    assert_eq!(body, map(&[nested, added.clone(), ("meta", metadata(false))]));
    let flat = Envelope { record_key: None, ..wazuh(MetadataPlace::Off) };
    let (_, body) = in_envelope(flat, record, &nothing);
    assert_eq!(body, map(&[("a", 1.into()), feed.clone(), added.clone()]));
    let (_, body) = in_envelope(wazuh(MetadataPlace::Off), b"tru", &nothing);
    let raw = map(&[("malformed", true.into()), ("raw", "tru".into()), feed]);
    assert_eq!(body, map(&[("office365", raw), added]));
    // More members than a short header counts, of either.
    let many =
        format!("{{{}}}", (0..70_000).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    let (_, body) = in_envelope(place(MetadataPlace::Record), many.as_bytes(), &nothing);
    assert_eq!(body.as_map().unwrap().len(), 70_001);
    assert_eq!(body["m365_audit"], metadata(false));
    let edge =
        format!("{{{}}}", (0..65_535).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    let (_, body) = in_envelope(place(MetadataPlace::Record), edge.as_bytes(), &nothing);
    assert_eq!(body.as_map().unwrap().len(), 65_536);
    let add_fields = (0..20).map(|n| (format!("f{n}").into(), "x".into())).collect();
    let (_, body) = in_envelope(Envelope { add_fields, ..Envelope::bare() }, b"{}", &nothing);
    assert_eq!(body.as_map().unwrap().len(), 20);
}

#[test]
fn what_nests_a_record_counts_among_its_levels() {
    let nothing = Beside::default();
    let nested = Envelope { record_key: Some("r".into()), ..Envelope::bare() };
    for (levels, fits) in [(DEPTH_MAX - 1, true), (DEPTH_MAX, false)] {
        let record = format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let (_, body) = in_envelope(nested.clone(), record.as_bytes(), &nothing);
        assert_eq!(body["r"]["raw"].is_nil(), fits, "{levels}");
        let (_, body) = in_envelope(Envelope::bare(), record.as_bytes(), &nothing);
        assert!(body["raw"].is_nil());
    }
}

#[test]
fn a_member_of_the_same_name_stays_and_is_told_once() {
    let mut encoder = Encoder::with_envelope(DEPTH_MAX, place(MetadataPlace::Record));
    encoder.set_metadata(&METADATA);
    encoder.push(br#"{"a":1}"#, TIME);
    assert_eq!(encoder.take_taken(), None);
    encoder.clear();
    encoder.push(br#"{"m365_audit":1}"#, TIME);
    encoder.push(br#"{"m365_audit":1}"#, TIME);
    let event = rmpv::decode::read_value(&mut encoder.events()).unwrap();
    assert_eq!(event[1], map(&[("m365_audit", 1.into()), ("m365_audit_", metadata(false))]));
    let told = encoder.take_taken().unwrap();
    assert_eq!((&*told.asked, &*told.given), ("m365_audit", "m365_audit_"));
    encoder.push(br#"{"m365_audit":1}"#, TIME);
    assert_eq!(encoder.take_taken(), None);
}
