//! Cuts a JSON array that arrives in pieces into its elements, without copying or parsing them.
//!
//! Pull-based: whoever stops calling [`Splitter::poll`] keeps the rest of the chunk waiting, and
//! that is all the back-pressure there is. Must not judge what an element says, and must not hold
//! more than one chunk and one element.

use super::chunk::ChunkWalk;
use super::element::{Item, RecordKind, Split};
use super::lift::{self, Lifted};
use super::nest::Nest;
use super::visit::{NullVisitor, Visit};
use bytes::{Bytes, BytesMut};

/// How much of a body that is no array is kept for the error.
pub const NOT_ARRAY_BYTES_MAX: usize = 512;

/// The UTF-8 byte order mark, which some of Microsoft's services put in front.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The account of a body that was a whole array, or `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Elements, the oversized ones included.
    pub records: u64,
    /// Elements that were longer than `record_bytes_max`.
    pub oversized: u64,
    /// Bytes of the whole body.
    pub bytes: u64,
    /// The body was `null`, which stands for no records.
    pub null: bool,
}

/// Why a body is not an array of elements. Elements yielded before stay valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// It does not begin with `[`: an error object, HTML of a proxy, nothing.
    #[error("the body is not a JSON array, it begins with \"{}\"", first.escape_ascii())]
    NotArray {
        /// The body from its first byte that is not whitespace, at most [`NOT_ARRAY_BYTES_MAX`].
        first: Box<[u8]>,
    },
    /// A byte that cannot stand between elements, or behind the array.
    #[error("byte 0x{byte:02x} at offset {offset} of the body is out of place")]
    Unexpected {
        /// The byte.
        byte: u8,
        /// Its offset in the body.
        offset: u64,
    },
    /// The body ended before the array did.
    #[error("the body was cut off after {bytes} bytes and {records} whole records")]
    Truncated {
        /// Bytes of the body.
        bytes: u64,
        /// Whole elements before the cut.
        records: u64,
    },
}

/// The incremental cutter. Feed it with [`push`](Self::push), drain it with [`poll`](Self::poll)
/// until that answers `None`, and at the end of the body ask [`finish`](Self::finish).
///
/// Memory is bounded by one chunk and twice `record_bytes_max`: a record that arrives in pieces is
/// put together in a buffer that grows by doubling. A visitor costs an eighth of that more, and
/// room for the longest text that has escapes in it.
#[derive(Debug)]
pub struct Splitter {
    record_bytes_max: usize,
    /// Whether the fields are lifted that are lifted on demand.
    more: bool,
    chunk: Bytes,
    at: usize,
    /// Length of all chunks before `chunk`.
    before: u64,
    place: Place,
    /// The beginning of an element that arrived in earlier chunks.
    partial: BytesMut,
    records: u64,
    oversized: u64,
    /// For visitors, once there is one.
    walk: Option<Box<ChunkWalk>>,
    /// Whether the array is a part of something, so that what follows it is none of our business.
    embedded: bool,
}

/// Where in the body the next byte is.
#[derive(Clone, Debug)]
enum Place {
    /// Before the bracket; so many bytes of the byte order mark were seen.
    Start { bom: usize },
    /// The body is no array, unless it turns out as `null`.
    NotArray { first: Vec<u8> },
    /// Before an element.
    Element { may_close: bool },
    /// Inside an element, so many bytes of which came in earlier chunks.
    Inside { scan: Scan, bytes: u64 },
    /// Behind an element.
    Separator,
    /// Behind the array.
    Behind,
    /// Nothing more to say than this.
    Failed(SplitError),
}

/// How to find the end of the current element.
#[derive(Clone, Copy, Debug)]
enum Scan {
    Object(Nest),
    Array(Nest),
    Text { escaped: bool },
    Literal,
}

impl Splitter {
    /// A cutter that yields elements up to `record_bytes_max` bytes and counts longer ones.
    pub fn new(record_bytes_max: usize) -> Self {
        Self {
            record_bytes_max,
            more: false,
            chunk: Bytes::new(),
            at: 0,
            before: 0,
            place: Place::Start { bom: 0 },
            partial: BytesMut::new(),
            records: 0,
            oversized: 0,
            walk: None,
            embedded: false,
        }
    }

