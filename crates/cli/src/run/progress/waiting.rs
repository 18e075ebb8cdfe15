//! What a run waits for: a sign-in that does not get through, a service that does not answer, blobs
//! that cannot be read. Says it as people would.

use std::collections::BTreeMap;
use std::time::Instant;

use m365_audit_core::{Event, Feed, FeedEvent, Metrics, Operation, Outages, spoken};

use crate::words::counted;

/// So many blobs are remembered; the others are counted by the metrics alone.
const BLOBS_MAX: usize = 1_000;

/// So many are named in a line.
const NAMED_MAX: usize = 3;

/// A blob that could not be read.
#[derive(Clone, Debug)]
struct Blob {
    feed: Feed,
    reason: String,
    next: Instant,
}

/// Of all tenants, by their names.
#[derive(Debug)]
pub(super) struct Waiting {
    blobs: BTreeMap<(Box<str>, Box<str>), Blob>,
    outages: Outages,
    /// Why feeds are denied, and what to do.
    denials: Denials,
    epoch: Instant,
}

/// Why feeds are denied, and what to do.
pub(super) type Denials = BTreeMap<Feed, String>;

impl Waiting {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { blobs: BTreeMap::new(), outages: Outages::default(), denials: Denials::new(), epoch }
    }

    /// Takes in what happened to a tenant.
    pub(super) fn observe(&mut self, tenant: &str, event: &Event, now: Instant) {
        match event {
            Event::RequestRetried {
                operation: Operation::GetBlob,
                feed: Some(feed),
                content_id: Some(id),
                reason,
                retry_in,
            } => {
                let key = (tenant.into(), id.clone());
                if self.blobs.len() < BLOBS_MAX || self.blobs.contains_key(&key) {
                    let (feed, reason, next) = (*feed, reason.clone(), now + *retry_in);
                    self.blobs.insert(key, Blob { feed, reason, next });
                }
            }
            Event::Feed(
                _,
                FeedEvent::BlobRecovered { content_id }
                | FeedEvent::BlobEmpty { content_id, .. }
                | FeedEvent::ContentLostError { content_id, .. },
            ) => self.read(tenant, content_id),
            Event::Feed(feed, FeedEvent::FeedDeniedError { code, remedy, .. }) => {
                self.denials.insert(*feed, format!("{code}: {remedy}"));
            }
            Event::Feed(feed, FeedEvent::FeedRestored) => drop(self.denials.remove(feed)),
            _ => self.outages.observe(tenant, event, now.duration_since(self.epoch)),
        }
    }

    /// A blob was read.
    pub(super) fn read(&mut self, tenant: &str, content_id: &str) {
        if !self.blobs.is_empty() {
            self.blobs.remove(&(tenant.into(), content_id.into()));
        }
    }

    /// Another run of a tenant's collector begins, or none.
    pub(super) fn forget(&mut self, tenant: &str) {
        self.blobs.retain(|(of, _), _| **of != *tenant);
        self.outages.forget(tenant);
        self.denials.clear();
    }

    /// What is wrong, since when, and when it is tried next.
    pub(super) fn outage(&self, now: Instant) -> Option<String> {
        self.outages.line(now.duration_since(self.epoch))
    }

    /// Why feeds are denied, where there is one tenant.
    pub(super) const fn denials(&self) -> &Denials {
        &self.denials
    }

    /// Which blobs a run that has an end waits for.
    pub(super) fn blobs(&self, metrics: &Metrics, now: Instant) -> Option<String> {
        let waits = |feed: Feed| {
            let lane = metrics.lanes.iter().find(|lane| lane.feed == feed);
            lane.is_some_and(|lane| 0 < lane.blobs_pending + lane.blobs_quarantined)
        };
        let of_feeds = self.blobs.iter().filter(|(_, blob)| waits(blob.feed));
        let mut blobs: Vec<_> = of_feeds.collect();
        blobs.sort_by_key(|(_, blob)| blob.next);
        if blobs.is_empty() {
            return None;
        }
        let named = blobs.iter().take(NAMED_MAX).map(|((tenant, id), blob)| {
            let tenant = if tenant.is_empty() { String::new() } else { format!("{tenant}: ") };
            let next = spoken(blob.next.saturating_duration_since(now));
            format!("{tenant}{} {id} ({}; next try in {next})", blob.feed, blob.reason)
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let more = blobs.len().saturating_sub(NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        let count = counted(blobs.len() as u64, "blob", "blobs");
        Some(format!("waiting for {count} that could not be read yet: {named}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use m365_audit_core::{ContentType, LaneMetrics};

    use super::*;

    const FEED: Feed = Feed::Audit(ContentType::AuditExchange);

    fn retried(id: &str, wait: u64) -> Event {
        Event::RequestRetried {
            operation: Operation::GetBlob,
            feed: Some(FEED),
            content_id: Some(id.into()),
            reason: "cannot resolve login.microsoftonline.com".into(),
            retry_in: Duration::from_secs(wait),
        }
    }

    #[test]
    fn blobs_that_are_waited_for_are_named() {
        let now = Instant::now();
        let mut waiting = Waiting::new(now);
        let mut metrics = Metrics::default();
        metrics.lanes.push(LaneMetrics { blobs_pending: 5, ..LaneMetrics::new(FEED) });
        for (id, wait) in [("one", 12), ("two", 3), ("three", 60), ("four", 300), ("five", 20)] {
            waiting.observe("", &retried(id, wait), now);
        }
        let told = waiting.blobs(&metrics, now).unwrap();
        assert!(told.starts_with("waiting for 5 blobs that could not be read yet: "), "{told}");
        let first =
            "Audit.Exchange two (cannot resolve login.microsoftonline.com; next try in 3 s)";
        assert!(told.contains(first) && told.ends_with(", and 2 more"), "{told}");
        for id in ["one", "two", "three", "four"] {
            waiting.read("", id);
        }
        assert!(waiting.blobs(&metrics, now).unwrap().starts_with("waiting for 1 blob that"));
        metrics.lanes[0].blobs_pending = 0;
        assert_eq!(waiting.blobs(&metrics, now), None);
    }
}
