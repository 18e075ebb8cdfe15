//! Replaces values in a JSON text and copies every other byte as it is.
//!
//! Expects valid JSON: whoever edits walks the text first. Must not decide what is replaced.

use std::borrow::Cow;

use super::lift::{is_literal, string_end};
use super::unescape::unescape;

/// Decides what an edit does.
pub(crate) trait Edit {
    /// Whether the value under the last key of `path` is replaced, with all that is in it.
    fn chooses(&mut self, path: Path<'_>) -> bool;
    /// Appends the JSON that takes the place of a string, number, `true` or `false` with this text.
    fn replace(&mut self, text: &[u8], out: &mut Vec<u8>);
    /// The JSON that takes the place of a string with this text, which was not chosen; `None`: it
    /// stays. `path` leads to it.
    fn revise(&mut self, path: Path<'_>, text: &[u8]) -> Option<Vec<u8>>;
}

/// The keys that lead to a value, from the outermost; lists between them do not count.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    raw: &'a [u8],
    levels: &'a [Level],
    key: Option<Token>,
}

impl Path<'_> {
    /// Whether the innermost keys are `names`, ASCII letters in any case; with `whole`, that these
    /// are all. `above` are the keys that lead to the text, from the outermost.
    pub(crate) fn ends_with(self, names: &[Box<str>], whole: bool, above: &[Box<[u8]>]) -> bool {
        let above = above.iter().rev().map(|key| Cow::Borrowed(&**key));
        let mut keys = self.inside_out().chain(above);
        let is = |key: Cow<'_, [u8]>, name: &str| key.eq_ignore_ascii_case(name.as_bytes());
        let inner = names.iter().rev().all(|name| keys.next().is_some_and(|key| is(key, name)));
        inner && !(whole && keys.next().is_some())
    }

    /// The keys, from the innermost.
    pub(crate) fn inside_out(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let outer = self.levels.iter().rev().filter_map(|level| level.key);
        self.key.into_iter().chain(outer).map(|key| {
            let text = &self.raw[key.start..key.end];
            let mut plain = Vec::new();
            match key.escaped && unescape(text, &mut plain).is_ok() {
                true => Cow::Owned(plain),
                false => Cow::Borrowed(text),
            }
        })
    }
}

/// The text of a string: where it is, without its quotes.
#[derive(Clone, Copy, Debug)]
struct Token {
    start: usize,
    end: usize,
    escaped: bool,
}

/// A container that is open.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// The key under which it stands; none in a list, and at the top.
    key: Option<Token>,
    is_object: bool,
    /// Whether all in it is replaced.
    chosen: bool,
}

/// An edit of one text.
struct Pass<'a> {
    raw: &'a [u8],
    /// Open containers: as many as the walk before has allowed.
    levels: Vec<Level>,
    /// The key of the value that comes next, and whether that value is replaced.
    key: Option<(Token, bool)>,
    out: Vec<u8>,
    /// Up to here everything is in `out`.
    copied: usize,
}

/// Edits `raw`, which is valid JSON; `None` if nothing was replaced.
pub(crate) fn edit(raw: &[u8], with: &mut impl Edit) -> Option<Vec<u8>> {
    let mut pass = Pass { raw, levels: Vec::new(), key: None, out: Vec::new(), copied: 0 };
    let mut at = 0;
    while at < raw.len() {
        at = pass.step(at, with);
    }
    (pass.copied > 0).then(|| {
        pass.out.extend_from_slice(&raw[pass.copied..]);
        pass.out
    })
}

impl Pass<'_> {
    /// Looks at the token at `at`; where the next one may begin.
    fn step(&mut self, at: usize, with: &mut impl Edit) -> usize {
        match self.raw[at] {
            open @ (b'{' | b'[') => {
                let chosen = self.is_chosen();
                let key = self.key.take().map(|(key, _)| key);
                self.levels.push(Level { key, is_object: open == b'{', chosen });
                at + 1
            }
            b'}' | b']' => {
                self.levels.pop();
                at + 1
            }
            b'"' => {
                // Valid JSON has an end to each string; without one the rest is the string's.
                let (end, escaped) =
                    string_end(self.raw, at + 1).unwrap_or((self.raw.len(), false));
                let text = Token { start: at + 1, end, escaped };
                let is_key = self.levels.last().is_some_and(|level| level.is_object);
                if is_key && self.key.is_none() {
                    self.note_key(text, with);
                } else {
                    self.string(text, with);
                }
                end + 1
            }
            byte if is_literal(byte) => {
                let rest = &self.raw[at..];
                let end = rest.iter().position(|byte| !is_literal(*byte));
                let end = at + end.unwrap_or(rest.len());
                // There is nothing in null that could be hidden.
                if self.is_chosen() && byte != b'n' {
                    self.put(at, end, |raw, out| with.replace(&raw[at..end], out));
                }
                self.key = None;
                end
            }
            _ => at + 1,
        }
    }

    /// Whether the value that comes next is replaced.
    fn is_chosen(&self) -> bool {
        match self.key {
            Some((_, chosen)) => chosen,
            None => self.levels.last().is_some_and(|level| level.chosen),
        }
    }

    fn note_key(&mut self, key: Token, with: &mut impl Edit) {
        let inherited = self.levels.last().is_some_and(|level| level.chosen);
        let path = Path { raw: self.raw, levels: &self.levels, key: Some(key) };
        let chosen = inherited || with.chooses(path);
        self.key = Some((key, chosen));
    }

    fn string(&mut self, text: Token, with: &mut impl Edit) {
        let chosen = self.is_chosen();
        let key = self.key.take().map(|(key, _)| key);
        let (start, end) = (text.start - 1, self.raw.len().min(text.end + 1));
        let mut plain = Vec::new();
        let raw = &self.raw[text.start..text.end];
        let plain = if text.escaped && unescape(raw, &mut plain).is_ok() { &*plain } else { raw };
        if chosen {
            self.put(start, end, |_, out| with.replace(plain, out));
            return;
        }
        let path = Path { raw: self.raw, levels: &self.levels, key };
        if let Some(revised) = with.revise(path, plain) {
            self.put(start, end, |_, out| out.extend_from_slice(&revised));
        }
    }

    /// Puts something in the place of the bytes from `start` to `end`.
    fn put(&mut self, start: usize, end: usize, write: impl FnOnce(&[u8], &mut Vec<u8>)) {
        self.out.extend_from_slice(&self.raw[self.copied..start]);
        write(self.raw, &mut self.out);
        self.copied = end;
    }
}
