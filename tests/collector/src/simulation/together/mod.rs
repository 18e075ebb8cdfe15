//! Two members that collect one tenant on one database, as two processes do on a PostgreSQL: one
//! has the lease, the other stands by. What follows from answers of the database, the client's own
//! [`Holdings`] decide. Members stand still, also at the worst moments, die, leave, and are cut
//! off; the database answers late or not at all, is away, and goes on as a replica that lacks its
//! last commits.

mod member;
mod mishaps;
mod way;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use m365_audit_client::{Holdings, Proof};
use m365_audit_core::{Collector, Commit, Config, Stored};
use m365_audit_world::{Agenda, Claimant, Database, Draw, End, START_MS, World};
use m365_sim::Microsoft;

use self::member::{ENDED, Member, Stage, TENANT};
use self::way::{Reply, Statement, Way};
use super::history::Tally;
use super::watch::Notes;

pub(super) use self::way::Sharing;

/// How long who stands by waits before it asks again. Longer than the client does: each look of one
/// interrupts the other one here.
const STAND_BY_MS: i64 = 5_000;

enum Event {
    /// Another run of this process begins, or its first.
    Begin { member: usize, life: u64 },
    /// It looks after its lease.
    Keep { member: usize, life: u64 },
    /// A statement reaches the database.
    Arrives { number: u64, statement: Statement },
    /// A member has the answer, or has waited for long enough.
    Answered { member: usize, life: u64, number: u64, in_time: bool, asked: Duration },
    /// Its process dies.
    Dies { member: usize, life: u64 },
    /// The grace of who leaves is over.
    Leaves { member: usize, life: u64 },
    /// Something happens.
    Mishap,
    /// A replica takes over, with what it had at this moment.
    Promoted { copied_ms: i64 },
}

/// Both members, and what is between them.
pub(super) struct Together<'a> {
    config: &'a Config,
    microsoft: &'a mut Microsoft,
    notes: &'a mut Notes,
    sharing: Sharing,
    draw: Draw,
    members: [Member; 2],
    /// Whose world has what the host has taken.
    current: usize,
    database: Database,
    /// No statement gets through before.
    away_until_ms: i64,
    /// What was noted when a replica had all.
    copies: BTreeMap<i64, Tally>,
    agenda: Agenda<Event>,
    replies: HashMap<u64, Reply>,
    sent: u64,
    now_ms: i64,
    /// Runs that began.
    pub(super) runs: u64,
    last_epoch: i64,
    /// Statements up to this one went to a server that is no more.
    dead: u64,
    /// Whether it is looked whether what is stored is what its run takes it to be.
    in_doubt: bool,
}

impl<'a> Together<'a> {
    pub(super) fn new(
        config: &'a Config,
        microsoft: &'a mut Microsoft,
        notes: &'a mut Notes,
        sharing: Sharing,
        worlds: [World; 2],
        stored: Stored,
    ) -> Self {
        let mut number = 0;
        let mut members = worlds.map(|world| {
            number += 1;
            Member::new(number, world, sharing.lease)
        });
        let draw = Draw::new(members[0].world.draw());
        for member in &mut members {
            (member.world.faulty, member.world.hands_out) = (true, true);
        }
        let mut all = Self {
            config,
            microsoft,
            notes,
            sharing,
            draw,
            members,
            current: 0,
            database: Database::new(stored),
            away_until_ms: START_MS,
            copies: BTreeMap::new(),
            agenda: Agenda::default(),
            replies: HashMap::new(),
            sent: 0,
            now_ms: START_MS,
            runs: 0,
            last_epoch: 0,
            dead: 0,
            in_doubt: false,
        };
        for member in 0..2 {
            all.begins(member, START_MS);
        }
        all.await_mishap();
        all
    }

