//! A feed that is refused without a code of Microsoft's: 401 or 403, with a page of a proxy, a bare
//! message or nothing. It may pass, so it is asked again, ever later; after a few it counts as
//! denied. Knows no requests and no token but what it is told of them.

use std::time::Duration;

use crate::base::random::Random;

/// Refusals in a row after which a feed counts as denied.
const FORBIDDEN_MAX: u32 = 4;

/// Starts of a subscription after which it does: there is a quarter of an hour between two.
const STARTS_FORBIDDEN_MAX: u32 = 2;

/// Waits between attempts.
const RETRY_BASE: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(120);

/// What is to be done about a token that a feed refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// It may be the token: another one tells.
    Replace,
    /// Another one was refused as well: something else is to be asked with it.
    Test,
    /// The token is good: it is the feed that is refused.
    Feed,
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Others were under way when it was: this one says nothing new.
    Known,
    /// It is asked again after this wait; how many refusals that makes.
    Again(Duration, u32),
    /// It counts as denied.
    Denied,
}

/// How often a feed was refused in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forbidden {
    pages: u32,
    starts: u32,
    /// Tokens that pages or starts were refused with, and those that blobs were.
    tokens: u32,
    blob_tokens: u32,
    /// When the first of these refusals came.
    suspected_at: Option<Duration>,
    /// Until then no page is asked for.
    not_before: Duration,
}

impl Forbidden {
    /// No page may be asked for before.
    pub(crate) const fn not_before(&self) -> Duration {
        self.not_before
    }

    /// A page was read.
    pub(crate) fn accept_page(&mut self) {
        *self = Self { blob_tokens: self.blob_tokens, ..Self::default() };
    }

    /// A start was accepted, or the subscription found.
    pub(crate) const fn accept_start(&mut self) {
        self.starts = 0;
    }

    /// A blob was read.
    pub(crate) const fn accept_blob(&mut self) {
        self.blob_tokens = 0;
    }

    /// 401 for a page or a start. `current`: it was sent with the token that is used now;
    /// `proven_at`: when that token was last taken, by whatever; `testable`: the list of
    /// subscriptions answers. A token that was good before may have been withdrawn since.
    pub(crate) fn suspect(
        &mut self,
        now: Duration,
        current: bool,
        proven_at: Option<Duration>,
        testable: bool,
    ) -> Suspicion {
        if !current {
            return Suspicion::Replace;
        }
        self.tokens = self.tokens.saturating_add(1);
        let suspected_at = *self.suspected_at.get_or_insert(now);
        match (self.tokens, proven_at.is_some_and(|proven_at| suspected_at < proven_at)) {
            (1, _) => Suspicion::Replace,
            (_, true) => Suspicion::Feed,
            (_, false) if testable => Suspicion::Test,
            (_, false) => Suspicion::Replace,
        }
    }

    /// 401 for a blob: whether it may be the token. If a second one is refused, listings tell.
    pub(crate) const fn suspects_by_blob(&mut self, current: bool) -> bool {
        if current {
            self.blob_tokens = self.blob_tokens.saturating_add(1);
        }
        !current || self.blob_tokens <= 1
    }

    /// A page was refused.
    pub(crate) fn refuse_page(&mut self, now: Duration, random: &mut Random) -> Refused {
        if now < self.not_before {
            return Refused::Known;
        }
        self.pages = self.pages.saturating_add(1);
        if self.pages >= FORBIDDEN_MAX {
            return Refused::Denied;
        }
        let wait = random.backoff(RETRY_BASE, RETRY_MAX, self.pages);
        self.not_before = now + wait;
        Refused::Again(wait, self.pages)
    }

    /// A start was refused. Answers whether that counts as denied.
    pub(crate) const fn refuse_start(&mut self) -> bool {
        self.starts = self.starts.saturating_add(1);
        self.starts >= STARTS_FORBIDDEN_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_feed_tests_the_token_once() {
        let at = |seconds| Duration::from_secs(seconds);
        let mut feed = Forbidden::default();
        assert_eq!(feed.suspect(at(5), true, Some(at(4)), true), Suspicion::Replace);
        // What was under way with the old one says nothing of the new one.
        assert_eq!(feed.suspect(at(6), false, Some(at(5)), true), Suspicion::Replace);
        // That it was good once does not show that it was not withdrawn.
        assert_eq!(feed.suspect(at(7), true, Some(at(4)), true), Suspicion::Test);
        assert_eq!(feed.suspect(at(9), true, Some(at(8)), true), Suspicion::Feed);
        assert_eq!(feed.suspect(at(10), true, None, false), Suspicion::Replace);
        feed.accept_page();
        assert_eq!(feed.suspect(at(11), true, Some(at(11)), true), Suspicion::Replace);
    }

    #[test]
    fn waits_grow_until_it_counts_as_denied() {
        let (mut feed, mut random) = (Forbidden::default(), Random::new(1));
        let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
        for refusals in 1..FORBIDDEN_MAX {
            let Refused::Again(wait, count) = feed.refuse_page(now, &mut random) else {
                panic!("after {refusals}");
            };
            assert!(count == refusals && last < wait, "{wait:?} after {last:?}");
            assert_eq!(feed.refuse_page(now, &mut random), Refused::Known);
            (now, last) = (feed.not_before(), wait);
        }
        assert_eq!(feed.refuse_page(now, &mut random), Refused::Denied);
        assert_eq!((feed.refuse_start(), feed.refuse_start()), (false, true));
    }
}
