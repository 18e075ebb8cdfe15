//! Blobs of one feed that cannot be read: what is told of them, and what they keep from counting as
//! delivered. A thousand of them are as many retries, and no more than a line a minute.

use std::time::Duration;

use crate::base::flat_map::FlatMap;
use crate::base::interval::{Interval, IntervalSet};
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::event::{Event, FeedEvent};

/// How often it is told at the most that blobs were set aside.
const TOLD_EVERY: Duration = Duration::from_secs(60);

const MINUTE_MS: i64 = 60_000;

/// Blobs that were set aside and not told of.
#[derive(Debug)]
struct Untold {
    blobs: u64,
    content: ContentRef,
    reason: String,
}

/// The account of one feed.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    untold: Option<Untold>,
    /// Nothing more is told before.
    quiet_until: Duration,
    /// When the blobs were created that are set aside: how many in each minute.
    minutes: FlatMap<i64, u32>,
}

impl Unread {
    /// A blob is set aside. `reason` is `None` if that was told before, in an earlier life.
    pub(crate) fn hold(&mut self, content: &ContentRef, reason: Option<&str>) {
        *self.minutes.get_or_insert_with(minute(content.created), u32::default) += 1;
        let Some(reason) = reason else { return };
        match &mut self.untold {
            Some(untold) => untold.blobs += 1,
            None => {
                let (content, reason) = (content.clone(), reason.to_owned());
                self.untold = Some(Untold { blobs: 1, content, reason });
            }
        }
    }

    /// A blob that was set aside is read, or lost.
    pub(crate) fn release(&mut self, content: &ContentRef) {
        let minute = minute(content.created);
        if let Some(count) = self.minutes.get_mut(&minute) {
            *count -= 1;
            if *count == 0 {
                self.minutes.remove(&minute);
            }
        }
    }

    /// When there is something to tell.
    pub(crate) fn tells_at(&self) -> Option<Duration> {
        self.untold.as_ref().map(|_| self.quiet_until)
    }

    /// What there is to tell of blobs that were set aside.
    pub(crate) fn tell(&mut self, now: Duration) -> Option<Event> {
        let Untold { blobs, content, reason } = self.untold.take()?;
        self.quiet_until = now + TOLD_EVERY;
        Some(Event::Feed(
            content.feed,
            FeedEvent::BlobQuarantined {
                blobs,
                content_id: content.id,
                reason,
                expiration: content.expiration,
            },
        ))
    }

    /// Adds to `missing` what blobs that are set aside keep from being delivered: the minute of
    /// each, and if nothing newer than some has been delivered, all since the first of those.
    /// Answers when that was.
    pub(crate) fn missing(
        &self,
        newest_delivered: Option<Utc>,
        horizon: Utc,
        missing: &mut IntervalSet,
    ) -> Option<Utc> {
        let start = |minute: &i64| Utc::from_millis(minute.saturating_mul(MINUTE_MS));
        for minute in self.minutes.keys().map(start) {
            let end = minute + Duration::from_secs(60);
            missing.insert(Interval { start: minute, end });
        }
        let newest = newest_delivered.map_or(i64::MIN, minute);
        let first = &self.minutes.since(&newest.saturating_add(1)).first()?.0;
        let trailing = Interval::new(start(first), horizon)?;
        missing.insert(trailing);
        Some(trailing.start)
    }

    /// Whether none is set aside.
    pub(crate) fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }
}

fn minute(moment: Utc) -> i64 {
    moment.as_millis().div_euclid(MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::feed::{ContentType, Feed};

    const SECOND: Duration = Duration::from_secs(1);

    fn content(minute: i64) -> ContentRef {
        let created = Utc::from_millis(minute * MINUTE_MS + 30_000);
        ContentRef {
            feed: Feed::Audit(ContentType::AuditGeneral),
            id: format!("blob {minute}").into(),
            uri: "".into(),
            created,
            expiration: created,
        }
    }

    #[test]
    fn blobs_that_are_set_aside_are_told_by_the_minute() {
        let mut unread = Unread::default();
        for n in 0..461 {
            unread.hold(&content(n), Some("HTTP status 503"));
            if n == 0 {
                assert!(unread.tells_at() <= Some(SECOND));
                let told = unread.tell(SECOND).unwrap().to_string();
                assert!(told.contains("blob blob 0 cannot be read"), "{told}");
            }
        }
        assert_eq!(unread.tells_at(), Some(SECOND + TOLD_EVERY));
        let told = unread.tell(SECOND * 61).unwrap().to_string();
        assert!(told.contains("460 blobs cannot be read"), "{told}");
        assert!(unread.tells_at().is_none() && unread.tell(SECOND * 90).is_none());
    }

    #[test]
    fn what_is_set_aside_is_missing() {
        let mut unread = Unread::default();
        let at = |minute: i64| Utc::from_millis(minute * MINUTE_MS);
        let check = |unread: &Unread, newest: i64, since: Option<i64>, minutes: u32| {
            let mut missing = IntervalSet::default();
            assert_eq!(unread.missing(Some(at(newest)), at(100), &mut missing), since.map(at));
            let whole: Duration = missing.iter().map(|part| part.end.since(part.start)).sum();
            assert_eq!(whole, SECOND * 60 * minutes);
        };
        check(&unread, 50, None, 0);
        for minute in [10, 10, 20, 60, 70] {
            unread.hold(&content(minute), None);
        }
        check(&unread, 80, None, 4);
        check(&unread, 50, Some(60), 2 + 40);
        unread.release(&content(10));
        check(&unread, 80, None, 4);
        unread.release(&content(10));
        unread.release(&content(60));
        check(&unread, 50, Some(70), 1 + 30);
        assert_eq!(unread.tells_at(), None, "what an earlier life has told is not told again");
    }
}
