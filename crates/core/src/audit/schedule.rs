//! Decides what to send next: a token, subscriptions, then windows and blobs by urgency, within
//! the budget and the limits in flight. Looks at answers never.

use std::time::Duration;

use crate::audit::address::{self, Address};
use crate::audit::exchange::Purpose;
use crate::audit::lane::{Lane, Listing, RUNS_MAX, RunId, Stage, Subscription};
use crate::audit::plan::{self, Urgency};
use crate::audit::wire;
use crate::base::key::Key;
use crate::base::secret::Secret;
use crate::base::time::{Now, Utc};
use crate::collector::Collector;
use crate::contract::event::Event;
use crate::contract::request::{Operation, Request};
use crate::identity::credential::Presented;
use crate::source::losses::{Loss, LossKind};

/// Microsoft wants 15 minutes between two starts of one subscription (reference, "Start a
/// subscription", since 2025-08); a little more for the clocks.
pub(crate) const START_COOL_DOWN: Duration = Duration::from_secs(15 * 60 + 10);

/// How often the list is looked at for a subscription that must not, or cannot yet, be started: a
/// start whose answer was lost may have taken effect.
pub(crate) const MISSING_RECHECK: Duration = Duration::from_secs(30);

/// A start that took effect although its answer was a failure shows in the list within this time.
const START_SEEN_WITHIN: Duration = Duration::from_secs(60);

/// How often it is told that a subscription is missing.
const MISSING_TOLD_EVERY: Duration = Duration::from_secs(60 * 60);

/// In place of Microsoft's code, for a feed that a run with an end cannot wait for.
pub(crate) const NO_SUBSCRIPTION: &str = "no subscription";

/// The earliest of several moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wake(Option<Duration>);

impl Wake {
    pub(crate) fn at(&mut self, moment: Duration) {
        self.0 = Some(self.0.map_or(moment, |earliest| earliest.min(moment)));
    }

    /// True if `moment` has come; otherwise notes it.
    pub(crate) fn is_due(&mut self, moment: Duration, now: Duration) -> bool {
        if moment > now {
            self.at(moment);
        }
        moment <= now
    }
}

/// One request for content.
#[derive(Clone, Copy, Debug)]
enum Work {
    Page(RunId),
    Blob(Key),
}

impl Collector {
    /// Sends all that may be sent now; answers when to look again.
    pub(crate) fn schedule(&mut self, now: Now) -> Option<Duration> {
        let mut wake = Wake::default();
        let server_now = self.clock.at(now);
        if self.clock.is_anchored() {
            self.settle_retention(now, server_now);
        }
        self.wake_lanes(now.monotonic, &mut wake);
        self.tell_unread(now, false);
        let mut wakes = Vec::new();
        self.schedule_activities(now, &mut wakes);
        wakes.into_iter().for_each(|moment| wake.at(moment));
        if self.lanes.is_empty() {
            return wake.0;
        }
        match self.tokens.wants_request(now.monotonic) {
            Ok(()) => {
                self.tokens.ask();
                self.outputs.push_back(crate::Output::Credential);
            }
            Err(due) => due.into_iter().for_each(|due| wake.at(due)),
        }
        let Some((bearer, expires_at)) = self.tokens.usable(now.monotonic) else { return wake.0 };
        let bearer = bearer.clone();
        wake.at(expires_at);
        if self.is_asking_enough() {
            return wake.0;
        }
        self.schedule_subscriptions(now, server_now, &bearer, &mut wake);
        // Windows are planned by Microsoft's clock or not at all.
        if self.clock.is_anchored() {
            self.schedule_content(now, server_now, &bearer, &mut wake);
        }
        wake.0
    }

    /// Whether a request is under way that finds out about a token, after many that the API did not
    /// take. One is enough.
    fn is_asking_enough(&self) -> bool {
        self.tokens.is_doubted()
            && self.exchanges.values().any(|exchange| {
                !matches!(exchange.operation, Operation::Token | Operation::ListActivities)
            })
    }

    /// Takes what the driver presents, and signs in with it if that is what it was asked for.
    pub(crate) fn handle_credential(&mut self, now: Now, presented: Presented) {
        let (server_now, certain) = (self.clock.at(now), self.clock.is_anchored());
        let credential = presented.credential.clone();
        // Each time it is asked for, it is for one of the two.
        let (tokens, other, purpose) = match &mut self.activities {
            Some(lane) if !self.tokens.is_asked() => {
                (&mut lane.tokens, Some(&mut self.tokens), Purpose::PortalToken)
            }
            Some(lane) => (&mut self.tokens, Some(&mut lane.tokens), Purpose::Token),
            None => (&mut self.tokens, None, Purpose::Token),
        };
        let (events, request) = tokens.present(presented, &self.config, server_now, certain);
        if let (Some(other), Some(credential)) = (other, credential) {
            other.learn(credential);
        }
        self.outputs.extend(events.into_iter().map(crate::Output::Event));
        if let Some(request) = request.filter(|_| !self.stopping) {
            let id = self.send(now, request, purpose, Urgency::Fresh);
            match &mut self.activities {
                Some(lane) if purpose == Purpose::PortalToken => lane.tokens.requested(id),
                _ => self.tokens.requested(id),
            }
        }
    }

