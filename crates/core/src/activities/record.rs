//! What the collector has to know of an activity: which it is, when it was stored, when it
//! happened. Reads no other member and changes none.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::base::key::Key;
use crate::base::time::Utc;

/// Of a member that occurs twice, the first counts; keys are compared as they are, case included.
#[derive(Debug, Default)]
struct Members {
    id: Option<Value>,
    created: Option<Value>,
    timestamp: Option<Value>,
}

/// A number or a text as text, both of which Microsoft uses for the same thing.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

fn moment(value: &Value) -> Option<Utc> {
    let millis = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Utc::from_millis(millis))
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gather;
        impl<'de> Visitor<'de> for Gather {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an activity")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    let slot = match &*name {
                        "_id" => &mut members.id,
                        "created" => &mut members.created,
                        "timestamp" => &mut members.timestamp,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let value = map.next_value()?;
                    slot.get_or_insert(value);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Gather)
    }
}

/// What one activity says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its `_id`, or its bytes if it has none: so it is told from others all the same.
    pub key: Key,
    /// When it was stored.
    pub created: Option<Utc>,
    /// When it happened.
    pub happened: Option<Utc>,
}

/// When an activity happened by its own account: its `timestamp`, in milliseconds since 1970.
/// `None` for what says nothing of the kind.
#[must_use]
pub fn happened(record: &[u8]) -> Option<Utc> {
    know(record).happened
}

/// Reads an activity. One that is no JSON is known by its bytes.
pub(crate) fn know(record: &[u8]) -> Known {
    let members: Members = serde_json::from_slice(record).unwrap_or_default();
    let key = match members.id.as_ref().and_then(text) {
        Some(id) => Key::of_content(&id),
        None => Key(xxh3_128(record)),
    };
    let [created, happened] =
        [members.created, members.timestamp].map(|value| value.as_ref().and_then(moment));
    Known { key, created, happened }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_is_known_by_its_id_in_either_form() {
        let at = |millis| Some(Utc::from_millis(millis));
        let known = know(br#"{"ID":"x","_id":"1_2","timestamp":5,"created":"7","Created":9}"#);
        assert_eq!((known.created, known.happened), (at(7), at(5)));
        assert_eq!(known.key, know(br#"{"_id":"1_2","_id":"3"}"#).key);
        assert_eq!(know(br#"{"_id":12}"#).key, know(br#"{"a":{"_id":1},"_id":"12"}"#).key);
        assert_ne!(known.key, know(br#"{"_id":"1_3"}"#).key);
        for odd in [&b"{\"a\":1}"[..], b"{\"_id\":null}", b"7", b"{broken", b"\xff"] {
            assert_eq!(know(odd).key, Key(xxh3_128(odd)));
            assert_eq!(know(odd).happened, None);
        }
    }
}
