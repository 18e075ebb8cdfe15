//! One form for a record, whichever way it travelled: as JSON text, or as msgpack.
//!
//! Reads JSON by itself, apart from the collector's code, so that a shared mistake cannot hide.
//! Keys keep their order and their repetitions; what a format cannot say exactly (integers beyond
//! 64 bits, half surrogate pairs) is text, as the plugin documents.

use rmpv::ValueRef;
use xxhash_rust::xxh3::xxh3_128;

/// Containers inside each other; deeper ones are compared as raw bytes.
const DEPTH_MAX: usize = 512;

/// What tells a record from others: the hash of its canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(u128);

/// The identity of JSON text; of the bytes themselves if they are no JSON.
pub(crate) fn of_json(text: &[u8]) -> Identity {
    let mut reader = Reader { text, at: 0, out: Vec::with_capacity(text.len()) };
    let whole = reader.value(0).is_some() && reader.peek().is_none();
    let form = reader.out;
    Identity(if whole { xxh3_128(&form) } else { xxh3_128(text) })
}

/// The identity of a msgpack value.
pub(crate) fn of_msgpack(value: &ValueRef<'_>) -> Identity {
    let mut out = Vec::new();
    put_value(value, &mut out);
    Identity(xxh3_128(&out))
}

/// Behind every string: a byte that UTF-8 does not have.
const END_OF_TEXT: u8 = 0xff;

fn put_value(value: &ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Nil => out.push(b'n'),
        ValueRef::Boolean(value) => out.push(if *value { b't' } else { b'f' }),
        ValueRef::Integer(number) => {
            let signed = number.as_i64().map(i128::from);
            put_integer(
                signed.or_else(|| number.as_u64().map(i128::from)).unwrap_or_default(),
                out,
            );
        }
        ValueRef::F32(number) => put_float(f64::from(*number), out),
        ValueRef::F64(number) => put_float(*number, out),
        ValueRef::String(text) => put_text(text.as_bytes(), out),
        ValueRef::Binary(bytes) => put_text(bytes, out),
        ValueRef::Array(elements) => {
            out.push(b'[');
            elements.iter().for_each(|element| put_value(element, out));
            out.push(b']');
        }
        ValueRef::Map(members) => {
            out.push(b'{');
            for (key, value) in members {
                put_value(key, out);
                put_value(value, out);
            }
            out.push(b'}');
        }
        ValueRef::Ext(..) => out.push(b'x'),
    }
}

fn put_integer(number: i128, out: &mut Vec<u8>) {
    out.push(b'i');
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_float(number: f64, out: &mut Vec<u8>) {
    out.push(b'd');
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b's');
    out.extend_from_slice(text);
    out.push(END_OF_TEXT);
}

/// Reads JSON and writes its canonical form. `None`: it is none.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
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

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' | b'[' if depth == DEPTH_MAX => None,
            b'{' => self.members(depth + 1),
            b'[' => self.elements(depth + 1),
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn members(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.out.push(b'{');
        if self.eat(b'}').is_none() {
            loop {
                (self.peek()? == b'"').then_some(())?;
                self.string()?;
                self.eat(b':')?;
                self.value(depth)?;
                if self.eat(b',').is_none() {
                    break self.eat(b'}')?;
                }
            }
        }
        self.out.push(b'}');
        Some(())
    }

    fn elements(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.out.push(b'[');
        if self.eat(b']').is_none() {
            loop {
                self.value(depth)?;
                if self.eat(b',').is_none() {
                    break self.eat(b']')?;
                }
            }
        }
        self.out.push(b']');
        Some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        self.out.push(word[0]);
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        self.out.push(b's');
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            std::str::from_utf8(&rest[..plain]).ok()?;
            self.out.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
        self.out.push(END_OF_TEXT);
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        self.out.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.code_point(),
            _ => return None,
        });
        Some(())
    }

    /// Four digits, or two times four; half a pair stays as it is written.
    fn code_point(&mut self) -> Option<()> {
        let first = self.code_unit(self.at)?;
        let second =
            self.text[self.at + 4..].starts_with(b"\\u").then(|| self.code_unit(self.at + 6));
        let units = [Some(first), second.flatten()];
        let mut chars = char::decode_utf16(units.into_iter().flatten());
        match chars.next()? {
            Ok(char) => {
                self.at += 4 * char.len_utf16() + 2 * (char.len_utf16() - 1);
                self.out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Err(_) => {
                self.out.extend_from_slice(&self.text[self.at - 2..self.at + 4]);
                self.at += 4;
            }
        }
        Some(())
    }

    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 4)?;
        let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn number(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let of_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = &rest[..rest.iter().take_while(of_number).count()];
        self.at += text.len();
        let text = std::str::from_utf8(text).ok()?;
        // The grammar, by a parser that is not ours.
        serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
        if text.contains(['.', 'e', 'E']) || text == "-0" {
            match text.parse::<f64>().ok().filter(|number| number.is_finite()) {
                Some(number) => put_float(number, &mut self.out),
                None => put_text(text.as_bytes(), &mut self.out),
            }
            return Some(());
        }
        let unsigned = text.parse::<u64>().map(i128::from);
        match unsigned.or_else(|_| text.parse::<i64>().map(i128::from)) {
            Ok(number) => put_integer(number, &mut self.out),
            Err(_) => put_text(text.as_bytes(), &mut self.out),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmpv::Value;

    #[test]
    fn json_and_msgpack_agree() {
        let text = br#" {"a":[1,-1,1.5,18446744073709551616,null,-0],"a":"\ud83dx\ud83d\ude00",
            "":true,"n":"\u0000\/"} "#;
        let numbers = vec![
            1.into(),
            (-1).into(),
            1.5.into(),
            "18446744073709551616".into(),
            Value::Nil,
            (-0.0).into(),
        ];
        let value = Value::Map(vec![
            ("a".into(), Value::Array(numbers)),
            ("a".into(), "\\ud83dx😀".into()),
            ("".into(), true.into()),
            ("n".into(), "\0/".into()),
        ]);
        assert_eq!(of_json(text), of_msgpack(&value.as_ref()));
    }

    #[test]
    fn what_differs_has_another_identity() {
        let texts = [
            "{}",
            "[]",
            "{\"a\":1}",
            "{\"a\":\"1\"}",
            "{\"a\":1,\"a\":1}",
            "{\"b\":1}",
            "[1,2]",
            "[12]",
            "[[1],2]",
            "[[1,2]]",
            "1.0",
            "1",
            "tru",
            "{\"a\":01}",
            "{\"a\":1,}",
        ];
        for (at, text) in texts.iter().enumerate() {
            for other in &texts[..at] {
                assert_ne!(of_json(text.as_bytes()), of_json(other.as_bytes()), "{text} {other}");
            }
        }
    }
}
