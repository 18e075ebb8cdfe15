//! A life: the core's own loop drives a machine in a [`World`] until it has finished, its time is
//! over or it dies. The only driver in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use m365_audit_core::{
    Batch, Commit, Event, Input, Io, Machine, Metrics, Now, Presented, Request, RequestId, Taken,
    Waits,
};

use crate::network::Service;
use crate::world::{Death, World};

/// How a life ended, or why nobody looks at it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The machine has finished.
    Finished,
    /// The time to look at it is over. It may go on.
    Paused,
    /// The process died: a new machine has to go on, after [`World::crash`].
    Crashed,
    /// A commit was handed out ([`World::handed_out`]). The machine may go on when it is stored; if
    /// it is not, a new one has to.
    Committing,
    /// The host takes no more: a new machine has to go on, after [`World::restart`].
    Refused,
}

/// What passes between the machine and its world.
#[derive(Clone, Copy, Debug)]
pub enum Passing<'a> {
    /// A request was sent.
    Request(&'a Request),
    /// The host is about to be given this.
    Batch(&'a Batch),
    /// This is about to be stored.
    Commit(&'a Commit),
    /// This is told.
    Event(&'a Event),
    /// There is nothing to do for a while.
    Wait(&'a Metrics),
}

/// Looks at all that passes, and says what does not hold: that ends the life.
pub type Watch<'a> = dyn FnMut(&World, Passing<'_>) -> Result<(), String> + 'a;

impl World {
    /// Lets a machine live until `until_ms` at the most.
    ///
    /// # Errors
    /// What does not hold.
    pub fn live<M: Machine>(
        &mut self,
        machine: &mut M,
        service: &mut dyn Service,
        watch: &mut Watch<'_>,
        until_ms: i64,
    ) -> Result<End, String> {
        if until_ms <= self.now_ms() {
            return Ok(End::Paused);
        }
        let mut life = Life {
            world: self,
            service,
            watch,
            until_ms,
            outputs: 0,
            kinds: BTreeMap::new(),
            end: None,
            over: false,
        };
        match m365_audit_core::run(machine, &mut life) {
            Ok(()) => life.end.unwrap_or(Ok(End::Finished)),
            Err(Refused) => Ok(End::Refused),
        }
    }
}

/// The host never takes this batch.
struct Refused;

struct Life<'a> {
    world: &'a mut World,
    service: &'a mut dyn Service,
    watch: &'a mut Watch<'a>,
    until_ms: i64,
    outputs: u64,
    kinds: BTreeMap<&'static str, u64>,
    end: Option<Result<End, String>>,
    /// No output is performed any more.
    over: bool,
}

impl Life<'_> {
    /// Whether an output is performed: not if the process dies before. Each passes here once.
    fn performs(&mut self, kind: &'static str) -> bool {
        self.outputs += 1;
        *self.kinds.entry(kind).or_default() += 1;
        let most = self.world.outputs_max;
        if most < self.outputs {
            self.over(Err(format!("more than {most} outputs: {:?}", self.kinds)));
            return false;
        }
        let death = self.world.fate();
        if death.is_some() {
            self.over(Ok(End::Crashed));
        }
        death != Some(Death::Before)
    }

    /// The machine is not asked for another output. What was said first holds.
    fn over(&mut self, end: Result<End, String>) {
        self.over = true;
        if end.is_err() {
            self.end = Some(end);
        } else {
            self.end.get_or_insert(end);
        }
    }

    fn look(&mut self, passing: Passing<'_>) {
        if let Err(what) = (self.watch)(self.world, passing) {
            self.over(Err(what));
        }
    }
}

impl Io for Life<'_> {
    type Error = Refused;

    fn now(&mut self) -> Now {
        self.world.now()
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        if self.performs("requests") {
            self.world.send(self.service, id, &request, timeout);
            self.look(Passing::Request(&request));
        }
    }

    fn read(&mut self, id: RequestId) {
        if self.performs("reads") {
            self.world.read(id);
        }
    }

    fn cancel(&mut self, id: RequestId) {
        if self.performs("cancels") {
            self.world.cancel(id);
        }
    }

    fn credential(&mut self) -> Presented {
        // Nobody signs in with what a dead process presents.
        let performs = self.performs("credentials");
        if performs { self.world.present() } else { Presented::unchanged([0; 32]) }
    }

    fn emit(&mut self, batch: Batch) -> Result<Taken, Refused> {
        if !self.performs("batches") {
            return Ok(Taken::Later);
        }
        if self.world.refuses() {
            return Err(Refused);
        }
        self.look(Passing::Batch(&batch));
        self.world.give(batch);
        Ok(Taken::Later)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), Refused> {
        if self.performs("commits") {
            if self.world.hands_out {
                self.world.handed_out = Some(commit);
                self.over(Ok(End::Committing));
                return Ok(());
            }
            self.look(Passing::Commit(&commit));
            commit.apply(&mut self.world.stored);
        }
        Ok(())
    }

    fn observe(&mut self, event: Event) {
        if self.performs("events") {
            self.look(Passing::Event(&event));
        }
    }

    fn pauses(&self) -> bool {
        self.over
    }
}

impl Waits for Life<'_> {
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        metrics: &Metrics,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Refused> {
        if !self.performs("waits") {
            return Ok(());
        }
        self.look(Passing::Wait(metrics));
        if !self.world.pass(timeout, self.until_ms, inputs) {
            self.over(Err("the collector waits for ever".into()));
        }
        if self.until_ms <= self.world.now_ms() {
            self.over(Ok(End::Paused));
        }
        Ok(())
    }
}
