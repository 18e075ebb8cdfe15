//! Hours as letters: a day is 24 of them, as many days stand side by side as the terminal is wide.

use m365_audit_core::{HourStanding, Utc};

use super::sentence::minute;
use super::statement::{FeedReport, HOUR_MS, letter};

/// Columns that a date takes, and a day.
const DATE_COLUMNS: usize = 12;
const DAY_COLUMNS: usize = 25;

/// How many days may stand side by side, so that lines are easy to count.
const DAYS: [usize; 4] = [7, 4, 2, 1];

/// So many days in a row that are all alike become one line.
const ALIKE_MIN: usize = 4;

/// How strips look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) columns: usize,
    pub(super) colour: bool,
}

impl Look {
    /// Letters in the colour of their standing.
    pub(super) fn paint(self, standing: HourStanding, text: &str) -> String {
        let code = match standing {
            HourStanding::Settled => "32",
            HourStanding::Open => "36",
            HourStanding::NotCollected => "2",
            HourStanding::Incomplete => "1;33",
            HourStanding::Lost => "1;31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn days(self) -> usize {
        let fits = self.columns.saturating_sub(DATE_COLUMNS) / DAY_COLUMNS;
        DAYS.into_iter().find(|days| *days <= fits).unwrap_or(1)
    }

    /// The hours of a feed.
    pub(super) fn strip(self, feed: &FeedReport) -> String {
        let days: Vec<_> = feed.days().collect();
        let mut text = String::new();
        let mut rest = days.as_slice();
        while let Some((hour, first)) = rest.first() {
            let same = alike(rest);
            let taken = if ALIKE_MIN <= same {
                let (last, standing) = (date(rest[same - 1].0), first[0]);
                let mark = self.paint(standing, &letter(standing).to_string().repeat(3));
                let word = standing.as_str();
                text.push_str(&format!(
                    "  {}  {mark} {same} days {word}, to {last}\n",
                    date(*hour)
                ));
                same
            } else {
                // No further than to where many are alike.
                let most = rest.len().min(self.days());
                let taken = (1..most).find(|at| ALIKE_MIN <= alike(&rest[*at..])).unwrap_or(most);
                let line = rest[..taken].iter().map(|(at, day)| self.day(*at, day));
                let line = line.collect::<Vec<_>>().join(" ");
                text.push_str(&format!("  {}  {}\n", date(*hour), line.trim_end()));
                taken
            };
            rest = &rest[taken..];
        }
        text
    }

    /// A day: letters of one colour together.
    fn day(self, hour: i64, day: &[HourStanding]) -> String {
        let before = usize::try_from(hour.rem_euclid(24)).unwrap_or_default();
        let mut text = " ".repeat(before);
        for run in day.chunk_by(|a, b| a == b) {
            let letters = letter(run[0]).to_string().repeat(run.len());
            text.push_str(&self.paint(run[0], &letters));
        }
        text.push_str(&" ".repeat(24 - (before + day.len()).min(24)));
        text
    }
}

pub(super) fn date(hour: i64) -> String {
    let text = minute(Utc::from_millis(hour * HOUR_MS));
    text.get(..10).unwrap_or(&text).to_owned()
}

/// How many days from the first one on are whole, and stand as it does in every hour.
fn alike(days: &[(i64, &[HourStanding])]) -> usize {
    let Some(standing) = days.first().and_then(|(_, day)| day.first()) else { return 0 };
    let is_alike = |day: &[HourStanding]| day.len() == 24 && day.iter().all(|s| s == standing);
    days.iter().take_while(|(_, day)| is_alike(day)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::statement::tests::feed;

    #[test]
    fn days_stand_side_by_side_and_many_that_are_alike_are_one_line() {
        let settled = "s".repeat(24);
        let hours = format!("{settled}{settled}ssLLIIoo{}{}-", "s".repeat(16), settled.repeat(5));
        let look = |columns| Look { columns, colour: false };
        let feed = feed(&hours);
        let expected = "  2026-11-20  ssssssssssssssssssssssss ssssssssssssssssssssssss\n  \
                        2026-11-22  ssLLIIoossssssssssssssss\n  \
                        2026-11-23  sss 5 days settled, to 2026-11-27\n  2026-11-28  -\n";
        assert_eq!(look(80).strip(&feed), expected);
        assert_eq!(look(40).strip(&feed).lines().count(), 5);
        let colour = Look { columns: 80, colour: true }.strip(&feed);
        assert!(colour.contains("\x1b[1;31mLL\x1b[0m\x1b[1;33mII\x1b[0m"), "{colour}");
    }

    #[test]
    fn the_first_day_begins_where_the_interval_does() {
        let mut feed = feed("sso");
        feed.first_hour += 21;
        let look = Look { columns: 80, colour: false };
        assert_eq!(look.strip(&feed), format!("  2026-11-20  {}sso\n", " ".repeat(21)));
    }
}
