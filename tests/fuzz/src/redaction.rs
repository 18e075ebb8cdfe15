//! Redaction: no value under a name that is to be redacted survives, JSON in strings included, and
//! nothing else is lost.

use std::sync::{LazyLock, Mutex};

use arbitrary::Unstructured;
use bytes::Bytes;
use m365_audit_core::fuzzing::Redact;
use m365_audit_core::json::{RecordKind, lift_record};
use m365_audit_core::{RawOptions, Record};

use crate::json;

/// What every secret text, every secret number and every other value has in it.
const SECRET: &str = "QZSECRET";
const SECRET_NUMBER: &str = "731573157";
const PUBLIC: &str = "PUBLICQ";

/// Names, and whether a value below them is secret: always, directly in an `Item`, or in the record
/// itself.
const NAMES: &[(&str, Rule)] = &[
    ("Secret", Rule::Always),
    ("secreT", Rule::Always),
    ("DetectedValues", Rule::Always),
    ("Item", Rule::Never),
    ("Subject", Rule::InItem),
    ("Top", Rule::InRecord),
    ("Data", Rule::Never),
    ("Secrets", Rule::Never),
    ("", Rule::Never),
];

#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Always,
    InItem,
    InRecord,
    Never,
}

/// What may stand before JSON in a string, and behind it.
const BEFORE: &[&str] =
    &["", "", "", " ", "\n\t", "\u{feff}", "Details: ", "say \"", "[Information] {0} "];
const BEHIND: &[&str] = &["", "", "", "\r\n", "\"", " and {} more", "\n{\"Other\":2}"];

/// Longer texts show nothing that shorter ones do not, and escapes of escapes make them long.
const TEXT_BYTES_MAX: usize = 50_000;

/// Strings within strings that are made. (Twelve are followed; each doubles the backslashes.)
const STRINGS_MAX: usize = 6;

const DEPTH: usize = 5;

struct Maker<'u, 'd> {
    u: &'u mut Unstructured<'d>,
    /// Strings around what is made.
    strings: usize,
}

/// What surrounds a value.
#[derive(Clone, Copy)]
struct Place {
    secret: bool,
    in_item: bool,
    outermost: bool,
    depth: usize,
}

impl Maker<'_, '_> {
    fn object(&mut self, place: Place, out: &mut String) {
        out.push('{');
        let count = self.u.int_in_range(0..=4usize).unwrap_or(0);
        for index in 0..count {
            if index > 0 {
                out.push(',');
            }
            json::blank(self.u, out);
            let (name, rule) = *self.u.choose(NAMES).unwrap_or(&NAMES[0]);
            json::quoted(self.u, name, out);
            json::blank(self.u, out);
            out.push(':');
            json::blank(self.u, out);
            let named = match rule {
                Rule::Always => true,
                Rule::InItem => place.in_item,
                Rule::InRecord => place.outermost && self.strings == 0,
                Rule::Never => false,
            };
            let inner = Place {
                secret: place.secret || named,
                in_item: name == "Item",
                outermost: false,
                depth: place.depth + 1,
            };
            self.value(inner, out);
            json::blank(self.u, out);
        }
        out.push('}');
    }

    fn value(&mut self, place: Place, out: &mut String) {
        let deep = place.depth >= DEPTH;
        match self.u.int_in_range(0..=9u8).unwrap_or(0) {
            0..=2 if !deep => self.object(place, out),
            3 if !deep => {
                out.push('[');
                for index in 0..self.u.int_in_range(0..=3usize).unwrap_or(0) {
                    if index > 0 {
                        out.push(',');
                    }
                    // Lists between names do not count.
                    self.value(Place { depth: place.depth + 1, ..place }, out);
                }
                out.push(']');
            }
            4..=6 if !deep && !place.secret && self.strings < STRINGS_MAX => {
                let text = self.text_of_json(place);
                json::quoted(self.u, &text, out);
            }
            7 if place.secret => out.push_str(SECRET_NUMBER),
            7 => out.push_str("null"),
            _ if place.secret => json::quoted(self.u, SECRET, out),
            _ => json::quoted(self.u, PUBLIC, out),
        }
    }

