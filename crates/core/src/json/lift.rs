//! Lifts the top-level fields that core works with, as ranges into the record's bytes.
//!
//! Rides on whatever finds the end of the record. The bracket scan knows where strings begin
//! directly inside the record's braces: only those are looked at, and of them only the ones as long
//! as a wanted key; it is lenient, the record may be no valid JSON. A walk tells every member. Both
//! find the same in what is JSON. Must not parse values; whoever wants a number or a date parses
//! the token.
//!
//! Either is compiled twice, with and without the fields for enrichment, and these lie in a box:
//! whoever has `enrich` off runs the code that was there before.

use super::nest::{Nest, Strings};
use super::simd::{self, STEP};
use super::unescape::unescape;
use std::borrow::Cow;

/// How many fields are lifted in any case.
pub const LIFTED_FIELDS: usize = 6;

/// How many more are lifted on demand.
const MORE_FIELDS: usize = 4;

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
    /// `UserType`: a number. This and what follows is lifted on demand.
    UserType,
    /// `ClientIP`.
    ClientIp,
    /// `ClientIPAddress`.
    ClientIpAddress,
    /// `ActorIpAddress`.
    ActorIpAddress,
}

impl Field {
    /// All, those that are lifted on demand last.
    const ALL: [(Self, &'static [u8]); LIFTED_FIELDS + MORE_FIELDS] = [
        (Self::Id, b"Id\""),
        (Self::CreationTime, b"CreationTime\""),
        (Self::RecordType, b"RecordType\""),
        (Self::Operation, b"Operation\""),
        (Self::Workload, b"Workload\""),
        (Self::UserId, b"UserId\""),
        (Self::UserType, b"UserType\""),
        (Self::ClientIp, b"ClientIP\""),
        (Self::ClientIpAddress, b"ClientIPAddress\""),
        (Self::ActorIpAddress, b"ActorIpAddress\""),
    ];

    /// The field whose key `text` begins with, the closing quote included, if that is `length`
    /// letters long. Keys are compared as bytes: one spelt with escapes is not found.
    #[inline(always)]
    fn of_key<const MORE: bool>(text: &[u8], length: usize) -> Option<Self> {
        let near = match text.first_chunk() {
            Some(near) => *near,
            None => padded(text),
        };
        let table = if MORE { &Slot::TABLE_MORE } else { &Slot::TABLE };
        let slot = &table[Slot::of(near[0], length)];
        (u128::from_le_bytes(near) & slot.mask == slot.key).then_some(slot.field)
    }
}

/// A key to compare with: all of it in one step, its closing quote included.
#[derive(Clone, Copy)]
struct Slot {
    key: u128,
    mask: u128,
    field: Field,
}

impl Slot {
    const SLOTS: usize = 32;
    const TABLE: [Self; Self::SLOTS] = Self::table(LIFTED_FIELDS);
    const TABLE_MORE: [Self; Self::SLOTS] = Self::table(LIFTED_FIELDS + MORE_FIELDS);

    /// Where a key of `length` letters stands that begins with `first`. No two are in one place.
    #[inline(always)]
    const fn of(first: u8, length: usize) -> usize {
        (first as usize).wrapping_add(length.wrapping_mul(10)) % Self::SLOTS
    }

    const fn table(fields: usize) -> [Self; Self::SLOTS] {
        // A key that is not, because no bits of a text are left to be one.
        let empty = Self { key: 1, mask: 0, field: Field::Id };
        let mut table = [empty; Self::SLOTS];
        let mut at = 0;
        while at < fields {
            let (field, key) = Field::ALL[at];
            let mut bytes = [0; 16];
            let mut mask = [0; 16];
            let mut letter = 0;
            while letter < key.len() {
                bytes[letter] = key[letter];
                mask[letter] = 0xff;
                letter += 1;
            }
            let slot = &mut table[Self::of(key[0], key.len() - 1)];
            assert!(slot.mask == 0, "two keys in one place");
            *slot =
                Self { key: u128::from_le_bytes(bytes), mask: u128::from_le_bytes(mask), field };
            at += 1;
        }
        table
    }
}

/// Opening quotes that may open a wanted key: those whose string closes at the right distance, and
/// those so near the end of the block that this cannot be seen.
#[inline(always)]
fn candidates<const MORE: bool>(strings: Strings) -> u64 {
    /// The longest key, both quotes included, less one.
    const REACH: usize = "CreationTime".len() + 1;
    const REACH_MORE: usize = "ClientIPAddress".len() + 1;
    let Strings { begin, end } = strings;
    // Keys of 2, 6, 8, 9, 10 and 12 letters.
    let near = end >> 3 | end >> 7 | end >> 9 | end >> 10 | end >> 11 | end >> REACH;
    if MORE {
        // And of 8, 14 and 15.
        let near = near | end >> 15 | end >> REACH_MORE;
        return begin & (near | u64::MAX << (STEP - REACH_MORE));
    }
    begin & (near | u64::MAX << (STEP - REACH))
}

/// The longest wanted key, its closing quote included.
const KEY_BYTES_MAX: usize = "ClientIPAddress\"".len();

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    tokens: [Option<Token>; LIFTED_FIELDS],
    /// Those that are lifted on demand; apart, so that nobody else carries them around.
    more: Option<Box<[Option<Token>; MORE_FIELDS]>>,
}

