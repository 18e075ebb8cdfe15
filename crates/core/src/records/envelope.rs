//! What stands around a record and beside it when it leaves: its metadata, and the form that
//! whoever takes it expects. Read from options here; written by each packaging in its own notation.
//! Must not change a byte of the record.

use std::borrow::Cow;
use std::fmt;

use crate::json::has_member;
use crate::options::{ConfigError, Reader};

/// Members that a record may be given.
const ADDED_FIELDS_MAX: usize = 64;

/// Where the metadata of a record are: the content that it came in, its tenant, and what `enrich`
/// knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataPlace {
    /// Beside the record: in the metadata of Fluent Bit's event, or in an object around the record.
    Event,
    /// In the record, as its last member.
    Record,
    /// Nowhere.
    Off,
}

/// The form in which records leave. What is added stands behind what the record has: first the
/// content type, inside of it, then fields, then metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Where metadata are; `None` if nobody has said it.
    pub metadata: Option<MetadataPlace>,
    /// The name of the member that holds metadata.
    pub metadata_key: Box<str>,
    /// The name of the only member in which the record stands, if it is nested.
    pub record_key: Option<Box<str>>,
    /// Members to add, beside the record if it is nested, else in it.
    pub add_fields: Vec<(Box<str>, Box<str>)>,
    /// The name of a member, in the record, that says its content type.
    pub content_type_field: Option<Box<str>>,
    /// What the tenant is called, among the metadata.
    pub tenant_name: Option<Box<str>>,
}

impl Envelope {
    /// Nothing around the record, and nothing beside it.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            metadata: Some(MetadataPlace::Off),
            metadata_key: "m365_audit".into(),
            record_key: None,
            add_fields: Vec::new(),
            content_type_field: None,
            tenant_name: None,
        }
    }

    /// The same where nobody has said where metadata are: they are `place`.
    #[must_use]
    pub fn or(mut self, place: MetadataPlace) -> Self {
        self.metadata.get_or_insert(place);
        self
    }

    /// Whether the records leave as they are, whatever stands beside them.
    #[must_use]
    pub fn leaves_alone(&self) -> bool {
        self.record_key.is_none()
            && self.add_fields.is_empty()
            && self.content_type_field.is_none()
            && self.metadata != Some(MetadataPlace::Record)
    }

    /// Reads the options. Mistakes stay in `reader`.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let metadata = place(reader);
        let metadata_key = reader.optional("metadata_key");
        if let Some(key) = metadata_key.as_ref().filter(|_| metadata != Some(MetadataPlace::Record))
        {
            reader.report(ConfigError::new(
                "metadata_key",
                Some(key),
                "without effect, because metadata is not record",
                "set metadata to record, or leave metadata_key out",
            ));
        }
        let envelope = Self {
            metadata,
            metadata_key: metadata_key.as_deref().unwrap_or("m365_audit").into(),
            record_key: reader.optional("record_key").map(Into::into),
            add_fields: added(reader),
            content_type_field: reader.optional("content_type_field").map(Into::into),
            tenant_name: reader.optional("tenant_name").map(Into::into),
        };
        envelope.refuse_twins(reader);
        envelope
    }

    /// Refuses two members of one name: many readers keep one of them, some refuse both.
    fn refuse_twins(&self, reader: &mut Reader<'_>) {
        let metadata = (self.metadata == Some(MetadataPlace::Record)).then_some(&self.metadata_key);
        let inner = self.content_type_field.as_ref();
        let beside = match &self.record_key {
            Some(key) => vec![("record_key", key)],
            None => inner.map(|key| ("content_type_field", key)).into_iter().collect(),
        };
        let named = beside.into_iter().chain(metadata.map(|key| ("metadata_key", key)));
        let added = self.add_fields.iter().map(|(name, _)| ("add_fields", name));
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (option, name) in named.chain(added) {
            match seen.iter().find(|(_, known)| known == &&**name) {
                Some((other, _)) => {
                    let problem = format!("a name that is given twice, also by {other}");
                    let error = ConfigError::new(option, Some(name), &problem, "choose another");
                    reader.report(error);
                }
                None => seen.push((option, name)),
            }
        }
    }
}

fn place(reader: &mut Reader<'_>) -> Option<MetadataPlace> {
    reader.optional("metadata")?;
    match &*reader.word("metadata") {
        "event" => Some(MetadataPlace::Event),
        "record" => Some(MetadataPlace::Record),
        "off" => Some(MetadataPlace::Off),
        // It has been reported.
        _ => None,
    }
}

