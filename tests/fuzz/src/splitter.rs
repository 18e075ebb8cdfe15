//! The splitter with its lifted fields, against serde_json, under any cuts.

use arbitrary::Unstructured;
use bytes::Bytes;
use m365_audit_core::json::{
    DEPTH_MAX, Field, Finish, Item, NullVisitor, RecordKind, Split, SplitError, Splitter, walk,
};
use serde_json::value::RawValue;

use crate::json::{self, Json};

const FIELDS: [(Field, &str); 10] = [
    (Field::Id, "Id"),
    (Field::CreationTime, "CreationTime"),
    (Field::RecordType, "RecordType"),
    (Field::Operation, "Operation"),
    (Field::Workload, "Workload"),
    (Field::UserId, "UserId"),
    (Field::UserType, "UserType"),
    (Field::ClientIp, "ClientIP"),
    (Field::ClientIpAddress, "ClientIPAddress"),
    (Field::ActorIpAddress, "ActorIpAddress"),
];

/// However a body is cut, the same comes out; of a body that is JSON, its elements and fields.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok((shape, cuts)) = u.arbitrary::<(u8, [u8; 4])>() else { return };
    let limit = if shape & 3 == 0 { 40 } else { usize::MAX };
    let body =
        if shape & 4 == 0 { made(&mut u) } else { u.peek_bytes(u.len()).unwrap_or(&[]).to_vec() };
    let whole = split(limit, &[&body]);
    let cut = split(limit, &json::pieces(&cuts, &body));
    assert_eq!(whole, cut, "cuts matter: {:?}", String::from_utf8_lossy(&body));
    let told = told(limit, &json::pieces(&cuts, &body));
    assert_eq!(told, whole, "a visitor matters: {:?}", String::from_utf8_lossy(&body));
    let (items, finish) = whole;
    if let Ok(finish) = finish {
        assert_eq!(finish.records, items.len() as u64);
        assert_eq!(finish.bytes, body.len() as u64);
    }
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    let Ok(elements) = serde_json::from_slice::<Option<Vec<&RawValue>>>(text) else { return };
    let finish = finish.expect("what is JSON is split");
    assert_eq!(finish.null, elements.is_none());
    let elements = elements.unwrap_or_default();
    assert_eq!(finish.records, elements.len() as u64);
    for (item, element) in items.iter().zip(elements) {
        match item {
            Item::Oversized { bytes } => {
                assert!(limit < element.get().len());
                assert_eq!(*bytes, element.get().len() as u64);
            }
            Item::Record(split) => {
                assert!(element.get().len() <= limit);
                assert_eq!(split.raw, element.get().as_bytes());
                compare(split, element.get());
            }
        }
    }
}

/// An array, now and then with some damage.
fn made(u: &mut Unstructured<'_>) -> Vec<u8> {
    let mut text = String::new();
    if u.ratio(1, 16).unwrap_or(false) {
        text.push('\u{feff}');
    }
    json::blank(u, &mut text);
    text.push('[');
    let count = u.int_in_range(0..=8usize).unwrap_or(0);
    for index in 0..count {
        if index > 0 {
            text.push(',');
        }
        json::blank(u, &mut text);
        if u.ratio(1, 8).unwrap_or(false) {
            json::value(u, 0, &mut text);
        } else {
            json::object(u, 0, &mut text);
        }
        json::blank(u, &mut text);
    }
    text.push(']');
    json::blank(u, &mut text);
    let mut body = text.into_bytes();
    if u.ratio(1, 4).unwrap_or(false) {
        json::damage(u, &mut body);
    }
    body
}

fn split(limit: usize, pieces: &[&[u8]]) -> (Vec<Item>, Result<Finish, SplitError>) {
    drain(limit, pieces, Splitter::poll)
}

/// The same in one look, of which a visitor is told.
fn told(limit: usize, pieces: &[&[u8]]) -> (Vec<Item>, Result<Finish, SplitError>) {
    drain(limit, pieces, |splitter| {
        let mut item = splitter.poll_with(DEPTH_MAX, &mut NullVisitor)?;
        if let Some(Item::Record(split)) = &mut item {
            let is_json = walk(&split.raw, DEPTH_MAX, &mut NullVisitor).is_ok();
            assert_eq!(split.told, is_json && split.kind == RecordKind::Object);
            split.told = false;
        }
        Ok(item)
    })
}

fn drain(
    limit: usize,
    pieces: &[&[u8]],
    poll: impl Fn(&mut Splitter) -> Result<Option<Item>, SplitError>,
) -> (Vec<Item>, Result<Finish, SplitError>) {
    let mut splitter = Splitter::new(limit).lifting_more(true);
    let mut items = Vec::new();
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece));
        loop {
            match poll(&mut splitter) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    let finish = splitter.finish();
    (items, finish)
}

/// The fields of an element that serde_json can read as well.
fn compare(split: &Split, text: &str) {
    assert_eq!(split.kind == RecordKind::Object, text.starts_with('{'));
    // A key that is spelt with escapes is not found, and says so in its documentation.
    if text.contains("\\u00") {
        return;
    }
    let Ok(value) = serde_json::from_str::<Json>(text) else { return };
    for (field, name) in FIELDS {
        let expected = value.get(name);
        assert_eq!(split.fields.token(field).is_some(), expected.is_some(), "{name} of {text}");
        match expected {
            Some(Json::Text(expected)) => {
                assert_eq!(split.text(field).as_deref(), Some(&**expected), "{name} of {text}");
            }
            Some(Json::Unsigned(number)) => {
                assert_eq!(split.integer(field), i64::try_from(*number).ok(), "{name} of {text}");
            }
            Some(Json::Signed(number)) => assert_eq!(split.integer(field), Some(*number)),
            Some(Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_)) => {
                assert_eq!((split.text(field), split.integer(field)), (None, None), "{name}");
            }
            Some(Json::Float(_)) | None => assert_eq!(split.text(field), None, "{name}"),
        }
    }
}