    /// Whether to lift all fields, those included that are lifted on demand. Default: not.
    #[must_use]
    pub fn lifting_more(mut self, more: bool) -> Self {
        self.more = more;
        self
    }

    /// The same for an array that stands within something else: what comes behind it is left for
    /// [`take_rest`](Self::take_rest).
    pub(crate) fn embedded(record_bytes_max: usize) -> Self {
        Self { embedded: true, ..Self::new(record_bytes_max) }
    }

    /// Once the embedded array has ended: what of the chunk comes behind it.
    pub(crate) fn take_rest(&mut self) -> Option<Bytes> {
        if !matches!(self.place, Place::Behind) {
            return None;
        }
        let rest = self.chunk.split_off(self.at);
        self.chunk = Bytes::new();
        self.at = 0;
        Some(rest)
    }

    /// Whether all bytes pushed so far were looked at, so that the next chunk may come.
    pub fn is_drained(&self) -> bool {
        self.at == self.chunk.len()
    }

    /// The next piece of the body, of any size.
    ///
    /// # Panics
    /// If the last one was not drained, a programmer's error.
    pub fn push(&mut self, chunk: Bytes) {
        assert!(self.is_drained(), "a chunk is pushed only after poll answered None");
        self.before += self.chunk.len() as u64;
        self.chunk = chunk;
        self.at = 0;
        if let Some(walk) = &mut self.walk {
            walk.forget();
        }
    }

    /// The next element, or `None` if the chunk holds no more of them.
    ///
    /// # Errors
    /// What is wrong with the array; from then on the same error, always.
    pub fn poll(&mut self) -> Result<Option<Item>, SplitError> {
        self.poll_for(None::<&mut NullVisitor>)
    }

    /// The same, and tells `visitor` what is in an object that nests at most `depth_max` deep, in
    /// the one look that also finds its end and its fields. What it was told counts if the answer
    /// says so: [`Split::told`].
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_with<V: Visit>(
        &mut self,
        depth_max: usize,
        visitor: &mut V,
    ) -> Result<Option<Item>, SplitError> {
        self.walk.get_or_insert_default().follow(depth_max);
        self.poll_for(Some(visitor))
    }

    fn poll_for<V: Visit>(
        &mut self,
        mut visitor: Option<&mut V>,
    ) -> Result<Option<Item>, SplitError> {
        while !self.is_drained() {
            if self.embedded && matches!(self.place, Place::Behind) {
                return Ok(None);
            }
            if let Some(item) = self.step(visitor.as_deref_mut())? {
                return Ok(Some(item));
            }
        }
        // Not to keep memory alive that is read to its end.
        self.before += self.chunk.len() as u64;
        self.chunk = Bytes::new();
        self.at = 0;
        match &self.place {
            Place::Failed(error) => Err(error.clone()),
            Place::Start { .. }
            | Place::NotArray { .. }
            | Place::Element { .. }
            | Place::Inside { .. }
            | Place::Separator
            | Place::Behind => Ok(None),
        }
    }

    /// The body has ended; to be asked once [`poll`](Self::poll) answered `None`.
    ///
    /// # Errors
    /// If the body was not one whole array.
    pub fn finish(&self) -> Result<Finish, SplitError> {
        let bytes = self.before + self.chunk.len() as u64;
        let (records, oversized) = (self.records, self.oversized);
        match &self.place {
            Place::Behind => Ok(Finish { records, oversized, bytes, null: false }),
            Place::NotArray { first } if first.trim_ascii_end() == b"null" => {
                Ok(Finish { records, oversized, bytes, null: true })
            }
            Place::NotArray { first } => Err(not_array(first)),
            Place::Failed(error) => Err(error.clone()),
            Place::Start { .. }
            | Place::Element { .. }
            | Place::Inside { .. }
            | Place::Separator => Err(SplitError::Truncated { bytes, records }),
        }
    }

