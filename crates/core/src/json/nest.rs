//! Finds where a bracketed value ends, 64 bytes at a time, across any cut.
//!
//! Knows brackets, strings and escapes. Must not judge: `[` may be closed by `}`, the walker
//! complains later.

use super::simd::{self, Brackets, STEP};

/// The state between two pieces of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nest {
    depth: u64,
    in_string: bool,
    /// The next byte is escaped by a backslash before it.
    escaped: bool,
}

/// The length of the object or list that `bytes` begins with; `None` if it does not end there.
pub(crate) fn container_end(bytes: &[u8]) -> Option<usize> {
    let mut nest = Nest::OUTSIDE;
    nest.scan(bytes)
}

impl Nest {
    /// Before the opening bracket of a value.
    pub(super) const OUTSIDE: Self = Self { depth: 0, in_string: false, escaped: false };

    /// Scans on. `Some(length)` once the bracket that ends the value is the last of `length`
    /// bytes; `None` when all bytes belong to the value and it goes on.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        self.scan_with(bytes, |_, _| {})
    }

    /// As [`scan`](Self::scan), and shows the strings that begin directly inside the outermost
    /// brackets: block by block, with the offset of the block.
    #[inline(always)]
    pub(super) fn scan_with(
        &mut self,
        bytes: &[u8],
        mut show: impl FnMut(usize, Strings),
    ) -> Option<usize> {
        let (blocks, rest) = bytes.as_chunks::<STEP>();
        for index in 0..=blocks.len() {
            let (masks, length) = match blocks.get(index) {
                Some(block) => (simd::brackets(block), STEP),
                None => (last_brackets(rest), rest.len()),
            };
            let step = self.step(&masks, length);
            show(index * STEP, step.strings);
            if let Some(length) = step.end {
                return Some(index * STEP + length);
            }
        }
        None
    }

    /// One block, of which the first `length` bytes count.
    #[inline(always)]
    fn step(&mut self, masks: &Brackets, length: usize) -> Step {
        let mut quote = masks.quote;
        if masks.backslash != 0 || self.escaped {
            let (escaped, over) = escapes(masks.backslash, self.escaped);
            quote &= !escaped;
            self.escaped = if length < STEP { escaped >> length & 1 == 1 } else { over };
        }
        let in_string = prefix_xor(quote) ^ 0_u64.wrapping_sub(u64::from(self.in_string));
        self.in_string = in_string >> 63 == 1;
        let (open, close) = (masks.open & !in_string, masks.close & !in_string);
        let mut top = if self.depth == 1 { u64::MAX } else { 0 };
        let mut end = None;
        if open | close != 0 {
            (top, end) = self.count(open, close);
        }
        let strings = Strings { begin: quote & in_string & top, end: quote & !in_string };
        Step { strings, end }
    }

    /// Walks the brackets of a block: which of its bytes lie directly inside the outermost
    /// brackets, and the length up to the end of the value, if it ends.
    #[inline(always)]
    fn count(&mut self, open: u64, close: u64) -> (u64, Option<usize>) {
        let mut brackets = open | close;
        let mut top = 0;
        // What is left of the block behind the brackets so far.
        let mut behind = u64::MAX;
        while brackets != 0 {
            let bit = brackets & brackets.wrapping_neg();
            if self.depth == 1 {
                top |= behind & (bit - 1);
            }
            behind = !(bit | (bit - 1));
            brackets ^= bit;
            if open & bit != 0 {
                self.depth += 1;
            } else {
                self.depth -= 1;
                if self.depth == 0 {
                    return (top, Some(bit.trailing_zeros() as usize + 1));
                }
            }
        }
        if self.depth == 1 {
            top |= behind;
        }
        (top, None)
    }
}

/// Where the strings of a block begin and end: bit `i` stands for byte `i`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strings {
    /// Opening quotes of strings directly inside the outermost brackets.
    pub begin: u64,
    /// Closing quotes of all strings.
    pub end: u64,
}

/// What one block told.
struct Step {
    strings: Strings,
    /// The length of the value's part of the block, if it ends there.
    end: Option<usize>,
}

/// The masks of a block that is not whole. On its own, because inlined the compiler takes the masks
/// apart, bit by bit, and puts them together again.
#[inline(never)]
fn last_brackets(rest: &[u8]) -> Brackets {
    // Spaces are inert, inside strings and outside.
    let mut block = [b' '; STEP];
    block[..rest.len()].copy_from_slice(rest);
    simd::brackets(&block)
}

/// The bytes behind an odd run of backslashes, and whether the first byte of the next block is one.
///
/// Within a run, every second backslash escapes the byte behind it. Taking the backslashes from
/// their successors, with all odd places set, borrows through each run to its end: what differs
/// from the odd places afterwards is every backslash that escapes, and the byte behind an odd run.
fn escapes(backslash: u64, carried: bool) -> (u64, bool) {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let carried = u64::from(carried);
    let free = backslash & !carried;
    let marked = (free << 1 | ODD).wrapping_sub(free) ^ ODD;
    (marked ^ (backslash | carried), (marked & backslash) >> 63 == 1)
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
