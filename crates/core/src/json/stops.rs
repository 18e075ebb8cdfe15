//! Where a string cannot just run on, of a whole text.

use super::simd::{self, STEP};

/// Blocks that are marked in one go: far enough ahead that the walk seldom waits for vectors, and
/// so few that what is marked is still near when the walk comes to it.
const BLOCKS: usize = 64;

/// Bytes that the bits of one block take.
const MASK: usize = STEP / 8;

/// Where in a text the bytes are at which a string cannot just run on: one bit a byte.
///
/// Made ahead of the walk, some blocks at a time, so that each byte is classified once.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// At the end of the text some more than it has, for [`next`](Self::next) to look ahead.
    bits: Vec<u8>,
}

impl Stops {
    /// Begins anew, with another text.
    pub(super) fn forget(&mut self) {
        self.bits.clear();
    }

    /// The first stop of `text` from `at` on. The end of it is a stop, too.
    #[inline(always)]
    pub(super) fn next(&mut self, text: &[u8], at: usize) -> usize {
        match self.near(at) {
            Some(distance) => at + distance,
            None => self.next_far(text, at),
        }
    }

    /// How far behind `at` the first stop is, if it is near and marked.
    #[inline(always)]
    pub(super) fn near(&self, at: usize) -> Option<usize> {
        let byte = at / 8;
        let window = self.bits.get(byte..byte + 8)?.first_chunk()?;
        // One load from wherever it is: of the 64 bits there, most are ahead.
        let window = u64::from_le_bytes(*window) >> (at % 8);
        (window != 0).then(|| window.trailing_zeros() as usize)
    }

    /// [`next`](Self::next) for stops beyond the window, or beyond what is marked.
    #[inline(never)]
    fn next_far(&mut self, text: &[u8], at: usize) -> usize {
        let mut index = at / STEP;
        let mut ahead = u64::MAX << (at % STEP);
        loop {
            while self.bits.len() < (index + 1) * MASK {
                if !self.mark_more(text) {
                    return at.max(text.len());
                }
            }
            let stops = self.bits[index * MASK..]
                .first_chunk()
                .map_or(0, |mask| u64::from_le_bytes(*mask) & ahead);
            if stops != 0 {
                return index * STEP + stops.trailing_zeros() as usize;
            }
            (index, ahead) = (index + 1, u64::MAX);
        }
    }

    /// Marks what comes next; whether there was anything.
    fn mark_more(&mut self, text: &[u8]) -> bool {
        let (blocks, rest) = text.as_chunks::<STEP>();
        let Some(ahead) = blocks.get(self.bits.len() / MASK..) else { return false };
        let ahead = ahead.get(..BLOCKS).unwrap_or(ahead);
        let mut masks = [0; BLOCKS * MASK];
        for (mask, block) in masks.as_chunks_mut::<MASK>().0.iter_mut().zip(ahead) {
            *mask = simd::string_stops(block).to_le_bytes();
        }
        self.bits.extend_from_slice(&masks[..ahead.len() * MASK]);
        if self.bits.len() / MASK == blocks.len() {
            self.bits.extend_from_slice(&last_stops(rest).to_le_bytes());
            self.bits.extend_from_slice(&[u8::MAX; MASK]);
        }
        true
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
