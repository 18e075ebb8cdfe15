//! What a run waits for: a sign-in that does not get through, a service that does not answer, blobs
//! that cannot be read. Says it as people would.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use m365_audit_core::{Event, Feed, FeedEvent, Metrics, Operation};

use crate::words::{counted, spoken};

/// So many blobs are remembered; the others are counted by the metrics alone.
const BLOBS_MAX: usize = 1_000;

/// So many are named in a line.
const NAMED_MAX: usize = 3;

/// A service that does not answer is worth a word after this: before the first line of progress.
const OUTAGE_AFTER: Duration = Duration::from_secs(6);

/// What was to be tried so long ago has got through, and nobody has said so.
const STALE_AFTER: Duration = Duration::from_secs(20);

/// A blob that could not be read.
#[derive(Clone, Debug)]
struct Blob {
    feed: Feed,
    reason: String,
    next: Instant,
}

/// Something that does not get through.
#[derive(Clone, Debug)]
struct Outage {
    what: &'static str,
    since: Instant,
    next: Instant,
    reason: String,
}

/// Of all tenants, by their names.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    blobs: BTreeMap<(Box<str>, Box<str>), Blob>,
    outages: BTreeMap<(Box<str>, Operation), Outage>,
}

impl Waiting {
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
            Event::SignInUnreachable { reason, retry_in } => {
                self.fail(tenant, Operation::Token, reason, *retry_in, now);
            }
            Event::RequestRetried { operation, reason, retry_in, .. } => {
                self.fail(tenant, *operation, reason, *retry_in, now);
            }
            Event::TokenAcquired { .. } => self.recover(tenant, Operation::Token),
            Event::Feed(_, FeedEvent::WindowListed { .. } | FeedEvent::SubscriptionStarted) => {
                self.recover(tenant, Operation::ListSubscriptions);
                self.recover(tenant, Operation::StartSubscription);
                self.recover(tenant, Operation::ListContent);
            }
            Event::Feed(_, FeedEvent::ActivitiesListed { .. }) => {
                self.recover(tenant, Operation::ListActivities);
            }
            Event::Feed(
                _,
                FeedEvent::BlobRecovered { content_id }
                | FeedEvent::BlobEmpty { content_id, .. }
                | FeedEvent::ContentLostError { content_id, .. },
            ) => self.read(tenant, content_id),
            _ => {}
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
        self.outages.retain(|(of, _), _| **of != *tenant);
    }

    fn fail(&mut self, tenant: &str, what: Operation, reason: &str, wait: Duration, now: Instant) {
        let said = match what {
            Operation::Token => "not signed in",
            Operation::ListActivities => "no answer from Defender for Cloud Apps",
            _ => "no answer from the Management Activity API",
        };
        let outage = self.outages.entry((tenant.into(), what)).or_insert_with(|| Outage {
            what: said,
            since: now,
            next: now,
            reason: String::new(),
        });
        outage.next = now + wait;
        reason.clone_into(&mut outage.reason);
    }

    fn recover(&mut self, tenant: &str, what: Operation) {
        if !self.outages.is_empty() {
            self.outages.remove(&(tenant.into(), what));
        }
    }

    /// What is wrong, since when, and when it is tried next; of many tenants, the one that it is
    /// longest. A request that failed once is no outage.
    pub(super) fn outage(&self, now: Instant) -> Option<String> {
        let lasting = |outage: &&Outage| {
            OUTAGE_AFTER <= now.duration_since(outage.since)
                && now.saturating_duration_since(outage.next) < STALE_AFTER
        };
        let all: Vec<_> = self.outages.iter().filter(|(_, outage)| lasting(outage)).collect();
        let ((tenant, _), worst) = all.iter().min_by_key(|(_, outage)| outage.since)?;
        let mut tenants: Vec<_> = all.iter().map(|((tenant, _), _)| tenant).collect();
        tenants.dedup();
        let who = match (&**tenant, tenants.len()) {
            ("", _) => String::new(),
            (tenant, 1) => format!("{tenant}: "),
            (tenant, count) => format!("{count} tenants, {tenant} longest: "),
        };
        let next = match worst.next.saturating_duration_since(now) {
            Duration::ZERO => "trying now".to_owned(),
            wait => format!("next try in {}", spoken(wait)),
        };
        let since = spoken(now.duration_since(worst.since));
        Some(format!("{who}{} for {since}, {next}: {}", worst.what, worst.reason))
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
    use m365_audit_core::{ContentType, LaneMetrics};

    use super::*;

    const FEED: Feed = Feed::Audit(ContentType::AuditExchange);

    fn retried(operation: Operation, id: Option<&str>, wait: u64) -> Event {
        Event::RequestRetried {
            operation,
            feed: id.map(|_| FEED),
            content_id: id.map(Into::into),
            reason: "cannot resolve login.microsoftonline.com".into(),
            retry_in: Duration::from_secs(wait),
        }
    }

    #[test]
    fn an_outage_is_told_since_when_and_until_it_is_over() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let failed = retried(Operation::Token, None, 30);
        waiting.observe("", &failed, at(0));
        assert_eq!(waiting.outage(at(5)), None, "it may be nothing");
        waiting.observe("", &retried(Operation::Token, None, 62), at(150));
        assert_eq!(
            waiting.outage(at(180)).unwrap(),
            "not signed in for 3 min, next try in 32 s: cannot resolve login.microsoftonline.com"
        );
        waiting.observe(
            "",
            &Event::TokenAcquired { lifetime: Duration::ZERO, first: true },
            at(190),
        );
        assert_eq!(waiting.outage(at(190)), None);
        waiting.observe("contoso", &failed, at(200));
        waiting.observe("fabrikam", &failed, at(210));
        let told = waiting.outage(at(230)).unwrap();
        assert!(told.starts_with("2 tenants, contoso longest: not signed in for 30 s"), "{told}");
        waiting.forget("contoso");
        assert!(waiting.outage(at(230)).unwrap().starts_with("fabrikam: "));
        assert_eq!(waiting.outage(at(270)), None, "nobody has failed since");
    }

    #[test]
    fn blobs_that_are_waited_for_are_named() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let mut metrics = Metrics::default();
        metrics.lanes.push(LaneMetrics { blobs_pending: 5, ..LaneMetrics::new(FEED) });
        for (id, wait) in [("one", 12), ("two", 3), ("three", 60), ("four", 300), ("five", 20)] {
            waiting.observe("", &retried(Operation::GetBlob, Some(id), wait), now);
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
