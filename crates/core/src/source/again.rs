//! Hours of one feed that are being delivered once more. What the host was given of them before
//! counts for nothing; what it is given now is left out when it comes again meanwhile.

use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;
use crate::contract::state::{self, Changes, StateError, Stored};
use crate::source::keys::LaneKeys;
use crate::source::revision::{Novelty, Revision, Revisions};

/// Records that were given again and are remembered at the most. Beyond it one may come twice.
const GIVEN_MAX: usize = 100_000;

/// The account of one feed.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    key: String,
    hours: IntervalSet,
    changed: bool,
    given: Revisions,
}

impl Again {
    pub(crate) fn load(keys: &LaneKeys, stored: &Stored) -> Result<Self, StateError> {
        let key = keys.again();
        let pairs: Vec<(i64, i64)> = match stored.get(&key) {
            Some(value) => state::decode(&key, value)?,
            None => Vec::new(),
        };
        let interval = |(start, end): (i64, i64)| {
            Interval::new(Utc::from_millis(start), Utc::from_millis(end))
        };
        let hours = pairs.into_iter().filter_map(interval).collect();
        Ok(Self { key, hours, changed: false, given: Revisions::default() })
    }

    /// What is being delivered once more.
    pub(crate) const fn hours(&self) -> &IntervalSet {
        &self.hours
    }

    pub(crate) fn open(&mut self, hours: Interval) {
        self.hours.insert(hours);
        self.changed = true;
    }

    /// All of an interval is delivered again, or cannot be any more.
    pub(crate) fn close(&mut self, interval: Interval) {
        if self.hours.iter().any(|open| open.start < interval.end && interval.start < open.end) {
            self.hours.forget(interval);
            self.changed = true;
            if self.hours.is_empty() {
                self.given = Revisions::default();
            }
        }
    }

    /// Whether what was created then is delivered once more.
    pub(crate) fn contains(&self, created: Utc) -> bool {
        self.hours.iter().any(|open| open.start <= created && created < open.end)
    }

    /// Whether a record is to be handed over once more; `None`: it is not of these hours.
    pub(crate) fn judge(&mut self, created: Utc, record: Revision) -> Option<Novelty> {
        self.contains(created).then(|| self.give(record))
    }

    /// The same of a record that is.
    pub(crate) fn give(&mut self, record: Revision) -> Novelty {
        let novelty = self.given.judge(record);
        if novelty != Novelty::Known && self.given.len() < GIVEN_MAX {
            self.given.insert(record);
        }
        novelty
    }

    /// The host has lost a record, and it will be emitted again.
    pub(crate) fn take_back(&mut self, record: Revision) {
        if !self.given.is_empty() {
            self.given.remove(record);
        }
    }

    /// Writes what has changed since the last time.
    pub(crate) fn flush(&mut self, changes: &mut Changes) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let pair = |open: Interval| (open.start.as_millis(), open.end.as_millis());
        let pairs: Vec<(i64, i64)> = self.hours.iter().map(pair).collect();
        match pairs.is_empty() {
            true => changes.delete(self.key.clone()),
            false => changes.put(self.key.clone(), state::encode(&pairs)),
        }
    }
}
