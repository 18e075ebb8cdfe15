//! A strict walk over one JSON text (RFC 8259) that builds nothing.
//!
//! The walker validates and tells a [`Visit`] what it sees; a transcoder that implements `Visit`
//! is compiled into the walk and makes one pass. Must not allocate, except room for text that has
//! escapes in it, and must not recurse deeper than it is told.

use super::lift::{Lift, NoLift, is_blank};
use super::number::{self, Number};
use super::stops::Stops;
use super::unescape;
use super::visit::{Text, Visit};

/// A depth that every host survives: the walk's recursion takes a few hundred bytes a level.
pub const DEPTH_MAX: usize = 512;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkFault {
    /// It ends inside a value.
    Truncated,
    /// A byte that cannot stand there.
    Unexpected,
    /// A control character in a string.
    Control,
    /// An escape that JSON does not have.
    Escape,
    /// A string that is not UTF-8.
    Utf8,
    /// A number that JSON does not have.
    Number,
    /// Deeper nesting than allowed.
    Depth,
}

/// Why a record is not valid JSON, or cannot be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not valid JSON at byte {offset}: {fault:?}")]
pub struct WalkError {
    /// What is wrong.
    pub fault: WalkFault,
    /// Where it was noticed.
    pub offset: usize,
}

/// A walker whose buffers are used again.
#[derive(Debug)]
pub struct Walker {
    depth_max: usize,
    stops: Stops,
    scratch: Vec<u8>,
}

impl Walker {
    /// A walker that follows at most `depth_max` containers into each other, and never more than
    /// [`DEPTH_MAX`].
    pub fn new(depth_max: usize) -> Self {
        let depth_max = depth_max.min(DEPTH_MAX);
        Self { depth_max, stops: Stops::default(), scratch: Vec::new() }
    }

    /// Walks the JSON text that `raw` is, whitespace around it included.
    ///
    /// # Errors
    /// At the first thing that is not JSON. The visitor has seen what comes before.
    pub fn walk(&mut self, raw: &[u8], visitor: &mut impl Visit) -> Result<(), WalkError> {
        self.stops.forget();
        visitor.begin();
        let mut walk = Walk::new(raw, &mut self.stops, &mut self.scratch);
        let walked = walk.document(self.depth_max, visitor);
        let (fault, offset) = (walk.fault, walk.at);
        let read = if walked.is_ok() { raw } else { raw.get(..offset).unwrap_or(raw) };
        match (utf8_end(read), walked) {
            (end, _) if end < read.len() => Err(WalkError { fault: WalkFault::Utf8, offset: end }),
            (_, Ok(())) => Ok(()),
            (_, Err(Stopped)) => Err(WalkError { fault, offset }),
        }
    }
}

/// Walks `raw` with a fresh [`Walker`].
///
/// # Errors
/// See [`Walker::walk`].
pub fn walk(raw: &[u8], depth_max: usize, visitor: &mut impl Visit) -> Result<(), WalkError> {
    Walker::new(depth_max).walk(raw, visitor)
}

/// Up to where `bytes` are UTF-8.
pub(super) fn utf8_end(bytes: &[u8]) -> usize {
    match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(error) => error.valid_up_to(),
    }
}

/// What a walk looks at in one step: the quote, a short text, and four bytes behind it.
const BLOCK: usize = SHORT + 5;
/// Texts below this length are short.
const SHORT: usize = 63;

/// A plain text of a block.
#[derive(Clone, Copy)]
struct Short<'a> {
    block: &'a [u8; BLOCK],
    length: usize,
    /// Four bytes from the first stop on, as a little-endian number.
    behind: u32,
}

impl<'a> Short<'a> {
    #[inline(always)]
    fn text(self) -> Text<'a> {
        Text::behind(self.block, self.length)
    }
}

/// `"`, as [`Short::behind`] has it.
const QUOTE: u32 = b'"' as u32;
/// `":`
const KEY_END: u32 = u32::from_le_bytes(*b"\":\0\0");
/// `","`
const STRING_END: u32 = u32::from_le_bytes(*b"\",\"\0");

/// One walk. Positions travel as arguments and results, to stay in registers.
pub(super) struct Walk<'a> {
    raw: &'a [u8],
    stops: &'a mut Stops,
    scratch: &'a mut Vec<u8>,
    /// Why and where the walk stopped, once it did.
    fault: WalkFault,
    at: usize,
}

/// The walk stopped, `fault` and `at` say why: an error of no size keeps results in registers.
pub(super) struct Stopped;

impl<'a> Walk<'a> {
    /// A walk over `raw`, of which `stops` are. It takes any bytes for letters: whether they are
    /// UTF-8 is asked of all of them together.
    pub(super) fn new(raw: &'a [u8], stops: &'a mut Stops, scratch: &'a mut Vec<u8>) -> Self {
        Self { raw, stops, scratch, fault: WalkFault::Truncated, at: 0 }
    }