    /// Reports what retention has destroyed before it was listed, once. A gap that still grows
    /// waits for its end, so that it is reported whole, but not for ever.
    fn settle_retention(&mut self, now: Now, server_now: Utc) {
        let oldest = plan::oldest(server_now);
        for lane in self.lanes.iter_mut().filter(|lane| lane.begin < oldest) {
            let growing_too = now.monotonic >= lane.growing_gap_at;
            for gap in plan::lost(&lane.listed(), lane.begin, server_now) {
                if gap.end == oldest && !growing_too {
                    continue;
                }
                lane.growing_gap_at = now.monotonic + plan::GAP_REPORTED_EVERY;
                lane.cover(gap);
                lane.metrics.listing_gaps += gap.end.since(gap.start);
                let loss = Loss::of_time(LossKind::Gap, lane.content_type, gap, server_now);
                self.losses.add(loss);
                self.outputs.push_back(crate::Output::Event(Event::ListingGapError {
                    content_type: lane.content_type,
                    start: gap.start,
                    end: gap.end,
                }));
            }
        }
    }

    fn wake_lanes(&mut self, now: Duration, wake: &mut Wake) {
        for lane in &mut self.lanes {
            lane.wake_blobs(now).into_iter().for_each(|at| wake.at(at));
            lane.unread.tells_at().into_iter().for_each(|at| wake.at(at));
            if let Subscription::Waiting { until } = lane.subscription
                && wake.is_due(until, now)
            {
                lane.subscription = Subscription::Unknown;
            }
            if let Subscription::Denied { until } = lane.subscription
                && !self.config.once
                && wake.is_due(until, now)
            {
                lane.subscription = Subscription::Unknown;
            }
        }
    }

    fn schedule_subscriptions(
        &mut self,
        now: Now,
        server_now: Utc,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        let listing = |purpose: Purpose| purpose == Purpose::ListSubscriptions;
        let under_way = self.exchanges.values().any(|exchange| listing(exchange.purpose));
        let unknown = self.lanes.iter().any(|lane| lane.subscription == Subscription::Unknown);
        let wanted = self.webhooks_are_due(now, wake) || unknown;
        if wanted && !under_way && wake.is_due(self.subscription_list_not_before, now.monotonic) {
            match self.budget.take(now.monotonic) {
                Ok(()) => {
                    let request = wire::list_subscriptions(&self.config, bearer);
                    self.send(now, request, Purpose::ListSubscriptions, Urgency::Fresh);
                    self.note_webhooks_asked(now);
                }
                Err(at) => wake.at(at),
            }
        }
        for index in 0..self.lanes.len() {
            if self.lanes[index].subscription == Subscription::Missing {
                self.schedule_start(index, now, server_now, bearer, wake);
            }
        }
        self.schedule_webhooks(now, server_now, bearer, wake);
    }

    /// Stores that a subscription is started, before the request is sent: a crash cannot start it
    /// again too soon.
    pub(crate) fn note_start(&mut self, index: usize, now: Now, server_now: Utc) {
        // What hangs together is stored together.
        self.flush(now);
        let lane = &mut self.lanes[index];
        lane.started_at = Some(server_now);
        self.changes.put(lane.keys.start(), server_now.as_millis().to_string());
        self.outputs.push_back(crate::Output::Commit(self.changes.take()));
    }

