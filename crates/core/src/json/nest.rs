//! Finds where a bracketed value ends, 64 bytes at a time, across any cut.
//!
//! Knows brackets, strings and escapes. Must not judge: `[` may be closed by `}`, the walker
//! complains later.

use super::simd::{self, BRACKET_STEP};

/// The state between two pieces of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nest {
    depth: u64,
    in_string: bool,
    /// The next byte is escaped by a backslash before it.
    escaped: bool,
}

impl Nest {
    /// Before the opening bracket of a value.
    pub(super) const OUTSIDE: Self = Self { depth: 0, in_string: false, escaped: false };

    /// Behind the opening bracket of a value, outside strings.
    pub(super) const INSIDE: Self = Self { depth: 1, in_string: false, escaped: false };

    /// Scans on. `Some(length)` once the bracket that ends the value is the last of `length`
    /// bytes; `None` when all bytes belong to the value and it goes on.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let (blocks, rest) = bytes.as_chunks::<BRACKET_STEP>();
        for (index, block) in blocks.iter().enumerate() {
            if let Some(length) = self.step(block, BRACKET_STEP) {
                return Some(index * BRACKET_STEP + length);
            }
        }
        if rest.is_empty() {
            return None;
        }
        // Spaces are inert, inside strings and outside.
        let mut block = [b' '; BRACKET_STEP];
        block[..rest.len()].copy_from_slice(rest);
        let length = self.step(&block, rest.len())?;
        Some(blocks.len() * BRACKET_STEP + length)
    }

    /// One block, of which the first `length` bytes count.
    #[inline(always)]
    fn step(&mut self, block: &[u8; BRACKET_STEP], length: usize) -> Option<usize> {
        let masks = simd::brackets(block);
        let mut quote = masks.quote;
        if masks.backslash != 0 || self.escaped {
            let (escaped, over) = escapes(masks.backslash, self.escaped);
            quote &= !escaped;
            self.escaped = if length < BRACKET_STEP { escaped >> length & 1 == 1 } else { over };
        }
        let mut in_string = 0_u64.wrapping_sub(u64::from(self.in_string));
        if quote != 0 {
            in_string ^= prefix_xor(quote);
            self.in_string = in_string >> 63 == 1;
        }
        let open = masks.open & !in_string;
        let close = masks.close & !in_string;
        if close == 0 {
            self.depth += u64::from(open.count_ones());
            return None;
        }
        self.count(open, close)
    }

    /// Walks the brackets of a block in which the value may end.
    fn count(&mut self, open: u64, close: u64) -> Option<usize> {
        let mut brackets = open | close;
        while brackets != 0 {
            let at = brackets.trailing_zeros() as usize;
            if open >> at & 1 == 1 {
                self.depth += 1;
            } else {
                self.depth -= 1;
                if self.depth == 0 {
                    return Some(at + 1);
                }
            }
            brackets &= brackets - 1;
        }
        None
    }
}

/// The bytes behind an odd run of backslashes, and whether the first byte of the next block is one.
fn escapes(backslash: u64, carried: bool) -> (u64, bool) {
    let mut escaped = u64::from(carried);
    let mut pending = backslash & !escaped;
    let mut over = false;
    while pending != 0 {
        let bit = pending & pending.wrapping_neg();
        escaped |= bit << 1;
        over = bit >> 63 == 1;
        pending &= !(bit | bit << 1);
    }
    (escaped, over)
}

/// Bit `i` becomes the parity of bits `0..=i`: from an opening quote up to before its closing one.
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans `value` with `tail` behind it, in pieces of `step` bytes; the length found.
    #[track_caller]
    fn check(value: &[u8], tail: &[u8], step: usize) {
        let bytes = [value, tail].concat();
        let mut nest = Nest::OUTSIDE;
        let mut before = 0;
        for piece in bytes.chunks(step) {
            if let Some(length) = nest.scan(piece) {
                assert_eq!(before + length, value.len(), "{} by {step}", value.escape_ascii());
                return;
            }
            before += piece.len();
        }
        panic!("no end found: {} by {step}", value.escape_ascii());
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        for step in [1, 2, 3, 7, 63, 64, 65, 1000] {
            check(br#"{"a":"}]","b":["{",{}]}"#, br#",{"c":1}]"#, step);
            check(br#"{"a\"}":"\\"}"#, b"}", step);
            check(br#"[[[]],{"\\\"]":[]}]"#, b"]]", step);
        }
    }

    #[test]
    fn runs_of_backslashes_across_block_borders_keep_their_parity() {
        for pad in 0..130 {
            for run in [0, 2, 4, 62, 64, 66, 128, 130] {
                let pad = "x".repeat(pad);
                let even = format!("{{\"{pad}{}\"}}", "\\".repeat(run));
                let odd = format!("{{\"{pad}{}\"}}\"}}", "\\".repeat(run + 1));
                for step in [1, 5, 64, 4096] {
                    check(even.as_bytes(), b"\"}]", step);
                    check(odd.as_bytes(), b"}]", step);
                }
            }
        }
    }

    #[test]
    fn quotes_at_block_borders_open_and_close() {
        for pad in 50..140 {
            let value = format!("{{{}\"}}\"{}}}", " ".repeat(pad), " ".repeat(pad));
            for step in [1, 64, 4096] {
                check(value.as_bytes(), b",{}]", step);
            }
        }
    }

    #[test]
    fn depth_has_no_limit_of_its_own() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        check(deep.as_bytes(), b"]", 4096);
    }
}