/// The fields of `add_fields`.
fn added(reader: &mut Reader<'_>) -> Vec<(Box<str>, Box<str>)> {
    let Some(text) = reader.optional("add_fields") else { return Vec::new() };
    let mut fields = Vec::new();
    let mut refuse = |value: &str, problem: &str| {
        let remedy = "write name=value, several of them with commas between";
        reader.report(ConfigError::new("add_fields", Some(value), problem, remedy));
    };
    for field in text.split(',').map(str::trim).filter(|field| !field.is_empty()) {
        match field.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if !name.is_empty() => fields.push((name.into(), value.into())),
            Some(_) | None => refuse(field, "not a name and a value"),
        }
    }
    if fields.is_empty() {
        refuse(&text, "0 entries");
    }
    if ADDED_FIELDS_MAX < fields.len() {
        refuse(&text, &format!("more than {ADDED_FIELDS_MAX} entries"));
    }
    fields
}

/// The name under which something is added to an object: `name`, or one that the object does not
/// have. Two members of one name would hide one of them, and some take no such record at all.
#[must_use]
pub fn free_name<'n>(object: &[u8], name: &'n str) -> Cow<'n, str> {
    let mut free = Cow::Borrowed(name);
    while has_member(object, &free) {
        free.to_mut().push('_');
    }
    free
}

/// A member of a record has the name that something was to be added under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTaken {
    /// The name that was asked for.
    pub asked: Box<str>,
    /// The one that was given in its place.
    pub given: Box<str>,
}

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, given } = self;
        write!(
            f,
            "a record has a member {asked:?} of its own, which stays: what is added to it is called \
             {given:?} there; remedy: choose another name (metadata_key, add_fields, \
             content_type_field)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::RawOptions;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: Expect) {
        let raw: RawOptions =
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut reader = Reader::new(&raw);
        let envelope = Envelope::read(&mut reader);
        let text = match reader.finish_known() {
            Ok(()) => format!("{envelope:?}\n"),
            Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
        };
        expect.assert_eq(&text);
    }

    #[test]
    fn envelopes_are_read_and_every_mistake_is_told() {
        check(
            &[],
            expect![[r#"
                Envelope { metadata: None, metadata_key: "m365_audit", record_key: None, add_fields: [], content_type_field: None, tenant_name: None }
            "#]],
        );
        check(
            &[
                ("metadata", "Record"),
                ("metadata_key", "audit"),
                ("record_key", "office365"),
                ("add_fields", "integration=office365, customer = Contoso = 1"),
                ("content_type_field", "Subscription"),
            ],
            expect![[r#"
                Envelope { metadata: Some(Record), metadata_key: "audit", record_key: Some("office365"), add_fields: [("integration", "office365"), ("customer", "Contoso = 1")], content_type_field: Some("Subscription"), tenant_name: None }
            "#]],
        );
        check(
            &[("metadata", "on"), ("metadata_key", "x"), ("add_fields", "a, =b")],
            expect![[r#"
                metadata = "on": not a value of this option; allowed: one of event, record, off
                metadata_key = "x": without effect, because metadata is not record; set metadata to record, or leave metadata_key out
                add_fields = "a": not a name and a value; write name=value, several of them with commas between
                add_fields = "=b": not a name and a value; write name=value, several of them with commas between
                add_fields = "a, =b": 0 entries; write name=value, several of them with commas between
            "#]],
        );
        check(
            &[("metadata", "record"), ("record_key", "m365_audit"), ("add_fields", "a=1,a=2")],
            expect![[r#"
                metadata_key = "m365_audit": a name that is given twice, also by record_key; choose another
                add_fields = "a": a name that is given twice, also by add_fields; choose another
            "#]],
        );
        // One stands in the record, the other beside it.
        check(
            &[("record_key", "r"), ("add_fields", "s=1"), ("content_type_field", "s")],
            expect![[r#"
                Envelope { metadata: None, metadata_key: "m365_audit", record_key: Some("r"), add_fields: [("s", "1")], content_type_field: Some("s"), tenant_name: None }
            "#]],
        );
    }

    #[test]
    fn a_name_that_the_record_has_is_not_given_twice() {
        let check = |object: &str, expected: &str| {
            assert_eq!(free_name(object.as_bytes(), "m365_audit"), expected, "{object}");
        };
        check(r#"{"a":1}"#, "m365_audit");
        check(r#"{"m365_audit":1}"#, "m365_audit_");
        check(r#"{"m365_audit" : 1, "m365_audit_":2}"#, "m365_audit__");
        // As others read it.
        check(r#"{"m365\u005faudit":1}"#, "m365_audit_");
        // Elsewhere than in the record itself.
        check(r#"{"a":{"m365_audit":1}}"#, "m365_audit");
        check(r#"{"a":"m365_audit","b":["m365_audit"]}"#, "m365_audit");
        check(r#"{"a":"\"m365_audit\":"}"#, "m365_audit");
        check("{}", "m365_audit");
        // What is no JSON has no members.
        check(r#"{"m365_audit":1"#, "m365_audit");
    }
}
