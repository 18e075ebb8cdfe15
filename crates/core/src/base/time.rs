//! Wall-clock time as Microsoft means it, and the two clocks a driver shows to the core.
//!
//! Reads no clock: every `now` is an argument.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use crate::base::timestamp::{Timestamp, civil_date, parse_timestamp};

/// Months as HTTP writes them.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in UTC, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// Microsoft's `contentCreated` has millisecond precision, so nothing finer is needed to plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(i64);

impl Utc {
    /// The earliest moment that can be expressed; stands for "since ever".
    pub const MIN: Self = Self(i64::MIN);

    /// A moment from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Parses an RFC 3339 timestamp, or one without a zone, which Microsoft means as UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp = parse_timestamp(text.as_bytes())?;
        Some(Self(timestamp.seconds * 1_000 + i64::from(timestamp.nanoseconds / 1_000_000)))
    }

    /// Parses the value of an HTTP `Date` header (RFC 9110, IMF-fixdate).
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let (_weekday, rest) = text.split_once(", ")?;
        let mut parts = rest.split(' ');
        let [day, month, year, time] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let month = MONTHS.iter().position(|name| *name == month)? + 1;
        let whole = parts.next() == Some("GMT") && parts.next().is_none();
        whole.then(|| Self::parse(&format!("{year}-{month:02}-{day}T{time}")))?
    }

    /// Whole hours since the epoch, rounded down: the bucket in which seen content is kept.
    #[must_use]
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600_000)
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(millis.unsigned_abs())
    }
}

impl Add<Duration> for Utc {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Utc {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// `2026-07-15T20:45:11.875Z`: the form of Microsoft's descriptors, accepted in every query too.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (year, month, day) = civil_date(self.0.div_euclid(DAY));
        if !(0..=9_999).contains(&year) {
            return f.write_str(if self.0 < 0 { "since ever" } else { "for ever" });
        }
        let millis = self.0.rem_euclid(DAY);
        let [hour, minute] = [millis / 3_600_000, millis / 60_000 % 60];
        let [second, millis] = [millis / 1_000 % 60, millis % 1_000];
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

impl From<Utc> for Timestamp {
    fn from(utc: Utc) -> Self {
        let millis = utc.as_millis();
        let nanoseconds = u32::try_from(millis.rem_euclid(1_000)).unwrap_or_default() * 1_000_000;
        Self { seconds: millis.div_euclid(1_000), nanoseconds }
    }
}

/// What the driver's clocks read when it calls the core.
///
/// Two clocks, because each lies in its own way: timers run on `monotonic`, which never jumps, and
/// `wall` is only the first guess of Microsoft's time until a response's `Date` header corrects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary fixed moment of this process. Never goes back.
    pub monotonic: Duration,
    /// The machine's idea of UTC. May jump in both directions.
    pub wall: Utc,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zone_less_times_are_utc() {
        let zoned = Utc::parse("2026-07-15T20:45:11.875Z").unwrap();
        assert_eq!(Utc::parse("2026-07-15T20:45:11.875"), Some(zoned));
        assert_eq!(Utc::parse("2026-07-15T22:45:11.875+02:00"), Some(zoned));
        assert_eq!(zoned.to_string(), "2026-07-15T20:45:11.875Z");
        assert_eq!(Utc::parse("yesterday"), None);
    }

    #[test]
    fn the_date_header_is_understood() {
        let date = Utc::parse_http_date("Wed, 15 Jul 2026 20:45:11 GMT").unwrap();
        assert_eq!(date.to_string(), "2026-07-15T20:45:11.000Z");
        for text in [
            "",
            "15 Jul 2026 20:45:11 GMT",
            "Wed, 15 Foo 2026 20:45:11 GMT",
            "Wed, 32 Jul 2026 20:45:11 GMT",
            "Wed, 15 Jul 2026 20:45:11",
            "Wed, 15 Jul 2026 20:45:11 CET",
            "Wed, 15 Jul 2026 20:45:11 GMT GMT",
        ] {
            assert_eq!(Utc::parse_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn moments_without_a_date_have_words() {
        assert_eq!(Utc::MIN.to_string(), "since ever");
        assert_eq!(Utc::from_millis(i64::MAX).to_string(), "for ever");
        assert_eq!(Utc::from_millis(-62_167_219_200_001).to_string(), "since ever");
        assert_eq!(Utc::from_millis(253_402_300_800_000).to_string(), "for ever");
    }

    proptest! {
        #[test]
        fn dates_agree_with_jiff(millis in -62_167_219_200_000_i64..253_402_207_200_000) {
            let expected = jiff::Timestamp::from_millisecond(millis).unwrap();
            let text = Utc::from_millis(millis).to_string();
            prop_assert_eq!(&text, &format!("{expected:.3}"));
            prop_assert_eq!(Utc::parse(&text), Some(Utc::from_millis(millis)));
            let date = expected.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let whole = millis.div_euclid(1_000) * 1_000;
            prop_assert_eq!(Utc::parse_http_date(&date), Some(Utc::from_millis(whole)));
        }
    }
}
