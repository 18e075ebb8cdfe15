//! Where the id of a record stands in what a SIEM has made of it. Reads no file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::json::{Field, lift_record};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::arrived::Named;

/// What `--id-field` is unless somebody says otherwise.
pub(super) const ID_FIELD: &str = "Id";

/// Members in which pipelines put a record, as JSON or as its text.
const WRAPPERS: [&str; 16] = [
    "record",
    "_source",
    "_raw",
    "result",
    "event",
    "event.original",
    "log",
    "message",
    "body",
    "data",
    "payload",
    "AuditData",
    "o365.audit",
    "o365audit",
    "office365",
    "m365",
];

/// Members that hold many rows, in answers of search APIs.
const LISTS: [&str; 6] = ["hits.hits", "results", "value", "records", "events", "data"];

/// Other names of a record's id: Elastic, Microsoft Sentinel, Purview; and that of an activity.
const OTHER_NAMES: [&str; 4] = ["event.id", "OfficeId", "RecordId", "_id"];

/// How deep wrappers are opened.
const DEPTH_MAX: u8 = 4;

/// Where the id stands.
#[derive(Clone, Debug)]
pub(super) struct IdField {
    path: String,
    /// Whether somebody named it: then it has no other name.
    named: bool,
}

/// What one JSON value is made of.
pub(super) enum Rows {
    /// One row, and the name under which its id was found.
    One(Named, String),
    /// Many.
    Many(Vec<Value>),
    /// Nothing that has an id.
    None(Value),
}

impl IdField {
    pub(super) fn new(path: Option<&str>) -> Self {
        Self { path: path.unwrap_or(ID_FIELD).to_owned(), named: path.is_some() }
    }

    /// The name of a column that has the id, or of one that holds the record.
    pub(super) fn is_column(&self, name: &str) -> bool {
        let name = name.trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        is(&self.path) || !self.named && OTHER_NAMES.into_iter().any(is)
    }

