//! What was delivered before: contents by their id, and the latest records by theirs. Both survive
//! a restart; both are bounded, contents by retention and records by number.

use std::collections::VecDeque;

use crate::base::flat_map::FlatMap;
use crate::base::interval::Interval;
use crate::base::key::{self, Key, KeySet};
use crate::base::time::Utc;
use crate::contract::state::{self, Changes, StateError, Stored};
use crate::source::keys::LaneKeys;
use crate::source::revision::{self, Novelty, Revision, Revisions};

/// Content ids are kept this long after the content was created: longer than Microsoft lists it.
const KEPT_HOURS: i64 = 8 * 24;

/// Contents that need not be read again.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenContents {
    set: KeySet,
    /// By the hour of their creation, as they are stored.
    hours: FlatMap<i64, Vec<Key>>,
    changed: FlatMap<i64, ()>,
}

impl SeenContents {
    pub(crate) fn load(stored: &Stored, keys: &LaneKeys) -> Result<Self, StateError> {
        let mut seen = Self::default();
        for (name, tail, value) in keys.seen_in(stored) {
            let damaged = |problem| StateError::damaged(name, problem);
            let hour = tail.parse().map_err(|_| damaged("not an hour"))?;
            let keys = key::decode(value).ok_or_else(|| damaged("not a list of keys"))?;
            seen.set.extend(keys.iter().copied());
            seen.hours.insert(hour, keys);
        }
        Ok(seen)
    }

    pub(crate) fn contains(&self, key: Key) -> bool {
        self.set.contains(&key)
    }

    /// The end of the last hour of which a content is remembered.
    pub(crate) fn newest(&self) -> Option<Utc> {
        let (hour, _) = self.hours.last()?;
        Some(Utc::from_millis(hour.saturating_add(1).saturating_mul(3_600_000)))
    }

    pub(crate) fn insert(&mut self, key: Key, created: Utc) {
        if self.set.insert(key) {
            self.hours.get_or_insert_with(created.hour(), Vec::new).push(key);
            self.changed.insert(created.hour(), ());
        }
    }

    /// Forgets the contents of whole hours, so that they are read again.
    pub(crate) fn forget(&mut self, hours: Interval, changes: &mut Changes, keys: &LaneKeys) {
        let last = Utc::from_millis(hours.end.as_millis() - 1).hour();
        for hour in hours.start.hour()..=last {
            let Some(bucket) = self.hours.remove(&hour) else { continue };
            changes.delete(keys.seen(hour));
            for key in bucket {
                self.set.remove(&key);
            }
        }
    }

    /// Writes what has changed, and forgets what Microsoft has forgotten. `now` is Microsoft's time
    /// and `local` that of this machine. Either may be wrong, so the earlier one counts; but not
    /// one before the newest content: a local clock that is years back would have all kept for
    /// years.
    pub(crate) fn flush(&mut self, changes: &mut Changes, keys: &LaneKeys, now: Utc, local: Utc) {
        let newest = self.hours.last().map_or(i64::MIN, |(hour, _)| *hour);
        let hour = now.hour().min(local.hour().max(newest));
        for (hour, ()) in std::mem::take(&mut self.changed).into_entries() {
            if let Some(bucket) = self.hours.get(&hour) {
                changes.put(keys.seen(hour), key::encode(bucket));
            }
        }
        let first_kept = hour - KEPT_HOURS;
        while self.hours.first().is_some_and(|(hour, _)| *hour < first_kept)
            && let Some((hour, bucket)) = self.hours.pop_first()
        {
            changes.delete(keys.seen(hour));
            for key in bucket {
                self.set.remove(&key);
            }
        }
    }
}

/// The latest records, for recognising those that come again in other contents.
#[derive(Clone, Debug)]
pub(crate) struct SeenRecords {
    capacity: usize,
    delivered: Revisions,
    /// Handed to the host; what becomes of them is not known yet.
    undelivered: Revisions,
    /// `delivered` in the order of delivery, in the pieces in which it is stored.
    pieces: VecDeque<(u64, Vec<Revision>)>,
    /// Delivered, and not stored yet.
    unstored: Vec<Revision>,
    next_piece: u64,
}

/// How many records a stored piece holds.
pub(crate) fn remembered(value: &str) -> usize {
    revision::count(value)
}

