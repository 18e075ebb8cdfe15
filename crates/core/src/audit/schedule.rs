//! Decides what to send next: a token, subscriptions, then windows and blobs by urgency, within
//! the budget and the limits in flight. Looks at answers never.

use std::time::Duration;

use crate::access::Authorization;
use crate::audit::AuditSource;
use crate::audit::address::{self, Address};
use crate::audit::blob::Stage;
use crate::audit::exchange::{Body, Exchange, Purpose, Work};
use crate::audit::run::RunId;
use crate::audit::wire;
use crate::base::key::Key;
use crate::base::secret::Secret;
use crate::base::time::{Now, Utc};
use crate::contract::request::{Operation, Request, RequestId};
use crate::source::desk::Desk;
use crate::source::exchange::{Head, Sent, SmallBody};
use crate::source::requests::Asker;
use crate::source::urgency::{Urgency, Wake};

impl AuditSource {
    /// Sends all that may be sent now, and notes when to look again.
    pub(super) fn send_due(&mut self, desk: &mut Desk, now: Now, wake: &mut Wake) {
        let server_now = desk.server_now(now);
        for lane in &mut self.lanes {
            if let Some(server_now) = server_now {
                lane.settle_retention(desk, now, server_now);
            }
            lane.wake(desk.is_once(), now.monotonic, wake);
            lane.tell_unread(desk, now.monotonic, false);
        }
        match self.access.asks(now.monotonic) {
            Ok(()) => desk.ask_credential(),
            Err(due) => due.into_iter().for_each(|due| wake.at(due)),
        }
        let Some((Authorization::Bearer(bearer), expires_at)) =
            self.access.authorization(now.monotonic)
        else {
            return;
        };
        expires_at.into_iter().for_each(|at| wake.at(at));
        if self.is_asking_enough() {
            return;
        }
        self.schedule_subscriptions(desk, now, &bearer, wake);
        // Windows are planned by Microsoft's clock or not at all.
        if let Some(server_now) = server_now {
            self.schedule_content(desk, now, server_now, &bearer, wake);
        }
    }

    /// Whether a request is under way that finds out about a token, after many that the API did not
    /// take. One is enough.
    fn is_asking_enough(&self) -> bool {
        self.access.is_doubted() && self.exchanges.iter().next().is_some()
    }

    /// Sends a request, and notes what for.
    pub(super) fn send(
        &mut self,
        desk: &mut Desk,
        now: Now,
        request: Request,
        purpose: Purpose,
        urgency: Urgency,
    ) -> RequestId {
        let operation = request.operation;
        let id = desk.send(Asker::Source(self.id), request, urgency);
        let generation = self.access.generation();
        let exchange = Exchange {
            sent: Sent { operation, generation, at: now.monotonic },
            purpose,
            head: Head::default(),
            body: Body::Small(SmallBody::default()),
        };
        self.exchanges.insert(id, exchange);
        id
    }

    fn schedule_content(
        &mut self,
        desk: &mut Desk,
        now: Now,
        server_now: Utc,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        desk.target(now);
        for lane in &mut self.lanes {
            lane.merge_crowded();
        }
        for urgency in [Urgency::Fresh, Urgency::Soon, Urgency::Backlog] {
            self.plan_windows(desk, urgency, now, server_now, wake);
            while desk.has_place_to_list(urgency) && !self.is_asking_enough() {
                let Some((lane, work)) = self.next_work(desk, urgency, now.monotonic, wake) else {
                    break;
                };
                if let Err(at) = self.access.take(now.monotonic) {
                    wake.at(at);
                    return;
                }
                match work {
                    Work::Page(run) => self.send_page(desk, lane, run, urgency, now, bearer),
                    Work::Blob(key) => self.send_blob(desk, lane, key, urgency, now, bearer),
                }
            }
            if urgency == Urgency::Fresh {
                self.schedule_hints(desk, now, bearer, wake);
            }
        }
    }

