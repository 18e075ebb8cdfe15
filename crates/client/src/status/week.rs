//! The hours of the last week, as strips: a letter an hour, of each feed and of all together. Reads
//! the history that the collector commits, and keeps no more of it than it shows.

use std::time::{Duration, Instant};

use m365_audit_core::{
    Commit, Feed, FeedHistory, HISTORY, HourRow, HourStanding, StateError, Stored, Utc,
};

/// What a strip shows.
const SHOWN: Duration = Duration::from_secs(7 * 86_400);

/// How soon news are drawn.
const DRAWN_EVERY: Duration = Duration::from_secs(10);

/// How soon a strip is drawn anew without news: time goes on.
const DRAWN_ANYHOW: Duration = Duration::from_secs(60);

/// What a commit says of the history.
#[derive(Clone, Debug, Default)]
pub struct HistoryNews(Vec<(String, Option<String>)>);

impl HistoryNews {
    /// Takes it from a commit that is about to be stored.
    #[must_use]
    pub fn of(commit: &Commit) -> Self {
        let of_history = commit.changes.range(HISTORY.to_owned()..);
        let of_history = of_history.take_while(|(key, _)| key.starts_with(HISTORY));
        Self(of_history.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// The strips of one collector.
#[derive(Debug, Default)]
pub(super) struct Weeks {
    rows: Stored,
    news: bool,
    drawn_at: Option<Instant>,
    shown: LastWeek,
}

/// How each of the last 168 hours stands, a letter each: `s` settled, `d` delivered so far, `o`
/// fresh, `i` incomplete, `l` lost, `x` not collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastWeek {
    /// Of each feed of which something is known.
    pub feeds: Vec<(Feed, String)>,
    /// The worst of each hour.
    pub all: String,
}

impl LastWeek {
    /// That of `feeds`, as a state says it. What cannot be read is the collector's to tell.
    #[must_use]
    pub fn of(stored: &Stored, feeds: impl IntoIterator<Item = Feed>, now: Utc) -> Self {
        let feeds = feeds.into_iter();
        let feeds = feeds.filter_map(|feed| Some((feed, strip(stored, feed, now).ok()??)));
        let feeds: Vec<(Feed, String)> = feeds.collect();
        let all = worst(feeds.iter().map(|(_, strip)| strip.as_str()));
        Self { feeds, all }
    }

    /// A feed's strip; empty if nothing is known.
    #[must_use]
    pub fn of_feed(&self, feed: Feed) -> &str {
        self.feeds.iter().find(|(known, _)| *known == feed).map_or("", |(_, strip)| strip)
    }
}

impl Weeks {
    /// A run goes on from this state.
    pub(super) fn begin(&mut self, stored: &Stored, now: Utc) {
        let of_history = stored.range(HISTORY.to_owned()..);
        let of_history = of_history.take_while(|(key, _)| key.starts_with(HISTORY));
        let recent = of_history.filter(|(key, _)| is_recent(key, now));
        self.rows = recent.map(|(key, value)| (key.clone(), value.clone())).collect();
        self.news = true;
        self.drawn_at = None;
    }

    /// A commit is stored.
    pub(super) fn take(&mut self, HistoryNews(news): HistoryNews) {
        self.news |= !news.is_empty();
        for (key, value) in news {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }

    /// Draws what is new, now and then.
    pub(super) fn draw(&mut self, feeds: impl Iterator<Item = Feed>, at: Instant, now: Utc) {
        let every = if self.news { DRAWN_EVERY } else { DRAWN_ANYHOW };
        if self.drawn_at.is_some_and(|drawn| at.saturating_duration_since(drawn) < every) {
            return;
        }
        self.drawn_at = Some(at);
        self.news = false;
        self.rows.retain(|key, _| is_recent(key, now));
        self.shown = LastWeek::of(&self.rows, feeds, now);
    }

    /// A feed's strip; empty if nothing is known.
    pub(super) fn of(&self, feed: Feed) -> &str {
        self.shown.of_feed(feed)
    }

    pub(super) fn all(&self) -> &str {
        &self.shown.all
    }
}

/// Whether a key is about a feed as a whole, or about an hour that is shown.
fn is_recent(key: &str, now: Utc) -> bool {
    let hour = key.split('/').nth(2).and_then(|hour| hour.parse::<i64>().ok());
    hour.is_none_or(|hour| (now - SHOWN).as_millis() / 3_600_000 <= hour)
}

fn strip(rows: &Stored, feed: Feed, now: Utc) -> Result<Option<String>, StateError> {
    let Some(history) = FeedHistory::find(rows, feed)? else { return Ok(None) };
    let hours = history.hours(rows, now - SHOWN, now, now);
    hours
        .map(|hour| hour.map(|(row, standing)| letter(&row, standing)))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn letter(row: &HourRow, standing: HourStanding) -> char {
    match standing {
        HourStanding::Settled => 's',
        HourStanding::Open if row.covered && row.blobs_waiting() == 0 => 'd',
        HourStanding::Open => 'o',
        HourStanding::Incomplete => 'i',
        HourStanding::Lost => 'l',
        HourStanding::NotCollected => 'x',
    }
}

/// Of each hour the worst letter; all strips are as long.
fn worst<'a>(strips: impl Iterator<Item = &'a str>) -> String {
    let rank = |letter: u8| b"xsdoil".iter().position(|known| *known == letter);
    let mut worst: Vec<u8> = Vec::new();
    for strip in strips {
        worst.resize(worst.len().max(strip.len()), b'x');
        for (worst, letter) in worst.iter_mut().zip(strip.bytes()) {
            *worst = if rank(*worst) < rank(letter) { letter } else { *worst };
        }
    }
    worst.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::ContentType;

    const FEED: Feed = Feed::Audit(ContentType::AuditExchange);
    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn hours_become_letters_and_the_worst_of_all_feeds_counts() {
        let now = Utc::from_millis(490_000 * HOUR_MS);
        let mut stored = Stored::new();
        let begin = (now - Duration::from_secs(100 * 3_600)).as_millis();
        stored.insert(format!("{HISTORY}{FEED}"), format!("b{begin}k604800"));
        // Covered, delivered; one blob of two delivered; one lost; one from before last week.
        stored.insert(format!("{HISTORY}{FEED}/489950"), "l2d2a1".into());
        stored.insert(format!("{HISTORY}{FEED}/489960"), "l2d1a1".into());
        stored.insert(format!("{HISTORY}{FEED}/489970"), "l1x1a1".into());
        stored.insert(format!("{HISTORY}{FEED}/480000"), "l1d1a1".into());
        let mut weeks = Weeks::default();
        weeks.begin(&stored, now);
        assert_eq!(weeks.rows.len(), 4);
        let start = Instant::now();
        weeks.draw([FEED].into_iter(), start, now);
        let of_hour = |weeks: &Weeks, hour: usize| {
            let from_end = 490_000 - hour;
            let strip = weeks.of(FEED).as_bytes();
            char::from(strip[strip.len() - from_end])
        };
        assert_eq!(weeks.of(FEED).len(), 168);
        let letters = [489_850, 489_950, 489_960, 489_970].map(|hour| of_hour(&weeks, hour));
        assert_eq!(letters, ['x', 'd', 'i', 'l']);
        assert_eq!(weeks.all(), weeks.of(FEED));
        // A commit shows when it is time to.
        let commit = Commit {
            changes: [
                (format!("{HISTORY}{FEED}/489960"), Some("l2d2a1".to_owned())),
                ("other".to_owned(), None),
            ]
            .into(),
        };
        weeks.take(HistoryNews::of(&commit));
        weeks.draw([FEED].into_iter(), start + DRAWN_EVERY / 2, now);
        assert_eq!(of_hour(&weeks, 489_960), 'i');
        weeks.draw([FEED].into_iter(), start + DRAWN_EVERY, now);
        assert_eq!(of_hour(&weeks, 489_960), 'd');
        assert_eq!(worst(["xsdoil", "llllll", "xxxxx"].into_iter()), "llllll");
    }
}
