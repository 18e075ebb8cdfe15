//! Byte classes as bit masks: the only code here that looks at many bytes at once.
//!
//! SSE2, NEON and wasm `simd128` come from the `wide` crate, chosen when compiling; everything
//! else takes eight bytes at a time in a `u64`. Must not know JSON beyond single bytes: no state,
//! no positions, no lengths.

/// Bytes that one step over strings looks at: the names and short values of records fit in.
pub(super) const STRING_STEP: usize = 32;

/// Bytes that one step over brackets looks at.
pub(super) const BRACKET_STEP: usize = 64;

/// Where the bytes that decide about nesting are: bit `i` stands for byte `i` of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Brackets {
    /// `"`
    pub(super) quote: u64,
    /// `\`
    pub(super) backslash: u64,
    /// `{` and `[`
    pub(super) open: u64,
    /// `}` and `]`
    pub(super) close: u64,
}

/// Bytes at which a string may not just be copied on: `"`, `\`, controls and non-ASCII.
#[inline(always)]
pub(super) fn string_stops(block: &[u8; STRING_STEP]) -> u32 {
    lanes::string_stops(block)
}

/// As [`string_stops`], but UTF-8 runs through: `"`, `\` and controls.
#[inline(always)]
pub(super) fn string_ends(block: &[u8; STRING_STEP]) -> u32 {
    lanes::string_ends(block)
}

/// `"` and `\`: all that matters where a string is only skipped.
#[inline(always)]
pub(super) fn quotes(block: &[u8; STRING_STEP]) -> u32 {
    lanes::quotes(block)
}

/// The masks of one block.
#[inline(always)]
pub(super) fn brackets(block: &[u8; BRACKET_STEP]) -> Brackets {
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
    use super::{BRACKET_STEP, Brackets, STRING_STEP};
    use wide::{i8x16, u8x16};

    #[inline(always)]
    fn eq(lanes: u8x16, byte: u8) -> u8x16 {
        lanes.simd_eq(u8x16::splat(byte))
    }

    #[inline(always)]
    fn halves(block: &[u8; STRING_STEP], class: impl Fn(u8x16) -> u32) -> u32 {
        let (halves, _) = block.as_chunks::<16>();
        class(u8x16::new(halves[0])) | class(u8x16::new(halves[1])) << 16
    }

    #[inline(always)]
    pub(super) fn string_stops(block: &[u8; STRING_STEP]) -> u32 {
        halves(block, |lanes| {
            // Signed, so that non-ASCII bytes count as below the space, too.
            let signed: i8x16 = lanes.cast_signed();
            let below = signed.simd_lt(i8x16::splat(b' '.cast_signed())).cast_unsigned();
            (eq(lanes, b'"') | eq(lanes, b'\\') | below).to_bitmask()
        })
    }

    #[inline(always)]
    pub(super) fn string_ends(block: &[u8; STRING_STEP]) -> u32 {
        halves(block, |lanes| {
            let control = lanes.min(u8x16::splat(b' ' - 1)).simd_eq(lanes);
            (eq(lanes, b'"') | eq(lanes, b'\\') | control).to_bitmask()
        })
    }

    #[inline(always)]
    pub(super) fn quotes(block: &[u8; STRING_STEP]) -> u32 {
        halves(block, |lanes| (eq(lanes, b'"') | eq(lanes, b'\\')).to_bitmask())
    }

    #[inline(always)]
    pub(super) fn brackets(block: &[u8; BRACKET_STEP]) -> Brackets {
        let (quarters, _) = block.as_chunks::<16>();
        let mut masks = Brackets { quote: 0, backslash: 0, open: 0, close: 0 };
        for (index, quarter) in quarters.iter().enumerate() {
            let lanes = u8x16::new(*quarter);
            // Square and curly brackets differ in one bit, and in no other pair of bytes.
            let folded = lanes | u8x16::splat(0x20);
            let shift = index * 16;
            masks.quote |= u64::from(eq(lanes, b'"').to_bitmask()) << shift;
            masks.backslash |= u64::from(eq(lanes, b'\\').to_bitmask()) << shift;
            masks.open |= u64::from(eq(folded, b'{').to_bitmask()) << shift;
            masks.close |= u64::from(eq(folded, b'}').to_bitmask()) << shift;
        }
        masks
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
    use super::{BRACKET_STEP, Brackets, STRING_STEP};

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
    fn words<const N: usize>(block: &[u8; N], class: impl Fn(u64) -> u64) -> u64 {
        let (words, _) = block.as_chunks::<8>();
        words.iter().enumerate().fold(0, |mask, (index, word)| {
            mask | gather(class(u64::from_le_bytes(*word))) << (index * 8)
        })
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "32 bytes make 32 bits")]
    fn half(mask: u64) -> u32 {
        mask as u32
    }

    #[inline(always)]
    pub(super) fn string_stops(block: &[u8; STRING_STEP]) -> u32 {
        half(words(block, |word| eq(word, b'"') | eq(word, b'\\') | control(word) | word & HIGHS))
    }

    #[inline(always)]
    pub(super) fn string_ends(block: &[u8; STRING_STEP]) -> u32 {
        half(words(block, |word| eq(word, b'"') | eq(word, b'\\') | control(word)))
    }

    #[inline(always)]
    pub(super) fn quotes(block: &[u8; STRING_STEP]) -> u32 {
        half(words(block, |word| eq(word, b'"') | eq(word, b'\\')))
    }

    #[inline(always)]
    pub(super) fn brackets(block: &[u8; BRACKET_STEP]) -> Brackets {
        let folded = ONES * 0x20;
        Brackets {
            quote: words(block, |word| eq(word, b'"')),
            backslash: words(block, |word| eq(word, b'\\')),
            open: words(block, |word| eq(word | folded, b'{')),
            close: words(block, |word| eq(word | folded, b'}')),
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

    fn check(block: [u8; 64]) {
        let first: &[u8; 32] = block.first_chunk().unwrap();
        let stops = mask(first, |byte| !(0x20..0x80).contains(&byte) || b"\"\\".contains(&byte));
        let ends = mask(first, |byte| byte < 0x20 || b"\"\\".contains(&byte));
        let quotes = mask(first, |byte| b"\"\\".contains(&byte));
        let brackets = Brackets {
            quote: mask(&block, |byte| byte == b'"'),
            backslash: mask(&block, |byte| byte == b'\\'),
            open: mask(&block, |byte| b"{[".contains(&byte)),
            close: mask(&block, |byte| b"}]".contains(&byte)),
        };
        assert_eq!(u64::from(lanes::string_stops(first)), stops);
        assert_eq!(u64::from(swar::string_stops(first)), stops);
        assert_eq!(u64::from(lanes::string_ends(first)), ends);
        assert_eq!(u64::from(swar::string_ends(first)), ends);
        assert_eq!(u64::from(lanes::quotes(first)), quotes);
        assert_eq!(u64::from(swar::quotes(first)), quotes);
        assert_eq!(lanes::brackets(&block), brackets);
        assert_eq!(swar::brackets(&block), brackets);
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
