//! What is cut out of an array: its elements, as plain data.

use super::lift::{Field, Lifted};
use super::line;
use super::walk::WalkError;
use bytes::Bytes;
use std::borrow::Cow;

/// Whether an element can be a record at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// It begins with `{`.
    Object,
    /// A number, string, array, literal, or a word that is none of them.
    NotObject,
}

/// One element of the array, untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The bytes of the element, without anything around it. A slice of the chunk it arrived in,
    /// which stays in memory as long as this lives; a copy if it arrived in several.
    pub raw: Bytes,
    /// The top-level fields that core needs; none unless `kind` is an object.
    pub fields: Lifted,
    /// Whether it is an object.
    pub kind: RecordKind,
    /// Whether it is an object that a visitor was told whole: valid JSON, and no deeper than it
    /// may be. Without a visitor nobody knows.
    pub told: bool,
}

impl Split {
    /// [`Lifted::text`] of this record.
    pub fn text(&self, field: Field) -> Option<Cow<'_, str>> {
        self.fields.text(&self.raw, field)
    }

    /// Appends the record as a line, as [`line_into`](super::line_into) does; what was told whole
    /// is not looked at again.
    ///
    /// # Errors
    /// See there.
    pub fn line_into(&self, depth_max: usize, out: &mut Vec<u8>) -> Result<(), WalkError> {
        if !self.told {
            return line::line_into(&self.raw, depth_max, out);
        }
        line::line_of(&self.raw, out);
        Ok(())
    }

    /// [`Lifted::integer`] of this record.
    pub fn integer(&self, field: Field) -> Option<i64> {
        self.fields.integer(&self.raw, field)
    }
}

/// What [`Splitter::poll`](super::Splitter::poll) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An element.
    Record(Split),
    /// An element longer than `record_bytes_max`: its bytes are gone, the count is left.
    Oversized {
        /// Its length.
        bytes: u64,
    },
}
