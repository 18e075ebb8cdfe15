//! The forms in which records leave, and how a record is taken out of each again: all that was put
//! around it is checked on the way.

use serde_json::Value;

/// A form: the options that ask for it, and what takes the record out.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) options: &'static [(&'static str, &'static str)],
    take_out: fn(&str) -> Option<String>,
}

/// Each place of metadata, each form alone, and all that can be together.
pub(crate) const ENVELOPES: &[Envelope] = &[
    Envelope { options: &[("metadata", "off")], take_out: |line| Some(line.into()) },
    Envelope {
        options: &[("metadata", "event")],
        take_out: |line| {
            let (metadata, record) = line.split_once(r#","record":"#)?;
            check_metadata(&format!("{metadata}}}"));
            Some(record.strip_suffix('}')?.into())
        },
    },
    Envelope {
        options: &[("metadata", "record")],
        take_out: |line| without_metadata(line, "m365_audit"),
    },
    Envelope {
        options: &[("metadata", "off"), ("record_key", "office365")],
        take_out: |line| Some(line.strip_prefix(r#"{"office365":"#)?.strip_suffix('}')?.into()),
    },
    Envelope {
        options: &[
            ("metadata", "off"),
            ("content_type_field", "Subscription"),
            ("add_fields", "integration=o365, site=north"),
        ],
        take_out: |line| {
            let fields = r#","integration":"o365","site":"north"}"#;
            without_content_type(line.strip_suffix(fields)?, "Subscription")
        },
    },
    Envelope {
        options: &[
            ("metadata", "record"),
            ("metadata_key", "audit"),
            ("record_key", "o365audit"),
            ("add_fields", "integration=o365"),
            ("content_type_field", "Subscription"),
        ],
        take_out: |line| {
            let line = without_metadata(line, "audit")?;
            let rest = line.strip_prefix(r#"{"o365audit":"#)?;
            let record = rest.strip_suffix(r#","integration":"o365"}"#)?;
            without_content_type(record.strip_suffix('}')?, "Subscription")
        },
    },
];

impl Envelope {
    /// The record in a line.
    #[track_caller]
    pub(crate) fn inside(&self, line: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(line).unwrap();
        let record = (self.take_out)(text);
        let record = record.unwrap_or_else(|| panic!("not as {:?} says: {text}", self.options));
        record.into_bytes()
    }
}

/// An object without its last member, which is metadata under this name.
fn without_metadata(object: &str, key: &str) -> Option<String> {
    let (rest, metadata) = object.strip_suffix('}')?.rsplit_once(&format!(r#""{key}":"#))?;
    check_metadata(metadata);
    Some(closed(rest))
}

/// An object that lacks its closing bracket without its last member, which is a content type.
fn without_content_type(object: &str, field: &str) -> Option<String> {
    let (rest, content_type) = object.rsplit_once(&format!(r#""{field}":"#))?;
    let content_type: String = serde_json::from_str(content_type).unwrap();
    assert!(content_type.starts_with("Audit.") || content_type == "DLP.All", "{content_type}");
    Some(closed(rest))
}

/// What stood before a member, as an object.
fn closed(rest: &str) -> String {
    format!("{}}}", rest.strip_suffix(',').unwrap_or(rest))
}

fn check_metadata(text: &str) {
    let metadata: Value = serde_json::from_str(text).unwrap();
    for name in ["content_type", "content_id", "content_created", "tenant_id"] {
        assert!(metadata[name].is_string(), "{name}: {metadata}");
    }
}
