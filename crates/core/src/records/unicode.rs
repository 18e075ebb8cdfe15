//! Halves of surrogate pairs in the escapes of a record: valid JSON by its grammar, no text in
//! Unicode, and refused by some parsers. They stay as Microsoft wrote them, unless somebody asks
//! for U+FFFD in their place. Must not change the length: what was found in a record stays where it
//! is.

use bytes::Bytes;

use crate::contract::batch::Record;
use crate::json::unit;

/// What stands in the place of a half.
const REPLACEMENT: &[u8; ESCAPE] = br"\ufffd";

/// Bytes of an escape of four digits.
const ESCAPE: usize = 6;

/// Replaces the halves in all records that are JSON.
pub(crate) fn replace_halves(records: &mut [Record]) {
    for record in records.iter_mut().filter(|record| record.is_json) {
        if let Some(raw) = without_halves(&record.raw) {
            record.raw = raw;
        }
    }
}

/// The record without halves; `None` if there are none.
fn without_halves(raw: &[u8]) -> Option<Bytes> {
    let mut edited: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = raw.get(at..).and_then(position) {
        at += found;
        let (length, half) = match (unit_at(raw, at), unit_at(raw, at + ESCAPE)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (2 * ESCAPE, false),
            (Some(0xD800..=0xDFFF), _) => (ESCAPE, true),
            (Some(_), _) => (ESCAPE, false),
            // A backslash and what it escapes.
            (None, _) => (2, false),
        };
        if half {
            let edited = edited.get_or_insert_with(|| raw.to_vec());
            edited[at..at + ESCAPE].copy_from_slice(REPLACEMENT);
        }
        at += length;
    }
    edited.map(Bytes::from)
}

/// Where the first backslash is.
fn position(raw: &[u8]) -> Option<usize> {
    raw.iter().position(|byte| *byte == b'\\')
}

/// The code unit of the escape at this place, if there is one.
fn unit_at(raw: &[u8], at: usize) -> Option<u32> {
    raw.get(at..).and_then(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Option<&str>) {
        let replaced = without_halves(raw.as_bytes());
        let replaced = replaced.as_deref().map(|raw| std::str::from_utf8(raw).unwrap());
        assert_eq!(replaced, expected, "{raw}");
        assert!(replaced.is_none_or(|text| text.len() == raw.len()));
    }

    #[test]
    fn halves_are_replaced_and_pairs_are_not() {
        check(r#"{"a":"plain"}"#, None);
        check(r#"{"a":"\ud83d\ude00 \u00e9 \n \uDBFF\uDFFF"}"#, None);
        check(r#"{"a":"\ud83d"}"#, Some(r#"{"a":"\ufffd"}"#));
        check(r#"{"\uDE00":"x\ud83dy"}"#, Some(r#"{"\ufffd":"x\ufffdy"}"#));
        check(r#""\ude00\ud83d\ude00\ud83d""#, Some(r#""\ufffd\ud83d\ude00\ufffd""#));
        check(r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#));
        check(r#""\ud83d\n\ude00""#, Some(r#""\ufffd\n\ufffd""#));
    }

    #[test]
    fn a_backslash_that_is_escaped_begins_nothing() {
        check(r#""\\ud83d \\\\ud83d""#, None);
        check(r#""\\\ud83d""#, Some(r#""\\\ufffd""#));
        check(r#""\\"#, None);
        check(r"\", None);
    }
}
