//! Records as they are remembered: which one it is, and what it says. So a record that comes again
//! is told from one that has the same name and says something else.
//!
//! Not by its name alone: records that share one and differ would be lost, and a duplicate is a
//! nuisance while a loss is not. Not by its bytes: nobody knows which serialiser writes a record
//! the second time, so what it says is a digest in which the order of members, white space and
//! escapes do not count.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::base::key::{self, AlreadyHashed, Key};
use crate::json::digest::Digest;

/// One form of one record. In three words: there may be millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Revision {
    name: Name,
    digest: Digest,
}

/// A key in two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    high: u64,
    low: u64,
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

impl Revision {
    #[expect(clippy::cast_possible_truncation, reason = "its two halves are what is wanted")]
    pub(crate) const fn new(key: Key, digest: Digest) -> Self {
        Self { name: Name { high: (key.0 >> 64) as u64, low: key.0 as u64 }, digest }
    }

    /// Which record it is.
    pub(crate) const fn key(self) -> Key {
        Key((self.name.high as u128) << 64 | self.name.low as u128)
    }
}

/// Whether a record was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Novelty {
    /// It was not.
    New,
    /// One of its name was, and said something else.
    Revised,
    /// It was, and said the same.
    Known,
}

/// A set of revisions. Nearly every record has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revisions {
    first: HashMap<Name, Digest, BuildHasherDefault<AlreadyHashed>>,
    /// Of records that have several, those that are not in `first`.
    more: BTreeSet<Revision>,
}

impl Revisions {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// What `revision` would be to these. Of which nobody noted what it says, it says the same as
    /// any other of its name.
    pub(crate) fn judge(&self, revision: Revision) -> Novelty {
        let digests = [revision.digest, Digest::UNKNOWN];
        match self.first.get(&revision.name) {
            None => Novelty::New,
            Some(first) if digests.contains(first) => Novelty::Known,
            Some(_) if self.has_more(revision.name, &digests) => Novelty::Known,
            Some(_) => Novelty::Revised,
        }
    }

    fn has_more(&self, name: Name, digests: &[Digest]) -> bool {
        digests.iter().any(|digest| self.more.contains(&Revision { name, digest: *digest }))
    }

    /// Whether it was not in.
    pub(crate) fn insert(&mut self, revision: Revision) -> bool {
        match self.first.entry(revision.name) {
            Entry::Vacant(entry) => {
                entry.insert(revision.digest);
                true
            }
            Entry::Occupied(entry) => *entry.get() != revision.digest && self.more.insert(revision),
        }
    }

    pub(crate) fn remove(&mut self, revision: Revision) {
        let Revision { name, digest } = revision;
        if self.more.remove(&revision) || self.first.get(&name) != Some(&digest) {
            return;
        }
        let all =
            Revision { name, digest: Digest(0) }..=Revision { name, digest: Digest(u64::MAX) };
        match self.more.range(all).next().copied() {
            Some(next) => {
                self.more.remove(&next);
                self.first.insert(name, next.digest);
            }
            None => {
                self.first.remove(&name);
            }
        }
    }
}

/// Revisions as they are stored: the keys in base64, a blank, the digests in base64. Without
/// digests, as it was before there were any, nobody knows what those records said. `None` if it is
/// neither.
pub(crate) fn decode(text: &str) -> Option<Vec<Revision>> {
    let Some((keys, digests)) = text.split_once(' ') else {
        let known = key::decode(text)?.into_iter();
        return Some(known.map(|key| Revision::new(key, Digest::UNKNOWN)).collect());
    };
    let keys = key::decode(keys)?;
    let bytes = STANDARD_NO_PAD.decode(digests).ok()?;
    let (digests, rest) = bytes.as_chunks::<8>();
    let digests = digests.iter().map(|digest| Digest(u64::from_le_bytes(*digest)));
    let sound = rest.is_empty() && digests.len() == keys.len();
    sound.then(|| keys.into_iter().zip(digests).map(|(k, d)| Revision::new(k, d)).collect())
}

