//! Fills a record up to its size with the kinds of bulk real records carry.

use super::words;
use super::writer::Fields;

/// Least room for which a bulk field is worth opening.
const ROOM_MIN: usize = 90;

/// Adds one field of name-value pairs, long prose in each, until the record has its size.
pub(super) fn fill(fields: &mut Fields<'_>) {
    if fields.missing() < ROOM_MIN {
        return;
    }
    let name = fields.pick(&["ExtendedProperties", "AffectedItems", "Data", "Details"]);
    fields.key(name).json("[");
    let mut first = true;
    while fields.missing() >= ROOM_MIN / 2 {
        fields.json(if first { "{\"Name\":\"" } else { ",{\"Name\":\"" });
        first = false;
        let label = fields.pick(words::APPS);
        fields.escaped(label).json("\",\"Value\":\"");
        prose(fields);
        fields.json("\"}");
    }
    fields.json("]");
}

/// A stretch of prose that ends between characters and between escapes.
fn prose(fields: &mut Fields<'_>) {
    let missing = fields.missing().saturating_sub(8);
    let rounds = missing / words::PROSE.len();
    for _ in 0..rounds.min(64) {
        fields.json(words::PROSE);
    }
    let mut left = (missing - rounds * words::PROSE.len()).min(words::PROSE.len());
    while !is_boundary(left) {
        left -= 1;
    }
    fields.json(&words::PROSE[..left]);
}

fn is_boundary(at: usize) -> bool {
    words::PROSE.is_char_boundary(at) && (at == 0 || words::PROSE.as_bytes()[at - 1] != b'\\')
}
