//! A strict walk over one JSON text (RFC 8259) that builds nothing.
//!
//! The walker validates and tells a [`Visit`] what it sees; a transcoder that implements `Visit`
//! is compiled into the walk and makes one pass. Must not allocate, except room for text that has
//! escapes in it, and must not recurse deeper than it is told.

use super::lift::is_blank;
use super::number::{self, Number};
use super::stops::Stops;
use super::unescape;

/// A depth that every host survives: the walk's recursion takes a few hundred bytes a level.
pub const DEPTH_MAX: usize = 512;

/// What is told about a JSON text, in the order in which it stands there.
pub trait Visit {
    /// What the visitor wants back when a container ends.
    type Mark;
    /// Whether it looks at numbers. If not, fractions are told as literals.
    const READS_NUMBERS: bool = true;

    /// `{`
    fn begin_object(&mut self) -> Self::Mark;
    /// A key of the object that was begun last and not ended. Duplicates come as they are.
    fn key(&mut self, text: Text<'_>);
    /// `}` behind so many members.
    fn end_object(&mut self, mark: Self::Mark, members: usize);
    /// `[`
    fn begin_array(&mut self) -> Self::Mark;
    /// `]` behind so many elements.
    fn end_array(&mut self, mark: Self::Mark, elements: usize);
    /// A string.
    fn string(&mut self, text: Text<'_>);
    /// A number.
    fn number(&mut self, number: Number<'_>);
    /// `true` or `false`.
    fn bool(&mut self, value: bool);
    /// `null`
    fn null(&mut self);
}

/// A visitor that looks away: what is left of the walk is validation.
#[derive(Clone, Copy, Debug)]
pub struct NullVisitor;

impl Visit for NullVisitor {
    type Mark = ();
    const READS_NUMBERS: bool = false;

    fn begin_object(&mut self) {}
    fn key(&mut self, _: Text<'_>) {}
    fn end_object(&mut self, (): (), _: usize) {}
    fn begin_array(&mut self) {}
    fn end_array(&mut self, (): (), _: usize) {}
    fn string(&mut self, _: Text<'_>) {}
    fn number(&mut self, _: Number<'_>) {}
    fn bool(&mut self, _: bool) {}
    fn null(&mut self) {}
}

/// Text of a string or key: unescaped, always valid UTF-8. A surrogate escape without its partner
/// keeps its six literal characters.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The text, a quote before it, and whatever stands behind it in the buffer.
    quoted: &'a [u8],
    length: usize,
}

impl<'a> Text<'a> {
    /// The text's bytes.
    #[inline(always)]
    pub fn as_bytes(self) -> &'a [u8] {
        &self.quoted[1..][..self.length]
    }

    /// The text.
    ///
    /// # Panics
    /// Never: the walker validated it.
    pub fn as_str(self) -> &'a str {
        std::str::from_utf8(self.as_bytes()).expect("the walker validated the text")
    }

    /// Its length in bytes.
    #[inline(always)]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(self) -> usize {
        self.length
    }

    /// A quote, the text, and bytes behind it that mean nothing, `N` in all: who writes a byte
    /// before a short text can copy both in one step of constant size, which is several times
    /// faster. `None` if the text is longer, or too near the end of the buffer.
    #[inline(always)]
    pub fn block<const N: usize>(self) -> Option<&'a [u8; N]> {
        if self.length >= N {
            return None;
        }
        self.quoted.first_chunk()
    }
}

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
        self.stops.mark(raw);
        let (stops, scratch) = (&self.stops, &mut self.scratch);
        let mut walk = Walk { raw, stops, scratch, fault: WalkFault::Truncated, at: 0 };
        match walk.document(self.depth_max, visitor) {
            Ok(()) => Ok(()),
            Err(Stopped) => Err(WalkError { fault: walk.fault, offset: walk.at }),
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

/// One walk. Positions travel as arguments and results, to stay in registers.
struct Walk<'a> {
    raw: &'a [u8],
    stops: &'a Stops,
    scratch: &'a mut Vec<u8>,
    /// Why and where the walk stopped, once it did.
    fault: WalkFault,
    at: usize,
}

/// The walk stopped, `fault` and `at` say why: an error of no size keeps results in registers.
struct Stopped;

impl Walk<'_> {
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
            b'"' => {
                let end = self.stops.next(at + 1);
                let (text, at) = self.text(at, end)?;
                visitor.string(text);
                Ok(at)
            }
            b'-' | b'0'..=b'9' => match number::number(self.raw, at, V::READS_NUMBERS) {
                Some((number, at)) => {
                    visitor.number(number);
                    Ok(at)
                }
                None => self.stop(WalkFault::Number, at),
            },
            b'{' => self.object(at, depth, visitor),
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
            _ => self.stop(WalkFault::Unexpected, at),
        }
    }

    #[inline(always)]
    fn word<const N: usize>(&mut self, at: usize, word: &[u8; N]) -> Result<usize, Stopped> {
        match self.raw.get(at..).and_then(<[u8]>::first_chunk::<N>) {
            Some(found) if found == word => Ok(at + N),
            Some(_) | None => self.stop(WalkFault::Unexpected, at),
        }
    }

    fn object<V: Visit>(
        &mut self,
        at: usize,
        depth: usize,
        visitor: &mut V,
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
            let end = self.stops.next(at + 1);
            if self.has(end, b"\":\"") {
                // The usual member has a plain key, a string for a value, and no blanks.
                visitor.key(self.plain_text(at, end));
                at = end + 2;
                let end = self.stops.next(at + 1);
                if self.has(end, b"\",\"") {
                    visitor.string(self.plain_text(at, end));
                    at = end + 2;
                    continue;
                }
                let (text, behind) = self.text(at, end)?;
                visitor.string(text);
                at = behind;
            } else {
                let (key, behind) = self.text(at, end)?;
                visitor.key(key);
                at = self.blanks_end(behind);
                if self.byte(at) != b':' {
                    return self.stop(WalkFault::Unexpected, at);
                }
                at = self.blanks_end(at + 1);
                at = self.value(at, depth - 1, visitor)?;
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

    /// Whether the three bytes at `at`, and one behind them, are there and are these.
    #[inline(always)]
    fn has(&self, at: usize, bytes: &[u8; 3]) -> bool {
        let [a, b, c] = *bytes;
        let found = self.raw.get(at..).and_then(<[u8]>::first_chunk);
        // One comparison of a word instead of two of its parts.
        found.is_some_and(|found| {
            u32::from_be_bytes(*found) >> 8 == u32::from_be_bytes([0, a, b, c])
        })
    }

    /// The text between two quotes, which has no escapes.
    #[inline(always)]
    fn plain_text(&self, start: usize, end: usize) -> Text<'_> {
        let quoted = self.raw.get(start..).unwrap_or_default();
        Text { quoted, length: end - start - 1 }
    }

    /// The text whose opening quote is at `start` and whose first stop is at `end`, and where the
    /// byte behind its closing quote is.
    #[inline(always)]
    fn text(&mut self, start: usize, end: usize) -> Result<(Text<'_>, usize), Stopped> {
        if self.byte(end) == b'"' {
            return Ok((self.plain_text(start, end), end + 1));
        }
        self.unusual_text(start, end)
    }

    /// Text that is not ASCII, has escapes, or is wrong; the first such byte is at `at`.
    #[inline(never)]
    fn unusual_text(&mut self, start: usize, at: usize) -> Result<(Text<'_>, usize), Stopped> {
        let end = self.run_end(at);
        match self.byte(end) {
            b'"' => self.utf8(at, end)?,
            b'\\' => return self.escaped_text(start, end, at < end),
            _ => return self.stop(WalkFault::Control, end),
        }
        Ok((self.plain_text(start, end), end + 1))
    }

    /// The first byte from the stop `at` on that is no letter of a string.
    #[inline(always)]
    fn run_end(&self, mut at: usize) -> usize {
        while !self.byte(at).is_ascii() {
            at += 1;
            if self.byte(at).is_ascii() {
                at = self.stops.next(at);
            }
        }
        at
    }

    fn utf8(&mut self, start: usize, end: usize) -> Result<(), Stopped> {
        match std::str::from_utf8(&self.raw[start..end]) {
            Ok(_) => Ok(()),
            Err(error) => self.stop(WalkFault::Utf8, start + error.valid_up_to()),
        }
    }

    /// Text whose opening quote is at `start` and whose first backslash is at `at`; `wide` if there
    /// are letters before it that are not ASCII.
    fn escaped_text(
        &mut self,
        start: usize,
        mut at: usize,
        mut wide: bool,
    ) -> Result<(Text<'_>, usize), Stopped> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.raw[start..at]);
        while self.byte(at) == b'\\' {
            let mut from = at + 1;
            let plain = unescape::plain(self.byte(from));
            if plain.is_none() {
                match unescape::unicode(&self.raw[at..], self.scratch) {
                    Some(length) => from = at + length,
                    None => return self.stop(WalkFault::Escape, at),
                }
            }
            let stop = self.stops.next(from + usize::from(plain.is_some()));
            let end = self.run_end(stop);
            wide |= stop < end;
            self.append(from, end, plain);
            at = end;
        }
        if self.byte(at) != b'"' {
            return self.stop(WalkFault::Control, at);
        }
        // Escapes are ASCII, and what they stand for is whole letters: the raw text is UTF-8
        // exactly if the unescaped one is.
        if wide {
            self.utf8(start, at)?;
        }
        Ok((Text { quoted: self.scratch, length: self.scratch.len() - 1 }, at + 1))
    }

    /// Appends raw text to the unescaped one, with `first` as its first byte. Such runs are short.
    #[inline(always)]
    fn append(&mut self, start: usize, end: usize, first: Option<u8>) {
        const SHORT: usize = 32;
        let rest = self.raw.get(start..).unwrap_or_default();
        let length = end - start;
        if let (Some(block), Some(first), 1..=SHORT) = (rest.first_chunk::<SHORT>(), first, length)
        {
            let from = self.scratch.len();
            self.scratch.extend_from_slice(block);
            self.scratch[from] = first;
            self.scratch.truncate(from + length);
            return;
        }
        let from = self.scratch.len();
        self.scratch.extend_from_slice(&self.raw[start..end]);
        if let (Some(first), Some(byte)) = (first, self.scratch.get_mut(from)) {
            *byte = first;
        }
    }
}