    fn document<V: Visit>(&mut self, depth: usize, visitor: &mut V) -> Result<(), Stopped> {
        let at = self.blanks_end(0);
        let at = self.value(at, depth, visitor)?;
        let at = self.blanks_end(at);
        if at < self.raw.len() {
            return self.stop(WalkFault::Unexpected, at);
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn stop<T>(&mut self, fault: WalkFault, at: usize) -> Result<T, Stopped> {
        self.fault = if at < self.raw.len() { fault } else { WalkFault::Truncated };
        self.at = at;
        Err(Stopped)
    }

    /// The first byte from `at` that is no whitespace.
    #[inline(always)]
    fn blanks_end(&self, mut at: usize) -> usize {
        while let Some(byte) = self.raw.get(at)
            && *byte <= b' '
            && is_blank(*byte)
        {
            at += 1;
        }
        at
    }

    /// The byte at `at`; zero, which begins nothing, where the text ends.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.raw.get(at).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn value<V: Visit>(
        &mut self,
        at: usize,
        depth: usize,
        visitor: &mut V,
    ) -> Result<usize, Stopped> {
        match self.byte(at) {
            b'"' => match self.short(at).filter(|text| text.behind & 0xff == QUOTE) {
                Some(text) => {
                    visitor.string(text.text());
                    Ok(at + text.length + 2)
                }
                None => self.string(at, visitor),
            },
            b'0'..=b'9' => self.number(at, visitor),
            b'{' => self.object(at, depth, visitor, &mut NoLift),
            b'[' => self.array(at, depth, visitor),
            b't' => {
                let at = self.word(at, b"true")?;
                visitor.bool(true);
                Ok(at)
            }
            b'f' => {
                let at = self.word(at, b"false")?;
                visitor.bool(false);
                Ok(at)
            }
            b'n' => {
                let at = self.word(at, b"null")?;
                visitor.null();
                Ok(at)
            }
            b'-' => self.odd_number(at, visitor),
            _ => self.stop(WalkFault::Unexpected, at),
        }
    }

    /// The number that begins with the digit at `at`.
    #[inline(always)]
    fn number<V: Visit>(&mut self, at: usize, visitor: &mut V) -> Result<usize, Stopped> {
        match number::plain(self.raw, at) {
            Some((value, behind)) => {
                visitor.number(Number::Unsigned(value));
                Ok(behind)
            }
            None => self.odd_number(at, visitor),
        }
    }

    /// A number that is more than a few digits.
    #[inline(never)]
    fn odd_number<V: Visit>(&mut self, at: usize, visitor: &mut V) -> Result<usize, Stopped> {
        match number::number(self.raw, at, V::READS_NUMBERS) {
            Some((number, at)) => {
                visitor.number(number);
                Ok(at)
            }
            None => self.stop(WalkFault::Number, at),
        }
    }

    #[inline(always)]
    fn word<const N: usize>(&mut self, at: usize, word: &[u8; N]) -> Result<usize, Stopped> {
        match self.raw.get(at..).and_then(<[u8]>::first_chunk::<N>) {
            Some(found) if found == word => Ok(at + N),
            Some(_) | None => self.stop(WalkFault::Unexpected, at),
        }
    }

    /// The object that begins at `at`; where the byte behind it is.
    pub(super) fn object<V: Visit, L: Lift>(
        &mut self,
        at: usize,
        depth: usize,
        visitor: &mut V,
        lift: &mut L,
    ) -> Result<usize, Stopped> {
        if depth == 0 {
            return self.stop(WalkFault::Depth, at);
        }
        let mark = visitor.begin_object();
        let mut members = 0;
        let mut at = self.blanks_end(at + 1);
        if self.byte(at) == b'}' {
            visitor.end_object(mark, members);
            return Ok(at + 1);
        }
        loop {
            if self.byte(at) != b'"' {
                return self.stop(WalkFault::Unexpected, at);
            }
            members += 1;
            if let Some(key) = self.short(at).filter(|key| key.behind & 0xffff == KEY_END) {
                // The usual member has a short key, no blanks, and a short string for a value.
                visitor.key(key.text());
                let found = lift.key(&key.block[1..], key.length);
                at += key.length + 3;
                if key.behind >> 16 & 0xff == QUOTE
                    && let Some(value) = self.short(at).filter(|text| text.behind & 0xff == QUOTE)
                {
                    visitor.string(value.text());
                    lift.plain(found, at + 1, at + 1 + value.length);
                    at += value.length + 2;
                    if value.behind & 0xff_ffff == STRING_END {
                        at += 1;
                        continue;
                    }
                } else {
                    let start = self.blanks_end(at);
                    at = self.value(start, depth - 1, visitor)?;
                    lift.value(found, self.raw, start, at);
                }
            } else {
                at = self.odd_member(at, depth - 1, visitor, lift)?;
            }
            at = self.blanks_end(at);
            match self.byte(at) {
                b',' => at = self.blanks_end(at + 1),
                b'}' => break,
                _ => return self.stop(WalkFault::Unexpected, at),
            }
        }
        visitor.end_object(mark, members);
        Ok(at + 1)
    }

    fn array<V: Visit>(
        &mut self,
        at: usize,
        depth: usize,
        visitor: &mut V,
    ) -> Result<usize, Stopped> {
        if depth == 0 {
            return self.stop(WalkFault::Depth, at);
        }
        let mark = visitor.begin_array();
        let mut elements = 0;
        let mut at = self.blanks_end(at + 1);
        if self.byte(at) == b']' {
            visitor.end_array(mark, elements);
            return Ok(at + 1);
        }
        loop {
            at = self.value(at, depth - 1, visitor)?;
            elements += 1;
            at = self.blanks_end(at);
            match self.byte(at) {
                b',' => at = self.blanks_end(at + 1),
                b']' => break,
                _ => return self.stop(WalkFault::Unexpected, at),
            }
        }
        visitor.end_array(mark, elements);
        Ok(at + 1)
    }

    /// The text whose opening quote is at `at`, if it is plain, short and far from the end.
    #[inline(always)]
    fn short(&self, at: usize) -> Option<Short<'a>> {
        let block: &[u8; BLOCK] = self.raw.get(at..)?.first_chunk()?;
        let length = self.stops.near(at + 1)?;
        if block[0] != b'"' || SHORT <= length {
            return None;
        }
        let behind = u32::from_le_bytes(*block[length + 1..].first_chunk()?);
        Some(Short { block, length, behind })
    }

