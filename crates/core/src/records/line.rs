//! From records to lines of NDJSON, for every packaging that writes them. Changes nothing but the
//! white space between tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::contract::batch::{Batch, Record};
use crate::json::{DEPTH_MAX, Walker, line_of};

/// Writes lines, bare or wrapped in what the core knows about the record.
#[derive(Debug)]
pub struct LineWriter {
    metadata: bool,
    walker: Walker,
}

/// How much may be written. A single line that is longer is written alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineLimits {
    /// Most records to add.
    pub records_max: usize,
    /// Most bytes that the output may hold.
    pub bytes_max: usize,
}

impl LineLimits {
    /// No limit.
    pub const NONE: Self = Self { records_max: usize::MAX, bytes_max: usize::MAX };
}

impl LineWriter {
    /// A writer that wraps each record, if `metadata` is set, as `{"content_type", "content_id",
    /// "content_created", "tenant_id", "record"}`, with what else is known of the record before it.
    #[must_use]
    pub fn new(metadata: bool) -> Self {
        Self { metadata, walker: Walker::new(DEPTH_MAX) }
    }

    /// Appends one line for each record of `batch`.
    pub fn write(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        self.write_from(batch, 0, LineLimits::NONE, out);
    }

    /// Appends lines for the records of `batch` from number `first` on, as far as `limits` allow.
    /// Answers the number of the first record that is left. What is written is UTF-8.
    pub fn write_from(
        &mut self,
        batch: &Batch,
        first: usize,
        limits: LineLimits,
        out: &mut Vec<u8>,
    ) -> usize {
        let before = if self.metadata { prefix(batch) } else { Vec::new() };
        let after: &[u8] = if self.metadata { b"}\n" } else { b"\n" };
        let end = batch.records.len().min(first.saturating_add(limits.records_max));
        for (number, record) in batch.records.iter().enumerate().take(end).skip(first) {
            let start = out.len();
            if self.metadata {
                out.extend_from_slice(&before);
                write_beside(record, out);
            }
            self.write_record(record, out);
            out.extend_from_slice(after);
            if limits.bytes_max < out.len() && 0 < start {
                out.truncate(start);
                return number;
            }
        }
        end
    }

    fn write_record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if record.is_json {
            return line_of(&record.raw, out);
        }
        if self.walker.line_into(&record.raw, out).is_ok() {
            return;
        }
        // Not JSON: every byte is delivered all the same, in a form that is.
        let marked = match std::str::from_utf8(&record.raw) {
            Ok(text) => serde_json::json!({ "malformed": true, "raw": text }),
            Err(_) => {
                let raw = STANDARD.encode(&record.raw);
                serde_json::json!({ "malformed": true, "raw_base64": raw })
            }
        };
        out.extend_from_slice(marked.to_string().as_bytes());
    }
}

/// What stands in front of each record of a batch.
fn prefix(batch: &Batch) -> Vec<u8> {
    let content = &batch.content;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "{{\"content_type\":{},\"content_id\":{},\"content_created\":{},\"tenant_id\":{},",
        quoted(content.feed.as_str()),
        quoted(&content.id),
        quoted(&content.created.to_string()),
        quoted(&batch.tenant_id),
    )
    .into_bytes()
}

/// What is known of one record, and the name of the record itself.
fn write_beside(record: &Record, out: &mut Vec<u8>) {
    if let Some(enrichment) = record.enrichment() {
        enrichment.write_json(out);
    }
    if record.redacted {
        out.extend_from_slice(b"\"redacted\":true,");
    }
    out.extend_from_slice(b"\"record\":");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Utc;
    use crate::contract::batch::{BatchId, ContentRef};
    use crate::contract::feed::{ContentType, Feed};
    use crate::json::{Lifted, RecordKind};

    fn batch(records: &[&'static [u8]]) -> Batch {
        let content = ContentRef {
            feed: Feed::Audit(ContentType::AuditGeneral),
            id: "id\"1".into(),
            uri: "https://manage.office.com/blob".into(),
            created: Utc::from_millis(0),
            expiration: Utc::from_millis(1),
        };
        let record = |raw: &&'static [u8]| Record {
            raw: bytes::Bytes::from_static(raw),
            fields: Lifted::default(),
            kind: RecordKind::Object,
            redacted: false,
            is_json: false,
            happened: None,
        };
        Batch {
            id: BatchId(0),
            tenant_id: "t".into(),
            content: content.into(),
            records: records.iter().map(record).collect(),
        }
    }

    #[test]
    fn lines_stop_at_the_limits_and_go_on_there() {
        let batch = batch(&[b"{\"a\":1}", b"{\n\"b\":\t2}", b"{\"c\":3}", b"[\xff"]);
        let mut writer = LineWriter::new(false);
        let mut whole = Vec::new();
        writer.write(&batch, &mut whole);
        let expected =
            "{\"a\":1}\n{ \"b\": 2}\n{\"c\":3}\n{\"malformed\":true,\"raw_base64\":\"W/8=\"}\n";
        assert_eq!(String::from_utf8_lossy(&whole), expected);
        for (records_max, bytes_max) in [(1, 1_000), (3, 18), (9, 18), (9, 1), (2, 30)] {
            let limits = LineLimits { records_max, bytes_max };
            let (mut pieces, mut first) = (Vec::new(), 0);
            while first < batch.records.len() {
                let mut piece = Vec::new();
                let next = writer.write_from(&batch, first, limits, &mut piece);
                assert!(first < next && next <= first + records_max);
                assert!(piece.len() <= bytes_max || next == first + 1);
                pieces.append(&mut piece);
                first = next;
            }
            assert_eq!(pieces, whole);
        }
    }

    #[test]
    fn metadata_stands_around_the_record() {
        let mut out = Vec::new();
        LineWriter::new(true).write(&batch(&[b"{\"a\": 1}"]), &mut out);
        let expected = "{\"content_type\":\"Audit.General\",\"content_id\":\"id\\\"1\",\
             \"content_created\":\"1970-01-01T00:00:00.000Z\",\"tenant_id\":\"t\",\
             \"record\":{\"a\": 1}}\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);

        let mut batch = batch(&[b"{\"RecordType\":6,\"ClientIP\":\"10.0.0.1:99\"}"]);
        batch.records[0].fields = Lifted::of(&batch.records[0].raw, true);
        batch.records[0].redacted = true;
        out.clear();
        LineWriter::new(true).write(&batch, &mut out);
        let expected = "\"tenant_id\":\"t\",\"record_type_name\":\"SharePointFileOperation\",\
             \"client_address\":\"10.0.0.1\",\"client_port\":99,\"redacted\":true,\
             \"record\":{\"RecordType\":6,";
        let line = String::from_utf8_lossy(&out);
        assert!(line.contains(expected), "{line}");
    }
}
