//! The encoder: one event a record.
//!
//! An event is `[[time, metadata], body]` (Fluent Bit's v2 form), or `[time, body]` as the
//! `forward` protocol has it. Must not change a record: what msgpack cannot hold exactly travels as
//! text, what is no JSON travels whole, as text, marked.
//!
//! | JSON | msgpack |
//! |---|---|
//! | whole number in 64 bits | the shortest integer |
//! | larger whole number | str of its digits |
//! | fraction, exponent, `-0` | the nearest float 64, or, beyond its range, str of the characters |
//! | string, key | str, UTF-8; a lone surrogate escape stays as its six characters |
//! | object | map; duplicate keys stay, in order |
//! | array, `true`, `false`, `null` | array, bool, nil |

use m365_audit_core::Enrichment;
use m365_audit_core::json::{Timestamp, Walker};

use crate::body::{self, Body, put_bin, put_map, put_str, put_tagged};

/// `[[ext 0 of 8 bytes …`: array of two, array of two, fixext 8, type 0. The event time's eight
/// bytes follow.
const EVENT_HEAD: [u8; 4] = [0x92, 0x92, 0xd7, 0x00];

/// `[ext 0 of 8 bytes …`: the same without metadata.
const PLAIN_HEAD: [u8; 3] = [0x92, 0xd7, 0x00];

/// What all events of a batch say beside their bodies.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    /// `content_type`: the feed, as Microsoft calls it.
    pub content_type: &'a str,
    /// `content_id`: the blob.
    pub content_id: &'a str,
    /// `content_created`: when Microsoft published the blob, RFC 3339.
    pub content_created: &'a str,
    /// `tenant_id`: a GUID.
    pub tenant_id: &'a str,
}

/// What is said of one record beside what all events of its batch say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// `record_type_name`, `user_type_name`, `client_address`, `client_port`.
    pub enrichment: Option<Enrichment>,
    /// `redacted: true`.
    pub redacted: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// Its members are the event's body.
    Members,
    /// It is no JSON object, or nests too deep. The event's body is `{"raw": …}` with the whole
    /// record as str, or as bin if it is not UTF-8, and the metadata says `malformed: true`; of an
    /// event without metadata, the body does.
    Malformed,
}

/// Encodes the events of one batch after the other into one buffer.
#[derive(Debug)]
pub struct Encoder {
    walker: Walker,
    /// Where the event time's bytes are in an event.
    time_at: usize,
    /// An event up to its body, with the metadata of the batch.
    head: Vec<u8>,
    /// The same for a record that is malformed.
    head_malformed: Vec<u8>,
    events: Vec<u8>,
}

impl Encoder {
    /// An encoder for bodies that nest at most `depth_max` deep, the body's own map included. Its
    /// events have no metadata until some is set.
    #[must_use]
    pub fn new(depth_max: usize) -> Self {
        let mut head = PLAIN_HEAD.to_vec();
        head.extend_from_slice(&[0; 8]);
        let head_malformed = head.clone();
        Self {
            walker: Walker::new(depth_max),
            time_at: PLAIN_HEAD.len(),
            head,
            head_malformed,
            events: Vec::new(),
        }
    }

    /// Events from here on carry this metadata.
    pub fn set_metadata(&mut self, metadata: &Metadata<'_>) {
        self.time_at = EVENT_HEAD.len();
        write_head(&mut self.head, metadata, false);
        write_head(&mut self.head_malformed, metadata, true);
    }

    /// Appends the event of one record: its JSON text and the time at which it happened.
    pub fn push(&mut self, record: &[u8], time: Timestamp) -> Encoded {
        self.push_with(record, time, &Beside::default())
    }

    /// The same, with more to say in the metadata. Without metadata it is not said.
    pub fn push_with(&mut self, record: &[u8], time: Timestamp, beside: &Beside) -> Encoded {
        let start = self.events.len();
        self.events.reserve(self.head_malformed.len() + record.len());
        self.events.extend_from_slice(&self.head);
        self.put_beside(start, beside);
        let mut body = Body::new(std::mem::take(&mut self.events));
        let whole = record.first() == Some(&b'{') && self.walker.walk(record, &mut body).is_ok();
        self.events = body.into_inner();
        if !whole {
            self.events.truncate(start);
            self.events.extend_from_slice(&self.head_malformed);
            self.put_beside(start, beside);
            put_raw(&mut self.events, record, self.time_at == PLAIN_HEAD.len());
        }
        self.events[start + self.time_at..][..8].copy_from_slice(&event_time(time));
        if whole { Encoded::Members } else { Encoded::Malformed }
    }

    /// Appends members to the metadata of the event that begins at `start` and has no body yet.
    fn put_beside(&mut self, start: usize, beside: &Beside) {
        if beside.enrichment.is_none() && !beside.redacted {
            return;
        }
        let enrichment = beside.enrichment.unwrap_or_default();
        let members = enrichment.len() + usize::from(beside.redacted);
        if members == 0 || self.time_at == PLAIN_HEAD.len() {
            return;
        }
        // All members together are fewer than a short header counts.
        self.events[start + self.time_at + 8] += body::low_byte(members as u64);
        for (name, text) in enrichment.texts() {
            put_str(&mut self.events, name.as_bytes());
            put_str(&mut self.events, text.as_bytes());
        }
        if let Some(port) = enrichment.client_port {
            put_str(&mut self.events, b"client_port");
            put_tagged(&mut self.events, body::UINT_16, port.to_be_bytes());
        }
        if beside.redacted {
            put_str(&mut self.events, b"redacted");
            self.events.push(body::TRUE);
        }
    }

    /// The events so far, one behind the other.
    #[must_use]
    pub fn events(&self) -> &[u8] {
        &self.events
    }

    /// Forgets the events, keeps their room.
    pub fn clear(&mut self) {
        self.events.clear();
    }
}

fn write_head(head: &mut Vec<u8>, metadata: &Metadata<'_>, malformed: bool) {
    head.clear();
    head.extend_from_slice(&EVENT_HEAD);
    head.extend_from_slice(&[0; 8]);
    let members = [
        ("content_type", metadata.content_type),
        ("content_id", metadata.content_id),
        ("content_created", metadata.content_created),
        ("tenant_id", metadata.tenant_id),
    ];
    put_map(head, members.len() + usize::from(malformed));
    for (key, value) in members {
        put_str(head, key.as_bytes());
        put_str(head, value.as_bytes());
    }
    if malformed {
        put_str(head, b"malformed");
        head.push(body::TRUE);
    }
}

/// `{"raw": record}`, or `{"malformed": true, "raw": record}` where no metadata says so.
fn put_raw(out: &mut Vec<u8>, record: &[u8], marked: bool) {
    put_map(out, 1 + usize::from(marked));
    if marked {
        put_str(out, b"malformed");
        out.push(body::TRUE);
    }
    put_str(out, b"raw");
    match std::str::from_utf8(record) {
        Ok(text) => put_str(out, text.as_bytes()),
        Err(_) => put_bin(out, record),
    }
}

/// The last second that can be said: Fluent Bit takes the two behind it for marks of a group, and
/// the record would be lost.
const SECONDS_MAX: u32 = u32::MAX - 2;

/// Fluent Bit's event time: seconds and nanoseconds, 32 bits each, big-endian. What is before 1970
/// or after 2106 becomes the nearest second that it can say.
fn event_time(time: Timestamp) -> [u8; 8] {
    let seconds = time.seconds.clamp(0, i64::from(SECONDS_MAX));
    let seconds = u32::try_from(seconds).unwrap_or(SECONDS_MAX);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4..].copy_from_slice(&time.nanoseconds.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests;
