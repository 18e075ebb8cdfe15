//! Reads an answer of the Activities API as it arrives: an object, whose member `data` is the array
//! of activities. Records are cut out of the array without a DOM; of the other members only the few
//! are kept that say how the search goes on.
//!
//! Memory is bounded by one chunk, one record, and [`MEMBER_BYTES_MAX`].

use bytes::Bytes;

use crate::json::{Item, SplitError, Splitter};

/// The longest member beside `data` that is kept; longer ones make the answer unreadable.
pub(super) const MEMBER_BYTES_MAX: usize = 256 << 10;

/// How much of an answer is kept for the error.
const OPENING_BYTES_MAX: usize = 512;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a whole answer says beside its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageEnd {
    pub has_next: bool,
    /// The filters of the next page, as JSON.
    pub next_filters: Option<String>,
}

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvelopeError {
    /// It is something else: an error, HTML, nothing.
    #[error("the answer is no page of activities, it begins with \"{}\"", opening.escape_ascii())]
    NoPage {
        /// Its first bytes.
        opening: Box<[u8]>,
    },
    /// The array of activities is not whole.
    #[error("{0}")]
    Data(SplitError),
    /// It ended too early.
    #[error("the answer was cut off")]
    Truncated,
}

/// Where in the answer the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    BeforeKey { may_close: bool },
    Key { escaped: bool },
    Colon,
    BeforeValue,
    Value { depth: u32, text: bool, escaped: bool },
    Data,
    AfterValue,
    Behind,
    Failed,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Envelope {
    place: Place,
    opening: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
    has_next: Option<bool>,
    next_filters: Option<String>,
    data: Splitter,
    data_seen: bool,
}

impl Envelope {
    pub(crate) fn new(record_bytes_max: usize) -> Self {
        Self {
            place: Place::Start,
            opening: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
            has_next: None,
            next_filters: None,
            data: Splitter::embedded(record_bytes_max),
            data_seen: false,
        }
    }

    /// The next bytes. Whatever came before has been drained by [`Self::poll`].
    pub(crate) fn push(&mut self, chunk: Bytes) {
        let room = OPENING_BYTES_MAX.saturating_sub(self.opening.len());
        self.opening.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.scan(chunk);
    }

    /// The next record, or `None` when more bytes are needed.
    pub(crate) fn poll(&mut self) -> Result<Option<Item>, EnvelopeError> {
        if self.place == Place::Data {
            if let Some(item) = self.data.poll().map_err(EnvelopeError::Data)? {
                return Ok(Some(item));
            }
            if let Some(rest) = self.data.take_rest() {
                self.place = Place::AfterValue;
                self.scan(rest);
            }
        }
        if self.place == Place::Failed { Err(self.no_page()) } else { Ok(None) }
    }

    /// The answer has ended.
    pub(crate) fn finish(&self) -> Result<PageEnd, EnvelopeError> {
        match (self.place, self.has_next) {
            (Place::Behind, Some(has_next)) if self.data_seen => {
                Ok(PageEnd { has_next, next_filters: self.next_filters.clone() })
            }
            (Place::Start | Place::Behind | Place::Failed, _) => Err(self.no_page()),
            _ => Err(EnvelopeError::Truncated),
        }
    }

    /// Records cut out so far, the oversized ones included.
    pub(super) fn records(&self) -> u64 {
        self.data.records()
    }

    fn no_page(&self) -> EnvelopeError {
        EnvelopeError::NoPage { opening: self.opening.as_slice().into() }
    }

    /// Looks at bytes outside of the array; hands over to the splitter where it begins.
    fn scan(&mut self, mut chunk: Bytes) {
        if self.place == Place::Data {
            self.data.push(chunk);
            return;
        }
        for at in 0..chunk.len() {
            // A literal ends with the byte behind it, which is looked at again.
            while !self.step(chunk[at]) {}
            if self.place == Place::Data {
                self.data.push(chunk.split_off(at));
                return;
            }
        }
    }

    /// Takes one byte. False if it has to be looked at once more.
    fn step(&mut self, byte: u8) -> bool {
        let blank = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        match self.place {
            Place::Start => match byte {
                b'{' => self.place = Place::BeforeKey { may_close: true },
                _ if blank || BOM.contains(&byte) => {}
                _ => self.place = Place::Failed,
            },
            Place::BeforeKey { may_close } => match byte {
                b'"' => {
                    self.key.clear();
                    self.place = Place::Key { escaped: false };
                }
                b'}' if may_close => self.place = Place::Behind,
                _ if blank => {}
                _ => self.place = Place::Failed,
            },
            Place::Key { escaped } => match byte {
                b'"' if !escaped => self.place = Place::Colon,
                _ if self.key.len() == OPENING_BYTES_MAX => self.place = Place::Failed,
                _ => {
                    self.key.push(byte);
                    self.place = Place::Key { escaped: byte == b'\\' && !escaped };
                }
            },
            Place::Colon => match byte {
                b':' => self.place = Place::BeforeValue,
                _ if blank => {}
                _ => self.place = Place::Failed,
            },
            Place::BeforeValue if blank => {}
            Place::BeforeValue if byte == b'[' && self.key == b"data" && !self.data_seen => {
                self.data_seen = true;
                self.place = Place::Data;
            }
            Place::BeforeValue => {
                self.value.clear();
                self.place = Place::Value { depth: 0, text: false, escaped: false };
                return self.value_byte(byte, 0, false, false);
            }
            Place::Value { depth, text, escaped } => {
                return self.value_byte(byte, depth, text, escaped);
            }
            Place::AfterValue => match byte {
                b',' => self.place = Place::BeforeKey { may_close: false },
                b'}' => self.place = Place::Behind,
                _ if blank => {}
                _ => self.place = Place::Failed,
            },
            Place::Behind if !blank => self.place = Place::Failed,
            Place::Behind | Place::Data | Place::Failed => {}
        }
        true
    }