impl Lifted {
    /// Lifts the fields of `record`, if it is an object; with `more`, all of them.
    pub(crate) fn of(record: &[u8], more: bool) -> Self {
        let mut fields = Self::default();
        if record.first() == Some(&b'{') {
            // Where the object ends is known; what it lacks is not found.
            let _ = lift_with(record, more, &mut fields);
        }
        fields
    }

    /// Whether the fields were looked for that are lifted on demand.
    pub fn has_more(&self) -> bool {
        self.more.is_some()
    }

    /// Where `field` is, if the record has it.
    #[inline]
    pub fn token(&self, field: Field) -> Option<Token> {
        match (field as usize).checked_sub(LIFTED_FIELDS) {
            None => self.tokens[field as usize],
            Some(index) => self.more.as_ref()?[index],
        }
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

    /// Notes a field; whether it was missing.
    #[inline(always)]
    fn set(&mut self, (field, token): (Field, Token)) -> bool {
        let slot = match (field as usize).checked_sub(LIFTED_FIELDS) {
            None => &mut self.tokens[field as usize],
            Some(index) => &mut self.more.get_or_insert_default()[index],
        };
        let missing = slot.is_none();
        slot.get_or_insert(token);
        missing
    }
}

/// Lifts the fields of a record that is whole and stands alone: for edges that are given records as
/// lines. `None` if `record` is no object, or ends elsewhere than its text.
#[must_use]
pub fn lift_record(record: &[u8]) -> Option<Lifted> {
    let mut fields = Lifted::default();
    let whole = record.first() == Some(&b'{')
        && lift::<false>(record, &mut fields).ok() == Some(record.len());
    whole.then_some(fields)
}

/// Lifts the fields of the object that `bytes` begins with, whatever stands behind it: the fields,
/// and how long it is. `None` if there is none.
#[must_use]
pub fn lift_first(bytes: &[u8]) -> Option<(Lifted, usize)> {
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut fields = Lifted::default();
    let length = lift::<false>(bytes, &mut fields).ok()?;
    Some((fields, length))
}

/// [`lift()`], with or without the fields that are lifted on demand.
#[inline(always)]
pub(super) fn lift_with(bytes: &[u8], more: bool, fields: &mut Lifted) -> Result<usize, Nest> {
    match more {
        true => lift::<true>(bytes, fields),
        false => lift::<false>(bytes, fields),
    }
}

/// Lifts the fields of the object that `bytes` begins with. `Ok` with its length if it ends there,
/// or else `Err` with the state of the scan; the fields then are not to be used.
fn lift<const MORE: bool>(bytes: &[u8], fields: &mut Lifted) -> Result<usize, Nest> {
    *fields = Lifted::default();
    let mut nest = Nest::OUTSIDE;
    let mut missing = LIFTED_FIELDS;
    if MORE {
        missing += MORE_FIELDS;
        fields.more = Some(Box::default());
    }
    let length = nest.scan_with(bytes, |block, strings| {
        let candidates = if missing > 0 { candidates::<MORE>(strings) } else { 0 };
        if candidates != 0 {
            missing -= lift_some::<MORE>(bytes, block, candidates, fields);
        }
    });
    length.ok_or(nest)
}

/// Takes note of members as a walk meets them.
pub(super) trait Lift {
    /// What it made of a key.
    type Found: Copy;

    /// A key: `text` begins with its `length` letters, unless it has escapes.
    fn key(&mut self, text: &[u8], length: usize) -> Self::Found;
    /// The value of the last key is a string without escapes: its text is here.
    fn plain(&mut self, found: Self::Found, start: usize, end: usize);
    /// The value of the last key, whatever it is, lies here.
    fn value(&mut self, found: Self::Found, raw: &[u8], start: usize, end: usize);
}

/// Looks away.
pub(super) struct NoLift;

impl Lift for NoLift {
    type Found = ();

    #[inline(always)]
    fn key(&mut self, _: &[u8], _: usize) {}
    #[inline(always)]
    fn plain(&mut self, (): (), _: usize, _: usize) {}
    #[inline(always)]
    fn value(&mut self, (): (), _: &[u8], _: usize, _: usize) {}
}

/// Lifts the fields of the object that a walk is in; all of them, or without those that are lifted
/// on demand. The object begins at `base` of what is walked.
pub(super) struct LiftFields<'a, const MORE: bool> {
    fields: &'a mut Lifted,
    base: usize,
}

