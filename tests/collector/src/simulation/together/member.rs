//! One of two processes that collect the same tenant: what it holds, and how far its run is.

use std::time::Duration;

use m365_audit_client::{Holdings, Proof};
use m365_audit_core::{Collector, Stored};
use m365_audit_world::{Claimant, End, Passing, START_MS, World};
use m365_sim::Microsoft;

use super::super::watch::Notes;

/// What both of them collect.
pub(super) const TENANT: &str = "tenant";

/// What a lease that has ended says to [`World::live`].
pub(super) const ENDED: &str = "the lease has ended";

/// How it stands with a member's run. A number names the statement that is waited for.
pub(super) enum Stage {
    /// Another run begins by itself, later.
    Resting,
    /// It asks for the tenant, by this moment of its own clock.
    Claiming(u64, Duration),
    /// It has the tenant, and asks for what is stored.
    Reading(u64),
    Running(Box<Collector>),
    /// What it has committed may be stored, or not.
    Committing(u64, Box<Collector>, Proof),
}

impl Stage {
    /// The number of the statement that is waited for.
    pub(super) const fn waits_for(&self) -> Option<u64> {
        match self {
            Self::Claiming(number, _) | Self::Reading(number) | Self::Committing(number, ..) => {
                Some(*number)
            }
            Self::Resting | Self::Running(_) => None,
        }
    }
}

/// A member.
pub(super) struct Member {
    pub(super) world: World,
    /// Names its present process among its own.
    pub(super) life: u64,
    number: usize,
    pub(super) holdings: Holdings,
    lease: Duration,
    /// By its own clock.
    pub(super) renewed_at: Option<Duration>,
    /// The statement by which it renews its lease at present, and of which epoch.
    pub(super) renewing: Option<(u64, i64)>,
    pub(super) stage: Stage,
    /// What its run takes to be stored.
    pub(super) believed: Stored,
    /// Whether it is to end when everything that was emitted is delivered.
    pub(super) leaves: bool,
    /// It does nothing until then.
    pub(super) still_until_ms: i64,
    /// Nothing that it sends arrives before.
    pub(super) cut_until_ms: i64,
    /// For how long its own clock stood still.
    suspended_ms: i64,
}

impl Member {
    pub(super) fn new(number: usize, world: World, lease: Duration) -> Self {
        Self {
            world,
            life: 0,
            number,
            holdings: Holdings::new(lease),
            lease,
            renewed_at: None,
            renewing: None,
            stage: Stage::Resting,
            believed: Stored::new(),
            leaves: false,
            still_until_ms: START_MS,
            cut_until_ms: START_MS,
            suspended_ms: 0,
        }
    }

    /// What its process is called, among all that there ever were.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.number, self.life)
    }

    /// Its own clock, which only goes forward.
    pub(super) fn clock(&self, now_ms: i64) -> Duration {
        clock(self.suspended_ms, now_ms)
    }

    /// Lets its collector live until then, if it runs; it ends at a wait if its lease has.
    pub(super) fn live(
        &mut self,
        microsoft: &mut Microsoft,
        notes: &mut Notes,
        until_ms: i64,
    ) -> Result<End, String> {
        let Self { world, holdings, stage, suspended_ms, .. } = self;
        let Stage::Running(collector) = stage else { return Ok(End::Paused) };
        let mut watch = |world: &World, passing: Passing<'_>| {
            let has = || holdings.proof(TENANT, clock(*suspended_ms, world.now_ms())).is_some();
            if matches!(passing, Passing::Wait(_)) && !has() {
                return Err(ENDED.to_owned());
            }
            notes.look(world, passing)
        };
        world.live(&mut **collector, microsoft, &mut watch, until_ms)
    }

    /// What a commit proves now; `None`: its lease has ended, as far as it knows.
    pub(super) fn proof(&self, now_ms: i64) -> Option<Proof> {
        self.holdings.proof(TENANT, self.clock(now_ms))
    }

    /// What names its run in a statement.
    pub(super) fn claimant(&self, proof: Proof) -> Claimant {
        Claimant { holder: self.id(), epoch: proof.epoch, commits: proof.commits }
    }

    /// Brings its world to this moment.
    pub(super) const fn catch_up(&mut self, now_ms: i64) {
        let behind = now_ms - self.world.now_ms();
        if 0 < behind {
            self.world.sleep(behind);
        }
    }

    /// It stands still for a while: stopped, or suspended with its clock.
    pub(super) fn stand_still(&mut self, now_ms: i64, ms: i64, suspended: bool) {
        self.catch_up(now_ms);
        if suspended {
            self.world.suspend(ms);
            self.suspended_ms += ms;
        } else {
            self.world.sleep(ms);
        }
        self.still_until_ms = self.still_until_ms.max(now_ms + ms);
    }

    /// Whether its collector can do something before this moment.
    pub(super) const fn runs_before(&self, until_ms: i64) -> bool {
        matches!(self.stage, Stage::Running(_)) && self.world.now_ms() < until_ms
    }

    /// Whether it has a run that has begun.
    pub(super) const fn is_at_work(&self) -> bool {
        matches!(self.stage, Stage::Running(_) | Stage::Committing(..))
    }

    /// Its run is over. What its host was given, that may have taken all the same.
    pub(super) fn end_run(&mut self) {
        self.world.crash();
        self.stage = Stage::Resting;
        self.leaves = false;
    }

    /// Its process is over, and another one begins.
    pub(super) fn end_process(&mut self) {
        self.end_run();
        self.life += 1;
        self.holdings = Holdings::new(self.lease);
        (self.renewed_at, self.renewing) = (None, None);
    }
}

fn clock(suspended_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis((now_ms - START_MS - suspended_ms).unsigned_abs())
}