    /// Whether a column may hold the whole record.
    pub(super) fn is_wrapper(name: &str) -> bool {
        WRAPPERS.into_iter().any(|known| name.trim().eq_ignore_ascii_case(known))
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What there is in a value.
    pub(super) fn rows(&self, value: Value) -> Rows {
        match value {
            Value::Array(values) => Rows::Many(values),
            Value::Object(_) => match self.find(&value) {
                Some((named, place)) => Rows::One(named, place),
                None => many(value),
            },
            other => match scalar(&other) {
                Some(id) => Rows::One(Named { id, details: None }, "the row itself".to_owned()),
                None => Rows::None(other),
            },
        }
    }

    fn find(&self, row: &Value) -> Option<(Named, String)> {
        if let Some(found) = self.within(row, &self.path, "", 0) {
            return Some(found);
        }
        let others = if self.named { &[][..] } else { &OTHER_NAMES };
        others.iter().find_map(|name| self.within(row, name, "", 0))
    }

    /// The id called `name` in `row`, or in what `row` is a wrapper of.
    fn within(&self, row: &Value, name: &str, at: &str, depth: u8) -> Option<(Named, String)> {
        let place = |name: &str| if at.is_empty() { name.into() } else { format!("{at}.{name}") };
        // What a store calls `_id` may be its own, and the record's stands within.
        let inner_first = name == "_id";
        let own = || Some((named(row, member(row, name)?)?, place(name)));
        if let Some(found) = (!inner_first).then(own).flatten() {
            return Some(found);
        }
        if depth < DEPTH_MAX {
            for wrapper in WRAPPERS {
                let Some(inner) = member(row, wrapper) else { continue };
                let found = match inner {
                    Value::Object(_) => self.within(inner, name, &place(wrapper), depth + 1),
                    Value::String(text) if text.trim_start().starts_with('{') => {
                        let inner = parse(text.as_bytes());
                        inner
                            .and_then(|inner| self.within(&inner, name, &place(wrapper), depth + 1))
                    }
                    _ => None,
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        if let Some(found) = (name == self.path).then(|| malformed(row)).flatten() {
            return Some((found, place("raw")));
        }
        if inner_first { own() } else { None }
    }
}

/// The member at a path: a name with dots in it, or members of members.
fn member<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = row.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    member(row.get(first)?, rest)
}

/// The row with this id. Its details stand beside the id, or nowhere.
fn named(row: &Value, id: &Value) -> Option<Named> {
    let text = |name: &str| row.get(name)?.as_str().map(str::to_owned);
    let details = text("CreationTime").zip(text("Operation"));
    Some(Named { id: scalar(id)?, details })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        // Splunk makes a list of one of what occurs once.
        Value::Array(values) if values.len() == 1 => scalar(&values[0]),
        _ => None,
    }
}

/// A record that is no JSON, in the form in which it is delivered.
fn malformed(row: &Value) -> Option<Named> {
    row.get("malformed")?.as_bool().filter(|malformed| *malformed)?;
    let raw = match row.get("raw").and_then(Value::as_str) {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(row.get("raw_base64")?.as_str()?).ok()?,
    };
    lifted(&raw)
}

/// What begins the name of a record that has no id: it is known by what it says.
pub(super) const NAMELESS: char = '\0';

/// The name of a record without an id, by all that it says, in whatever order. Of a row it is what
/// a wrapper holds, if there is one.
pub(super) fn nameless(row: &Value) -> Option<Named> {
    let inner = WRAPPERS.into_iter().find_map(|wrapper| match member(row, wrapper)? {
        inner @ Value::Object(_) => nameless(inner),
        Value::String(text) if text.trim_start().starts_with('{') => {
            nameless(&parse(text.as_bytes())?)
        }
        _ => None,
    });
    let own = || {
        let mut text = String::new();
        row.is_object().then(|| canonical(row, &mut text))?;
        let id = format!("{NAMELESS}{:032x}", xxh3_128(text.as_bytes()));
        Some(Named { id, details: None })
    };
    inner.or_else(own)
}

/// A value as text, members in the order of their names.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in members {
                text.push_str(&Value::from(name.as_str()).to_string());
                canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                canonical(value, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}

/// Reads JSON, also such as Microsoft writes and parsers refuse: with half of a surrogate pair.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let value = serde_json::from_slice(bytes).ok();
    value.or_else(|| serde_json::from_slice(&mend(bytes)?).ok())
}

/// Puts U+FFFD in the place of halves of surrogate pairs; `None` if there is none.
fn mend(bytes: &[u8]) -> Option<Vec<u8>> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (mut mended, mut at, mut any) = (Vec::with_capacity(bytes.len()), 0, false);
    while let Some(byte) = bytes.get(at) {
        let taken = match (byte, unit(at)) {
            (b'\\', Some(0xd800..=0xdbff)) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            (b'\\', Some(0xd800..=0xdfff)) => {
                mended.extend_from_slice(b"\\ufffd");
                (at, any) = (at + 6, true);
                continue;
            }
            // An escaped backslash begins no other escape.
            (b'\\', _) => 2,
            _ => 1,
        };
        let end = (at + taken).min(bytes.len());
        mended.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    any.then_some(mended)
}

/// The top-level id of what cannot be read otherwise: it nests too deeply, or is broken elsewhere.
pub(super) fn lifted(bytes: &[u8]) -> Option<Named> {
    let fields = lift_record(bytes)?;
    let text = |field: Field| fields.text(bytes, field).map(std::borrow::Cow::into_owned);
    let details = text(Field::CreationTime).zip(text(Field::Operation));
    Some(Named { id: text(Field::Id)?, details })
}

/// The rows in what a search API answers.
fn many(mut value: Value) -> Rows {
    let is_list = |list: &&str| member(&value, list).is_some_and(Value::is_array);
    let Some(list) = LISTS.into_iter().find(is_list) else { return Rows::None(value) };
    let mut at = Some(&mut value);
    for name in list.split('.') {
        at = at.and_then(|at| at.get_mut(name));
    }
    match at.map(Value::take) {
        Some(Value::Array(values)) => Rows::Many(values),
        Some(_) | None => Rows::None(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(path: Option<&str>, value: Value, expected: Option<(&str, &str)>) {
        let found = match IdField::new(path).rows(value) {
            Rows::One(named, place) => Some((named.id, place)),
            Rows::Many(_) | Rows::None(_) => None,
        };
        assert_eq!(found, expected.map(|(id, place)| (id.to_owned(), place.to_owned())));
    }

    #[test]
    fn an_id_is_found_where_siems_put_it() {
        check(None, json!({"Id": "a"}), Some(("a", "Id")));
        check(None, json!({"record": {"Id": "a"}, "content_id": "b"}), Some(("a", "record.Id")));
        check(None, json!({"_id": "es", "_source": {"Id": "a"}}), Some(("a", "_source.Id")));
        check(None, json!({"_raw": "{\"Id\":\"a\"}"}), Some(("a", "_raw.Id")));
        let splunk = json!({"preview": false, "result": {"_raw": "{\"Id\":\"a\"}"}});
        check(None, splunk, Some(("a", "result._raw.Id")));
        check(None, json!({"event": {"id": "a", "kind": "event"}}), Some(("a", "event.id")));
        check(None, json!({"o365": {"audit": {"Id": "a"}}}), Some(("a", "o365.audit.Id")));
        check(None, json!({"o365.audit.Id": "a"}), None);
        check(Some("o365.audit.Id"), json!({"o365.audit.Id": "a"}), Some(("a", "o365.audit.Id")));
        check(None, json!({"OfficeId": "a"}), Some(("a", "OfficeId")));
        check(None, json!({"_id": "1_2", "rawDataJson": {"Id": "b"}}), Some(("1_2", "_id")));
        check(None, json!({"_id": "es", "_source": {"_id": "1"}}), Some(("1", "_source._id")));
        check(Some("a.b"), json!({"a": {"b": 7}, "Id": "c"}), Some(("7", "a.b")));
        check(Some("a.b"), json!({"Id": "c"}), None);
        check(None, json!("a"), Some(("a", "the row itself")));
        check(None, json!({"Id": null}), None);
        let raw = "{\"Id\":\"a\",\"Broken\":tru}";
        check(None, json!({"malformed": true, "raw": raw}), Some(("a", "raw")));
        let raw = STANDARD.encode(b"{\"Id\":\"a\",\"Broken\":\"\xff\"}");
        check(None, json!({"malformed": true, "raw_base64": raw}), Some(("a", "raw")));
        let rows = IdField::new(None).rows(json!({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}));
        assert!(matches!(rows, Rows::Many(rows) if rows.len() == 2));
    }

    #[test]
    fn what_parsers_refuse_is_read_all_the_same() {
        let found = |text: &str| match IdField::new(None).rows(parse(text.as_bytes()).unwrap()) {
            Rows::One(named, _) => named.id,
            Rows::Many(_) | Rows::None(_) => panic!("{text}"),
        };
        assert_eq!(found(r#"{"x":"half \ud83d and \ude00\ud83d, \ud83d\ude00","Id":"a"}"#), "a");
        assert_eq!(found(r#"{"_raw":"{\"x\":\"\\ud83d\",\"Id\":\"a\"}"}"#), "a");
        assert_eq!(parse(br#"{"x":"\\ud83d"}"#).unwrap()["x"], r"\ud83d");
        assert_eq!(parse(br#"{"x":tru}"#), None);
        let deep = format!("{{\"Id\":\"a\",\"x\":{}{}}}", "[".repeat(300), "]".repeat(300));
        assert_eq!(parse(deep.as_bytes()), None);
        assert_eq!(lifted(deep.as_bytes()).unwrap().id, "a");
    }

    #[test]
    fn what_has_no_id_is_known_by_what_it_says() {
        let name = |row: Value| nameless(&row).map(|named| named.id);
        let record = json!({"b": [1, {"d": 1, "c": 2}], "a": "x"});
        let same = parse(br#"{"a":"x","b":[1,{"c":2,"d":1}]}"#).unwrap();
        assert_eq!(name(record.clone()), name(same));
        assert_eq!(name(record.clone()), name(json!({"record": record.clone(), "tag": "t"})));
        assert_eq!(name(record.clone()), name(json!({"_raw": record.to_string()})));
        assert_ne!(name(record.clone()), name(json!({"b": [1, {"d": 1, "c": 2}], "a": "y"})));
        assert_eq!(name(json!(7)), None);
    }

    #[test]
    fn details_stand_beside_the_id() {
        let row = json!({"CreationTime": "no", "record": {"Id": "a", "CreationTime": "t",
            "Operation": "o"}});
        let Rows::One(named, _) = IdField::new(None).rows(row) else { panic!("it has one") };
        assert_eq!(named.details, Some(("t".into(), "o".into())));
    }
}
