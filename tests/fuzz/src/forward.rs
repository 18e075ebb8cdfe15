//! The `forward` protocol: messages that arrive in pieces, a handshake that nobody can pretend, and
//! chunks that hold what the lines say.

use arbitrary::Unstructured;
use m365_audit_sinks::fuzzing::{acknowledged, encode, read_message, shake_hands};
use rmpv::Value;
use sha2::{Digest, Sha512};

use crate::json::{self, Json};
use crate::msgpack::same;

const KEY: &str = "correct horse battery staple";
const SALT: [u8; 16] = *b"saltsaltsaltsalt";

/// As the host has it.
const DEPTH_MAX: usize = 29;

/// Arrays and maps within each other in what a receiver answers: a HELO has two. The host reads
/// some more, and refuses what is deeper.
const ANSWER_DEPTH_MAX: usize = 2;

/// One of the three.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    match u.arbitrary::<u8>().unwrap_or(0) & 3 {
        0 => bytes(u.peek_bytes(u.len()).unwrap_or(&[])),
        1 => messages(&mut u),
        2 => handshake(&mut u),
        _ => chunk(&mut u),
    }
}

/// Of bytes that arrive piece by piece, the first message is the same, whenever it is there.
fn bytes(all: &[u8]) {
    let whole = read_message(all);
    for end in 0..=all.len().min(64) {
        match read_message(&all[..end]) {
            Ok(Some((value, length))) => {
                assert!(length <= end);
                let whole = whole.expect("more bytes break nothing");
                // By their texts: a NaN does not equal itself.
                assert_eq!(format!("{whole:?}"), format!("{:?}", Some((value, length))));
                return;
            }
            Ok(None) => {}
            Err(_) => assert!(whole.is_err(), "more bytes do not mend it: {all:02x?}"),
        }
    }
}

/// Messages one behind the other come out as they went in.
fn messages(u: &mut Unstructured<'_>) {
    let mut sent = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..u.int_in_range(1..=4u8).unwrap_or(1) {
        let value = value(u, 0);
        rmpv::encode::write_value(&mut bytes, &value).expect("a Vec takes everything");
        sent.push(value);
    }
    let mut rest = &bytes[..];
    for value in sent {
        for end in 0..rest.len() {
            match read_message(&rest[..end]) {
                Ok(None) => {}
                Ok(Some((read, length))) => {
                    assert_eq!((&read, length), (&value, end), "not before it is whole");
                }
                Err(error) => panic!("{error}: {value}"),
            }
            if read_message(&rest[..end]).is_ok_and(|read| read.is_some()) {
                break;
            }
        }
        let (read, length) = read_message(rest).expect("msgpack").expect("whole");
        assert_eq!(read, value);
        let ack =
            value.as_map().and_then(|map| map.iter().find(|(k, _)| k.as_str() == Some("ack")));
        assert_eq!(acknowledged(&read), ack.and_then(|(_, id)| id.as_str()));
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Value {
    let text = |u: &mut Unstructured<'_>| -> Value {
        (*u.choose(&["ack", "HELO", "PONG", "nonce", "abc", ""]).unwrap_or(&"")).into()
    };
    match u.int_in_range(0..=6u8).unwrap_or(0) {
        0 => Value::Nil,
        1 => u.arbitrary::<bool>().unwrap_or(false).into(),
        2 => u.arbitrary::<i64>().unwrap_or(0).into(),
        3 => Value::Binary(u.arbitrary::<[u8; 3]>().unwrap_or_default().to_vec()),
        4 if depth < ANSWER_DEPTH_MAX => {
            let count = u.int_in_range(0..=3u8).unwrap_or(0);
            Value::Map((0..count).map(|_| (text(u), value(u, depth + 1))).collect())
        }
        5 if depth < ANSWER_DEPTH_MAX => {
            let count = u.int_in_range(0..=3u8).unwrap_or(0);
            Value::Array((0..count).map(|_| value(u, depth + 1)).collect())
        }
        _ => text(u),
    }
}

/// A receiver is believed if it proves the key for this nonce and salt and name, and only then.
fn handshake(u: &mut Unstructured<'_>) {
    let nonce = u.arbitrary::<[u8; 4]>().unwrap_or_default().to_vec();
    let as_text = u.arbitrary::<bool>().unwrap_or(false);
    let helo_nonce = match String::from_utf8(nonce.clone()) {
        Ok(text) if as_text => text.into(),
        _ => Value::Binary(nonce.clone()),
    };
    let options = Value::Map(vec![("auth".into(), "".into()), ("nonce".into(), helo_nonce)]);
    let helo = Value::Array(vec!["HELO".into(), options]);
    let name = *u.choose(&["peer", "", "päer"]).unwrap_or(&"peer");
    let (used_key, used_name) = match u.int_in_range(0..=7u8).unwrap_or(0) {
        0 => ("another key", name),
        1 => (KEY, "another"),
        _ => (KEY, name),
    };
    let mut hash = Sha512::new();
    for part in [&SALT[..], used_name.as_bytes(), &nonce, used_key.as_bytes()] {
        hash.update(part);
    }
    let right = used_key == KEY && used_name == name;
    let mut digest: Vec<u8> =
        hash.finalize().iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    let before = digest.clone();
    if u.ratio(1, 2).unwrap_or(false) {
        json::damage(u, &mut digest);
        digest.truncate(usize::from(u.int_in_range(100..=255u8).unwrap_or(255)));
    }
    let intact = digest == before;
    let digest = match String::from_utf8(digest.clone()) {
        Ok(text) if u.arbitrary().unwrap_or(false) => text.into(),
        _ => Value::Binary(digest),
    };
    let accepted = u.ratio(7, 8).unwrap_or(true);
    let pong = [Value::from("PONG"), accepted.into(), "why".into(), name.into(), digest];
    let verdict = shake_hands(KEY, SALT, &helo, &Value::Array(pong.to_vec()));
    assert_eq!(verdict.expect("a HELO").is_ok(), right && intact && accepted);
}

/// A chunk has an event for each line, and each says what its line says.
fn chunk(u: &mut Unstructured<'_>) {
    let mut ndjson = String::new();
    let mut count = 0;
    for _ in 0..u.int_in_range(1..=4u8).unwrap_or(1) {
        let mut line = String::new();
        json::object(u, 0, &mut line);
        ndjson.push_str(&line.replace(['\n', '\r', '\t'], " "));
        ndjson.push('\n');
        count += 1;
    }
    let (id, bytes) = encode(&ndjson, count);
    let mut rest = &bytes[..];
    let message = rmpv::decode::read_value(&mut rest).expect("msgpack");
    assert!(rest.is_empty());
    assert_eq!(message[0].as_str(), Some("audit"));
    assert_eq!(message[2]["chunk"].as_str(), Some(&*id));
    assert_eq!(message[2]["size"].as_u64(), Some(count.into()));
    let mut events = message[1].as_slice().expect("binary");
    for line in ndjson.lines() {
        let event = rmpv::decode::read_value(&mut events).expect("an event a line");
        let (time, body) = (&event[0], &event[1]);
        assert!(matches!(time, Value::Ext(0, bytes) if bytes.len() == 8), "{time}");
        match serde_json::from_str::<Json>(line) {
            Ok(read) if read.depth() <= DEPTH_MAX => same(&read, body),
            _ => {}
        }
    }
    assert!(events.is_empty());
}
