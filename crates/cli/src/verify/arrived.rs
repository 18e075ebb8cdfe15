//! What arrived: ids as hashes, so that millions fit. Reads no file.

use m365_audit_core::Utc;
use xxhash_rust::xxh3::xxh3_128;

/// Unsorted keys are put in order when there are this many more, so that what comes twice takes no
/// room.
const SETTLE_MIN: usize = 1 << 16;

/// What a row or a record says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its id.
    pub(super) id: String,
    /// When it was created and what was done, by which records are told apart that share an id.
    pub(super) details: Option<(String, String)>,
}

/// Whether a record arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It did.
    Arrived,
    /// Nothing with its id did.
    Missing,
    /// Something else did that has the same id.
    Other,
}

/// The ids that arrived. Sixteen bytes are kept of each, sixteen more of one that came with its
/// details, and one for whether Microsoft has it.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// Hashes of ids; the lowest bit says whether the row had no details.
    ids: Keys,
    /// Hashes of ids with their details.
    wholes: Keys,
    /// Which of the ids Microsoft has.
    found: Vec<bool>,
}

/// Hashes in order, each once, and new ones behind them.
#[derive(Debug, Default)]
struct Keys {
    keys: Vec<u128>,
    sorted: usize,
}

impl Keys {
    fn push(&mut self, key: u128) {
        self.keys.push(key);
        if self.sorted * 2 + SETTLE_MIN < self.keys.len() {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.sorted = self.keys.len();
    }

    fn find(&self, key: u128) -> Option<usize> {
        self.keys.binary_search(&key).ok()
    }
}

impl Arrived {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &Named) {
        let id = id_key(&row.id);
        self.ids.push(if row.details.is_some() { id } else { id | 1 });
        if let Some(whole) = whole_key(row) {
            self.wholes.push(whole);
        }
    }

    /// All rows were added.
    pub(super) fn seal(&mut self) {
        self.ids.settle();
        self.wholes.settle();
        self.ids.keys.shrink_to_fit();
        self.wholes.keys.shrink_to_fit();
        self.found = vec![false; self.ids.keys.len()];
    }

    /// How many different ids there are.
    pub(super) fn len(&self) -> u64 {
        let mut ids: u64 = 0;
        let mut last = None;
        for key in &self.ids.keys {
            ids += u64::from(last != Some(key | 1));
            last = Some(key | 1);
        }
        ids
    }

    /// Whether a record of Microsoft's is among them.
    pub(super) fn look_up(&mut self, record: &Named) -> Match {
        let id = id_key(&record.id);
        let (detailed, plain) = (self.ids.find(id), self.ids.find(id | 1));
        for index in [detailed, plain].into_iter().flatten() {
            self.found[index] = true;
        }
        match (detailed, plain, whole_key(record)) {
            (None, None, _) => Match::Missing,
            // A row without details stands for any record of this id, and so does any row for a
            // record that has none.
            (_, Some(_), _) | (_, _, None) => Match::Arrived,
            (Some(_), None, Some(whole)) if self.wholes.find(whole).is_some() => Match::Arrived,
            (Some(_), None, Some(_)) => Match::Other,
        }
    }

    /// How many ids arrived that [`look_up`](Self::look_up) was never asked for.
    pub(super) fn unknown(&self) -> u64 {
        let mut unknown = 0;
        let mut keys = self.ids.keys.iter().zip(&self.found).peekable();
        while let Some((key, found)) = keys.next() {
            let twin = keys.next_if(|(next, _)| **next == key | 1);
            unknown += u64::from(!found && !twin.is_some_and(|(_, found)| *found));
        }
        unknown
    }

    /// Whether an id that arrived is one of those.
    pub(super) fn is_unknown(&self, id: &str) -> bool {
        let id = id_key(id);
        let found = |key| self.ids.find(key).is_some_and(|index| self.found[index]);
        !found(id) && !found(id | 1)
    }
}

/// Ids are GUIDs or made of them, in either case.
fn id_key(id: &str) -> u128 {
    xxh3_128(id.trim().to_ascii_lowercase().as_bytes()) & !1
}

/// The hash of a record's id with its details. What pipelines do to them, changes nothing: a time
/// in another form is the same, and so is an operation in another case.
pub(super) fn whole_key(record: &Named) -> Option<u128> {
    let (created, operation) = record.details.as_ref()?;
    let created = Utc::parse(created).map_or_else(|| created.clone(), |utc| utc.to_string());
    let text = format!("{}\0{created}\0{operation}", record.id.trim()).to_ascii_lowercase();
    Some(xxh3_128(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, details: Option<(&str, &str)>) -> Named {
        let details = details.map(|(created, what)| (created.to_owned(), what.to_owned()));
        Named { id: id.to_owned(), details }
    }

    #[test]
    fn a_record_is_told_from_another_of_the_same_id() {
        let mut arrived = Arrived::default();
        let at = "2026-11-20T08:00:00";
        arrived.add(&named("A-1", Some((at, "Send"))));
        arrived.add(&named("A-1", Some((at, "Send"))));
        arrived.add(&named("b-2", None));
        arrived.add(&named("b-2", Some((at, "Send"))));
        arrived.add(&named("only here", None));
        arrived.seal();
        assert_eq!(arrived.len(), 3);
        let mut look = |id: &str, details| arrived.look_up(&named(id, details));
        assert_eq!(look("a-1", Some(("2026-11-20T08:00:00.000Z", "SEND"))), Match::Arrived);
        assert_eq!(look("a-1", Some((at, "MailItemsAccessed"))), Match::Other);
        assert_eq!(look("a-1", None), Match::Arrived);
        assert_eq!(look("b-2", Some((at, "MailItemsAccessed"))), Match::Arrived);
        assert_eq!(look("c-3", Some((at, "Send"))), Match::Missing);
        assert_eq!(arrived.unknown(), 1);
        assert!(arrived.is_unknown("only here") && !arrived.is_unknown("B-2"));
    }

    #[test]
    fn many_that_come_again_take_room_once() {
        let mut arrived = Arrived::default();
        for round in 0..4 {
            for number in 0..SETTLE_MIN {
                arrived.add(&named(&format!("{number}"), None));
            }
            assert!(arrived.ids.keys.len() <= 3 * SETTLE_MIN, "{round}");
        }
        arrived.seal();
        assert_eq!(arrived.len(), SETTLE_MIN as u64);
    }
}
