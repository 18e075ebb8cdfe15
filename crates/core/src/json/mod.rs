//! JSON as bytes: cutting arrays into records, lifting fields, walking without a DOM.
//!
//! Two layers, for two moments:
//!
//! - [`Splitter`] runs while a body arrives. It yields each record as a slice of the received bytes
//!   and lifts six top-level fields on the way. It does not judge a record: one that is no valid
//!   JSON inside, but balanced, is yielded like others.
//! - [`walk()`] runs over a record that is there. It is strict (RFC 8259), allocates nothing but
//!   room for unescaped text, and drives a [`Visit`]: a transcoder becomes one pass over the bytes.
//!
//! Whoever gives the splitter a visitor has both in one look: the walk finds where the record ends,
//! and what it meets on the way. Where it fails, at what is no JSON or at the end of a chunk, the
//! splitter's own scan of brackets goes on as if it had not been.
//!
//! Nothing here changes a record, does I/O, or knows what the bytes are transcoded to.

mod chunk;
pub(crate) mod digest;
mod edit;
mod element;
mod lift;
mod line;
mod member;
mod nest;
mod number;
mod simd;
mod split;
mod stops;
mod unescape;
mod visit;
mod walk;

#[cfg(test)]
mod tests;

pub use crate::base::timestamp::{Timestamp, parse_timestamp};
pub(crate) use edit::{Edit, Path, edit};
pub use element::{Item, RecordKind, Split};
pub(crate) use lift::string_end;
pub use lift::{Field, LIFTED_FIELDS, Lifted, Token, TokenKind, lift_first, lift_record};
pub use line::line_into;
pub(crate) use line::line_of;
pub use member::has_member;
pub(crate) use nest::container_end;
pub use number::Number;
pub use split::{Finish, NOT_ARRAY_BYTES_MAX, SplitError, Splitter};
pub(crate) use unescape::{unescape, unit};
pub use visit::{NullVisitor, Text, Visit};
pub use walk::{DEPTH_MAX, WalkError, WalkFault, Walker, walk};

/// The JSON text of a value.
pub(crate) fn to_text<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("numbers, texts and lists always have a JSON form")
}