    /// Elements yielded or counted so far: the index of the next one in the body.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Does one thing at the current byte, of which there is one.
    fn step<V: Visit>(&mut self, visitor: Option<&mut V>) -> Result<Option<Item>, SplitError> {
        let byte = self.chunk[self.at];
        match &mut self.place {
            Place::Element { may_close } => {
                let may_close = *may_close;
                match byte {
                    _ if lift::is_blank(byte) => self.at += 1,
                    b']' if may_close => self.go(Place::Behind),
                    b'{' => return Ok(self.object(visitor)),
                    _ => return self.other_element(byte),
                }
            }
            Place::Separator => match byte {
                b',' => self.go(Place::Element { may_close: false }),
                b']' => self.go(Place::Behind),
                _ if lift::is_blank(byte) => self.at += 1,
                _ => return self.unexpected(byte),
            },
            Place::Inside { scan, bytes } => {
                let (scan, bytes) = (*scan, *bytes);
                return Ok(self.resume(scan, bytes, visitor));
            }
            Place::Behind if lift::is_blank(byte) => self.at += 1,
            Place::Behind => return self.unexpected(byte),
            Place::Start { .. } | Place::NotArray { .. } => self.opening(byte)?,
            Place::Failed(error) => return Err(error.clone()),
        }
        Ok(None)
    }

    fn go(&mut self, place: Place) {
        self.at += 1;
        self.place = place;
    }

    fn fail<T>(&mut self, error: SplitError) -> Result<T, SplitError> {
        self.place = Place::Failed(error.clone());
        Err(error)
    }

    fn unexpected<T>(&mut self, byte: u8) -> Result<T, SplitError> {
        let offset = self.before + self.at as u64;
        self.fail(SplitError::Unexpected { byte, offset })
    }

    /// A byte before the array.
    fn opening(&mut self, byte: u8) -> Result<(), SplitError> {
        match &mut self.place {
            Place::Start { bom } if BOM.get(*bom) == Some(&byte) => {
                *bom += 1;
                self.at += 1;
            }
            Place::Start { bom: 0 | 3 } if byte == b'[' => {
                self.go(Place::Element { may_close: true });
            }
            Place::Start { bom: 0 | 3 } if lift::is_blank(byte) => {
                self.go(Place::Start { bom: BOM.len() });
            }
            Place::Start { bom } => {
                let first = BOM[..*bom % BOM.len()].to_vec();
                self.place = Place::NotArray { first };
            }
            Place::NotArray { first } => {
                let rest = &self.chunk[self.at..];
                let taken = rest.len().min(NOT_ARRAY_BYTES_MAX - first.len());
                first.extend_from_slice(&rest[..taken]);
                self.at += taken;
                if first.len() == NOT_ARRAY_BYTES_MAX {
                    let error = not_array(first);
                    return self.fail(error);
                }
            }
            Place::Element { .. }
            | Place::Inside { .. }
            | Place::Separator
            | Place::Behind
            | Place::Failed(_) => {}
        }
        Ok(())
    }

    /// The object that begins here.
    #[inline(always)]
    fn object<V: Visit>(&mut self, visitor: Option<&mut V>) -> Option<Item> {
        let mut fields = Lifted::default();
        if let (Some(visitor), Some(walk)) = (visitor, &mut self.walk)
            && let Some(length) = walk.object(&self.chunk, self.at, self.more, visitor, &mut fields)
        {
            return Some(self.whole(length, fields, RecordKind::Object, true));
        }
        let bytes = &self.chunk[self.at..];
        match lift::lift_with(bytes, self.more, &mut fields) {
            Ok(length) => Some(self.whole(length, fields, RecordKind::Object, false)),
            Err(nest) => {
                self.begin(Scan::Object(nest));
                None
            }
        }
    }

