//! Lines become events: `[time, record]` in msgpack, packed into one chunk with an id.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::activities::happened;
use m365_audit_core::json::{Field, Timestamp, lift_first, parse_timestamp};
use m365_audit_core::{Envelope, MetadataPlace};
use m365_audit_msgpack::Encoder;

use super::message;
use crate::sink::{Lines, SinkError};

/// How deep an event's body may nest: what every Fluent Bit decodes. What nests deeper travels as
/// text, marked.
const DEPTH_MAX: usize = 29;

/// Where a line has its record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inside {
    /// The line is the record, whatever was added behind its members.
    Line,
    /// Behind this at its beginning.
    Start(Box<[u8]>),
    /// Behind this; in front of it there are only texts, in which a quotation mark would have a
    /// back-slash.
    Metadata(Box<[u8]>),
}

impl Inside {
    fn of(envelope: &Envelope) -> Self {
        let quoted = |name: &str| serde_json::Value::from(name).to_string();
        match (envelope.metadata, &envelope.record_key) {
            (Some(MetadataPlace::Event), key) => {
                let key = quoted(key.as_deref().unwrap_or("record"));
                Self::Metadata(format!(",{key}:").into_bytes().into())
            }
            (_, Some(key)) => Self::Start(format!("{{{}:", quoted(key)).into_bytes().into()),
            (_, None) => Self::Line,
        }
    }

    /// What the record begins with; something may stand behind it.
    fn record<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Line => Some(line),
            Self::Start(mark) => line.strip_prefix(&**mark),
            Self::Metadata(mark) => {
                let at = line.windows(mark.len()).position(|window| *window == **mark)?;
                Some(&line[at + mark.len()..])
            }
        }
    }
}

/// Bytes of a chunk's id: unlike all others for as long as anybody may ask.
const ID_BYTES: usize = 16;

/// Makes chunks, one after the other.
pub(super) struct Events {
    tag: Box<str>,
    inside: Inside,
    encoder: Encoder,
    chunk: Chunk,
}

/// A message that is ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// What the receiver must send back.
    pub(super) id: String,
    /// The whole message.
    pub(super) bytes: Vec<u8>,
}

impl Events {
    pub(super) fn new(tag: &str, envelope: &Envelope) -> Self {
        let encoder = Encoder::new(DEPTH_MAX);
        let (tag, inside) = (tag.into(), Inside::of(envelope));
        Self { tag, inside, encoder, chunk: Chunk::default() }
    }

