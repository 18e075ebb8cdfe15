//! One search under way: an interval of `created`, page after page, until the last of them is
//! delivered. Knows no other search and sends nothing.
//!
//! A search that goes on without saying how is cut in halves, so that it ends however the service
//! orders its answers: each part is done only when an answer to it says that there is no more.
//!
//! The next page's filters are Microsoft's, and sent to the letter; `total` is never looked at. A
//! search of the backlog outlives an outage and goes on where it was: begun anew it would deliver
//! again what is behind it. A page that fails while those of other searches are read is cut in
//! halves too, down to the millisecond that cannot be read; that is left uncovered, tried beside
//! all else, and told as a gap when retention takes it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::interval::{Interval, IntervalSet};
use crate::base::key::{Key, KeySet};
use crate::base::time::Utc;
use crate::contract::request::RequestId;
use crate::source::urgency::Urgency;

/// Records that are searched for in normal mode, before it turns to scan mode: three pages.
pub(crate) const NORMAL_RECORDS_MAX: u64 = 300;

/// How far normal mode reaches with Microsoft.
pub(super) const SKIP_MAX: u64 = 5_000;

/// Pages in a row that bring nothing and yet say that there is more, before the part is cut.
const STALLS_MAX: u32 = 3;

/// Attempts in vain at one page, while pages of other searches are read, before the part is cut.
const BROKEN_MAX: u32 = 12;

/// Pages of one search: 5 billion activities.
const PAGES_MAX: u64 = 1_000_000;

/// Names one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WalkId(pub u64);

/// Names one reading of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PageId(pub u64);

/// Where a search goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Cursor {
    /// Normal mode: behind so many records.
    Skip(u64),
    /// Scan mode: with these filters, as the last page named them; `None` is the first page.
    Scan(Option<String>),
}

/// A point of a search that it can go on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// What is still to be searched, in milliseconds, the present part last.
    pub parts: Vec<(i64, i64)>,
    pub cursor: Cursor,
}

impl Point {
    pub(crate) fn new(window: Interval, cursor: Cursor) -> Self {
        Self { parts: vec![(window.start.as_millis(), window.end.as_millis())], cursor }
    }

    /// The part that is searched now.
    pub(super) fn part(&self) -> Option<Interval> {
        let (start, end) = self.parts.last()?;
        Interval::new(Utc::from_millis(*start), Utc::from_millis(*end))
    }
}

/// One page that was read to its end and is not delivered.
#[derive(Debug)]
struct Page {
    id: PageId,
    /// Where it was asked for.
    from: Point,
    /// Where the search goes on; `None`: it does not.
    to: Option<Point>,
}

/// What a page says about the way on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub records: u64,
    pub has_next: bool,
    pub next_filters: Option<String>,
}

/// What came of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// The search goes on, or is done.
    On,
    /// The page is to be asked for again after a while: it says that there is more, and not how.
    Again,
    /// The search goes in circles and cannot be cut any further.
    Stuck,
}

/// One search.
#[derive(Debug)]
pub(crate) struct Walk {
    pub window: Interval,
    pub urgency: Urgency,
    /// Where the next page is asked for; `None` once the last one is read.
    at: Option<Point>,
    pub request: Option<(RequestId, PageId)>,
    read: VecDeque<Page>,
    /// Cursors of this search, so that it is noticed when it goes in circles.
    visited: KeySet,
    stalls: u32,
    pub failures: u32,
    /// The same, and of what it was cut from.
    pub failed: u32,
    /// Failures in a row between which pages of other searches were read, and how many of all
    /// searches were read at the last failure.
    broken: u32,
    read_before: u64,
    /// Whether all that is left cannot be read and cannot be cut.
    pub is_stuck: bool,
    /// Refusals in a row.
    pub refusals: u32,
    pub not_before: Duration,
    pub records: u64,
    pub pages: u64,
}

