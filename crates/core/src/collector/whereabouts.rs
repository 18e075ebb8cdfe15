//! What a stored state says of one content: whether it was delivered, and if not, where it is.
//! Reads values and changes none.

use std::collections::HashMap;

use crate::activities::seen::keys_of;
use crate::audit::state::BlobRecord;
use crate::base::interval::IntervalSet;
use crate::base::key::{self, Key, KeySet};
use crate::base::time::Utc;
use crate::contract::feed::Feed;
use crate::contract::state::{self, Changes, StateError, Stored, check_version};
use crate::source::coverage::LaneRecord;
use crate::source::keys::LaneKeys;
use crate::source::losses::{KnownLoss, losses};

/// Where a content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// All its records were given to the host, which took them.
    Delivered,
    /// Some of its records were.
    InProgress,
    /// It could not be read yet.
    Quarantined {
        /// Until when it is tried.
        expiration: Utc,
    },
    /// It was lost.
    Lost(KnownLoss),
    /// It was created before collection began.
    BeforeBegin {
        /// Where that began.
        begin: Utc,
    },
    /// Its time is not settled: it was not listed yet, or listed and not delivered yet.
    Pending,
    /// Its time is settled, and it is not known: listed after that, or forgotten since.
    Unknown,
    /// Its time is settled, so that all that could be found then was delivered. It is an activity,
    /// of which only the latest are remembered one by one.
    Settled,
}

/// The contents of which a stored state knows something.
#[derive(Debug)]
pub struct KnownContents {
    lanes: HashMap<Feed, Lane>,
    losses: Vec<KnownLoss>,
}

#[derive(Debug)]
struct Lane {
    begin: Utc,
    covered: IntervalSet,
    delivered: KeySet,
    /// Not delivered whole; of those in quarantine, when they expire.
    open: HashMap<Key, Option<Utc>>,
}

impl KnownContents {
    /// Reads a stored state.
    ///
    /// # Errors
    /// If it is damaged or newer, like [`Collector::new`](crate::Collector::new).
    pub fn read(stored: &Stored) -> Result<Self, StateError> {
        check_version(stored, &mut Changes::default())?;
        let mut lanes = HashMap::new();
        for feed in Feed::ALL {
            let keys = LaneKeys::new(feed);
            let name = keys.lane();
            let Some(value) = stored.get(&name) else { continue };
            let record: LaneRecord = state::decode(&name, value)?;
            let (begin, covered) = (record.begin(), record.covered());
            let mut lane =
                Lane { begin, covered, delivered: KeySet::default(), open: HashMap::new() };
            for (key, _, value) in keys.seen_in(stored) {
                let damaged = || StateError::damaged(key, "not a list of keys");
                lane.delivered.extend(key::decode(value).ok_or_else(damaged)?);
            }
            match feed {
                Feed::Audit(content_type) => {
                    for (key, _, value) in keys.blobs_in(stored) {
                        let blob: BlobRecord = state::decode(key, value)?;
                        let content = blob.content(content_type);
                        let expiration = blob.quarantined().then_some(content.expiration);
                        lane.open.insert(Key::of_content(&content.id), expiration);
                    }
                }
                Feed::CloudAppActivities => {
                    for (key, _, value) in keys.records_in(stored).chain(keys.recent_in(stored)) {
                        let damaged = || StateError::damaged(key, "not a list of keys");
                        lane.delivered.extend(keys_of(value).ok_or_else(damaged)?);
                    }
                }
            }
            lanes.insert(feed, lane);
        }
        Ok(Self { lanes, losses: losses(stored)? })
    }

    /// Where a content of `feed` is, or an activity, by its id. `None` if nothing is stored of the
    /// feed.
    #[must_use]
    pub fn of(&self, feed: Feed, id: &str, created: Utc) -> Option<Whereabouts> {
        let lane = self.lanes.get(&feed)?;
        let key = Key::of_content(id);
        let of_feed = self.losses.iter().filter(|known| known.loss.feed == Some(feed));
        let by_name = of_feed.clone().find(|known| known.loss.name.as_deref() == Some(id));
        let open = lane.open.get(&key);
        // Records may be dropped from a content that is delivered otherwise: the loss comes first.
        Some(match (by_name, open) {
            (Some(known), _) => Whereabouts::Lost(known.clone()),
            (None, Some(Some(expiration))) => Whereabouts::Quarantined { expiration: *expiration },
            (None, Some(None)) => Whereabouts::InProgress,
            (None, None) if lane.delivered.contains(&key) => Whereabouts::Delivered,
            (None, None) => {
                let around = of_feed.filter(|known| known.loss.name.is_none()).find(|known| {
                    known.loss.created.is_some_and(|(start, end)| (start..end).contains(&created))
                });
                match around {
                    Some(known) => Whereabouts::Lost(known.clone()),
                    None if created < lane.begin => Whereabouts::BeforeBegin { begin: lane.begin },
                    None if lane.has_settled(created) => match feed {
                        Feed::Audit(_) => Whereabouts::Unknown,
                        Feed::CloudAppActivities => Whereabouts::Settled,
                    },
                    None => Whereabouts::Pending,
                }
            }
        })
    }
}

