//! What a walk over a JSON text tells, and to whom. Must not know how it is found out.

use super::number::Number;

/// What is told about a JSON text, in the order in which it stands there.
pub trait Visit {
    /// What the visitor wants back when a container ends.
    type Mark;
    /// Whether it looks at numbers. If not, fractions are told as literals.
    const READS_NUMBERS: bool = true;

    /// A text begins. What was told of one before it that has not come to its end does not count.
    fn begin(&mut self) {}
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

/// Text of a string or key: unescaped, and UTF-8 if the walk comes to a good end. A surrogate
/// escape without its partner keeps its six literal characters.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// The text, a quote before it, and whatever stands behind it in the buffer.
    quoted: &'a [u8],
    length: usize,
}

impl<'a> Text<'a> {
    /// The text of `length` bytes behind the quote that `quoted` begins with.
    #[inline(always)]
    pub(super) fn behind(quoted: &'a [u8], length: usize) -> Self {
        Self { quoted, length }
    }

    /// The text's bytes.
    #[inline(always)]
    pub fn as_bytes(self) -> &'a [u8] {
        &self.quoted[1..][..self.length]
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