    /// Makes the chunk of a batch.
    pub(super) fn encode(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        self.encoder.clear();
        for line in lines.ndjson.lines() {
            let line = line.as_bytes();
            let time = event_time(line, &self.inside).unwrap_or_else(now);
            self.encoder.push(line, time);
        }
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id).map_err(|error| SinkError {
            message: format!("the system gives no random numbers: {error}"),
            passing: true,
        })?;
        self.chunk.id = STANDARD.encode(id);
        self.chunk.bytes.clear();
        let (tag, count) = (&*self.tag, lines.count);
        let chunk = &mut self.chunk;
        message::packed_forward(&mut chunk.bytes, tag, self.encoder.events(), count, &chunk.id);
        Ok(())
    }

    /// The chunk that was made last.
    pub(super) const fn chunk(&self) -> &Chunk {
        &self.chunk
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The records are nobody's business.
        f.debug_struct("Events").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// When the record in a line says that its event happened: an audit record by its `CreationTime`,
/// an activity by its `timestamp`.
fn event_time(line: &[u8], inside: &Inside) -> Option<Timestamp> {
    let record = inside.record(line)?;
    let (fields, length) = lift_first(record)?;
    let record = &record[..length];
    match fields.text(record, Field::CreationTime) {
        Some(text) => parse_timestamp(text.as_bytes()),
        None => happened(record).map(Timestamp::from),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds, nanoseconds: since.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmpv::Value;

    fn time_in(line: &str, envelope: &Envelope) -> Option<(i64, u32)> {
        let inside = Inside::of(envelope);
        event_time(line.as_bytes(), &inside).map(|time| (time.seconds, time.nanoseconds))
    }

    fn time(line: &str, wrapped: bool) -> Option<(i64, u32)> {
        let beside = Some(MetadataPlace::Event);
        let bare = Envelope::bare();
        let metadata = if wrapped { beside } else { bare.metadata };
        time_in(line, &Envelope { metadata, ..bare })
    }

    #[test]
    fn the_time_is_found_in_every_envelope() {
        let record = r#"{"Id":"a","CreationTime":"2026-07-29T21:35:19.5","b":{}}"#;
        let expected = Some((1_785_360_919, 500_000_000));
        let nested = Envelope { record_key: Some("o\"365".into()), ..Envelope::bare() };
        let key = r#"{"o\"365":"#;
        assert_eq!(time_in(&format!("{key}{record}}}"), &nested), expected);
        let behind = r#","integration":"x","m365_audit":{"CreationTime":"1999-01-01T00:00:00"}}"#;
        assert_eq!(time_in(&format!("{key}{record}{behind}"), &nested), expected);
        let around = Envelope { metadata: Some(MetadataPlace::Event), ..nested.clone() };
        let line = format!(r#"{{"tenant_id":"t","o\"365":{record}{behind}"#);
        assert_eq!(time_in(&line, &around), expected);
        assert_eq!(time_in(record, &nested), None);
        let added = format!("{}{behind}", record.strip_suffix('}').unwrap());
        assert_eq!(time_in(&added, &Envelope::bare()), expected);
    }

    #[test]
    fn the_time_is_the_records_own() {
        let record = r#"{"Id":"a","CreationTime":"2026-07-29T21:35:19.5"}"#;
        let expected = Some((1_785_360_919, 500_000_000));
        assert_eq!(time(record, false), expected);
        let metadata = r#""content_id":"x\",\"record\":","tenant_id":"t""#;
        assert_eq!(time(&format!(r#"{{{metadata},"record":{record}}}"#), true), expected);
        let activity = r#"{"_id":"a","timestamp":1785360919500,"created":1785361000000}"#;
        assert_eq!(time(activity, false), expected);
        assert_eq!(time(&format!(r#"{{{metadata},"record":{activity}}}"#), true), expected);
        for line in [r#"{"Id":"a"}"#, r#"{"CreationTime":1}"#, r#"{"CreationTime":"then"}"#, "1"] {
            assert_eq!(time(line, false), None, "{line}");
            assert_eq!(time(line, true), None, "{line}");
        }
    }

    #[test]
    fn a_batch_is_one_chunk_with_a_new_id() {
        let mut events = Events::new("audit", &Envelope::bare());
        let ndjson = "{\"CreationTime\":\"2026-07-29T21:35:19\",\"a\":1}\n{\"b\":2}\n";
        let mut ids = Vec::new();
        for _ in 0..2 {
            events.encode(Lines { ndjson, count: 2 }).unwrap();
            let chunk = events.chunk();
            let message = rmpv::decode::read_value(&mut chunk.bytes.as_slice()).unwrap();
            let [tag, entries, options] = &message.as_array().unwrap()[..] else { panic!() };
            assert_eq!(tag.as_str(), Some("audit"));
            assert_eq!(options["size"].as_u64(), Some(2));
            assert_eq!(options["chunk"].as_str(), Some(&*chunk.id));
            let mut rest = entries.as_slice().unwrap();
            let first = rmpv::decode::read_value(&mut rest).unwrap();
            let [time, body] = &first.as_array().unwrap()[..] else { panic!() };
            assert_eq!(*time, Value::Ext(0, vec![0x6a, 0x6a, 0x72, 0x17, 0, 0, 0, 0]));
            assert_eq!(body["a"].as_u64(), Some(1));
            assert_eq!(rmpv::decode::read_value(&mut rest).unwrap()[1]["b"].as_u64(), Some(2));
            assert!(rest.is_empty());
            ids.push(chunk.id.clone());
        }
        assert_ne!(ids[0], ids[1]);
    }
}
