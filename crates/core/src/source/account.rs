//! How a feed stands, and what of it was taken: what the history is told. Plain data.

use std::time::Duration;

use crate::base::interval::IntervalSet;
use crate::base::time::Utc;
use crate::contract::feed::Feed;

/// How a feed stands when its history is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    pub feed: Feed,
    /// For how long Microsoft keeps what it has.
    pub kept: Duration,
    /// Where the look-back began, or what is settled since.
    pub begin: Utc,
    pub covered: &'a IntervalSet,
}

/// What the host has taken of one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub records: u64,
    /// When their events happened, to the second, and how many did then: of those of which it
    /// counts how long they took.
    pub happened: Box<[(Utc, u64)]>,
    pub bytes: u64,
    /// Left out by the filter.
    pub filtered: u64,
    /// Left out because the host had them before.
    pub deduplicated: u64,
}
