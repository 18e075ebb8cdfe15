//! Lines become events: `[time, record]` in msgpack, packed into one chunk with an id.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::activities::happened;
use m365_audit_core::json::{Field, Timestamp, lift_record, parse_timestamp};
use m365_audit_msgpack::Encoder;

use super::message;
use crate::sink::{Lines, SinkError};

/// How deep an event's body may nest: what every Fluent Bit decodes. What nests deeper travels as
/// text, marked.
const DEPTH_MAX: usize = 29;

/// Behind this a wrapped line has its record; in front of it there are only texts, in which a
/// quotation mark would have a back-slash.
const RECORD_KEY: &[u8] = b",\"record\":";

/// Bytes of a chunk's id: unlike all others for as long as anybody may ask.
const ID_BYTES: usize = 16;

/// Makes chunks, one after the other.
pub(super) struct Events {
    tag: Box<str>,
    wrapped: bool,
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
    pub(super) fn new(tag: &str, wrapped: bool) -> Self {
        let encoder = Encoder::new(DEPTH_MAX);
        Self { tag: tag.into(), wrapped, encoder, chunk: Chunk::default() }
    }

    /// Makes the chunk of a batch.
    pub(super) fn encode(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        self.encoder.clear();
        for line in lines.ndjson.lines() {
            let line = line.as_bytes();
            let time = event_time(line, self.wrapped).unwrap_or_else(now);
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
fn event_time(line: &[u8], wrapped: bool) -> Option<Timestamp> {
    let record = if wrapped { record_of(line)? } else { line };
    match lift_record(record)?.text(record, Field::CreationTime) {
        Some(text) => parse_timestamp(text.as_bytes()),
        None => happened(record).map(Timestamp::from),
    }
}

/// The record inside its metadata.
fn record_of(line: &[u8]) -> Option<&[u8]> {
    let at = line.windows(RECORD_KEY.len()).position(|window| window == RECORD_KEY)?;
    line[at + RECORD_KEY.len()..].strip_suffix(b"}")
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

    fn time(line: &str, wrapped: bool) -> Option<(i64, u32)> {
        event_time(line.as_bytes(), wrapped).map(|time| (time.seconds, time.nanoseconds))
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
        let mut events = Events::new("audit", false);
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
