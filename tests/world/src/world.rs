//! The world that a machine of the core lives in: one agenda for all that happens, a network, a
//! host, and a local clock that may be wrong.

use std::time::Duration;

use m365_audit_core::{
    Batch, BatchId, Commit, Input, Now, Presented, Request, RequestId, Stored, Utc,
};

use crate::agenda::Agenda;
use crate::draw::Draw;
use crate::network::{Chunks, Network, Service};
use crate::taker::{Habits, Taker};

/// What happens at a moment.
#[derive(Debug)]
enum Happening {
    Input(Input),
    Take(BatchId),
    Lose(BatchId),
}

/// What a world is like.
#[derive(Clone, Debug)]
pub struct Setting {
    /// When it begins.
    pub start_ms: i64,
    /// All that is drawn follows from it.
    pub seed: u64,
    /// How far the local clock is off at the start, in milliseconds.
    pub skew_ms: i64,
    /// How bodies are cut.
    pub chunks: Chunks,
    /// How the host treats batches.
    pub habits: Habits,
    /// How often a crash follows an output, per million, in faulty times.
    pub crash_per_million: u64,
    /// How often the local clock jumps, per thousand waits, in faulty times.
    pub jump_per_mille: u64,
}

impl Setting {
    /// A world without surprises: whole chunks, and a host that takes each batch at once.
    #[must_use]
    pub fn calm(start_ms: i64, seed: u64) -> Self {
        Self {
            start_ms,
            seed,
            skew_ms: 0,
            chunks: Chunks::AsSent,
            habits: Habits::from(0),
            crash_per_million: 0,
            jump_per_mille: 0,
        }
    }
}

/// A world in virtual time. Uses no clock, no thread and no randomness but its seed.
#[derive(Debug)]
pub struct World {
    /// What is stored.
    pub stored: Stored,
    /// Whether what may go wrong with process, clock and host goes wrong.
    pub faulty: bool,
    /// Outputs of one life at the most: a machine that turns in circles is a failure.
    pub outputs_max: u64,
    /// How the host treats batches.
    pub habits: Habits,
    /// Whether commits are handed out, for somebody else to store.
    pub hands_out: bool,
    /// The commit that was handed out last.
    pub handed_out: Option<Commit>,
    setting: Setting,
    draw: Draw,
    /// Apart from the other choices, which must not depend on how often somebody signs in.
    entropy: Draw,
    network: Network,
    taker: Taker,
    agenda: Agenda<Happening>,
    now_ms: i64,
    /// When the process began.
    born_ms: i64,
    skew_ms: i64,
    /// When batches were last taken, so that deliveries keep their order.
    delivered_ms: i64,
    returned: u64,
}

