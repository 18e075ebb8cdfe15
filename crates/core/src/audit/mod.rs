//! The Office 365 Management Activity API as a source of records.
//!
//! A `lane` keeps account of one feed; `schedule` decides what is asked, `listing`, `reading` and
//! `starting` what an answer means.

pub(crate) mod address;
pub(crate) mod answers;
mod blob;
mod blobs;
pub(crate) mod config;
mod ending;
pub(crate) mod exchange;
pub(crate) mod expand;
mod forbidden;
pub(crate) mod hint;
pub(crate) mod judge;
mod lane;
mod listing;
pub(crate) mod plan;
mod queue;
mod reading;
mod record;
mod relist;
mod run;
mod schedule;
pub(crate) mod seen;
mod starting;
pub(crate) mod state;
mod subscription;
mod unread;
mod webhook;
pub(crate) mod windows;
pub(crate) mod wire;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::access::budget::Budget;
use crate::access::{Access, Troubles};
use crate::audit::config::AuditConfig;
use crate::audit::exchange::{Body, Exchanges, PageBody, Part, Purpose};
use crate::audit::expand::Expander;
use crate::audit::lane::Lane;
use crate::base::time::{Now, Utc};
use crate::contract::batch::{BatchId, ContentRef};
use crate::contract::event::Event;
use crate::contract::metrics::LaneMetrics;
use crate::contract::replay::Replay;
use crate::contract::request::{Headers, RequestId};
use crate::contract::state::{StateError, Stored};
use crate::identity::sign_in::SignIn;
use crate::source::desk::Desk;
use crate::source::exchange::Appetite;
use crate::source::ledger::{Entry, SourceId};
use crate::source::urgency::Wake;
use crate::source::{Corrected, Ended, Source, Standing};

/// What goes wrong here, as the table of remedies has it.
const TROUBLES: Troubles = Troubles { address: "api-address", rejected: "token-rejected" };

/// The Management Activity API of one tenant.
#[derive(Debug)]
pub(crate) struct AuditSource {
    id: SourceId,
    config: AuditConfig,
    access: Access,
    /// What of the rate may be for content that only hints name.
    hint_budget: Budget,
    lanes: Vec<Lane>,
    /// The lane that is asked first, so that all get their turn.
    first_lane: usize,
    exchanges: Exchanges,
    /// What the entries of the ledger are parts of, in their order.
    parts: VecDeque<Part>,
    /// Failures of the list of subscriptions in a row, and when it may be asked for again.
    list_failures: u32,
    list_not_before: Duration,
    /// When the list is looked at for webhooks, if any are wanted.
    webhooks_due: Duration,
}

impl AuditSource {
    /// The source with this place, which goes on from `stored`.
    pub(crate) fn new(
        id: SourceId,
        config: &AuditConfig,
        sign_in: &SignIn,
        desk: &mut Desk,
        stored: &Stored,
        now: Now,
    ) -> Result<Self, StateError> {
        let feeds = config.content_types.iter();
        let lanes = feeds
            .map(|feed| Lane::load(*feed, config, desk, stored, now))
            .collect::<Result<Vec<_>, _>>()?;
        let ignores = lanes.iter().filter_map(|lane| lane.ignores(config.lookback, now.wall));
        if let Some(begin) = ignores.max() {
            desk.tell(Event::LookbackIgnored { option: "lookback", begin });
        }
        let hints = (config.requests_per_minute / hint::BUDGET_PART).max(1);
        Ok(Self {
            id,
            access: access(config, sign_in, now),
            hint_budget: Budget::new(hints, now.monotonic),
            config: config.clone(),
            lanes,
            first_lane: 0,
            exchanges: Exchanges::default(),
            parts: VecDeque::new(),
            list_failures: 0,
            list_not_before: Duration::ZERO,
            webhooks_due: Duration::ZERO,
        })
    }

    /// Whether nothing can be had until somebody acts.
    fn is_given_up(&self) -> bool {
        self.access.is_hopeless() || self.access.is_lost()
    }
}

/// Access to this API.
pub(crate) fn access(config: &AuditConfig, sign_in: &SignIn, now: Now) -> Access {
    let rate = config.requests_per_minute;
    Access::by_entra(sign_in, &config.resource, rate, TROUBLES, now.monotonic)
}

impl Source for AuditSource {
    fn access(&mut self) -> &mut Access {
        &mut self.access
    }

    fn schedule(&mut self, desk: &mut Desk, now: Now, wake: &mut Wake) {
        self.send_due(desk, now, wake);
    }

    fn head(
        &mut self,
        desk: &mut Desk,
        _now: Now,
        id: RequestId,
        status: u16,
        headers: &Headers,
    ) -> Appetite {
        let begun = self.exchanges.begin_answer(self.access.contact(), id, status, headers);
        let exchange = match begun {
            Ok(exchange) => exchange,
            Err(appetite) => return appetite,
        };
        match &exchange.purpose {
            Purpose::Page { address, .. } => {
                exchange.body = Body::Page(PageBody::new(address));
                Appetite::More
            }
            Purpose::Blob { lane, key } => {
                let (limits, digest_key) = (desk.limits(), desk.digest_key());
                exchange.body = Body::Blob(Box::new(Expander::new(
                    self.lanes[*lane].blobs().resume(*key),
                    limits.batch_bytes,
                    limits.record_bytes_max,
                    self.config.enrich,
                    digest_key,
                )));
                Appetite::WhenThereIsRoom
            }
            Purpose::ListSubscriptions
            | Purpose::StartSubscription { .. }
            | Purpose::SetWebhook { .. } => Appetite::More,
        }
    }

