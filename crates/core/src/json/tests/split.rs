//! What the splitter makes of bodies, whole, in pieces, and damaged.

use super::super::*;
use super::corpus;
use super::walk::Journal;
use bytes::Bytes;
use proptest::prelude::*;

/// Everything a splitter says about a body that arrives in `chunks`; the same with a visitor as
/// without, which is told what a walk over each record tells.
fn run<'a>(
    record_bytes_max: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Item>, Result<Finish, SplitError>) {
    let chunks: Vec<_> = chunks.into_iter().collect();
    let alone = drain(record_bytes_max, &chunks, Splitter::poll);
    let mut journal = Journal::default();
    let mut visited = drain(record_bytes_max, &chunks, |splitter| {
        let item = splitter.poll_with(DEPTH_MAX, &mut journal)?;
        if let Some(Item::Record(split)) = &item {
            let mut again = Journal::default();
            let is_json = walk(&split.raw, DEPTH_MAX, &mut again).is_ok();
            assert_eq!(split.told, is_json && split.kind == RecordKind::Object);
            assert!(!split.told || journal.told() == again.told(), "{journal:?} {again:?}");
        }
        Ok(item)
    });
    for item in &mut visited.0 {
        if let Item::Record(split) = item {
            split.told = false;
        }
    }
    assert_eq!(visited, alone);
    alone
}

fn drain(
    record_bytes_max: usize,
    chunks: &[&[u8]],
    mut poll: impl FnMut(&mut Splitter) -> Result<Option<Item>, SplitError>,
) -> (Vec<Item>, Result<Finish, SplitError>) {
    let mut splitter = Splitter::new(record_bytes_max).lifting_more(record_bytes_max % 2 == 1);
    let mut items = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        loop {
            match poll(&mut splitter) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(poll(&mut splitter), Err(error.clone()), "an error stays");
                    assert_eq!(splitter.finish(), Err(error.clone()), "an error stays");
                    return (items, Err(error));
                }
            }
        }
    }
    let finish = splitter.finish();
    (items, finish)
}

fn raws(items: &[Item]) -> Vec<String> {
    let raw = |item: &Item| match item {
        Item::Record(split) => split.raw.escape_ascii().to_string(),
        Item::Oversized { bytes } => format!("<{bytes} bytes>"),
    };
    items.iter().map(raw).collect()
}

/// The records of `body` and how it ended, the same for all chunk sizes.
#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: &[&str], ending: Result<u64, &str>) {
    let body = body.as_ref();
    for step in [1, 2, 3, 7, 64, body.len().max(1)] {
        let (items, finish) = run(200, body.chunks(step));
        assert_eq!(raws(&items), expected, "by {step}");
        let found = finish.map(|finish| finish.records).map_err(|error| error.to_string());
        assert_eq!(found, ending.map_err(str::to_owned), "by {step}");
    }
}

#[test]
fn elements_come_as_they_stand() {
    check("[]", &[], Ok(0));
    check(" [ ] \r\n", &[], Ok(0));
    check("\u{feff}[{}]", &["{}"], Ok(1));
    check("\u{feff}\n[{}\n,\t{ }]", &["{}", "{ }"], Ok(2));
    check(
        r#"[{"a":"}"},{"b":[1,{"c":2}]}]"#,
        &[r#"{\"a\":\"}\"}"#, r#"{\"b\":[1,{\"c\":2}]}"#],
        Ok(2),
    );
}

#[test]
fn what_is_no_object_is_a_record_that_says_so() {
    check(
        r#"[1,-2.5e3 ,null,true,"a,]\"b", [1,[2]] ,nonsense,{}]"#,
        &["1", "-2.5e3", "null", "true", r#"\"a,]\\\"b\""#, "[1,[2]]", "nonsense", "{}"],
        Ok(8),
    );
    let (items, _) = run(200, [b"[1,[],\"{}\",{}]".as_slice()]);
    let kinds: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Record(split) => split.kind,
            Item::Oversized { .. } => unreachable!("nothing is long"),
        })
        .collect();
    use RecordKind::{NotObject, Object};
    assert_eq!(kinds, [NotObject, NotObject, NotObject, Object]);
}

