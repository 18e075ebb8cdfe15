//! Lines of records, and where in a line the record is. Changes none.

use std::sync::atomic::{AtomicU64, Ordering};

use m365_audit_core::activities::happened;
use m365_audit_core::json::{Field, Timestamp, lift_first, parse_timestamp};
use m365_audit_core::{Envelope, MetadataPlace};

/// Records on their way: one JSON object a line.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// The lines, each ended by a line feed.
    pub ndjson: &'a str,
    /// How many they are.
    pub count: u32,
}

/// The lines of one tenant: whose they are, and how they hold records.
#[derive(Debug)]
pub struct Flow {
    /// The tenant's GUID.
    pub tenant_id: Box<str>,
    /// What it is called, if it has a name.
    pub tenant_name: Option<Box<str>>,
    inside: Inside,
    /// Records of it that receivers refused for good.
    rejected: AtomicU64,
}

/// Where a line has its record.
#[derive(Debug)]
enum Inside {
    /// The line is the record, whatever was added behind its members.
    Line,
    /// Behind this at its beginning.
    Start(Box<[u8]>),
    /// Behind this; in front of it there are only texts, in which a quotation mark would have a
    /// back-slash.
    Metadata {
        /// `,"record":`
        mark: Box<[u8]>,
        /// Members that stand behind the record, each with a comma before it.
        behind: Box<str>,
        /// Whether the record is nested under that name wherever it goes.
        nested: bool,
    },
}

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    /// What stands beside the record: members without brackets, in front of it and behind it.
    pub(crate) beside: [&'a str; 2],
    /// The record, in the form that it has without metadata.
    pub(crate) body: Body<'a>,
}

/// A record in a line that was taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// As it stands in the line.
    Bare(&'a str),
    /// Name, colon and record, which need brackets around them.
    Nested(&'a str),
}

impl Flow {
    /// `envelope`: the form in which lines hold records, and what the tenant is called there.
    #[must_use]
    pub fn new(tenant_id: &str, envelope: &Envelope) -> Self {
        Self {
            tenant_id: tenant_id.into(),
            tenant_name: envelope.tenant_name.clone(),
            inside: Inside::of(envelope),
            rejected: AtomicU64::new(0),
        }
    }

    /// How many of its records receivers have refused for good.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    pub(crate) fn count_rejected(&self, count: u32) {
        self.rejected.fetch_add(count.into(), Ordering::Relaxed);
    }

    /// When the record in a line says that its event happened: an audit record by its
    /// `CreationTime`, an activity by its `timestamp`.
    pub(crate) fn time(&self, line: &str) -> Option<Timestamp> {
        let record = self.inside.record(line.as_bytes())?;
        let (fields, length) = lift_first(record)?;
        let record = &record[..length];
        match fields.text(record, Field::CreationTime) {
            Some(text) => parse_timestamp(text.as_bytes()),
            None => happened(record).map(Timestamp::from),
        }
    }

    /// Takes a line apart. One that is not made as it should be is all body.
    pub(crate) fn open<'a>(&'a self, line: &'a str) -> Opened<'a> {
        self.taken_apart(line).unwrap_or(Opened { beside: [""; 2], body: Body::Bare(line) })
    }

    fn taken_apart<'a>(&'a self, line: &'a str) -> Option<Opened<'a>> {
        let Inside::Metadata { mark, behind, nested } = &self.inside else { return None };
        let at = find(line.as_bytes(), mark)?;
        let before = line.get(..at)?.strip_prefix('{')?;
        let rest = line.strip_suffix('}')?.strip_suffix(&**behind)?;
        // Without the comma in front of the name.
        let body = if *nested {
            Body::Nested(rest.get(at + 1..)?)
        } else {
            Body::Bare(rest.get(at + mark.len()..)?)
        };
        Some(Opened { beside: [before, behind.strip_prefix(',').unwrap_or_default()], body })
    }
}

impl Inside {
    fn of(envelope: &Envelope) -> Self {
        let quoted = |name: &str| serde_json::Value::from(name).to_string();
        match (envelope.metadata, &envelope.record_key) {
            (Some(MetadataPlace::Event), key) => {
                let nested = key.is_some();
                let mark = format!(",{}:", quoted(key.as_deref().unwrap_or("record")));
                let member = |(name, value): &(Box<str>, Box<str>)| {
                    format!(",{}:{}", quoted(name), quoted(value))
                };
                let behind = envelope.add_fields.iter().map(member).collect::<String>().into();
                Self::Metadata { mark: mark.into_bytes().into(), behind, nested }
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
            Self::Metadata { mark, .. } => Some(&line[find(line, mark)? + mark.len()..]),
        }
    }
}

fn find(line: &[u8], mark: &[u8]) -> Option<usize> {
    line.windows(mark.len()).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(envelope: &Envelope) -> Flow {
        Flow::new("t", envelope)
    }

    fn time_in(line: &str, envelope: &Envelope) -> Option<(i64, u32)> {
        flow(envelope).time(line).map(|time| (time.seconds, time.nanoseconds))
    }

    fn beside() -> Envelope {
        Envelope { metadata: Some(MetadataPlace::Event), ..Envelope::bare() }
    }

    fn time(line: &str, wrapped: bool) -> Option<(i64, u32)> {
        time_in(line, &if wrapped { beside() } else { Envelope::bare() })
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
    fn a_line_is_taken_apart_as_it_was_made() {
        let metadata = r#""content_id":"x\",\"record\":","client_port":99"#;
        for record in [r#"{"a": 1,"record":{}}"#, "[1]", "{}", r#"{"malformed":true,"raw":"x"}"#] {
            let line = format!(r#"{{{metadata},"record":{record}}}"#);
            let opened = Opened { beside: [metadata, ""], body: Body::Bare(record) };
            assert_eq!(flow(&beside()).open(&line), opened);
            let fields = vec![("integration".into(), "o\"365".into()), ("n".into(), "1".into())];
            let added = r#""integration":"o\"365","n":"1""#;
            let line = format!(r#"{{{metadata},"record":{record},{added}}}"#);
            let with = Envelope { add_fields: fields.clone(), ..beside() };
            let opened = Opened { beside: [metadata, added], body: Body::Bare(record) };
            assert_eq!(flow(&with).open(&line), opened);
            let nested = Envelope { record_key: Some("o365audit".into()), ..with };
            let line = format!(r#"{{{metadata},"o365audit":{record},{added}}}"#);
            let body = format!(r#""o365audit":{record}"#);
            let opened = Opened { beside: [metadata, added], body: Body::Nested(&body) };
            assert_eq!(flow(&nested).open(&line), opened);
        }
        // Another component may write lines of its own.
        for line in ["{}", r#"{"record":1}"#, "x", r#"{"a":1,"record":2"#, ""] {
            let opened = Opened { beside: [""; 2], body: Body::Bare(line) };
            assert_eq!(flow(&beside()).open(line), opened);
        }
    }
}
