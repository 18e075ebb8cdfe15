//! What has gone wrong of late, and whether the sign-in works: what a collector's events say.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use m365_audit_core::{Event, Feed, FeedEvent, Level, Operation, Utc};

/// Lines that are kept of one collector; the oldest go first.
const TROUBLES_MAX: usize = 64;

/// Bytes of a line.
const LINE_BYTES_MAX: usize = 2_000;

/// One line at ERROR or WARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) level: Level,
    /// Its stable name; empty if it is none of the core's.
    pub(super) code: &'static str,
    pub(super) text: String,
    /// When it was told last.
    pub(super) last: Utc,
    /// How many times it was told.
    pub(super) count: u64,
}

/// What has gone wrong with one collector.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// The newest last.
    lines: VecDeque<Trouble>,
    /// What the last sign-in was refused with, or did not get through for.
    sign_in: Option<String>,
    /// Whether one has worked.
    signed_in: bool,
    denied: BTreeMap<Feed, String>,
}

impl Troubles {
    /// Takes in what an event says.
    pub(super) fn observe(&mut self, event: &Event, now: SystemTime) {
        match event {
            Event::TokenAcquired { .. } => {
                self.signed_in = true;
                self.sign_in = None;
            }
            Event::TokenRefusedError { .. }
            | Event::TokensRejectedError { .. }
            | Event::SignInUnreachable { .. }
            | Event::ForeignAnswerError { operation: Operation::Token, .. } => {
                self.sign_in = Some(cut(event.to_string()));
            }
            Event::Feed(feed, FeedEvent::FeedDeniedError { .. }) => {
                self.denied.insert(*feed, cut(event.to_string()));
            }
            Event::Feed(feed, FeedEvent::FeedRestored) => drop(self.denied.remove(feed)),
            _ => {}
        }
        if event.level() <= Level::Warn {
            self.tell(event.level(), event.code(), event.to_string(), now);
        }
    }

    /// Keeps a line. One that was told before moves to the end, and is counted.
    pub(super) fn tell(&mut self, level: Level, code: &'static str, text: String, now: SystemTime) {
        let text = cut(text);
        let known = self.lines.iter().position(|line| line.code == code && line.text == text);
        let before = known.and_then(|at| self.lines.remove(at)).map_or(0, |line| line.count);
        if self.lines.len() == TROUBLES_MAX {
            self.lines.pop_front();
        }
        let last = utc(now);
        self.lines.push_back(Trouble { level, code, text, last, count: before + 1 });
    }

    /// The newest first.
    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = &Trouble> {
        self.lines.iter().rev()
    }

    /// Why nobody is signed in, if that is known.
    pub(super) fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_deref()
    }

    pub(super) const fn signed_in(&self) -> bool {
        self.signed_in
    }

    /// What a feed was denied with.
    pub(super) fn denied(&self, feed: Feed) -> Option<&str> {
        self.denied.get(&feed).map(String::as_str)
    }
}

/// The moment as the core writes it.
pub(super) fn utc(time: SystemTime) -> Utc {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Utc::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn cut(mut text: String) -> String {
    if LINE_BYTES_MAX < text.len() {
        let end = (0..=LINE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_repeats_is_one_line_and_the_oldest_go() {
        let mut troubles = Troubles::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        for _ in 0..3 {
            troubles.tell(Level::Warn, "", "the same".into(), now);
        }
        let seen: Vec<_> = troubles.lines().map(|line| (line.text.as_str(), line.count)).collect();
        assert_eq!(seen, [("the same", 3)]);
        for number in 0..1_000 {
            troubles.tell(Level::Error, "", format!("{number}{}", "é".repeat(2_000)), now);
        }
        assert_eq!(troubles.lines().len(), TROUBLES_MAX);
        assert!(troubles.lines().all(|line| line.text.len() <= LINE_BYTES_MAX + '…'.len_utf8()));
        assert!(troubles.lines().next().unwrap().text.starts_with("999"));
    }
}
