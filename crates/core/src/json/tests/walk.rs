//! What the walker says of texts, against serde_json.

use super::super::*;
use super::corpus;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Writes down what is told, in a form that tells everything apart.
#[derive(Debug, Default)]
pub(super) struct Journal(String);

impl Journal {
    pub(super) fn told(&self) -> &str {
        &self.0
    }
}

impl Visit for Journal {
    type Mark = ();

    fn begin(&mut self) {
        self.0.clear();
    }

    fn begin_object(&mut self) {
        self.0.push('{');
    }
    fn key(&mut self, text: Text<'_>) {
        self.0.push_str(&format!("{:?}:", str_of(text)));
    }
    fn end_object(&mut self, (): (), members: usize) {
        self.0.push_str(&format!("}}{members} "));
    }
    fn begin_array(&mut self) {
        self.0.push('[');
    }
    fn end_array(&mut self, (): (), elements: usize) {
        self.0.push_str(&format!("]{elements} "));
    }
    fn string(&mut self, text: Text<'_>) {
        let quoted = [b"\"", text.as_bytes()].concat();
        let block = text.block::<32>();
        assert!(block.is_none_or(|block| block.starts_with(&quoted)));
        assert_eq!(text.len(), text.as_bytes().len());
        self.0.push_str(&format!("{:?} ", str_of(text)));
    }
    fn number(&mut self, number: Number<'_>) {
        self.0.push_str(&match number {
            Number::Unsigned(value) => format!("{value} "),
            Number::Negative(value) => format!("{value} "),
            Number::Float(value) => format!("{value:?} "),
            Number::Literal(token) => format!("<{}> ", token.escape_ascii()),
        });
    }
    fn bool(&mut self, value: bool) {
        self.0.push_str(&format!("{value} "));
    }
    fn null(&mut self) {
        self.0.push_str("null ");
    }
}

/// The text, however the walk ends.
fn str_of(text: Text<'_>) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

#[track_caller]
fn check(raw: &str, expected: &str) {
    let mut journal = Journal::default();
    walk(raw.as_bytes(), 8, &mut journal).unwrap();
    assert_eq!(journal.0, expected);
}

#[track_caller]
fn check_fault(raw: impl AsRef<[u8]>, fault: WalkFault, offset: usize) {
    let raw = raw.as_ref();
    let found = walk(raw, 8, &mut NullVisitor);
    assert_eq!(found, Err(WalkError { fault, offset }), "{}", raw.escape_ascii());
}

#[test]
fn a_text_is_told_in_its_order() {
    check(" {} ", "{}0 ");
    check("[]", "[]0 ");
    check(
        "{\"a\":1, \"a\" :\r\n[true,false,null,-1,1.5,\"\\u00e4\"],\t\"\":{}}",
        "{\"a\":1 \"a\":[true false null -1 1.5 \"ä\" ]6 \"\":{}0 }3 ",
    );
    check("[1e400,18446744073709551616,-0,0]", "[<1e400> <18446744073709551616> -0.0 0 ]4 ");
    check(r#""\ud83d""#, "\"\\\\ud83d\" ");
}

#[test]
fn strings_of_every_length_end_where_they_end() {
    for length in 0..200 {
        for filler in ["x", "ä", r"\\", r"\u00e4"] {
            let text = filler.repeat(length);
            let meant = text.replace(r"\\", r"\").replace(r"\u00e4", "ä");
            let raw = format!("[\"{text}\",\"{text}\"]");
            check(&raw, &format!("[{meant:?} {meant:?} ]2 "));
            check(&with_much_behind(&raw), &format!("[{meant:?} {meant:?} ]2 "));
            let raw = format!("{{\"{text}\":\"{text}\",\"{text}\":1,\"{text}\": \"{text}\"}}");
            let told = format!("{{{meant:?}:{meant:?} {meant:?}:1 {meant:?}:{meant:?} }}3 ");
            check(&raw, &told);
            check(&with_much_behind(&raw), &told);
        }
    }
}

#[test]
fn faults_are_named_where_they_are() {
    use WalkFault::{Control, Depth, Escape, Number, Truncated, Unexpected, Utf8};
    check_fault("", Truncated, 0);
    check_fault("[1", Truncated, 2);
    check_fault("{\"a", Truncated, 3);
    check_fault("[\"a\\", Escape, 3);
    check_fault("{\"a\":1}x", Unexpected, 7);
    check_fault("{\"a\" 1}", Unexpected, 5);
    check_fault("{\"a\":1,}", Unexpected, 7);
    check_fault("{a:1}", Unexpected, 1);
    check_fault("[1,]", Unexpected, 3);
    check_fault("[tru]", Unexpected, 1);
    check_fault("[01]", Number, 1);
    check_fault("[-]", Number, 1);
    check_fault("[\"a\nb\"]", Control, 3);
    check_fault("[\"\\x\"]", Escape, 2);
    check_fault("[\"\\u12\"]", Escape, 2);
    check_fault(b"[\"a\xff\"]", Utf8, 3);
    check_fault(b"[\"\\n\xed\xa0\x80\"]", Utf8, 4);
    check_fault(b"[\"\xe2\\n\x82\xac\"]", Utf8, 2);
    check_fault("[[[[[[[[[1]]]]]]]]]", Depth, 8);
}

#[test]
fn nesting_is_bounded_even_when_the_caller_forgets() {
    let deep = "[".repeat(1_000_000);
    let found = walk(deep.as_bytes(), usize::MAX, &mut NullVisitor);
    assert_eq!(found, Err(WalkError { fault: WalkFault::Depth, offset: DEPTH_MAX }));
}

/// The journal of a text as serde_json reads it.
struct Told(String);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Listener)
    }
}

