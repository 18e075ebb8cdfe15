//! Where a string cannot just run on, of a whole text.

use super::simd::{self, STEP};

/// Where in a text the bytes are at which a string cannot just run on: one bit a byte.
///
/// Made in one go before the walk, so that each byte is classified once and the walk never waits
/// for vectors.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// One more word than the text has, for [`next`](Self::next) to look ahead.
    words: Vec<u64>,
}

impl Stops {
    /// Begins anew with `raw`. The end of it is a stop, too.
    pub(super) fn mark(&mut self, raw: &[u8]) {
        let (blocks, rest) = raw.as_chunks::<STEP>();
        self.words.clear();
        self.words.extend(blocks.iter().map(simd::string_stops));
        self.words.extend_from_slice(&[last_stops(rest), u64::MAX]);
    }

    /// The first stop from `at` on.
    #[inline(always)]
    pub(super) fn next(&self, at: usize) -> usize {
        let shift = at % STEP;
        if let Some([low, high]) = self.words.get(at / STEP..).and_then(<[u64]>::first_chunk) {
            // Twice, because a shift by 64 is none.
            let window = low >> shift | high << 1 << (STEP - 1 - shift);
            if window != 0 {
                return at + window.trailing_zeros() as usize;
            }
        }
        self.next_far(at)
    }

    /// [`next`](Self::next) for stops beyond the window.
    #[inline(never)]
    fn next_far(&self, at: usize) -> usize {
        let mut word = at / STEP + 1;
        while let Some(bits) = self.words.get(word) {
            if *bits != 0 {
                return word * STEP + bits.trailing_zeros() as usize;
            }
            word += 1;
        }
        at
    }
}

/// The stops of a block that is not whole. On its own, because inlined the compiler takes its mask
/// apart, bit by bit, and puts it together again.
#[inline(never)]
fn last_stops(rest: &[u8]) -> u64 {
    let mut block = [0; STEP];
    block[..rest.len()].copy_from_slice(rest);
    simd::string_stops(&block)
}