impl SeenRecords {
    pub(crate) fn load(
        stored: &Stored,
        keys: &LaneKeys,
        capacity: usize,
    ) -> Result<Self, StateError> {
        let mut seen = Self {
            capacity,
            delivered: Revisions::default(),
            undelivered: Revisions::default(),
            pieces: VecDeque::new(),
            unstored: Vec::new(),
            next_piece: 0,
        };
        for (name, tail, value) in keys.records_in(stored) {
            let damaged = |problem| StateError::damaged(name, problem);
            let piece = u64::from_str_radix(tail, 16).map_err(|_| damaged("not a number"))?;
            let records = revision::decode(value).ok_or_else(|| damaged("not a list of keys"))?;
            for record in &records {
                seen.delivered.insert(*record);
            }
            seen.pieces.push_back((piece, records));
            seen.next_piece = state::following(name, piece)?;
        }
        Ok(seen)
    }

    /// Whether nothing is remembered at all.
    pub(crate) const fn is_off(&self) -> bool {
        self.capacity == 0
    }

    /// Whether a record is to be handed to the host, which then counts as done: not if one of its
    /// name that says the same was before.
    pub(crate) fn emit(&mut self, record: Revision) -> Novelty {
        let novelty = self.delivered.judge(record).max(self.undelivered.judge(record));
        if novelty != Novelty::Known {
            self.undelivered.insert(record);
        }
        novelty
    }

    /// The host has taken these records.
    pub(crate) fn deliver(&mut self, records: &[Revision]) {
        for record in records {
            self.undelivered.remove(*record);
            if self.delivered.insert(*record) {
                self.unstored.push(*record);
            }
        }
    }

    /// The host has not taken these records, and they will be emitted again.
    pub(crate) fn take_back(&mut self, records: &[Revision]) {
        for record in records {
            self.undelivered.remove(*record);
        }
    }

