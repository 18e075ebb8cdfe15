//! What the fuzz targets reach of the inside. It is there under `--cfg fuzzing` alone, which `cargo
//! xtask fuzz` sets: for everybody else the crate offers what it offers, and no feature opens it.

use bytes::Bytes;

use crate::activities::envelope;
use crate::audit::answers;
use crate::base::interval::Interval;
use crate::base::time::Utc;
use crate::config::{RawOptions, Reader};
use crate::contract::batch::{ContentRef, Record};
use crate::contract::feed::ContentType;
use crate::json::Item;
use crate::records::redact::{Redaction, Redactor};

pub use crate::identity::certificate::fuzzing::Keys;

/// The redaction of some options.
#[derive(Debug)]
pub struct Redact(Redactor);

impl Redact {
    /// `None` if the options are wrong, or redact nothing.
    #[must_use]
    pub fn new(options: &RawOptions) -> Option<Self> {
        let mut reader = Reader::new(options);
        let redaction = Redaction::read(&mut reader)?;
        reader.finish_known().ok()?;
        Some(Self(Redactor::new(redaction)))
    }

    /// Redacts; in how many records values were replaced, and how many were withheld.
    pub fn redact(&mut self, records: &mut [Record]) -> (u64, u64) {
        self.0.redact_all(records)
    }
}

/// The reader of an answer of the Activities API.
#[derive(Debug)]
pub struct Envelope(envelope::Envelope);

impl Envelope {
    /// One answer, of records up to so many bytes.
    #[must_use]
    pub fn new(record_bytes_max: usize) -> Self {
        Self(envelope::Envelope::new(record_bytes_max))
    }

    /// The next bytes.
    pub fn push(&mut self, chunk: Bytes) {
        self.0.push(chunk);
    }

    /// The next record.
    ///
    /// # Errors
    /// In words.
    pub fn poll(&mut self) -> Result<Option<Item>, String> {
        self.0.poll().map_err(|error| error.to_string())
    }

    /// `hasNext` and `nextQueryFilters`.
    ///
    /// # Errors
    /// In words.
    pub fn finish(&self) -> Result<(bool, Option<String>), String> {
        let verso = self.0.finish().map_err(|error| error.to_string())?;
        Ok((verso.has_next, verso.next_filters))
    }
}

/// One entry of the listing of a window.
///
/// # Errors
/// In words.
///
/// # Panics
/// If the window is none.
pub fn descriptor(
    json: &[u8],
    content_type: ContentType,
    (start, end): (Utc, Utc),
) -> Result<ContentRef, String> {
    let window = Interval::new(start, end).expect("a window");
    answers::descriptor(json, content_type, window)
}

/// The feeds that a list of subscriptions shows as enabled.
///
/// # Errors
/// In words.
pub fn enabled_subscriptions(body: &[u8]) -> Result<Vec<ContentType>, String> {
    answers::enabled_subscriptions(body)
}
