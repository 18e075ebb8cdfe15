//! An answer of the Activities API, against serde_json, under any cuts.

use std::fmt;

use arbitrary::Unstructured;
use bytes::Bytes;
use m365_audit_core::fuzzing::Envelope;
use m365_audit_core::json::Item;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json;

/// Members in their order, as they stand.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gather;
        impl<'de> Visitor<'de> for Gather {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Gather)
    }
}

impl Members {
    /// The one member of that name; `None` for none, `Some(None)` for several.
    fn one(&self, name: &str) -> Option<Option<&str>> {
        let mut all = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.get());
        let first = all.next()?;
        Some(all.next().is_none().then_some(first))
    }
}

type Read = (Vec<Vec<u8>>, Result<(bool, Option<String>), String>);

/// However an answer is cut, the same comes out; of one that is JSON, what serde_json finds.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok((shape, cuts)) = u.arbitrary::<(u8, [u8; 4])>() else { return };
    let text = match shape & 3 {
        0 => u.peek_bytes(u.len()).unwrap_or(&[]).to_vec(),
        _ => made(&mut u, shape & 3 == 1),
    };
    let whole = read(&[&text]);
    assert_eq!(whole, read(&json::pieces(&cuts, &text)), "{:?}", String::from_utf8_lossy(&text));
    let (records, verso) = whole;
    let Ok(members) = serde_json::from_slice::<Members>(&text) else { return };
    // A key that is spelt with escapes is another; of two of one name the service sends none.
    if members.0.iter().any(|(key, _)| key.len() > 400) || text.contains(&b'\\') {
        return;
    }
    let (Some(data), Some(has_next)) = (members.one("data"), members.one("hasNext")) else {
        assert!(verso.is_err(), "{:?}", String::from_utf8_lossy(&text));
        return;
    };
    let filters = members.one("nextQueryFilters");
    let (Some(data), Some(has_next)) = (data, has_next) else { return };
    if filters == Some(None) {
        return;
    }
    let elements = serde_json::from_str::<Vec<&RawValue>>(data);
    let Ok(elements) = elements else {
        assert!(verso.is_err());
        return;
    };
    if has_next != "true" && has_next != "false" {
        assert!(verso.is_err());
        return;
    }
    let expected: Vec<_> = elements.iter().map(|element| element.get().as_bytes()).collect();
    assert_eq!(records, expected, "{:?}", String::from_utf8_lossy(&text));
    let filters = filters.flatten().filter(|text| text.starts_with('{')).map(str::to_owned);
    assert_eq!(verso, Ok((has_next == "true", filters)));
}

fn read(pieces: &[&[u8]]) -> Read {
    let mut envelope = Envelope::new(usize::MAX);
    let mut records = Vec::new();
    for piece in pieces {
        envelope.push(Bytes::copy_from_slice(piece));
        loop {
            match envelope.poll() {
                Ok(Some(Item::Record(split))) => records.push(split.raw.to_vec()),
                Ok(Some(Item::Oversized { .. })) => unreachable!("there is no limit"),
                Ok(None) => break,
                // Its words quote the beginning, of which more may have come.
                Err(_) => return (records, Err(String::new())),
            }
        }
    }
    let verso = envelope.finish().map_err(|_| String::new());
    (records, verso)
}

fn made(u: &mut Unstructured<'_>, damaged: bool) -> Vec<u8> {
    let mut text = String::new();
    json::blank(u, &mut text);
    text.push('{');
    for index in 0..u.int_in_range(0..=6u8).unwrap_or(0) {
        if index > 0 {
            text.push(',');
        }
        json::blank(u, &mut text);
        let name = *u
            .choose(&["data", "hasNext", "nextQueryFilters", "total", "max", "dat", "data "])
            .unwrap_or(&"data");
        text.push_str(&format!("\"{name}\""));
        json::blank(u, &mut text);
        text.push(':');
        json::blank(u, &mut text);
        match (name, u.int_in_range(0..=7u8).unwrap_or(0)) {
            ("data", 0..=6) => {
                text.push('[');
                for index in 0..u.int_in_range(0..=4u8).unwrap_or(0) {
                    if index > 0 {
                        text.push(',');
                    }
                    json::blank(u, &mut text);
                    json::value(u, 2, &mut text);
                    json::blank(u, &mut text);
                }
                text.push(']');
            }
            ("hasNext", 0..=6) => {
                text.push_str(if u.arbitrary().unwrap_or(false) { "true" } else { "false" })
            }
            ("nextQueryFilters", 0..=6) => json::object(u, 3, &mut text),
            _ => json::value(u, 2, &mut text),
        }
        json::blank(u, &mut text);
    }
    text.push('}');
    json::blank(u, &mut text);
    let mut text = text.into_bytes();
    if damaged {
        json::damage(u, &mut text);
    }
    text
}