#[test]
fn null_stands_for_no_records() {
    for body in ["null", "  null\r\n", "\u{feff}null"] {
        for step in [1, 3, 100] {
            let (items, finish) = run(200, body.as_bytes().chunks(step));
            assert_eq!(items, []);
            let bytes = body.len() as u64;
            assert_eq!(finish, Ok(Finish { records: 0, oversized: 0, bytes, null: true }));
        }
    }
}

#[test]
fn a_body_that_is_no_array_is_named_with_its_beginning() {
    let check_body = |body: &str, first: &str| {
        let error = format!("the body is not a JSON array, it begins with \"{first}\"");
        check(body, &[], Err(&error));
    };
    check_body(r#"  {"error":{"code":"AF20051"}}"#, r#"{\"error\":{\"code\":\"AF20051\"}}"#);
    check_body("<html></html>", "<html></html>");
    check_body("nullable", "nullable");
    check_body("\u{feff}x", "x");
    let long = "x".repeat(10 * NOT_ARRAY_BYTES_MAX);
    check_body(&long, &long[..NOT_ARRAY_BYTES_MAX]);
    check(b"\xef\xbb[]", &[], Err("the body is not a JSON array, it begins with \"\\xef\\xbb[]\""));
}

#[test]
fn a_cut_body_is_truncated_wherever_it_is_cut() {
    let body = br#" [{"a":"\"]"} , [1] ,12, "x" ] "#;
    // Where each element is known to be whole: a number only at the byte behind it.
    let whole_at = [13, 19, 24, 28];
    for cut in 0..body.len() - 2 {
        let (items, finish) = run(200, body[..cut].chunks(5));
        let records = whole_at.iter().filter(|end| **end <= cut).count();
        assert_eq!(items.len(), records, "cut at {cut}");
        let (bytes, records) = (cut as u64, records as u64);
        assert_eq!(finish, Err(SplitError::Truncated { bytes, records }), "cut at {cut}");
    }
}

#[test]
fn garbage_between_elements_is_an_error_at_its_offset() {
    let unexpected = |byte: char, offset: usize| {
        format!("byte 0x{:02x} at offset {offset} of the body is out of place", u32::from(byte))
    };
    check("[{},]", &["{}"], Err(&unexpected(']', 4)));
    check("[,{}]", &[], Err(&unexpected(',', 1)));
    check("[{}{}]", &["{}"], Err(&unexpected('{', 3)));
    check("[1 2]", &["1"], Err(&unexpected('2', 3)));
    check("[{}}]", &["{}"], Err(&unexpected('}', 3)));
    check("[{}]]", &["{}"], Err(&unexpected(']', 4)));
    check("[{}] x", &["{}"], Err(&unexpected('x', 5)));
    check("[{}]\u{feff}", &["{}"], Err(&unexpected('\u{ef}', 4)));
    check("[:]", &[], Err(&unexpected(':', 1)));
}

#[test]
fn nonsense_in_balanced_brackets_is_yielded() {
    let records = [
        r#"{"a" 1}"#,
        "{,}",
        r#"{"a":[1}}"#,
        r#"{\"}"#,
        r#"{"Id":}"#,
        r#"{"Id"}"#,
        r#"{"Id":"x","Id" : ,"Operation":"y"}"#,
        "{\"\u{1}\":\"\n\"}",
    ];
    for record in records {
        let escaped = record.as_bytes().escape_ascii().to_string();
        check(format!("[{record},{{}}]"), &[&escaped, "{}"], Ok(2));
    }
    check(b"[{\"a\xff\":\"\xc0\"}]", &[r#"{\"a\xff\":\"\xc0\"}"#], Ok(1));
}

#[test]
fn unbalanced_brackets_and_quotes_break_the_array() {
    let cut_off = |bytes: usize, records: usize| {
        format!("the body was cut off after {bytes} bytes and {records} whole records")
    };
    check(r#"[{"a":[}]"#, &[r#"{\"a\":[}]"#], Err(&cut_off(9, 1)));
    check(r#"[{"a":"b}]"#, &[], Err(&cut_off(10, 0)));
    check(r#"[{"a":{}]"#, &[r#"{\"a\":{}]"#], Err(&cut_off(9, 1)));
}

#[test]
fn a_record_beyond_the_limit_is_counted_and_skipped() {
    let fits = format!("{{{}}}", " ".repeat(198));
    let long = format!("{{\"Id\":\"{}\"}}", "x".repeat(300));
    let body = format!("[{long},{fits},\"{0}\",[{0}],{0}]", "1".repeat(250));
    check(&body, &["<309 bytes>", &fits, "<252 bytes>", "<252 bytes>", "<250 bytes>"], Ok(5));
    for step in [10, body.len()] {
        let (_, finish) = run(200, body.as_bytes().chunks(step));
        assert_eq!(finish.unwrap().oversized, 4, "by {step}");
    }
}

#[test]
fn an_array_within_something_else_leaves_what_comes_behind_it() {
    let mut splitter = Splitter::embedded(100);
    let mut items = Vec::new();
    for chunk in [&b"[{},1"[..], b",2]}, more"] {
        assert_eq!(splitter.take_rest(), None, "it goes on");
        splitter.push(Bytes::from_static(chunk));
        while let Some(item) = splitter.poll().unwrap() {
            items.push(item);
        }
    }
    assert_eq!(raws(&items), ["{}", "1", "2"]);
    assert_eq!(splitter.take_rest().as_deref(), Some(&b"}, more"[..]));
    assert!(splitter.is_drained());
}

#[test]
fn a_chunk_may_come_as_soon_as_the_last_one_is_read() {
    let mut splitter = Splitter::new(100);
    splitter.push(Bytes::from_static(b"[{}"));
    assert!(splitter.poll().unwrap().is_some() && splitter.is_drained());
    splitter.push(Bytes::from_static(b",:"));
    assert_eq!(splitter.poll(), Err(SplitError::Unexpected { byte: b':', offset: 4 }));
}

#[test]
fn a_record_within_one_chunk_is_not_copied() {
    let body = Bytes::from_static(br#"[{"Id":"1"},{"Id":"2"}]"#);
    let mut splitter = Splitter::new(100);
    splitter.push(body.clone());
    let Ok(Some(Item::Record(first))) = splitter.poll() else { panic!("a record") };
    let Ok(Some(Item::Record(second))) = splitter.poll() else { panic!("a record") };
    assert_eq!(first.raw.as_ptr(), body[1..].as_ptr());
    assert_eq!(second.raw.as_ptr(), body[12..].as_ptr());
}

#[test]
fn records_wait_until_they_are_asked_for() {
    let mut splitter = Splitter::new(100);
    splitter.push(Bytes::from_static(b"[1,2,3,"));
    assert!(!splitter.is_drained());
    assert!(splitter.poll().unwrap().is_some());
    assert!(!splitter.is_drained());
    assert_eq!(splitter.records(), 1);
    while splitter.poll().unwrap().is_some() {}
    assert!(splitter.is_drained());
    assert_eq!(splitter.records(), 3);
}

#[test]
fn top_level_fields_are_lifted() {
    let record = concat!(
        r#"{"Nested":{"Id":"no","Operation":[{"UserId":1}]},"List":["Id","x",{"Id":"no"}],"#,
        r#""Id" : "5b02fadb" , "RecordType":15,"Operation":"a\"b\u00e4","UserId":null,"#,
        "\"CreationTime\":\t\"2020-02-10T15:13:13\",\"Id\":\"second\",\"ID\":1}",
    );
    for step in [1, 2, 13, 64, 1000] {
        let body = format!("[{record}]");
        let (items, _) = run(1000, body.as_bytes().chunks(step));
        let [Item::Record(split)] = items.as_slice() else { panic!("one record") };
        assert_eq!(split.text(Field::Id).as_deref(), Some("5b02fadb"));
        assert_eq!(split.text(Field::CreationTime).as_deref(), Some("2020-02-10T15:13:13"));
        assert_eq!(split.integer(Field::RecordType), Some(15));
        assert_eq!(split.text(Field::RecordType), None);
        assert_eq!(split.text(Field::Operation).as_deref(), Some("a\"bä"));
        assert_eq!(split.fields.raw(&split.raw, Field::Operation), Some(&br#"a\"b\u00e4"#[..]));
        assert_eq!(split.fields.token(Field::Workload), None);
        assert_eq!(
            split.fields.token(Field::UserId).map(|token| token.kind),
            Some(TokenKind::Other)
        );
        assert_eq!(split.fields.raw(&split.raw, Field::UserId), Some(&b"null"[..]));
    }
}

#[test]
fn a_million_brackets_are_one_record() {
    let deep = ["{\"a\":".repeat(500_000), "}".repeat(500_000)].concat();
    let body = format!("[{deep}]");
    let (items, finish) = run(10_000_000, body.as_bytes().chunks(65_536));
    assert_eq!(items.len(), 1);
    assert_eq!(finish.map(|finish| finish.records), Ok(1));
}

/// The lifted fields as serde_json sees the record, first occurrences only, strings and integers.
#[derive(Debug, Default, PartialEq)]
struct Fields([Option<serde_json::Value>; LIFTED_FIELDS]);

const FIELDS: [(Field, &str); LIFTED_FIELDS] = [
    (Field::Id, "Id"),
    (Field::CreationTime, "CreationTime"),
    (Field::RecordType, "RecordType"),
    (Field::Operation, "Operation"),
    (Field::Workload, "Workload"),
    (Field::UserId, "UserId"),
];

impl<'de> serde::Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Fields;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
                    if let Some(at) = FIELDS.iter().position(|(_, name)| *name == key) {
                        fields.0[at].get_or_insert(value);
                    }
                }
                Ok(fields)
            }
        }
        input.deserialize_map(Members)
    }
}

/// The fields of `split`, in the form of [`Fields`].
fn lifted(split: &Split) -> Fields {
    Fields(FIELDS.map(|(field, _)| {
        split.fields.token(field)?;
        let text = split.text(field).map(|text| text.into_owned().into());
        let raw = split.fields.raw(&split.raw, field)?;
        Some(text.unwrap_or_else(|| serde_json::from_slice(raw).unwrap()))
    }))
}

/// Cuts `body` where `cuts` say.
fn pieces<'a>(mut body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = body.split_at((*cut).min(body.len()));
        pieces.push(piece);
        body = rest;
    }
    pieces.push(body);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_array_in_any_pieces_yields_its_elements(
        (body, elements) in corpus::array(),
        cuts in prop::collection::vec(0..80_usize, 0..40),
    ) {
        let (items, finish) = run(100_000, pieces(body.as_bytes(), &cuts));
        let expected: Vec<_> = elements
            .iter()
            .map(|text| text.as_bytes().escape_ascii().to_string())
            .collect();
        prop_assert_eq!(raws(&items), expected);
        prop_assert_eq!(finish.map(|finish| finish.records), Ok(elements.len() as u64));
    }

    #[test]
    fn fields_are_those_that_a_parser_finds(
        object in corpus::object(),
        cuts in prop::collection::vec(0..80_usize, 0..4),
    ) {
        // Neither lone surrogates nor 1e400 pass serde_json.
        let Ok(fields) = serde_json::from_str::<Fields>(&object) else { return Ok(()) };
        let body = format!("[{object}]");
        let (items, _) = run(100_000, pieces(body.as_bytes(), &cuts));
        let [Item::Record(split)] = items.as_slice() else { panic!("one record") };
        prop_assert_eq!(lifted(split), fields);
    }

    #[test]
    fn long_records_in_large_pieces_yield_the_same(
        (body, _) in corpus::array(),
        times in 1..30_usize,
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        cuts in prop::collection::vec(0..3_000_usize, 0..4),
        limit in 50_000..50_002_usize,
    ) {
        let inner = body.trim_start_matches('\u{feff}').trim();
        let body = format!("[{{\"Id\":\"0\",\"a\":{}}},{inner}]", vec![inner; times].join(",\"Id\":"));
        let mut body = body.into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        prop_assert_eq!(run(limit, pieces(&body, &cuts)), run(limit, [body.as_slice()]));
    }

    #[test]
    fn pieces_do_not_matter_whatever_the_bytes(
        body in prop::collection::vec(
            prop_oneof![3 => prop::sample::select(br#"{}[]",:\ aI1"#.to_vec()), 1 => any::<u8>()],
            0..300,
        ),
        cuts in prop::collection::vec(0..80_usize, 0..40),
        limit in 0..100_usize,
    ) {
        let body = [b"[".as_slice(), &body].concat();
        prop_assert_eq!(run(limit, pieces(&body, &cuts)), run(limit, [body.as_slice()]));
    }

    #[test]
    fn pieces_do_not_matter_to_a_damaged_array(
        (body, _) in corpus::array(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cuts in prop::collection::vec(0..80_usize, 0..40),
        limit in 0..1000_usize,
    ) {
        let mut body = body.into_bytes();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        prop_assert_eq!(run(limit, pieces(&body, &cuts)), run(limit, [body.as_slice()]));
    }
}
