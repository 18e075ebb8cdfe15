//! Lifts the top-level fields that core works with, as ranges into the record's bytes.
//!
//! Runs at the head of the split, over bytes that the bracket scan then does not see again. It is
//! lenient: at the first thing it does not understand it hands over to that scan. Must not parse
//! values; whoever wants a number or a date parses the token.

use super::nest::Nest;
use super::simd::{self, STRING_STEP};
use super::unescape::unescape;
use std::borrow::Cow;

/// How many fields are lifted.
pub const LIFTED_FIELDS: usize = 6;

/// A top-level field of an audit record that core needs (common schema of the Management Activity
/// API).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `Id`: a GUID, the record's identity.
    Id,
    /// `CreationTime`: zone-less UTC.
    CreationTime,
    /// `RecordType`: a number.
    RecordType,
    /// `Operation`.
    Operation,
    /// `Workload`.
    Workload,
    /// `UserId`.
    UserId,
}

impl Field {
    /// The field with this key. Keys are compared as bytes: one spelt with escapes is not found.
    fn named(key: &[u8]) -> Option<Self> {
        match key {
            b"Id" => Some(Self::Id),
            b"CreationTime" => Some(Self::CreationTime),
            b"RecordType" => Some(Self::RecordType),
            b"Operation" => Some(Self::Operation),
            b"Workload" => Some(Self::Workload),
            b"UserId" => Some(Self::UserId),
            _ => None,
        }
    }
}

/// What kind of token a lifted field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A string; the range excludes the quotes.
    String,
    /// A string with escapes in it; the range excludes the quotes.
    Escaped,
    /// A number.
    Number,
    /// Anything else: `true`, `false`, `null`, an object, an array, or no JSON at all.
    Other,
}

/// Where a field's value is in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The first byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
    /// What the bytes are.
    pub kind: TokenKind,
}

/// The lifted fields of one record. Of a key that occurs twice, the first counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    tokens: [Option<Token>; LIFTED_FIELDS],
}

impl Lifted {
    /// Where `field` is, if the record has it.
    pub fn token(&self, field: Field) -> Option<Token> {
        self.tokens[field as usize]
    }

    /// The bytes of `field` as they stand in `record`, quotes excluded.
    pub fn raw<'a>(&self, record: &'a [u8], field: Field) -> Option<&'a [u8]> {
        let token = self.token(field)?;
        record.get(token.start as usize..token.end as usize)
    }

    /// The text of `field`, unescaped; `None` unless it is a string of valid UTF-8 and escapes.
    pub fn text<'a>(&self, record: &'a [u8], field: Field) -> Option<Cow<'a, str>> {
        let raw = self.raw(record, field)?;
        match self.token(field)?.kind {
            TokenKind::String => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            TokenKind::Escaped => {
                let mut text = Vec::with_capacity(raw.len());
                unescape(raw, &mut text).ok()?;
                String::from_utf8(text).ok().map(Cow::Owned)
            }
            TokenKind::Number | TokenKind::Other => None,
        }
    }

    /// The number in `field`; `None` unless it is a whole number within `i64`.
    pub fn integer(&self, record: &[u8], field: Field) -> Option<i64> {
        match self.token(field)?.kind {
            TokenKind::Number => std::str::from_utf8(self.raw(record, field)?).ok()?.parse().ok(),
            TokenKind::String | TokenKind::Escaped | TokenKind::Other => None,
        }
    }

    fn set(&mut self, field: Field, start: usize, end: usize, kind: TokenKind) {
        let slot = &mut self.tokens[field as usize];
        // Ranges are 32 bits: a field that begins behind 4 GiB of its record is not lifted.
        if let (None, Ok(start), Ok(end)) = (*slot, u32::try_from(start), u32::try_from(end)) {
            *slot = Some(Token { start, end, kind });
        }
    }
}

/// How a lift ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lift {
    /// At the end of the record, which is so many bytes long.
    Ended(usize),
    /// Before this byte, which is outside strings and directly inside the record's braces.
    Left(usize),
    /// Where the bytes end.
    Starved,
}

/// Lifts the fields of the object that `bytes` begins with.
pub(super) fn lift(bytes: &[u8], fields: &mut Lifted) -> Lift {
    lift_members(bytes, fields).unwrap_or(Lift::Starved)
}

/// `None` where the bytes end.
#[inline(always)]
fn lift_members(bytes: &[u8], fields: &mut Lifted) -> Option<Lift> {
    let mut at = 1;
    loop {
        at = blanks_end(bytes, at)?;
        match bytes[at] {
            b'"' => {}
            b'}' => return Some(Lift::Ended(at + 1)),
            _ => return Some(Lift::Left(at)),
        }
        let (key_end, _) = string_end(bytes, at + 1)?;
        let key = &bytes[at + 1..key_end];
        at = blanks_end(bytes, key_end + 1)?;
        if bytes[at] != b':' {
            return Some(Lift::Left(at));
        }
        at = blanks_end(bytes, at + 1)?;
        let Some((start, end, kind, next)) = value(bytes, at)? else {
            return Some(Lift::Left(at));
        };
        if let Some(field) = Field::named(key) {
            fields.set(field, start, end, kind);
        }
        at = blanks_end(bytes, next)?;
        match bytes[at] {
            b',' => at += 1,
            b'}' => return Some(Lift::Ended(at + 1)),
            _ => return Some(Lift::Left(at)),
        }
    }
}

/// The value at `at`: its range, its kind and where the next byte is. `Some(None)`: there is none.
#[inline(always)]
fn value(bytes: &[u8], at: usize) -> Option<Option<(usize, usize, TokenKind, usize)>> {
    let (start, end, kind) = match bytes[at] {
        b'"' => {
            let (end, escaped) = string_end(bytes, at + 1)?;
            let kind = if escaped { TokenKind::Escaped } else { TokenKind::String };
            return Some(Some((at + 1, end, kind, end + 1)));
        }
        b'{' | b'[' => {
            let mut nest = Nest::OUTSIDE;
            (at, at + nest.scan(&bytes[at..])?, TokenKind::Other)
        }
        first => {
            let length = bytes[at..].iter().position(|byte| !is_literal(*byte))?;
            if length == 0 {
                return Some(None);
            }
            let number = first == b'-' || first.is_ascii_digit();
            (at, at + length, if number { TokenKind::Number } else { TokenKind::Other })
        }
    };
    Some(Some((start, end, kind, end)))
}

/// A byte of a number, of `true`, `false` or `null`, or of a word that was meant as one.
#[inline(always)]
pub(super) fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// JSON's whitespace.
#[inline(always)]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The first byte from `at` that is no whitespace.
#[inline(always)]
fn blanks_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    while is_blank(*bytes.get(at)?) {
        at += 1;
    }
    Some(at)
}

/// The closing quote of the string whose text begins at `at`, and whether there are escapes.
#[inline(always)]
fn string_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        let rest = bytes.get(at..)?;
        let (stops, step) = match rest.first_chunk::<STRING_STEP>() {
            Some(block) => (simd::quotes(block), STRING_STEP),
            None => (simd::quotes(&padded(rest)), rest.len()),
        };
        if stops == 0 {
            if step < STRING_STEP {
                return None;
            }
            at += STRING_STEP;
            continue;
        }
        at += stops.trailing_zeros() as usize;
        if bytes[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

/// The last bytes of a buffer as a block; zeros are neither quote nor backslash.
#[cold]
fn padded(rest: &[u8]) -> [u8; STRING_STEP] {
    let mut block = [0; STRING_STEP];
    block[..rest.len()].copy_from_slice(rest);
    block
}