    /// The element that begins here and is no object.
    fn other_element(&mut self, byte: u8) -> Result<Option<Item>, SplitError> {
        let bytes = &self.chunk[self.at..];
        let (mut scan, from) = match byte {
            b'[' => (Scan::Array(Nest::OUTSIDE), 0),
            b'"' => (Scan::Text { escaped: false }, 1),
            _ if lift::is_literal(byte) => (Scan::Literal, 0),
            _ => return self.unexpected(byte),
        };
        match scan.advance(&bytes[from..]) {
            Some(length) => {
                let fields = Lifted::default();
                Ok(Some(self.whole(from + length, fields, RecordKind::NotObject, false)))
            }
            None => {
                self.begin(scan);
                Ok(None)
            }
        }
    }

    /// An element that lies in this chunk.
    fn whole(&mut self, length: usize, fields: Lifted, kind: RecordKind, told: bool) -> Item {
        let start = self.at;
        self.at += length;
        self.place = Place::Separator;
        self.records += 1;
        if length > self.record_bytes_max {
            self.oversized += 1;
            return Item::Oversized { bytes: length as u64 };
        }
        let raw = self.chunk.slice(start..self.at);
        Item::Record(Split { raw, fields, kind, told })
    }

    /// An element goes on in the next chunk.
    fn begin(&mut self, scan: Scan) {
        let length = self.chunk.len() - self.at;
        self.keep(length, 0);
        self.place = Place::Inside { scan, bytes: length as u64 };
    }

    /// Moves `length` bytes of the chunk behind the `bytes` of the element that came before.
    fn keep(&mut self, length: usize, bytes: u64) {
        if bytes + length as u64 <= self.record_bytes_max as u64 {
            self.partial.extend_from_slice(&self.chunk[self.at..self.at + length]);
        } else {
            self.partial = BytesMut::new();
        }
        self.at += length;
    }

    /// The chunk begins inside an element.
    fn resume<V: Visit>(
        &mut self,
        mut scan: Scan,
        before: u64,
        visitor: Option<&mut V>,
    ) -> Option<Item> {
        let end = scan.advance(&self.chunk[self.at..]);
        let length = end.unwrap_or(self.chunk.len() - self.at);
        self.keep(length, before);
        let bytes = before + length as u64;
        if end.is_none() {
            self.place = Place::Inside { scan, bytes };
            return None;
        }
        self.place = Place::Separator;
        self.records += 1;
        if bytes > self.record_bytes_max as u64 {
            self.oversized += 1;
            return Some(Item::Oversized { bytes });
        }
        let raw = std::mem::take(&mut self.partial).freeze();
        match scan {
            Scan::Object(_) => Some(Item::Record(self.put_together(raw, visitor))),
            Scan::Array(_) | Scan::Text { .. } | Scan::Literal => {
                let (fields, kind) = (Lifted::default(), RecordKind::NotObject);
                Some(Item::Record(Split { raw, fields, kind, told: false }))
            }
        }
    }

    /// An object that has come in pieces.
    fn put_together<V: Visit>(&mut self, raw: Bytes, visitor: Option<&mut V>) -> Split {
        let (more, kind) = (self.more, RecordKind::Object);
        let mut fields = Lifted::default();
        let mut told = false;
        if let (Some(visitor), Some(walk)) = (visitor, &mut self.walk) {
            walk.forget();
            told = walk.object(&raw, 0, more, visitor, &mut fields).is_some();
            walk.forget();
        }
        if !told {
            fields = Lifted::of(&raw, more);
        }
        Split { raw, fields, kind, told }
    }
}

impl Scan {
    /// The length of what belongs to the element, if it ends in `bytes`.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Object(nest) | Self::Array(nest) => nest.scan(bytes),
            Self::Text { escaped } => {
                for (at, byte) in bytes.iter().enumerate() {
                    if *byte == b'"' && !*escaped {
                        return Some(at + 1);
                    }
                    *escaped = *byte == b'\\' && !*escaped;
                }
                None
            }
            Self::Literal => bytes.iter().position(|byte| !lift::is_literal(*byte)),
        }
    }
}

fn not_array(first: &[u8]) -> SplitError {
    SplitError::NotArray { first: first.into() }
}
