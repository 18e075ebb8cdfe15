//! A small msgpack encoder that appends to a `Vec<u8>`. Encoding only, nothing about events.

/// How deep an event's body may nest, the body's own map included, for every Fluent Bit: 31.
///
/// The host decodes with msgpack-c's embedded stack of open containers, of which the event around
/// the body takes one: `MSGPACK_EMBED_STACK_SIZE` is 32 up to 4.0.5 and 64 from 4.0.8 at the latest
/// (`cmake/msgpack.cmake`). A deeper event is not refused: the host stops at it, in silence, and
/// loses the rest of the batch. An empty container counts like a full one.
pub const BODY_DEPTH_MAX: usize = 31;

/// The same for Fluent Bit 4.1 and later: 63. Tried with 5.1.1: 63 arrives, 64 does not.
pub const BODY_DEPTH_MAX_FROM_4_1: usize = 63;

/// Appends msgpack values to a buffer. Each value takes the shortest form.
///
/// Sizes of arrays and maps are the caller's word: write exactly as many values (twice as many for
/// maps). Where the number is not known beforehand, use [`Writer::open_map`].
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
}

/// A map or array whose size is still to come; see [`Writer::open_map`].
#[derive(Debug)]
#[must_use = "the size of the container is missing until it is closed"]
pub struct Open {
    at: usize,
    long: u8,
}

