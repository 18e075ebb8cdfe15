//! The way to the database and back: what is asked and answered, how long that takes, and what is
//! lost of it.

use std::time::Duration;

use m365_audit_core::{Commit, Stored};
use m365_audit_world::{Claimant, Draw};

/// What a member asks of the database.
pub(super) enum Statement {
    Claim {
        holder: String,
    },
    Read,
    /// With what the host had when it was handed over, and when that was.
    Commit {
        run: Claimant,
        commit: Commit,
        had: u64,
        handed_ms: i64,
    },
    Renew {
        holder: String,
        epoch: i64,
    },
    Release {
        holder: String,
        epoch: i64,
    },
}

/// What the database answers.
pub(super) enum Reply {
    Claimed(Option<Claimant>),
    Read(Stored),
    Committed(bool),
    /// Asked for at this moment of the member's clock.
    Renewed(bool),
    Released,
}

/// What is drawn of a world with two members.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sharing {
    /// How long a lease lasts.
    pub(in super::super) lease: Duration,
    /// How long a statement takes to arrive, and its answer to come, at the most.
    answers_ms_max: u64,
    /// How often, per thousand, a statement takes longer than anybody waits for it.
    late_per_mille: u64,
    /// How often, per thousand, it is lost on one of both ways.
    lost_per_mille: u64,
    /// How often, per thousand commits, the member stands still between its last look at its lease
    /// and the commit's leaving.
    pub(super) still_per_mille: u64,
    /// How often something happens to a member or to the database, on average.
    pub(super) mishap_ms: u64,
    /// How far the second member's wall clock is off.
    pub(in super::super) skew_ms: i64,
}

/// When a statement arrives, and when its member stops waiting for the answer.
pub(super) struct Way {
    pub(super) arrives_ms: Option<i64>,
    pub(super) ends_ms: i64,
    /// Whether the answer is there by then.
    pub(super) in_time: bool,
}

impl Sharing {
    pub(in super::super) fn draw(draw: &mut Draw) -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self {
            lease: Duration::from_secs(draw.pick(&[10, 30, 30, 120])),
            answers_ms_max: draw.pick(&[2, 50, 1_000]),
            late_per_mille: draw.pick(&[0, 2, 20]),
            lost_per_mille: draw.pick(&[0, 2, 20]),
            still_per_mille: draw.pick(&[0, 5, 50]),
            mishap_ms: draw.pick(&[120_000, 600_000, 1_800_000]),
            skew_ms: draw.pick(&[0, HOUR_MS, -HOUR_MS]),
        }
    }

    pub(super) fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// About as long as a lease lasts: a little less, a little more, or much more.
    pub(super) fn about_a_lease_ms(&self, draw: &mut Draw) -> i64 {
        let lease = self.lease_ms();
        draw.pick(&[lease / 2, lease - 200, lease, lease + 200, lease * 2, lease + 600_000])
    }

    /// The way of a statement that leaves at `leaves_ms`, when nothing gets through before
    /// `cut_until_ms`.
    pub(super) fn way(
        &self,
        draw: &mut Draw,
        leaves_ms: i64,
        cut_until_ms: i64,
        patience_ms: i64,
    ) -> Way {
        let mut leg = || i64::try_from(draw.between(1, self.answers_ms_max)).unwrap_or(1);
        let (mut there_ms, back_ms) = (leg(), leg());
        there_ms += (cut_until_ms - leaves_ms).max(0);
        if draw.chance(self.late_per_mille) {
            there_ms += self.about_a_lease_ms(draw);
        }
        let lost = draw.chance(self.lost_per_mille);
        let before = lost && draw.chance(500);
        let takes_ms = there_ms + back_ms;
        let in_time = !lost && takes_ms <= patience_ms;
        // A connection that breaks is noticed at once.
        let breaks = lost && draw.chance(500);
        let ends_ms = if in_time || breaks { takes_ms.min(patience_ms) } else { patience_ms };
        Way {
            arrives_ms: (!before).then_some(leaves_ms + there_ms),
            ends_ms: leaves_ms + ends_ms,
            in_time,
        }
    }
}
