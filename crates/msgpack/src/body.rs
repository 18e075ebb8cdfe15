//! Writes msgpack as the walk over a record goes.
//!
//! Must not look back at what it wrote, except to patch the header of a container that ends.

use m365_audit_core::json::{Number, Text, Visit};

use crate::room::Room;

/// msgpack's `true`; `false` is one less.
pub(super) const TRUE: u8 = 0xc3;
const FALSE: u8 = 0xc2;
const NIL: u8 = 0xc0;
const FLOAT_64: u8 = 0xcb;
pub(super) const UINT_16: u8 = 0xcd;
const STR_8: u8 = 0xd9;
const FIXSTR: u8 = 0xa0;

/// The most that the short header of a container can count.
const FIX_COUNT_MAX: usize = 15;

/// The headers of one kind of container.
struct Headers {
    fix: u8,
    count_16: u8,
    count_32: u8,
}

const MAP: Headers = Headers { fix: 0x80, count_16: 0xde, count_32: 0xdf };
const ARRAY: Headers = Headers { fix: 0x90, count_16: 0xdc, count_32: 0xdd };

/// The body of one event, in the making.
pub(super) struct Body {
    out: Room,
    /// Where the body begins.
    root: usize,
    /// Members that are added to it when it has ended.
    extra: usize,
}

impl Body {
    /// A body behind what `out` holds. The buffer is lent by value: the walk reaches it directly.
    pub(super) fn new(out: Room) -> Self {
        Self::with_extra(out, 0)
    }

    /// The same, of which the header also counts `extra` members that follow.
    pub(super) fn with_extra(out: Room, extra: usize) -> Self {
        let root = out.len();
        Self { out, root, extra }
    }

    /// Gives the buffer back.
    pub(super) fn into_inner(self) -> Room {
        self.out
    }

    /// Leaves room for a header: for the usual one of a record, which has more members than a
    /// short header counts, and for the short one inside.
    #[inline(always)]
    fn begin(&mut self, headers: &Headers) -> usize {
        let at = self.out.len();
        if at == self.root {
            self.out.extend_from_slice(&[headers.count_16, 0, 0]);
        } else {
            self.out.push(headers.fix);
        }
        at
    }

    #[inline(always)]
    fn end(&mut self, headers: &Headers, at: usize, count: usize) {
        if at != self.root && count <= FIX_COUNT_MAX {
            self.out.as_mut_slice()[at] = headers.fix | low_byte(count as u64);
        } else {
            self.end_wide(headers, at, count);
        }
    }

    /// Ends a container whose header is not the short one, moving its content if need be.
    #[inline(never)]
    fn end_wide(&mut self, headers: &Headers, at: usize, count: usize) {
        let (reserved, count) = if at == self.root { (3, count + self.extra) } else { (1, count) };
        let (bytes, length) = wide_header(headers, count);
        let end = self.out.len();
        if length > reserved {
            self.out.extend_from_slice(&[0; 4][..length - reserved]);
            self.out.as_mut_slice().copy_within(at + reserved..end, at + length);
        }
        self.out.as_mut_slice()[at..at + length].copy_from_slice(&bytes[..length]);
    }
}

impl Visit for Body {
    type Mark = usize;

    fn begin(&mut self) {
        self.out.truncate(self.root);
    }

    #[inline(always)]
    fn begin_object(&mut self) -> usize {
        self.begin(&MAP)
    }

    #[inline(always)]
    fn key(&mut self, text: Text<'_>) {
        put_text(&mut self.out, text);
    }

    #[inline(always)]
    fn end_object(&mut self, mark: usize, members: usize) {
        self.end(&MAP, mark, members);
    }

    #[inline(always)]
    fn begin_array(&mut self) -> usize {
        self.begin(&ARRAY)
    }

    #[inline(always)]
    fn end_array(&mut self, mark: usize, elements: usize) {
        self.end(&ARRAY, mark, elements);
    }

    #[inline(always)]
    fn string(&mut self, text: Text<'_>) {
        put_text(&mut self.out, text);
    }

    #[inline(always)]
    fn number(&mut self, number: Number<'_>) {
        match number {
            Number::Unsigned(value @ 0..0x80) => self.out.push(low_byte(value)),
            Number::Unsigned(value) => put_unsigned(&mut self.out, value),
            Number::Negative(value) => put_negative(&mut self.out, value),
            Number::Float(value) => put_tagged(&mut self.out, FLOAT_64, value.to_be_bytes()),
            Number::Literal(token) => put_str(&mut self.out, token),
        }
    }

