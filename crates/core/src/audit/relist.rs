//! What of the past is listed again, and what becomes of older windows that fail: they get shorter,
//! and the shortest are set aside, so that no window stands in the way of the others.
//!
//! When a round was made is stored once its last blob is settled; until then a crash has it made
//! again. A run that ends (`--once`) and goes on from a state lists the whole retention again:
//! nobody else would look for what came late between two such runs.
//!
//! An older window that is given up halves the next ones, and each success makes them a little
//! longer. One that fails at its shortest is set aside and tried by itself, while the planner takes
//! it as listed. One that is refused near the edge of retention moves the edge, for some hours.

use std::time::Duration;

use crate::audit::plan::{self, RETENTION, Round, WINDOW_SPAN_MAX};
use crate::audit::run::Run;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;
use crate::source::urgency::Wake;

/// Older windows that fail become no shorter than this. Longer than
/// [`OVERLAP`](crate::source::retention::OVERLAP), so that each lists something new.
const SPAN_MIN: Duration = Duration::from_secs(15 * 60);

/// Windows of one lane that are set aside at the most.
const ASIDE_MAX: usize = 64;

/// After so many failures of a window that is set aside, a run that ends does not wait for it.
const ASIDE_FAILURES_MAX: u32 = 5;

/// Refused this close to the edge of retention, a window begins too early.
const EDGE_SPAN: Duration = Duration::from_secs(3_600);

/// By how much the edge is moved then: doubled from refusal to refusal, and forgotten in the end.
const EDGE_BASE: Duration = Duration::from_secs(15 * 60);
const EDGE_MAX: Duration = Duration::from_secs(24 * 3_600);
const EDGE_KEPT: Duration = Duration::from_secs(6 * 3_600);

/// A round under way: it is listed piece by piece, as long as windows may be.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    round: Round,
    begun: Utc,
    /// Where the next piece begins.
    next: Utc,
    end: Utc,
}

/// A window that fails although it is short. It is asked for by itself.
#[derive(Clone, Copy, Debug)]
struct Aside {
    window: Interval,
    round: Option<Round>,
    failures: u32,
    not_before: Duration,
}

/// The account of a lane's older windows.
#[derive(Clone, Debug)]
pub(super) struct Older {
    /// When each round was last made, by Microsoft's clock.
    made: Vec<(Round, i64)>,
    under_way: Option<UnderWay>,
    /// No round is due before.
    look_at: Utc,
    asides: Vec<Aside>,
    /// How long a window may be.
    span: Duration,
    /// Failures in a row, and when the next window may be listed.
    failures: u32,
    not_before: Duration,
    /// By how much retention is shorter than it should be, as was seen until when.
    edge: Duration,
    edge_until: Utc,
}

impl Older {
    pub(super) fn new(made: Vec<(Round, i64)>, minutes: u32) -> Self {
        let stored = Duration::from_secs(60) * minutes;
        let span = if minutes == 0 { WINDOW_SPAN_MAX } else { stored };
        Self {
            made,
            under_way: None,
            look_at: Utc::MIN,
            asides: Vec::new(),
            span: span.clamp(SPAN_MIN, WINDOW_SPAN_MAX),
            failures: 0,
            not_before: Duration::ZERO,
            edge: Duration::ZERO,
            edge_until: Utc::MIN,
        }
    }

    /// The oldest moment that a window may start at.
    pub(super) fn oldest(&self, now: Utc) -> Utc {
        let edge = if now < self.edge_until { self.edge } else { Duration::ZERO };
        RETENTION.oldest(now) + edge
    }

    /// When a round was last made.
    fn made(&self, round: Round) -> Option<Utc> {
        let known = self.made.iter().find(|(known, _)| *known == round);
        known.map(|(_, at)| Utc::from_millis(*at))
    }

    fn make(&mut self, round: Round, at: Utc) {
        self.made.retain(|(known, _)| *known != round);
        self.made.push((round, at.as_millis()));
        self.look_at = Utc::MIN;
    }

    /// How long a window may be, as it is stored: a process may not live for long enough to find
    /// it out again.
    pub(super) fn stored_span(&self) -> u32 {
        let minutes = u32::try_from(self.span.as_secs() / 60).unwrap_or_default();
        if self.span < WINDOW_SPAN_MAX { minutes } else { 0 }
    }