    fn schedule_start(
        &mut self,
        index: usize,
        now: Now,
        server_now: Utc,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        let lane = &mut self.lanes[index];
        let may_start_at = lane.started_at.map_or(server_now, |at| at + START_COOL_DOWN);
        if !self.config.start_subscriptions || server_now < may_start_at {
            // Somebody else may start it meanwhile: the list tells.
            let wait =
                may_start_at.since(server_now).clamp(Duration::from_secs(1), MISSING_RECHECK);
            let wait = if self.config.start_subscriptions { wait } else { MISSING_RECHECK };
            let until = now.monotonic + wait;
            lane.subscription = Subscription::Waiting { until };
            wake.at(until);
            let starts = self.config.start_subscriptions;
            // One that has failed may have taken effect all the same, which the list would show.
            let tried = lane.starts_failed > 0
                && lane.started_at.is_none_or(|at| at + START_SEEN_WITHIN <= server_now);
            if self.config.once && (!starts || tried) {
                lane.subscription = Subscription::Denied { until: now.monotonic };
                lane.denied = Some(NO_SUBSCRIPTION.into());
            }
            // The list is looked at often; people are told less often.
            if lane.missing_told.is_none_or(|told| MISSING_TOLD_EVERY <= now.monotonic - told) {
                lane.missing_told = Some(now.monotonic);
                let (content_type, retry_in) = (lane.content_type, wait);
                let answer = lane.start_answer.clone();
                self.event(Event::SubscriptionMissing { content_type, retry_in, starts, answer });
            }
            return;
        }
        match self.budget.take(now.monotonic) {
            Ok(()) => {
                lane.subscription = Subscription::Starting;
                let content_type = lane.content_type;
                self.note_start(index, now, server_now);
                let webhook = self.webhook_of_start(index, now);
                let request =
                    wire::start_subscription(&self.config, content_type, webhook.as_ref(), bearer);
                let purpose = Purpose::StartSubscription { lane: index };
                self.send(now, request, purpose, Urgency::Fresh);
            }
            Err(at) => wake.at(at),
        }
    }

    fn schedule_content(
        &mut self,
        now: Now,
        server_now: Utc,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        if self.config.once && self.target.is_none() {
            self.target = Some(plan::horizon(server_now));
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.runs.len() >= RUNS_MAX / 2) {
            lane.merge_runs();
        }
        for urgency in [Urgency::Fresh, Urgency::Soon, Urgency::Backlog] {
            self.plan_windows(urgency, now, server_now, wake);
            while self.exchanges.len() < self.in_flight_max(urgency) && !self.is_asking_enough() {
                let Some((index, work)) = self.next_work(urgency, now.monotonic, wake) else {
                    break;
                };
                if let Err(at) = self.budget.take(now.monotonic) {
                    wake.at(at);
                    return;
                }
                self.send_work(index, work, urgency, now, bearer);
            }
            if urgency == Urgency::Fresh {
                self.schedule_hints(now, bearer, wake);
            }
        }
    }

    /// Reads what only hints name, with a small part of the budget: whoever can call the webhook
    /// may have made them up.
    fn schedule_hints(&mut self, now: Now, bearer: &Secret<String>, wake: &mut Wake) {
        while self.exchanges.len() < self.in_flight_max(Urgency::Soon) && self.has_room() {
            let Some((index, key)) = self.next_hint() else { return };
            let taken = self.hint_budget.take(now.monotonic);
            if let Err(at) = taken.and_then(|()| self.budget.take(now.monotonic)) {
                wake.at(at);
                return;
            }
            self.send_work(index, Work::Blob(key), Urgency::Soon, now, bearer);
        }
    }

    /// The hint that has waited longest, lanes taking turns.
    fn next_hint(&mut self) -> Option<(usize, Key)> {
        let count = self.lanes.len();
        let mut indices = (0..count).map(|offset| (self.first_lane + offset) % count);
        let (index, key) = indices.find_map(|index| {
            let lane = &self.lanes[index];
            let key = lane.hints.first().filter(|_| lane.subscription == Subscription::Enabled)?;
            Some((index, key))
        })?;
        self.first_lane = (index + 1) % count;
        Some((index, key))
    }

    /// Backlog leaves a quarter of the places free, so that fresh content need not queue.
    pub(crate) const fn in_flight_max(&self, urgency: Urgency) -> usize {
        let max = self.config.max_in_flight;
        match urgency {
            Urgency::Fresh => max,
            Urgency::Soon | Urgency::Backlog => max - max.div_ceil(4),
        }
    }

