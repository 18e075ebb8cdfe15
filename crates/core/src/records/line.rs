//! From records to lines of NDJSON, for every packaging that writes them. Changes nothing but the
//! white space between tokens.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::contract::batch::{Batch, Record};
use crate::json::{DEPTH_MAX, Walker, line_of, to_text};
use crate::records::envelope::{Envelope, MetadataPlace, NameTaken, free_name};

/// Writes lines, bare or in an envelope.
#[derive(Debug)]
pub struct LineWriter {
    envelope: Envelope,
    walker: Walker,
    /// What was not told yet, and whether one was told.
    taken: (Option<NameTaken>, bool),
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
    /// A writer of bare records.
    #[must_use]
    pub fn bare() -> Self {
        Self::new(Envelope::bare())
    }

    /// A writer that puts each record into this envelope. Metadata, where nobody says otherwise,
    /// are nowhere. Beside the record they look like this: `{"content_type", "content_id",
    /// "content_created", "tenant_id", "record"}`, with what else is known of the record before it;
    /// if the tenant has a name, `tenant_name` follows its id.
    #[must_use]
    pub fn new(envelope: Envelope) -> Self {
        let envelope = envelope.or(MetadataPlace::Off);
        Self { envelope, walker: Walker::new(DEPTH_MAX), taken: (None, false) }
    }

    /// A name that was taken, once.
    pub const fn take_taken(&mut self) -> Option<NameTaken> {
        self.taken.0.take()
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
        let bare = self.envelope.leaves_alone() && !self.is(MetadataPlace::Event);
        let name = self.envelope.tenant_name.as_deref();
        let facts = if self.is(MetadataPlace::Off) { Vec::new() } else { facts(batch, name) };
        let end = batch.records.len().min(first.saturating_add(limits.records_max));
        for (number, record) in batch.records.iter().enumerate().take(end).skip(first) {
            let start = out.len();
            if bare {
                self.write_record(record, out);
            } else {
                self.write_in_envelope(batch, record, &facts, out);
            }
            out.push(b'\n');
            if limits.bytes_max < out.len() && 0 < start {
                out.truncate(start);
                return number;
            }
        }
        end
    }

    fn is(&self, place: MetadataPlace) -> bool {
        self.envelope.metadata == Some(place)
    }

    fn write_in_envelope(
        &mut self,
        batch: &Batch,
        record: &Record,
        facts: &[u8],
        out: &mut Vec<u8>,
    ) {
        let beside = self.is(MetadataPlace::Event);
        let nested = beside || self.envelope.record_key.is_some();
        if nested {
            out.push(b'{');
        }
        if beside {
            out.extend_from_slice(facts);
            write_facts_of(record, out);
        }
        if nested {
            put_quoted(out, self.envelope.record_key.as_deref().unwrap_or("record"));
            out.push(b':');
        }
        let start = out.len();
        self.write_record(record, out);
        let content_type = batch.content.feed.as_str();
        if let Some(field) = self.envelope.content_type_field.clone() {
            self.add(out, record, start, &field, |out| put_quoted(out, content_type));
        }
        // What is added beside a nested record has names of ours beside it alone.
        if nested {
            for (name, value) in &self.envelope.add_fields {
                put_member(out, name, |out| put_quoted(out, value));
            }
            if self.is(MetadataPlace::Record) {
                put_member(out, &self.envelope.metadata_key, |out| {
                    put_metadata(out, record, facts);
                });
            }
            out.push(b'}');
        } else {
            for (name, value) in self.envelope.add_fields.clone() {
                self.add(out, record, start, &name, |out| put_quoted(out, &value));
            }
            if self.is(MetadataPlace::Record) {
                let key = self.envelope.metadata_key.clone();
                self.add(out, record, start, &key, |out| put_metadata(out, record, facts));
            }
        }
    }

    /// Adds a member to the record that stands from `start` on, as its last one. What is no object
    /// becomes one, marked as what is no JSON is.
    fn add(
        &mut self,
        out: &mut Vec<u8>,
        record: &Record,
        start: usize,
        name: &str,
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        if out.get(start) != Some(&b'{') {
            out.truncate(start);
            put_marked(&record.raw, out);
        }
        let free = free_name(&out[start..], name);
        if !self.taken.1 && free != name {
            let (asked, given) = (name.into(), free.clone().into());
            self.taken = (Some(NameTaken { asked, given }), true);
        }
        while out.last() == Some(&b' ') {
            out.pop();
        }
        let close = out.pop();
        debug_assert_eq!(close, Some(b'}'), "an object ends with its bracket");
        // Nothing but blanks stands between the brackets of an empty one.
        if out[start + 1..].iter().all(|byte| *byte == b' ') {
            put_quoted(out, &free);
            out.push(b':');
            value(out);
        } else {
            put_member(out, &free, value);
        }
        out.push(b'}');
    }

