//! Counters and gauges of one collector. Plain numbers: drivers read them whenever they wait.

use std::time::Duration;

use crate::base::time::Utc;
use crate::contract::feed::Feed;
use crate::contract::request::Operation;

/// What one collector has done, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Requests sent, by operation in the order of [`Operation::ALL`].
    pub requests: [u64; Operation::ALL.len()],
    /// Answers that asked for fewer requests.
    pub throttled: u64,
    /// Requests that failed and were (or will be) repeated.
    pub retries: u64,
    /// Requests a minute that are allowed at present, to all APIs that are collected from.
    pub requests_per_minute: u32,
    /// Contents that notifications named.
    pub hints: u64,
    /// Of these, the ones that were news and are looked at.
    pub hints_taken: u64,
    /// Batches handed to the host and not yet delivered.
    pub undelivered_batches: u64,
    /// Bytes of records in those batches.
    pub undelivered_bytes: u64,
    /// Now: losses that the state remembers and nobody has acknowledged, of any feed or output.
    pub losses_unacknowledged: u64,
    /// One entry per feed, in the order of the configuration.
    pub lanes: Vec<LaneMetrics>,
}

impl Metrics {
    /// Adds those of another collector, feed by feed; of times, the longer one counts.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.requests.iter_mut().zip(other.requests) {
            *sum += count;
        }
        self.throttled += other.throttled;
        self.retries += other.retries;
        self.hints += other.hints;
        self.hints_taken += other.hints_taken;
        self.requests_per_minute += other.requests_per_minute;
        self.losses_unacknowledged += other.losses_unacknowledged;
        self.undelivered_batches += other.undelivered_batches;
        self.undelivered_bytes += other.undelivered_bytes;
        for lane in &other.lanes {
            let known = self.lanes.iter_mut().find(|known| known.feed == lane.feed);
            match known {
                Some(known) => known.add(lane),
                None => self.lanes.push(lane.clone()),
            }
        }
    }
}

/// What one feed has done, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneMetrics {
    /// The feed.
    pub feed: Feed,
    /// Windows that were listed to their last page.
    pub windows_listed: u64,
    /// Blobs that listings named for the first time.
    pub blobs_listed: u64,
    /// Blobs delivered to the last record.
    pub blobs_delivered: u64,
    /// Attempts to read a blob that failed.
    pub blob_failures: u64,
    /// Blobs that expired before they could be read. Data was lost.
    pub blobs_lost: u64,
    /// Records delivered to the host.
    pub records_delivered: u64,
    /// Bytes of the records delivered.
    pub bytes_delivered: u64,
    /// Records left out because one of the same id that says the same was delivered before.
    pub records_deduplicated: u64,
    /// Records delivered although one of the same id was before, because they say something else.
    pub records_revised: u64,
    /// Records that are no valid JSON, delivered as they are.
    pub records_malformed: u64,
    /// Records left out because the filters say so.
    pub records_filtered: u64,
    /// Records in which values were replaced.
    pub records_redacted: u64,
    /// Records of which nothing was handed over but their length and hash, because they could not
    /// be read for redaction. Data was lost.
    pub records_withheld: u64,
    /// Of activities: records that do not meet a filter, which the service did not apply.
    pub filter_mismatches: u64,
    /// Records dropped for another reason. Data was lost.
    pub records_dropped: u64,
    /// Entries of listings that could not be read. Data was lost.
    pub listing_entries_dropped: u64,
    /// Wrong addresses of contents and pages, in place of which others were asked.
    pub addresses_derived: u64,
    /// Length of what fell out of Microsoft's listings before it was listed. Data was lost.
    pub listing_gaps: Duration,
    /// Now: blobs known and not delivered yet.
    pub blobs_pending: u64,
    /// Now: blobs in quarantine.
    pub blobs_quarantined: u64,
    /// Now: length of the part of the look-back that is not delivered completely.
    pub backlog: Duration,
    /// Now: the time since the newest moment up to which listings are complete.
    pub lag: Duration,
    /// When the newest delivered content was created.
    pub newest_content: Option<Utc>,
    /// Now: whether Microsoft denies this feed to this app.
    pub denied: bool,
}

impl LaneMetrics {
    /// All zero.
    #[must_use]
    pub const fn new(feed: Feed) -> Self {
        Self {
            feed,
            windows_listed: 0,
            blobs_listed: 0,
            blobs_delivered: 0,
            blob_failures: 0,
            blobs_lost: 0,
            records_delivered: 0,
            bytes_delivered: 0,
            records_deduplicated: 0,
            records_revised: 0,
            records_malformed: 0,
            records_filtered: 0,
            records_redacted: 0,
            records_withheld: 0,
            filter_mismatches: 0,
            records_dropped: 0,
            listing_entries_dropped: 0,
            addresses_derived: 0,
            listing_gaps: Duration::ZERO,
            blobs_pending: 0,
            blobs_quarantined: 0,
            backlog: Duration::ZERO,
            lag: Duration::ZERO,
            newest_content: None,
            denied: false,
        }
    }

    /// Whether any of the counters says that data was lost. The log has said of each loss what
    /// and why, at ERROR.
    #[must_use]
    pub const fn has_lost_data(&self) -> bool {
        0 < self.blobs_lost
            || 0 < self.records_withheld
            || 0 < self.records_dropped
            || 0 < self.listing_entries_dropped
            || !self.listing_gaps.is_zero()
    }

    fn add(&mut self, other: &Self) {
        // All by name: so a new one is not forgotten.
        let Self {
            feed: _,
            windows_listed,
            blobs_listed,
            blobs_delivered,
            blob_failures,
            blobs_lost,
            records_delivered,
            bytes_delivered,
            records_deduplicated,
            records_revised,
            records_malformed,
            records_filtered,
            records_redacted,
            records_withheld,
            filter_mismatches,
            records_dropped,
            listing_entries_dropped,
            addresses_derived,
            listing_gaps,
            blobs_pending,
            blobs_quarantined,
            backlog,
            lag,
            newest_content,
            denied,
        } = other;
        self.windows_listed += windows_listed;
        self.blobs_listed += blobs_listed;
        self.blobs_delivered += blobs_delivered;
        self.blob_failures += blob_failures;
        self.blobs_lost += blobs_lost;
        self.records_delivered += records_delivered;
        self.bytes_delivered += bytes_delivered;
        self.records_deduplicated += records_deduplicated;
        self.records_revised += records_revised;
        self.records_malformed += records_malformed;
        self.records_filtered += records_filtered;
        self.records_redacted += records_redacted;
        self.records_withheld += records_withheld;
        self.filter_mismatches += filter_mismatches;
        self.records_dropped += records_dropped;
        self.listing_entries_dropped += listing_entries_dropped;
        self.addresses_derived += addresses_derived;
        self.listing_gaps += *listing_gaps;
        self.blobs_pending += blobs_pending;
        self.blobs_quarantined += blobs_quarantined;
        self.backlog = self.backlog.max(*backlog);
        self.lag = self.lag.max(*lag);
        self.newest_content = self.newest_content.max(*newest_content);
        self.denied |= denied;
    }
}
