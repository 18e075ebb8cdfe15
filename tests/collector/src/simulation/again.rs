//! Hours that somebody wants once more: delivered once more they are, and nothing else is.

use std::collections::{BTreeSet, HashMap, HashSet};

use m365_audit_core::{Feed, Input, Replay, Replayer, Stored, Utc};
use m365_audit_world::Taker;
use m365_sim::Owed;

use super::beliefs::Beliefs;
use super::check::SKEW_MS;
use super::published::{Published, Record};

const HOUR_MS: i64 = 3_600_000;

/// Three hours of every feed, and what the host had and the collector knew when they were asked
/// for.
#[derive(Debug)]
pub(super) struct Wish {
    replays: Vec<Replay>,
    hours: std::ops::Range<i64>,
    before: HashMap<u128, u32>,
    beliefs: Beliefs,
}

impl Wish {
    /// Asks for three hours that ended two hours ago, as the command line does: in the store, of
    /// which a collector that is at work is told. `feeds` are those that it collects.
    pub(super) fn make(
        feeds: &[Feed],
        now_ms: i64,
        taker: &Taker,
        beliefs: &Beliefs,
        stored: &mut Stored,
    ) -> (Self, Input) {
        let end = now_ms.div_euclid(HOUR_MS) - 2;
        let hours = end - 3..end;
        let [since, until] = [hours.start, end].map(|hour| Utc::from_millis(hour * HOUR_MS));
        let replays: Vec<_> =
            feeds.iter().filter_map(|feed| Replay::of(*feed, since, until)).collect();
        let replayer = Replayer { at: now_ms, by: "ring".into() };
        stored.extend(replays.iter().map(|replay| replay.request(&replayer)));
        let keys = replays.iter().map(Replay::key).collect();
        let before = taker.taken().iter().map(|(hash, taken)| (*hash, taken.times)).collect();
        (Self { replays, hours, before, beliefs: beliefs.clone() }, Input::Replay(keys))
    }

    /// What does not hold, some hours later: something is missing, or came that nobody asked for.
    /// Nothing that was created before `begin_ms` is collected.
    pub(super) fn unmet(
        &self,
        published: &Published,
        taker: &Taker,
        stored: &Stored,
        begin_ms: i64,
        activities_begin_ms: i64,
    ) -> Option<String> {
        if let Some(left) = self.replays.iter().find(|replay| stored.contains_key(&replay.key())) {
            return Some(format!("{} is still asked for", left.key()));
        }
        let again = |hash: &u128| {
            let times = taker.taken().get(hash).map_or(0, |taken| taken.times);
            self.before.get(hash).copied().unwrap_or_default() < times
        };
        let mut forms: HashMap<u128, Vec<u128>> = HashMap::new();
        // What may come, whatever else says the same to the letter.
        let mut free = HashSet::new();
        for owed in &published.records {
            forms.entry(owed.key).or_default().push(owed.hash);
            if self.may_come(owed) {
                free.insert(owed.hash);
            }
        }
        let activities = published.activities.iter();
        free.extend(activities.filter(|it| self.is_inside(it.created_ms)).map(|it| it.hash));
        let first_ms = first_hour_ms(begin_ms);
        let missing = |owed: &Record| {
            first_ms <= owed.created_ms
                && self.must_come(owed)
                && owed.is_wanted()
                && !forms[&owed.key].iter().any(again)
        };
        let extra = |owed: &Record| {
            self.before.contains_key(&owed.hash) && again(&owed.hash) && !free.contains(&owed.hash)
        };
        let contents = |of: &dyn Fn(&Record) -> bool| -> BTreeSet<_> {
            let records = published.records.iter().filter(|owed| of(owed));
            records.map(|owed| &*owed.content_id).collect()
        };
        let (missing, extra) = (contents(&missing), contents(&extra));
        if !missing.is_empty() {
            return Some(format!("these did not come once more: {missing:?}"));
        }
        if !extra.is_empty() {
            return Some(format!("these came once more, and nobody asked for them: {extra:?}"));
        }
        self.unmet_activity(published, activities_begin_ms, again)
    }

    /// The same of activities: each is of the hour in which it was created, and known by its id.
    fn unmet_activity(
        &self,
        published: &Published,
        begin_ms: i64,
        again: impl Fn(&u128) -> bool,
    ) -> Option<String> {
        let asked = self.replays.iter().any(|replay| replay.feed == Feed::CloudAppActivities);
        let first_ms = first_hour_ms(begin_ms);
        published.activities.iter().find_map(|owed| {
            let (id, at) = (&owed.id, owed.created_ms);
            let had = self.before.contains_key(&owed.hash);
            let inside = asked && self.is_inside(at);
            if had && inside && first_ms <= at && !again(&owed.hash) {
                Some(format!("activity {id} of {at} did not come once more"))
            } else if had && !inside && again(&owed.hash) {
                Some(format!("activity {id} of {at} came once more, and nobody asked for it"))
            } else {
                None
            }
        })
    }

    fn is_inside(&self, created_ms: i64) -> bool {
        self.hours.contains(&created_ms.div_euclid(HOUR_MS))
    }

    /// A content of which the collector knew that it was of these hours, and done.
    fn must_come(&self, owed: &Owed) -> bool {
        let known = self.beliefs.hour_of(&owed.content_id);
        let feeds = || self.replays.iter().map(|replay| replay.feed.as_str());
        self.is_inside(owed.created_ms)
            && known == Some(owed.created_ms.div_euclid(HOUR_MS))
            && self.beliefs.is_done(&owed.content_id)
            && feeds().any(|feed| feed == owed.content_type.name())
    }

    /// A content that the collector took to be of these hours, whenever it was created; or one that
    /// it had not come to the end of: that one comes for the first time.
    fn may_come(&self, owed: &Owed) -> bool {
        !self.beliefs.is_done(&owed.content_id)
            || self.beliefs.hours_of(&owed.content_id).any(|hour| self.hours.contains(&hour))
    }
}

/// Where the first hour begins of which all can be delivered once more: not that in which
/// collection began.
fn first_hour_ms(begin_ms: i64) -> i64 {
    (begin_ms.max(0) + SKEW_MS).div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS
}