    /// An older window was listed, a piece of `round` perhaps: the next may be a little longer.
    pub(super) fn succeeded(&mut self, window: Interval, round: Option<Round>) {
        if let Some(under_way) = self.under_way.filter(|under_way| Some(under_way.round) == round)
            && under_way.end <= under_way.next
        {
            self.under_way = None;
            self.make(under_way.round, under_way.begun);
        }
        self.failures = 0;
        if window.end.since(window.start) >= self.span / 2 {
            self.span = (self.span + self.span / 8).min(WINDOW_SPAN_MAX);
        }
    }

    // Failures.

    /// Whether an older window may be listed now.
    pub(super) fn is_due(&self, wake: &mut Wake, now: Duration) -> bool {
        wake.is_due(self.not_before, now)
    }

    /// Failures in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// No older window is listed before.
    pub(super) const fn wait_until(&mut self, moment: Duration) {
        self.not_before = moment;
    }

    /// How long a window may be.
    pub(super) const fn span(&self) -> Duration {
        self.span
    }

    /// An older window was given up. Those that follow are shorter; if it could not be, it is tried
    /// again by itself, at `again_at`. `whole_lane`: fresh windows fail as well. Answers how many
    /// failures that makes, and whether it is to be stored.
    pub(super) fn fail(
        &mut self,
        run: &Run,
        refused: bool,
        whole_lane: bool,
        again_at: Duration,
        now: Utc,
    ) -> (u32, bool) {
        let window = run.window;
        self.failures = self.failures.saturating_add(1);
        let span = window.end.since(window.start);
        let mut aside = run.tries > 0;
        let mut changed = false;
        let edge = self.oldest(now).since(RETENTION.oldest(now));
        if refused && window.start < self.oldest(now) + EDGE_SPAN && edge < EDGE_MAX {
            self.edge = (edge * 2).clamp(EDGE_BASE, EDGE_MAX);
            self.edge_until = now + EDGE_KEPT;
        } else if !whole_lane && span > SPAN_MIN {
            self.span = (span / 2).max(SPAN_MIN);
            changed = true;
        } else if !whole_lane && self.asides.len() < ASIDE_MAX {
            aside = true;
        }
        let failures = run.tries.saturating_add(1);
        if aside {
            let round = run.round;
            self.asides.push(Aside { window, round, failures, not_before: again_at });
        } else if let Some(under_way) = &mut self.under_way
            && run.round == Some(under_way.round)
        {
            under_way.next = window.start;
        }
        // One window among many that succeed mounts by itself.
        (self.failures.max(failures), changed)
    }

    // What was set aside.

    /// A window that was set aside and is due: what is left of it, what it lists again, and how
    /// often it has failed. `Some(None)`: nothing is left of it.
    pub(super) fn take_aside(
        &mut self,
        wake: &mut Wake,
        now: Duration,
        server_now: Utc,
    ) -> Option<Option<(Interval, Option<Round>, u32)>> {
        let at = self.asides.iter().position(|aside| wake.is_due(aside.not_before, now))?;
        let aside = self.asides.swap_remove(at);
        let window = plan::clamp(aside.window, self.oldest(server_now));
        Some(window.map(|window| (window, aside.round, aside.failures)))
    }

    /// Windows that are set aside.
    pub(super) fn asides(&self) -> IntervalSet {
        self.asides.iter().map(|aside| aside.window).collect()
    }

    // Rounds.

    /// Whether a round is under way.
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// No round is due before.
    pub(super) const fn look_at(&self) -> Utc {
        self.look_at
    }

    /// The next piece of the round under way, and whose it is. At its end the round counts as made,
    /// which is to be stored: `Err`.
    pub(super) fn next_piece(&mut self, server_now: Utc) -> Result<Option<(Interval, Round)>, ()> {
        let (oldest, asides) = (self.oldest(server_now), self.asides());
        let Some(under_way) = &mut self.under_way else { return Ok(None) };
        let UnderWay { round, begun, end, .. } = *under_way;
        let rest = Interval::new(under_way.next.max(oldest), end);
        let piece = rest.and_then(|rest| asides.gaps(rest).first().copied());
        match piece
            .and_then(|Interval { start, end }| Interval::new(start, end.min(start + self.span)))
        {
            Some(piece) => {
                under_way.next = piece.end;
                Ok(Some((piece, round)))
            }
            None => {
                self.under_way = None;
                self.make(round, begun);
                Err(())
            }
        }
    }

