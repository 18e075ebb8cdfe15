//! Turns the text between two quotes into what it means.
//!
//! Must not lose anything: a surrogate escape without its partner has no UTF-8 form, so its six
//! characters stay as they are written.

use super::stops::Stops;

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
        None => {
            let (meaning, written, length) = unicode(text)?;
            out.extend_from_slice(&meaning[..written]);
            Some(length)
        }
    }
}

/// Runs of letters up to this length are copied in one step of constant size.
const SHORT: usize = 32;

/// Room that is there behind whatever is written, for a step of constant size and for what an
/// escape stands for.
const SLACK: usize = 2 * SHORT;

/// Writes the meaning of the text whose opening quote is at `start` of `raw` and whose first
/// backslash is at `at` into `room`, from its beginning on and behind that quote. How much that is,
/// and the first byte of `raw` that is no more of it: the closing quote, unless something is wrong.
/// `Err` with the place of what is no escape.
pub(super) fn unescape_text(
    raw: &[u8],
    start: usize,
    mut at: usize,
    stops: &mut Stops,
    room: &mut Vec<u8>,
) -> Result<(usize, usize), usize> {
    let mut to = put_run(raw, start, at, room, 0);
    loop {
        // The usual escape is of one letter, and plain text of few follows.
        if let Some(block) = raw.get(at..).and_then(<[u8]>::first_chunk::<{ SHORT + 3 }>)
            && let Some(place) =
                room.get_mut(to..).and_then(<[u8]>::first_chunk_mut::<{ SHORT + 1 }>)
            && let Some(length) = stops.near(at + 2)
            && length <= SHORT
            && let letter @ 1.. = PLAIN[usize::from(block[1])]
        {
            place[0] = letter;
            place[1..].copy_from_slice(&block[2..SHORT + 2]);
            to += 1 + length;
            at += 2 + length;
            if block[2 + length] != b'\\' {
                return Ok((to, at));
            }
            continue;
        }
        (to, at) = odd_escape(raw, at, stops, room, to)?;
        if raw.get(at) != Some(&b'\\') {
            return Ok((to, at));
        }
    }
}

/// The escape at `at`, whatever it is like, and the plain text behind it: where both end, in `room`
/// and in `raw`.
#[inline(never)]
fn odd_escape(
    raw: &[u8],
    mut at: usize,
    stops: &mut Stops,
    room: &mut Vec<u8>,
    mut to: usize,
) -> Result<(usize, usize), usize> {
    if room.len() < to + SLACK {
        grow(room, to);
    }
    let letter = raw.get(at + 1).copied().unwrap_or(0);
    if let Some(plain) = plain(letter) {
        room[to] = plain;
        to += 1;
        at += 2;
    } else {
        let (meaning, written, length) = raw.get(at..).and_then(unicode).ok_or(at)?;
        room[to..][..meaning.len()].copy_from_slice(&meaning);
        to += written;
        at += length;
    }
    let end = stops.next(raw, at).min(raw.len());
    Ok((put_run(raw, at, end, room, to), end))
}

/// Copies `raw` from `from` up to `end` to the place `to` of `room`, with slack behind it; where it
/// ends there.
#[inline(always)]
fn put_run(raw: &[u8], from: usize, end: usize, room: &mut Vec<u8>, to: usize) -> usize {
    let length = end - from;
    let behind = to + length;
    if room.len() < behind + SLACK {
        grow(room, behind);
    }
    let block = raw.get(from..).and_then(<[u8]>::first_chunk::<SHORT>);
    if let (Some(block), 0..=SHORT) = (block, length) {
        room[to..][..SHORT].copy_from_slice(block);
    } else {
        room[to..behind].copy_from_slice(&raw[from..end]);
    }
    behind
}

#[cold]
#[inline(never)]
fn grow(room: &mut Vec<u8>, behind: usize) {
    room.resize(2 * behind + 8 * SLACK, 0);
}

/// What a backslash and `letter` stand for, unless more letters belong to the escape.
#[inline(always)]
fn plain(letter: u8) -> Option<u8> {
    // A table has no branches to predict but the rare one.
    let plain = PLAIN[usize::from(letter)];
    (plain != 0).then_some(plain)
}

/// `\uXXXX`, or the pair of them that stands for one character beyond the first plane: what it
/// means, how long that is, and how long it is itself.
fn unicode(text: &[u8]) -> Option<([u8; ESCAPE], usize, usize)> {
    let first = unit(text)?;
    let (code, length) = match first {
        0xd800..0xdc00 => match text.get(ESCAPE..).and_then(unit) {
            Some(second @ 0xdc00..0xe000) => {
                (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 2 * ESCAPE)
            }
            Some(_) | None => (first, ESCAPE),
        },
        _ => (first, ESCAPE),
    };
    let mut meaning = *text.first_chunk::<ESCAPE>()?;
    let written = match char::from_u32(code) {
        Some(letter) => letter.encode_utf8(&mut meaning).len(),
        None => ESCAPE,
    };
    Some((meaning, written, length))
}

/// Bytes of `\uXXXX`.
const ESCAPE: usize = 6;

/// The code unit of a `\uXXXX` that `text` begins with.
pub(crate) fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    let digit = |at: usize| HEX[usize::from(digits[at])];
    let code = digit(0) << 12 | digit(1) << 8 | digit(2) << 4 | digit(3);
    // What is no digit leaves bits above those of four.
    (code <= 0xffff).then_some(code)
}

/// What hexadecimal digits are worth.
const HEX: [u32; 256] = {
    let mut hex = [0x1_0000; 256];
    let mut digit = 0;
    while digit < 16 {
        hex[b"0123456789abcdef"[digit as usize] as usize] = digit;
        hex[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        digit += 1;
    }
    hex
};

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
