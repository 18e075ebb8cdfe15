//! The Office 365 Management Activity API as a source of records.

pub(crate) mod address;
pub(crate) mod answer;
pub(crate) mod ending;
pub(crate) mod exchange;
pub(crate) mod expand;
pub(crate) mod forbidden;
pub(crate) mod hint;
pub(crate) mod judge;
pub(crate) mod lane;
pub(crate) mod plan;
pub(crate) mod refusal;
pub(crate) mod relist;
pub(crate) mod schedule;
pub(crate) mod seen;
pub(crate) mod unread;
pub(crate) mod webhook;
pub(crate) mod wire;
