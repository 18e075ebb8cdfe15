//! Hours that somebody wants delivered once more. The request stands in the state under a key of
//! its own, which only somebody else writes: so it can be made beside a collector that is at work.
//! The collector deletes it in the commit in which it opens the hours. Plain data.

use serde::{Deserialize, Serialize};

use crate::base::time::Utc;
use crate::contract::feed::Feed;
use crate::contract::state::{self, StateError};

/// Where requests are stored. Written by whoever wants hours again, deleted by the collector.
pub const REPLAY: &str = "replay/";

/// Whole hours of one feed, by when their content was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replay {
    /// The feed.
    pub feed: Feed,
    /// The first hour, counted since the epoch ([`HourRow::hour`](crate::HourRow::hour)).
    pub from: i64,
    /// The first hour that is not wanted.
    pub until: i64,
}

/// Who wants them, and when that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayer {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Who.
    pub by: String,
}

impl Replay {
    /// The hours that reach into the time from `since` to `until`. `None` if there is none.
    #[must_use]
    pub fn of(feed: Feed, since: Utc, until: Utc) -> Option<Self> {
        let last = Utc::from_millis(until.as_millis().saturating_sub(1)).hour();
        (since < until).then(|| Self { feed, from: since.hour(), until: last.saturating_add(1) })
    }

    /// The key of the request.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{REPLAY}{}/{}-{}", self.feed, self.from, self.until)
    }

    /// The entry of the state that makes the request.
    #[must_use]
    pub fn request(&self, replayer: &Replayer) -> (String, String) {
        (self.key(), state::encode(replayer))
    }

    /// What a key asks for.
    ///
    /// # Errors
    /// If it is none of a request.
    pub fn parse(key: &str) -> Result<Self, StateError> {
        let parsed = key.strip_prefix(REPLAY).and_then(|rest| {
            let (feed, hours) = rest.split_once('/')?;
            let (from, until) = hours.split_once('-')?;
            let feed = Feed::parse(feed)?;
            Some(Self { feed, from: from.parse().ok()?, until: until.parse().ok()? })
        });
        // Spelt as it is here, or it would never be found to be deleted.
        let sound = parsed.filter(|it| 0 <= it.from && it.from < it.until && it.key() == key);
        sound.ok_or_else(|| StateError::damaged(key, "it names no hours of a feed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_every_hour_that_it_reaches_into() {
        let feed = Feed::ALL[1];
        let at = |minutes: i64| Utc::from_millis(minutes * 60_000);
        let replay = Replay::of(feed, at(60 * 490_000 + 30), at(60 * 490_002)).unwrap();
        assert_eq!(replay.key(), "replay/Audit.Exchange/490000-490002");
        assert_eq!(Replay::parse(&replay.key()), Ok(replay));
        assert_eq!(Replay::of(feed, at(5), at(6)).map(|it| (it.from, it.until)), Some((0, 1)));
        assert_eq!(Replay::of(feed, at(6), at(6)), None);
        for key in [
            "replay/Audit.Exchange/7-7",
            "replay/Audit.Nothing/7-8",
            "replay/Audit.Exchange/7",
            "replay/Audit.Exchange/-2-8",
            "replay/audit.exchange/7-8",
            "replay/Audit.Exchange/+7-8",
            "lane/Audit.Exchange/7-8",
        ] {
            assert!(Replay::parse(key).is_err(), "{key}");
        }
    }
}