    /// A byte of a member's value, which is not checked but for where it ends.
    fn value_byte(&mut self, byte: u8, depth: u32, text: bool, escaped: bool) -> bool {
        let blank = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let (next, ended) = match byte {
            _ if text => {
                let text = byte != b'"' || escaped;
                let escaped = byte == b'\\' && !escaped;
                (Place::Value { depth, text, escaped }, !text && depth == 0)
            }
            b'"' => (Place::Value { depth, text: true, escaped: false }, false),
            b'{' | b'[' => (Place::Value { depth: depth.saturating_add(1), text, escaped }, false),
            b'}' | b']' if depth > 0 => {
                (Place::Value { depth: depth - 1, text, escaped }, depth == 1)
            }
            _ if depth == 0 && (blank || matches!(byte, b',' | b'}')) => {
                self.end_value();
                return false;
            }
            _ => (Place::Value { depth, text, escaped }, false),
        };
        if self.value.len() == MEMBER_BYTES_MAX {
            self.place = Place::Failed;
            return true;
        }
        self.value.push(byte);
        self.place = next;
        if ended {
            self.end_value();
        }
        true
    }

    fn end_value(&mut self) {
        self.place = Place::AfterValue;
        match (&self.key[..], &self.value[..]) {
            (b"hasNext", b"true") => self.has_next = Some(true),
            (b"hasNext", b"false") => self.has_next = Some(false),
            (b"nextQueryFilters", value) if value.starts_with(b"{") => {
                self.next_filters = String::from_utf8(value.to_vec()).ok();
            }
            // `total` is an estimate, and whatever else there is has nothing to do with us.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The records and what comes beside them, if the answer arrives in pieces of `size`.
    fn read(text: &str, size: usize) -> (Vec<String>, Result<PageEnd, EnvelopeError>) {
        let mut envelope = Envelope::new(1_000);
        let mut records = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            envelope.push(Bytes::copy_from_slice(piece));
            loop {
                match envelope.poll() {
                    Ok(Some(Item::Record(split))) => {
                        records.push(String::from_utf8(split.raw.to_vec()).unwrap());
                    }
                    Ok(Some(Item::Oversized { .. })) => records.push("oversized".into()),
                    Ok(None) => break,
                    Err(error) => return (records, Err(error)),
                }
            }
        }
        (records, envelope.finish())
    }

    const PAGES: &[&str] = &[
        r#"{"total":5,"hasNext":true,"data":[{"a":1},{"b":"]}"}],"nextQueryFilters":{"x":{"y":[1]}}}"#,
        r#"{"data": [ {"a":1} , {"b":"]}"} ] ,"nextQueryFilters" : {"x":{"y":[1]}} , "hasNext" : true }"#,
        "\u{feff} {\"max\":[[\"}\\\"\"]],\"hasNext\":true,\"nextQueryFilters\":{\"x\":{\"y\":[1]}},\"data\":[{\"a\":1},{\"b\":\"]}\"}],\"total\":1e3}\n",
    ];

    #[test]
    fn members_come_in_any_order_and_bytes_in_any_pieces() {
        for page in PAGES {
            for size in 1..page.len() {
                let (records, end) = read(page, size);
                assert_eq!(records, [r#"{"a":1}"#, r#"{"b":"]}"}"#], "{page}");
                let next_filters = Some(r#"{"x":{"y":[1]}}"#.to_owned());
                assert_eq!(end, Ok(PageEnd { has_next: true, next_filters }), "{page}");
            }
        }
        let (records, end) = read(r#"{"data":[],"hasNext":false,"total":0}"#, 7);
        assert!(records.is_empty());
        assert_eq!(end, Ok(PageEnd { has_next: false, next_filters: None }));
    }

    #[test]
    fn what_is_no_page_is_told_from_one_that_was_cut_off() {
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"detail":"throttled"}"#,
            r#"{"data":null,"hasNext":false}"#,
            r#"{"data":[{}]}"#,
            r#"{"data":[],"hasNext":false} x"#,
            r#"{"hasNext" false}"#,
        ] {
            let (_, end) = read(text, 3);
            assert!(matches!(end, Err(EnvelopeError::NoPage { .. })), "{text}: {end:?}");
        }
        for text in [r#"{"data":[{}"#, r#"{"data":[{}],"hasN"#, r#"{"hasNext":tr"#, "{"] {
            let (_, end) = read(text, 3);
            assert_eq!(end, Err(EnvelopeError::Truncated), "{text}");
        }
        assert!(matches!(read(r#"{"data":[}]}"#, 99).1, Err(EnvelopeError::Data(_))));
    }

    #[test]
    fn members_are_bounded() {
        let long = format!(r#"{{"x":"{}","data":[],"hasNext":false}}"#, "y".repeat(300 << 10));
        assert!(matches!(read(&long, 1 << 16).1, Err(EnvelopeError::NoPage { .. })));
        let (records, _) = read(&format!(r#"{{"data":["{}",1]}}"#, "y".repeat(2_000)), 99);
        assert_eq!(records, ["oversized", "1"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            size in 1usize..9,
        ) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = read(&format!("{{{text}"), size);
        }
    }
}