impl<'a, const MORE: bool> LiftFields<'a, MORE> {
    pub(super) fn new(fields: &'a mut Lifted, base: usize) -> Self {
        let more = MORE.then(Box::default);
        *fields = Lifted { more, ..Lifted::default() };
        Self { fields, base }
    }

    #[inline(always)]
    fn set(&mut self, field: Field, start: usize, end: usize, kind: TokenKind) {
        let place = |at: usize| u32::try_from(at - self.base);
        // Ranges are 32 bits, as in `value`.
        if let (Ok(start), Ok(end)) = (place(start), place(end)) {
            self.fields.set((field, Token { start, end, kind }));
        }
    }

    #[inline(never)]
    fn set_value(&mut self, field: Field, raw: &[u8], start: usize, end: usize) {
        let token = raw.get(start..end).unwrap_or_default();
        match token {
            [b'"', text @ .., b'"'] => {
                let escaped = text.contains(&b'\\');
                let kind = if escaped { TokenKind::Escaped } else { TokenKind::String };
                self.set(field, start + 1, end - 1, kind);
            }
            [b'-' | b'0'..=b'9', ..] => self.set(field, start, end, TokenKind::Number),
            _ => self.set(field, start, end, TokenKind::Other),
        }
    }
}

impl<const MORE: bool> Lift for LiftFields<'_, MORE> {
    type Found = Option<Field>;

    #[inline(always)]
    fn key(&mut self, text: &[u8], length: usize) -> Option<Field> {
        Field::of_key::<MORE>(text, length)
    }

    #[inline(always)]
    fn plain(&mut self, found: Option<Field>, start: usize, end: usize) {
        if let Some(field) = found {
            self.set(field, start, end, TokenKind::String);
        }
    }

    #[inline(always)]
    fn value(&mut self, found: Option<Field>, raw: &[u8], start: usize, end: usize) {
        if let Some(field) = found {
            self.set_value(field, raw, start, end);
        }
    }
}

/// Looks at the strings whose opening quotes `candidates` are, counted from `block` on; how many
/// fields they gave.
#[inline(never)]
fn lift_some<const MORE: bool>(
    bytes: &[u8],
    block: usize,
    mut candidates: u64,
    fields: &mut Lifted,
) -> usize {
    let mut lifted = 0;
    while candidates != 0 {
        let at = block + candidates.trailing_zeros() as usize;
        candidates &= candidates - 1;
        if let Some(found) = member::<MORE>(bytes, at + 1) {
            lifted += usize::from(fields.set(found));
        }
    }
    lifted
}

/// The wanted member whose key's text begins at `at`, if that is what is there.
#[inline(always)]
fn member<const MORE: bool>(bytes: &[u8], at: usize) -> Option<(Field, Token)> {
    let text = bytes.get(at..)?;
    let near = text.get(..KEY_BYTES_MAX).unwrap_or(text);
    let length = near.iter().position(|byte| *byte == b'"')?;
    let field = Field::of_key::<MORE>(text, length)?;
    let colon = blanks_end(bytes, at + length + 1)?;
    if bytes[colon] != b':' {
        return None;
    }
    Some((field, value(bytes, blanks_end(bytes, colon + 1)?)?))
}

/// The value at `at`; `None` if there is none, or it goes on behind the bytes.
#[inline]
fn value(bytes: &[u8], at: usize) -> Option<Token> {
    let (start, end, kind) = match bytes[at] {
        b'"' => {
            let (end, escaped) = string_end(bytes, at + 1)?;
            (at + 1, end, if escaped { TokenKind::Escaped } else { TokenKind::String })
        }
        b'{' | b'[' => {
            let mut nest = Nest::OUTSIDE;
            (at, at + nest.scan(&bytes[at..])?, TokenKind::Other)
        }
        first => {
            let length = bytes[at..].iter().position(|byte| !is_literal(*byte))?;
            if length == 0 {
                return None;
            }
            let number = first == b'-' || first.is_ascii_digit();
            (at, at + length, if number { TokenKind::Number } else { TokenKind::Other })
        }
    };
    // Ranges are 32 bits: a field that ends behind 4 GiB of its record is not lifted.
    Some(Token { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()?, kind })
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
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        let rest = bytes.get(at..)?;
        let (stops, step) = match rest.first_chunk::<STEP>() {
            Some(block) => (simd::quotes(block), STEP),
            None => (simd::quotes(&padded(rest)), rest.len()),
        };
        if stops == 0 {
            if step < STEP {
                return None;
            }
            at += STEP;
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

/// The last bytes of a buffer as a block; zeros are neither quote nor backslash, nor in a key.
#[cold]
fn padded<const N: usize>(rest: &[u8]) -> [u8; N] {
    let mut block = [0; N];
    block[..rest.len()].copy_from_slice(rest);
    block
}