impl World {
    /// A world at its beginning.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        const OUTPUTS_MAX: u64 = 50_000_000;
        let start_ms = setting.start_ms;
        Self {
            stored: Stored::new(),
            faulty: false,
            outputs_max: OUTPUTS_MAX,
            habits: setting.habits,
            hands_out: false,
            handed_out: None,
            draw: Draw::new(!setting.seed),
            entropy: Draw::new(setting.seed.rotate_left(32)),
            network: Network::default(),
            taker: Taker::default(),
            agenda: Agenda::default(),
            now_ms: start_ms,
            born_ms: start_ms,
            skew_ms: setting.skew_ms,
            delivered_ms: start_ms,
            returned: 0,
            setting,
        }
    }

    /// Both clocks of the process, of which the wall clock may be wrong.
    #[must_use]
    pub fn now(&self) -> Now {
        let alive_ms = (self.now_ms - self.born_ms).unsigned_abs();
        Now {
            monotonic: Duration::from_millis(alive_ms),
            wall: Utc::from_millis(self.now_ms + self.skew_ms),
        }
    }

    /// What time it is.
    #[must_use]
    pub const fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The host.
    #[must_use]
    pub const fn taker(&self) -> &Taker {
        &self.taker
    }

    /// How often the host lost what it was given.
    #[must_use]
    pub const fn returned(&self) -> u64 {
        self.returned
    }

    /// How many answers are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.network.len()
    }

    /// Whether nothing will happen by itself.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.network.len() == 0 && self.agenda.is_empty()
    }

    /// Another number that follows from the seed.
    pub const fn draw(&mut self) -> u64 {
        self.draw.next()
    }

    /// Has the machine told something after so many milliseconds.
    pub fn tell(&mut self, after_ms: i64, input: Input) {
        self.happens(after_ms, Happening::Input(input));
    }

    /// The host takes all that it holds.
    pub fn take_held(&mut self) {
        for id in self.taker.let_go() {
            self.happens(0, Happening::Take(id));
        }
    }

    /// Time passes in which nobody lives.
    pub const fn sleep(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    /// The machine is suspended, and no clock of its own goes on; only the wall clock is set.
    pub const fn suspend(&mut self, ms: i64) {
        self.now_ms += ms;
        self.born_ms += ms;
    }

    /// What was taken goes over to another process's world, and back: both have one host.
    pub const fn swap_taken(&mut self, other: &mut Self) {
        self.taker.swap_taken(&mut other.taker);
    }

    /// The process dies. What the host was given, it may have taken all the same.
    pub fn crash(&mut self) {
        for happening in self.agenda.take_all() {
            if let Happening::Take(id) = happening
                && self.draw.chance(500)
            {
                self.taker.take(id);
            }
        }
        self.now_ms += i64::try_from(self.draw.between(0, 60_000)).unwrap_or_default();
        self.restart();
    }

    /// Another process begins at once. What the host was given and has not taken is gone.
    pub fn restart(&mut self) {
        self.agenda = Agenda::default();
        self.network = Network::default();
        self.taker.crash();
        self.born_ms = self.now_ms;
        self.delivered_ms = self.now_ms;
    }

    /// Starts a request.
    pub fn send(
        &mut self,
        service: &mut dyn Service,
        id: RequestId,
        request: &Request,
        timeout: Duration,
    ) {
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let (after_ms, input) = self.network.send(service, self.now_ms, id, request, timeout_ms);
        self.tell(after_ms, input);
    }

    /// Asks for the next chunk of a response.
    pub fn read(&mut self, id: RequestId) {
        let arrival = self.network.read(id, self.setting.chunks, &mut self.draw);
        if let Some((after_ms, input)) = arrival {
            self.tell(after_ms, input);
        }
    }

    /// Drops a request.
    pub fn cancel(&mut self, id: RequestId) {
        self.network.cancel(id);
    }

    /// What somebody signs in with who is configured with all of it.
    pub fn present(&mut self) -> Presented {
        Presented::unchanged(self.entropy())
    }

    /// Random bytes, for a signature.
    pub fn entropy(&mut self) -> [u8; 32] {
        let mut entropy = [0; 32];
        for part in entropy.chunks_exact_mut(8) {
            part.copy_from_slice(&self.entropy.next().to_le_bytes());
        }
        entropy
    }

    /// Lets time pass until something happens or the time is over, but not beyond `until_ms`, and
    /// answers all that has happened then. False if nothing ever will.
    pub fn pass(
        &mut self,
        timeout: Option<Duration>,
        until_ms: i64,
        inputs: &mut Vec<Input>,
    ) -> bool {
        let timer_ms = timeout.map(|timeout| {
            // Rounded up, as timers are, but never an idle turn.
            self.now_ms + i64::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX / 2)
        });
        let Some(next_ms) = timer_ms.into_iter().chain(self.agenda.next_ms()).min() else {
            return false;
        };
        if self.faulty && self.draw.chance(self.setting.jump_per_mille) {
            self.skew_ms += i64::try_from(self.draw.between(0, 7_200_000)).unwrap_or(0) - 3_600_000;
        }
        self.now_ms = next_ms.clamp(self.now_ms, until_ms.max(self.now_ms));
        while let Some(happening) = self.agenda.pop_until(self.now_ms) {
            match happening {
                Happening::Input(input) => inputs.push(input),
                Happening::Take(id) if self.taker.take(id) => inputs.push(Input::Delivered(id)),
                Happening::Take(_) => {}
                Happening::Lose(id) => {
                    self.taker.lose_from(id);
                    self.returned += 1;
                    inputs.push(Input::Returned(id));
                }
            }
        }
        true
    }

    /// Whether the process dies of its next output, and if so, before it is performed or behind.
    pub(crate) const fn fate(&mut self) -> Option<Death> {
        let rate = self.setting.crash_per_million;
        if !self.faulty || rate <= self.draw.next() % 1_000_000 {
            return None;
        }
        Some(if self.draw.chance(500) { Death::Before } else { Death::Behind })
    }

    /// Whether the host never takes the next batch.
    pub(crate) fn refuses(&mut self) -> bool {
        let refuses = &mut self.habits.refuses;
        refuses.take_if(|number| *number == self.taker.batches() + 1).is_some()
    }

    /// Hands a batch to the host.
    pub(crate) fn give(&mut self, batch: Batch) {
        let (id, habits) = (batch.id, self.habits);
        self.taker.give(batch);
        if habits.holds {
            return self.taker.hold(id);
        }
        let delay = self.draw.between(habits.takes_ms.0, habits.takes_ms.1);
        let mut at_ms = self.now_ms + i64::try_from(delay).unwrap_or_default();
        if !habits.unordered {
            at_ms = at_ms.max(self.delivered_ms);
            self.delivered_ms = at_ms;
        }
        let lost = self.faulty && self.draw.chance(habits.loses_per_mille);
        let happening = if lost { Happening::Lose(id) } else { Happening::Take(id) };
        self.happens(at_ms - self.now_ms, happening);
    }

    fn happens(&mut self, after_ms: i64, happening: Happening) {
        self.agenda.enter(self.now_ms + after_ms, happening);
    }
}

/// When a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Before,
    Behind,
}
