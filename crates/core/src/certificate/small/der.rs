//! As much of DER as certificates and keys are made of. Reads slices, strictly; never recurses.

use crate::time::Utc;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The rest of some contents.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// The tag of the next value.
    pub(super) fn tag(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value: its tag and its contents. Tags of one byte, and lengths in their shortest
    /// form of up to 3 bytes.
    pub(super) fn value(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let many = tag & 0x1f == 0x1f;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
                let shortest = 0x80 <= length && digits.first() != Some(&0);
                (shortest.then_some(length)?, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (!many).then_some((tag, contents))
    }

    /// The contents of the next value, which has to have this tag.
    pub(super) fn take(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, contents) = self.value()?;
        (tag == wanted).then_some(contents)
    }

    /// The next value's contents, to be read in turn.
    pub(super) fn enter(&mut self, wanted: u8) -> Option<Self> {
        self.take(wanted).map(Self)
    }

    /// An integer that is not negative: its bytes, the first of them not zero (none for 0).
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [0, rest @ ..] if rest.first().is_none_or(|first| 0x80 <= *first) => Some(rest),
            all @ [1..=0x7f, ..] => Some(all),
            _ => None,
        }
    }

    /// A moment, in either of its two forms: RFC 5280 has them in UTC, to the second.
    pub(super) fn time(&mut self) -> Option<Utc> {
        let (tag, digits) = self.value()?;
        let (century, digits) = match (tag, digits) {
            (UTC_TIME, [tens, ..]) => (if *tens < b'5' { *b"20" } else { *b"19" }, digits),
            (GENERALIZED_TIME, [a, b, rest @ ..]) => ([*a, *b], rest),
            _ => return None,
        };
        let digits: &[u8; 12] = digits.strip_suffix(b"Z")?.try_into().ok()?;
        let mut text = *b"0000-00-00T00:00:00";
        text[..2].copy_from_slice(&century);
        for (at, pair) in [2, 5, 8, 11, 14, 17].into_iter().zip(digits.chunks(2)) {
            text[at..at + 2].copy_from_slice(pair);
        }
        Utc::parse(std::str::from_utf8(&text).ok()?)
    }

    /// Whether all has been read.
    pub(super) fn is_end(self) -> bool {
        self.0.is_empty()
    }
}
