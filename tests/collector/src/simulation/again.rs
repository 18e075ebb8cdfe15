//! Hours that somebody wants once more: delivered once more they are, and nothing else is.

use std::collections::{HashMap, HashSet};

use m365_audit_core::{Feed, Input, Replay, Replayer, Stored, Utc};
use m365_audit_world::Taker;
use m365_sim::Microsoft;

use super::check::SKEW_MS;
use super::wanted::Wanted;

const HOUR_MS: i64 = 3_600_000;

/// Three hours of every feed, and what the host had of them when they were asked for.
#[derive(Debug)]
pub(super) struct Wish {
    replays: Vec<Replay>,
    start_ms: i64,
    end_ms: i64,
    before: HashMap<u128, u32>,
}

impl Wish {
    /// Asks for three hours that ended two hours ago, as the command line does: in the store, of
    /// which a collector that is at work is told. `feeds` are those that it collects.
    pub(super) fn make(
        feeds: &[Feed],
        now_ms: i64,
        taker: &Taker,
        stored: &mut Stored,
    ) -> (Self, Input) {
        let end_ms = now_ms.div_euclid(HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
        let start_ms = end_ms - 3 * HOUR_MS;
        let [since, until] = [start_ms, end_ms].map(Utc::from_millis);
        let replays: Vec<_> =
            feeds.iter().filter_map(|feed| Replay::of(*feed, since, until)).collect();
        let replayer = Replayer { at: now_ms, by: "ring".into() };
        stored.extend(replays.iter().map(|replay| replay.request(&replayer)));
        let keys = replays.iter().map(Replay::key).collect();
        let before = taker.taken().iter().map(|(hash, taken)| (*hash, taken.times)).collect();
        (Self { replays, start_ms, end_ms, before }, Input::Replay(keys))
    }

    /// What does not hold, some hours later: something is missing, or came that nobody asked for.
    /// Nothing that was created before `begin_ms` is collected.
    pub(super) fn unmet(
        &self,
        microsoft: &Microsoft,
        taker: &Taker,
        stored: &Stored,
        wanted: Wanted,
        begin_ms: i64,
    ) -> Option<String> {
        if let Some(left) = self.replays.iter().find(|replay| stored.contains_key(&replay.key())) {
            return Some(format!("{} is still asked for", left.key()));
        }
        let inside = |created_ms: i64| (self.start_ms..self.end_ms).contains(&created_ms);
        let times = |hash: &u128| taker.taken().get(hash).map_or(0, |taken| taken.times);
        let had = |hash: &u128| self.before.get(hash).copied().unwrap_or_default();
        let mut forms: HashMap<u128, Vec<u128>> = HashMap::new();
        let mut asked = HashSet::new();
        for owed in microsoft.owed() {
            forms.entry(owed.key).or_default().push(owed.hash);
            if inside(owed.created_ms) {
                asked.insert(owed.hash);
            }
        }
        for owed in microsoft.owed_activities().filter(|owed| inside(owed.created_ms)) {
            asked.insert(owed.hash);
        }
        let feeds: Vec<_> = self.replays.iter().map(|replay| replay.feed.as_str()).collect();
        // Of an hour that began before collection did, nothing is delivered once more.
        let first_ms = (begin_ms.max(0) + SKEW_MS).div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS;
        let missing = microsoft.owed().find(|owed| {
            let again = |hash: &u128| had(hash) < times(hash);
            inside(owed.created_ms)
                && first_ms <= owed.created_ms
                && feeds.contains(&owed.content_type.name())
                && owed.available_ms < self.end_ms
                && wanted.judge(owed) == Some(true)
                && !forms[&owed.key].iter().any(again)
        });
        if let Some(owed) = missing {
            let (id, at) = (&owed.content_id, owed.created_ms);
            return Some(format!("{id} [{}] did not come once more, created {at}", owed.index));
        }
        let more = |(hash, before): (&u128, &u32)| *before < times(hash) && !asked.contains(hash);
        let extra = self.before.iter().filter(|it| more(*it)).count();
        (extra > 0).then(|| format!("{extra} records came once more that nobody asked for"))
    }
}
