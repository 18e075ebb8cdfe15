//! A map that is a list in the order of its keys: for what some hundreds bound, or what grows at
//! its end. A tree brings several kilobytes of code along for each pair of types that it is used
//! with, and the component's hosts compile that at each start.

/// A map of few entries, or of such as come in their order.
#[derive(Clone, Debug)]
pub(crate) struct FlatMap<K, V> {
    /// In the order of the keys, each of which stands here once.
    entries: Vec<(K, V)>,
}

impl<K, V> Default for FlatMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> FlatMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord, V> FlatMap<K, V> {
    /// Where a key stands; if nowhere, where it belongs.
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| known.cmp(key))
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|at| &self.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|at| &mut self.entries[at].1)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Doubling its room as a list does would leave half of it unused, in each of the many maps
    /// that thousands of tenants have.
    fn put(&mut self, at: usize, entry: (K, V)) {
        const ROOM_MIN: usize = 4;
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(ROOM_MIN.max(self.entries.len() / 8));
        }
        self.entries.insert(at, entry);
    }

    /// Puts a value in, in the place of the one of its key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => self.entries[at].1 = value,
            Err(at) => self.put(at, (key, value)),
        }
    }

    /// The value of a key, which is made if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.place(&key) {
            Ok(at) => at,
            Err(at) => {
                self.put(at, (key, make()));
                at
            }
        };
        &mut self.entries[at].1
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.place(key).ok().map(|at| self.entries.remove(at).1)
    }

    /// Takes the least key out.
    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.entries.is_empty()).then(|| self.entries.remove(0))
    }

    pub(crate) fn first(&self) -> Option<&(K, V)> {
        self.entries.first()
    }

    pub(crate) fn last(&self) -> Option<&(K, V)> {
        self.entries.last()
    }

    /// What stands at this key and behind it.
    pub(crate) fn since(&self, key: &K) -> &[(K, V)] {
        let (Ok(at) | Err(at)) = self.place(key);
        &self.entries[at..]
    }

    /// The same, the keys alone.
    pub(crate) fn keys_since(&self, key: &K) -> impl Iterator<Item = &K> {
        self.since(key).iter().map(|(key, _)| key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    pub(crate) fn into_entries(self) -> Vec<(K, V)> {
        self.entries
    }

    /// Takes out what is not to be kept, and gives back the room of it if that was most.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to_fit();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_has_little_room_that_it_does_not_use() {
        let mut flat = FlatMap::default();
        for key in 0..1_000 {
            flat.insert(key, key);
            let (used, room) = (flat.len(), flat.entries.capacity());
            assert!(room <= used + used / 8 + 4, "{room} for {used}");
        }
        flat.retain(|key, _| *key < 10);
        assert!(flat.entries.capacity() < 100);
        flat.retain(|_, _| false);
        assert_eq!(flat.entries.capacity(), 0);
    }

    proptest! {
        /// Whatever is done to it: it says what a tree says.
        #[test]
        fn it_is_a_tree_but_for_the_code(deeds in prop::collection::vec((0..6u8, 0..12u8), 0..60)) {
            let (mut flat, mut tree) = (FlatMap::default(), BTreeMap::new());
            for (at, (deed, key)) in deeds.into_iter().enumerate() {
                match deed {
                    0 | 1 => {
                        flat.insert(key, at);
                        tree.insert(key, at);
                    }
                    2 => {
                        *flat.get_or_insert_with(key, || at) += 1;
                        *tree.entry(key).or_insert(at) += 1;
                    }
                    3 => prop_assert_eq!(flat.remove(&key), tree.remove(&key)),
                    4 => prop_assert_eq!(flat.pop_first(), tree.pop_first()),
                    _ => {
                        flat.retain(|known, _| *known != key);
                        tree.retain(|known, _| *known != key);
                    }
                }
                prop_assert!(flat.iter().eq(tree.iter()));
                prop_assert_eq!(flat.get(&key), tree.get(&key));
                prop_assert_eq!(flat.contains_key(&key), tree.contains_key(&key));
                let since = tree.range(key..).map(|(key, _)| key);
                prop_assert!(flat.keys_since(&key).eq(since));
                let (first, last) = (flat.first().copied(), flat.last().copied());
                let owned = |(key, value): (&u8, &usize)| (*key, *value);
                prop_assert_eq!(first, tree.first_key_value().map(owned));
                prop_assert_eq!(last, tree.last_key_value().map(owned));
                prop_assert_eq!((flat.len(), flat.is_empty()), (tree.len(), tree.is_empty()));
            }
        }
    }
}