struct Listener;

impl<'de> Visitor<'de> for Listener {
    type Value = Told;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Told, A::Error> {
        let (mut journal, mut members) = ("{".to_owned(), 0);
        while let Some((key, value)) = map.next_entry::<String, Told>()? {
            journal.push_str(&format!("{key:?}:{}", value.0));
            members += 1;
        }
        Ok(Told(format!("{journal}}}{members} ")))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Told, A::Error> {
        let (mut journal, mut elements) = ("[".to_owned(), 0);
        while let Some(element) = list.next_element::<Told>()? {
            journal.push_str(&element.0);
            elements += 1;
        }
        Ok(Told(format!("{journal}]{elements} ")))
    }
    fn visit_str<E>(self, text: &str) -> Result<Told, E> {
        Ok(Told(format!("{text:?} ")))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Told, E> {
        Ok(Told(format!("{value} ")))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Told, E> {
        Ok(Told(format!("{value} ")))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Told, E> {
        Ok(Told(format!("{value:?} ")))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Told, E> {
        Ok(Told(format!("{value} ")))
    }
    fn visit_unit<E>(self) -> Result<Told, E> {
        Ok(Told("null ".to_owned()))
    }
}

/// Whole numbers of the corpus that serde_json rounds and the walker does not.
const BEYOND_64_BITS: [&str; 3] =
    ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"];

/// More blanks than the walk looks at in one step.
const BEHIND: usize = 96;

/// The same text, in which no string stands near the end.
fn with_much_behind(text: &str) -> String {
    format!("{text}{}", " ".repeat(BEHIND))
}

/// Whether serde_json takes `raw`, strings that it skips included.
fn serde_takes(raw: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(raw).is_ok() && std::str::from_utf8(raw).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_is_valid(text in corpus::value()) {
        prop_assert_eq!(walk(text.as_bytes(), 16, &mut NullVisitor), Ok(()));
    }

    #[test]
    fn a_text_is_told_as_a_parser_reads_it(text in corpus::value()) {
        // Neither lone surrogates nor 1e400 pass serde_json.
        let Ok(Told(expected)) = serde_json::from_str(&text) else { return Ok(()) };
        if BEYOND_64_BITS.iter().any(|number| text.contains(number)) {
            return Ok(());
        }
        for text in [text.clone(), with_much_behind(&text)] {
            let mut journal = Journal::default();
            walk(text.as_bytes(), 16, &mut journal).unwrap();
            prop_assert_eq!(&journal.0, &expected);
        }
    }

    #[test]
    fn damaged_texts_are_judged_as_serde_json_judges(
        text in corpus::value(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut text = text.into_bytes();
        for (at, byte) in damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        if let Some(cut) = cut {
            text.truncate(cut.index(text.len()));
        }
        let taken = serde_takes(&text);
        prop_assert_eq!(walk(&text, 16, &mut NullVisitor).is_ok(), taken);
        text.extend_from_slice(&[b' '; BEHIND]);
        prop_assert_eq!(walk(&text, 16, &mut NullVisitor).is_ok(), taken);
    }

    #[test]
    fn any_bytes_are_judged_as_serde_json_judges(
        bytes in prop::collection::vec(
            prop_oneof![3 => prop::sample::select(br#"{}[]",:\ au01.e-tn"#.to_vec()), 1 => any::<u8>()],
            0..60,
        ),
    ) {
        prop_assert_eq!(walk(&bytes, 100, &mut NullVisitor).is_ok(), serde_takes(&bytes));
    }
}
