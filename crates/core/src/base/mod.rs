//! Words that know nothing of Microsoft: time, intervals, keys, text, a small map.

pub(crate) mod clock;
pub(crate) mod flat_map;
pub(crate) mod interval;
pub(crate) mod key;
pub(crate) mod origin;
pub(crate) mod random;
pub(crate) mod secret;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod timestamp;