    /// Lets both live until then.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn live(&mut self, until_ms: i64) -> Result<(), String> {
        loop {
            let next_ms = self.agenda.next_ms().unwrap_or(until_ms).min(until_ms);
            let members = [0, 1].into_iter().filter(|n| self.members[*n].runs_before(next_ms));
            let first = members.min_by_key(|n| self.members[*n].world.now_ms());
            if let Some(member) = first {
                self.let_run(member, next_ms)?;
                continue;
            }
            if until_ms <= next_ms {
                return Ok(());
            }
            let Some(event) = self.agenda.pop_until(next_ms) else { return Ok(()) };
            self.now_ms = next_ms;
            self.happens(event)?;
        }
    }

    /// Both have ended, and so has what was on its way: the world of the first one, and what is
    /// stored.
    pub(super) fn end(mut self) -> (World, Stored) {
        self.turn_to(0);
        let [mut first, mut second] = self.members;
        let now_ms = first.world.now_ms().max(second.world.now_ms()).max(self.now_ms);
        for member in [&mut first, &mut second] {
            member.catch_up(now_ms);
        }
        first.world.hands_out = false;
        first.end_process();
        (first.world, self.database.stored)
    }

    /// Both have one host: what it has taken goes with who is looked at.
    fn turn_to(&mut self, member: usize) -> &mut Member {
        if self.current != member {
            let [first, second] = &mut self.members;
            first.world.swap_taken(&mut second.world);
            self.current = member;
        }
        &mut self.members[member]
    }

    fn show(&self, member: usize, what: &str) {
        let seconds = (self.now_ms - START_MS) / 1_000;
        self.notes.show(&format!("{seconds:>7} s member {}: {what}", self.members[member].id()));
    }

    fn let_run(&mut self, member: usize, until_ms: i64) -> Result<(), String> {
        self.turn_to(member);
        let end = self.members[member].live(self.microsoft, self.notes, until_ms);
        self.now_ms = self.members[member].world.now_ms();
        match end {
            Err(what) if what == ENDED => {
                self.show(member, ENDED);
                self.rest(member);
            }
            Err(what) => return Err(what),
            Ok(End::Paused) => {}
            Ok(End::Committing) => self.commit(member),
            Ok(End::Crashed | End::Refused) => {
                // What was sent before is on its way.
                if self.members[member].world.handed_out.is_some() {
                    self.commit(member);
                }
                self.die(member);
            }
            Ok(End::Finished) if self.members[member].leaves => self.leave(member),
            Ok(End::Finished) => return Err("the collector has finished by itself".into()),
        }
        Ok(())
    }

    /// Its collector has something to commit, and waits until it is stored. Whoever stands still
    /// here has looked at its lease before.
    fn commit(&mut self, member: usize) {
        let still = self.draw.chance(self.sharing.still_per_mille);
        let still_ms = self.sharing.about_a_lease_ms(&mut self.draw);
        let suspended = self.draw.chance(500);
        let now_ms = self.now_ms;
        let own = &mut self.members[member];
        let (had, commit) = (own.world.taker().records(), own.world.handed_out.take());
        let (Some(commit), Some(proof)) = (commit, own.proof(now_ms)) else {
            return self.rest(member);
        };
        let run = own.claimant(proof);
        if still {
            own.stand_still(now_ms, still_ms, suspended);
            self.show(member, "stands still before a commit leaves");
        }
        let statement = Statement::Commit { run, commit, had, handed_ms: now_ms };
        let number = self.send(member, statement, self.sharing.lease_ms());
        let own = &mut self.members[member];
        own.stage = match std::mem::replace(&mut own.stage, Stage::Resting) {
            Stage::Running(collector) => Stage::Committing(number, collector, proof),
            other => other,
        };
    }

    /// Sends something to the database. Answers its number.
    fn send(&mut self, member: usize, statement: Statement, patience_ms: i64) -> u64 {
        self.sent += 1;
        let number = self.sent;
        let own = &self.members[member];
        let leaves_ms = self.now_ms.max(own.still_until_ms);
        let Way { arrives_ms, ends_ms, in_time } =
            self.sharing.way(&mut self.draw, leaves_ms, own.cut_until_ms, patience_ms);
        if let Some(arrives_ms) = arrives_ms {
            self.agenda.enter(arrives_ms, Event::Arrives { number, statement });
        }
        let (life, asked) = (own.life, own.clock(self.now_ms));
        self.agenda.enter(ends_ms, Event::Answered { member, life, number, in_time, asked });
        number
    }

    fn happens(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Begin { member, life }
            | Event::Keep { member, life }
            | Event::Dies { member, life }
            | Event::Leaves { member, life }
            | Event::Answered { member, life, .. } => {
                let own = &self.members[member];
                if own.life != life {
                    return Ok(());
                }
                if self.now_ms < own.still_until_ms {
                    self.agenda.enter(own.still_until_ms, event);
                    return Ok(());
                }
                return self.wakes(event);
            }
            Event::Arrives { number, statement } => return self.ask(number, statement),
            Event::Mishap => {
                self.mishap();
                self.await_mishap();
            }
            Event::Promoted { copied_ms } => {
                if self.database.promote(copied_ms) {
                    self.notes.tally = self.copies.remove(&copied_ms).unwrap_or_default();
                    self.copies.clear();
                    (self.last_epoch, self.dead, self.in_doubt) = (0, self.sent, true);
                    self.show(0, &format!("a replica takes over, as of {copied_ms}"));
                    self.may_die_soon();
                }
            }
        }
        Ok(())
    }

    /// Something is up for a member, which does not stand still.
    fn wakes(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Begin { member, .. } => {
                if matches!(self.members[member].stage, Stage::Resting) {
                    let holder = self.members[member].id();
                    let asked = self.members[member].clock(self.now_ms);
                    let claim = Statement::Claim { holder };
                    let number = self.send(member, claim, self.sharing.lease_ms());
                    self.members[member].stage = Stage::Claiming(number, asked);
                }
            }
            Event::Keep { member, .. } => self.keep(member),
            Event::Dies { member, .. } => self.die(member),
            Event::Leaves { member, .. } => {
                if self.members[member].leaves {
                    self.leave(member);
                }
            }
            Event::Answered { member, number, in_time, asked, .. } => {
                let reply = self.replies.remove(&number).filter(|_| in_time);
                match self.members[member].renewing {
                    Some((known, epoch)) if known == number => {
                        self.renewed(member, epoch, reply, asked);
                    }
                    Some(_) | None => return self.answered(member, number, reply),
                }
            }
            Event::Arrives { .. } | Event::Mishap | Event::Promoted { .. } => {}
        }
        Ok(())
    }

    /// A statement reaches the database.
    fn ask(&mut self, number: u64, statement: Statement) -> Result<(), String> {
        if self.now_ms < self.away_until_ms || number <= self.dead {
            return Ok(());
        }
        let (now_ms, lease_ms) = (self.now_ms, self.sharing.lease_ms());
        let database = &mut self.database;
        let reply = match statement {
            Statement::Claim { holder } => {
                Reply::Claimed(database.claim(now_ms, &holder, lease_ms))
            }
            Statement::Read => Reply::Read(database.stored.clone()),
            Statement::Commit { run, commit, had, handed_ms } => {
                let stored = database.commit(&run, &commit);
                if stored {
                    if run.epoch < self.last_epoch {
                        let last = self.last_epoch;
                        return Err(format!("{run:?} committed after epoch {last}"));
                    }
                    self.last_epoch = run.epoch;
                    self.notes.stored(handed_ms, had, &commit)?;
                    self.believe(&run, commit)?;
                }
                Reply::Committed(stored)
            }
            Statement::Renew { holder, epoch } => {
                Reply::Renewed(database.renew(now_ms, &holder, epoch, lease_ms))
            }
            Statement::Release { holder, epoch } => {
                database.release(&holder, epoch);
                Reply::Released
            }
        };
        self.replies.insert(number, reply);
        Ok(())
    }

    /// What a run has committed is stored: on top of what it takes to be stored, and nothing else.
    fn believe(&mut self, run: &Claimant, commit: Commit) -> Result<(), String> {
        let own = self.members.iter_mut().find(|member| member.id() == run.holder);
        let Some(own) = own else { return Ok(()) };
        commit.apply(&mut own.believed);
        if std::mem::take(&mut self.in_doubt) && own.believed != self.database.stored {
            return Err(format!("{run:?} goes on from what the database does not have"));
        }
        Ok(())
    }

    /// What a run waits for has come, or will not come.
    fn answered(&mut self, member: usize, number: u64, reply: Option<Reply>) -> Result<(), String> {
        let own = &mut self.members[member];
        if own.stage.waits_for() != Some(number) {
            // Nobody waits for it any more.
            return Ok(());
        }
        match (std::mem::replace(&mut own.stage, Stage::Resting), reply) {
            (Stage::Claiming(_, asked), Some(Reply::Claimed(Some(run)))) => {
                let Claimant { epoch, commits, .. } = run;
                own.holdings.claimed(TENANT.into(), Proof { epoch, commits }, asked);
                let number = self.send(member, Statement::Read, self.sharing.lease_ms());
                self.members[member].stage = Stage::Reading(number);
            }
            (Stage::Reading(_), Some(Reply::Read(stored))) => {
                self.members[member].stage = self.begin(member, &stored)?;
            }
            (Stage::Committing(_, collector, proof), Some(Reply::Committed(true))) => {
                own.holdings.committed(TENANT, proof);
                own.catch_up(self.now_ms);
                own.stage = Stage::Running(collector);
            }
            (Stage::Committing(_, _, proof), Some(Reply::Committed(false))) => {
                own.holdings.forget(TENANT, proof.epoch);
                self.show(member, "is refused");
                self.rest(member);
            }
            (Stage::Committing(..), _) => {
                self.show(member, "does not know whether it has committed");
                self.rest(member);
            }
            _ => self.begins_run(member, self.now_ms + STAND_BY_MS),
        }
        Ok(())
    }

    /// A run goes on from what is stored.
    fn begin(&mut self, member: usize, stored: &Stored) -> Result<Stage, String> {
        self.runs += 1;
        self.show(member, "begins a run");
        let own = &mut self.members[member];
        own.catch_up(self.now_ms);
        own.believed.clone_from(stored);
        let seed = own.world.draw();
        Collector::new(self.config.clone(), stored, seed.into(), own.world.now())
            .map(|collector| Stage::Running(Box::new(collector)))
            .map_err(|error| format!("the state cannot be read back: {error}"))
    }

    /// A run is over; another one begins after a pause.
    fn rest(&mut self, member: usize) {
        let own = self.turn_to(member);
        own.end_run();
        let begins_ms = own.world.now_ms().max(self.now_ms + 1_000);
        self.begins_run(member, begins_ms);
    }

    /// Its process dies; another one begins after a while.
    fn die(&mut self, member: usize) {
        self.show(member, "dies");
        let own = self.turn_to(member);
        own.end_process();
        let begins_ms = own.world.now_ms().max(self.now_ms + 1_000);
        self.begins(member, begins_ms);
    }

    /// It lets go of the tenant, and ends.
    fn leave(&mut self, member: usize) {
        self.show(member, "leaves");
        let own = &mut self.members[member];
        let holder = own.id();
        if let Some(epoch) = own.holdings.leave(TENANT) {
            let release = Statement::Release { holder, epoch };
            self.send(member, release, self.sharing.lease_ms());
        }
        self.die(member);
    }

    fn begins_run(&mut self, member: usize, at_ms: i64) {
        let life = self.members[member].life;
        self.agenda.enter(at_ms, Event::Begin { member, life });
    }

    /// Its process begins.
    fn begins(&mut self, member: usize, at_ms: i64) {
        self.begins_run(member, at_ms);
        let life = self.members[member].life;
        self.agenda.enter(at_ms, Event::Keep { member, life });
    }

    /// It looks after its lease.
    fn keep(&mut self, member: usize) {
        let own = &self.members[member];
        let now = own.clock(self.now_ms);
        let look = Holdings::look_every(self.sharing.lease);
        let mut next = look;
        if own.renewing.is_none() && own.holdings.is_due(own.renewed_at, now) {
            let (holder, to_renew) = (own.id(), own.holdings.to_renew());
            for (_, epoch) in to_renew {
                let renew = Statement::Renew { holder: holder.clone(), epoch };
                let number = self.send(member, renew, self.sharing.lease_ms() / 3);
                self.members[member].renewing = Some((number, epoch));
            }
            // Nothing is due before.
            next = self.sharing.lease / 3 - look;
        }
        let life = self.members[member].life;
        let next_ms = self.now_ms + i64::try_from(next.as_millis()).unwrap_or(i64::MAX).max(1);
        self.agenda.enter(next_ms, Event::Keep { member, life });
    }

    fn renewed(&mut self, member: usize, epoch: i64, reply: Option<Reply>, asked: Duration) {
        let own = &mut self.members[member];
        own.renewing = None;
        let Some(Reply::Renewed(kept)) = reply else { return };
        own.renewed_at = Some(asked);
        let kept = kept.then_some((TENANT, epoch)).into_iter().collect();
        own.holdings.renewed(&[(TENANT.into(), epoch)], &kept, asked);
    }
}
