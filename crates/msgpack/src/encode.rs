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

use std::borrow::Cow;

use m365_audit_core::json::{Item, Split, SplitError, Splitter, Timestamp, Walker};
use m365_audit_core::{Enrichment, Envelope, MetadataPlace, NameTaken, free_name};

use crate::body::{self, Body, put_bin, put_map, put_str, put_tagged};
use crate::room::Room;

/// `[[ext 0 of 8 bytes …`: array of two, array of two, fixext 8, type 0. The event time's eight
/// bytes follow.
const EVENT_HEAD: [u8; 4] = [0x92, 0x92, 0xd7, 0x00];

/// `[ext 0 of 8 bytes …`: the same without metadata.
const PLAIN_HEAD: [u8; 3] = [0x92, 0xd7, 0x00];

/// The metadata of an event that has none. Fluent Bit then adds nothing to records.
const EMPTY_MAP: u8 = 0x80;

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
    /// record as str, or as bin if it is not UTF-8, and the metadata says `malformed: true`; where
    /// there is no metadata, the body does.
    Malformed,
}

/// Encodes the events of one batch after the other into one buffer.
#[derive(Debug)]
pub struct Encoder {
    walker: Walker,
    depth_max: usize,
    /// Where the event time's bytes are in an event.
    time_at: usize,
    /// An event up to its body, with the metadata of the batch.
    head: Room,
    /// The same for a record that is malformed.
    head_malformed: Room,
    events: Room,
    /// What stands around records, if they do not leave as they are.
    shape: Option<Shape>,
    /// What the tenant is called.
    tenant_name: Option<Box<str>>,
}

/// What stands around and behind the records of a batch.
#[derive(Debug)]
struct Shape {
    envelope: Envelope,
    content_type: Box<str>,
    /// The members of the metadata that all records of the batch share, if they stand in the body.
    facts: Room,
    /// What was not told yet, and whether one was told.
    taken: (Option<NameTaken>, bool),
}

impl Beside {
    /// How many members there are.
    fn len(&self) -> usize {
        self.enrichment.map_or(0, |enrichment| enrichment.len()) + usize::from(self.redacted)
    }

    fn put(&self, out: &mut Room) {
        let enrichment = self.enrichment.unwrap_or_default();
        for (name, text) in enrichment.texts() {
            put_str(out, name.as_bytes());
            put_str(out, text.as_bytes());
        }
        if let Some(port) = enrichment.client_port {
            put_str(out, b"client_port");
            put_tagged(out, body::UINT_16, port.to_be_bytes());
        }
        if self.redacted {
            put_str(out, b"redacted");
            out.push(body::TRUE);
        }
    }
}

impl Shape {
    /// Members that are added in a record, whether it is nested or not.
    fn inner(&self) -> usize {
        usize::from(self.envelope.content_type_field.is_some())
    }

    /// Members that are added beside a nested record, and in one that is not.
    fn outer(&self) -> usize {
        let metadata = self.envelope.metadata == Some(MetadataPlace::Record);
        self.envelope.add_fields.len() + usize::from(metadata)
    }

    /// Up to the record.
    fn put_before(&self, out: &mut Room) {
        if let Some(key) = &self.envelope.record_key {
            put_map(out, 1 + self.outer());
            put_str(out, key.as_bytes());
        }
    }

    /// What stands behind the members of `object`, which is what the record is.
    fn put_behind(&mut self, out: &mut Room, object: &[u8], beside: &Beside, whole: bool) {
        let Self { envelope, content_type, facts, taken } = self;
        let mut name = |out: &mut Room, asked: &str, inside: bool| {
            let given = if inside { free_name(object, asked) } else { Cow::Borrowed(asked) };
            if !taken.1 && given != asked {
                let (asked, given) = (asked.into(), given.clone().into());
                *taken = (Some(NameTaken { asked, given }), true);
            }
            put_str(out, given.as_bytes());
        };
        let inside = envelope.record_key.is_none();
        if let Some(field) = &envelope.content_type_field {
            name(out, field, true);
            put_str(out, content_type.as_bytes());
        }
        for (field, value) in &envelope.add_fields {
            name(out, field, inside);
            put_str(out, value.as_bytes());
        }
        if envelope.metadata == Some(MetadataPlace::Record) {
            name(out, &envelope.metadata_key, inside);
            put_map(
                out,
                facts_len(envelope.tenant_name.as_deref()) + usize::from(!whole) + beside.len(),
            );
            out.extend_from_slice(facts.as_slice());
            if !whole {
                put_str(out, b"malformed");
                out.push(body::TRUE);
            }
            beside.put(out);
        }
    }
}

