//! Makes an event some bytes longer without changing it: msgpack lets the length of a short text be
//! written in more bytes than it needs, and every reader accepts that.

use std::ops::Range;

/// Bytes that one short text can be longer: its length in four bytes behind a mark, instead of one
/// byte for both.
const PER_TEXT: usize = 4;

/// Positions of the short texts (31 bytes and less) that stand directly in the metadata and the
/// body of the first event, names among them. Empty if that is not an event as the SDK writes it.
pub(crate) fn short_texts(events: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut reader = Reader { bytes: events, at: 0 };
    match reader.event(&mut found) {
        Some(()) => found,
        None => Vec::new(),
    }
}

/// How much longer the event with these short texts can be, by any number of bytes up to that.
pub(crate) fn room(texts: &[usize]) -> usize {
    // One text alone cannot be three bytes longer.
    (texts.len() * PER_TEXT).saturating_sub(2)
}

/// Makes the first event that many bytes longer, at most [`room`].
pub(crate) fn widen(events: &mut Vec<u8>, texts: &[usize], by: usize) {
    let mut rest = by;
    let mut head = Vec::with_capacity(texts.last().map_or(0, |last| last + 1) + by);
    let mut copied = 0;
    for at in texts {
        let extra = match rest {
            0 => break,
            1 => 1,
            2 | 3 => 2,
            _ => PER_TEXT,
        };
        rest -= extra;
        head.extend_from_slice(&events[copied..*at]);
        let len = events[*at] & 0x1f;
        match extra {
            1 => head.extend_from_slice(&[0xd9, len]),
            2 => head.extend_from_slice(&[0xda, 0, len]),
            _ => head.extend_from_slice(&[0xdb, 0, 0, 0, len]),
        }
        copied = at + 1;
    }
    events.splice(..copied, head);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len())?;
        let range = self.at..end;
        self.at = end;
        Some(range)
    }

    fn byte(&mut self) -> Option<u8> {
        let at = self.take(1)?.start;
        Some(self.bytes[at])
    }

    /// A number of so many bytes.
    fn number(&mut self, len: usize) -> Option<usize> {
        let range = self.take(len)?;
        Some(self.bytes[range].iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// `[[time, {metadata}], {body}]`.
    fn event(&mut self, found: &mut Vec<usize>) -> Option<()> {
        if self.byte()? != 0x92 || self.byte()? != 0x92 {
            return None;
        }
        self.skip(1)?;
        self.map(found)?;
        self.map(found)
    }

    /// A map: finds its short texts.
    fn map(&mut self, found: &mut Vec<usize>) -> Option<()> {
        let members = match self.byte()? {
            short @ 0x80..=0x8f => usize::from(short & 0x0f),
            0xde => self.number(2)?,
            0xdf => self.number(4)?,
            _ => return None,
        };
        for _ in 0..members.checked_mul(2)? {
            if matches!(self.bytes.get(self.at), Some(0xa0..=0xbf)) {
                found.push(self.at);
            }
            self.skip(1)?;
        }
        Some(())
    }

    /// So many values, with all that is in them.
    fn skip(&mut self, values: usize) -> Option<()> {
        let mut left = values;
        while 0 < left {
            left -= 1;
            let (bytes, values) = match self.byte()? {
                0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
                map @ 0x80..=0x8f => (0, 2 * usize::from(map & 0x0f)),
                array @ 0x90..=0x9f => (0, usize::from(array & 0x0f)),
                text @ 0xa0..=0xbf => (usize::from(text & 0x1f), 0),
                0xcc | 0xd0 => (1, 0),
                0xcd | 0xd1 | 0xd4 => (2, 0),
                0xd5 => (3, 0),
                0xca | 0xce | 0xd2 => (4, 0),
                0xd6 => (5, 0),
                0xcb | 0xcf | 0xd3 => (8, 0),
                0xd7 => (9, 0),
                0xd8 => (17, 0),
                0xc4 | 0xd9 => (self.number(1)?, 0),
                0xc5 | 0xda => (self.number(2)?, 0),
                0xc6 | 0xdb => (self.number(4)?, 0),
                0xc7 => (self.number(1)? + 1, 0),
                0xc8 => (self.number(2)? + 1, 0),
                0xc9 => (self.number(4)? + 1, 0),
                0xdc => (0, self.number(2)?),
                0xdd => (0, self.number(4)?),
                0xde => (0, self.number(2)? * 2),
                0xdf => (0, self.number(4)? * 2),
                0xc1 => return None,
            };
            self.take(bytes)?;
            left = left.checked_add(values)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;
    use crate::event::{EventTime, EventWriter};

    fn events() -> Vec<u8> {
        let mut events = EventWriter::default();
        for n in 0..2 {
            events.event(
                EventTime::from_unix(1_700_000_000, 5),
                |metadata| {
                    metadata.map(1);
                    metadata.str("feed");
                    metadata.str(&"long".repeat(20));
                },
                |body| {
                    let open = body.open_map();
                    for (name, value) in [("a", "b"), ("", "text"), ("c", &"x".repeat(300))] {
                        body.str(name);
                        body.str(value);
                    }
                    body.str("list");
                    body.array(3);
                    body.str("inner");
                    body.f64(1.5);
                    body.map(1);
                    body.uint(n);
                    body.int(-70_000);
                    body.close(open, 4);
                },
            );
        }
        events.take().0
    }

    fn decode(mut bytes: &[u8]) -> Vec<Value> {
        let mut values = Vec::new();
        while !bytes.is_empty() {
            values.push(rmpv::decode::read_value(&mut bytes).expect("it is msgpack"));
        }
        values
    }

    #[test]
    fn events_of_every_length_up_to_the_most_are_the_same_events() {
        let plain = events();
        let texts = short_texts(&plain);
        // "feed", "a", "b", "", "text", "c", "list": not the long ones, nor what is inside others.
        assert_eq!(texts.len(), 7);
        for by in 0..=room(&texts) {
            let mut wide = plain.clone();
            widen(&mut wide, &texts, by);
            assert_eq!(wide.len(), plain.len() + by);
            assert_eq!(decode(&wide), decode(&plain), "{by}");
        }
    }

    #[test]
    fn what_is_no_event_or_ends_early_is_left_alone() {
        let plain = events();
        for bytes in [&b""[..], &[0x93, 0x92], &[0x92, 0x92, 0xc1], b"{\"a\":1}"] {
            assert_eq!(short_texts(bytes), []);
        }
        let first = plain.len() / 2;
        for len in 0..first {
            assert_eq!(short_texts(&plain[..len]), [], "{len} of {first} bytes");
        }
        let endless = [0x92, 0x92, 0, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0];
        assert_eq!(short_texts(&endless), []);
    }
}