    fn body(&mut self, desk: &mut Desk, now: Now, id: RequestId, chunk: Bytes) -> Appetite {
        let Some(mut exchange) = self.exchanges.remove(id) else { return Appetite::Enough };
        let appetite = match (&mut exchange.body, &exchange.purpose) {
            (Body::Small(bytes), _) => bytes.extend(&chunk),
            (Body::Page(page), Purpose::Page { lane, run, .. }) => {
                page.push(chunk);
                let enough = self.read_page(desk, now, *lane, *run, page);
                Appetite::unless(enough, Appetite::More)
            }
            (Body::Blob(expander), Purpose::Blob { lane, key }) => {
                expander.push(chunk);
                let enough = self.read_blob(desk, *lane, *key, expander);
                Appetite::unless(enough, Appetite::WhenThereIsRoom)
            }
            (Body::Page(_) | Body::Blob(_), _) => Appetite::Enough,
        };
        self.exchanges.insert(id, exchange);
        appetite
    }

    fn end(&mut self, desk: &mut Desk, now: Now, id: RequestId, ended: Ended) {
        let Some(exchange) = self.exchanges.remove(id) else { return };
        match exchange.purpose.clone() {
            Purpose::ListSubscriptions => self.end_list(desk, now, exchange, ended),
            Purpose::StartSubscription { lane } => {
                self.end_start(desk, now, lane, exchange, ended);
            }
            Purpose::SetWebhook { lane } => self.end_webhook(desk, now, lane, exchange, ended),
            Purpose::Page { lane, run, .. } => {
                self.end_page(desk, now, lane, run, exchange, ended);
            }
            Purpose::Blob { lane, key } => self.end_blob(desk, now, lane, key, exchange, ended),
        }
    }

    fn delivered(&mut self, desk: &mut Desk, now: Now, entry: &Entry) {
        let Some(part) = self.parts.pop_front_if(|part| part.batch == entry.id) else { return };
        let lane = &mut self.lanes[part.lane];
        lane.deliver(&part, entry, desk, now);
    }

    fn returned(&mut self, desk: &mut Desk, from: BatchId) {
        let at = self.parts.partition_point(|part| part.batch < from);
        for part in self.parts.split_off(at) {
            let same = |other: &&Part| (other.lane, other.key) == (part.lane, part.key);
            let remaining = self.parts.iter().rev().find(same).map(|other| other.progress);
            let lane = &mut self.lanes[part.lane];
            if let Some(id) = lane.take_back(part.key, &part.known, remaining) {
                self.exchanges.remove(id);
                desk.cancel(id);
            }
        }
    }

    fn hint(&mut self, desk: &Desk, now: Now, mut content: ContentRef) -> bool {
        let Some(server_now) = desk.server_now(now) else { return false };
        if !hint::is_own(&self.config, &content) || !hint::is_timely(&content, server_now) {
            return false;
        }
        // Whoever wrote it gets no place in front by a later time.
        content.created = content.created.min(server_now);
        let mut lanes = self.lanes.iter_mut();
        let lane = lanes.find(|lane| lane.feed() == content.feed);
        lane.is_some_and(|lane| lane.blobs().take_hint(content))
    }

    fn replay(&mut self, desk: &mut Desk, now: Now, replay: Replay) -> bool {
        let server_now = desk.server_time(now);
        let mut lanes = self.lanes.iter_mut();
        let lane = lanes.find(|lane| lane.feed() == replay.feed);
        lane.map(|lane| lane.replay(replay, desk, server_now)).is_some()
    }

    fn correct_time(&mut self, time: Corrected) {
        for lane in &mut self.lanes {
            lane.correct_time(self.config.lookback, time.now, time.born);
        }
    }

    fn flush(&mut self, desk: &mut Desk, now: Now) {
        // What is old enough to be forgotten is for Microsoft's clock to say.
        if let Some(server_now) = desk.server_now(now) {
            for lane in &mut self.lanes {
                lane.flush(desk, now, server_now);
            }
        }
    }

    fn finish(&mut self, desk: &mut Desk, now: Now) {
        for lane in &mut self.lanes {
            lane.tell_unread(desk, now.monotonic, true);
        }
    }

    fn standing(&self, target: Option<Utc>, now: Utc) -> Standing {
        if self.is_given_up() {
            return Standing::Refused;
        }
        match target {
            Some(target) if self.lanes.iter().all(|lane| lane.is_done(target, now)) => {
                Standing::Done
            }
            Some(_) | None => Standing::Working,
        }
    }

    fn is_whole(&self) -> bool {
        !self.is_given_up() && self.lanes.iter().all(Lane::is_whole)
    }

    fn measure(&mut self, now: Utc) -> Vec<&LaneMetrics> {
        self.lanes.iter_mut().map(|lane| lane.measure(now)).collect()
    }
}
