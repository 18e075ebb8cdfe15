//! What happens to two members and their database, drawn from the seed.

use m365_audit_core::Input;

use super::member::{Member, Stage};
use super::{Event, Together};

/// What may happen.
const MISHAPS: [&str; 10] = [
    "still",
    "suspended",
    "cut",
    "away",
    "leaves",
    "dies",
    "replica",
    "replica",
    "replica",
    "replica",
];

/// How long who leaves may still confirm what it has emitted.
const GRACE_MS: i64 = 10_000;

impl Together<'_> {
    /// Something happens after a while.
    pub(super) fn await_mishap(&mut self) {
        let after_ms = self.draw.between(1_000, self.sharing.mishap_ms * 2);
        let after_ms = i64::try_from(after_ms).unwrap_or(1_000);
        self.agenda.enter(self.now_ms + after_ms, Event::Mishap);
    }

    /// Something happens, mostly to the one that collects.
    pub(super) fn mishap(&mut self) {
        let busy = self.members.iter().position(Member::is_at_work).unwrap_or(0);
        let member = if self.draw.chance(800) { busy } else { 1 - busy };
        let long_ms = self.sharing.about_a_lease_ms(&mut self.draw);
        let (now_ms, life) = (self.now_ms, self.members[member].life);
        let what = self.draw.pick(&MISHAPS);
        self.show(member, &format!("{what}, {long_ms} ms"));
        match what {
            "still" | "suspended" => {
                self.turn_to(member).stand_still(now_ms, long_ms, what == "suspended");
            }
            "cut" => self.members[member].cut_until_ms = now_ms + long_ms,
            "away" => self.away_until_ms = now_ms + long_ms,
            "leaves" => {
                let own = &mut self.members[member];
                let now = own.world.now();
                if let Stage::Running(collector) = &mut own.stage {
                    collector.handle_input(now, Input::Shutdown);
                    own.leaves = true;
                    self.agenda.enter(now_ms + GRACE_MS, Event::Leaves { member, life });
                }
            }
            "dies" => self.die(member),
            _ => self.copy(now_ms),
        }
    }

    /// Whoever dies soon after goes on from what the replica has.
    pub(super) fn may_die_soon(&mut self) {
        let busy = self.members.iter().position(Member::is_at_work);
        if let Some(member) = busy.filter(|_| self.draw.chance(700)) {
            let after_ms = i64::try_from(self.draw.between(0, 20_000)).unwrap_or(0);
            let life = self.members[member].life;
            self.agenda.enter(self.now_ms + after_ms, Event::Dies { member, life });
        }
    }

    /// A replica falls behind, and takes over some time later. Not before it is noted where
    /// collection begins: that would begin anew.
    fn copy(&mut self, now_ms: i64) {
        if self.notes.has_begun(self.config) {
            self.database.copy(now_ms);
            self.copies.insert(now_ms, self.notes.tally.clone());
            let behind_ms = i64::try_from(self.draw.between(0, 120_000)).unwrap_or(0);
            self.agenda.enter(now_ms + behind_ms, Event::Promoted { copied_ms: now_ms });
        }
    }
}
