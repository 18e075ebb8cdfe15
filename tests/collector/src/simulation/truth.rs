//! What the stored state says at the end, held against the simulator's truth: nothing is called
//! delivered that is not there, nothing is missing without a hole, and no loss is invented.

use std::collections::{HashMap, HashSet};

use m365_audit_core::{Hole, LaneSummary, LossKind, Stored, Utc, Why, summarize};
use m365_audit_world::Taker;

use super::check::{ON_TIME_MS, SKEW_MS};
use super::published::{Published, Record};

/// For how long Microsoft keeps content, less what the collector keeps away from the edge.
const KEPT_MS: i64 = (7 * 24 * 60 - 5) * 60_000;
/// What may be gone so long before its time: content expires by the first stamp of its id.
const EARLY_MS: i64 = 2 * 3_600_000;

/// What there is to compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth<'a> {
    pub(super) published: &'a Published,
    pub(super) taker: &'a Taker,
    pub(super) stored: &'a Stored,
    /// Where collection began.
    pub(super) begin_ms: i64,
    /// What expired before this could not be had. A blob may expire some hours before it is seven
    /// days old, as it counts from its first record: after a silence of a week nobody can see that
    /// it existed, and the state cannot say so either.
    pub(super) alive_ms: i64,
    pub(super) now_ms: i64,
}

impl Truth<'_> {
    /// The first thing that the state says and that is not so.
    pub(super) fn contradiction(&self) -> Option<String> {
        let lanes = match summarize(self.stored) {
            Ok(lanes) => lanes,
            Err(error) => return Some(format!("the state cannot be summed up: {error}")),
        };
        let records = self.published.records.iter();
        let expirations: HashMap<&str, _> =
            records.map(|owed| (&*owed.content_id, owed.expires_ms)).collect();
        let invented = lanes.iter().flat_map(|lane| &lane.holes).find_map(|hole| {
            let Why::Lost(known) = &hole.why else { return None };
            let name = known.loss.name.as_deref();
            let expires_ms = name.and_then(|name| expirations.get(name)).copied();
            is_invented(hole, known.loss.kind, self.now_ms, expires_ms)
                .then(|| format!("a loss that is none: {known:?}"))
        });
        invented.or_else(|| self.untold(&lanes))
    }

    /// A record that nobody has, which the state calls delivered or is silent about.
    fn untold(&self, lanes: &[LaneSummary]) -> Option<String> {
        let arrived: HashSet<u128> = self
            .published
            .records
            .iter()
            .filter(|owed| self.taker.taken().contains_key(&owed.hash))
            .map(|owed| owed.key)
            .collect();
        let missing = |owed: &&Record| {
            owed.is_wanted()
                && owed.available_ms <= owed.created_ms + ON_TIME_MS
                && self.begin_ms <= owed.created_ms
                && self.alive_ms <= owed.expires_ms
                && !arrived.contains(&owed.key)
        };
        self.published.records.iter().filter(missing).find_map(|owed| {
            let mut lanes = lanes.iter();
            let lane = lanes.find(|lane| lane.feed.as_str() == owed.content_type.name())?;
            let contains = |start: Utc, end: Utc| {
                (start.as_millis()..end.as_millis()).contains(&owed.created_ms)
            };
            let settled_ms = lane.delivered.last().map_or(i64::MIN, |last| last.1.as_millis());
            let told = lane.holes.iter().any(|hole| contains(hole.start, hole.end));
            let claimed = lane.delivered.iter().any(|(start, end)| contains(*start, *end));
            let (id, at) = (&owed.content_id, owed.created_ms);
            if claimed && owed.created_ms < settled_ms - SKEW_MS {
                Some(format!("called delivered, and is not there: {id}, created {at}"))
            } else if !told && owed.created_ms < settled_ms - SKEW_MS {
                Some(format!("missing, and the state has no hole there: {id}, created {at}"))
            } else {
                None
            }
        })
    }
}

/// Whether Microsoft still has, at the end, what is called lost.
fn is_invented(hole: &Hole, kind: LossKind, now_ms: i64, expires_ms: Option<i64>) -> bool {
    match kind {
        // What may be gone before its time counts as lost as well.
        LossKind::Gap => now_ms - KEPT_MS + EARLY_MS + SKEW_MS < hole.end.as_millis(),
        LossKind::Unsubscribed => now_ms + SKEW_MS < hole.end.as_millis(),
        // Of an empty one nobody knows.
        LossKind::Blob => expires_ms.is_some_and(|at| now_ms + SKEW_MS < at),
        // Nothing in a random world is too large, and none redacts.
        LossKind::RecordsDropped
        | LossKind::RecordsWithheld
        | LossKind::Output
        | LossKind::RecordsRejected
        | LossKind::Unknown => true,
        LossKind::EntriesDropped => false,
    }
}