    /// Writes what has changed, and forgets the oldest beyond the capacity.
    pub(crate) fn flush(&mut self, changes: &mut Changes, keys: &LaneKeys) {
        if !self.unstored.is_empty() {
            let piece = std::mem::take(&mut self.unstored);
            changes.put(keys.records(self.next_piece), revision::encode(&piece));
            self.pieces.push_back((self.next_piece, piece));
            self.next_piece += 1;
        }
        while self.delivered.len() > self.capacity {
            let Some((number, piece)) = self.pieces.pop_front() else { break };
            changes.delete(keys.records(number));
            for record in piece {
                self.delivered.remove(record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::feed::{ContentType, Feed};
    use crate::json::digest::Digest;
    use std::time::Duration;

    fn keys() -> LaneKeys {
        LaneKeys::new(Feed::Audit(ContentType::AuditGeneral))
    }

    #[test]
    fn seen_contents_survive_and_are_forgotten_after_retention() {
        let day = Duration::from_secs(86_400);
        let created = Utc::from_millis(0) + day * 100;
        let mut seen = SeenContents::default();
        seen.insert(Key(7), created);
        let (mut changes, mut stored) = (Changes::default(), Stored::new());
        seen.flush(&mut changes, &keys(), created, created);
        changes.take().apply(&mut stored);
        let mut seen = SeenContents::load(&stored, &keys()).unwrap();
        assert!(seen.contains(Key(7)) && !seen.contains(Key(8)));
        seen.flush(&mut changes, &keys(), created + day * 9, created + day * 9);
        changes.take().apply(&mut stored);
        assert!(!seen.contains(Key(7)));
        assert!(stored.is_empty());
    }

    #[test]
    fn a_content_is_remembered_for_eight_days_to_the_hour() {
        let hour = Duration::from_secs(3_600);
        let created = Utc::from_millis(0) + hour * 1_000 + Duration::from_secs(5);
        let mut seen = SeenContents::default();
        assert_eq!(seen.newest(), None);
        seen.insert(Key(7), created);
        assert_eq!(seen.newest(), Some(Utc::from_millis(0) + hour * 1_001));
        for (hours, remembered) in [(8 * 24, true), (8 * 24 + 1, false)] {
            let now = created + hour * hours;
            seen.flush(&mut Changes::default(), &keys(), now, now);
            assert_eq!(seen.contains(Key(7)), remembered, "after {hours} hours");
        }
    }

    #[test]
    fn what_is_stored_after_a_restart_replaces_nothing_from_before() {
        let mut stored = Stored::new();
        let record = |key| Revision::new(Key(key), Digest(9));
        for key in 1..=4 {
            let mut seen = SeenRecords::load(&stored, &keys(), 3).unwrap();
            assert!(!seen.is_off());
            assert_eq!(seen.emit(record(key)), Novelty::New);
            seen.deliver(&[record(key)]);
            let mut changes = Changes::default();
            seen.flush(&mut changes, &keys());
            changes.take().apply(&mut stored);
        }
        let mut seen = SeenRecords::load(&stored, &keys(), 3).unwrap();
        assert_eq!([2, 3, 4].map(|key| seen.emit(record(key))), [Novelty::Known; 3]);
        assert_eq!(seen.emit(record(1)), Novelty::New, "beyond the capacity");
        assert!(SeenRecords::load(&stored, &keys(), 0).unwrap().is_off());
    }

    #[test]
    fn neither_clock_alone_decides_what_is_forgotten() {
        let day = Duration::from_secs(86_400);
        let created = Utc::from_millis(0) + day * 10_000;
        let forgets = |now: Utc, local: Utc, others: &[Utc]| {
            let mut seen = SeenContents::default();
            seen.insert(Key(7), created);
            for (key, other) in others.iter().enumerate() {
                seen.insert(Key(100 + key as u128), *other);
            }
            seen.flush(&mut Changes::default(), &keys(), now, local);
            !seen.contains(Key(7))
        };
        let later = created + day * 9;
        let years = day * 3_000;
        assert!(forgets(later, later, &[]));
        assert!(!forgets(later + years, created + day, &[]), "a stranger's date");
        assert!(!forgets(created + day, later + years, &[]));
        // A local clock that is years back, once there is content that tells.
        assert!(!forgets(later, created - years, &[]));
        assert!(forgets(later, created - years, &[later]));
        // Content that claims to be of the future does not count further than Microsoft's time.
        assert!(!forgets(created + day, created - years, &[later + years]));
    }

    #[test]
    fn records_count_as_seen_only_once_delivered_and_up_to_the_capacity() {
        let mut seen = SeenRecords::load(&Stored::new(), &keys(), 2).unwrap();
        let (mut changes, mut stored) = (Changes::default(), Stored::new());
        let record = |key| Revision::new(Key(key), Digest(9));
        assert_eq!(seen.emit(record(1)), Novelty::New);
        assert_eq!(seen.emit(record(1)), Novelty::Known);
        seen.take_back(&[record(1)]);
        for record in [1, 2, 3].map(record) {
            assert_eq!(seen.emit(record), Novelty::New);
            seen.deliver(&[record]);
            seen.flush(&mut changes, &keys());
            changes.take().apply(&mut stored);
        }
        assert_eq!(stored.len(), 2);
        let mut seen = SeenRecords::load(&stored, &keys(), 2).unwrap();
        assert_eq!(seen.emit(record(1)), Novelty::New, "the oldest is forgotten");
        assert_eq!([2, 3].map(|key| seen.emit(record(key))), [Novelty::Known; 2]);
    }

    #[test]
    fn a_record_that_says_something_else_is_none_that_was_there() {
        let mut seen = SeenRecords::load(&Stored::new(), &keys(), 9).unwrap();
        let (mut changes, mut stored) = (Changes::default(), Stored::new());
        let record = |digest| Revision::new(Key(1), Digest(digest));
        let novelties = [5, 6, 5, 7, 6].map(|digest| seen.emit(record(digest)));
        let (new, revised, known) = (Novelty::New, Novelty::Revised, Novelty::Known);
        assert_eq!(novelties, [new, revised, known, revised, known]);
        seen.deliver(&[5, 6, 7].map(record));
        seen.flush(&mut changes, &keys());
        changes.take().apply(&mut stored);
        let mut seen = SeenRecords::load(&stored, &keys(), 9).unwrap();
        assert_eq!(
            [5, 6, 7, 8].map(|digest| seen.emit(record(digest))),
            [known, known, known, revised]
        );
    }

    #[test]
    fn records_of_a_piece_are_counted_with_what_they_say_and_without() {
        let record = |key| Revision::new(Key(key), Digest(9));
        assert_eq!(remembered(&revision::encode(&[1, 2, 3].map(record))), 3);
        assert_eq!(remembered(&key::encode(&[Key(1), Key(2)])), 2);
    }

    #[test]
    fn no_piece_follows_the_last() {
        let stored = Stored::from([(keys().records(u64::MAX), key::encode(&[Key(1)]))]);
        assert!(matches!(SeenRecords::load(&stored, &keys(), 9), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn records_that_were_stored_without_what_they_say_are_read() {
        let stored = Stored::from([(keys().records(3), key::encode(&[Key(1), Key(2)]))]);
        let mut seen = SeenRecords::load(&stored, &keys(), 9).unwrap();
        let record = |key| Revision::new(Key(key), Digest(9));
        let novelties = [1, 2, 3].map(|key| seen.emit(record(key)));
        assert_eq!(novelties, [Novelty::Known, Novelty::Known, Novelty::New]);
    }
}
