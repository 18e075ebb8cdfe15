//! Defender for Cloud Apps activities as a source of records.
//!
//! `lane` keeps account and `walk` follows one search; `schedule` decides what is asked, `answer`
//! what an answer means.

mod answer;
pub(crate) mod config;
pub(crate) mod envelope;
pub(crate) mod exchange;
pub mod filter;
pub(crate) mod id;
pub(crate) mod judge;
mod lane;
pub(crate) mod plan;
pub(crate) mod reader;
pub(crate) mod record;
mod schedule;
pub(crate) mod seen;
mod state;
pub(crate) mod walk;
pub(crate) mod wire;

use std::collections::VecDeque;

use bytes::Bytes;

pub use record::happened;

use crate::access::{Access, Troubles};
use crate::activities::config::ActivitiesConfig;
use crate::activities::exchange::{Body, Exchanges, Part};
use crate::activities::lane::ActivityLane;
use crate::activities::reader::PageReader;
use crate::base::time::{Now, Utc};
use crate::contract::batch::BatchId;
use crate::contract::event::Event;
use crate::contract::feed::Feed;
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
pub(crate) const TROUBLES: Troubles =
    Troubles { address: "portal-address", rejected: "portal-rejected" };

/// The Activities API of one tenant.
#[derive(Debug)]
pub(crate) struct ActivitiesSource {
    id: SourceId,
    config: ActivitiesConfig,
    access: Access,
    lane: ActivityLane,
    exchanges: Exchanges,
    /// What the entries of the ledger are parts of, in their order.
    parts: VecDeque<Part>,
    /// Whether a page was read since the last check for having caught up.
    turned: bool,
}

impl ActivitiesSource {
    /// The source with this place, which goes on from `stored`.
    pub(crate) fn new(
        id: SourceId,
        config: &ActivitiesConfig,
        sign_in: &SignIn,
        desk: &mut Desk,
        stored: &Stored,
        now: Now,
    ) -> Result<Self, StateError> {
        let lane = ActivityLane::load(config, desk, stored, now)?;
        if let Some(begin) = lane.ignores(config.lookback, now.wall) {
            desk.tell(Event::LookbackIgnored { option: "activities_lookback", begin });
        }
        Ok(Self {
            id,
            access: access(config, sign_in, now),
            config: config.clone(),
            lane,
            exchanges: Exchanges::default(),
            parts: VecDeque::new(),
            turned: false,
        })
    }
}

/// Access to this API, by the token that was given to us or by those of Entra ID.
pub(crate) fn access(config: &ActivitiesConfig, sign_in: &SignIn, now: Now) -> Access {
    let (rate, now) = (config.requests_per_minute, now.monotonic);
    match &config.token {
        Some(token) => Access::given(token.clone(), rate, TROUBLES, now),
        None => Access::by_entra(sign_in, &config.resource, rate, TROUBLES, now),
    }
}

impl Source for ActivitiesSource {
    fn access(&mut self) -> &mut Access {
        &mut self.access
    }

    fn schedule(&mut self, desk: &mut Desk, now: Now, wake: &mut Wake) {
        // What it brought may be delivered by now.
        if std::mem::take(&mut self.turned) {
            let event = self.lane.note_caught_up(desk.server_time(now));
            event.into_iter().for_each(|event| desk.tell(event));
        }
        self.send_due(desk, now, wake);
    }

    fn head(
        &mut self,
        desk: &mut Desk,
        now: Now,
        id: RequestId,
        status: u16,
        headers: &Headers,
    ) -> Appetite {
        let begun = self.exchanges.begin_answer(self.access.contact(), id, status, headers);
        let exchange = match begun {
            Ok(exchange) => exchange,
            Err(appetite) => return appetite,
        };
        let limits = desk.limits();
        exchange.body = Body::Page(Box::new(PageReader::new(
            limits.batch_bytes,
            limits.record_bytes_max,
            desk.server_time(now),
            desk.digest_key(),
        )));
        Appetite::WhenThereIsRoom
    }

    fn body(&mut self, desk: &mut Desk, now: Now, id: RequestId, chunk: Bytes) -> Appetite {
        let Some(mut exchange) = self.exchanges.remove(id) else { return Appetite::Enough };
        let appetite = match &mut exchange.body {
            Body::Small(bytes) => bytes.extend(&chunk),
            Body::Page(reader) => {
                reader.push(chunk);
                let enough = self.read_activities(desk, now, exchange.purpose, reader);
                Appetite::unless(enough, Appetite::WhenThereIsRoom)
            }
        };
        self.exchanges.insert(id, exchange);
        appetite
    }

    fn end(&mut self, desk: &mut Desk, now: Now, id: RequestId, ended: Ended) {
        if let Some(exchange) = self.exchanges.remove(id) {
            self.end_page(desk, now, exchange, ended);
        }
    }

    fn delivered(&mut self, desk: &mut Desk, now: Now, entry: &Entry) {
        let Some(part) = self.parts.pop_front_if(|part| part.batch == entry.id) else { return };
        self.lane.count(desk, now, part.walk, entry, part.hours);
        self.lane.deliver(part.walk, part.page, entry.last, &part.activities, desk);
    }

    fn returned(&mut self, desk: &mut Desk, from: BatchId) {
        let at = self.parts.partition_point(|part| part.batch < from);
        for part in self.parts.split_off(at) {
            let request = self.lane.take_back(part.walk, part.page, &part.activities);
            if let Some(id) = request {
                self.exchanges.remove(id);
                desk.cancel(id);
            }
        }
    }

    fn replay(&mut self, desk: &mut Desk, now: Now, replay: Replay) -> bool {
        let own = replay.feed == Feed::CloudAppActivities;
        if own {
            self.lane.replay(replay, desk, desk.server_time(now));
        }
        own
    }

    fn correct_time(&mut self, time: Corrected) {
        self.lane.correct_time(self.config.lookback, time.now, time.born);
    }

    fn flush(&mut self, desk: &mut Desk, now: Now) {
        // What is old enough to be forgotten is for Microsoft's clock to say.
        if let Some(server_now) = desk.server_now(now) {
            self.lane.flush(desk, now, server_now);
        }
    }

    fn standing(&self, target: Option<Utc>, now: Utc) -> Standing {
        if self.access.is_hopeless() {
            return Standing::Refused;
        }
        match target {
            Some(target) if self.lane.is_done(target, now) => Standing::Done,
            None if self.lane.is_denied() => Standing::Refused,
            Some(_) | None => Standing::Working,
        }
    }

    fn is_whole(&self) -> bool {
        !self.access.is_hopeless() && self.lane.is_whole()
    }

    fn measure(&mut self, now: Utc) -> Vec<&LaneMetrics> {
        self.lane.measure(now);
        vec![self.lane.metrics()]
    }
}
