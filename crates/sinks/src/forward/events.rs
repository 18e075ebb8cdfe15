//! Lines become events: `[time, record]` in msgpack, packed into one chunk with an id.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::json::Timestamp;
use m365_audit_msgpack::Encoder;

use super::message;
use crate::lines::{Flow, Lines};
use crate::receiver::SinkError;

/// How deep an event's body may nest: what every Fluent Bit decodes. What nests deeper travels as
/// text, marked.
const DEPTH_MAX: usize = 29;

/// Bytes of a chunk's id: unlike all others for as long as anybody may ask.
const ID_BYTES: usize = 16;

/// Makes chunks, one after the other.
pub(super) struct Events {
    tag: Box<str>,
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
    pub(super) fn new(tag: &str) -> Self {
        let encoder = Encoder::new(DEPTH_MAX);
        Self { tag: tag.into(), encoder, chunk: Chunk::default() }
    }

    /// Makes the chunk of a batch.
    pub(super) fn encode(&mut self, flow: &Flow, lines: Lines<'_>) -> Result<(), SinkError> {
        self.encoder.clear();
        for line in lines.ndjson.lines() {
            let time = flow.time(line).unwrap_or_else(now);
            self.encoder.push(line.as_bytes(), time);
        }
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id).map_err(|error| {
            SinkError::passing(format!("the system gives no random numbers: {error}"))
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

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds, nanoseconds: since.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::Envelope;
    use rmpv::Value;

    #[test]
    fn a_batch_is_one_chunk_with_a_new_id() {
        let mut events = Events::new("audit");
        let flow = Flow::new("t", &Envelope::bare());
        let ndjson = "{\"CreationTime\":\"2026-07-29T21:35:19\",\"a\":1}\n{\"b\":2}\n";
        let mut ids = Vec::new();
        for _ in 0..2 {
            events.encode(&flow, Lines { ndjson, count: 2 }).unwrap();
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
