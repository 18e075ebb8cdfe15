//! How much is asked for, held and handed over at once.

use std::time::Duration;

use crate::options::Reader;

/// Bounds of one collector, for all its sources.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Requests under way.
    pub max_in_flight: usize,
    pub request_timeout: Duration,
    /// Records of each feed that are remembered.
    pub dedupe_records: usize,
    /// Bytes of records after which a batch is full.
    pub batch_bytes: usize,
    /// Bytes that the host has not taken, beyond which nothing more is read.
    pub buffer_bytes: usize,
    pub record_bytes_max: usize,
    /// Hours of which the history is kept; 0: there is none.
    pub history_hours: i64,
}

impl Limits {
    /// Reads the options. Mistakes stay in `reader`.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let history_hours = reader.number("history_keep").saturating_mul(24);
        let mut size = |name| usize::try_from(reader.number(name)).unwrap_or(usize::MAX);
        Self {
            max_in_flight: size("max_in_flight"),
            dedupe_records: size("dedupe_records"),
            batch_bytes: size("batch_bytes"),
            buffer_bytes: size("buffer_bytes"),
            record_bytes_max: size("record_bytes_max"),
            history_hours: i64::try_from(history_hours).unwrap_or(i64::MAX),
            request_timeout: reader.duration("request_timeout"),
        }
    }
}