    fn plan_windows(&mut self, urgency: Urgency, now: Now, server_now: Utc, wake: &mut Wake) {
        // Fresh listings take half of what may be sent at the most: blobs have to be read as well.
        let listings = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX).saturating_mul(2);
        let least = Duration::from_secs(60) * listings / self.budget.rate().max(1);
        let interval = self.config.interval.max(least);
        let target = self.target;
        for lane in &mut self.lanes {
            let runs_max = if urgency == Urgency::Fresh { RUNS_MAX } else { RUNS_MAX / 2 };
            let active = lane.subscription == Subscription::Enabled
                && wake.is_due(lane.list_not_before, now.monotonic)
                && wake.is_due(lane.forbidden.not_before(), now.monotonic)
                && lane.may_list(urgency)
                && lane.runs.len() < runs_max;
            if !active {
                continue;
            }
            lane.missing_told = None;
            match urgency {
                Urgency::Fresh => {
                    if !lane.is_listing(Urgency::Fresh)
                        && wake.is_due(lane.next_fresh, now.monotonic)
                    {
                        lane.next_fresh = now.monotonic + interval;
                        wake.at(lane.next_fresh);
                        lane.plan_fresh(target, server_now);
                    }
                }
                Urgency::Soon => lane.plan_older(target, now.monotonic, server_now, wake),
                Urgency::Backlog => lane.plan_backlog(now.monotonic, server_now, wake),
            }
        }
    }

    /// The next request of this urgency, lanes taking turns.
    fn next_work(
        &mut self,
        urgency: Urgency,
        now: Duration,
        wake: &mut Wake,
    ) -> Option<(usize, Work)> {
        let room = self.has_room();
        let count = self.lanes.len();
        for index in (0..count).map(|offset| (self.first_lane + offset) % count) {
            let lane = &self.lanes[index];
            if lane.subscription == Subscription::Enabled
                && let Some(work) = lane.next_work(urgency, room, now, wake)
            {
                self.first_lane = (index + 1) % count;
                return Some((index, work));
            }
        }
        None
    }

    fn send_work(
        &mut self,
        index: usize,
        work: Work,
        urgency: Urgency,
        now: Now,
        bearer: &Secret<String>,
    ) {
        match work {
            Work::Page(run) => self.send_page(index, run, urgency, now, bearer),
            Work::Blob(key) => {
                let Some(blob) = self.lanes[index].blobs.get(&key) else { return };
                let content = blob.content.clone();
                // A stored address may be of another cloud than the one configured now.
                let address = match address::of_attempt(&self.config, &content, blob.failures) {
                    Some(Address::Named(named)) => named,
                    Some(Address::Derived(derived)) => {
                        self.note_derived(index, &content.uri);
                        derived
                    }
                    None => {
                        self.refuse_address(index, &content.uri);
                        self.refuse_blob(now, index, key, content.expiration);
                        return;
                    }
                };
                let request = wire::follow(&self.config, Operation::GetBlob, &address, bearer);
                let id = self.send(now, request, Purpose::Blob { lane: index, key }, urgency);
                self.lanes[index].set_stage(key, Stage::Reading(id));
            }
        }
    }

    fn send_page(
        &mut self,
        index: usize,
        run_id: RunId,
        urgency: Urgency,
        now: Now,
        bearer: &Secret<String>,
    ) {
        let server_now = self.clock.at(now);
        let lane = &mut self.lanes[index];
        let content_type = lane.content_type;
        let Some(run) = lane.runs.get_mut(&run_id) else { return };
        let page = match &run.listing {
            Listing::Next(page) => page.clone(),
            Listing::Asked(..) | Listing::Complete => return,
        };
        let request: Request = match &page {
            Some(address) => wire::follow(&self.config, Operation::ListContent, address, bearer),
            None => {
                // The oldest legal start moves on while a window waits.
                let oldest = lane.older.oldest(server_now);
                let Some(window) = plan::clamp(run.window, oldest) else {
                    lane.drop_run(run_id);
                    return;
                };
                run.window = window;
                wire::list_content(&self.config, content_type, window, bearer)
            }
        };
        let id = self.send(now, request, Purpose::Page { lane: index, run: run_id }, urgency);
        if let Some(run) = self.lanes[index].runs.get_mut(&run_id) {
            run.listing = Listing::Asked(id, page);
        }
    }
}

impl Lane {
    fn plan_fresh(&mut self, target: Option<Utc>, server_now: Utc) {
        if target.is_some_and(|target| self.is_settled_until(target, server_now)) {
            return;
        }
        if let Some(window) = plan::fresh(&self.listed(), self.begin, server_now) {
            self.begin_run(window, Urgency::Fresh);
        }
    }

    fn next_work(
        &self,
        urgency: Urgency,
        room: bool,
        now: Duration,
        wake: &mut Wake,
    ) -> Option<Work> {
        for (id, run) in self.runs.iter().filter(|(_, run)| run.urgency == urgency) {
            let next = matches!(run.listing, Listing::Next(_));
            let due = run.not_before.max(self.forbidden.not_before());
            if next && self.may_list(urgency) && wake.is_due(due, now) {
                return Some(Work::Page(*id));
            }
        }
        // Without room an answer could not be read, and the request would be for nothing.
        let (first, key) = self.first_ready().filter(|_| room)?;
        (first == urgency).then_some(Work::Blob(key))
    }
}
