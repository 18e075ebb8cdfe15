//! Which activities the host was given. Those stored lately are remembered one and all, since the
//! same time is searched again and again; of older ones only the latest that were delivered, for a
//! page that is read twice.

use std::collections::VecDeque;

use super::plan::REACH;
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::state::{self, Changes, StateError, Stored};
use crate::source::keys::LaneKeys;
use crate::source::revision::{self, Novelty, Revision, Revisions};

/// Activities of the last hours that are remembered at most: 150 MB of memory. Beyond it, less is
/// searched again.
const RECENT_MAX: usize = 2_000_000;

/// A piece of what is remembered, as it is stored.
#[derive(Clone, Debug)]
struct Piece {
    number: u64,
    /// When the newest of them was stored.
    newest: Utc,
    activities: Vec<Revision>,
}

/// Pieces in the order in which they were stored, and how many activities there are in all of them.
#[derive(Clone, Debug, Default)]
struct Pieces {
    pieces: VecDeque<Piece>,
    activities: usize,
}

impl Pieces {
    fn push(&mut self, piece: Piece) {
        self.activities += piece.activities.len();
        self.pieces.push_back(piece);
    }

    fn first(&self) -> Option<&Piece> {
        self.pieces.front()
    }

    fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.activities -= piece.activities.len();
        Some(piece)
    }
}

/// Activities that the host has, or was given.
#[derive(Clone, Debug)]
pub(super) struct SeenActivities {
    /// How many of the older ones are remembered.
    capacity: usize,
    recent_max: usize,
    delivered: Revisions,
    undelivered: Revisions,
    recent: Pieces,
    older: Pieces,
    unstored: Vec<(Revision, Utc)>,
    next_piece: u64,
    /// Since when every activity that was delivered is remembered.
    since: Utc,
}

/// How many activities a stored piece holds: a time comes first.
pub(crate) fn remembered(value: &str) -> usize {
    value.split_once(' ').map_or(0, |(_, revisions)| revision::count(revisions))
}

/// The activities that a stored piece holds; `None` if it cannot be read.
pub(crate) fn keys_of(value: &str) -> Option<impl Iterator<Item = Key>> {
    let (_, revisions) = value.split_once(' ')?;
    Some(revision::decode(revisions)?.into_iter().map(Revision::key))
}

impl SeenActivities {
    pub(super) fn load(
        stored: &Stored,
        keys: &LaneKeys,
        capacity: usize,
    ) -> Result<Self, StateError> {
        let mut seen = Self {
            capacity,
            recent_max: RECENT_MAX,
            delivered: Revisions::default(),
            undelivered: Revisions::default(),
            recent: Pieces::default(),
            older: Pieces::default(),
            unstored: Vec::new(),
            next_piece: 0,
            since: Utc::MIN,
        };
        let found = keys.records_in(stored).map(|found| (found, false));
        for ((name, tail, value), recent) in
            found.chain(keys.recent_in(stored).map(|found| (found, true)))
        {
            let damaged = |problem| StateError::damaged(name, problem);
            let number = u64::from_str_radix(tail, 16).map_err(|_| damaged("not a number"))?;
            let parsed = value.split_once(' ').and_then(|(newest, keys)| {
                Some((Utc::from_millis(newest.parse().ok()?), revision::decode(keys)?))
            });
            let (newest, activities) = parsed.ok_or_else(|| damaged("not a list of keys"))?;
            for activity in &activities {
                seen.delivered.insert(*activity);
            }
            let pieces = if recent { &mut seen.recent } else { &mut seen.older };
            pieces.push(Piece { number, newest, activities });
            seen.next_piece = seen.next_piece.max(state::following(name, number)?);
        }
        Ok(seen)
    }

    /// Whether an activity is to be handed to the host, which then counts as done: not if one of
    /// its name that says the same was before.
    pub(super) fn emit(&mut self, activity: Revision) -> Novelty {
        let novelty = self.delivered.judge(activity).max(self.undelivered.judge(activity));
        if novelty != Novelty::Known {
            self.undelivered.insert(activity);
        }
        novelty
    }

