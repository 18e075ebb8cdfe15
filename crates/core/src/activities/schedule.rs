//! Decides what to ask the Activities API next: a token, then pages of searches by urgency, within
//! its own budget and the common limits in flight. Looks at answers never.

use std::time::Duration;

use super::plan::Urgency;
use super::wire::{self, Credential};
use crate::audit::exchange::Purpose;
use crate::base::time::{Now, Utc};
use crate::collector::Collector;
use crate::contract::event::Event;
use crate::source::losses::{Loss, LossKind};

impl Collector {
    /// Sends all that may be sent now; answers the moments at which to look again.
    pub(crate) fn schedule_activities(&mut self, now: Now, wakes: &mut Vec<Duration>) {
        let (Some(lane), Some(portal)) = (&mut self.activities, &self.config.portal) else {
            return;
        };
        let who = match &portal.token {
            Some(token) => Credential::Portal(token.clone()),
            None => match lane.tokens.wants_request(now.monotonic) {
                Ok(()) => {
                    lane.tokens.ask();
                    self.outputs.push_back(crate::Output::Credential);
                    return self.schedule_activities(now, wakes);
                }
                Err(due) => {
                    wakes.extend(due);
                    let Some((bearer, expires_at)) = lane.tokens.usable(now.monotonic) else {
                        return;
                    };
                    wakes.push(expires_at);
                    Credential::Bearer(bearer.clone())
                }
            },
        };
        let server_now = self.clock.at(now);
        if self.clock.is_anchored() {
            self.settle_activity_retention(now, server_now);
            if let Some(lane) = &mut self.activities {
                lane.reopen(server_now);
                if std::mem::take(&mut lane.filters_changed) {
                    self.outputs.push_back(crate::Output::Event(Event::FiltersChanged));
                }
            }
        } else if matches!(who, Credential::Bearer(_)) && !self.clock.is_doubted() {
            // The answer that brought the token tells the time, but for a strange one.
            return;
        }
        self.search(now, server_now, &who, wakes);
    }

    fn search(&mut self, now: Now, server_now: Utc, who: &Credential, wakes: &mut Vec<Duration>) {
        let room = self.has_room();
        if self.config.once && self.target.is_none() && self.clock.is_anchored() {
            self.target = Some(crate::audit::plan::horizon(server_now));
        }
        let Some(lane) = &mut self.activities else { return };
        if now.monotonic < lane.denied_until {
            wakes.push(lane.denied_until);
            return;
        }
        if self.config.once && lane.denied.is_some() {
            return;
        }
        let all = [Urgency::Fresh, Urgency::Soon, Urgency::Backlog];
        // Until Microsoft's time is known, one search is enough to learn it.
        let some = if self.clock.is_anchored() { &all[..] } else { &all[..1] };
        for urgency in some.iter().copied() {
            let Some(lane) = &mut self.activities else { return };
            let (config, target) = (&self.config, self.target);
            wakes.extend(lane.plan(urgency, config, target, now, server_now));
            if !room || self.exchanges.len() >= self.in_flight_max(urgency) {
                continue;
            }
            let Some(lane) = &mut self.activities else { return };
            let id = match lane.next_walk(urgency, now.monotonic) {
                Ok(id) => id,
                Err(due) => {
                    wakes.extend(due);
                    continue;
                }
            };
            if let Err(at) = lane.budget.take(now.monotonic) {
                wakes.push(at);
                return;
            }
            let page = lane.new_page();
            let (Some(walk), Some(portal)) = (lane.walks.get(&id), &self.config.portal) else {
                continue;
            };
            let Some(at) = walk.at() else { continue };
            let request = wire::search(portal, &portal.filters, wire::LIMIT, at, who);
            let purpose = Purpose::ActivityPage { walk: id, page };
            let sent = self.send(now, request, purpose, urgency);
            if let Some(walk) = self.activities.as_mut().and_then(|lane| lane.walks.get_mut(&id)) {
                walk.request = Some((sent, page));
            }
        }
    }

    /// Reports what retention has destroyed before it was searched, once; what still grows, with
    /// its end or after a while.
    fn settle_activity_retention(&mut self, now: Now, server_now: Utc) {
        let Some(lane) = &mut self.activities else { return };
        let growing_too = now.monotonic >= lane.growing_gap_at;
        let oldest = super::plan::oldest(server_now);
        for gap in lane.lost(server_now) {
            if gap.end == oldest && !growing_too {
                continue;
            }
            lane.growing_gap_at = now.monotonic + crate::audit::plan::GAP_REPORTED_EVERY;
            lane.cover(gap);
            lane.metrics.listing_gaps += gap.end.since(gap.start);
            let feed = lane.metrics.content_type;
            self.losses.add(Loss::of_time(LossKind::Gap, feed, gap, server_now));
            self.outputs.push_back(crate::Output::Event(Event::ListingGapError {
                content_type: lane.metrics.content_type,
                start: gap.start,
                end: gap.end,
            }));
        }
    }
}
