//! JSON that stands in text: the whole of it or behind words or a byte order mark, one or several,
//! as the text of a JSON string, and each of these within the other.
//!
//! What cannot be told apart and looks as if it named a field is replaced as a whole: in doubt
//! nothing goes out.

use super::Redactor;
use crate::json::{NullVisitor, container_end, edit, string_end, unescape};

/// JSON within strings within JSON is followed so deep. Each time doubles the backslashes.
const STRING_DEPTH_MAX: usize = 12;

/// How often a text may be looked through for where JSON in it ends.
const PASSES_MAX: usize = 32;

/// What is escaped more often than this is taken to name a field.
const ESCAPED_MAX: usize = 40;

/// What became of a text.
pub(super) enum Revised {
    /// There was nothing to replace.
    Unchanged,
    /// It is this now.
    Replaced(Vec<u8>),
    /// It may name a field, and cannot be read.
    Doubtful,
}

/// A text on the way: what of it is in `out`, and what of it is known to name no field.
struct Progress {
    out: Vec<u8>,
    copied: usize,
    read: usize,
}

impl Redactor {
    /// What takes the place of a string with this text.
    pub(super) fn written(&self, text: &[u8], revised: Revised) -> Option<Vec<u8>> {
        let doubtful = || {
            let mut marked = Vec::new();
            self.mark(text, &mut marked);
            marked
        };
        match revised {
            Revised::Unchanged => None,
            Revised::Replaced(text) => {
                // Both are UTF-8, as what they are made of.
                let text = String::from_utf8(text).ok();
                Some(text.and_then(|text| serde_json::to_vec(&text).ok()).unwrap_or_else(doubtful))
            }
            Revised::Doubtful => Some(doubtful()),
        }
    }

    /// Replaces what is to be replaced in the JSON that `text` holds.
    pub(super) fn revise_text(&mut self, text: &[u8]) -> Revised {
        if self.depth == STRING_DEPTH_MAX {
            return if self.is_doubtful(text) { Revised::Doubtful } else { Revised::Unchanged };
        }
        self.depth += 1;
        let revised = self.revise_pieces(text);
        self.depth -= 1;
        revised
    }

    fn revise_pieces(&mut self, text: &[u8]) -> Revised {
        let mut progress = Progress { out: Vec::new(), copied: 0, read: 0 };
        let mut work = text.len() * PASSES_MAX;
        let mut at = 0;
        while let Some(found) = text[at..].iter().position(|b| matches!(b, b'{' | b'[' | b'"')) {
            at += found;
            let rest = &text[at..];
            let end = match rest[0] {
                b'"' => string_end(rest, 1).map(|(end, _)| end + 1),
                _ => container_end(rest),
            };
            let Some(left) = work.checked_sub(end.unwrap_or(rest.len())) else { break };
            work = left;
            let piece = end.map(|end| &rest[..end]);
            let revised = piece.and_then(|piece| self.revise_piece(piece));
            let (Some(piece), Some((revised, holds_more))) = (piece, revised) else {
                at += 1;
                continue;
            };
            // What holds no other JSON is read as the words around it are, and so is a key.
            let is_mere = is_key(piece, &text[at + piece.len()..]) || !holds_more;
            if !is_mere && self.is_doubtful(&text[progress.read..at]) {
                return Revised::Doubtful;
            }
            match &revised {
                Revised::Unchanged => {}
                Revised::Replaced(replaced) => {
                    progress.out.extend_from_slice(&text[progress.copied..at]);
                    progress.out.extend_from_slice(replaced);
                    progress.copied = at + piece.len();
                }
                Revised::Doubtful => return Revised::Doubtful,
            }
            at += piece.len();
            if !is_mere {
                progress.read = at;
            }
        }
        if self.is_doubtful(&text[progress.read..]) {
            return Revised::Doubtful;
        }
        if progress.copied == 0 {
            return Revised::Unchanged;
        }
        progress.out.extend_from_slice(&text[progress.copied..]);
        Revised::Replaced(progress.out)
    }

    /// What becomes of a piece of text that looks like JSON, and whether it may hold other JSON;
    /// `None` if it is none, or a string in which there can be none.
    fn revise_piece(&mut self, piece: &[u8]) -> Option<(Revised, bool)> {
        if piece[0] == b'"' && !piece.contains(&b'\\') {
            return None;
        }
        self.walker.walk(piece, &mut NullVisitor).ok()?;
        if piece[0] != b'"' {
            return Some((edit(piece, self).map_or(Revised::Unchanged, Revised::Replaced), true));
        }
        let mut inner = Vec::new();
        unescape(&piece[1..piece.len() - 1], &mut inner).ok()?;
        let holds_more = inner.iter().any(|byte| matches!(byte, b'{' | b'['));
        let revised = match self.revise_text(&inner) {
            untouched @ (Revised::Unchanged | Revised::Doubtful) => untouched,
            replaced @ Revised::Replaced(_) => Revised::Replaced(self.written(&inner, replaced)?),
        };
        Some((revised, holds_more))
    }

    /// Whether `text`, which is no JSON, looks as if it named a field all the same: broken JSON, or
    /// JSON whose quotes are escaped more often than anybody looks.
    fn is_doubtful(&self, text: &[u8]) -> bool {
        let mut text = text.to_vec();
        for _ in 0..ESCAPED_MAX {
            if self.names_a_key(&text) {
                return true;
            }
            let plain = leniently_unescaped(&text);
            if plain.len() == text.len() {
                return false;
            }
            text = plain;
        }
        true
    }

    /// Whether a field's name stands where a key may stand: with a colon behind it, and a quote
    /// between them or a brace before.
    fn names_a_key(&self, text: &[u8]) -> bool {
        let names = self.redaction.fields.iter().filter_map(|path| path.names.last());
        names.map(|name| name.as_bytes()).any(|name| {
            text.windows(name.len()).enumerate().any(|(at, window)| {
                if !window.eq_ignore_ascii_case(name) {
                    return false;
                }
                let behind = &text[at + name.len()..];
                let between = behind.iter().take_while(|byte| is_between(**byte)).count();
                let quoted = behind[..between].iter().any(|byte| matches!(byte, b'"' | b'\''));
                let colon = behind.get(between) == Some(&b':');
                colon && (quoted || text[..at].contains(&b'{'))
            })
        })
    }
}

/// Whether a piece of JSON may be the key to what is behind it.
fn is_key(piece: &[u8], behind: &[u8]) -> bool {
    piece[0] == b'"' && behind.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// What may stand between a key's name and its colon.
const fn is_between(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'\\') || byte.is_ascii_whitespace()
}

/// `text` with each escape that JSON knows read once; whatever else is left as it is.
fn leniently_unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.iter().position(|byte| *byte == b'\\') {
        plain.extend_from_slice(&rest[..found]);
        rest = &rest[found..];
        let length = [2, 6, 12].into_iter().find(|length| {
            rest.get(..*length).is_some_and(|escape| {
                let before = plain.len();
                let good = unescape(escape, &mut plain).is_ok() && plain.len() - before < *length;
                if !good {
                    plain.truncate(before);
                }
                good
            })
        });
        if length.is_none() {
            plain.push(b'\\');
        }
        rest = &rest[length.unwrap_or(1)..];
    }
    plain.extend_from_slice(rest);
    plain
}
