//! What happens at which moment, in order. Knows nothing of what it is that happens.

use std::collections::BTreeMap;

/// Things that are to happen, by the millisecond; those of one moment in the order in which they
/// were entered.
#[derive(Debug)]
pub struct Agenda<T> {
    entries: BTreeMap<(i64, u64), T>,
    entered: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), entered: 0 }
    }
}

impl<T> Agenda<T> {
    /// Enters something for a moment.
    pub fn enter(&mut self, at_ms: i64, what: T) {
        self.entered += 1;
        self.entries.insert((at_ms, self.entered), what);
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_ms(&self) -> Option<i64> {
        self.entries.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// The next thing, if it has happened by then.
    pub fn pop_until(&mut self, now_ms: i64) -> Option<T> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now_ms).then(|| entry.remove())
    }

    /// Everything, in order; nothing is left.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.entries).into_values()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn what_happens_at_one_moment_keeps_its_order_and_nothing_comes_early() {
        let mut agenda = Agenda::default();
        for (at_ms, what) in [(20, "c"), (10, "a"), (10, "b"), (21, "d")] {
            agenda.enter(at_ms, what);
        }
        assert_eq!(agenda.next_ms(), Some(10));
        assert_eq!(agenda.pop_until(9), None);
        let popped: Vec<_> = std::iter::from_fn(|| agenda.pop_until(20)).collect();
        assert_eq!(popped, ["a", "b", "c"]);
        assert_eq!(agenda.take_all().collect::<Vec<_>>(), ["d"]);
        assert!(agenda.is_empty());
    }
}
