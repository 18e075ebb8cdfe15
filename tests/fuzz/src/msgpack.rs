//! A record to msgpack and back, and to a line of NDJSON, against serde_json and rmpv.

use arbitrary::Unstructured;
use bytes::Bytes;
use m365_audit_core::json::{Item, Splitter, Timestamp, line_into};
use m365_audit_msgpack::{Encoded, Encoder};
use rmpv::Value;

use crate::json::{self, Json};

/// As the plugin has it.
const DEPTH_MAX: usize = 29;

/// How deep serde_json reads.
const SERDE_DEPTH_MAX: usize = 127;

/// What JSON says is what msgpack says, what is no JSON travels whole, and a line says the same.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(shape) = u.arbitrary::<u8>() else { return };
    let record = match shape & 3 {
        0 => u.peek_bytes(u.len()).unwrap_or(&[]).to_vec(),
        _ => {
            let mut text = String::new();
            json::object(&mut u, 0, &mut text);
            let mut bytes = text.into_bytes();
            if shape & 3 == 1 {
                json::damage(&mut u, &mut bytes);
            }
            bytes
        }
    };
    let mut encoder = Encoder::new(DEPTH_MAX);
    // A neighbour in front: what is patched later must not reach it.
    encoder.push(b"{\"n\":1}", TIME);
    let first = encoder.events().to_vec();
    let encoded = encoder.push(&record, TIME);
    let events = encoder.events();
    assert_eq!(events[..first.len()], first);
    let mut rest = &events[first.len()..];
    let event = rmpv::decode::read_value(&mut rest).expect("it is msgpack");
    assert!(rest.is_empty(), "one event a record");
    let Some([Value::Ext(0, time), body]) = event.as_array().map(Vec::as_slice) else {
        panic!("{event}");
    };
    assert_eq!(time[..], [0, 0, 0, 7, 0, 0, 0, 9]);
    one_look(&record, encoded, &events[first.len()..]);
    let read = serde_json::from_slice::<Json>(&record);
    match (&read, encoded) {
        (Ok(read @ Json::Object(_)), Encoded::Members) => {
            assert!(read.depth() <= DEPTH_MAX);
            same(read, body);
        }
        (Ok(read), Encoded::Malformed) => {
            // White space in front is not what a splitter gives.
            let begins = record.first() == Some(&b'{');
            assert!(!begins || DEPTH_MAX < read.depth(), "{:?}", String::from_utf8_lossy(&record));
            travels_whole(&record, body);
        }
        (Ok(read), Encoded::Members) => panic!("no object: {read:?}"),
        (Err(_), Encoded::Malformed) => travels_whole(&record, body),
        (Err(error), Encoded::Members) => {
            // Surrogates without a partner, and numbers beyond every float: JSON has them.
            let text = std::str::from_utf8(&record).expect("JSON is UTF-8").to_ascii_lowercase();
            let excused = text.contains("\\ud")
                || (text.contains('e') && error.to_string().contains("out of range"))
                || error.to_string().contains("out of range");
            assert!(excused, "{error}: {text}");
        }
    }
    line(&record, read.is_ok_and(|read| read.depth() < SERDE_DEPTH_MAX));
}

/// As the element of a list, a record that a splitter finds has the same event in one look.
fn one_look(record: &[u8], encoded: Encoded, event: &[u8]) {
    let body = [b"[{},", record, b",{\"behind\":1}]"].concat();
    for cut in [0, body.len() / 2] {
        let mut splitter = Splitter::new(usize::MAX);
        let mut encoder = Encoder::new(DEPTH_MAX);
        let mut items = Vec::new();
        for piece in [&body[..cut], &body[cut..]] {
            splitter.push(Bytes::copy_from_slice(piece));
            loop {
                let start = encoder.events().len();
                match encoder.push_next(&mut splitter, |_| TIME) {
                    Ok(Some((item, found))) => {
                        items.push((item, found, encoder.events()[start..].to_vec()));
                    }
                    Ok(None) => break,
                    // The record has broken the list.
                    Err(_) => return,
                }
            }
        }
        if let Some((Item::Record(split), found, events)) = items.get(1)
            && split.raw == record
        {
            assert_eq!((*found, &events[..]), (encoded, event));
        }
    }
}

const TIME: Timestamp = Timestamp { seconds: 7, nanoseconds: 9 };

fn travels_whole(record: &[u8], body: &Value) {
    let raw = &body["raw"];
    assert_eq!(body["malformed"].as_bool(), Some(true));
    let bytes = raw.as_str().map(str::as_bytes).or_else(|| raw.as_slice());
    assert_eq!(bytes, Some(record));
    assert_eq!(raw.is_str(), std::str::from_utf8(record).is_ok());
}

/// A value of JSON and what it became.
#[track_caller]
pub(crate) fn same(json: &Json, value: &Value) {
    match (json, value) {
        (Json::Null, Value::Nil) => {}
        (Json::Bool(expected), Value::Boolean(found)) => assert_eq!(expected, found),
        (Json::Unsigned(expected), Value::Integer(found)) => {
            assert_eq!(Some(*expected), found.as_u64());
        }
        (Json::Signed(expected), Value::Integer(found)) => {
            assert_eq!(Some(*expected), found.as_i64());
        }
        (Json::Float(expected), Value::F64(found)) => {
            assert_eq!(expected.to_bits(), found.to_bits());
        }
        // A whole number beyond 64 bits travels as its digits.
        (Json::Float(expected), Value::String(found)) => {
            let digits = found.as_str().expect("ASCII");
            assert!(digits.strip_prefix('-').unwrap_or(digits).bytes().all(|b| b.is_ascii_digit()));
            assert_eq!(digits.parse::<f64>().map(f64::to_bits), Ok(expected.to_bits()));
        }
        (Json::Text(expected), Value::String(found)) => {
            assert_eq!(Some(&**expected), found.as_str());
        }
        (Json::List(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len());
            expected.iter().zip(found).for_each(|(json, value)| same(json, value));
        }
        (Json::Object(expected), Value::Map(found)) => {
            assert_eq!(expected.len(), found.len());
            for ((name, json), (key, value)) in expected.iter().zip(found) {
                assert_eq!(key.as_str(), Some(&**name));
                same(json, value);
            }
        }
        (json, value) => panic!("{json:?} became {value}"),
    }
}

/// A line has no line breaks and says what the record says.
fn line(record: &[u8], readable: bool) {
    let mut out = b"before".to_vec();
    let written = line_into(record, m365_audit_core::json::DEPTH_MAX, &mut out);
    if written.is_err() {
        assert!(!readable, "{:?}", String::from_utf8_lossy(record));
        assert_eq!(out, b"before");
        return;
    }
    let line = &out[b"before".len()..];
    assert_eq!(line.len(), record.len());
    assert!(!line.iter().any(|byte| b"\n\r\t".contains(byte)));
    if readable {
        let read = |text: &[u8]| serde_json::from_slice::<Json>(text).ok();
        assert_eq!(read(line), read(record));
    }
}
