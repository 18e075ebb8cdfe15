//! Redaction: the values that DLP has matched, and the fields that the options name, are replaced
//! by a keyed hash before a record is handed over.
//!
//! Equal values have equal hashes, so that records stay joinable. What core works with itself, such
//! as the memory of records, uses the record as it came. A record that cannot be read is withheld:
//! what cannot be found in it cannot be replaced.
//!
//! A record is walked before it is edited. The walk is strict, the edit is not: on text that is no
//! JSON it could take one string for another and let a value pass. Without a key there is no hash:
//! one that the collector invented would have to be stored beside the data that it protects, and an
//! unkeyed hash of a card number is no secret. Redaction comes last, so that nothing else depends
//! on it.

use std::fmt::Write;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::secret::Secret;
use crate::contract::batch::Record;
use crate::json::{DEPTH_MAX, Edit, Lifted, NullVisitor, Path, RecordKind, Walker, edit};
use crate::options::{ConfigError, Reader, no_entries};

/// The field in which Microsoft puts what a DLP rule has matched, and the text around it.
const DETECTED_VALUES: &str = "DetectedValues";

/// Fields that can be named.
const FIELDS_MAX: usize = 1_000;

/// The shortest key: what is shorter can be guessed.
const KEY_BYTES_MIN: usize = 16;

/// Bytes of the hash that are shown: equal hashes of different values are not to be expected.
const HASH_BYTES: usize = 16;

mod text;

/// What is replaced, and how.
#[derive(Clone, Debug)]
pub(crate) struct Redaction {
    fields: Vec<FieldPath>,
    key: Option<Secret<String>>,
}

/// Names a field wherever it stands, or below others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldPath {
    names: Vec<Box<str>>,
    /// Whether these are all the keys that lead there.
    whole: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redacted {
    /// There was nothing to replace.
    Unchanged,
    /// Values were replaced.
    Replaced,
    /// It could not be read: nothing of it is left but its length and hash.
    Withheld,
}

impl Redaction {
    /// Reads the options; `None` if `redact` is off. Mistakes stay in `reader`.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let on = reader.boolean("redact");
        let fields = reader.optional("redact_fields");
        let key = reader.optional("redact_key");
        for (option, value) in [("redact_fields", &fields), ("redact_key", &key)] {
            // Whoever names a field believes that it is not shown.
            if !on && value.is_some() {
                let remedy = format!("set redact on, or leave {option} out");
                let problem = "without effect, because redact is off";
                reader.report(ConfigError::new(option, value.as_deref(), problem, &remedy));
            }
        }
        if key.as_ref().is_some_and(|key| key.len() < KEY_BYTES_MIN) {
            reader.report(ConfigError::new(
                "redact_key",
                None,
                "shorter than 16 characters",
                "write 32 random characters or more, for example from: openssl rand -hex 32",
            ));
        }
        let text = fields.unwrap_or_default();
        if !text.is_empty() && text.split(',').all(|entry| entry.trim().is_empty()) {
            reader.report(no_entries("redact_fields", &text));
        }
        let mut paths = vec![FieldPath { names: vec![DETECTED_VALUES.into()], whole: false }];
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match FieldPath::parse(entry) {
                Some(path) if paths.len() <= FIELDS_MAX => paths.push(path),
                _ => reader.report(ConfigError::new(
                    "redact_fields",
                    Some(entry),
                    "not the name of a field, or one of more than 1000",
                    "write UserId, Item.Subject, or .ClientIP for the outermost alone",
                )),
            }
        }
        on.then(|| Self { fields: paths, key: key.map(Secret::new) })
    }
}

impl FieldPath {
    /// `Subject` anywhere, `Item.Subject` where it stands directly in an `Item`, `.Subject` only in
    /// the record itself.
    fn parse(text: &str) -> Option<Self> {
        let (whole, names) = match text.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let names: Vec<Box<str>> = names.split('.').map(Into::into).collect();
        let legal = |name: &str| !name.is_empty() && !name.contains(['*', '?', '[', ']']);
        names.iter().all(|name| legal(name)).then_some(Self { names, whole })
    }
}

