//! Published against delivered: pure bookkeeping, fed with what the simulator owes and what
//! arrived.
//!
//! Records that carry the same `Id` are one record: one of them is owed. What is delivered is told
//! by the blob it came from and by its canonical form, so a record that was changed on the way
//! counts as missing, and its changed form as unknown.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::canonical::{self, Identity};
use crate::simulator::CONTENT_TYPES;

/// One event as it arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The blob that it says it came from.
    pub(crate) content_id: Box<str>,
    /// Its record.
    pub(crate) identity: Identity,
    /// A line about it, for some.
    pub(crate) summary: Option<String>,
}

/// One record as it was published.
#[derive(Debug)]
pub(crate) struct Published {
    /// Its place in [`CONTENT_TYPES`].
    pub(crate) content_type: usize,
    content_id: Box<str>,
    index: u64,
    key: Box<str>,
    identity: Identity,
}

impl Published {
    /// Reads a line of `/_sim/owed?records=1`.
    ///
    /// # Errors
    /// It is not as documented.
    pub(crate) fn parse(line: &Value) -> Result<Self> {
        let text = |name: &str| {
            line[name].as_str().with_context(|| format!("/_sim/owed names no {name}: {line}"))
        };
        let content_type = text("content_type")?;
        let known = CONTENT_TYPES.iter().position(|known| *known == content_type);
        Ok(Self {
            content_type: known.with_context(|| format!("{content_type} is published"))?,
            content_id: text("content_id")?.into(),
            index: line["index"].as_u64().context("/_sim/owed names no index")?,
            key: text("key")?.into(),
            identity: match line["record"].as_str() {
                Some(record) => canonical::of_json(record.as_bytes()),
                None => canonical::of_json(&STANDARD.decode(text("record_base64")?)?),
            },
        })
    }
}

/// A blob and a record of it.
type Place = (u128, Identity);

fn place(content_id: &str, identity: Identity) -> Place {
    (xxh3_128(content_id.as_bytes()), identity)
}

/// A record that is owed, in all its copies.
#[derive(Debug)]
struct Owed {
    content_type: usize,
    arrived: u64,
}

/// What is owed and what came.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    owed: Vec<Owed>,
    by_key: HashMap<Box<str>, usize>,
    by_place: HashMap<Place, Vec<usize>>,
    /// Equal records of one blob stand for each other, so only their number says what came.
    arrived: HashMap<Place, u64>,
    unknown: u64,
    rows: [Row; CONTENT_TYPES.len()],
    places: HashSet<(u128, u64)>,
}

/// The counts of a content type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Records that are owed.
    pub(crate) published: u64,
    /// Of these, how many came.
    pub(crate) delivered: u64,
    /// How many came again.
    pub(crate) duplicates: u64,
}

impl Row {
    /// Records that did not come.
    pub(crate) const fn missing(self) -> u64 {
        self.published - self.delivered
    }
}

impl Tally {
    /// Adds a record that is owed; one that was added before changes nothing.
    pub(crate) fn owe(&mut self, published: Published) {
        let Published { content_type, content_id, index, key, identity } = published;
        if !self.places.insert((xxh3_128(content_id.as_bytes()), index)) {
            return;
        }
        let next = self.owed.len();
        let index = *self.by_key.entry(key).or_insert(next);
        if index == next {
            self.owed.push(Owed { content_type, arrived: 0 });
            self.rows[content_type].published += 1;
        }
        let place = place(&content_id, identity);
        let indices = self.by_place.entry(place).or_default();
        indices.push(index);
        // It came before it was known to be owed.
        if let Some(early) = self.arrived.remove(&place) {
            self.unknown -= early;
            for _ in 0..early {
                self.count(place);
            }
        }
    }

    /// Counts an event.
    pub(crate) fn arrive(&mut self, arrival: &Arrival) {
        self.count(place(&arrival.content_id, arrival.identity));
    }

    fn count(&mut self, place: Place) {
        let indices = self.by_place.get(&place).map(Vec::as_slice).unwrap_or_default();
        match indices.iter().copied().min_by_key(|index| self.owed[*index].arrived) {
            Some(index) => {
                let owed = &mut self.owed[index];
                owed.arrived += 1;
                let row = &mut self.rows[owed.content_type];
                if owed.arrived == 1 {
                    row.delivered += 1;
                } else {
                    row.duplicates += 1;
                }
            }
            None => {
                self.unknown += 1;
                *self.arrived.entry(place).or_default() += 1;
            }
        }
    }

    /// The counts, in the order of [`CONTENT_TYPES`].
    pub(crate) const fn rows(&self) -> &[Row; CONTENT_TYPES.len()] {
        &self.rows
    }

    /// The counts of all content types together.
    pub(crate) fn total(&self) -> Row {
        let sum = |count: fn(&Row) -> u64| self.rows.iter().map(count).sum();
        Row {
            published: sum(|row| row.published),
            delivered: sum(|row| row.delivered),
            duplicates: sum(|row| row.duplicates),
        }
    }

    /// Events that match nothing that is owed.
    pub(crate) const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Whether every record that is owed came.
    pub(crate) fn is_complete(&self) -> bool {
        self.total().missing() == 0
    }

    /// Keys of records that did not come, at most so many.
    pub(crate) fn missing_keys(&self, max: usize) -> Vec<&str> {
        let by_index: BTreeMap<usize, &str> =
            self.by_key.iter().map(|(key, index)| (*index, &**key)).collect();
        let missing = by_index.into_iter().filter(|(index, _)| self.owed[*index].arrived == 0);
        missing.map(|(_, key)| key).take(max).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(content_id: &str, index: u64, key: &str, record: &str) -> Published {
        let line = serde_json::json!({
            "content_type": "DLP.All",
            "content_id": content_id,
            "index": index,
            "key": key,
            "record": record,
        });
        Published::parse(&line).unwrap()
    }

    fn arrival(content_id: &str, record: &str) -> Arrival {
        let identity = canonical::of_json(record.as_bytes());
        Arrival { content_id: content_id.into(), identity, summary: None }
    }

    #[test]
    fn copies_are_one_record_and_changes_are_unknown() {
        let mut tally = Tally::default();
        for line in [
            owed("a", 0, "1", "{\"Id\":1}"),
            owed("b", 0, "1", "{\"Id\":1,\"x\":2}"),
            owed("b", 1, "2", "{}"),
            owed("b", 2, "3", "{}"),
            owed("b", 2, "3", "{}"),
        ] {
            tally.owe(line);
        }
        tally.arrive(&arrival("b", "{ \"Id\": 1, \"x\": 2 }"));
        tally.arrive(&arrival("a", "{\"Id\":1}"));
        tally.arrive(&arrival("b", "{}"));
        tally.arrive(&arrival("b", "{\"Id\":2}"));
        assert_eq!(tally.total(), Row { published: 3, delivered: 2, duplicates: 1 });
        assert_eq!((tally.unknown(), tally.missing_keys(5)), (1, vec!["3"]));
        tally.arrive(&arrival("b", "{}"));
        assert!(tally.is_complete());
    }

    #[test]
    fn what_came_before_it_was_known_counts() {
        let mut tally = Tally::default();
        tally.arrive(&arrival("a", "{}"));
        assert_eq!(tally.unknown(), 1);
        tally.owe(owed("a", 0, "1", "{}"));
        assert_eq!(tally.unknown(), 0);
        assert!(tally.is_complete());
        assert_eq!(tally.rows()[4], Row { published: 1, delivered: 1, duplicates: 0 });
    }
}
