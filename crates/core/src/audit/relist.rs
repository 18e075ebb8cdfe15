//! What of the past is listed again, and what becomes of older windows that fail: they get shorter,
//! and the shortest are set aside, so that no window stands in the way of the others.

use std::time::Duration;

use crate::audit::lane::{Lane, Run};
use crate::audit::plan::{self, Round, Urgency, WINDOW_SPAN_MAX};
use crate::audit::schedule::Wake;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;

/// Older windows that fail become no shorter than this. Longer than [`plan::OVERLAP`], so that each
/// lists something new.
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
pub(crate) struct Older {
    /// When each round was last made, by Microsoft's clock.
    made: Vec<(Round, i64)>,
    under_way: Option<UnderWay>,
    /// No round is due before.
    look_at: Utc,
    asides: Vec<Aside>,
    /// How long a window may be.
    span: Duration,
    /// Failures in a row, and when the next window may be listed.
    pub(crate) failures: u32,
    pub(crate) not_before: Duration,
    /// By how much retention is shorter than it should be, as was seen until when.
    edge: Duration,
    edge_until: Utc,
}

impl Older {
    pub(crate) fn new(made: Vec<(Round, i64)>, minutes: u32) -> Self {
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
    pub(crate) fn oldest(&self, now: Utc) -> Utc {
        let edge = if now < self.edge_until { self.edge } else { Duration::ZERO };
        plan::oldest(now) + edge
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
    pub(crate) fn stored_span(&self) -> u32 {
        let minutes = u32::try_from(self.span.as_secs() / 60).unwrap_or_default();
        if self.span < WINDOW_SPAN_MAX { minutes } else { 0 }
    }

    fn asides(&self) -> IntervalSet {
        self.asides.iter().map(|aside| aside.window).collect()
    }

    /// An older window was listed, a piece of `round` perhaps: the next may be a little longer.
    pub(crate) fn succeeded(&mut self, window: Interval, round: Option<Round>) {
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

    /// What was noted by a wrong clock counts no more.
    pub(crate) fn correct_time(&mut self, now: Utc, horizon: Utc) {
        self.made.retain(|(_, at)| *at <= now.as_millis());
        self.asides.retain(|aside| aside.window.end <= horizon);
        self.under_way = None;
        self.look_at = Utc::MIN;
        self.edge_until = Utc::MIN;
    }
}

impl Lane {
    /// For each round that is made and settled, when that was. One that is not must be made again
    /// after a crash.
    pub(crate) fn relisted(&mut self, now: Utc) -> Vec<(Round, i64)> {
        let oldest = plan::oldest(now);
        let first = *plan::stretches(oldest, oldest).start();
        self.older.made.retain(|(round, _)| *round == plan::RECENT || *round >= first);
        let asides = self.older.asides();
        let open = |round: Round| {
            self.runs.values().any(|run| run.round == Some(round))
                || plan::round(round, oldest, now)
                    .is_some_and(|window| asides.gaps(window) != [window])
        };
        self.older.made.iter().copied().filter(|(round, _)| !open(*round)).collect()
    }

    /// Begins the most urgent of what is old: what is about to expire, what was set aside, what is
    /// due to be listed again. A run that ends, at `target`, lists all again since the last run.
    pub(crate) fn plan_older(
        &mut self,
        target: Option<Utc>,
        now: Duration,
        server_now: Utc,
        wake: &mut Wake,
    ) {
        if self.is_listing(Urgency::Soon) || !wake.is_due(self.older.not_before, now) {
            return;
        }
        if let Some((window, Urgency::Soon)) = self.next_gap(server_now) {
            self.begin_run(window, Urgency::Soon);
            return;
        }
        let oldest = self.older.oldest(server_now);
        let due = self.older.asides.iter().position(|aside| wake.is_due(aside.not_before, now));
        if let Some(at) = due {
            let aside = self.older.asides.swap_remove(at);
            if let Some(window) = plan::clamp(aside.window, oldest) {
                self.begin_older(window, Urgency::Soon, aside.round, aside.failures);
            }
            return;
        }
        if self.older.under_way.is_none() {
            if self.older.look_at <= server_now {
                self.begin_round(target, server_now);
            }
            wake.at(now + self.older.look_at.since(server_now));
        }
        let asides = self.older.asides();
        let Some(under_way) = &mut self.older.under_way else { return };
        let UnderWay { round, begun, end, .. } = *under_way;
        let rest = Interval::new(under_way.next.max(oldest), end);
        let piece = rest.and_then(|rest| asides.gaps(rest).first().copied());
        match piece.and_then(|Interval { start, end }| {
            Interval::new(start, end.min(start + self.older.span))
        }) {
            Some(piece) => {
                under_way.next = piece.end;
                self.begin_older(piece, Urgency::Soon, Some(round), 0);
            }
            None => {
                self.older.under_way = None;
                self.older.make(round, begun);
                self.changed = true;
            }
        }
    }

    /// Begins the oldest round that is due, or the recent one if that waits for longer; or notes
    /// when to look again.
    fn begin_round(&mut self, target: Option<Utc>, now: Utc) {
        let mut first: Option<(Utc, UnderWay)> = None;
        let mut next = now + plan::RECENT_EVERY;
        for (round, due, window) in self.rounds(target, now) {
            if due > now {
                next = next.min(due);
            } else if self.covered.gaps(window) == [window] {
                // The backlog lists it. Later on, not all at the same time.
                let spread = if target.is_none() { round.rem_euclid(8) } else { 0 };
                let spread = plan::STRETCH_EVERY / 8 * u32::try_from(spread).unwrap_or_default();
                self.older.make(round, now - spread);
                self.changed = true;
                next = now;
            } else if first.is_none_or(|(first, _)| round == plan::RECENT && due < first) {
                let under_way = UnderWay { round, begun: now, next: window.start, end: window.end };
                first = Some((due, under_way));
            }
        }
        self.older.under_way = first.map(|(_, under_way)| under_way);
        self.older.look_at = next;
    }

    /// All rounds: when they are due, and over what.
    fn rounds(&self, target: Option<Utc>, now: Utc) -> Vec<(Round, Utc, Interval)> {
        let oldest = self.older.oldest(now);
        let recent = target.is_none().then_some(plan::RECENT);
        let mut rounds = Vec::new();
        if target.is_some() && self.is_new {
            return rounds;
        }
        for round in plan::stretches(oldest, now).chain(recent) {
            let made = self.older.made(round);
            let due = match target {
                None => plan::round_due(round, made),
                Some(target) if made < Some(target) && plan::stretch_start(round) < target => now,
                Some(_) => continue,
            };
            let window = plan::round(round, self.begin.max(oldest), now);
            rounds.extend(window.map(|window| (round, due, window)));
        }
        rounds
    }

    /// For a run that ends: whether all was listed again that was listed by an earlier one.
    pub(crate) fn is_relisted(&self, target: Utc, now: Utc) -> bool {
        let given_up = |aside: &Aside| aside.failures >= ASIDE_FAILURES_MAX;
        self.older.under_way.is_none()
            && self.older.asides.iter().all(given_up)
            && self.rounds(Some(target), now).is_empty()
    }

    /// The next window of the backlog.
    fn next_gap(&mut self, now: Utc) -> Option<(Interval, Urgency)> {
        if !self.replan {
            return None;
        }
        let mut listed: IntervalSet = self.listed();
        for aside in &self.older.asides {
            listed.insert(aside.window);
        }
        let oldest = self.older.oldest(now);
        let gap = plan::backlog(&listed, self.begin, oldest, now, self.older.span);
        self.replan = gap.is_some();
        gap
    }

    pub(crate) fn plan_backlog(&mut self, now: Duration, server_now: Utc, wake: &mut Wake) {
        if !self.is_listing(Urgency::Backlog)
            && !self.is_listing(Urgency::Soon)
            && wake.is_due(self.older.not_before, now)
            && let Some((window, urgency)) = self.next_gap(server_now)
        {
            self.begin_run(window, urgency);
        }
    }

    /// An older window was given up. Those that follow are shorter; if it could not be, it is tried
    /// again by itself, at `again_at`. Answers how many failures that makes.
    pub(crate) fn fail_older(
        &mut self,
        run: &Run,
        refused: bool,
        again_at: Duration,
        now: Utc,
    ) -> u32 {
        let (window, older) = (run.window, &mut self.older);
        older.failures = older.failures.saturating_add(1);
        let span = window.end.since(window.start);
        let whole_lane = self.list_failures > 0;
        let mut aside = run.tries > 0;
        let edge = older.oldest(now).since(plan::oldest(now));
        if refused && window.start < older.oldest(now) + EDGE_SPAN && edge < EDGE_MAX {
            older.edge = (edge * 2).clamp(EDGE_BASE, EDGE_MAX);
            older.edge_until = now + EDGE_KEPT;
        } else if !whole_lane && span > SPAN_MIN {
            older.span = (span / 2).max(SPAN_MIN);
            self.changed = true;
        } else if !whole_lane && older.asides.len() < ASIDE_MAX {
            aside = true;
        }
        let failures = run.tries.saturating_add(1);
        if aside {
            let round = run.round;
            older.asides.push(Aside { window, round, failures, not_before: again_at });
        } else if let Some(under_way) = &mut older.under_way
            && run.round == Some(under_way.round)
        {
            under_way.next = window.start;
        }
        // One window among many that succeed mounts by itself.
        older.failures.max(failures)
    }
}