    fn write_record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if record.is_json {
            return line_of(&record.raw, out);
        }
        if self.walker.line_into(&record.raw, out).is_err() {
            put_marked(&record.raw, out);
        }
    }
}

/// What is not JSON: every byte is delivered all the same, in a form that is.
fn put_marked(raw: &[u8], out: &mut Vec<u8>) {
    let (name, text) = match std::str::from_utf8(raw) {
        Ok(text) => ("raw", text.into()),
        Err(_) => ("raw_base64", Cow::Owned(STANDARD.encode(raw))),
    };
    out.extend_from_slice(b"{\"malformed\":true,");
    put_quoted(out, name);
    out.push(b':');
    put_quoted(out, &text);
    out.push(b'}');
}

/// What is known of all records of a batch: members, each with a comma behind it.
fn facts(batch: &Batch, tenant_name: Option<&str>) -> Vec<u8> {
    let content = &batch.content;
    let created = content.created.to_string();
    let members = [
        ("content_type", content.feed.as_str()),
        ("content_id", &*content.id),
        ("content_created", &*created),
        ("tenant_id", &*batch.tenant_id),
    ];
    let mut out = Vec::new();
    let name = tenant_name.map(|name| ("tenant_name", name));
    for (name, value) in members.into_iter().chain(name) {
        put_quoted(&mut out, name);
        out.push(b':');
        put_quoted(&mut out, value);
        out.push(b',');
    }
    out
}

/// What is known of one record, in the same form.
fn write_facts_of(record: &Record, out: &mut Vec<u8>) {
    if let Some(enrichment) = record.enrichment() {
        enrichment.write_json(out);
    }
    if record.redacted {
        out.extend_from_slice(b"\"redacted\":true,");
    }
}

/// Metadata as an object.
fn put_metadata(out: &mut Vec<u8>, record: &Record, facts: &[u8]) {
    out.push(b'{');
    out.extend_from_slice(facts);
    write_facts_of(record, out);
    // The comma behind the last of them.
    out.pop();
    out.push(b'}');
}

fn put_member(out: &mut Vec<u8>, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b',');
    put_quoted(out, name);
    out.push(b':');
    value(out);
}