impl Walk {
    pub(crate) fn new(window: Interval, urgency: Urgency, at: Point) -> Self {
        Self {
            window,
            urgency,
            at: Some(at),
            request: None,
            read: VecDeque::new(),
            visited: KeySet::default(),
            stalls: 0,
            failures: 0,
            failed: 0,
            broken: 0,
            read_before: 0,
            is_stuck: false,
            refusals: 0,
            not_before: Duration::ZERO,
            records: 0,
            pages: 0,
        }
    }

    /// What is searched.
    pub(crate) const fn window(&self) -> Interval {
        self.window
    }

    /// Whether it is gone on with after a restart.
    pub(super) fn is_stored(&self) -> bool {
        self.urgency == Urgency::Backlog && !self.is_stuck
    }

    /// Where the next page is to be asked for.
    pub(crate) const fn at(&self) -> Option<&Point> {
        self.at.as_ref()
    }

    /// Whether its last page is read.
    pub(crate) const fn is_read(&self) -> bool {
        self.at.is_none()
    }

    /// Whether all of it is delivered.
    pub(super) fn is_delivered(&self) -> bool {
        self.at.is_none() && self.read.is_empty()
    }

    /// A page has been read to its end, and says `turn`. Unless it is to be asked for again, it is
    /// noted as read.
    pub(crate) fn turn(&mut self, page: PageId, turn: Turn) -> Turned {
        self.request = None;
        let Some(from) = self.at.take() else { return Turned::On };
        self.records += turn.records;
        self.pages += 1;
        let to = match self.way_on(&from, turn) {
            Ok(to) => to,
            Err(turned) => {
                self.at = Some(from);
                return turned;
            }
        };
        (self.failures, self.failed, self.broken, self.refusals) = (0, 0, 0, 0);
        self.at.clone_from(&to);
        self.read.push_back(Page { id: page, from, to });
        Turned::On
    }

    /// A page could not be read, by when `read` pages of all searches were. Answers how many times
    /// in a row. A part of which a page stays broken while others are read is cut in halves: the
    /// service may fail over the length of what is asked for, or over one activity of it. What
    /// cannot be cut is left for the end.
    pub(super) fn fail(&mut self, read: u64) -> u32 {
        self.failures += 1;
        self.failed = self.failed.saturating_add(1);
        let failures = self.failures;
        self.broken += u32::from(std::mem::replace(&mut self.read_before, read) != read);
        let Some(at) = self.at.as_mut().filter(|_| self.broken >= BROKEN_MAX) else {
            return failures;
        };
        (self.failures, self.broken) = (0, 0);
        if at.cut().is_none()
            && let Some(part) = at.parts.pop()
        {
            at.parts.insert(0, part);
            at.cursor = Cursor::Scan(None);
            let narrow = |part: &(i64, i64)| part.1 - part.0 <= 1;
            self.is_stuck |= self.read.is_empty() && at.parts.iter().all(narrow);
        }
        failures
    }

    /// What is still to be searched.
    pub(super) fn left(&self) -> IntervalSet {
        let mut left = IntervalSet::default();
        for (start, end) in self.at.iter().flat_map(|at| &at.parts) {
            let (start, end) = (Utc::from_millis(*start), Utc::from_millis(*end));
            left.insert(Interval { start, end });
        }
        left
    }