    #[inline(always)]
    fn bool(&mut self, value: bool) {
        self.out.push(if value { TRUE } else { FALSE });
    }

    #[inline(always)]
    fn null(&mut self) {
        self.out.push(NIL);
    }
}

/// Writes a string of the record. All but the long ones go by blocks: the block is copied whole,
/// quote included, and the quote becomes the last byte of the header. There is nothing to predict
/// in it but that the text is not long.
#[inline(always)]
fn put_text(out: &mut Room, text: Text<'_>) {
    if let (Some(block), Some(place)) = (text.block::<64>(), out.ahead::<65>()) {
        let length = text.len();
        let wide = length > 31;
        place[0] = STR_8;
        let header = if wide { 0 } else { FIXSTR } | low_byte(length as u64);
        let behind = &mut place[usize::from(wide)..][..64];
        behind.copy_from_slice(block);
        behind[0] = header;
        out.advance(usize::from(wide) + 1 + length);
    } else {
        put_long_text(out, text.as_bytes());
    }
}

#[inline(never)]
fn put_long_text(out: &mut Room, text: &[u8]) {
    put_str(out, text);
}

/// Writes UTF-8 as str.
pub(super) fn put_str(out: &mut Room, text: &[u8]) {
    match text.len() {
        length @ 0..32 => out.push(FIXSTR | low_byte(length as u64)),
        length => put_length(out, [STR_8, 0xda, 0xdb], length),
    }
    out.extend_from_slice(text);
}

/// Writes bytes as bin.
pub(super) fn put_bin(out: &mut Room, bytes: &[u8]) {
    put_length(out, [0xc4, 0xc5, 0xc6], bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes the header of a map.
pub(super) fn put_map(out: &mut Room, members: usize) {
    if members <= FIX_COUNT_MAX {
        out.push(MAP.fix | low_byte(members as u64));
    } else {
        let (bytes, length) = wide_header(&MAP, members);
        out.extend_from_slice(&bytes[..length]);
    }
}

/// A header that counts in 16 or 32 bits, and its length.
fn wide_header(headers: &Headers, count: usize) -> ([u8; 5], usize) {
    match u16::try_from(count) {
        Ok(count) => {
            let [high, low] = count.to_be_bytes();
            ([headers.count_16, high, low, 0, 0], 3)
        }
        Err(_) => {
            let [a, b, c, d] = length_32(count).to_be_bytes();
            ([headers.count_32, a, b, c, d], 5)
        }
    }
}

/// Writes the shortest of three headers with a length of 8, 16 or 32 bits.
fn put_length(out: &mut Room, tags: [u8; 3], length: usize) {
    if let Ok(length) = u8::try_from(length) {
        put_tagged(out, tags[0], length.to_be_bytes());
    } else if let Ok(length) = u16::try_from(length) {
        put_tagged(out, tags[1], length.to_be_bytes());
    } else {
        put_tagged(out, tags[2], length_32(length).to_be_bytes());
    }
}

/// A length as msgpack's longest headers have it.
fn length_32(length: usize) -> u32 {
    u32::try_from(length).expect("a record is shorter than 4 GiB")
}

fn put_unsigned(out: &mut Room, value: u64) {
    if let Ok(value) = u8::try_from(value) {
        put_tagged(out, 0xcc, value.to_be_bytes());
    } else if let Ok(value) = u16::try_from(value) {
        put_tagged(out, UINT_16, value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        put_tagged(out, 0xce, value.to_be_bytes());
    } else {
        put_tagged(out, 0xcf, value.to_be_bytes());
    }
}

fn put_negative(out: &mut Room, value: i64) {
    if let Ok(value) = i8::try_from(value) {
        let [byte] = value.to_be_bytes();
        if value < -32 {
            out.push(0xd0);
        }
        out.push(byte);
    } else if let Ok(value) = i16::try_from(value) {
        put_tagged(out, 0xd1, value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        put_tagged(out, 0xd2, value.to_be_bytes());
    } else {
        put_tagged(out, 0xd3, value.to_be_bytes());
    }
}

#[inline(always)]
pub(super) fn put_tagged<const N: usize>(out: &mut Room, tag: u8, bytes: [u8; N]) {
    out.push(tag);
    out.extend_from_slice(&bytes);
}

/// The low byte of a number that has no other.
#[inline(always)]
pub(super) fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}