/// How many revisions `text` holds, as [`decode`] reads it: by the length of their keys.
pub(crate) fn count(text: &str) -> usize {
    key::count(text.split_once(' ').map_or(text, |(keys, _)| keys))
}

/// The reverse of [`decode`].
pub(crate) fn encode(revisions: &[Revision]) -> String {
    let keys: Vec<Key> = revisions.iter().map(|revision| revision.key()).collect();
    let digests = revisions.iter().flat_map(|revision| revision.digest.0.to_le_bytes());
    let digests: Vec<u8> = digests.collect();
    format!("{} {}", key::encode(&keys), STANDARD_NO_PAD.encode(&digests))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    fn revision(key: u128, digest: u64) -> Revision {
        Revision::new(Key(key), Digest(digest))
    }

    #[test]
    fn revisions_are_stored_beside_their_keys_and_read_without() {
        let all = [revision(1 << 100 | 7, 9), revision(u128::MAX, u64::MAX), revision(0, 1)];
        assert_eq!(decode(&encode(&all)), Some(all.to_vec()));
        assert_eq!(encode(&all[..1]), "BwAAAAAAAAAAAAAAEAAAAA CQAAAAAAAAA");
        assert_eq!(decode(&encode(&[])), Some(Vec::new()));
        assert_eq!(decode("BwAAAAAAAAAAAAAAEAAAAA"), Some(vec![revision(1 << 100 | 7, 0)]));
        for text in
            ["BwAAAAAAAAAAAAAAEAAAAA ", "BwAAAAAAAAAAAAAAEAAAAA CQAAAAAAAA", " CQAAAAAAAAA", "x"]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn revisions_are_counted_with_their_digests_and_without() {
        for count_of in [0, 1, 2, 3, 1_000] {
            let all: Vec<_> = (0..count_of).map(|key| revision(key, 9)).collect();
            let keys: Vec<_> = all.iter().map(|revision| revision.key()).collect();
            assert_eq!((count(&encode(&all)), count(&key::encode(&keys))), (all.len(), all.len()));
        }
    }

    #[test]
    fn records_are_spread_by_the_low_half_of_their_keys() {
        let hasher = BuildHasherDefault::<AlreadyHashed>::default();
        assert_eq!(hasher.hash_one(revision(7 << 64 | 5, 9).name), 5);
    }

    #[test]
    fn what_nobody_noted_says_the_same_as_any_other() {
        let mut all = Revisions::default();
        all.insert(revision(1, 0));
        assert_eq!(all.judge(revision(1, 5)), Novelty::Known);
        all.insert(revision(2, 5));
        assert_eq!(all.judge(revision(2, 6)), Novelty::Revised);
        all.insert(revision(2, 0));
        assert_eq!(all.judge(revision(2, 6)), Novelty::Known);
        assert_eq!(all.judge(revision(3, 6)), Novelty::New);
    }

    proptest! {
        #[test]
        fn they_behave_as_a_set(
            steps in prop::collection::vec((any::<bool>(), 0_u128..3, 1_u64..4), 0..60),
        ) {
            let (mut all, mut model) = (Revisions::default(), BTreeSet::new());
            for (insert, key, digest) in steps {
                let known = model.contains(&(key, digest));
                let named = model.iter().any(|(other, _)| *other == key);
                let novelty = match (named, known) {
                    (_, true) => Novelty::Known,
                    (true, false) => Novelty::Revised,
                    (false, false) => Novelty::New,
                };
                prop_assert_eq!(all.judge(revision(key, digest)), novelty);
                if insert {
                    prop_assert_eq!(all.insert(revision(key, digest)), model.insert((key, digest)));
                } else {
                    all.remove(revision(key, digest));
                    model.remove(&(key, digest));
                }
                prop_assert_eq!(all.len(), model.len());
            }
        }
    }
}