    /// Begins the oldest round of these that is due, or the recent one if that waits for longer; or
    /// notes when to look again. `covered` is what was listed before; `ends`: this run ends.
    /// Whether something is to be stored.
    pub(super) fn begin_round(
        &mut self,
        rounds: Vec<(Round, Utc, Interval)>,
        covered: &IntervalSet,
        ends: bool,
        now: Utc,
    ) -> bool {
        let mut changed = false;
        let mut first: Option<(Utc, UnderWay)> = None;
        let mut next = now + plan::RECENT_EVERY;
        for (round, due, window) in rounds {
            if due > now {
                next = next.min(due);
            } else if covered.gaps(window) == [window] {
                // The backlog lists it. Later on, not all at the same time.
                let spread = if ends { 0 } else { round.rem_euclid(8) };
                let spread = plan::STRETCH_EVERY / 8 * u32::try_from(spread).unwrap_or_default();
                self.make(round, now - spread);
                changed = true;
                next = now;
            } else if first.is_none_or(|(first, _)| round == plan::RECENT && due < first) {
                let under_way = UnderWay { round, begun: now, next: window.start, end: window.end };
                first = Some((due, under_way));
            }
        }
        self.under_way = first.map(|(_, under_way)| under_way);
        self.look_at = next;
        changed
    }

    /// All rounds: when they are due, and over what of the time since `begin`. A run that ends, at
    /// `target`, lists all again since the last run; `is_new`: there was none.
    pub(super) fn rounds(
        &self,
        target: Option<Utc>,
        begin: Utc,
        is_new: bool,
        now: Utc,
    ) -> Vec<(Round, Utc, Interval)> {
        let oldest = self.oldest(now);
        let recent = target.is_none().then_some(plan::RECENT);
        let mut rounds = Vec::new();
        if target.is_some() && is_new {
            return rounds;
        }
        for round in plan::stretches(oldest, now).chain(recent) {
            let made = self.made(round);
            let due = match target {
                None => plan::round_due(round, made),
                Some(target) if made < Some(target) && plan::stretch_start(round) < target => now,
                Some(_) => continue,
            };
            let window = plan::round(round, begin.max(oldest), now);
            rounds.extend(window.map(|window| (round, due, window)));
        }
        rounds
    }

    /// For a run that ends: whether nothing is left of what was set aside or is under way.
    pub(super) fn is_done(&self) -> bool {
        let given_up = |aside: &Aside| aside.failures >= ASIDE_FAILURES_MAX;
        self.under_way.is_none() && self.asides.iter().all(given_up)
    }

    /// For each round that is made and settled, when that was. One that is not must be made again
    /// after a crash. `open`: rounds with windows under way.
    pub(super) fn settled(&mut self, open: impl Fn(Round) -> bool, now: Utc) -> Vec<(Round, i64)> {
        let oldest = RETENTION.oldest(now);
        let first = *plan::stretches(oldest, oldest).start();
        self.made.retain(|(round, _)| *round == plan::RECENT || *round >= first);
        let asides = self.asides();
        let open = |round: Round| {
            open(round)
                || plan::round(round, oldest, now)
                    .is_some_and(|window| asides.gaps(window) != [window])
        };
        self.made.iter().copied().filter(|(round, _)| !open(*round)).collect()
    }

    /// The round under way has lost a piece: it is begun anew.
    pub(super) const fn begin_anew(&mut self) {
        self.under_way = None;
        self.look_at = Utc::MIN;
    }

    /// What was noted by a wrong clock counts no more.
    pub(super) fn correct_time(&mut self, now: Utc, horizon: Utc) {
        self.made.retain(|(_, at)| *at <= now.as_millis());
        self.asides.retain(|aside| aside.window.end <= horizon);
        self.under_way = None;
        self.look_at = Utc::MIN;
        self.edge_until = Utc::MIN;
    }
}

#[cfg(test)]
mod tests;
