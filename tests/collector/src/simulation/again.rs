//! Hours that somebody wants once more: delivered once more they are, and nothing else is.

use std::collections::{HashMap, HashSet};

use m365_audit_core::{Feed, Input, Replay, Replayer, Stored, Utc};
use m365_audit_world::Taker;
use m365_sim::{Microsoft, Owed};

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
    /// Nothing that was created before `begin_ms` is collected. Of `odd` contents at the most the
    /// listing did not say when they were created: their hour is another one.
    pub(super) fn unmet(
        &self,
        microsoft: &Microsoft,
        taker: &Taker,
        stored: &Stored,
        wanted: Wanted,
        begin_ms: i64,
        odd: u64,
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
            // What was published since may say the same to the letter.
            if inside(owed.created_ms) || self.end_ms <= owed.available_ms {
                asked.insert(owed.hash);
            }
        }
        for owed in microsoft.owed_activities().filter(|owed| inside(owed.created_ms)) {
            asked.insert(owed.hash);
        }
        let feeds: Vec<_> = self.replays.iter().map(|replay| replay.feed.as_str()).collect();
        // Of an hour that began before collection did, nothing is delivered once more.
        let first_ms = (begin_ms.max(0) + SKEW_MS).div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS;
        let missing = |owed: &Owed| {
            let again = |hash: &u128| had(hash) < times(hash);
            inside(owed.created_ms)
                && first_ms <= owed.created_ms
                && feeds.contains(&owed.content_type.name())
                && owed.available_ms < self.end_ms
                && wanted.judge(owed) == Some(true)
                && !forms[&owed.key].iter().any(again)
        };
        let extra = |owed: &Owed| {
            let before = self.before.get(&owed.hash);
            before.is_some_and(|before| *before < times(&owed.hash)) && !asked.contains(&owed.hash)
        };
        let contents = |of: &dyn Fn(&Owed) -> bool| -> HashSet<_> {
            microsoft.owed().filter(|owed| of(owed)).map(|owed| owed.content_id).collect()
        };
        let (missing, extra) = (contents(&missing), contents(&extra));
        if odd < missing.len() as u64 {
            return Some(format!("these did not come once more: {missing:?}"));
        }
        let told = format!("these came once more, and nobody asked for them: {extra:?}");
        (odd < extra.len() as u64).then_some(told)
    }
}