    /// The host has taken these.
    pub(super) fn deliver(&mut self, activities: &[(Revision, Utc)]) {
        for (activity, created) in activities {
            self.undelivered.remove(*activity);
            if self.delivered.insert(*activity) {
                self.unstored.push((*activity, *created));
            }
        }
    }

    /// The host has not taken these, and they will be emitted again.
    pub(super) fn take_back(&mut self, activities: &[(Revision, Utc)]) {
        for (activity, _) in activities {
            self.undelivered.remove(*activity);
        }
    }

    /// Since when everything delivered is remembered, so that it can be searched again.
    pub(super) const fn since(&self) -> Utc {
        self.since
    }

    /// Writes what has changed, and forgets what is not searched again: what was stored long before
    /// `edge`, which is `now` or earlier.
    pub(super) fn flush(&mut self, changes: &mut Changes, keys: &LaneKeys, now: Utc, edge: Utc) {
        if !self.unstored.is_empty() {
            let unstored = std::mem::take(&mut self.unstored);
            let is_recent =
                |created| now - REACH <= created || (edge - REACH..edge).contains(&created);
            let (recent, older): (Vec<_>, Vec<_>) =
                unstored.into_iter().partition(|(_, created)| is_recent(*created));
            for (activities, is_recent) in [(recent, true), (older, false)] {
                let Some(newest) = activities.iter().map(|(_, created)| *created).max() else {
                    continue;
                };
                let number = self.next_piece;
                self.next_piece += 1;
                let piece: Vec<_> = activities.into_iter().map(|(activity, _)| activity).collect();
                let name = if is_recent { keys.recent(number) } else { keys.records(number) };
                let value = format!("{} {}", newest.as_millis(), revision::encode(&piece));
                changes.put(name, value);
                let pieces = if is_recent { &mut self.recent } else { &mut self.older };
                pieces.push(Piece { number, newest, activities: piece });
            }
        }
        while let Some(first) = self.recent.first() {
            let crowded = self.recent_max < self.recent.activities;
            if edge - REACH <= first.newest && !crowded {
                break;
            }
            if crowded {
                self.since = self.since.max(first.newest);
            }
            if let Some(piece) = self.recent.pop() {
                self.forget(&piece);
                changes.delete(keys.recent(piece.number));
            }
        }
        while self.capacity < self.older.activities
            && let Some(piece) = self.older.pop()
        {
            self.forget(&piece);
            changes.delete(keys.records(piece.number));
        }
    }