impl Encoder {
    /// An encoder for bodies that nest at most `depth_max` deep, the body's own map included. Its
    /// events have no metadata until some is set.
    #[must_use]
    pub fn new(depth_max: usize) -> Self {
        let plain = [&PLAIN_HEAD[..], &[0; 8]].concat();
        let (head, head_malformed) = (Room::holding(&plain), Room::holding(&plain));
        Self {
            walker: Walker::new(depth_max),
            depth_max,
            time_at: PLAIN_HEAD.len(),
            head,
            head_malformed,
            events: Room::default(),
            shape: None,
            tenant_name: None,
        }
    }

    /// An encoder that puts each record into this envelope. Metadata, where nobody has said
    /// otherwise, are the event's.
    #[must_use]
    pub fn with_envelope(depth_max: usize, envelope: Envelope) -> Self {
        let envelope = envelope.or(MetadataPlace::Event);
        // What nests the record nests all that is in it.
        let nested = usize::from(envelope.record_key.is_some());
        let mut encoder = Self::new(depth_max.saturating_sub(nested));
        encoder.tenant_name.clone_from(&envelope.tenant_name);
        if !envelope.leaves_alone() || envelope.metadata == Some(MetadataPlace::Off) {
            let (content_type, facts) = (Box::default(), Room::default());
            if envelope.metadata != Some(MetadataPlace::Event) {
                encoder.time_at = EVENT_HEAD.len();
                let bare = [&EVENT_HEAD[..], &[0; 8], &[EMPTY_MAP]].concat();
                encoder.head = Room::holding(&bare);
                encoder.head_malformed = Room::holding(&bare);
            }
            encoder.shape = Some(Shape { envelope, content_type, facts, taken: (None, false) });
        }
        encoder
    }

    /// A name of a member to add that a record had already, once.
    pub const fn take_taken(&mut self) -> Option<NameTaken> {
        match &mut self.shape {
            Some(shape) => shape.taken.0.take(),
            None => None,
        }
    }

    /// Events from here on carry this metadata.
    pub fn set_metadata(&mut self, metadata: &Metadata<'_>) {
        let name = self.tenant_name.as_deref();
        if let Some(shape) = &mut self.shape {
            shape.content_type = metadata.content_type.into();
            shape.facts.truncate(0);
            put_facts(&mut shape.facts, metadata, name);
            if shape.envelope.metadata != Some(MetadataPlace::Event) {
                return;
            }
        }
        self.time_at = EVENT_HEAD.len();
        write_head(&mut self.head, metadata, name, false);
        write_head(&mut self.head_malformed, metadata, name, true);
    }

    /// Appends the event of one record: its JSON text and the time at which it happened.
    pub fn push(&mut self, record: &[u8], time: Timestamp) -> Encoded {
        self.push_with(record, time, &Beside::default())
    }

    /// Takes the next element of a body and appends its event, at the time that `time` tells, in
    /// one look at its bytes. An element that is too large has no event.
    ///
    /// # Errors
    /// As [`Splitter::poll`].
    pub fn push_next(
        &mut self,
        splitter: &mut Splitter,
        time: impl FnOnce(&Split) -> Timestamp,
    ) -> Result<Option<(Item, Encoded)>, SplitError> {
        let start = self.events.len();
        self.events.extend_from_slice(self.head.as_slice());
        let mut body = Body::new(std::mem::take(&mut self.events));
        let polled = splitter.poll_with(self.depth_max, &mut body);
        self.events = body.into_inner();
        let (told, time) = match &polled {
            Ok(Some(Item::Record(split))) => {
                (split.told && self.shape.is_none(), Some(time(split)))
            }
            Ok(Some(Item::Oversized { .. }) | None) | Err(_) => (false, None),
        };
        if let (true, Some(time)) = (told, time) {
            self.events.as_mut_slice()[start + self.time_at..][..8]
                .copy_from_slice(&event_time(time));
            return Ok(polled?.map(|item| (item, Encoded::Members)));
        }
        self.events.truncate(start);
        let Some(item) = polled? else { return Ok(None) };
        let encoded = match (&item, time) {
            (Item::Record(split), Some(time)) => self.push(&split.raw, time),
            (Item::Record(_) | Item::Oversized { .. }, _) => Encoded::Malformed,
        };
        Ok(Some((item, encoded)))
    }

