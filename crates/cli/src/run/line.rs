//! From a record to a line of NDJSON. Changes nothing but the white space between tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::json::{DEPTH_MAX, line_into};
use m365_audit_core::{Batch, Record};

/// Writes lines, bare or wrapped in what the core knows about the record.
#[derive(Debug)]
pub(crate) struct LineWriter {
    metadata: bool,
}

impl LineWriter {
    pub(crate) const fn new(metadata: bool) -> Self {
        Self { metadata }
    }

    /// Appends one line for each record of `batch`.
    pub(crate) fn write(&self, batch: &Batch, out: &mut Vec<u8>) {
        let before = if self.metadata { prefix(batch) } else { Vec::new() };
        let after: &[u8] = if self.metadata { b"}\n" } else { b"\n" };
        for record in &batch.records {
            out.extend_from_slice(&before);
            write_record(record, out);
            out.extend_from_slice(after);
        }
    }
}

/// What stands in front of each record of a batch.
fn prefix(batch: &Batch) -> Vec<u8> {
    let content = &batch.content;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "{{\"content_type\":{},\"content_id\":{},\"content_created\":{},\"tenant_id\":{},\
         \"record\":",
        quoted(content.content_type.as_str()),
        quoted(&content.id),
        quoted(&content.created.to_string()),
        quoted(&batch.tenant_id),
    )
    .into_bytes()
}

fn write_record(record: &Record, out: &mut Vec<u8>) {
    if line_into(&record.raw, DEPTH_MAX, out).is_ok() {
        return;
    }
    // Not JSON: every byte is delivered all the same, in a form that is.
    let marked = match std::str::from_utf8(&record.raw) {
        Ok(text) => serde_json::json!({ "malformed": true, "raw": text }),
        Err(_) => {
            serde_json::json!({ "malformed": true, "raw_base64": STANDARD.encode(&record.raw) })
        }
    };
    out.extend_from_slice(marked.to_string().as_bytes());
}
