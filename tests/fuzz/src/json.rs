//! JSON texts from bytes, with what JSON allows and hardly anybody writes; and a reader of JSON
//! that keeps the order of members, and members of one name.

use std::fmt;

use arbitrary::Unstructured;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Names that mean something to one of the targets, and some that nearly do.
const KEYS: &[&str] = &[
    "Id",
    "CreationTime",
    "RecordType",
    "Operation",
    "Workload",
    "UserId",
    "UserType",
    "ClientIP",
    "ClientIPAddress",
    "ActorIpAddress",
    "id",
    "Ids",
    "",
    "a",
    "data",
    "hasNext",
    "é\u{1F600}",
];

/// Values, as they stand in a text.
const SCALARS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "15",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "-128",
    "-129",
    "-32769",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1.5",
    "-2.5e3",
    "1E400",
    "1e-400",
    "0.1",
    "123456789.123456789e-7",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"\\u0041\"",
    "\"\\ud83d\\ude00\"",
    "\"\\n\\t\"",
    "\"[{\"",
    "\"2026-07-29T21:35:19\"",
    "\"1234567890123456789012345678901\"",
    "\"12345678901234567890123456789012\"",
];

const BLANKS: &[&str] = &["", "", "", "", " ", "\n", "\r\n\t "];

/// How deep what is made here nests.
const DEPTH: usize = 6;

pub(crate) fn blank(u: &mut Unstructured<'_>, out: &mut String) {
    out.push_str(u.choose(BLANKS).unwrap_or(&""));
}

/// The text of a string, escaped as it pleases the bytes.
pub(crate) fn quoted(u: &mut Unstructured<'_>, text: &str, out: &mut String) {
    out.push('"');
    let odd = u.ratio(1, 8).unwrap_or(false);
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' || (odd && u.ratio(1, 4).unwrap_or(false)) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

pub(crate) fn key(u: &mut Unstructured<'_>, out: &mut String) {
    let key = *u.choose(KEYS).unwrap_or(&"a");
    quoted(u, key, out);
}

/// Any value.
pub(crate) fn value(u: &mut Unstructured<'_>, depth: usize, out: &mut String) {
    match u.int_in_range(0..=7u8).unwrap_or(0) {
        6 if depth < DEPTH => object(u, depth + 1, out),
        7 if depth < DEPTH => {
            out.push('[');
            let count = u.int_in_range(0..=17usize).unwrap_or(0);
            for index in 0..count.min(u.len()) {
                if index > 0 {
                    out.push(',');
                }
                blank(u, out);
                value(u, depth + 1, out);
                blank(u, out);
            }
            out.push(']');
        }
        5 => {
            let text: String = (0..u.int_in_range(0..=40usize).unwrap_or(0))
                .map(|_| {
                    *u.choose(&['a', '"', '\\', '{', 'é', '\u{1F600}', '\u{7f}']).unwrap_or(&'x')
                })
                .collect();
            quoted(u, &text, out);
        }
        _ => out.push_str(u.choose(SCALARS).unwrap_or(&"0")),
    }
}

/// Any object.
pub(crate) fn object(u: &mut Unstructured<'_>, depth: usize, out: &mut String) {
    out.push('{');
    let count = u.int_in_range(0..=18usize).unwrap_or(0);
    for index in 0..count.min(u.len()) {
        if index > 0 {
            out.push(',');
        }
        blank(u, out);
        key(u, out);
        blank(u, out);
        out.push(':');
        blank(u, out);
        value(u, depth, out);
        blank(u, out);
    }
    out.push('}');
}

/// Damages a few bytes.
pub(crate) fn damage(u: &mut Unstructured<'_>, text: &mut [u8]) {
    for _ in 0..u.int_in_range(0..=3u8).unwrap_or(0) {
        let (Ok(at), Ok(byte)) = (u.arbitrary::<u16>(), u.arbitrary::<u8>()) else { return };
        if !text.is_empty() {
            let at = usize::from(at) % text.len();
            text[at] = byte;
        }
    }
}

/// Cuts a text into pieces, of which none is empty.
pub(crate) fn pieces<'a>(cuts: &[u8], mut text: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle().take(text.len() * usize::from(!cuts.is_empty())) {
        let (piece, rest) = text.split_at(text.len().min(usize::from(*cut) + 1));
        pieces.push(piece);
        text = rest;
        if text.is_empty() {
            break;
        }
    }
    if !text.is_empty() {
        pieces.push(text);
    }
    pieces
}

/// What serde_json reads, nothing left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// The first member of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// How deep containers nest.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => {
                1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// How deep serde_json follows lists and objects.
const SERDE_DEPTH_MAX: usize = 127;

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        read(raw.get(), SERDE_DEPTH_MAX).map_err(D::Error::custom)
    }
}

/// One value. Numbers are read by the standard library: serde_json rounds some of them wrongly
/// unless told otherwise, and telling it would compile it again with all that use it.
fn read(text: &str, depth: usize) -> Result<Json, serde_json::Error> {
    let too_deep = || serde_json::Error::custom("recursion limit exceeded");
    Ok(match text.as_bytes()[0] {
        b'n' => serde_json::from_str(text).map(|()| Json::Null)?,
        b't' | b'f' => Json::Bool(serde_json::from_str(text)?),
        b'"' => Json::Text(serde_json::from_str(text)?),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
            Json::List(items.iter().map(|raw| read(raw.get(), depth)).collect::<Result<_, _>>()?)
        }
        b'{' => {
            let Members(members) = serde_json::from_str(text)?;
            let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
            let member = |(key, raw): (String, &RawValue)| Ok((key, read(raw.get(), depth)?));
            Json::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
        _ => number(text)?,
    })
}

fn number(text: &str) -> Result<Json, serde_json::Error> {
    // Whether it is one.
    serde_json::from_str::<serde_json::Number>(text)?;
    if text != "-0" {
        if let Ok(number) = text.parse() {
            return Ok(Json::Unsigned(number));
        }
        if let Ok(number) = text.parse() {
            return Ok(Json::Signed(number));
        }
    }
    text.parse().map(Json::Float).map_err(serde_json::Error::custom)
}

/// The members of an object, in their order, with those of one name.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}
