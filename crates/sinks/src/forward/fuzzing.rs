//! Messages, handshake and events of the `forward` protocol, for the fuzz target.

use m365_audit_core::{Envelope, Secret};
use rmpv::Value;

use super::events::Events;
use super::handshake::{Handshake, Helo};
use super::message;
use crate::lines::{Flow, Lines};

/// The first message of `bytes` and its length; `None` if more is needed.
///
/// # Errors
/// These bytes are no msgpack.
pub fn read_message(bytes: &[u8]) -> Result<Option<(Value, usize)>, String> {
    message::read(bytes)
}

/// The id that a message acknowledges.
#[must_use]
pub fn acknowledged(message: &Value) -> Option<&str> {
    message::acknowledged(message)
}

/// What a sender with this key makes of a receiver's HELO and PONG; `None` if the first is none.
#[must_use]
pub fn shake_hands(
    key: &str,
    salt: [u8; 16],
    helo: &Value,
    pong: &Value,
) -> Option<Result<(), String>> {
    let helo = Helo::read(helo)?;
    let key = Secret::new(key.to_owned());
    let handshake = Handshake { hostname: "sender", key: &key, user: None, salt };
    Some(handshake.verify(&helo, pong))
}

/// The chunk of some lines: its id and its bytes.
///
/// # Panics
/// The system gives no random numbers.
#[must_use]
pub fn encode(ndjson: &str, count: u32) -> (String, Vec<u8>) {
    let mut events = Events::new("audit");
    let flow = Flow::new("t", &Envelope::bare());
    events.encode(&flow, Lines { ndjson, count }).expect("random numbers");
    let chunk = events.chunk();
    (chunk.id.clone(), chunk.bytes.clone())
}