    fn way_on(&mut self, from: &Point, turn: Turn) -> Result<Option<Point>, Turned> {
        if !turn.has_next {
            self.stalls = 0;
            let mut to = from.clone();
            to.parts.pop();
            to.cursor = Cursor::Scan(None);
            return Ok(Some(to).filter(|to| !to.parts.is_empty()));
        }
        let next = match (&from.cursor, turn.next_filters) {
            // However many were asked for, so many there were.
            (Cursor::Skip(skip), _) if turn.records > 0 => {
                let skip = skip + turn.records;
                let narrow = from.part().is_some_and(is_narrow);
                Some(if skip < NORMAL_RECORDS_MAX || (narrow && skip < SKIP_MAX) {
                    Cursor::Skip(skip)
                } else {
                    Cursor::Scan(None)
                })
            }
            (Cursor::Skip(_), _) | (Cursor::Scan(_), None) => None,
            (Cursor::Scan(before), Some(next)) if before.as_ref() == Some(&next) => None,
            (Cursor::Scan(_), Some(next)) => {
                let new = self.visited.insert(Key::of_content(&next));
                Some(Cursor::Scan(Some(next))).filter(|_| new && self.pages < PAGES_MAX)
            }
        };
        if let Some(cursor) = next {
            if turn.records > 0 {
                self.stalls = 0;
            }
            return Ok(Some(Point { parts: from.parts.clone(), cursor }));
        }
        self.stalls += 1;
        if self.stalls < STALLS_MAX {
            return Err(Turned::Again);
        }
        self.stalls = 0;
        let mut to = from.clone();
        to.cut().map(Some).ok_or(Turned::Stuck)
    }

    /// The host has taken a page. Answers where the search would go on from there, if this is the
    /// first page that was not delivered.
    pub(crate) fn deliver(&mut self, page: PageId) -> Option<&Point> {
        self.read.pop_front_if(|first| first.id == page)?.to?;
        // What follows is the start of the next page that is read, or where the search stands.
        self.read.front().map_or(self.at.as_ref(), |next| Some(&next.from))
    }

    /// The host has lost a page, or part of it, and all that came after. Answers the request to
    /// drop.
    pub(super) fn take_back(&mut self, page: PageId) -> Option<RequestId> {
        if let Some(at) = self.read.iter().position(|read| page <= read.id) {
            let mut lost = self.read.drain(at..);
            self.at = lost.next().map(|first| first.from);
            drop(lost);
            self.visited.clear();
        }
        self.request.take().map(|(id, _)| id)
    }
}

/// Whether a part cannot be cut.
fn is_narrow(part: Interval) -> bool {
    part.end.since(part.start) <= Duration::from_millis(1)
}

