//! What a record has to look like in msgpack, by an own reading of JSON: written apart from the
//! plugin's encoder, so that a shared mistake cannot hide.

use rmpv::Value;

/// Containers inside each other that a body may have, itself included. Deeper records travel raw.
const DEPTH_MAX: usize = 29;

/// The body of a record's event, and whether it is marked as malformed.
pub(crate) fn body(record: &[u8]) -> (Value, bool) {
    if record.first() == Some(&b'{')
        && let Some(value) = parse(record)
    {
        return (value, false);
    }
    let raw = match std::str::from_utf8(record) {
        Ok(text) => Value::from(text),
        Err(_) => Value::Binary(record.to_vec()),
    };
    (Value::Map(vec![("raw".into(), raw)]), true)
}

/// Whether a text has enough opening brackets to nest too deep.
pub(crate) fn is_deep(text: &str) -> bool {
    text.matches(['{', '[']).count() > DEPTH_MAX
}

fn parse(text: &[u8]) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    (reader.at == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let found = self.text.get(self.at..self.at + word.len())? == word.as_bytes();
        self.at += word.len();
        found.then_some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.peek()? {
            b'{' | b'[' if depth == DEPTH_MAX => None,
            b'{' => self.map(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(Value::from),
            b't' => self.word("true", true.into()),
            b'f' => self.word("false", false.into()),
            b'n' => self.word("null", Value::Nil),
            _ => self.number(),
        }
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        self.eat(b'{')?;
        let mut members = Vec::new();
        if self.eat(b'}').is_some() {
            return Some(Value::Map(members));
        }
        loop {
            self.peek()?;
            let key = self.string()?;
            self.eat(b':')?;
            members.push((key.into(), self.value(depth)?));
            if self.eat(b',').is_none() {
                return self.eat(b'}').map(|()| Value::Map(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.eat(b'[')?;
        let mut elements = Vec::new();
        if self.eat(b']').is_some() {
            return Some(Value::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            if self.eat(b',').is_none() {
                return self.eat(b']').map(|()| Value::Array(elements));
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        (self.text.get(self.at)? == &b'"').then_some(())?;
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return String::from_utf8(out).ok(),
                b'\\' => self.escape(&mut out)?,
                0..0x20 => return None,
                _ => out.push(byte),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        out.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(out),
            _ => return None,
        });
        Some(())
    }

    /// Four digits, or two times four; what is half a pair stays as it is written.
    fn unicode(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 4)?;
            let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
            u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let first = unit(self.at)?;
        let pair = (self.text.get(self.at + 4..self.at + 6) == Some(b"\\u"))
            .then(|| unit(self.at + 6))
            .flatten();
        let both = pair.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
        let written = &self.text[self.at - 2..self.at + 4];
        self.at += 4;
        match (char::from_u32(first.into()), both) {
            (Some(char), _) => out.extend(char.to_string().bytes()),
            (None, Some(char)) => {
                out.extend(char.to_string().bytes());
                self.at += 6;
            }
            (None, None) => out.extend_from_slice(written),
        }
        Some(())
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        let of_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        self.at += self.text[start..].iter().take_while(of_number).count();
        let text = std::str::from_utf8(&self.text[start..self.at]).ok()?;
        // The grammar, by a parser that is not ours.
        serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
        let float = || text.parse::<f64>().ok().filter(|number| number.is_finite());
        if text.contains(['.', 'e', 'E']) || text == "-0" {
            return Some(float().map_or_else(|| text.into(), Value::from));
        }
        let unsigned = text.parse::<u64>().map(Value::from);
        let whole = unsigned.or_else(|_| text.parse::<i64>().map(Value::from));
        Some(whole.unwrap_or_else(|_| text.into()))
    }
}

#[test]
fn the_expectation_itself_reads_json() {
    let (value, malformed) =
        body(br#"{"a":[1,-1,1.5,18446744073709551616,null],"a":"\ud83d\ud83d\ude00"}"#);
    let numbers =
        vec![1.into(), (-1).into(), 1.5.into(), "18446744073709551616".into(), Value::Nil];
    let expected = vec![("a".into(), Value::Array(numbers)), ("a".into(), "\\ud83d😀".into())];
    assert_eq!((value, malformed), (Value::Map(expected), false));
    for broken in ["{\"a\":01}", "{\"a\":1,}", "{\"a\"}", "[1]", "{\"a\":tru}", "{\"a\":\"\n\"}"] {
        assert!(body(broken.as_bytes()).1, "{broken}");
    }
}
