//! The activities of one tenant: which come to be, when, and since when they can be found. All
//! follows from (seed, tenant, hour); records are not touched.

use super::activity::{Activity, Facts, Identity};
use crate::config::SimConfig;
use crate::draw;
use crate::faults::{Fault, Faults};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// How long the service keeps activities.
pub(crate) const RETENTION_MS: i64 = 180 * DAY_MS;
/// Activities of one millisecond at the most: more than a page holds.
const BURST_MAX: u32 = 250;

/// The activities of one tenant, by the moment of storing.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) identity: Identity,
    activities: Vec<Activity>,
    next_hour_ms: i64,
    start_ms: i64,
    made: u64,
}

impl Feed {
    pub(crate) fn new(
        identity: Identity,
        now_ms: i64,
        config: &SimConfig,
        faults: &mut Faults,
    ) -> Self {
        let days = config.activity_days.clamp(0.0, 180.0);
        #[allow(clippy::cast_possible_truncation, reason = "at most 180 days")]
        let from_ms = now_ms - (days * 86_400_000.0) as i64;
        let mut feed = Self {
            identity,
            activities: Vec::new(),
            next_hour_ms: from_ms.div_euclid(HOUR_MS) * HOUR_MS,
            start_ms: now_ms,
            made: 0,
        };
        feed.advance(now_ms, config, faults);
        feed.activities.retain(|activity| activity.created_ms >= from_ms);
        feed
    }

    /// Makes what comes to be in the hours up to `now_ms`.
    pub(crate) fn advance(&mut self, now_ms: i64, config: &SimConfig, faults: &mut Faults) {
        if config.activities_per_hour.max == 0 {
            return;
        }
        while self.next_hour_ms <= now_ms {
            let hour_ms = self.next_hour_ms;
            self.next_hour_ms += HOUR_MS;
            if !config.live && hour_ms > self.start_ms {
                continue;
            }
            self.make_hour(hour_ms, config, faults);
        }
    }

    fn make_hour(&mut self, hour_ms: i64, config: &SimConfig, faults: &mut Faults) {
        let key = draw::mix(self.identity.seed, hour_ms.unsigned_abs() ^ 0xAC71);
        let count = config.activities_per_hour.draw(key, 0);
        let mut moments = Vec::new();
        let mut rest = count;
        let mut at = 0;
        while rest > 0 {
            at += 1;
            let moment = draw::mix(key, at) % HOUR_MS.unsigned_abs();
            // Alone, a few together, and now and then more than a page in one millisecond.
            let together = match draw::mix(key, at ^ 0xB0B) % 40 {
                0 => BURST_MAX.min(count / 2 + 1),
                1..8 => 3,
                _ => 1,
            };
            let together = together.min(rest);
            rest -= together;
            moments.extend((0..together).map(|_| hour_ms + signed(moment)));
        }
        moments.sort_unstable();
        let history = |ms: i64| ms < self.start_ms;
        moments.retain(|ms| config.live || history(*ms));
        for created_ms in moments {
            self.made += 1;
            let key = draw::mix(self.identity.seed, self.made | 1 << 41);
            let delay_ms = if faults.hit(Fault::LateActivity, key, created_ms) {
                let minutes = u64::from(faults.plan.late_activity_minutes.max(1));
                signed(draw::mix(key, 2) % (minutes * MINUTE_MS.unsigned_abs()))
            } else {
                signed(draw::mix(key, 3) % 20_000)
            };
            let visible_ms = created_ms + delay_ms;
            self.activities.push(Activity { created_ms, key, visible_ms });
        }
        // Hours follow each other, but keys within a millisecond have no order.
        self.activities.sort_unstable();
    }

    /// What a search at `now_ms` can find.
    pub(crate) fn found(&self, now_ms: i64) -> impl DoubleEndedIterator<Item = Activity> + '_ {
        self.within(i64::MIN, i64::MAX, now_ms)
    }

    /// The same, stored in `from_ms..=to_ms`.
    pub(crate) fn within(
        &self,
        from_ms: i64,
        to_ms: i64,
        now_ms: i64,
    ) -> impl DoubleEndedIterator<Item = Activity> + '_ {
        let from_ms = from_ms.max(now_ms - RETENTION_MS);
        let from = self.activities.partition_point(|a| a.created_ms < from_ms);
        let to = self.activities.partition_point(|a| a.created_ms <= to_ms);
        let found = self.activities[from.min(to)..to].iter();
        found.copied().filter(move |activity| activity.visible_ms <= now_ms)
    }

    /// The activity called `id`.
    pub(crate) fn find(&self, id: &str, now_ms: i64) -> Option<Facts> {
        self.found(now_ms).map(|a| Facts::of(&self.identity, a)).find(|facts| facts.id == id)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
