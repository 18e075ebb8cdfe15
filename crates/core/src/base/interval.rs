//! Sets of half-open intervals of time: what has been listed, and what has not.

use crate::base::time::Utc;

/// `start <= moment < end`. Never empty.
///
/// Half-open like Microsoft's windows (`startTime` inclusive, `endTime` exclusive), so that
/// windows touch without overlapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    pub start: Utc,
    pub end: Utc,
}

impl Interval {
    /// The interval between two moments; `None` if there is nothing between them.
    pub(crate) fn new(start: Utc, end: Utc) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }
}

/// Disjoint intervals in order, none touching the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet(Vec<Interval>);

impl IntervalSet {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Interval> + '_ {
        self.0.iter().copied()
    }

    /// Adds `added`, merging what it overlaps or touches.
    pub(crate) fn insert(&mut self, added: Interval) {
        let from = self.0.partition_point(|interval| interval.end < added.start);
        let to = self.0.partition_point(|interval| interval.start <= added.end);
        let mut merged = added;
        for interval in &self.0[from..to] {
            merged.start = merged.start.min(interval.start);
            merged.end = merged.end.max(interval.end);
        }
        self.0.splice(from..to, [merged]);
    }

    /// The parts of `range` that are not in the set, oldest first.
    pub(crate) fn gaps(&self, range: Interval) -> Vec<Interval> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        let from = self.0.partition_point(|interval| interval.end <= range.start);
        for interval in self.0[from..].iter().take_while(|interval| interval.start < range.end) {
            gaps.extend(Interval::new(at, interval.start));
            at = interval.end;
        }
        gaps.extend(Interval::new(at, range.end));
        gaps
    }

    /// Forgets everything before `moment`.
    pub(crate) fn forget_before(&mut self, moment: Utc) {
        self.0.retain(|interval| interval.end > moment);
    }

    /// Forgets everything from `moment` on.
    pub(crate) fn forget_after(&mut self, moment: Utc) {
        self.0.retain(|interval| interval.start < moment);
        if let Some(last) = self.0.last_mut() {
            last.end = last.end.min(moment);
        }
    }

    /// Forgets everything in `range`.
    pub(crate) fn forget(&mut self, range: Interval) {
        let from = self.0.partition_point(|interval| interval.end <= range.start);
        let to = self.0.partition_point(|interval| interval.start < range.end);
        let cut = self.0.get(from..to).unwrap_or_default();
        let before = cut.first().and_then(|first| Interval::new(first.start, range.start));
        let after = cut.last().and_then(|last| Interval::new(range.end, last.end));
        let left: Vec<_> = before.into_iter().chain(after).collect();
        if from < to {
            self.0.splice(from..to, left);
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of the last interval.
    pub(crate) fn last_end(&self) -> Option<Utc> {
        self.0.last().map(|interval| interval.end)
    }
}

impl FromIterator<Interval> for IntervalSet {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut set = Self::default();
        for interval in intervals {
            set.insert(interval);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(start: i64, end: i64) -> Interval {
        Interval::new(Utc::from_millis(start), Utc::from_millis(end)).unwrap()
    }

    fn gaps(set: &IntervalSet, start: i64, end: i64) -> Vec<(i64, i64)> {
        let gaps = set.gaps(interval(start, end));
        gaps.iter().map(|gap| (gap.start.as_millis(), gap.end.as_millis())).collect()
    }

    #[test]
    fn touching_intervals_merge() {
        let set: IntervalSet =
            [interval(0, 5), interval(10, 20), interval(5, 10)].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [interval(0, 20)]);
        assert_eq!(gaps(&set, -5, 25), [(-5, 0), (20, 25)]);
    }

    #[test]
    fn what_is_forgotten_is_what_lies_before_or_after() {
        let set: IntervalSet = [interval(0, 10), interval(20, 30)].into_iter().collect();
        let before = |moment| {
            let mut set = set.clone();
            set.forget_before(Utc::from_millis(moment));
            set.iter().collect::<Vec<_>>()
        };
        assert_eq!(before(9), [interval(0, 10), interval(20, 30)]);
        assert_eq!(before(10), [interval(20, 30)]);
        assert_eq!(before(25), [interval(20, 30)], "what reaches beyond stays whole");
        let after = |moment| {
            let mut set = set.clone();
            set.forget_after(Utc::from_millis(moment));
            (set.iter().collect::<Vec<_>>(), set.last_end().map(Utc::as_millis))
        };
        assert_eq!(after(0), (vec![], None));
        assert_eq!(after(20), (vec![interval(0, 10)], Some(10)));
        assert_eq!(after(21), (vec![interval(0, 10), interval(20, 21)], Some(21)));
    }

    proptest! {
        /// Compared with the plainest possible set: one flag per moment.
        #[test]
        fn agrees_with_a_set_of_moments(
            inserts in prop::collection::vec((0i64..60, 1i64..20), 0..12),
            forget in 0i64..60,
        ) {
            let mut set = IntervalSet::default();
            let mut moments = [false; 100];
            for (start, span) in inserts {
                set.insert(interval(start, start + span));
                for moment in start..start + span {
                    moments[usize::try_from(moment).unwrap()] = true;
                }
            }
            let uncovered: Vec<i64> = set
                .gaps(interval(0, 100))
                .iter()
                .flat_map(|gap| gap.start.as_millis()..gap.end.as_millis())
                .collect();
            let expected: Vec<i64> =
                (0..100).filter(|&moment| !moments[usize::try_from(moment).unwrap()]).collect();
            prop_assert_eq!(uncovered, expected);
            for pair in set.0.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
            let mut holed = set.clone();
            holed.forget(interval(forget, forget + 7));
            let flagged = |moment: i64| {
                let inside = (forget..forget + 7).contains(&moment);
                !inside && moments[usize::try_from(moment).unwrap()]
            };
            let expected: Vec<i64> = (0..100).filter(|&moment| !flagged(moment)).collect();
            let uncovered: Vec<i64> = holed
                .gaps(interval(0, 100))
                .iter()
                .flat_map(|gap| gap.start.as_millis()..gap.end.as_millis())
                .collect();
            prop_assert_eq!(uncovered, expected);
            set.forget_before(Utc::from_millis(forget));
            prop_assert!(set.iter().all(|interval| interval.end.as_millis() > forget));
            set.forget_after(Utc::from_millis(forget + 5));
            let beyond = Interval::new(Utc::from_millis(forget + 5), Utc::from_millis(1_000));
            prop_assert_eq!(set.gaps(beyond.unwrap()), vec![beyond.unwrap()]);
        }
    }
}
