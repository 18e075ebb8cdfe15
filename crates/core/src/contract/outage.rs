//! What does not get through, since when, and when it is tried next, as people would say it: for
//! lines in a log, whatever the packaging. Gathers events; knows no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::text::spoken;
use crate::contract::event::{Event, FeedEvent};
use crate::contract::request::Operation;

/// A service that does not answer is worth a word after this.
const OUTAGE_AFTER: Duration = Duration::from_secs(6);

/// What was to be tried so long ago has got through, and nobody has said so: longer than a request
/// may take.
const STALE_AFTER: Duration = Duration::from_secs(90);

/// How often a line says that it goes on.
const LINE_PERIOD: Duration = Duration::from_secs(60);

/// What works when a listing was read.
const OF_AUDIT: [Operation; 3] =
    [Operation::ListSubscriptions, Operation::StartSubscription, Operation::ListContent];

/// Something that does not get through.
#[derive(Clone, Debug)]
struct Outage {
    since: Duration,
    next: Duration,
    reason: Box<str>,
}

/// The outages of one tenant, or of many together. Moments are those of any monotonic clock.
///
/// At most one for each tenant and operation.
#[derive(Debug, Default)]
pub struct Outages {
    outages: BTreeMap<(Box<str>, Operation), Outage>,
    /// When a line was written last.
    told: Option<Duration>,
    /// Since when it has lasted what lines were written about, until its end is told.
    begun: Option<Duration>,
}

impl Outages {
    /// Takes in what happened to a tenant; its name is empty if it is the only one.
    pub fn observe(&mut self, tenant: &str, event: &Event, now: Duration) {
        if let Event::SignInUnreachable { reason, retry_in } = event {
            self.fail(tenant, Operation::Token, reason, *retry_in, now);
        } else if let Event::RequestRetried { operation, reason, retry_in, .. } = event {
            // Blobs fail one by one, and wait for themselves.
            if *operation != Operation::GetBlob {
                self.fail(tenant, *operation, reason, *retry_in, now);
            }
        } else if let Event::TokenAcquired { .. } = event {
            self.recover(tenant, &[Operation::Token]);
        } else if let Event::Feed(_, FeedEvent::ActivitiesListed { .. }) = event {
            self.recover(tenant, &[Operation::ListActivities]);
        } else if let Event::Feed(
            _,
            FeedEvent::WindowListed { .. } | FeedEvent::SubscriptionStarted,
        ) = event
        {
            self.recover(tenant, &OF_AUDIT);
        }
    }

    /// Another run of a tenant's collector begins, or none.
    pub fn forget(&mut self, tenant: &str) {
        if !self.outages.is_empty() {
            self.outages.retain(|(of, _), _| **of != *tenant);
        }
    }

