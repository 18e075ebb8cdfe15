//! Byte classes as bit masks: the only code here that looks at many bytes at once.
//!
//! SSE2, NEON and wasm `simd128` come from the `wide` crate, chosen when compiling; everything
//! else takes eight bytes at a time in a `u64`. Must not know JSON beyond single bytes: no state,
//! no positions, no lengths.

/// Bytes that one step looks at: most strings of a record fit in.
pub(super) const STEP: usize = 64;

/// Where the bytes that decide about nesting are: bit `i` stands for byte `i` of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Brackets {
    /// `"`
    pub quote: u64,
    /// `\`
    pub backslash: u64,
    /// `{` and `[`
    pub open: u64,
    /// `}` and `]`
    pub close: u64,
}

/// Bytes at which a string may not just be copied on: `"`, `\` and controls.
#[inline(always)]
pub(super) fn string_stops(block: &[u8; STEP]) -> u64 {
    lanes::string_stops(block)
}

/// `"` and `\`: all that matters where a string is only skipped.
#[inline(always)]
pub(super) fn quotes(block: &[u8; STEP]) -> u64 {
    lanes::quotes(block)
}

/// The masks of one block.
#[inline(always)]
pub(super) fn brackets(block: &[u8; STEP]) -> Brackets {
    lanes::brackets(block)
}

#[cfg(any(
    target_feature = "sse2",
    target_feature = "simd128",
    all(target_arch = "aarch64", target_feature = "neon")
))]
use vector as lanes;

#[cfg(not(any(
    target_feature = "sse2",
    target_feature = "simd128",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
use swar as lanes;

/// Sixteen bytes at a time.
#[cfg(any(
    target_feature = "sse2",
    target_feature = "simd128",
    all(target_arch = "aarch64", target_feature = "neon")
))]
mod vector {
    use super::{Brackets, STEP};
    use wide::u8x16;

    #[inline(always)]
    fn eq(lanes: u8x16, byte: u8) -> u8x16 {
        lanes.simd_eq(u8x16::splat(byte))
    }

    /// Gathers the high bits that `class` leaves in each byte.
    #[inline(always)]
    fn mask(block: &[u8; STEP], class: impl Fn(u8x16) -> u8x16) -> u64 {
        let (quarters, _) = block.as_chunks::<16>();
        let bits = |at: usize| u64::from(class(u8x16::new(quarters[at])).to_bitmask());
        (bits(0) | bits(1) << 16) | (bits(2) << 32 | bits(3) << 48)
    }

    #[inline(always)]
    pub(super) fn string_stops(block: &[u8; STEP]) -> u64 {
        mask(block, |lanes| {
            // With that bit turned, the quote stands directly behind the controls.
            const TURN: u8 = b'"' ^ b' ';
            let turned = lanes ^ u8x16::splat(TURN);
            turned.min(u8x16::splat(b' ')).simd_eq(turned) | eq(turned, b'\\' ^ TURN)
        })
    }

    #[inline(always)]
    pub(super) fn quotes(block: &[u8; STEP]) -> u64 {
        mask(block, |lanes| eq(lanes, b'"') | eq(lanes, b'\\'))
    }

    #[inline(always)]
    pub(super) fn brackets(block: &[u8; STEP]) -> Brackets {
        // Square and curly brackets differ in one bit, and no other byte is like them but for it.
        let folded = |lanes| lanes | u8x16::splat(0x20);
        Brackets {
            quote: mask(block, |lanes| eq(lanes, b'"')),
            backslash: mask(block, |lanes| eq(lanes, b'\\')),
            open: mask(block, |lanes| eq(folded(lanes), b'{')),
            close: mask(block, |lanes| eq(folded(lanes), b'}')),
        }
    }
}

/// Eight bytes at a time, for targets without vectors, and to check the vectors against.
#[cfg(any(
    test,
    not(any(
        target_feature = "sse2",
        target_feature = "simd128",
        all(target_arch = "aarch64", target_feature = "neon")
    ))
))]
mod swar {
    use super::{Brackets, STEP};

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    /// The high bit of each byte that equals `byte`; exact, no borrow from a neighbour.
    #[inline(always)]
    fn eq(word: u64, byte: u8) -> u64 {
        let differs = word ^ (ONES * u64::from(byte));
        !(((differs & !HIGHS) + !HIGHS) | differs) & HIGHS
    }

    /// The high bit of each ASCII byte below the space.
    #[inline(always)]
    fn control(word: u64) -> u64 {
        // 0x60 carries into the high bit from 0x20 on.
        !(((word & !HIGHS) + ONES * 0x60) | word) & HIGHS
    }

    /// Gathers the high bits of the eight bytes into one.
    #[inline(always)]
    fn gather(highs: u64) -> u64 {
        (highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }

    #[inline(always)]
    fn mask(block: &[u8; STEP], class: impl Fn(u64) -> u64) -> u64 {
        let (words, _) = block.as_chunks::<8>();
        words.iter().enumerate().fold(0, |mask, (index, word)| {
            mask | gather(class(u64::from_le_bytes(*word))) << (index * 8)
        })
    }

    #[inline(always)]
    pub(super) fn string_stops(block: &[u8; STEP]) -> u64 {
        mask(block, |word| eq(word, b'"') | eq(word, b'\\') | control(word))
    }

    #[inline(always)]
    pub(super) fn quotes(block: &[u8; STEP]) -> u64 {
        mask(block, |word| eq(word, b'"') | eq(word, b'\\'))
    }

    #[inline(always)]
    pub(super) fn brackets(block: &[u8; STEP]) -> Brackets {
        let folded = ONES * 0x20;
        Brackets {
            quote: mask(block, |word| eq(word, b'"')),
            backslash: mask(block, |word| eq(word, b'\\')),
            open: mask(block, |word| eq(word | folded, b'{')),
            close: mask(block, |word| eq(word | folded, b'}')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(block: &[u8], class: impl Fn(u8) -> bool) -> u64 {
        let bits = block.iter().enumerate();
        bits.fold(0, |mask, (index, byte)| mask | u64::from(class(*byte)) << index)
    }

    fn check(block: [u8; STEP]) {
        let stops = mask(&block, |byte| byte < 0x20 || b"\"\\".contains(&byte));
        let quotes = mask(&block, |byte| b"\"\\".contains(&byte));
        let brackets = Brackets {
            quote: mask(&block, |byte| byte == b'"'),
            backslash: mask(&block, |byte| byte == b'\\'),
            open: mask(&block, |byte| b"{[".contains(&byte)),
            close: mask(&block, |byte| b"}]".contains(&byte)),
        };
        assert_eq!([lanes::string_stops(&block), swar::string_stops(&block)], [stops; 2]);
        assert_eq!([lanes::quotes(&block), swar::quotes(&block)], [quotes; 2]);
        assert_eq!([lanes::brackets(&block), swar::brackets(&block)], [brackets; 2]);
    }

    #[test]
    fn every_byte_value_is_classified_in_every_lane() {
        for byte in 0..=u8::MAX {
            for lane in 0..64 {
                let mut block = [b'a'; 64];
                block[lane] = byte;
                check(block);
            }
        }
    }

    proptest! {
        #[test]
        fn vectors_and_words_agree_with_bytes(block: [[u8; 32]; 2]) {
            check(*block.as_flattened().first_chunk().unwrap());
        }
    }
}