/// Redacts one record after the other.
#[derive(Debug)]
pub(crate) struct Redactor {
    redaction: Redaction,
    walker: Walker,
    /// How deep in strings the edit is.
    depth: usize,
    /// The keys that lead to the string that it is in.
    above: Vec<Box<[u8]>>,
}

impl Redactor {
    pub(crate) fn new(redaction: Redaction) -> Self {
        Self { redaction, walker: Walker::new(DEPTH_MAX), depth: 0, above: Vec::new() }
    }

    /// Replaces in `record` what is to be replaced.
    fn redact(&mut self, record: &mut Record) -> Redacted {
        let is_object = record.kind == RecordKind::Object;
        if !is_object || self.walker.walk(&record.raw, &mut NullVisitor).is_err() {
            self.withhold(record);
            return Redacted::Withheld;
        }
        let raw = record.raw.clone();
        match edit(&raw, self) {
            None => Redacted::Unchanged,
            Some(edited) => {
                record.put(edited);
                Redacted::Replaced
            }
        }
    }

    /// Redacts several. Answers in how many values were replaced, and how many were withheld.
    pub(crate) fn redact_all(&mut self, records: &mut [Record]) -> (u64, u64) {
        let (mut redacted, mut withheld) = (0, 0);
        for record in records {
            match self.redact(record) {
                Redacted::Unchanged => {}
                Redacted::Replaced => redacted += 1,
                Redacted::Withheld => withheld += 1,
            }
        }
        (redacted, withheld)
    }

    fn withhold(&self, record: &mut Record) {
        let mut raw = br#"{"malformed":true,"raw":"#.to_vec();
        self.mark(&record.raw, &mut raw);
        raw.extend_from_slice(format!(",\"bytes\":{}}}", record.raw.len()).as_bytes());
        record.kind = RecordKind::Object;
        record.put(raw);
    }

    /// Appends what takes the place of `value`, as a JSON string.
    fn mark(&self, value: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"[redacted");
        if let Some(key) = &self.redaction.key {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose().as_bytes())
                .expect("a key of any length is valid");
            mac.update(value);
            let hash = mac.finalize().into_bytes();
            let mut hex = String::with_capacity(1 + 2 * HASH_BYTES);
            hex.push(':');
            for byte in hash.iter().take(HASH_BYTES) {
                // Writing to a string does not fail.
                let _ = write!(hex, "{byte:02x}");
            }
            out.extend_from_slice(hex.as_bytes());
        }
        out.extend_from_slice(b"]\"");
    }

    /// Whether `text` names a field that is replaced.
    fn names_a_field(&self, text: &[u8]) -> bool {
        let innermost = self.redaction.fields.iter().filter_map(|path| path.names.last());
        innermost
            .map(|name| name.as_bytes())
            .any(|name| text.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name)))
    }
}

impl Edit for Redactor {
    fn chooses(&mut self, path: Path<'_>) -> bool {
        // Within a string, no field is the record's own.
        let mut fields = self.redaction.fields.iter().filter(|f| !(f.whole && 0 < self.depth));
        fields.any(|field| path.ends_with(&field.names, field.whole, &self.above))
    }

    fn replace(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.mark(text, out);
    }

    /// Some fields hold JSON as text: `Data`, `ExtendedProperties`, `OperationProperties`.
    fn revise(&mut self, path: Path<'_>, text: &[u8]) -> Option<Vec<u8>> {
        // A name may be written with escapes.
        if !self.names_a_field(text) && !text.contains(&b'\\') {
            return None;
        }
        let before = self.above.len();
        self.above.extend(path.inside_out().map(|key| Box::from(&*key)));
        self.above[before..].reverse();
        let revised = self.revise_text(text);
        self.above.truncate(before);
        self.written(text, revised)
    }
}

impl Record {
    /// Puts other bytes in the place of the record's own.
    fn put(&mut self, raw: Vec<u8>) {
        self.raw = Bytes::from(raw);
        self.fields = Lifted::of(&self.raw, self.fields.has_more());
        self.redacted = true;
        self.is_json = true;
    }
}

#[cfg(test)]
mod tests;
