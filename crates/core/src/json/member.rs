//! Whether an object has a member of some name.

use super::number::Number;
use super::visit::{Text, Visit};
use super::walk::{DEPTH_MAX, walk};

/// Whether `object`, a JSON text, is an object with a member called `name`, however that is
/// written. Cheap where it is not.
#[must_use]
pub fn has_member(object: &[u8], name: &str) -> bool {
    if !may_occur(object, name) {
        return false;
    }
    let mut search = Search { name, depth: 0, found: false };
    walk(object, DEPTH_MAX, &mut search).is_ok() && search.found
}

/// Whether the name stands somewhere in quotes, or may, with an escape in it.
fn may_occur(object: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    let quoted = |at: usize| {
        let end = at + 1 + name.len();
        object.get(at + 1..end) == Some(name) && object.get(end) == Some(&b'"')
    };
    object.iter().enumerate().any(|(at, byte)| match byte {
        b'"' => quoted(at),
        b'\\' => true,
        _ => false,
    })
}

struct Search<'a> {
    name: &'a str,
    depth: usize,
    found: bool,
}

impl Visit for Search<'_> {
    type Mark = ();
    const READS_NUMBERS: bool = false;

    fn begin_object(&mut self) {
        self.depth += 1;
    }

    fn key(&mut self, text: Text<'_>) {
        self.found |= self.depth == 1 && text.as_bytes() == self.name.as_bytes();
    }

    fn end_object(&mut self, (): (), _: usize) {
        self.depth -= 1;
    }

    fn begin_array(&mut self) {
        self.depth += 1;
    }

    fn end_array(&mut self, (): (), _: usize) {
        self.depth -= 1;
    }

    fn string(&mut self, _: Text<'_>) {}

    fn number(&mut self, _: Number<'_>) {}

    fn bool(&mut self, _: bool) {}

    fn null(&mut self) {}
}