impl Point {
    /// Cuts the present part in halves, the newer one first. A part of one millisecond is searched
    /// by skipping instead, as far as that reaches.
    fn cut(&mut self) -> Option<Self> {
        let part = self.part()?;
        let skips = matches!(self.cursor, Cursor::Skip(_));
        if is_narrow(part) {
            self.cursor = Cursor::Skip(0);
            return (!skips).then(|| self.clone());
        }
        let (start, end) = self.parts.pop()?;
        let middle = start + (end - start) / 2;
        self.parts.extend([(start, middle), (middle, end)]);
        self.cursor = Cursor::Scan(None);
        Some(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> Interval {
        Interval::new(Utc::from_millis(start), Utc::from_millis(end)).unwrap()
    }

    fn walk(cursor: Cursor) -> Walk {
        let window = window(0, 8);
        Walk::new(window, Urgency::Fresh, Point::new(window, cursor))
    }

    fn turn(records: u64, has_next: bool, next: Option<&str>) -> Turn {
        Turn { records, has_next, next_filters: next.map(str::to_owned) }
    }

    fn at(walk: &Walk) -> String {
        walk.at().map_or_else(|| "read".into(), |at| format!("{:?} {:?}", at.parts, at.cursor))
    }

    #[test]
    fn normal_mode_skips_what_there_was_and_turns_to_scan_mode() {
        let mut walk = walk(Cursor::Skip(0));
        assert_eq!(walk.turn(PageId(1), turn(30, true, None)), Turned::On);
        assert_eq!(at(&walk), "[(0, 8)] Skip(30)");
        walk.turn(PageId(2), turn(100, true, None));
        walk.turn(PageId(3), turn(170, true, None));
        assert_eq!(at(&walk), "[(0, 8)] Scan(None)");
        walk.turn(PageId(4), turn(500, true, Some("{1}")));
        assert_eq!(at(&walk), "[(0, 8)] Scan(Some(\"{1}\"))");
        walk.turn(PageId(5), turn(9, false, None));
        assert!(walk.is_read() && !walk.is_delivered());
        for page in 1..=5 {
            let _ = walk.deliver(PageId(page));
        }
        assert!(walk.is_delivered());
    }

    #[test]
    fn a_search_that_does_not_say_how_to_go_on_is_cut_until_it_ends() {
        let mut walk = walk(Cursor::Scan(None));
        for silent in 1..=3 {
            let turned = walk.turn(PageId(silent), turn(5, true, None));
            assert_eq!(turned, if silent < 3 { Turned::Again } else { Turned::On });
        }
        assert_eq!(at(&walk), "[(0, 4), (4, 8)] Scan(None)");
        walk.turn(PageId(4), turn(5, false, None));
        assert_eq!(at(&walk), "[(0, 4)] Scan(None)");
        for page in 5..11 {
            walk.turn(PageId(page), turn(0, true, None));
        }
        assert_eq!(at(&walk), "[(0, 2), (2, 3), (3, 4)] Scan(None)");
        for page in 11..14 {
            walk.turn(PageId(page), turn(5_000, true, None));
        }
        assert_eq!(at(&walk), "[(0, 2), (2, 3), (3, 4)] Skip(0)");
        walk.turn(PageId(14), turn(100, true, None));
        assert_eq!(at(&walk), "[(0, 2), (2, 3), (3, 4)] Skip(100)");
        for page in 15..17 {
            assert_eq!(walk.turn(PageId(page), turn(0, true, None)), Turned::Again);
        }
        assert_eq!(walk.turn(PageId(17), turn(0, true, None)), Turned::Stuck);
    }

    #[test]
    fn a_page_is_cut_only_if_it_fails_while_others_are_read() {
        let mut walk = walk(Cursor::Scan(Some("{1}".into())));
        for failure in 1..100 {
            assert_eq!(walk.fail(5), failure);
        }
        assert_eq!(at(&walk), "[(0, 8)] Scan(Some(\"{1}\"))", "an outage");
        for read in 6..17 {
            walk.fail(read);
        }
        assert_eq!(at(&walk), "[(0, 4), (4, 8)] Scan(None)");
        walk.turn(PageId(1), turn(5, false, None));
        for read in 20..52 {
            walk.fail(read);
        }
        assert_eq!(at(&walk), "[(0, 2), (2, 3), (3, 4)] Scan(None)");
    }

    #[test]
    fn circles_are_noticed() {
        let mut walk = walk(Cursor::Scan(None));
        walk.turn(PageId(1), turn(5, true, Some("{1}")));
        walk.turn(PageId(2), turn(5, true, Some("{2}")));
        assert_eq!(walk.turn(PageId(3), turn(5, true, Some("{1}"))), Turned::Again);
        assert_eq!(walk.turn(PageId(4), turn(5, true, Some("{2}"))), Turned::Again);
    }

    #[test]
    fn what_the_host_lost_is_read_again_from_there() {
        let mut walk = walk(Cursor::Scan(None));
        walk.turn(PageId(1), turn(5, true, Some("{1}")));
        walk.turn(PageId(2), turn(5, true, Some("{2}")));
        walk.turn(PageId(3), turn(5, false, None));
        assert_eq!(walk.deliver(PageId(1)).unwrap().cursor, Cursor::Scan(Some("{1}".into())));
        assert_eq!(walk.take_back(PageId(3)), None);
        assert_eq!(at(&walk), "[(0, 8)] Scan(Some(\"{2}\"))");
        walk.request = Some((RequestId(7), PageId(4)));
        assert_eq!(walk.take_back(PageId(2)), Some(RequestId(7)));
        assert_eq!(at(&walk), "[(0, 8)] Scan(Some(\"{1}\"))");
        walk.turn(PageId(5), turn(5, false, None));
        assert!(walk.deliver(PageId(5)).is_none());
        assert!(walk.is_delivered());
    }
}