impl<'a> Writer<'a> {
    /// Appends to `buffer`.
    #[must_use]
    pub fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self { buffer }
    }

    /// Bytes in the buffer: a position for [`Writer::truncate`].
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the buffer is empty.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes back everything after a position, for instance a value that turned out to be broken.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// nil.
    #[inline]
    pub fn nil(&mut self) {
        self.buffer.push(0xc0);
    }

    /// true or false.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.buffer.push(0xc2 + u8::from(value));
    }

    /// An unsigned integer.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // Each arm's bound fits its type.
    pub fn uint(&mut self, value: u64) {
        match value {
            0..=0x7f => self.buffer.push(value as u8),
            0x80..=0xff => self.buffer.extend_from_slice(&[0xcc, value as u8]),
            0x100..=0xffff => self.tagged(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.tagged(0xce, (value as u32).to_be_bytes()),
            0x1_0000_0000.. => self.tagged(0xcf, value.to_be_bytes()),
        }
    }

    /// A signed integer.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Each arm's bound fits.
    pub fn int(&mut self, value: i64) {
        match value {
            0.. => self.uint(value as u64),
            -0x20..=-1 => self.buffer.push(value as u8),
            -0x80..=-0x21 => self.buffer.extend_from_slice(&[0xd0, value as u8]),
            -0x8000..=-0x81 => self.tagged(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => self.tagged(0xd2, (value as i32).to_be_bytes()),
            ..=-0x8000_0001 => self.tagged(0xd3, value.to_be_bytes()),
        }
    }

    /// A double.
    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.tagged(0xcb, value.to_be_bytes());
    }

    /// A string.
    ///
    /// # Panics
    /// Longer than 4 GiB.
    #[inline]
    pub fn str(&mut self, value: &str) {
        self.str_bytes(value.as_bytes());
    }

    /// A string from bytes that may not be UTF-8. Fluent Bit stores them as they are.
    ///
    /// # Panics
    /// Longer than 4 GiB.
    #[inline]
    pub fn str_bytes(&mut self, value: &[u8]) {
        self.str_header(value.len());
        self.buffer.extend_from_slice(value);
    }

    /// The header of a string whose bytes follow through [`Writer::raw`].
    ///
    /// # Panics
    /// Longer than 4 GiB.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // Each arm's bound fits its type.
    pub fn str_header(&mut self, len: usize) {
        match len {
            0..=31 => self.buffer.push(0xa0 | len as u8),
            32..=0xff => self.buffer.extend_from_slice(&[0xd9, len as u8]),
            0x100..=0xffff => self.tagged(0xda, (len as u16).to_be_bytes()),
            _ => self.tagged(0xdb, len_u32(len).to_be_bytes()),
        }
    }

    /// Bytes that are not text. Outputs show them badly: prefer strings.
    ///
    /// # Panics
    /// Longer than 4 GiB.
    #[allow(clippy::cast_possible_truncation)] // Each arm's bound fits its type.
    pub fn bin(&mut self, value: &[u8]) {
        match value.len() {
            len @ 0..=0xff => self.buffer.extend_from_slice(&[0xc4, len as u8]),
            len @ 0x100..=0xffff => self.tagged(0xc5, (len as u16).to_be_bytes()),
            len => self.tagged(0xc6, len_u32(len).to_be_bytes()),
        }
        self.buffer.extend_from_slice(value);
    }

    /// The header of an array of `len` values.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // Each arm's bound fits its type.
    pub fn array(&mut self, len: u32) {
        match len {
            0..=15 => self.buffer.push(0x90 | len as u8),
            16..=0xffff => self.tagged(0xdc, (len as u16).to_be_bytes()),
            0x1_0000.. => self.tagged(0xdd, len.to_be_bytes()),
        }
    }

    /// The header of a map of `len` pairs.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // Each arm's bound fits its type.
    pub fn map(&mut self, len: u32) {
        match len {
            0..=15 => self.buffer.push(0x80 | len as u8),
            16..=0xffff => self.tagged(0xde, (len as u16).to_be_bytes()),
            0x1_0000.. => self.tagged(0xdf, len.to_be_bytes()),
        }
    }

    /// Starts a map whose number of pairs is not known yet: three bytes, filled in by
    /// [`Writer::close`].
    #[inline]
    pub fn open_map(&mut self) -> Open {
        self.open(0xde, 0xdf)
    }

    /// Starts an array whose number of values is not known yet; see [`Writer::open_map`].
    #[inline]
    pub fn open_array(&mut self) -> Open {
        self.open(0xdc, 0xdd)
    }

    #[inline]
    fn open(&mut self, short: u8, long: u8) -> Open {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[short, 0, 0]);
        Open { at, long }
    }

    /// Fills in the size of an open container. Containers close in the reverse order of opening.
    ///
    /// # Panics
    /// The container was taken back by [`Writer::truncate`].
    #[inline]
    #[allow(clippy::needless_pass_by_value)] // A container is closed once.
    pub fn close(&mut self, open: Open, len: u32) {
        match u16::try_from(len) {
            Ok(len) => self.buffer[open.at + 1..open.at + 3].copy_from_slice(&len.to_be_bytes()),
            Err(_) => self.close_long(&open, len),
        }
    }

    /// More than 65,535: the header grows by two bytes and the content moves.
    #[cold]
    fn close_long(&mut self, open: &Open, len: u32) {
        let mut header = [open.long, 0, 0, 0, 0];
        header[1..].copy_from_slice(&len.to_be_bytes());
        self.buffer.splice(open.at..open.at + 3, header);
    }

    /// Bytes that are msgpack already, or the content of a [`Writer::str_header`].
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    #[inline]
    fn tagged<const N: usize>(&mut self, tag: u8, bytes: [u8; N]) {
        self.buffer.push(tag);
        self.buffer.extend_from_slice(&bytes);
    }
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).expect("msgpack holds no value longer than 4 GiB")
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;

    #[track_caller]
    fn check(expected: &Value, write: impl FnOnce(&mut Writer<'_>)) {
        let mut buffer = Vec::new();
        write(&mut Writer::new(&mut buffer));
        let mut rest = buffer.as_slice();
        let decoded = rmpv::decode::read_value(&mut rest).expect("it is msgpack");
        assert_eq!(&decoded, expected);
        assert!(rest.is_empty(), "{} bytes are left over", rest.len());
        let mut shortest = Vec::new();
        rmpv::encode::write_value(&mut shortest, expected).expect("a Vec takes everything");
        assert_eq!(buffer, shortest, "not the shortest form");
    }

    #[test]
    fn integers_at_every_boundary_are_read_back() {
        let edges =
            [0u64, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 1 << 32, u64::MAX];
        for edge in edges {
            check(&Value::from(edge), |writer| writer.uint(edge));
        }
        let edges = [-1i64, -32, -33, -128, -129, -32_768, -32_769, i32::MIN.into(), i64::MIN];
        for edge in edges {
            check(&Value::from(edge), |writer| writer.int(edge));
            check(&Value::from(edge.wrapping_neg().max(0)), |writer| {
                writer.int(edge.wrapping_neg().max(0));
            });
        }
        check(&Value::from(i64::from(i32::MIN) - 1), |w| w.int(i64::from(i32::MIN) - 1));
    }

    #[test]
    fn strings_at_every_boundary_are_read_back() {
        for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(len);
            check(&Value::from(text.as_str()), |writer| writer.str(&text));
            check(&Value::Binary(text.clone().into_bytes()), |writer| writer.bin(text.as_bytes()));
        }
    }

    #[test]
    fn the_rest_is_read_back() {
        check(&Value::Nil, |writer| writer.nil());
        check(&Value::from(true), |writer| writer.bool(true));
        check(&Value::from(false), |writer| writer.bool(false));
        check(&Value::from(-0.25), |writer| writer.f64(-0.25));
        for len in [0usize, 15, 16, 65_535, 65_536] {
            check(&Value::Array(vec![Value::Nil; len]), |writer| {
                writer.array(u32::try_from(len).unwrap());
                (0..len).for_each(|_| writer.nil());
            });
            check(&Value::Map(vec![(Value::from(1), Value::Nil); len]), |writer| {
                writer.map(u32::try_from(len).unwrap());
                (0..len).for_each(|_| {
                    writer.uint(1);
                    writer.nil();
                });
            });
        }
    }

    #[test]
    fn an_open_container_of_any_size_is_read_back() {
        for len in [0usize, 3, 65_535, 65_536] {
            let mut buffer = Vec::new();
            let mut writer = Writer::new(&mut buffer);
            let outer = writer.open_array();
            let inner = writer.open_map();
            for _ in 0..len {
                writer.uint(7);
                writer.bool(true);
            }
            let len_u32 = u32::try_from(len).unwrap();
            writer.close(inner, len_u32);
            writer.close(outer, 1);
            let decoded = rmpv::decode::read_value(&mut buffer.as_slice()).unwrap();
            let map = Value::Map(vec![(Value::from(7), Value::from(true)); len]);
            assert_eq!(decoded, Value::Array(vec![map]));
        }
    }
}