    /// Reads what only hints name, with a small part of the budget: whoever can call the webhook
    /// may have made them up.
    fn schedule_hints(
        &mut self,
        desk: &mut Desk,
        now: Now,
        bearer: &Secret<String>,
        wake: &mut Wake,
    ) {
        while desk.has_place(Urgency::Soon) && desk.has_room() {
            let Some((lane, key)) = self.next_hint() else { return };
            let taken = self.hint_budget.take(now.monotonic);
            if let Err(at) = taken.and_then(|()| self.access.take(now.monotonic)) {
                wake.at(at);
                return;
            }
            self.send_blob(desk, lane, key, Urgency::Soon, now, bearer);
        }
    }

    /// The lanes, beginning with the one whose turn it is.
    fn turns(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.first_lane, self.lanes.len());
        (0..count).map(move |offset| (first + offset) % count)
    }

    /// A lane has had its turn.
    fn note_turn(&mut self, lane: usize) {
        self.first_lane = (lane + 1) % self.lanes.len();
    }

    /// The hint that has waited longest, lanes taking turns.
    fn next_hint(&mut self) -> Option<(usize, Key)> {
        let mut turns = self.turns();
        let next = turns.find_map(|lane| Some((lane, self.lanes[lane].next_hint()?)))?;
        self.note_turn(next.0);
        Some(next)
    }

    /// The next request of this urgency, lanes taking turns.
    fn next_work(
        &mut self,
        desk: &Desk,
        urgency: Urgency,
        now: Duration,
        wake: &mut Wake,
    ) -> Option<(usize, Work)> {
        let room = desk.has_place(urgency) && desk.has_room();
        let mut turns = self.turns();
        let next = turns
            .find_map(|lane| Some((lane, self.lanes[lane].next_work(urgency, room, now, wake)?)))?;
        self.note_turn(next.0);
        Some(next)
    }

    fn plan_windows(
        &mut self,
        desk: &Desk,
        urgency: Urgency,
        now: Now,
        server_now: Utc,
        wake: &mut Wake,
    ) {
        // Fresh listings take half of what may be sent at the most: blobs have to be read as well.
        let listings = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX).saturating_mul(2);
        let least = Duration::from_secs(60) * listings / self.access.rate().max(1);
        let interval = self.config.interval.max(least);
        let target = desk.known_target();
        for lane in &mut self.lanes {
            lane.plan(urgency, target, interval, now.monotonic, server_now, wake);
        }
    }

    fn send_blob(
        &mut self,
        desk: &mut Desk,
        index: usize,
        key: Key,
        urgency: Urgency,
        now: Now,
        bearer: &Secret<String>,
    ) {
        let lane = &mut self.lanes[index];
        let failures = lane.blobs().failures(key);
        let Some(content) = lane.blobs().content(key).cloned() else { return };
        // A stored address may be of another cloud than the one configured now.
        let address = match address::of_attempt(&self.config, &content, failures) {
            Some(Address::Named(named)) => named,
            Some(Address::Derived(derived)) => {
                lane.note_derived(address::shown(&content.uri), desk);
                derived
            }
            None => return self.refuse_blob(desk, now, index, key, &content),
        };
        let request = wire::follow(&self.config, Operation::GetBlob, &address, bearer);
        let id = self.send(desk, now, request, Purpose::Blob { lane: index, key }, urgency);
        self.lanes[index].blobs().set_stage(key, Stage::Reading(id));
    }

    fn send_page(
        &mut self,
        desk: &mut Desk,
        index: usize,
        run: RunId,
        urgency: Urgency,
        now: Now,
        bearer: &Secret<String>,
    ) {
        let lane = &mut self.lanes[index];
        let request = match lane.windows().page_of(run, desk.server_time(now)) {
            Some(Ok(address)) => {
                wire::follow(&self.config, Operation::ListContent, &address, bearer)
            }
            Some(Err(window)) => {
                wire::list_content(&self.config, lane.content_type(), window, bearer)
            }
            None => return,
        };
        let address = request.url.as_str().into();
        let purpose = Purpose::Page { lane: index, run, address };
        let id = self.send(desk, now, request, purpose, urgency);
        self.lanes[index].windows().note_asked(run, id);
    }
}
