//! Takes the rows that are read, finds their ids, and counts. Reads no file.

use std::collections::BTreeMap;

use serde_json::Value;

use super::arrived::Named;
use super::row::{self, ID_FIELD, IdField, Rows};

/// The longest row that is read. Microsoft's records have a few megabytes at the most.
pub(super) const ROW_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows in rows: what a search API answers, and no deeper.
const NESTED_MAX: u8 = 3;

/// What was found in one file.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Rows, with an id or not.
    pub(super) rows: u64,
    /// Rows in which there is none.
    pub(super) without_id: u64,
    /// Rows that are no JSON although they should be, or too long.
    pub(super) unreadable: u64,
    /// Under which names ids were found, and how often.
    pub(super) places: BTreeMap<String, u64>,
}

/// Takes rows, and counts them.
pub(super) struct Taker<'a> {
    pub(super) field: &'a IdField,
    pub(super) account: Account,
    pub(super) take: &'a mut dyn FnMut(&Named, u64),
}

impl Taker<'_> {
    /// A value that is a row, or holds some.
    pub(super) fn value(&mut self, value: Value, depth: u8) {
        match self.field.rows(value) {
            Rows::One(named, place) => self.named(&named, &place),
            Rows::Many(values) if depth < NESTED_MAX => {
                values.into_iter().for_each(|value| self.value(value, depth + 1));
            }
            Rows::Many(_) => self.without_id(),
            Rows::None(value) => {
                self.without_id();
                let rows = self.account.rows;
                row::nameless(&value).into_iter().for_each(|named| (self.take)(&named, rows));
            }
        }
    }

    pub(super) fn named(&mut self, named: &Named, place: &str) {
        self.account.rows += 1;
        match self.account.places.get_mut(place) {
            Some(count) => *count += 1,
            None => drop(self.account.places.insert(place.to_owned(), 1)),
        }
        (self.take)(named, self.account.rows);
    }

    pub(super) fn without_id(&mut self) {
        self.account.rows += 1;
        self.account.without_id += 1;
    }

    pub(super) fn unreadable(&mut self) {
        self.account.rows += 1;
        self.account.unreadable += 1;
    }

    /// A record within a column, as text.
    pub(super) fn text(&mut self, text: &str) {
        self.json(text.as_bytes(), 1);
    }

    pub(super) fn json(&mut self, bytes: &[u8], depth: u8) {
        match (row::parse(bytes), row::lifted(bytes)) {
            (Some(value), _) => self.value(value, depth),
            (None, Some(named)) => self.named(&named, ID_FIELD),
            (None, None) => self.unreadable(),
        }
    }
}