    /// Whether nothing is known to fail.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outages.is_empty()
    }

    fn fail(&mut self, tenant: &str, what: Operation, why: &str, wait: Duration, now: Duration) {
        let new = || Outage { since: now, next: now, reason: "".into() };
        let outage = self.outages.entry((tenant.into(), what)).or_insert_with(new);
        outage.next = now + wait;
        outage.reason = why.into();
    }

    fn recover(&mut self, tenant: &str, what: &[Operation]) {
        if !self.outages.is_empty() {
            self.outages.retain(|(of, known), _| **of != *tenant || !what.contains(known));
        }
    }

    /// What is wrong, since when, and when it is tried next; of many tenants, the one that it is
    /// longest. A request that failed once is no outage.
    #[must_use]
    pub fn line(&self, now: Duration) -> Option<String> {
        self.worst(now).map(|(_, line)| line)
    }

    fn worst(&self, now: Duration) -> Option<(Duration, String)> {
        let lasting = |(_, outage): &(_, &Outage)| {
            OUTAGE_AFTER <= now.saturating_sub(outage.since)
                && now.saturating_sub(outage.next) < STALE_AFTER
        };
        let all: Vec<_> = self.outages.iter().filter(lasting).collect();
        let ((tenant, what), worst) = all.iter().min_by_key(|(_, outage)| outage.since)?;
        let mut tenants: Vec<_> = all.iter().map(|((tenant, _), _)| tenant).collect();
        tenants.dedup();
        let who = match (&**tenant, tenants.len()) {
            ("", _) => String::new(),
            (tenant, 1) => format!("{tenant}: "),
            (tenant, count) => format!("{count} tenants, {tenant} longest: "),
        };
        let what = if *what == Operation::Token {
            "not signed in".to_owned()
        } else {
            format!("no answer from {}", what.service())
        };
        let next = match worst.next.saturating_sub(now) {
            Duration::ZERO => "trying now".to_owned(),
            wait => format!("next try in {}", spoken(wait)),
        };
        let since = spoken(now.saturating_sub(worst.since));
        Some((worst.since, format!("{who}{what} for {since}, {next}: {}", worst.reason)))
    }

    /// The same if it is time for a line, at most one a minute, and once that it is over.
    pub fn due(&mut self, now: Duration) -> Option<String> {
        let told_lately = self.told.is_some_and(|told| now.saturating_sub(told) < LINE_PERIOD);
        // Looked at often, and there may be as many as there are tenants.
        if told_lately && !self.is_empty() {
            return None;
        }
        match self.worst(now) {
            Some((since, line)) => {
                self.told = Some(now);
                let begun = self.begun.get_or_insert(since);
                *begun = since.min(*begun);
                Some(line)
            }
            // Something fails that nobody knows more of.
            None if !self.is_empty() => None,
            None => {
                let lasted = spoken(now.saturating_sub(self.begun.take()?));
                Some(format!("connected again after {lasted}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED_IN: Event = Event::TokenAcquired { lifetime: Duration::ZERO, first: true };

    fn retried(operation: Operation, wait: u64) -> Event {
        Event::RequestRetried {
            operation,
            feed: None,
            content_id: None,
            reason: "cannot resolve login.microsoftonline.com".into(),
            retry_in: Duration::from_secs(wait),
        }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    #[test]
    fn an_outage_is_told_since_when_and_until_it_is_over() {
        let mut outages = Outages::default();
        let failed = retried(Operation::Token, 30);
        outages.observe("", &failed, at(0));
        assert_eq!(outages.line(at(5)), None, "it may be nothing");
        outages.observe("", &retried(Operation::Token, 62), at(150));
        assert_eq!(
            outages.line(at(180)).unwrap(),
            "not signed in for 3 min, next try in 32 s: cannot resolve login.microsoftonline.com"
        );
        outages.observe("", &SIGNED_IN, at(190));
        assert_eq!(outages.line(at(190)), None);
        outages.observe("contoso", &failed, at(200));
        outages.observe("fabrikam", &failed, at(210));
        let told = outages.line(at(230)).unwrap();
        assert!(told.starts_with("2 tenants, contoso longest: not signed in for 30 s"), "{told}");
        outages.forget("contoso");
        assert!(outages.line(at(230)).unwrap().starts_with("fabrikam: "));
        assert_eq!(outages.line(at(330)), None, "nobody has failed since");
    }

    #[test]
    fn a_line_is_due_once_a_minute_and_when_it_is_over() {
        let mut outages = Outages::default();
        let mut told = Vec::new();
        for second in 0..200 {
            if second < 150 && second % 10 == 0 {
                outages.observe("", &retried(Operation::ListContent, 10), at(second));
            }
            if second == 170 {
                let listed = FeedEvent::SubscriptionStarted;
                let feed = crate::Feed::Audit(crate::ContentType::AuditExchange);
                outages.observe("", &Event::Feed(feed, listed), at(second));
            }
            told.extend(outages.due(at(second)).map(|line| (second, line)));
        }
        let reason = "cannot resolve login.microsoftonline.com";
        let what = "no answer from the Management Activity API for";
        assert_eq!(
            told,
            [
                (6, format!("{what} 6 s, next try in 4 s: {reason}")),
                (66, format!("{what} 66 s, next try in 4 s: {reason}")),
                (126, format!("{what} 2 min, next try in 4 s: {reason}")),
                (170, "connected again after 3 min".to_owned()),
            ]
        );
    }

    #[test]
    fn what_nobody_has_told_of_is_not_told_to_be_over() {
        let mut outages = Outages::default();
        outages.observe("", &retried(Operation::Token, 1), at(0));
        outages.observe("", &SIGNED_IN, at(2));
        assert_eq!(outages.due(at(10)), None);
        // Still failing, in a request that nobody hears of.
        outages.observe("", &retried(Operation::Token, 1), at(20));
        assert!(outages.due(at(30)).is_some());
        assert_eq!(outages.due(at(300)), None);
    }
}