    /// A text that holds JSON, or the JSON of such a text, perhaps among other words.
    fn text_of_json(&mut self, place: Place) -> String {
        let mut text = (*self.u.choose(BEFORE).unwrap_or(&"")).to_owned();
        self.strings += 1;
        let place = Place { outermost: true, depth: place.depth + 1, ..place };
        match self.u.int_in_range(0..=7u8).unwrap_or(0) {
            0 | 1 if self.strings < STRINGS_MAX => {
                let inner = self.text_of_json(place);
                json::quoted(self.u, &inner, &mut text);
            }
            2 | 3 => {
                text.push('[');
                self.object(place, &mut text);
                text.push(']');
            }
            _ => self.object(place, &mut text),
        }
        self.strings -= 1;
        text.push_str(self.u.choose(BEHIND).unwrap_or(&""));
        text
    }
}

/// Redacts a record that was made around secrets.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let keyed = u.ratio(1, 2).unwrap_or(false);
    let mut maker = Maker { u: &mut u, strings: 0 };
    let mut text = String::new();
    let place = Place { secret: false, in_item: false, outermost: true, depth: 0 };
    maker.object(place, &mut text);
    if TEXT_BYTES_MAX < text.len() {
        return;
    }
    let damaged = u.ratio(1, 16).unwrap_or(false);
    let mut raw = text.clone().into_bytes();
    if damaged {
        json::damage(&mut u, &mut raw);
    }
    let raw = Bytes::from(raw);
    let fields = lift_record(&raw).unwrap_or_default();
    let mut records = [Record {
        raw: raw.clone(),
        fields,
        kind: RecordKind::Object,
        redacted: false,
        is_json: false,
        happened: None,
    }];
    let redactor = if keyed { &KEYED } else { &PLAIN };
    let mut redactor = redactor.lock().expect("nothing has panicked before");
    let (redacted, withheld) = redactor.redact(&mut records);
    let [record] = records;
    assert!(redacted + withheld <= 1);
    assert_eq!(record.redacted, redacted + withheld == 1);
    let before = plain(&raw);
    let after = plain(&record.raw);
    assert!(serde_json::from_slice::<serde_json::Value>(&record.raw).is_ok() || damaged);
    if damaged {
        // A name may be damaged, and then names nothing.
        return;
    }
    assert_eq!(withheld, 0, "it can be read: {text}");
    for secret in [SECRET, SECRET_NUMBER] {
        assert!(
            !after.contains(secret),
            "{text}\nbecame\n{}",
            String::from_utf8_lossy(&record.raw)
        );
    }
    if redacted == 0 {
        assert_eq!(record.raw, raw);
    }
    let count = |text: &str| text.matches(PUBLIC).count();
    assert_eq!(count(&before), count(&after), "{text}");
}

/// With a key, and without.
static KEYED: LazyLock<Mutex<Redact>> = LazyLock::new(|| redactor(true));
static PLAIN: LazyLock<Mutex<Redact>> = LazyLock::new(|| redactor(false));

fn redactor(keyed: bool) -> Mutex<Redact> {
    let fields = "Secret, Item.Subject, .Top";
    let mut options: RawOptions =
        [("redact", "on"), ("redact_fields", fields)].map(|(n, v)| (n.into(), v.into())).into();
    if keyed {
        options.insert("redact_key".into(), "a key of sixteen characters or more".into());
    }
    Mutex::new(Redact::new(&options).expect("the options are right"))
}

/// The text with every level of escapes undone.
fn plain(raw: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(raw).into_owned();
    for _ in 0..STRINGS_MAX + 2 {
        if !text.contains('\\') {
            break;
        }
        text = unescaped(&text);
    }
    text
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let code = rest.strip_prefix('u').and_then(|hex| hex.get(..4));
        match code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
            Some(character) => {
                out.push(character);
                rest = &rest[5..];
            }
            None => {
                let Some(first) = rest.chars().next() else { break };
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out.push_str(rest);
    out
}
