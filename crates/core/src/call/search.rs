//! A search over activities that somebody asks for: with the same walk as a collector's; what
//! differs is that nothing is stored.

use crate::activities::filter::Filters;
use crate::activities::walk::{Cursor, NORMAL_RECORDS_MAX, PageId, Point, Turn, Turned, Walk};
use crate::base::interval::Interval;
use crate::base::key::{Key, KeySet};
use crate::base::time::Utc;
use crate::call::range::{Range, RangeError};
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::source::urgency::Urgency;

/// Activities that one search hands over: 16 bytes are kept of each, to know those that come again.
pub(super) const ACTIVITIES_MAX: usize = 5_000_000;

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    walk: Walk,
    pages: u64,
    seen: KeySet,
    limit: u64,
    /// For each condition: how many activities came that do not meet it.
    ignored: Vec<u64>,
    turn: Option<Turn>,
}

impl Search {
    /// `None` if there is nothing to search.
    pub(super) fn plan(
        filters: &Filters,
        range: Range,
        limit: Option<u64>,
        now: Utc,
    ) -> Result<Option<Self>, RangeError> {
        let limit = limit.unwrap_or(u64::MAX);
        let few = limit <= NORMAL_RECORDS_MAX;
        let cursor = if few { Cursor::Skip(0) } else { Cursor::Scan(None) };
        let window = range.of_activities(now)?.filter(|_| limit > 0);
        Ok(window.map(|window| Self {
            walk: Walk::new(window, Urgency::Fresh, Point::new(window, cursor)),
            pages: 0,
            seen: KeySet::default(),
            limit,
            ignored: vec![0; filters.clauses().len()],
            turn: None,
        }))
    }

    /// How many may still be handed over.
    pub(super) fn missing(&self) -> u64 {
        self.limit.saturating_sub(self.seen.len() as u64)
    }

    /// What is searched.
    pub(super) const fn window(&self) -> Interval {
        self.walk.window()
    }

    /// Where the next page is asked for.
    pub(super) const fn at(&self) -> Option<&Point> {
        self.walk.at()
    }

    /// Whether an activity is handed over: one that is new, and within the limit.
    pub(super) fn takes(&mut self, activity: Key) -> bool {
        self.missing() > 0 && self.seen.insert(activity)
    }

    /// An activity does not meet a condition of the filters.
    pub(super) fn note_mismatch(&mut self, clause: usize) {
        self.ignored[clause] += 1;
    }

    /// Whether no more is handed over.
    pub(super) fn is_full(&self) -> bool {
        self.missing() == 0 || self.seen.len() >= ACTIVITIES_MAX
    }

    /// Whether all is read.
    pub(super) const fn is_read(&self) -> bool {
        self.walk.is_read()
    }

    /// A page was read, and says `turn`.
    pub(super) fn note_turn(&mut self, turn: Turn) {
        self.turn = Some(turn);
    }

    /// On to the next page; `full`: no more is wanted.
    pub(super) fn turn(&mut self, full: bool) -> Turned {
        let Some(turn) = self.turn.take().filter(|_| !full) else { return Turned::On };
        self.pages += 1;
        let page = PageId(self.pages);
        let turned = self.walk.turn(page, turn);
        // Whoever asks stores nothing, and begins anew if it is interrupted.
        let _ = self.walk.deliver(page);
        turned
    }

    /// What to tell of the conditions that the service did not apply.
    pub(super) fn ignored(&self, filters: &Filters) -> impl Iterator<Item = Event> {
        let ignored = filters.clauses().iter().zip(&self.ignored).filter(|(_, n)| **n > 0);
        ignored.map(|(clause, activities)| {
            Event::Feed(
                Feed::CloudAppActivities,
                FeedEvent::FilterIgnored { filter: clause.to_string(), records: *activities },
            )
        })
    }
}
