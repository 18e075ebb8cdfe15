//! Decides what to ask the Activities API next: a token, then pages of searches by urgency, within
//! its own budget and the common limits in flight. Looks at answers never.

use crate::access::Authorization;
use crate::activities::ActivitiesSource;
use crate::activities::exchange::{Body, Exchange, Purpose};
use crate::activities::wire;
use crate::base::time::Now;
use crate::contract::event::{Event, FeedEvent};
use crate::contract::feed::Feed;
use crate::source::desk::Desk;
use crate::source::exchange::{Head, Sent, SmallBody};
use crate::source::requests::Asker;
use crate::source::urgency::{Urgency, Wake};

impl ActivitiesSource {
    pub(super) fn send_due(&mut self, desk: &mut Desk, now: Now, wake: &mut Wake) {
        match self.access.asks(now.monotonic) {
            Ok(()) => desk.ask_credential(),
            Err(due) => due.into_iter().for_each(|due| wake.at(due)),
        }
        let Some((who, expires_at)) = self.access.authorization(now.monotonic) else { return };
        expires_at.into_iter().for_each(|at| wake.at(at));
        if let Some(server_now) = desk.server_now(now) {
            self.lane.settle_retention(desk, now, server_now);
            self.lane.reopen(server_now);
            if self.lane.take_filters_changed() {
                desk.tell(Event::Feed(Feed::CloudAppActivities, FeedEvent::FiltersChanged));
            }
        } else if !self.access.is_given() && !desk.is_time_doubted() {
            // The answer that brought the token tells the time, but for a strange one.
            return;
        }
        self.search(desk, now, &who, wake);
    }

    fn search(&mut self, desk: &mut Desk, now: Now, who: &Authorization, wake: &mut Wake) {
        let (room, server_now) = (desk.has_room(), desk.server_time(now));
        let target = desk.target(now);
        if now.monotonic < self.lane.denied_until() {
            wake.at(self.lane.denied_until());
            return;
        }
        if desk.is_once() && self.lane.is_denied() {
            return;
        }
        let all = [Urgency::Fresh, Urgency::Soon, Urgency::Backlog];
        // Until Microsoft's time is known, one search is enough to learn it.
        let known = desk.server_now(now).is_some();
        for urgency in all.into_iter().take(if known { all.len() } else { 1 }) {
            let (interval, once) = (self.config.interval, desk.is_once());
            let due = self.lane.plan(urgency, interval, once, target, now, server_now);
            due.into_iter().for_each(|due| wake.at(due));
            if !room || !desk.has_place(urgency) {
                continue;
            }
            let walk = match self.lane.next_walk(urgency, now.monotonic) {
                Ok(walk) => walk,
                Err(due) => {
                    due.into_iter().for_each(|due| wake.at(due));
                    continue;
                }
            };
            if let Err(at) = self.access.take(now.monotonic) {
                wake.at(at);
                return;
            }
            let page = self.lane.new_page();
            let Some(at) = self.lane.at(walk) else { continue };
            let request = wire::search(&self.config, &self.config.filters, wire::LIMIT, at, who);
            let operation = request.operation;
            let id = desk.send(Asker::Source(self.id), request, urgency);
            let generation = self.access.generation();
            let exchange = Exchange {
                sent: Sent { operation, generation, at: now.monotonic },
                purpose: Purpose { walk, page },
                head: Head::default(),
                body: Body::Small(SmallBody::default()),
            };
            self.exchanges.insert(id, exchange);
            self.lane.note_asked(walk, id, page);
        }
    }
}
