//! Whether one thing after the other fails alike, blobs of a feed or pages of searches, so that
//! somebody has to hear of it. Told once, not once for each.

use std::time::Duration;

use crate::base::key::{Key, KeySet};

/// So many that fail alike, and none that succeeds, are more than bad luck.
const ALIKE_MIN: usize = 10;

/// What passes by itself as a rule has to go on for so long besides.
const PASSING_WITHIN: Duration = Duration::from_secs(5 * 60);

/// What fails, succeeds and fails again is told no sooner than that.
const TOLD_EVERY: Duration = Duration::from_secs(60 * 60);

/// Failures in a row, all of one kind.
#[derive(Debug)]
struct Alike {
    kind: String,
    keys: KeySet,
    since: Duration,
    told: bool,
}

/// What fails one after the other.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    alike: Option<Alike>,
    /// How it failed when that was told last, and when that was.
    told: Option<(String, Duration)>,
}

impl Failing {
    /// One has failed. `kind`: its code, or what happened; `passes`: as a rule it does by itself.
    /// Answers whether it is to be told that all of them fail.
    pub(crate) fn fail(&mut self, key: Key, kind: &str, passes: bool, now: Duration) -> bool {
        let known = self.alike.take().filter(|alike| alike.kind == kind);
        let alike = self.alike.insert(known.unwrap_or_else(|| Alike {
            kind: kind.to_owned(),
            keys: KeySet::default(),
            since: now,
            told: false,
        }));
        if alike.keys.len() < ALIKE_MIN {
            alike.keys.insert(key);
        }
        let lasts = !passes || alike.since + PASSING_WITHIN <= now;
        let recently = |(told, at): &(String, Duration)| told == kind && now < *at + TOLD_EVERY;
        let recently = self.told.as_ref().is_some_and(recently);
        let tell = !alike.told && !recently && lasts && alike.keys.len() >= ALIKE_MIN;
        if tell {
            alike.told = true;
            self.told = Some((kind.to_owned(), now));
        }
        tell
    }

    /// One has succeeded. Answers whether it was told that none does.
    pub(crate) fn succeed(&mut self) -> bool {
        self.alike.take().is_some_and(|alike| alike.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ten_that_fail_alike_are_told_once() {
        let mut failing = Failing::default();
        let mut fail = |n: u128, kind: &str| failing.fail(Key(n), kind, false, SECOND);
        assert!((0..9).all(|n| !fail(n, "AF20052")));
        assert!(!fail(3, "AF20052"), "the same again");
        assert!(!fail(9, "AF20050"), "another code");
        assert!((10..19).all(|n| !fail(n, "AF20052")));
        assert!(fail(19, "AF20052"));
        assert!((20..40).all(|n| !fail(n, "AF20052")), "it is told");
        assert!(failing.succeed() && !failing.succeed());
        // It comes and goes.
        let mut fail = |n: u128, at: Duration| failing.fail(Key(n), "AF20052", false, at);
        assert!((0..20).all(|n| !fail(n, SECOND * 60)));
        assert!(fail(0, SECOND * 3_700) && !fail(1, SECOND * 3_700), "an hour later");
    }

    #[test]
    fn what_passes_as_a_rule_is_told_when_it_does_not() {
        let mut failing = Failing::default();
        let mut fail = |n: u32| failing.fail(Key(n.into()), "503", true, SECOND * n);
        assert!((0..300).all(|n| !fail(n)));
        assert!(fail(300) && !fail(301));
    }
}