    fn forget(&mut self, piece: &Piece) {
        for activity in &piece.activities {
            self.delivered.remove(*activity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::feed::Feed;
    use crate::json::digest::Digest;
    use std::time::Duration;

    const fn activity(key: u128) -> Revision {
        Revision::new(Key(key), Digest(9))
    }

    struct Bench {
        seen: SeenActivities,
        stored: Stored,
        keys: LaneKeys,
    }

    impl Bench {
        fn new(capacity: usize) -> Self {
            let keys = LaneKeys::new(Feed::CloudAppActivities);
            let seen = SeenActivities::load(&Stored::new(), &keys, capacity).unwrap();
            Self { seen, stored: Stored::new(), keys }
        }

        fn deliver(&mut self, key: u128, created: Utc, now: Utc) {
            assert_eq!(self.seen.emit(activity(key)), Novelty::New);
            self.seen.deliver(&[(activity(key), created)]);
            let mut changes = Changes::default();
            self.seen.flush(&mut changes, &self.keys, now, now);
            changes.take().apply(&mut self.stored);
        }

        /// Which of `keys` are known after a restart.
        fn known(&self, keys: std::ops::Range<u128>) -> Vec<u128> {
            let mut seen = SeenActivities::load(&self.stored, &self.keys, 9).unwrap();
            keys.filter(|key| seen.emit(activity(*key)) == Novelty::Known).collect()
        }
    }

    #[test]
    fn activities_of_a_piece_are_counted_behind_its_time() {
        let piece = revision::encode(&[1, 2, 3].map(activity));
        assert_eq!(remembered(&format!("5 {piece}")), 3);
    }

    #[test]
    fn no_piece_follows_the_last() {
        let keys = LaneKeys::new(Feed::CloudAppActivities);
        let stored =
            Stored::from([(keys.records(u64::MAX), format!("5 {}", revision::encode(&[])))]);
        let read = SeenActivities::load(&stored, &keys, 9);
        assert!(matches!(read, Err(StateError::Damaged { .. })));
    }

    #[test]
    fn what_was_stored_lately_is_remembered_for_as_long_as_it_is_searched_again() {
        let mut bench = Bench::new(2);
        let now = Utc::from_millis(0) + REACH * 10;
        bench.deliver(1, now, now);
        for key in 2..6 {
            bench.deliver(key, now - REACH * 2, now);
        }
        assert_eq!(bench.known(0..9), [1, 4, 5], "of the older ones the last two");
        bench.deliver(6, now + REACH * 2, now + REACH * 2);
        assert_eq!(bench.known(0..9), [4, 5, 6]);
    }

    #[test]
    fn when_there_are_too_many_less_is_searched_again() {
        let mut bench = Bench::new(0);
        bench.seen.recent_max = 2;
        let now = Utc::from_millis(0) + REACH * 10;
        for key in 0..3_u32 {
            bench.deliver(key.into(), now + Duration::from_secs(1) * key, now);
        }
        assert_eq!(bench.known(0..9), [1, 2]);
        assert_eq!(bench.seen.since(), now);
    }

    #[test]
    fn what_is_forgotten_is_new_again_without_a_restart() {
        let mut bench = Bench::new(1);
        let now = Utc::from_millis(0) + REACH * 10;
        for key in 1..=2 {
            bench.deliver(key, now - REACH * 2, now);
        }
        assert_eq!(bench.seen.emit(activity(1)), Novelty::New, "beyond the capacity");
        assert_eq!(bench.seen.emit(activity(2)), Novelty::Known);
    }

    #[test]
    fn what_is_stored_after_a_restart_replaces_nothing_from_before() {
        let mut bench = Bench::new(9);
        let now = Utc::from_millis(0) + REACH * 10;
        bench.deliver(1, now, now);
        bench.deliver(2, now - REACH * 2, now);
        for key in [3, 4] {
            bench.seen = SeenActivities::load(&bench.stored, &bench.keys, 9).unwrap();
            bench.deliver(key, now, now);
        }
        assert_eq!(bench.known(0..9), [1, 2, 3, 4]);
    }

    #[test]
    fn what_lies_before_the_edge_of_what_is_searched_is_recent_too() {
        let mut bench = Bench::new(0);
        let edge = Utc::from_millis(0) + REACH * 10;
        let second = Duration::from_secs(1);
        for (key, created) in [(1, edge - REACH), (2, edge - second), (3, edge - REACH - second)] {
            bench.seen.deliver(&[(activity(key), created)]);
            let mut changes = Changes::default();
            bench.seen.flush(&mut changes, &bench.keys, edge + REACH * 5, edge);
            changes.take().apply(&mut bench.stored);
        }
        assert_eq!(bench.known(0..9), [1, 2]);
    }

    #[test]
    fn what_the_host_lost_may_be_emitted_again() {
        let mut bench = Bench::new(0);
        assert_eq!(bench.seen.emit(activity(1)), Novelty::New);
        assert_eq!(bench.seen.emit(activity(1)), Novelty::Known);
        bench.seen.take_back(&[(activity(1), Utc::MIN)]);
        assert_eq!(bench.seen.emit(activity(1)), Novelty::New);
    }

    #[test]
    fn what_was_stored_without_what_it_says_is_read() {
        let mut bench = Bench::new(0);
        let (now, other) = (Utc::from_millis(0) + REACH * 10, Revision::new(Key(1), Digest(8)));
        bench.deliver(1, now, now);
        assert_eq!(bench.seen.emit(other), Novelty::Revised);
        for value in bench.stored.values_mut() {
            // As it was before: without the digests behind the last blank.
            value.truncate(value.rfind(' ').unwrap());
        }
        let mut seen = SeenActivities::load(&bench.stored, &bench.keys, 9).unwrap();
        assert_eq!(seen.emit(other), Novelty::Known);
    }
}