    /// The same, with more to say in the metadata. Without metadata it is not said.
    pub fn push_with(&mut self, record: &[u8], time: Timestamp, beside: &Beside) -> Encoded {
        let start = self.events.len();
        if self.shape.is_some() {
            return self.push_shaped(start, record, time, beside);
        }
        self.events.extend_from_slice(self.head.as_slice());
        self.put_beside(start, beside);
        let mut body = Body::new(std::mem::take(&mut self.events));
        let whole = record.first() == Some(&b'{') && self.walker.walk(record, &mut body).is_ok();
        self.events = body.into_inner();
        if !whole {
            self.events.truncate(start);
            self.events.extend_from_slice(self.head_malformed.as_slice());
            self.put_beside(start, beside);
            put_raw(&mut self.events, record, self.time_at == PLAIN_HEAD.len(), 0);
        }
        self.events.as_mut_slice()[start + self.time_at..][..8].copy_from_slice(&event_time(time));
        if whole { Encoded::Members } else { Encoded::Malformed }
    }

    /// Appends an event whose record has something around it.
    #[inline(never)]
    fn push_shaped(
        &mut self,
        start: usize,
        record: &[u8],
        time: Timestamp,
        beside: &Beside,
    ) -> Encoded {
        let Some(mut shape) = self.shape.take() else { return Encoded::Malformed };
        let inner = shape.inner();
        let outer = shape.outer();
        let nested = shape.envelope.record_key.is_some();
        let extra = if nested { inner } else { inner + outer };
        let metadata = shape.envelope.metadata;
        self.events.extend_from_slice(self.head.as_slice());
        if metadata == Some(MetadataPlace::Event) {
            self.put_beside(start, beside);
        }
        shape.put_before(&mut self.events);
        let mut body = Body::with_extra(std::mem::take(&mut self.events), extra);
        let whole = record.first() == Some(&b'{') && self.walker.walk(record, &mut body).is_ok();
        self.events = body.into_inner();
        let mut object = record;
        if !whole {
            self.events.truncate(start);
            self.events.extend_from_slice(self.head_malformed.as_slice());
            if metadata == Some(MetadataPlace::Event) {
                self.put_beside(start, beside);
            }
            shape.put_before(&mut self.events);
            let marked = metadata == Some(MetadataPlace::Off);
            put_raw(&mut self.events, record, marked, extra);
            object = if marked { RAW_MARKED } else { RAW };
        }
        shape.put_behind(&mut self.events, object, beside, whole);
        self.events.as_mut_slice()[start + self.time_at..][..8].copy_from_slice(&event_time(time));
        self.shape = Some(shape);
        if whole { Encoded::Members } else { Encoded::Malformed }
    }

    /// Appends members to the metadata of the event that begins at `start` and has no body yet.
    fn put_beside(&mut self, start: usize, beside: &Beside) {
        let members = beside.len();
        if members == 0 || self.time_at == PLAIN_HEAD.len() {
            return;
        }
        // All members together are fewer than a short header counts.
        self.events.as_mut_slice()[start + self.time_at + 8] += body::low_byte(members as u64);
        beside.put(&mut self.events);
    }

    /// The events so far, one behind the other.
    #[must_use]
    pub fn events(&self) -> &[u8] {
        self.events.as_slice()
    }

    /// Forgets the events, keeps their room.
    pub fn clear(&mut self) {
        self.events.truncate(0);
    }
}

fn write_head(
    head: &mut Room,
    metadata: &Metadata<'_>,
    tenant_name: Option<&str>,
    malformed: bool,
) {
    head.truncate(0);
    head.extend_from_slice(&EVENT_HEAD);
    head.extend_from_slice(&[0; 8]);
    put_map(head, facts_len(tenant_name) + usize::from(malformed));
    put_facts(head, metadata, tenant_name);
    if malformed {
        put_str(head, b"malformed");
        head.push(body::TRUE);
    }
}

/// How many members [`put_facts`] writes.
const fn facts_len(tenant_name: Option<&str>) -> usize {
    4 + tenant_name.is_some() as usize
}

/// The members of metadata that all records of a batch share.
fn put_facts(out: &mut Room, metadata: &Metadata<'_>, tenant_name: Option<&str>) {
    let members = [
        ("content_type", metadata.content_type),
        ("content_id", metadata.content_id),
        ("content_created", metadata.content_created),
        ("tenant_id", metadata.tenant_id),
    ];
    let name = tenant_name.map(|name| ("tenant_name", name));
    for (key, value) in members.into_iter().chain(name) {
        put_str(out, key.as_bytes());
        put_str(out, value.as_bytes());
    }
}

/// The names in what [`put_raw`] writes, as JSON.
const RAW: &[u8] = br#"{"raw":0}"#;
const RAW_MARKED: &[u8] = br#"{"malformed":0,"raw":0}"#;

/// `{"raw": record}`, or `{"malformed": true, "raw": record}` where no metadata says so; so many
/// members follow.
fn put_raw(out: &mut Room, record: &[u8], marked: bool, extra: usize) {
    put_map(out, 1 + usize::from(marked) + extra);
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