fn put_quoted(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(to_text(text).as_bytes());
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

    fn beside() -> Envelope {
        Envelope { metadata: Some(MetadataPlace::Event), ..Envelope::bare() }
    }

    /// What a record becomes in an envelope, and what is told.
    #[track_caller]
    fn check(envelope: Envelope, raw: &'static str, expected: &str) {
        let mut writer = LineWriter::new(envelope);
        let mut out = Vec::new();
        writer.write(&batch(&[raw.as_bytes()]), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("{expected}\n"));
    }

    const FACTS: &str = "\"content_type\":\"Audit.General\",\"content_id\":\"id\\\"1\",\
        \"content_created\":\"1970-01-01T00:00:00.000Z\",\"tenant_id\":\"t\"";

    #[test]
    fn what_is_added_stands_behind_what_the_record_has() {
        let inside = Envelope { metadata: Some(MetadataPlace::Record), ..Envelope::bare() };
        let expected = |before: &str| format!("{before}\"m365_audit\":{{{FACTS}}}}}");
        check(inside.clone(), "{\"a\": 1.50 }", &expected("{\"a\": 1.50 ,"));
        check(inside.clone(), "{}", &expected("{"));
        check(inside.clone(), "{\n}", &expected("{ "));
        check(inside.clone(), "{\"a\":{}}", &expected("{\"a\":{},"));
        // What is no object, or no JSON, becomes one.
        check(inside.clone(), "[1]", &expected("{\"malformed\":true,\"raw\":\"[1]\","));
        check(inside.clone(), "{1}", &expected("{\"malformed\":true,\"raw\":\"{1}\","));
        let named = Envelope { metadata_key: "meta".into(), ..inside };
        check(named, "{\"a\":1}", &format!("{{\"a\":1,\"meta\":{{{FACTS}}}}}"));
    }

    #[test]
    fn records_are_nested_for_those_who_want_them_so() {
        let elastic = Envelope { record_key: Some("o365audit".into()), ..Envelope::bare() };
        check(elastic.clone(), "{\"a\": 1}", "{\"o365audit\":{\"a\": 1}}");
        check(elastic.clone(), "[1]", "{\"o365audit\":[1]}");
        let wazuh = Envelope {
            record_key: Some("office365".into()),
            add_fields: vec![("integration".into(), "office365".into())],
            content_type_field: Some("Subscription".into()),
            ..Envelope::bare()
        };
        let expected = "{\"office365\":{\"a\":1,\"Subscription\":\"Audit.General\"},\
            \"integration\":\"office365\"}";
        check(wazuh.clone(), "{\"a\":1}", expected);
        let inside = Envelope { metadata: Some(MetadataPlace::Record), ..wazuh.clone() };
        let with = format!("{},\"m365_audit\":{{{FACTS}}}}}", expected.strip_suffix('}').unwrap());
        check(inside, "{\"a\":1}", &with);
        let around = Envelope { metadata: Some(MetadataPlace::Event), ..wazuh.clone() };
        check(around, "{\"a\":1}", &format!("{{{FACTS},{}", &expected[1..]));
        let bare = Envelope { record_key: None, ..wazuh };
        let expected = "{\"a\":1,\"Subscription\":\"Audit.General\",\"integration\":\"office365\"}";
        check(bare, "{\"a\":1}", expected);
    }

    #[test]
    fn a_member_of_the_same_name_stays_and_is_told_once() {
        let envelope = Envelope { metadata: Some(MetadataPlace::Record), ..Envelope::bare() };
        let record = "{\"m365_audit\":{\"tenant_id\":\"another\"}}";
        let expected = format!("{},\"m365_audit_\":{{{FACTS}}}}}", &record[..record.len() - 1]);
        check(envelope.clone(), record, &expected);
        let mut writer = LineWriter::new(envelope);
        writer.write(&batch(&[b"{\"a\":1}"]), &mut Vec::new());
        assert_eq!(writer.take_taken(), None);
        writer.write(&batch(&[record.as_bytes(), record.as_bytes()]), &mut Vec::new());
        let told = writer.take_taken().unwrap().to_string();
        assert!(told.contains("\"m365_audit\"") && told.contains("\"m365_audit_\""), "{told}");
        writer.write(&batch(&[record.as_bytes()]), &mut Vec::new());
        assert_eq!(writer.take_taken(), None);
    }

    #[test]
    fn lines_stop_at_the_limits_and_go_on_there() {
        let batch = batch(&[b"{\"a\":1}", b"{\n\"b\":\t2}", b"{\"c\":3}", b"[\xff"]);
        let mut writer = LineWriter::bare();
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
        LineWriter::new(beside()).write(&batch(&[b"{\"a\": 1}"]), &mut out);
        let expected = "{\"content_type\":\"Audit.General\",\"content_id\":\"id\\\"1\",\
             \"content_created\":\"1970-01-01T00:00:00.000Z\",\"tenant_id\":\"t\",\
             \"record\":{\"a\": 1}}\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);

        let mut batch = batch(&[b"{\"RecordType\":6,\"ClientIP\":\"10.0.0.1:99\"}"]);
        batch.records[0].fields = Lifted::of(&batch.records[0].raw, true);
        batch.records[0].redacted = true;
        out.clear();
        LineWriter::new(beside()).write(&batch, &mut out);
        let expected = "\"tenant_id\":\"t\",\"record_type_name\":\"SharePointFileOperation\",\
             \"client_address\":\"10.0.0.1\",\"client_port\":99,\"redacted\":true,\
             \"record\":{\"RecordType\":6,";
        let line = String::from_utf8_lossy(&out);
        assert!(line.contains(expected), "{line}");
    }

    #[test]
    fn a_tenant_that_has_a_name_is_called_by_it_beside_each_record() {
        for place in [MetadataPlace::Event, MetadataPlace::Record] {
            let envelope = Envelope {
                metadata: Some(place),
                tenant_name: Some("con\"toso".into()),
                ..Envelope::bare()
            };
            let mut out = Vec::new();
            LineWriter::new(envelope).write(&batch(&[b"{\"a\":1}"]), &mut out);
            let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let metadata = if place == MetadataPlace::Event { &line } else { &line["m365_audit"] };
            assert_eq!(metadata["tenant_name"], "con\"toso", "{line}");
            assert_eq!(metadata["tenant_id"], "t", "{line}");
        }
    }
}
