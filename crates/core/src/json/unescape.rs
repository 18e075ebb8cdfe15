//! Turns the text between two quotes into what it means.
//!
//! Must not lose anything: a surrogate escape without its partner has no UTF-8 form, so its six
//! characters stay as they are written.

/// What the escapes of one letter stand for; zero for letters that make none.
const PLAIN: [u8; 256] = {
    let mut plain = [0; 256];
    plain[b'"' as usize] = b'"';
    plain[b'\\' as usize] = b'\\';
    plain[b'/' as usize] = b'/';
    plain[b'b' as usize] = 0x08;
    plain[b'f' as usize] = 0x0c;
    plain[b'n' as usize] = b'\n';
    plain[b'r' as usize] = b'\r';
    plain[b't' as usize] = b'\t';
    plain
};

/// An escape that JSON does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadEscape {
    /// Where its backslash is in the text.
    pub at: usize,
}

/// Appends the meaning of `text` to `out`. Bytes without escapes pass, whatever they are.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&text[at..at + found]);
        at += found;
        at += escape(&text[at..], out).ok_or(BadEscape { at })?;
    }
    out.extend_from_slice(&text[at..]);
    Ok(())
}

/// Appends the meaning of the escape that `text` begins with; its length.
fn escape(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    match plain(*text.get(1)?) {
        Some(plain) => {
            out.push(plain);
            Some(2)
        }
        None => unicode(text, out),
    }
}

/// What a backslash and `letter` stand for, unless more letters belong to the escape.
#[inline(always)]
pub(super) fn plain(letter: u8) -> Option<u8> {
    // A table has no branches to predict but the rare one.
    let plain = PLAIN[usize::from(letter)];
    (plain != 0).then_some(plain)
}

/// `\uXXXX`, or the pair of them that stands for one character beyond the first plane.
pub(super) fn unicode(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let first = unit(text)?;
    let (code, length) = match first {
        0xd800..0xdc00 => match text.get(6..).and_then(unit) {
            Some(second @ 0xdc00..0xe000) => {
                (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
            }
            Some(_) | None => (first, 6),
        },
        _ => (first, 6),
    };
    match char::from_u32(code) {
        Some(letter) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.extend_from_slice(&text[..length]),
    }
    Some(length)
}

/// The code unit of a `\uXXXX` that `text` begins with.
pub(crate) fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |code, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(code << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let mut out = Vec::new();
        let result = unescape(text.as_bytes(), &mut out);
        let found = result.is_ok().then(|| String::from_utf8(out).unwrap());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn escapes_mean_what_rfc_8259_says() {
        check(r#"\"\\\/\b\f\n\r\t"#, Some("\"\\/\u{8}\u{c}\n\r\t"));
        check(r"a\u0041\u00e4\u20AC\u0000z", Some("aAä€\0z"));
        check(r"\ud83d\ude00!", Some("😀!"));
        check("plain ä", Some("plain ä"));
    }

    #[test]
    fn a_lone_surrogate_keeps_its_six_characters() {
        check(r"\ud83d", Some(r"\ud83d"));
        check(r"x\uDE00y", Some(r"x\uDE00y"));
        check(r"\ud83d\ud83d\ude00", Some("\\ud83d😀"));
        check(r"\ud83d\u0041", Some(r"\ud83dA"));
        check(r"\ud83d\n", Some("\\ud83d\n"));
    }

    #[test]
    fn unknown_and_cut_escapes_are_refused() {
        for text in [r"\", r"\x", r"\u", r"\u12", r"\u12g4", r"a\ud83d\u12", r"\U0041", r"\u+123"] {
            check(text, None);
        }
    }
}
