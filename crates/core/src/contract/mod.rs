//! What the core and its driver say to each other. Plain data.

pub(crate) mod batch;
pub(crate) mod delay;
pub(crate) mod error_codes;
pub(crate) mod event;
mod event_code;
pub(crate) mod event_subject;
mod event_text;
pub(crate) mod feed;
pub(crate) mod histogram;
pub(crate) mod history;
pub(crate) mod io;
pub(crate) mod known_events;
pub(crate) mod level;
pub(crate) mod loss;
pub(crate) mod metrics;
mod number;
pub(crate) mod outage;
pub(crate) mod replay;
pub(crate) mod request;
pub(crate) mod state;