impl Lane {
    fn has_settled(&self, created: Utc) -> bool {
        self.covered.iter().any(|interval| (interval.start..interval.end).contains(&created))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_where_the_state_says() {
        let hour = 3_600_000;
        let delivered = key::encode(&[Key::of_content("a")]);
        let keys = LaneKeys::new(Feed::ALL[1]);
        let blob = |id: &str, quarantined: bool| {
            let digest = "0".repeat(32);
            let text = format!(
                "{{\"id\":\"{id}\",\"uri\":\"\",\"created\":7200000,\"expiration\":9,\"records\":1,\
                 \"digest\":\"{digest}\",\"quarantined\":{quarantined}}}"
            );
            (keys.blob(Key::of_content(id)), text)
        };
        let loss = r#"{"feed":"Audit.Exchange","kind":"blob","created":[7200000,7200001],
            "name":"lost","count":1,"told":1}"#;
        let gap = r#"{"feed":"Audit.Exchange","kind":"gap","created":[18000000,21600000],
            "count":1,"told":1}"#;
        let lane = r#"{"begin":3600000,"covered":[[3600000,14400000]],"sweep":0}"#;
        let stored = Stored::from([
            ("version".into(), "2".into()),
            (keys.lane(), lane.into()),
            (keys.seen(2), delivered),
            ("loss/0000000000000001".into(), loss.into()),
            ("loss/0000000000000002".into(), gap.into()),
            blob("half", false),
            blob("bad", true),
        ]);
        let known = KnownContents::read(&stored).unwrap();
        let of =
            |id: &str, at: i64| known.of(Feed::ALL[1], id, Utc::from_millis(at * hour)).unwrap();
        assert_eq!(of("a", 2), Whereabouts::Delivered);
        assert_eq!(of("half", 2), Whereabouts::InProgress);
        let expiration = Utc::from_millis(9);
        assert_eq!(of("bad", 2), Whereabouts::Quarantined { expiration });
        assert!(matches!(of("lost", 2), Whereabouts::Lost(known) if known.number == 1));
        assert!(matches!(of("x", 5), Whereabouts::Lost(known) if known.number == 2));
        assert_eq!(of("x", 0), Whereabouts::BeforeBegin { begin: Utc::from_millis(hour) });
        assert_eq!(of("x", 2), Whereabouts::Unknown);
        assert_eq!(of("x", 4), Whereabouts::Pending);
        assert_eq!(known.of(Feed::ALL[4], "a", expiration), None);
    }

    #[test]
    fn an_activity_is_where_the_state_says() {
        let feed = Feed::CloudAppActivities;
        let (keys, hour) = (LaneKeys::new(feed), 3_600_000);
        let piece = |id: &str| format!("7 {}", key::encode(&[Key::of_content(id)]));
        let lane = r#"{"begin":3600000,"covered":[[3600000,14400000]],"sweep":0}"#;
        let mut stored = Stored::from([
            ("version".into(), "2".into()),
            (keys.lane(), lane.into()),
            (keys.recent(1), piece("new")),
            (keys.records(0), piece("old")),
        ]);
        let known = KnownContents::read(&stored).unwrap();
        let of = |id: &str, at: i64| known.of(feed, id, Utc::from_millis(at * hour)).unwrap();
        assert!(["new", "old"].iter().all(|id| of(id, 2) == Whereabouts::Delivered));
        assert_eq!(of("x", 2), Whereabouts::Settled);
        assert_eq!(of("x", 4), Whereabouts::Pending);
        stored.insert(keys.recent(2), "7".into());
        assert!(KnownContents::read(&stored).is_err());
    }
}