    /// The member whose key's opening quote is at `at`, whatever it is like; where the byte behind
    /// it is.
    #[inline(never)]
    fn odd_member<V: Visit, L: Lift>(
        &mut self,
        at: usize,
        depth: usize,
        visitor: &mut V,
        lift: &mut L,
    ) -> Result<usize, Stopped> {
        let end = self.stops.next(self.raw, at + 1);
        let found = lift.key(self.raw.get(at + 1..).unwrap_or_default(), end - at - 1);
        let start = self.key(at, end, visitor)?;
        let at = self.value(start, depth, visitor)?;
        lift.value(found, self.raw, start, at);
        Ok(at)
    }

    /// The text between two quotes, which has no escapes.
    #[inline(always)]
    fn plain_text(&self, start: usize, end: usize) -> Text<'a> {
        let quoted = self.raw.get(start..).unwrap_or_default();
        Text::behind(quoted, end - start - 1)
    }

    /// The string whose opening quote is at `start`, whatever it is like; where the byte behind its
    /// closing quote is.
    #[inline(never)]
    fn string<V: Visit>(&mut self, start: usize, visitor: &mut V) -> Result<usize, Stopped> {
        let end = self.stops.next(self.raw, start + 1);
        if self.byte(end) == b'"' {
            visitor.string(self.plain_text(start, end));
            return Ok(end + 1);
        }
        let (text, behind) = self.unusual_text(start, end)?;
        visitor.string(text);
        Ok(behind)
    }

    /// The same for a key, whose first stop is at `end`, and for what stands between it and its
    /// value; where that begins.
    #[inline(never)]
    fn key<V: Visit>(
        &mut self,
        start: usize,
        end: usize,
        visitor: &mut V,
    ) -> Result<usize, Stopped> {
        let behind = if self.byte(end) == b'"' {
            visitor.key(self.plain_text(start, end));
            end + 1
        } else {
            let (text, behind) = self.unusual_text(start, end)?;
            visitor.key(text);
            behind
        };
        let colon = self.blanks_end(behind);
        if self.byte(colon) != b':' {
            return self.stop(WalkFault::Unexpected, colon);
        }
        Ok(self.blanks_end(colon + 1))
    }

    /// Text that has escapes, or is wrong; the first such byte is at `at`.
    #[inline(never)]
    fn unusual_text(&mut self, start: usize, at: usize) -> Result<(Text<'_>, usize), Stopped> {
        if self.byte(at) != b'\\' {
            return self.stop(WalkFault::Control, at);
        }
        let found = unescape::unescape_text(self.raw, start, at, self.stops, self.scratch);
        let (length, end) = match found {
            Ok(found) => found,
            Err(at) => return self.stop(WalkFault::Escape, at),
        };
        if self.byte(end) != b'"' {
            return self.stop(WalkFault::Control, end);
        }
        Ok((Text::behind(self.scratch, length - 1), end + 1))
    }
}
