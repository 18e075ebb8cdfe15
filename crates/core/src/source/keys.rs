//! How the keys of the state are spelt, of every source.

use crate::base::key::Key;
use crate::contract::feed::Feed;
use crate::contract::state::Stored;

/// The keys of one lane.
#[derive(Clone, Debug)]
pub(crate) struct LaneKeys {
    name: &'static str,
}

/// One stored entry below a prefix: its key, the key's last part, its value.
pub(crate) type Found<'a> = (&'a str, &'a str, &'a str);

impl LaneKeys {
    pub(crate) const fn new(feed: Feed) -> Self {
        Self { name: feed.as_str() }
    }

    pub(crate) fn lane(&self) -> String {
        format!("lane/{}", self.name)
    }

    pub(crate) fn start(&self) -> String {
        format!("start/{}", self.name)
    }

    pub(crate) fn seen(&self, hour: i64) -> String {
        format!("seen/{}/{hour}", self.name)
    }

    pub(crate) fn records(&self, piece: u64) -> String {
        format!("records/{}/{piece:016x}", self.name)
    }

    pub(crate) fn recent(&self, piece: u64) -> String {
        format!("recent/{}/{piece:016x}", self.name)
    }

    pub(crate) fn walk(&self) -> String {
        format!("walk/{}", self.name)
    }

    pub(crate) fn search(&self) -> String {
        format!("search/{}", self.name)
    }

    pub(crate) fn again(&self) -> String {
        format!("again/{}", self.name)
    }

    pub(crate) fn recent_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("recent/{}/", self.name))
    }

    pub(crate) fn blob(&self, key: Key) -> String {
        format!("blob/{}/{:032x}", self.name, key.0)
    }

    pub(crate) fn seen_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("seen/{}/", self.name))
    }

    pub(crate) fn records_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("records/{}/", self.name))
    }

    pub(crate) fn blobs_in<'a>(&self, stored: &'a Stored) -> impl Iterator<Item = Found<'a>> {
        below(stored, format!("blob/{}/", self.name))
    }
}

/// What stands below a prefix.
pub(crate) fn below(stored: &Stored, prefix: String) -> impl Iterator<Item = Found<'_>> {
    let length = prefix.len();
    stored
        .range(prefix.clone()..)
        .take_while(move |(key, _)| key.starts_with(&prefix))
        .map(move |(key, value)| (key.as_str(), &key[length..], value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_do_not_catch_neighbours() {
        let keys = LaneKeys::new(Feed::ALL[0]);
        let stored: Stored = [keys.seen(5), keys.seen(-1), keys.records(1), keys.lane()]
            .into_iter()
            .map(|key| (key, String::new()))
            .collect();
        let tails: Vec<_> = keys.seen_in(&stored).map(|found| found.1).collect();
        assert_eq!(tails, ["-1", "5"]);
    }
}
